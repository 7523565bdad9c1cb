"""Stock Jupyter Book's site of our pages: its own theme, its own configuration, nothing run again.

The pages keep their text, code, outputs, figures, captions and exercises. What only this project's
extension knows is left out, so stock's pages are a little lighter than ours for that. Builds the
site that lighthouse.py compares ours with, or one to look at:

    .venv/bin/python benchmarks/stock.py /tmp/stock
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import yaml
from measure import run
from nbformat import NotebookNode
from onions.fingerprint import Build, fingerprint
from onions.pages import Page, Project
from onions.store import Store

ROOT = Path(__file__).parents[1]
CONFIG = {
    "title": "Networks are like onions",
    "author": "the authors of Networks are like onions",
    "only_build_toc_files": True,
    "execute": {"execute_notebooks": "off"},
    "parse": {"myst_enable_extensions": ["colon_fence", "deflist", "dollarmath"]},
    "bibtex_bibfiles": ["references.bib"],
    "sphinx": {"extra_extensions": ["sphinx_exercise"]},
}
OURS = (
    *("all-exercises", "all-quizzes", "claims", "cost", "course-time", "data-used"),
    *("depends-on", "explorer", "instructor", "instructor-notes", "is-my-result-normal"),
    *("key-points", "measures", "models", "quiz", "reference-curves", "run-figure"),
    *("runs", "schedule", "versions"),
)
DIRECTIVE = re.compile(rf"^(`{{3,}}|:{{3,}})\{{(?:{'|'.join(OURS)})\}}.*?^\1\s*$", re.M | re.S)
ROLE = re.compile(r"\{held\}`[^`]*`")


def main() -> None:
    """Build the site in a folder and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    print(build(parser.parse_args().folder))


def build(folder: Path) -> Path:
    """Build the site in a folder and return where its pages are.

    Raises FileExistsError, and SystemExit where a page was not executed as it stands.
    """
    book, project = folder / "book", Project(ROOT)
    (book / "_static").mkdir(parents=True)
    built, store = Build.read(project), Store(project.store)
    for page in project.pages():
        entry = store.read(fingerprint(page, project, built)) if page.cells else None
        if page.cells and entry is None:
            raise SystemExit(f"{page.path}: its code is not executed yet; run `onions execute`.")
        _write(page, entry, book / page.name)
    shutil.copy(project.book / "references.bib", book)
    for picture in (project.book / "_static").glob("*.svg"):
        shutil.copy(picture, book / "_static")
    (folder / "_config.yml").write_text(yaml.safe_dump(CONFIG))
    settings = ["--config", str(folder / "_config.yml"), "--toc", str(ROOT / "_toc.yml")]
    jupyter_book = str(Path(sys.executable).with_name("jupyter-book"))
    command = [jupyter_book, "build", str(book), *settings, "--path-output", str(folder), "-q"]
    run(command, {**os.environ})
    return folder / "_build" / "html"


def _write(page: Page, entry: NotebookNode | None, path: Path) -> None:
    """Write a page as stock reads it: a notebook with the run's outputs, or Markdown."""
    path.parent.mkdir(exist_ok=True)
    if entry is None:
        path.with_suffix(".md").write_text(plain(page.text))
        return
    executed = iter(entry.cells)
    for cell in page.notebook.cells:
        if cell.cell_type == "code":
            done = next(executed)
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
        else:
            cell.source = plain(cell.source)
    page.notebook.metadata["language_info"] = {"name": "python"}  # for the colours of the code
    nbformat.write(page.notebook, path.with_suffix(".ipynb"))


def plain(text: str) -> str:
    """Return a text without our directives, and with a phrase for what only our role knows."""
    return ROLE.sub("in 9 of 10 runs", DIRECTIVE.sub("", text))


if __name__ == "__main__":
    main()
