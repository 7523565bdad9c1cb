"""The pins of lock files."""

import re

URL = re.compile(r"https?:|--index-url|--find-links|\s@\s")


def pins(lock: str) -> list[str]:
    """Return the pins in a lock file's text, each with its hashes."""
    parts = re.split(r"\n(?=[a-z])", lock)
    return [part for part in parts if re.match(r"[a-z0-9._-]+==", part)]
