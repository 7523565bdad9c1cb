import hashlib
import io
import json
import os
import pickle
import shutil
import socket
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onions.images import batches, download, sources
from onions.images.batches import DataError
from onions.images.sources import Source
from support.disks import disk_full
from support.projects import ROOT

BATCH_SIZE = 20  # images per batch, in these tests
FILES = batches.FILES


def batch(**changes: Any) -> bytes:
    """Return a pickled batch in CIFAR-10's layout, with changed entries."""
    n = BATCH_SIZE
    rows = np.arange(n * 3072, dtype=np.uint64).astype(np.uint8).reshape(n, 3072)
    whole = {b"data": rows, b"labels": [i % 10 for i in range(n)], b"batch_label": b"some"}
    return pickle.dumps(whole | {key.encode(): value for key, value in changes.items()}, protocol=2)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", BATCH_SIZE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / batches.FOLDER
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(batch())
    return folder


@pytest.fixture
def archive(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, batches.FOLDER)
    monkeypatch.setattr(download, "ARCHIVE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"


def assert_images_load(source: Source) -> None:
    (train_images, train_labels), (test_images, test_labels) = sources.load_images(source)
    assert train_images.shape == (100, 32, 32, 3) and test_images.shape == (20, 32, 32, 3)
    assert train_images.dtype == np.uint8 and train_labels.dtype == np.uint8
    assert train_labels.shape == (100, 1) and test_labels.shape == (20, 1)
    assert train_images[0, 0, 1, 2] == (2 * 1024 + 1) % 256, "channels do not come last"
    assert list(test_labels[:12, 0]) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_a_folder_is_resolved_and_loaded(folder: Path) -> None:
    source = sources.resolve_source(str(folder))
    assert (source.name, source.path, source.module) == (
        "cifar10",
        str(folder),
        "onions.images.sources",
    )
    assert str(folder) in source.reason
    assert_images_load(source)


def test_a_parent_folder_resolves_to_the_folder_of_batches(folder: Path) -> None:
    assert sources.resolve_source(str(folder.parent)).path == str(folder)


def test_an_archive_is_loaded(archive: Path) -> None:
    assert_images_load(sources.resolve_source(str(archive)))


def test_newer_pickle_protocols_are_read(folder: Path) -> None:
    for name in FILES:
        whole = pickle.loads((folder / name).read_bytes())
        (folder / name).write_bytes(pickle.dumps(whole, protocol=5))
    assert_images_load(sources.resolve_source(str(folder)))


def test_identity_changes_only_with_the_data(folder: Path) -> None:
    before = sources.resolve_source(str(folder)).identity
    assert sources.resolve_source(str(folder.parent)).identity == before
    (folder / "data_batch_3").write_bytes(batch(labels=[0] * 20))
    assert sources.resolve_source(str(folder)).identity != before


def test_sketches_are_resolved() -> None:
    source = sources.resolve_source("sketches")
    assert (source.name, source.module) == ("sketches", "onions.images.sketches")
    assert "ONIONS_DATA=sketches" in source.reason


def test_the_reference_runs_drew_the_same_stand_in() -> None:
    sets = json.loads((ROOT / "book" / "reference" / "reference_runs.json").read_text("utf-8"))
    [identity] = [runs["data identity"] for runs in sets if runs["data"] == "sketches"]
    assert identity == sources.resolve_source("sketches").identity


# A pickle that ran code would create this file.
TRACE = Path(tempfile.gettempdir(), f"onions-{os.getpid()}-was-here")


@pytest.fixture(autouse=True)
def delete_trace() -> Iterator[None]:
    yield
    TRACE.unlink(missing_ok=True)


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (TRACE,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (batch()[:-2000], "not a readable batch"),
        (b"", "not a readable batch"),
        (pickle.dumps({b"data": Bomb(), b"labels": []}), "pickle calls"),
        (pickle.dumps([1, 2]), "lacks data or labels"),
        (batch(data=np.array([object()])), "pickle calls"),
        (batch(data=np.zeros((20, 3072), np.uint8, order="F")), "not uint8 in row-major order"),
        (pickle.dumps({b"a": np.zeros(3).dtype}, 2).replace(b"f8", b"O8"), "lacks data or labels"),
        (b"c_codecs\nencode\n(V0\nS'hex'\ntR.", "encodes a string as"),
        (b"r\xff\xff\xff\x7f" + batch()[2:], "not a readable batch"),
        (batch(data=np.zeros((20, 3071), np.uint8)), "(20, 3071), not (20, 3072)"),
        (batch(data=np.zeros((19, 3072), np.uint8)), "(19, 3072), not (20, 3072)"),
        (batch(data=np.zeros((20, 3072), np.float32)), "not uint8 in row-major order"),
        (batch(data="no array"), "not an array of bytes"),
        (batch(labels=[10] * 20), "from 0 to 9"),
        (batch(labels=[-1] * 20), "from 0 to 9"),
        (batch(labels=["0"] * 20), "from 0 to 9"),
        (batch(labels=[0] * 19), "20 labels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_is_named_with_the_remedy(folder: Path, content: bytes, message: str) -> None:
    bad = folder / "data_batch_4"
    bad.write_bytes(content)
    with pytest.raises(DataError) as caught:
        sources.load_images(sources.resolve_source(str(folder)))
    error = str(caught.value)
    assert str(bad) in error and message in error and f"unpack {batches.ARCHIVE_URL} again" in error
    assert not TRACE.exists()


@pytest.mark.parametrize("call", ["os.system", "builtins.eval", "subprocess.Popen"])
def test_a_pickle_can_call_nothing(call: str) -> None:
    module, name = call.split(".")
    poisoned = f"c{module}\n{name}\n(S'touch {TRACE}'\ntR.".encode()
    with pytest.raises(DataError, match=f"pickle calls .*{name}"):
        batches.read_batch(io.BytesIO(poisoned), "a batch")
    assert not TRACE.exists()


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "test_batch").unlink()
    with pytest.raises(DataError, match=r"test_batch: can't be read .*unpack"):
        sources.resolve_source(str(folder))


def test_an_oversized_file_is_not_read(folder: Path) -> None:
    with (folder / "data_batch_1").open("r+b") as file:
        file.truncate(batches.LARGEST_FILE + 1)
    with pytest.raises(DataError, match="data_batch_1: too large"):
        sources.resolve_source(str(folder))


def test_a_missing_path_is_named() -> None:
    with pytest.raises(
        DataError, match=r"/nowhere: can't be read \(No such file or directory\)\. Set ONIONS_DATA"
    ):
        sources.resolve_source("/nowhere")


def test_an_archive_with_a_wrong_hash_is_refused(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"not CIFAR-10's official archive .*Delete it and"):
        sources.resolve_source(str(archive))


def test_an_archive_without_a_batch_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data_batch_2").unlink()
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, batches.FOLDER)
    monkeypatch.setattr(download, "ARCHIVE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(DataError, match="data_batch_2 is missing"):
        sources.load_images(sources.resolve_source(str(path)))


def test_a_truncated_archive_is_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])
    monkeypatch.setattr(
        download, "ARCHIVE_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest()
    )
    with pytest.raises(DataError, match=r"a damaged archive|is missing|not a readable"):
        sources.load_images(sources.resolve_source(str(archive)))


