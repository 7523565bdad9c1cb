"""The Jinja environment for all templates that Sphinx does not render."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path) -> Environment:
    """Return a Jinja environment for the templates in `folder`.

    It escapes values only in ``.html`` templates. An undefined name raises UndefinedError.
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
    """Render a template in `folder` with `values`, and return the text."""
    return environment(folder).get_template(template).render(**values)
