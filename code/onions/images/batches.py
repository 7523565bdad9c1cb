"""A reader for CIFAR-10's files that is safe with malicious files.

It never unpacks an archive to disk, runs no code from a pickle, and checks shapes and labels. The
format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import io
import pickle
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Split = tuple[np.ndarray, np.ndarray]

ARCHIVE_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_FILE = "test_batch"
FILES = (*TRAIN_FILES, TEST_FILE)
BATCH_SIZE = 10_000  # images per file
LARGEST_FILE = 64 * 2**20  # bytes; an official batch has 31 MB


class DataError(Exception):
    """The images are missing or invalid; the message names the file and the remedy."""


def read_images(path: Path) -> tuple["Split", "Split"]:
    """Return ``(train_images, train_labels), (test_images, test_labels)`` of a folder or archive.

    Images are uint8 of shape (n, 32, 32, 3), n = 50000 and 10000; labels are uint8 of shape (n, 1),
    from 0 to 9. Raises DataError if a file is missing or invalid.
    """
    batches = _read_folder(path) if path.is_dir() else _read_archive(path)
    return _stack([batches[name] for name in TRAIN_FILES]), batches[TEST_FILE]


def read_file(path: Path) -> bytes:
    """Return the bytes of a batch file. Raises DataError if it is too large or can't be read."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(
                f"{path}: too large for a batch of CIFAR-10. Unpack {ARCHIVE_URL} again."
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: can't be read ({error.strerror}). The folder must hold "
            f"{', '.join(FILES)}. To restore it, unpack {ARCHIVE_URL} again."
        ) from error


def _read_folder(folder: Path) -> dict[str, "Split"]:
    return {n: read_batch(io.BytesIO(read_file(folder / n)), str(folder / n)) for n in FILES}


def _read_archive(path: Path) -> dict[str, "Split"]:
    """Return an archive's batches by name. The caller has checked the archive's hash."""
    batches: dict[str, Split] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.removeprefix(f"{FOLDER}/")
                is_batch = name in FILES and member.size <= LARGEST_FILE
                if is_batch and (file := archive.extractfile(member)):
                    batches[name] = read_batch(file, f"{path}: {member.name}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"{path}: a damaged archive ({error}). Download {ARCHIVE_URL} again."
        ) from error
    for name in FILES:
        if name not in batches:
            raise DataError(f"{path}: {FOLDER}/{name} is missing. Download {ARCHIVE_URL} again.")
    return batches


class _Array:
    """The substitute for a pickled NumPy array: its shape and its bytes.

    NumPy's own types trust the state in a pickle, so a forged state can crash the process.
    """

    shape: Any = ()
    content: Any = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, dtype, fortran, self.content = state
        if dtype != ("u1",) or fortran:
            raise pickle.UnpicklingError("its array is not uint8 in row-major order")


class _Dtype(tuple[str]):
    """The substitute for a pickled dtype: its name."""

    def __setstate__(self, state: Any) -> None:
        pass


def _dtype(name: Any, *_: Any) -> _Dtype:
    return _Dtype((name.decode() if isinstance(name, bytes) else str(name),))


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order != "C", bytes(content)))
    return array


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError(f"its pickle encodes a string as {encoding}")
    return text.encode("latin1")


class _RestrictedUnpickler(pickle._Unpickler):
    """An unpickler that builds only plain values and the substitutes for arrays.

    It extends the pure-Python unpickler, whose memory use grows with the file, not with the sizes
    that the file declares. https://docs.python.org/3/library/pickle.html#restricting-globals
    """

    SUBSTITUTES: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _dtype,
        ("_codecs", "encode"): _encode,
    } | {
        (f"numpy.{core}.{module}", name): substitute
        for core in ("core", "_core")
        for module, name, substitute in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("numeric", "_frombuffer", _from_buffer),
        )
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.SUBSTITUTES:
            raise pickle.UnpicklingError(f"its pickle calls {module}.{name}")
        return self.SUBSTITUTES[module, name]


def read_batch(file: IO[bytes], name: str) -> "Split":
    """Return a batch's images, uint8 (n, 32, 32, 3), and labels, uint8 (n, 1), n = 10000.

    `name` names the file in error messages. Raises DataError if its content is invalid.
    """
    import numpy as np  # imported here, so resolving a source needs no NumPy

    def invalid(reason: str) -> DataError:
        return DataError(f"{name}: {reason}. Delete it and unpack {ARCHIVE_URL} again.")

    try:
        batch = _RestrictedUnpickler(file, encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise almost any error
        raise invalid(f"not a readable batch ({error})") from error
    if not isinstance(batch, dict) or not {b"data", b"labels"} <= set(batch):
        raise invalid("it lacks data or labels")
    data, labels = batch[b"data"], batch[b"labels"]
    if not isinstance(data, _Array) or not isinstance(data.content, bytes):
        raise invalid("its data is not an array of bytes")
    if data.shape != (BATCH_SIZE, 3072):
        raise invalid(f"its data has shape {data.shape}, not ({BATCH_SIZE}, 3072)")
    if len(data.content) != BATCH_SIZE * 3072:
        raise invalid(f"its data has {len(data.content)} bytes, not {BATCH_SIZE * 3072}")
    if not isinstance(labels, list) or len(labels) != BATCH_SIZE:
        raise invalid(f"it does not have {BATCH_SIZE} labels")
    if not all(isinstance(label, int) and 0 <= label <= 9 for label in labels):
        raise invalid("its labels are not whole numbers from 0 to 9")
    pixels = np.frombuffer(data.content, np.uint8).reshape(-1, 3, 32, 32)
    images = pixels.transpose(0, 2, 3, 1).copy()  # channels last, as in Keras
    return images, np.array(labels, np.uint8)[:, np.newaxis]


def _stack(batches: list["Split"]) -> "Split":
    import numpy as np

    images = np.concatenate([images for images, _ in batches])
    return images, np.concatenate([labels for _, labels in batches])
