"""Packed images: files from which a reader's browser loads the images of a training.

They are lossless. Those of CIFAR-10 have half the size of their pixels, those of the stand-in a
little less than its pixels. Browsers decompress gzip without a library. Before that, red and blue
become differences from green, and each value its difference from a prediction by its neighbours
(Weinberger, Seroussi and Sapiro, The LOCO-I Lossless Image Compression Algorithm, 2000).
"""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onions.base.files import write_atomic
from onions.images.sources import Source, load_images, resolve_source
from onions.kernel import CACHE

if TYPE_CHECKING:
    import numpy as np

FOLDER = "ONIONS_FILES"  # the environment variable with the folder of the store
IMAGES = 500  # in a file
# The slices of the data, as on the pages: 0 for the training split or 1 for the test split, the
# first image, and the last + 1.
SETS = {"train": (0, 0, 5000), "validation": (0, 5000, 10_000), "test": (1, 0, 1000)}
GZIP = 31  # zlib's window bits for gzip's format


def pack_images(*, photographs: bool) -> dict[str, Any]:
    """Write the images that readers can train with to files of the store; return values to export.

    These are `sets`, a list of files for each set, and `drawings`, whether they are of the
    stand-in: its drawings replace the photographs of CIFAR-10 unless you publish these, with
    `photographs`. CIFAR-10 has no licence; its site asks to cite a report
    (https://www.cs.toronto.edu/~kriz/cifar.html). A file's name has a hash of its content, so a
    file that exists is kept. Outside a build, nothing is written. Raises DataError if images can't
    be read, and OSError if a file can't be written.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return {"sets": {}, "drawings": True}
    source = Source(**json.loads(os.environ["ONIONS_SOURCE"]))
    drawings = source.name == "sketches" or not photographs
    splits: Any
    if drawings:
        from onions.images import sketches  # an import statement, so the page depends on it

        source = resolve_source("sketches")
        splits = sketches.load_data(CACHE / source.identity[:16])
    else:
        splits = load_images(source)
    sets = {}
    for name, (split, first, last) in SETS.items():
        images, labels = splits[split]
        sets[name] = [
            _write(
                Path(folder),
                f"images-{name}-{start - first:04d}",
                images[start : start + IMAGES],
                labels[start : start + IMAGES],
            )
            for start in range(first, last, IMAGES)
        ]
    return {"sets": sets, "drawings": drawings}


def _write(folder: Path, name: str, images: "np.ndarray", labels: "np.ndarray") -> dict[str, Any]:
    content = pack(images, labels)
    path = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.bin"
    if not path.exists():
        write_atomic(path, content)
    return {"file": path.name, "count": len(labels), "bytes": len(content)}


def pack(images: "np.ndarray", labels: "np.ndarray") -> bytes:
    """Return a file's content: labels, then images, for uint8 arrays (n, 32, 32, 3) and (n, 1).

    `explorers/images.js` unpacks it.
    """
    import numpy as np  # imported here, so a page that loads no images loads no NumPy

    planes = np.asarray(images).transpose(0, 3, 1, 2).astype("int16")
    planes[:, [0, 2]] = (planes[:, [0, 2]] - planes[:, 1:2] + 128) % 256
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 0), (1, 0)))
    left, above, corner = padded[..., 1:, :-1], padded[..., :-1, 1:], padded[..., :-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    inside = np.where(corner <= low, high, left + above - corner)
    predictions = np.where(corner >= high, low, inside)
    content = (
        np.asarray(labels, "uint8").tobytes() + (planes - predictions).astype("uint8").tobytes()
    )
    packer = zlib.compressobj(9, zlib.DEFLATED, GZIP, 9, zlib.Z_RLE)
    return packer.compress(content) + packer.flush()
