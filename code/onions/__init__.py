"""The package that builds and checks *Networks are like onions*. Each folder is a room.

- Pages import ``claims``, ``exports``, ``figures``, ``diagrams``; ``kernel`` prepares their kernel.
- ``images`` finds CIFAR-10 or draws the stand-in; ``book`` reads and checks the pages.
- ``store`` keeps executed pages and knows which are stale; ``run`` runs those.
- ``extension`` is the Sphinx extension; ``site`` renders, gates, bundles and serves the site.
- ``compare`` compares builds; ``live`` shows the book while somebody writes.
- ``cli`` is the command line and ``commands`` what it can do; ``base`` is for every room.

A room imports only from rooms below it: the layers in ``pyproject.toml``.
"""
