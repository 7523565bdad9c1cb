"""The locks of folders: one process at a time writes to a folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def folder_lock(folder: Path, notify: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of a folder, whether or not the folder exists.

    If another process holds it, call `notify` once with a line that says so, and wait. The
    operating system releases the lock of a process that dies.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if notify:
            notify(f"Another command is writing to {folder}; waiting for it to finish.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
