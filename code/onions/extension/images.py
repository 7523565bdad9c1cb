"""Pictures of pixels as lossless WebP: the same pixels as in PNG, and a third of the bytes less."""

from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

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
    """Register the transform."""
    app.add_transform(Lighter)
