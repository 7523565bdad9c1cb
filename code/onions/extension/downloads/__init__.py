"""Downloads: notebooks and a script for each page, and the pages as the EPUB and the PDF need them.

``onions.site.bundle`` makes the EPUB and the PDF of these pages, in the order of ``_toc.yml``.
"""
