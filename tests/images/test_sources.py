import hashlib
import io
import json
import os
import pickle
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onions.images import batches, download, sources
from onions.images.batches import DataError
from onions.images.download import DownloadFailed
from onions.images.sources import Source
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
    """Make `sources` treat the images of a folder as the official ones."""
    hashes = [batches.hash_batch(batch) for batch in batches.read_batches(folder)]
    monkeypatch.setattr(sources, "OFFICIAL_SHA1", tuple(hashes))


def test_the_same_images_are_the_same_data_in_every_file_format(
    folder: Path, archive: Path, npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [sources.resolve_source(str(path)) for path in (folder, npz)]
    assert copies[0].identity == copies[1].identity
    assert {copy.description for copy in copies} == {sources.COPY}
    treat_as_official(folder, monkeypatch)
    official = [sources.resolve_source(str(path)) for path in (folder, npz, archive)]
    assert {source.identity for source in official} == {copies[0].identity}
    assert {source.description for source in official} == {sources.OFFICIAL}
    assert all(source.official for source in official)


def test_a_batch_is_hashed_as_a_file_of_the_binary_version(folder: Path) -> None:
    whole = pickle.loads(batch())
    records = b"".join(
        bytes([label]) + row.tobytes()
        for label, row in zip(whole[b"labels"], whole[b"data"], strict=True)
    )
    [first, *_] = batches.read_batches(folder)
    assert batches.hash_batch(first) == hashlib.sha1(records, usedforsecurity=False).hexdigest()


@pytest.fixture
def npz(tmp_path: Path, folder: Path) -> Path:
    """The folder's images as Keras returns them, in an .npz file."""
    write_npz(tmp_path / "cifar10.npz", folder)
    return tmp_path / "cifar10.npz"


def write_npz(path: Path, folder: Path, **changes: Any) -> None:
    (x_train, y_train), (x_test, y_test) = batches.read_images(folder)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test} | changes
    np.savez_compressed(path, **{k: array for k, array in arrays.items() if array is not None})


def test_an_npz_file_is_loaded(folder: Path, npz: Path) -> None:
    assert_images_load(sources.resolve_source(str(npz)))
    before = sources.resolve_source(str(npz)).identity
    labels = batches.read_images(folder)[0][1]
    write_npz(npz, folder, y_train=labels[:, 0].astype(np.int64))  # other type, same labels
    assert sources.resolve_source(str(npz)).identity == before
    write_npz(npz, folder, y_train=labels[::-1])
    assert sources.resolve_source(str(npz)).identity != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "x_train"),
        ({"x_train": np.zeros((100, 3, 32, 32), np.uint8)}, "images are uint8 (100, 3, 32, 32)"),
        ({"x_train": np.zeros((100, 32, 32, 3), np.float16)}, "images are float16"),
        ({"x_test": np.zeros((19, 32, 32, 3), np.uint8)}, "not uint8 (20, 32, 32, 3)"),
        ({"y_test": np.zeros(20)}, "labels are float64 (20,)"),
        ({"y_test": np.zeros((20, 2), np.uint8)}, "labels are uint8 (20, 2)"),
        ({"y_test": np.full(20, 10)}, "labels are not from 0 to 9"),
        ({"y_test": np.full(20, -1)}, "labels are not from 0 to 9"),
        ({"y_test": np.array([Bomb()] * 20)}, "allow_pickle=False"),
        ({"other": np.zeros(10**6, np.uint8)}, "other.npy is too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_npz_file_is_named_with_the_remedy(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    message: str,
) -> None:
    path = tmp_path / "bad.npz"
    write_npz(path, folder, **changes)
    monkeypatch.setattr(batches, "LARGEST_FILE", 10**6 // 5)
    with pytest.raises(DataError) as caught:
        sources.resolve_source(str(path))
    error = str(caught.value)
    assert error.startswith(f"{path}: not a readable .npz file") and message in error
    assert "numpy.savez" in error
    assert not TRACE.exists()


@pytest.mark.parametrize("damage", [slice(0, 0), slice(0, 200), slice(0, -30), slice(200, None)])
def test_a_damaged_npz_file_is_refused(npz: Path, damage: slice) -> None:
    npz.write_bytes(npz.read_bytes()[damage])
    with pytest.raises(DataError, match=r"not a readable \.npz file"):
        sources.resolve_source(str(npz))


def test_only_an_npz_file_needs_numpy(
    folder: Path, archive: Path, npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    sources.resolve_source(str(folder))
    sources.resolve_source(str(archive))
    with pytest.raises(DataError, match=r"needs NumPy. Run `make install`"):
        sources.resolve_source(str(npz))


@pytest.mark.parametrize("choice", ["auto", "cifar10"])
def test_only_official_images_in_keras_cache_are_accepted(
    folder: Path,
    archive: Path,
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
) -> None:
    cached = sources.keras_cache()[0]
    shutil.copytree(folder, cached)
    with pytest.raises(DataError, match=rf"{cached}: not CIFAR-10.*Delete the folder"):
        sources.resolve_source(choice)
    treat_as_official(folder, monkeypatch)
    assert_images_load(sources.resolve_source(choice))
    (cached / "data_batch_1").write_bytes(batch(labels=[0] * BATCH_SIZE))
    shutil.copy(archive, sources.keras_cache()[1])
    assert sources.resolve_source(choice).path == str(sources.keras_cache()[1])


def test_data_that_changed_after_it_was_resolved_is_refused(folder: Path) -> None:
    source = sources.resolve_source(str(folder))
    (folder / "data_batch_3").write_bytes(batch(labels=[0] * BATCH_SIZE))
    with pytest.raises(DataError, match="changed during the build"):
        sources.load_images(source)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[bytes | Exception]:
    """What the next downloads bring: a file's content, or an error."""
    results: list[bytes | Exception] = []

    def download_file(target: Path, *, notify: object, patient: bool) -> None:
        result = results.pop()
        if isinstance(result, Exception):
            raise result
        target.parent.mkdir(parents=True)
        target.write_bytes(result)

    monkeypatch.setattr(download, "download", download_file)
    return results


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DownloadFailed("a.org: timed out"), "CIFAR-10 can't be downloaded (a.org: timed out)"),
        (
            DownloadFailed("a.org: would take 41 minutes", 2460.0),
            "CIFAR-10 would take 41 minutes to download; `onions data fetch` downloads it",
        ),
    ],
)
def test_without_a_fast_server_auto_uses_the_stand_in_and_says_why(
    empty_cache: Path, servers: list[bytes | Exception], error: Exception, reason: str
) -> None:
    servers.extend([error, error])
    source = sources.resolve_source("auto")
    assert (source.name, source.reason) == ("sketches", f"ONIONS_DATA=auto, and {reason}")
    with pytest.raises(DataError) as raised:
        sources.resolve_source("cifar10")
    message = str(raised.value)
    assert message.startswith(f"ONIONS_DATA=cifar10: {reason}. Check the network")
    assert "set ONIONS_DATA to its path" in message and "set ONIONS_DATA=sketches" in message


