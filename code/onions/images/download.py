"""Download CIFAR-10's official archive and check its SHA-256."""

import hashlib
import http.client
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from onions.images.batches import DataError

ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
LARGEST_ARCHIVE = 200 * 2**20  # bytes; the official archive has 170 MB
TIMEOUT = 10.0  # seconds to wait for the server's answer
SLOWEST = 50_000  # bytes a second; a slower download is aborted

Notify = Callable[[str], None]


class DownloadFailed(Exception):
    """The server did not send the archive; the message gives the reason."""


def download(
    url: str,
    target: Path,
    *,
    notify: Notify,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Download the official archive from `url`, check its SHA-256, then rename it to `target`.

    `notify` receives a progress line every two seconds. Raises DownloadFailed if the server does
    not answer within `timeout` seconds, stalls, or sends a different file, and DataError if the
    archive can't be written.
    """
    notify(f"Downloading CIFAR-10 from {url} (timeout {timeout:.0f} s)")
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            for chunk in _chunks(url, notify, timeout, clock):
                file.write(chunk)
                digest.update(chunk)
        if digest.hexdigest() != ARCHIVE_SHA256:
            raise DownloadFailed("the downloaded file is not the official archive")
        partial.replace(target)
    except OSError as error:
        raise DataError(
            f"{partial}: can't be written ({error.strerror}). Free disk space, or set KERAS_HOME "
            "to another folder."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _chunks(
    url: str, notify: Notify, timeout: float, clock: Callable[[], float]
) -> Iterator[bytes]:
    """Yield the response body in chunks; each read waits at most `timeout` seconds."""
    started = notified = clock()
    received = 0  # bytes
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            size = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read1(2**18):
                received += len(chunk)
                if received > LARGEST_ARCHIVE:
                    raise DownloadFailed("the server sends more than the official archive")
                if clock() - started > timeout + received / SLOWEST:
                    raise DownloadFailed(
                        f"the server sends less than {SLOWEST // 1000} kB a second"
                    )
                if clock() - notified > 2:
                    notified = clock()
                    notify(f"CIFAR-10: {received / 1e6:.0f} of {size / 1e6:.0f} MB")
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadFailed(str(error) or type(error).__name__) from error
