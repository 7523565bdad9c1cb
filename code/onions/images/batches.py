"""A reader for CIFAR-10's images that is safe with malicious files.

It never unpacks an archive to disk, runs no code from a pickle, and checks shapes and labels. It
needs NumPy only to read ``.npz`` files and to return arrays. The format of the batches:
https://www.cs.toronto.edu/~kriz/cifar.html
"""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Split = tuple[np.ndarray, np.ndarray]

ARCHIVE_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_FILE = "test_batch"
FILES = (*TRAIN_FILES, TEST_FILE)
BATCH_SIZE = 10_000  # images per batch
IMAGE_SIZE = 3 * 32 * 32  # bytes
LARGEST_FILE = 64 * 2**20  # bytes; an official batch has 31 MB


class DataError(Exception):
    """The images are missing or invalid; the message names the file and the remedy."""


class Batch(NamedTuple):
    """A number of images and their labels.

    `pixels` has 3072 bytes per image: its red, green and blue channel, each row by row. `labels`
    has one byte per image, from 0 to 9.
    """

    pixels: bytes
    labels: bytes


def read_images(path: Path) -> tuple["Split", "Split"]:
    """Return ``(train_images, train_labels), (test_images, test_labels)`` of a folder or file.

    Images are uint8 of shape (n, 32, 32, 3), n = 50000 and 10000; labels are uint8 of shape (n, 1),
    from 0 to 9. Raises DataError as `read_batches` does.
    """
    *train, test = read_batches(path)
    return _as_arrays(train), _as_arrays([test])


def read_batches(path: Path) -> list[Batch]:
    """Return the batches: five for training, then one for tests.

    `path` is a folder of batches, an ``.npz`` file with the arrays ``x_train``, ``y_train``,
    ``x_test`` and ``y_test``, or the official archive, whose hash the caller has checked. Raises
    DataError if a file is missing or invalid.
    """
    if path.is_dir():
        return [read_batch(io.BytesIO(_read_file(path / n)), str(path / n)) for n in FILES]
    return _read_npz(path) if path.suffix == ".npz" else _read_archive(path)


def hash_batch(batch: Batch) -> str:
    """Return the SHA-1 of a batch in CIFAR-10's binary format, where a label precedes its image."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    pixels = memoryview(batch.pixels)
    for i in range(len(batch.labels)):
        sha1.update(batch.labels[i : i + 1])
        sha1.update(pixels[i * IMAGE_SIZE : (i + 1) * IMAGE_SIZE])
    return sha1.hexdigest()


def _as_arrays(batches: list[Batch]) -> "Split":
    import numpy as np  # imported here, so resolving a source needs no NumPy

    pixels = np.frombuffer(b"".join(batch.pixels for batch in batches), np.uint8)
    labels = np.frombuffer(b"".join(batch.labels for batch in batches), np.uint8)
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # channels last, as in Keras
    return images.copy(), labels[:, np.newaxis].copy()


def _read_file(path: Path) -> bytes:
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


def _read_archive(path: Path) -> list[Batch]:
    batches: dict[str, Batch] = {}
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
    return [batches[name] for name in FILES]


def _read_npz(path: Path) -> list[Batch]:
    try:
        import numpy as np

        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            for member in file.zip.infolist():  # a small file can hold huge arrays
                if member.file_size > 5 * LARGEST_FILE:
                    raise ValueError(f"{member.filename} is too large")
            splits = [(file[f"x_{split}"], file[f"y_{split}"]) for split in ("train", "test")]
        return [
            batch
            for n, (images, labels) in zip((5, 1), splits, strict=True)
            for batch in _to_batches(images, labels, n)
        ]
    except ImportError as error:
        raise DataError(f"{path}: needs NumPy. Run `make install`.") from error
    except Exception as error:  # a damaged file can raise almost any error
        raise DataError(
            f"{path}: not a readable .npz file of CIFAR-10's images ({error}). Write it with "
            "numpy.savez and the arrays x_train, y_train, x_test and y_test, as Keras returns them."
        ) from error


def _to_batches(images: "np.ndarray", labels: "np.ndarray", n: int) -> Iterator[Batch]:
    """Yield arrays as `n` batches. Raises ValueError if an array has another shape or type."""
    size = n * BATCH_SIZE
    if images.shape != (size, 32, 32, 3) or images.dtype != "uint8":
        expected = f"uint8 {(size, 32, 32, 3)}"
        raise ValueError(f"images are {images.dtype} {images.shape}, not {expected}")
    if labels.shape not in ((size,), (size, 1)) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype} {labels.shape}, not whole numbers {(size, 1)}")
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError("labels are not from 0 to 9")
    pixels, flat = images.transpose(0, 3, 1, 2), labels.reshape(-1).astype("uint8")
    for start in range(0, size, BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        yield Batch(pixels[part].tobytes(), flat[part].tobytes())


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


def read_batch(file: IO[bytes], name: str) -> Batch:
    """Return the 10000 images and labels of a batch file; `name` names it in error messages.

    Raises DataError if its content is invalid.
    """

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
    if data.shape != (BATCH_SIZE, IMAGE_SIZE):
        raise invalid(f"its data has shape {data.shape}, not ({BATCH_SIZE}, {IMAGE_SIZE})")
    if len(data.content) != BATCH_SIZE * IMAGE_SIZE:
        raise invalid(f"its data has {len(data.content)} bytes, not {BATCH_SIZE * IMAGE_SIZE}")
    if not isinstance(labels, list) or len(labels) != BATCH_SIZE:
        raise invalid(f"it does not have {BATCH_SIZE} labels")
    if not all(isinstance(label, int) and 0 <= label <= 9 for label in labels):
        raise invalid("its labels are not whole numbers from 0 to 9")
    return Batch(data.content, bytes(labels))
