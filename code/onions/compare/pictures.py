"""Compare two pictures of a figure as a reader sees them.

The store may be untrusted: its pictures can be broken or huge, or refer to other files.
"""

import base64
import io
import re
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from xml.etree import ElementTree

from PIL import Image
from pixelmatch.contrib.PIL import pixelmatch

# Between runs from different seeds (63 pairs), up to 8 % of a plot's pixels differ. If bars replace
# curves, a third differ. A changed legend differs in only 0.1 %, less than a moved curve, so words
# are compared separately.
MOST_DIFFERING = 0.1
MOST_PIXELS = 2_000_000  # comparing them takes half a minute
SECONDS = 20  # limit for drawing an SVG

# resvg aborts its process if a picture needs too much memory, so it runs in a separate process.
RASTERISE = """\
import resource, resvg_py, sys
if sys.platform == "linux":  # macOS has no such limit
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
svg = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(resvg_py.svg_to_bytes(svg_string=svg, dpi=96))
"""
INLINE = ("#", "data:image/png;", "data:image/jpeg;")
# Tick labels and other numbers, which differ between runs of the same plot.
NUMBER = re.compile(r"\\mathdefault|[\d.,]+(e[+−-]?\d+)?|[%×+−$^{}-]")


class PictureError(Exception):
    """A picture can't be compared; the message says why."""


@dataclass(frozen=True)
class Picture:
    """An image on a white background, and the words in it, which are unknown (empty) for a PNG."""

    image: Image.Image
    words: list[str]

    @property
    def url(self) -> str:
        """The image as a ``data:`` URL."""
        return data_url(self.image)


def read_picture(mime_type: str, data: str) -> Picture:
    """Return the picture in an SVG or a Base64 PNG. Raises PictureError if it can't be compared."""
    if mime_type == "image/svg+xml":
        words = _checked_words(data)  # rejects unsafe files before drawing
        return Picture(_image(_rasterise(data)), words)
    try:
        return Picture(_image(base64.b64decode(data)), [])
    except ValueError as error:
        raise PictureError("its PNG is not valid Base64") from error


def compare_pixels(before: Picture, after: Picture) -> tuple[float, Image.Image | None]:
    """Return the share of pixels that differ, from 0 to 1, and an image that marks them.

    For pictures of different sizes, the share is 1 and the image is None.
    """
    size = before.image.size
    if size != after.image.size:
        return 1.0, None
    difference = Image.new("RGBA", size)
    count = pixelmatch(before.image, after.image, difference)
    return count / (size[0] * size[1]), difference


def describe_changes(before: Picture, after: Picture) -> tuple[str, Image.Image | None]:
    """Return a description of how two pictures differ, and an image that marks the pixels.

    The description is empty if the difference does not matter; otherwise it may quote untrusted
    words. The image is None if the sizes differ.
    """
    share, difference = compare_pixels(before, after)
    removed, added = _extra_words(before, after), _extra_words(after, before)
    changes = [f"words {removed or 'none'} → {added or 'none'}"] if removed or added else []
    if before.image.size != after.image.size:
        sizes = " → ".join(f"{p.image.width} × {p.image.height}" for p in (before, after))
        changes.append(f"size {sizes} pixels")
    elif share > MOST_DIFFERING:
        changes.append(f"{share:.0%} of the pixels differ")
    return "; ".join(changes), difference


def data_url(image: Image.Image) -> str:
    """Return an image as a ``data:`` URL."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _extra_words(picture: Picture, reference: Picture) -> str:
    """Return the words of a picture that `reference` lacks."""
    words = (Counter(picture.words) - Counter(reference.words)).elements()
    return ", ".join(f"“{word}”" for word in words)


def _image(png: bytes) -> Image.Image:
    """Return a PNG on a white background. Raises PictureError if it is broken or too large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow raises only for the very largest
            with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
                width, height = image.size  # from the header, before decoding
                if width * height > MOST_PIXELS:
                    raise PictureError(f"it has {width:,} × {height:,} pixels")
                colours = image.convert("RGBA")
    except PictureError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError("it has far too many pixels") from error
    except Exception as error:  # Pillow raises many types for broken files
        raise PictureError("its PNG is broken") from error
    background = Image.new("RGBA", colours.size, "white")
    background.alpha_composite(colours)
    return background


def _checked_words(svg: str) -> list[str]:
    """Return the words in an SVG. Raises PictureError if it is broken or refers to other files.

    Matplotlib draws text as curves and puts the words in comments.
    """
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314, expat opens no files and limits entities
    except (ElementTree.ParseError, ValueError) as error:  # not XML, or not encodable text
        raise PictureError("its SVG is broken") from error
    texts = re.findall("<!--(.*?)-->", svg, re.S)
    for element in root.iter():
        if element.tag.endswith("}text"):
            texts.append(" ".join(element.itertext()))
        for name, value in element.items():
            if name.rpartition("}")[2] == "href" and not value.strip().startswith(INLINE):
                raise PictureError("its SVG refers to another file or URL")
    words = (" ".join(NUMBER.sub(" ", text).split()) for text in texts)
    return [word for word in words if word]


def _rasterise(svg: str) -> bytes:
    try:
        return subprocess.run(
            [sys.executable, "-c", RASTERISE],
            input=svg.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
        ).stdout
    except subprocess.SubprocessError as error:
        raise PictureError("its SVG can't be drawn, or takes too much memory or time") from error
