"""Make the site from the store, check it and serve it.

``render`` and ``sphinx_build`` make the site, ``gate`` checks it, and ``serve`` is a local server.
``bundle`` makes the EPUB, the PDF and the zip; ``browser`` starts Chromium.
"""
