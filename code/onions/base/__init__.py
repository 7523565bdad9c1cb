"""Helpers for all rooms: atomic writes, the build lock, git facts, imports, templates."""
