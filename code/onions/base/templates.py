"""The Jinja environment of all our templates that Sphinx does not render."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path) -> Environment:
    """Return an environment for the templates in `folder`: it escapes values in HTML only.

    An undefined name in a template is an error.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=lambda name: str(name).endswith(".html"),  # noqa: S701, others are not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_template(folder: Path, template: str, **values: Any) -> str:
    """Return a template in `folder`, rendered with `values`."""
    return environment(folder).get_template(template).render(**values)
