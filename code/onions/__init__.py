"""The package that builds and checks *Networks are like onions*. Each folder is a room.

- Pages import ``claims``, ``exports``, ``figures``, ``diagrams``; ``kernel`` prepares their kernel.
- ``images`` finds CIFAR-10 or draws the stand-in; ``book`` reads and checks the pages.
- ``store`` keeps executed pages and finds the stale ones; ``run`` runs them.
- ``extension`` is the Sphinx extension; ``site`` renders, gates, bundles and serves the site.
- ``compare`` compares builds; ``live`` previews the book during editing.
- ``cli`` is the entry point of ``commands``; ``base`` holds shared helpers.

A room imports only from rooms in lower layers; ``pyproject.toml`` lists the layers.
"""
