"""The choices that all pages of a build share, kept in the store as ``build.json``."""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from onions.base.files import write_atomic
from onions.base.locks import folder_lock
from onions.images.download import Notify
from onions.images.sources import Source, resolve_source

BUILD_FILE = "build.json"


class StoreError(Exception):
    """A file of the store is missing or damaged; the message names the file and the remedy."""


@dataclass(frozen=True)
class Build:
    """The resolved choices of a build.

    `source` is the data, `profile` is ``full`` or ``smoke``, and `python` is the Python version.
    `seed_offset` is added to every seed that a page sets; it is 0 except in reference runs. Some of
    these also draw other images of the data: `images` is their number, from 1, else 0.
    """

    source: Source
    profile: str
    python: str
    seed_offset: int = 0
    images: int = 0

    def write(self, store: Path) -> None:
        """Write ``build.json`` into a store's folder, atomically."""
        with folder_lock(store):
            write_atomic(store / BUILD_FILE, json.dumps(asdict(self), indent=1, sort_keys=True))

    @classmethod
    def read(cls, store: Path) -> "Build":
        """Read ``build.json`` from a store's folder. Raises StoreError if it can't be read."""
        path = store / BUILD_FILE
        try:
            facts = json.loads(path.read_text("utf-8"))
            return cls(**{**facts, "source": Source(**facts["source"])})
        except FileNotFoundError as error:
            raise StoreError(f"{store}: nothing executed yet. Run `onions execute`.") from error
        except (OSError, TypeError, KeyError, ValueError) as error:
            raise StoreError(f"{path}: damaged ({error}). Run `onions execute`.") from error


def resolve_build(choice: str, profile: str, notify: Notify) -> Build:
    """Return the build for these choices, with the data resolved.

    `choice` is the value of ``ONIONS_DATA``; `notify` receives progress lines. Raises DataError if
    the data is not available.
    """
    return Build(resolve_source(choice, notify=notify), profile, platform.python_version())
