"""Images on the site: PNG becomes lossless WebP, which is a third smaller.

Every image gets its width and height, so the text below it does not move when it loads.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

from onions.base.hashes import hash_file
from onions.extension.base.builder import connect_site

LOGGER = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Convert the site's images to WebP, and write them with their sizes.

    The EPUB keeps PNG, which every e-reader supports, and needs no sizes.
    """
    # Before Sphinx collects the images of the page.
    connect_site(app, "doctree-read", _convert_to_webp, priority=400)
    connect_site(app, "builder-inited", _write_sizes)
    app.connect("build-finished", _delete_old_images)


def _convert_to_webp(app: Sphinx, doctree: nodes.document) -> None:
    """Replace every PNG that a run drew with a WebP.

    The store and the notebooks keep the PNG, which every program can open.
    """
    for node in doctree.findall(nodes.image):
        png = Path(app.env.relfn2path(node["uri"], app.env.docname)[1])
        if png.suffix == ".png" and OUTPUT_FOLDER in png.parts:
            webp = png.with_suffix(".webp")  # the name is a hash of the content
            if not webp.exists():
                with Image.open(png) as image:
                    image.save(webp, lossless=True, method=6)
            node["uri"] = str(Path(node["uri"]).with_suffix(".webp"))


def _write_sizes(app: Sphinx) -> None:
    visitors = (_with_size, HTML5Translator.depart_image)
    app.add_node(nodes.image, override=True, html=visitors)


def _delete_old_images(app: Sphinx, error: Exception | None) -> None:
    """Delete images of earlier runs, which Sphinx would keep."""
    if error:
        return
    used = {name for _, name in app.env.images.values()}
    for path in Path(app.outdir, "_images").glob("*"):
        if path.name not in used:
            path.unlink()


def image_size(path: Path) -> tuple[int, int]:
    """Return the width and height of an image in CSS pixels.

    Raises ValueError for an SVG with neither a size nor a viewBox, ParseError for an SVG whose XML
    is damaged, and OSError for any other file that is not an image.
    """
    if path.suffix.lower() != ".svg":
        with Image.open(path) as image:
            return image.size
    with path.open("rb") as file:
        _, root = next(ElementTree.iterparse(file, ["start"]))  # noqa: S314, a trusted file
    size = (_pixels(root.get("width")), _pixels(root.get("height")))
    view_box = [float(number) for number in root.get("viewBox", "").replace(",", " ").split()][2:]
    width, height = size if all(size) else view_box or (0, 0)
    if not (width and height):
        raise ValueError("the SVG has no size. Add a width and a height, or a viewBox.")
    return round(width), round(height)


def _pixels(length: str | None) -> float:
    """Return an SVG length in CSS pixels; 0 if missing or in a unit other than px and pt."""
    match = re.fullmatch(r"([\d.]+)(px|pt|)", length or "")
    return float(match[1]) * (4 / 3 if match[2] == "pt" else 1) if match else 0


def _with_size(translator: Any, node: nodes.image) -> None:
    picture = Path(translator.builder.srcdir, node["uri"])  # visit_image replaces it with a URL
    HTML5Translator.visit_image(translator, node)
    if picture.is_file():
        try:
            width, height = image_size(picture)
        except (OSError, ValueError, ElementTree.ParseError) as error:
            LOGGER.warning("%s: not a valid picture (%s)", picture, error, location=node)
            return
        # As attributes, they only reserve space; a size in `style` would override the style sheet.
        html = translator.body[-1].replace("<img ", f'<img width="{width}" height="{height}" ', 1)
        if OUTPUT_FOLDER not in picture.parts:  # those have a hash of their content as name
            version = f'?v={hash_file(picture)[:8]}"'  # makes browsers load a changed picture
            html = re.sub(r'(?<=src=")([^"]*)"', rf"\1{version}", html, count=1)
        translator.body[-1] = html
