"""The lock that limits a folder to one build at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def build_lock(folder: Path, notify: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a build folder. If another process holds it, notify once and wait.

    The operating system releases the lock of a process that dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        notify(f"Another build is running in {folder}; waiting for it to end.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
