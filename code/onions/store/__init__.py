"""The store of executed pages.

``fingerprint`` says what a run depends on, ``lockfile`` which packages it uses, ``entries`` keeps
the runs and ``build`` the choices they share, ``status`` says which pages are stale, and ``plan``
divides them among machines.
"""
