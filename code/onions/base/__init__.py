"""Helpers for every room: atomic writes, the build lock, facts from git, imports, templates."""
