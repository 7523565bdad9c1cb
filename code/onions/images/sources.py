"""Choose the source of the images: CIFAR-10, a copy of it, or the built-in stand-in.

The environment variable ``ONIONS_DATA`` is ``auto``, ``cifar10``, ``sketches`` or a path.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onions.base.syntax import normalize
from onions.images import batches, download
from onions.images.batches import ARCHIVE_URL, FOLDER, DataError
from onions.images.download import DownloadFailed, Notify

if TYPE_CHECKING:
    from onions.images.batches import Split

CHOICES = "auto, cifar10, sketches, or the path of a folder, archive or .npz file"
OFFICIAL = "CIFAR-10's official images"
COPY = "a copy of CIFAR-10, whose images or their order differ from the official ones"
# The SHA-1 hashes of the files of CIFAR-10's binary version, as `batches.hash_batch` computes them.
# From Apache MXNet 1.9, python/mxnet/gluon/data/vision/datasets.py.
OFFICIAL_SHA1 = (
    "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
    "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
    "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
    "aab85764eb3584312d3c7f65fd2fd016e36a258e",
    "26e2849e66a845b7f1e4614ae70f4889ae604628",
    "67eb016db431130d61cd03c7ad570b013799c88c",
)


@dataclass(frozen=True)
class Source:
    """The source of a build's images.

    `name` is ``cifar10`` or ``sketches``; `path` is the folder or file, empty for the stand-in.
    `identity` is a SHA-256 of pixels and labels, the same in every file format, or of the code that
    draws the stand-in. `description` names the data in words, and `reason` says why it was chosen.
    """

    name: str
    path: str
    identity: str
    description: str
    reason: str

    @property
    def module(self) -> str:
        """The module that reads or draws the images."""
        return "onions.images.sketches" if self.name == "sketches" else "onions.images.sources"

    @property
    def official(self) -> bool:
        """Whether these are CIFAR-10's official images, in any file format."""
        return self.identity == _identity(OFFICIAL_SHA1)

    @property
    def short_name(self) -> str:
        """The data's name in running text."""
        return short_name(self.name, self.identity)


def resolve_source(choice: str = "auto", *, notify: Notify = lambda line: None) -> Source:
    """Return the source of the images for `choice`, a value of ``ONIONS_DATA``.

    ``auto`` and ``cifar10`` download CIFAR-10 if Keras' cache lacks it. If no server brings it
    within two minutes, ``auto`` returns the stand-in, after seconds. `notify` receives progress
    lines. Raises DataError if the data is not available or not valid.
    """
    if choice == "sketches":
        return _sketches("ONIONS_DATA=sketches requests it")
    if choice in ("auto", "cifar10"):
        return _keras_or_stand_in(choice, notify)
    path = Path(choice).expanduser()
    return _from_path(path.resolve(), f"ONIONS_DATA={choice} requests it")


def short_name(name: str, identity: str) -> str:
    """Return the name in running text of a source with this `name` and `identity`."""
    if name == "sketches":
        return "the built-in stand-in"
    return "CIFAR-10" if identity == _identity(OFFICIAL_SHA1) else "a copy of CIFAR-10"


def data_report(choice: str) -> Iterator[str]:
    """Yield lines that say what is in Keras' cache, and what a build would use and why.

    Downloads nothing. Raises DataError as `resolve_source` does.
    """
    folder, archive = keras_cache()
    cached = [path for path in (folder, archive) if path.exists()]
    size = download.ARCHIVE_SIZE // 10**6  # MB
    received = download.received_bytes(archive) // 10**6
    if cached:
        yield f"In Keras' cache: {cached[0]}"
    elif received:
        yield f"In Keras' cache: {received} of {size} MB. `onions data fetch` downloads the rest."
    else:
        yield f"In Keras' cache: nothing. `onions data fetch` downloads CIFAR-10, {size} MB."
    if choice in ("auto", "cifar10") and not cached:
        use = {
            "auto": "CIFAR-10 if a server sends it within two minutes, otherwise the stand-in",
            "cifar10": "CIFAR-10, after the download",
        }[choice]
        yield f"A build would use {use}, since ONIONS_DATA={choice}."
    else:
        source = resolve_source(choice)
        yield f"A build would use {source.description}, since {source.reason}."