def treat_as_official(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `sources` treat the files of a folder as the official ones."""
    md5 = {
        name: hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in FILES
    }
    monkeypatch.setattr(sources, "OFFICIAL_MD5", md5)


def test_official_files_are_the_same_data_in_a_folder_and_in_the_archive(
    folder: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sources.resolve_source(str(folder))
    assert not before.official and "differ from the official files" in before.description
    treat_as_official(folder, monkeypatch)
    from_folder, from_archive = (
        sources.resolve_source(str(folder)),
        sources.resolve_source(str(archive)),
    )
    assert from_folder.official and from_folder.identity == from_archive.identity
    assert from_folder.description == from_archive.description == "CIFAR-10's official files"


@pytest.mark.parametrize("choice", ["auto", "cifar10"])
def test_only_official_files_in_keras_cache_are_accepted(
    folder: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    cached = sources.keras_cache()[0]
    shutil.copytree(folder, cached)
    with pytest.raises(DataError, match=rf"{cached}: not CIFAR-10.*Delete the folder"):
        sources.resolve_source(choice)
    treat_as_official(folder, monkeypatch)
    assert_images_load(sources.resolve_source(choice))


def test_data_that_changed_after_it_was_resolved_is_refused(folder: Path) -> None:
    source = sources.resolve_source(str(folder))
    (folder / "data_batch_3").write_bytes(batch(labels=[0] * BATCH_SIZE))
    with pytest.raises(DataError, match="changed during the build"):
        sources.load_images(source)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of a local server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/cifar-10-python.tar.gz"


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    """A server's URL, and its payloads: it announces the size of the first and sends the last."""
    payloads: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(payloads[0])))
            self.end_headers()
            self.wfile.write(payloads[-1])

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/a.tar.gz", payloads
        http.shutdown()


