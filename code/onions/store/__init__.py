"""The store of executed pages.

``fingerprint`` hashes everything that a run depends on; ``lockfile`` reads the pinned packages.
``entries`` stores the runs, and ``build`` the choices that they share. ``status`` finds the stale
pages, and ``plan`` divides them into shards.
"""
