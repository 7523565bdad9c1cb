"""What the lock files of packages pin."""

import re

URL = re.compile(r"https?:|--index-url|--find-links|\s@\s")


def pins(lock: str) -> list[str]:
    """Return each pinned package of a lock file's text, with its hashes."""
    parts = re.split(r"\n(?=[a-z])", lock)
    return [part for part in parts if re.match(r"[a-z0-9._-]+==", part)]