def test_a_dead_network_falls_back_to_sketches(
    silent_server: str, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ARCHIVE_URL", silent_server)
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    progress: list[str] = []
    source = sources.resolve_source("auto", notify=progress.append)
    assert (
        source.name == "sketches"
        and silent_server in source.reason
        and "timed out" in source.reason
    )
    assert "Downloading CIFAR-10" in progress[0]
    with pytest.raises(
        DataError, match=r"ONIONS_DATA=cifar10: .*timed out.*set ONIONS_DATA to its path"
    ):
        sources.resolve_source("cifar10")
    assert not list(empty_cache.glob("*"))


def test_a_download_is_kept_in_keras_cache(
    server: tuple[str, list[bytes]],
    archive: Path,
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, payloads = server
    payloads.append(archive.read_bytes())
    monkeypatch.setattr(sources, "ARCHIVE_URL", url)
    source = sources.resolve_source("auto")
    assert_images_load(source)
    assert [path.name for path in empty_cache.iterdir()] == ["cifar-10-batches-py-target_archive"]
    monkeypatch.setattr(sources, "ARCHIVE_URL", "http://127.0.0.1:9/nobody")
    assert "Keras has it at" in sources.resolve_source("cifar10").reason


@pytest.mark.parametrize("cut", [True, False])
def test_a_bad_download_leaves_no_file(
    server: tuple[str, list[bytes]],
    archive: Path,
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: bool,
) -> None:
    url, payloads = server
    payloads.append(archive.read_bytes())
    payloads.append(payloads[0][:-100] if cut else bytes(len(payloads[0])))
    monkeypatch.setattr(sources, "ARCHIVE_URL", url)
    assert sources.resolve_source("auto").name == "sketches"
    with pytest.raises(DataError, match="is not the official archive"):
        sources.resolve_source("cifar10")
    assert not list(empty_cache.iterdir())


def test_a_slow_download_reports_its_progress(
    server: tuple[str, list[bytes]], archive: Path, tmp_path: Path
) -> None:
    url, payloads = server
    payloads.append(archive.read_bytes())
    ticks = iter(range(0, 10_000, 3))  # the clock advances three seconds per call
    progress: list[str] = []
    download.download(
        url, tmp_path / "a", notify=progress.append, timeout=5, clock=lambda: float(next(ticks))
    )
    assert any(line.startswith("CIFAR-10: ") and line.endswith(" MB") for line in progress)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"SSH-2.0 hello\r\n", "SSH"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc", "many"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "IncompleteRead"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(5000), "sends more than the official archive"),
    ],
    ids=["no HTTP", "no number", "cut", "not there", "endless"],
)
def test_an_invalid_response_fails_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, response: bytes, message: str
) -> None:
    monkeypatch.setattr(download, "LARGEST_ARCHIVE", 4000)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def respond() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(response)

        threading.Thread(target=respond, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a"
        with pytest.raises(download.DownloadFailed, match=message):
            download.download(url, tmp_path / "a", notify=lambda _: None, timeout=5)
    assert not list(tmp_path.iterdir())


def test_a_download_that_is_too_slow_fails(
    server: tuple[str, list[bytes]], archive: Path, tmp_path: Path
) -> None:
    url, payloads = server
    payloads.append(archive.read_bytes())
    ticks = iter(range(0, 10_000_000, 1000))
    with pytest.raises(download.DownloadFailed, match="less than 50 kB a second"):
        download.download(
            url, tmp_path / "a", notify=lambda _: None, timeout=5, clock=lambda: float(next(ticks))
        )


def test_a_full_disk_is_an_error_without_fallback(
    server: tuple[str, list[bytes]],
    archive: Path,
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, payloads = server
    payloads.append(archive.read_bytes())
    monkeypatch.setattr(sources, "ARCHIVE_URL", url)

    monkeypatch.setattr(Path, "replace", disk_full)
    with pytest.raises(
        DataError, match=r"can't be written \(No space left on device\)\. Free disk space"
    ):
        sources.resolve_source("auto")
    assert not list(empty_cache.iterdir())
