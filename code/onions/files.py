"""Files that are there whole or not at all."""

import os
import shutil
from pathlib import Path

PART = ".part"  # how a file that is being written ends


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name, then rename it, so that nobody reads half of it.

    Raises OSError; what stood there before then still stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def link(source: Path, copy: Path) -> None:
    """Give a file that is never rewritten a second name, or copy it where there are no links."""
    try:
        os.link(source, copy)
    except OSError:
        shutil.copy2(source, copy)


def sweep(folder: Path) -> None:
    """Delete what a process that was killed has left half-written."""
    for part in folder.glob(f"*{PART}"):
        part.unlink(missing_ok=True)


def size(paths: list[Path]) -> str:
    """Return how much room files take, in words."""
    kib = sum(path.stat().st_size for path in paths) / 1024
    return f"{kib / 1024:.1f} MiB" if kib >= 1024 else f"{kib:.0f} KiB"
