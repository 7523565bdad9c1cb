"""Hashes of files' contents, and lists of them, which show whether a file has changed.

Sizes and times are no proof: tools that copy or restore files can keep both.
"""

import json
from hashlib import sha256
from pathlib import Path

from onions.base.files import write_atomic

# The list of the files that pages show, in the folder of the doctrees: the extension writes it, and
# `onions render` and `onions live` read it.
DEPENDENCIES_FILE = "dependencies.json"


def hash_json(value: object) -> str:
    """Return the SHA-256 of a JSON value in hexadecimal; the order of keys does not count."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal; "" if the file does not exist."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, IsADirectoryError):  # editors create and delete temporary files
        return ""


def write_hashes(path: Path, hashes: dict[Path, str]) -> None:
    """Write a list of files and hashes to `path`, atomically."""
    write_atomic(path, json.dumps({str(file): digest for file, digest in hashes.items()}))


def read_hashes(path: Path) -> dict[Path, str]:
    """Return the list of files and hashes in `path`; empty if there is none."""
    hashes = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return {Path(file): digest for file, digest in hashes.items()}
