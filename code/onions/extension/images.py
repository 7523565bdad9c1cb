"""Pictures of pixels as lossless WebP: the same pixels as in PNG, and a third of the bytes less.

And all pictures with their size, so that the text below does not move when one arrives.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

from onions.extension.offline import is_offline


class Lighter(SphinxTransform):
    """Put a WebP in the place of every PNG that a run drew.

    A reader loads it sooner; the store and the notebooks keep the PNG, which every program opens.
    """

    default_priority = 400  # before Sphinx notes which images a page has

    def apply(self, **_: Any) -> None:
        """Convert the pictures of a page."""
        if is_offline(self.app):
            return  # a book to take along stays with what every reading device knows
        for node in self.document.findall(nodes.image):
            png = Path(self.env.relfn2path(node["uri"], self.env.docname)[1])
            if png.suffix == ".png" and OUTPUT_FOLDER in png.parts:
                webp = png.with_suffix(".webp")  # its name is a hash of what is in it
                if not webp.exists():
                    with Image.open(png) as image:
                        image.save(webp, lossless=True, method=6)
                node["uri"] = str(Path(node["uri"]).with_suffix(".webp"))


def setup(app: Sphinx) -> None:
    """Register the transform, and how a picture is written."""
    app.add_transform(Lighter)
    app.add_node(nodes.image, override=True, html=(_with_size, HTML5Translator.depart_image))


def size(picture: Path) -> tuple[int, int]:
    """Return the width and height of a picture in CSS pixels.

    Raises ValueError for an SVG that says neither its size nor its viewBox, and OSError for a file
    that is no picture.
    """
    if picture.suffix != ".svg":
        with Image.open(picture) as image:
            return image.size
    with picture.open("rb") as file:
        _, root = next(ElementTree.iterparse(file, ["start"]))  # noqa: S314, a file of ours
    given = (_pixels(root.get("width")), _pixels(root.get("height")))
    box = [float(number) for number in root.get("viewBox", "").replace(",", " ").split()][2:]
    width, height = given if all(given) else box or (0, 0)
    if not (width and height):
        raise ValueError(f"{picture}: an SVG needs a width and a height, or a viewBox")
    return round(width), round(height)


def _pixels(length: str | None) -> float:
    """Return a length of an SVG's root in CSS pixels; 0 for none and for a part of the page."""
    found = re.fullmatch(r"([\d.]+)(px|pt|)", length or "")
    return float(found[1]) * (4 / 3 if found[2] == "pt" else 1) if found else 0


def _with_size(translator: Any, node: nodes.image) -> None:
    picture = Path(translator.builder.srcdir, node["uri"])  # which writing turns into an address
    HTML5Translator.visit_image(translator, node)
    if picture.is_file() and not is_offline(translator.builder.app):  # there nothing arrives late
        width, height = size(picture)
        # Attributes, which give the shape; a size in `style` would win over the page's own rules.
        tag = f'<img width="{width}" height="{height}" '
        translator.body[-1] = translator.body[-1].replace("<img ", tag, 1)