def test_a_download_is_kept_in_keras_cache(
    archive: Path, empty_cache: Path, servers: list[bytes | Exception]
) -> None:
    servers.append(archive.read_bytes())
    source = sources.resolve_source("auto")
    assert_images_load(source)
    assert [path.name for path in empty_cache.iterdir()] == ["cifar-10-batches-py-target_archive"]
    assert "it was downloaded" in source.reason
    assert "Keras has it at" in sources.resolve_source("cifar10").reason  # without a server


@pytest.mark.parametrize(("choice", "patient"), [("auto", False), ("cifar10", True)])
def test_only_who_asks_for_cifar10_waits_for_it(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, choice: str, patient: bool
) -> None:
    def download_file(target: Path, **options: Any) -> None:
        assert options["patient"] is patient
        raise DataError("the test ends here")

    monkeypatch.setattr(download, "download", download_file)
    with pytest.raises(DataError, match="the test ends here"):
        sources.resolve_source(choice)


def test_the_report_says_what_is_there_and_what_a_build_would_use(
    folder: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(choice: str) -> list[str]:
        return [*sources.data_report(choice)]

    nothing = "In Keras' cache: nothing. `onions data fetch` downloads CIFAR-10, 170 MB."
    auto = (
        "A build would use CIFAR-10 if a server sends it within two minutes, otherwise the "
        "stand-in, since ONIONS_DATA=auto."
    )
    assert report("auto") == [nothing, auto]
    use = "A build would use CIFAR-10, after the download, since ONIONS_DATA=cifar10."
    assert report("cifar10") == [nothing, use]
    assert "the built-in stand-in, not CIFAR-10, since ONIONS" in report("sketches")[1]
    assert f"since ONIONS_DATA={folder} requests it" in report(str(folder))[1]
    empty_cache.mkdir(parents=True)
    with (empty_cache / "cifar-10-batches-py-target_archive.part").open("wb") as file:
        file.truncate(34_500_000)
    part = "In Keras' cache: 34 of 170 MB. `onions data fetch` downloads the rest."
    assert report("auto") == [part, auto]
    cached = sources.keras_cache()[0]
    shutil.copytree(folder, cached)
    treat_as_official(folder, monkeypatch)
    assert report("auto") == [
        f"In Keras' cache: {cached}",
        "A build would use CIFAR-10's official images, since ONIONS_DATA=auto, and Keras has it at "
        f"{cached}.",
    ]
