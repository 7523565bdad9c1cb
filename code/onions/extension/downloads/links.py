"""Links below a page's title: open it in Colab, or download a notebook or a script."""

import ast
from html import escape
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from onions.base.imports import distributions, imported_names
from onions.book.prose import BUILD_ONLY
from onions.extension.base.builder import connect_site
from onions.extension.base.session import session
from onions.extension.downloads.files import FOLDER, SOLUTIONS, Part, write_downloads
from onions.extension.downloads.markdown import markdown_parts, page_url
from onions.extension.reading.reader import rendered_notebook
from onions.store.lockfile import locked_versions

GITHUB, COLAB = "https://github.com/", "https://colab.research.google.com/github/"
# The link text and description of each file.
FILES = {
    f"{FOLDER}/{{}}.ipynb": ("Notebook to work in", "exercises to do, no outputs"),
    f"{SOLUTIONS}/{{}}.ipynb": ("Notebook with solutions", "and the outputs of this run"),
    f"{FOLDER}/{{}}.py": ("Python script", "with solutions; its cells run in an editor"),
}


def setup(app: Sphinx) -> None:
    """Write a page's files whenever the page is written, and link to them."""
    connect_site(app, "html-page-context", _add_downloads)


def _add_downloads(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if doctree is None:  # a page without a source file, such as the search
        return
    page = session().project.page(pagename)
    if all(BUILD_ONLY in cell.tags for cell in page.cells):  # no code that a reader could run
        for path in FILES:  # written before an edit removed the code
            Path(app.outdir, path.format(pagename)).unlink(missing_ok=True)
        return
    cells = rendered_notebook(page).cells
    parts = list(markdown_parts(app, pagename, doctree, cells))
    head = _head(app, pagename, page.title)
    write_downloads(pagename, head, parts, _versions(parts), Path(app.outdir))
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{_links(app, pagename)}", 1)


def _versions(parts: list[Part]) -> dict[str, str]:
    """Return the pinned version of each package that the code needs; "" if it is not pinned."""
    project, build = session().project, session().build
    needed = distributions(
        imported_names(ast.parse(part.code.source) for part in parts if part.code)
    )
    versions = locked_versions(project.lock, build.python)
    return {name: versions.get(name, "") for name in needed}


def _head(app: Sphinx, pagename: str, title: str) -> str:
    book, url = app.config.project, page_url(app, pagename)
    source = f"[{book}]({url})" if url else book
    return (
        f"# {title}\n\nA page of *{source}* (text: CC BY 4.0, code: MIT). The numbers in the text "
        "are those of the run on the page; yours may differ a little."
    )


def _links(app: Sphinx, pagename: str) -> str:
    """Return the links as HTML, with Colab only if the book's repository is on GitHub."""
    root = "../" * pagename.count("/")
    items = "".join(
        f'<li><a href="{root}{path.format(pagename)}" download>{name}</a>: {content}</li>'
        for path, (name, content) in FILES.items()
    )
    colab, repository = "", app.config.onions_repository
    if repository.startswith(GITHUB):
        folder = f"{repository.removeprefix(GITHUB)}/blob/{app.config.onions_notebooks}"
        colab = f'<a href="{COLAB}{escape(folder)}/{pagename}.ipynb">Open in Colab</a>\n'
    return (
        f'<div class="run-it">\n{colab}<details class="downloads"><summary>Download</summary>\n'
        f"<ul>{items}</ul></details>\n</div>"
    )
