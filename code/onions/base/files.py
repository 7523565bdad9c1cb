"""Atomic file writes, and other small helpers for files."""

import os
import shutil
from codecs import BOM_UTF8
from pathlib import Path

PARTIAL_SUFFIX = ".part"  # marks a file that is still being written


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, to a temporary file, then rename it to `path`.

    A reader sees either the old content or the new. Raises OSError if the write fails; the old file
    is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with partial.open("wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def rewrite(path: Path, text: str) -> None:
    """Replace the text of a file that a person wrote, atomically.

    The file keeps its line ends, its byte-order mark and its mode; a link still leads to it. Raises
    OSError as `write_atomic` does.
    """
    path = path.resolve()
    mode, old = path.stat().st_mode, path.read_bytes()
    if 2 * old.count(b"\r\n") > old.count(b"\n"):
        text = text.replace("\n", "\r\n")
    mark = "\ufeff" if old.startswith(BOM_UTF8) else ""
    write_atomic(path, mark + text)
    path.chmod(mode)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link `source`, a file that never changes; copy it if hard links are not supported."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def delete_partial_files(folder: Path) -> None:
    """Delete the temporary files that a killed process left behind.

    Call it with the folder's lock: every process that writes to the folder holds it.
    """
    for partial in folder.glob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)


def format_size(paths: list[Path]) -> str:
    """Return the total size of files as text, for example ``1.5 MiB``."""
    kib = sum(path.stat().st_size for path in paths) / 1024
    return f"{kib / 1024:.1f} MiB" if kib >= 1024 else f"{kib:.0f} KiB"
