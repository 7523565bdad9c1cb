"""From the store to the finished site: ``render`` (with ``sphinx_build``), ``gate``, ``serve``.

``bundle`` makes the EPUB, the PDF and the zip, and ``browser`` starts Chromium.
"""
