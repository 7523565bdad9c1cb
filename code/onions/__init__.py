"""What builds *Networks are like onions* and makes sure that it cannot lie.

In the order in which the modules may import one another:

- ``batches``, ``data``, ``shapes``, ``sketches`` read, find and draw the images;
- ``claims``, ``exports``, ``figures``, ``kernel`` are what a page's kernel gets, ``diagrams`` what
  some draw;
- ``imports``, ``files``, ``pages``, ``prose``, ``reference``, ``rules``, ``fingerprint``,
  ``store``, ``pool``, ``runner``, ``status``, ``progress``, ``plan``, ``execute``, ``seeds``,
  ``doctor``, ``downloads``, ``site`` make the book, and ``gate`` says whether it may be published;
- ``extension`` is the Sphinx extension; ``browser`` starts Chromium, ``bundle`` makes the PDF, the
  EPUB and the zip;
- ``builds``, ``pictures``, ``diff``, ``report`` compare two builds; ``preview`` renders the book as
  it stands, ``live`` keeps that up in a browser, which ``serve`` serves;
- ``cli`` is the command line.
"""
