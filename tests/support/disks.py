"""A full disk."""

import errno
from typing import NoReturn


def disk_full(*_: object) -> NoReturn:
    """Raise the OSError of a write to a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")