def load_images(source: Source) -> tuple["Split", "Split"]:
    """Return ``(train_images, train_labels), (test_images, test_labels)`` of CIFAR-10.

    Images are uint8 of shape (n, 32, 32, 3), n = 50000 and 10000; labels are uint8 of shape (n, 1),
    from 0 to 9. Raises DataError if a file is invalid or has changed since `source` was resolved.
    """
    path = Path(source.path)
    if _from_path(path, source.reason).identity != source.identity:
        raise DataError(f"{path}: changed during the build. Build again.")
    return batches.read_images(path)


def keras_cache() -> tuple[Path, Path]:
    """Return the paths of CIFAR-10's folder and archive in Keras' cache."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    name = "cifar-10-batches-py-target"
    return home / name / FOLDER, home / f"{name}_archive"


def _sketches(reason: str) -> Source:
    """Return the stand-in. Its identity is a hash of the code that draws it."""
    modules = [Path(__file__).with_name(name) for name in ("shapes.py", "sketches.py")]
    code = "".join(normalize(module.read_text("utf-8")) for module in modules)
    identity = hashlib.sha256(code.encode()).hexdigest()
    return Source("sketches", "", identity, "the built-in stand-in, not CIFAR-10", reason)


def _keras_or_stand_in(choice: str, notify: Notify) -> Source:
    """Return CIFAR-10 from Keras' cache or a download; for `auto`, fall back to the stand-in."""
    problems: list[DataError] = []
    for path in [path for path in keras_cache() if path.exists()]:
        try:
            source = _from_path(path, f"ONIONS_DATA={choice}, and Keras has it at {path}")
        except DataError as error:
            problems.append(error)
            continue
        if source.official:
            return source
        message = (
            f"{path}: not CIFAR-10's official images. Delete the folder to download them, or set "
            f"ONIONS_DATA={path} to use this folder anyway."
        )
        problems.append(DataError(message))
    if problems:
        raise problems[0]
    archive = keras_cache()[1]
    try:
        download.download(archive, notify=notify, patient=choice == "cifar10")
    except DownloadFailed as error:
        if choice == "auto":
            return _sketches(f"ONIONS_DATA=auto, and {_problem(error)}")
        raise DataError(
            f"ONIONS_DATA=cifar10: {_problem(error)}. Check the network, or download the archive "
            "elsewhere and set ONIONS_DATA to its path. To use the stand-in, set "
            "ONIONS_DATA=sketches."
        ) from error
    return _from_path(archive, f"ONIONS_DATA={choice}, and it was downloaded")


def _problem(error: DownloadFailed) -> str:
    if error.seconds < math.inf:
        minutes = download.duration(error.seconds)
        return f"CIFAR-10 would take {minutes} to download; `onions data fetch` downloads it"
    return f"CIFAR-10 can't be downloaded ({error})"


def _from_path(path: Path, reason: str) -> Source:
    if (path / FOLDER).is_dir():
        path /= FOLDER
    if path.is_dir() or path.suffix == ".npz":
        hashes = [batches.hash_batch(batch) for batch in batches.read_batches(path)]
    else:
        _check_archive(path)
        hashes = [*OFFICIAL_SHA1]
    description = OFFICIAL if hashes == [*OFFICIAL_SHA1] else COPY
    return Source("cifar10", str(path), _identity(hashes), description, reason)


def _check_archive(path: Path) -> None:
    """Raise DataError if a file is not the official archive."""
    try:
        sha256 = download.hash_archive(path)
    except OSError as error:
        raise DataError(
            f"{path}: can't be read ({error.strerror}). Set ONIONS_DATA to {CHOICES}."
        ) from error
    if sha256 != download.ARCHIVE_SHA256:
        raise DataError(
            f"{path}: not CIFAR-10's official archive (SHA-256 {sha256[:12]}…, expected "
            f"{download.ARCHIVE_SHA256[:12]}…). Delete it and download {ARCHIVE_URL} again."
        )


def _identity(hashes: Iterable[str]) -> str:
    """Return the SHA-256 of the hashes of a data set's batches."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
