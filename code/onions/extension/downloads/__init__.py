"""Downloads: notebooks and a script for each page, and the pages of the EPUB and the PDF.

``onions.site.bundle`` combines these pages into the EPUB and the PDF, in the order of ``_toc.yml``.
"""
