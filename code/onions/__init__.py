"""What builds *Networks are like onions* and makes sure that it cannot lie.

In the order in which the modules may import one another:

- ``batches``, ``data``, ``shapes``, ``sketches`` read, find and draw the images;
- ``claims``, ``exports``, ``figures``, ``diagrams`` are for pages, and ``kernel`` is what their
  kernel gets;
- ``imports`` finds what code imports; ``files``, ``pages``, ``commits``, ``prose``, ``reference``
  read the book, ``edits``, ``rules``, ``lint`` check it, and ``new`` adds to it;
- ``fingerprint``, ``store``, ``status``, ``plan`` know what has run, ``pool``, ``runner``,
  ``progress``, ``running``, ``execute``, ``seeds`` run it, and ``doctor`` looks at the result;
- ``downloads``, ``site`` make the site, and ``gate`` says whether it may be published;
- ``extension`` is the Sphinx extension; ``serve`` shows a site to a browser, ``browser`` starts
  Chromium, ``bundle`` makes the PDF, the EPUB and the zip;
- ``builds``, ``pictures``, ``diff``, ``report`` compare two builds;
- ``preview`` renders the book as it stands, ``tabs`` and ``background`` show it and run its pages,
  and ``live`` keeps that up while somebody writes;
- ``commands`` are what ``cli``, the command line, can do.
"""
