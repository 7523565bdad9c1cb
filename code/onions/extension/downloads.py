"""Below a page's title: open it in Colab, or take it along as a notebook or a script."""

import ast
from html import escape
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from onions.downloads import FOLDER, SOLUTIONS, Part, write_downloads
from onions.extension import offline, plain, reader
from onions.fingerprint import locked
from onions.imports import imports, packages
from onions.prose import BUILD_ONLY

GITHUB, COLAB = "https://github.com/", "https://colab.research.google.com/github/"
FILES = {
    f"{FOLDER}/{{}}.ipynb": ("Notebook to work in", "exercises to do, no outputs"),
    f"{SOLUTIONS}/{{}}.ipynb": ("Notebook with solutions", "and the outputs of this run"),
    f"{FOLDER}/{{}}.py": ("Python script", "with solutions; its cells run in an editor"),
}

BESIDES = {"keras-tuner": "tensorboard"}  # which it imports without asking pip for it


def setup(app: Sphinx) -> None:
    """Write a page's files whenever the page is written, and link to them."""
    app.connect("html-page-context", _add)


def _add(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if doctree is None or offline.is_offline(app):
        return  # the search; an EPUB
    page = reader.site().project.page(pagename)
    if all(BUILD_ONLY in cell.tags for cell in page.cells):  # nothing that a reader could run
        for path in FILES:  # what there was before an edit took the code away
            Path(app.outdir, path.format(pagename)).unlink(missing_ok=True)
        return
    cells = reader.notebook(page).cells
    parts = list(plain.parts(app, pagename, doctree, cells))
    head = _head(app, pagename, page.title)
    write_downloads(pagename, head, parts, _versions(parts), Path(app.outdir))
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{_row(app, pagename)}", 1)


def _versions(parts: list[Part]) -> dict[str, str]:
    """Return the packages that the code needs, with the versions that it ran with."""
    project, build = reader.site().project, reader.site().build
    needed = packages(imports(ast.parse(part.code.source) for part in parts if part.code))
    needed |= {build.backend} if "keras" in needed else set()
    needed |= {other for name, other in BESIDES.items() if name in needed}
    known = build.unlocked or locked(project, build.python)
    return {name: known.get(name, "") for name in needed}


def _head(app: Sphinx, pagename: str, title: str) -> str:
    book, place = app.config.project, plain.address(app, pagename)
    source = f"[{book}]({place})" if place else book
    return (
        f"# {title}\n\nA page of *{source}* (text: CC BY 4.0, code: MIT). The numbers in the text "
        "are those of the run on the page; yours may differ a little."
    )


def _row(app: Sphinx, pagename: str) -> str:
    """Return the links as HTML; that to Colab where the book's repository is on GitHub."""
    up = "../" * pagename.count("/")
    items = "".join(
        f'<li><a href="{up}{path.format(pagename)}" download>{name}</a>: {what}</li>'
        for path, (name, what) in FILES.items()
    )
    colab, repository = "", app.config.onions_repository
    if repository.startswith(GITHUB):
        place = f"{repository.removeprefix(GITHUB)}/blob/{app.config.onions_notebooks}"
        colab = f'<a href="{COLAB}{escape(place)}/{pagename}.ipynb">Open in Colab</a>\n'
    return (
        f'<div class="run-it">\n{colab}<details class="downloads"><summary>Download</summary>\n'
        f"<ul>{items}</ul></details>\n</div>"
    )
