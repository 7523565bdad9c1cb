"""Where the images come from: CIFAR-10, a copy of it, or the built-in stand-in.

The environment variable ``ONIONS_DATA`` chooses: ``auto``, ``cifar10``, ``sketches`` or a path.
"""

import hashlib
import http.client
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onions import batches
from onions.batches import FOLDER, URL, DataError, read_file

if TYPE_CHECKING:
    from onions.batches import Split

CHOICES = "auto, cifar10, sketches, or the path of a folder or archive"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
# The official batches' MD5, as torchvision has them: they tell an official folder from a copy.
OFFICIAL_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
LARGEST_ARCHIVE = 200 * 2**20  # bytes; the official archive has 170 MB
PATIENCE = 10.0  # seconds that the server has to answer
SLOWEST = 50_000  # bytes a second below which a download is given up

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """The data that a build uses.

    `name` is ``cifar10`` or ``sketches``; `path` is the folder or archive, empty for the stand-in;
    `identity` changes when the data does; `what` says in words what it is, `why` why it was taken.
    """

    name: str
    path: str
    identity: str
    what: str
    why: str

    @property
    def module(self) -> str:
        """The module of this package that reads or draws the images."""
        return "onions.sketches" if self.name == "sketches" else "onions.data"

    @property
    def official(self) -> bool:
        """Whether these are CIFAR-10's official files, which archive or folder alike."""
        return self.identity == ARCHIVE_SHA256


def resolve(choice: str = "auto", *, say: Say = lambda line: None) -> Source:
    """Decide which data to use, downloading CIFAR-10 where `choice` asks for it.

    `say` gets a line about anything slow. Raises DataError where the data chosen can't be had.
    """
    if choice == "sketches":
        return _sketches("ONIONS_DATA=sketches asks for it")
    if choice in ("auto", "cifar10"):
        return _keras_or_stand_in(choice, say)
    path = Path(choice).expanduser()
    return _from_path(path.resolve(), f"ONIONS_DATA={choice} asks for it")


def load(source: Source) -> tuple["Split", "Split"]:
    """Return ``(train_images, train_labels), (test_images, test_labels)`` of CIFAR-10's files.

    Images are uint8 of shape (n, 32, 32, 3), n = 50000 and 10000; labels uint8 of shape (n, 1),
    from 0 to 9. Raises DataError that names the file and the remedy, also where the files are no
    longer those that `source` was resolved from.
    """
    path = Path(source.path)
    if _from_path(path, source.why).identity != source.identity:
        raise DataError(f"{path}: it changed while the book was built. Build again.")
    return batches.read(path)


def _sketches(why: str) -> Source:
    drawn_by = [Path(__file__).with_name(name) for name in ("shapes.py", "sketches.py")]
    identity = hashlib.sha256(b"".join(path.read_bytes() for path in drawn_by))
    return Source("sketches", "", identity.hexdigest(), "the built-in stand-in, not CIFAR-10", why)


def _keras_or_stand_in(choice: str, say: Say) -> Source:
    for path in keras_cache():
        if path.exists():
            source = _from_path(path, f"ONIONS_DATA={choice}, and Keras has it at {path}")
            if not source.official:
                raise DataError(
                    f"{path}: these are not CIFAR-10's official files. Delete it, so that they "
                    f"are downloaded again, or set ONIONS_DATA={path} to use it all the same."
                )
            return source
    archive = keras_cache()[1]
    try:
        download(URL, archive, say=say, patience=PATIENCE)
    except DownloadFailed as error:
        trouble = f"{URL} can't be had ({error})"
        if choice == "auto":
            return _sketches(f"ONIONS_DATA=auto, but {trouble}")
        raise DataError(
            f"ONIONS_DATA=cifar10: {trouble}. Check the network, or download it elsewhere and set "
            "ONIONS_DATA to the path of the archive; ONIONS_DATA=sketches builds with the stand-in."
        ) from error
    return _from_path(archive, f"ONIONS_DATA={choice}, downloaded from {URL}")


def keras_cache() -> tuple[Path, Path]:
    """Return where Keras keeps CIFAR-10: the folder and the archive."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    name = "cifar-10-batches-py-target"
    return home / name / FOLDER, home / f"{name}_archive"


class DownloadFailed(Exception):
    """The server does not send the archive; the message says why."""


def download(
    url: str,
    target: Path,
    *,
    say: Say,
    patience: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Download the official archive to `target`, which is there whole and checked, or not at all.

    Raises DownloadFailed where the server does not answer within `patience` seconds, stalls, or
    sends something else than the archive; DataError where it can't be written.
    """
    say(f"Looking for CIFAR-10 at {url} (for {patience:.0f} s at most)")
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for chunk in _chunks(url, say, patience, clock):
                file.write(chunk)
                digest.update(chunk)
        if digest.hexdigest() != ARCHIVE_SHA256:
            raise DownloadFailed("what came is not the official archive")
        part.replace(target)
    except OSError as error:
        raise DataError(
            f"{part}: can't be written ({error.strerror}). Make room, or set KERAS_HOME to "
            "another folder."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _chunks(url: str, say: Say, patience: float, clock: Callable[[], float]) -> Iterator[bytes]:
    """Yield the body of the answer; every read waits `patience` seconds at most."""
    started = told = clock()
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=patience) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read1(2**18):
                done += len(chunk)
                if done > LARGEST_ARCHIVE:
                    raise DownloadFailed("it sends more than the official archive has")
                if clock() - started > patience + done / SLOWEST:
                    raise DownloadFailed(f"it sends less than {SLOWEST // 1000} kB a second")
                if clock() - told > 2:
                    told = clock()
                    say(f"CIFAR-10: {done / 1e6:.0f} of {size / 1e6:.0f} MB")
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadFailed(str(error) or type(error).__name__) from error


def _from_path(path: Path, why: str) -> Source:
    if path.is_dir():
        return _from_folder(path / FOLDER if (path / FOLDER).is_dir() else path, why)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}). Choose {CHOICES}.") from error
    if found != ARCHIVE_SHA256:
        raise DataError(
            f"{path}: this is not CIFAR-10's official archive (SHA-256 {found[:12]}…, wanted "
            f"{ARCHIVE_SHA256[:12]}…). Delete it and download {URL} again."
        )
    return Source("cifar10", str(path), found, "CIFAR-10's official files", why)


def _from_folder(folder: Path, why: str) -> Source:
    contents = {name: read_file(folder / name) for name in OFFICIAL_MD5}
    md5 = {n: hashlib.md5(c, usedforsecurity=False).hexdigest() for n, c in contents.items()}
    if md5 == OFFICIAL_MD5:  # the same data as the archive, so nothing runs again
        return Source("cifar10", str(folder), ARCHIVE_SHA256, "CIFAR-10's official files", why)
    digest = hashlib.sha256()
    for content in contents.values():
        digest.update(hashlib.sha256(content).digest())
    what = (
        "a folder in CIFAR-10's layout, whose pictures, or their order, differ from the official "
        "files"
    )
    return Source("cifar10", str(folder), digest.hexdigest(), what, why)
