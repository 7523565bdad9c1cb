"""Two pictures of a figure, compared as a reader sees them.

Pictures come from entries of a store, so they may be anything: broken, huge, or pointing elsewhere.
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

# Up to 8 % of a plot's pixels differ when its networks were trained from another seed (63 pairs of
# runs), and a third where bars took the place of curves. A changed legend is 0.1 %, less than a
# curve that moves, which is why the words of a plot are compared by themselves.
MOST_DIFFERING = 0.1
MOST_PIXELS = 2_000_000  # comparing them takes half a minute
SECONDS = 20

# A process of its own, since resvg ends the one it is in where a picture needs too much memory.
RASTERISE = """\
import resource, resvg_py, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
svg = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(resvg_py.svg_to_bytes(svg_string=svg, dpi=96))
"""
INLINE = ("#", "data:image/png;", "data:image/jpeg;")
# Ticks and their like: what of a plot's words says nothing of what it shows.
NUMBER = re.compile(r"\\mathdefault|[\d.,]+(e[+−-]?\d+)?|[%×+−$^{}-]")


class PictureError(Exception):
    """A picture can't be compared; the message says why."""


@dataclass(frozen=True)
class Picture:
    """An image on white, and the words in it as far as they are known."""

    image: Image.Image
    words: list[str]

    @property
    def address(self) -> str:
        """The image as a ``data:`` address."""
        return address(self.image)


def read(mime_type: str, data: str) -> Picture:
    """Return a picture from an output's data, PNG in Base64 or SVG. Raises PictureError."""
    if mime_type == "image/svg+xml":
        words = _check(data)  # before anything draws it
        return Picture(_image(_rasterise(data)), words)
    try:
        return Picture(_image(base64.b64decode(data)), [])
    except ValueError as error:
        raise PictureError("its PNG is no Base64") from error


def compare(before: Picture, after: Picture) -> tuple[float, Image.Image | None]:
    """Return the share of pixels that differ, from 0 to 1, and a picture of where.

    Pictures of different sizes differ entirely, and there is no picture of that.
    """
    one, other = before.image, after.image
    if one.size != other.size:
        return 1.0, None
    difference = Image.new("RGBA", one.size)
    return pixelmatch(one, other, difference) / (one.width * one.height), difference


def changes(before: Picture, after: Picture) -> tuple[str, Image.Image | None]:
    """Say how two pictures of a figure differ, and show where; "" where it does not matter.

    The words are those of the pictures, so they may be anything.
    """
    share, difference = compare(before, after)
    gone, new = _missing(after, before), _missing(before, after)
    said = [f"words {gone or 'none'} → {new or 'none'}"] if gone or new else []
    if before.image.size != after.image.size:
        sizes = " → ".join(f"{p.image.width} × {p.image.height}" for p in (before, after))
        said.append(f"size {sizes} pixels")
    elif share > MOST_DIFFERING:
        said.append(f"{share:.0%} of the pixels differ")
    return "; ".join(said), difference


def address(image: Image.Image) -> str:
    """Return an image as a ``data:`` address."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _missing(one: Picture, other: Picture) -> str:
    """Return the words of the other picture that the one lacks, numbers left out."""
    words = (Counter(other.words) - Counter(one.words)).elements()
    return ", ".join(f"“{word}”" for word in words)


def _image(png: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow only warns of most huge pictures
            with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
                width, height = image.size  # from the header alone
                if width * height > MOST_PIXELS:
                    raise PictureError(f"it has {width:,} × {height:,} pixels")
                colours = image.convert("RGBA")
    except PictureError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError("it has far too many pixels") from error
    except Exception as error:  # Pillow raises many kinds on broken pictures
        raise PictureError("its PNG is broken") from error
    ground = Image.new("RGBA", colours.size, "white")
    ground.alpha_composite(colours)
    return ground


def _check(svg: str) -> list[str]:
    """Return the words in an SVG. Raises PictureError where it isn't whole, or needs other files.

    Matplotlib draws text as curves, and writes what they say into a comment.
    """
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314, it opens nothing, and expat bounds entities
    except (ElementTree.ParseError, ValueError) as error:  # no XML, or no text at all
        raise PictureError("its SVG is broken") from error
    found = re.findall("<!--(.*?)-->", svg, re.S)
    for element in root.iter():
        if element.tag.endswith("}text"):
            found.append(" ".join(element.itertext()))
        for name, value in element.items():
            if name.rpartition("}")[2] == "href" and not value.strip().startswith(INLINE):
                raise PictureError("its SVG refers to something outside of it")
    words = (" ".join(NUMBER.sub(" ", text).split()) for text in found)
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
