"""Test projects: small ones, and copies of the whole book."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

from bs4 import BeautifulSoup
from filelock import FileLock
from onions.book.project import Project
from onions.cli import main

ROOT = Path(__file__).parents[2]
# The book's repository, in the environment variables of GitHub's runners.
GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "Founders/onions"}

INHERITED = {
    name: os.environ[name] for name in os.environ if not name.startswith(("PYTEST_", "ONIONS_"))
}
Small = Callable[..., Path]  # the fixture `small`


def run_onions(
    project: Path | None, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `onions` in this process, which is faster than a new one.

    With None, `onions` looks for the project. Use sketches unless `environment` sets ONIONS_DATA.
    Tests of signals and of processes call `onions_command` instead.
    """
    output, errors = StringIO(), StringIO()
    with (
        mock.patch.dict(os.environ, variables(**environment), clear=True),
        mock.patch("signal.signal"),  # the handlers stay pytest's …
        mock.patch("gc.freeze"),  # … and so does the collection of garbage
        mock.patch("gc.set_threshold"),
        redirect_stdout(output),
        redirect_stderr(errors),
        warnings.catch_warnings(action="default"),
    ):
        for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)  # as on the command line
        options = ["--project", str(project)] if project else []
        status = main([*options, *arguments])
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())


def variables(**environment: str) -> dict[str, str]:
    """Return the environment variables of a build with sketches, changed by `environment`.

    Left out are those of pytest, which differ between tests, and those that TensorFlow sets once it
    is imported: a changed variable makes each site be rendered again.
    """
    return {**INHERITED, "ONIONS_DATA": "sketches", **GITHUB, **environment}


def onions_command(project: Path, *arguments: str) -> list[str]:
    """Return the command that runs `onions` in a process of its own."""
    return [sys.executable, "-m", "onions.cli", "--project", str(project), *arguments]


@contextmanager
def make_once(folder: Path) -> Iterator[bool]:
    """Yield whether the block has to make `folder`; other workers wait until it is made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f"{folder.name}.made")
    with FileLock(f"{made}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a worker that failed has left
        yield not made.exists()
        made.touch()


def copy_project(target: Path) -> Path:
    """Copy the files that a build of the book reads; return the copy's folder."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "book", target / "book")
    for name in ("_config.yml", "_toc.yml", "requirements.lock"):
        shutil.copy(ROOT / name, target / name)
    return target


def address(book: Project, name: str) -> str:
    """Return the file URL of a page of the rendered site."""
    return (book.build / "html" / f"{name}.html").as_uri()


def read_html(book: Project, name: str) -> str:
    return (book.build / "html" / f"{name}.html").read_text("utf-8")


def read_page(book: Project, name: str) -> BeautifulSoup:
    """Return a page of the rendered site, to select elements from."""
    return BeautifulSoup(read_html(book, name), "html.parser")


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def small_project(root: Path, **pages: str) -> Path:
    """Make a project in `root` from the texts of pages, by name; return `root`.

    The first page is the root of the table of contents.
    """
    root.mkdir(exist_ok=True)
    first, *others = pages
    toc = f"format: jb-book\nroot: {first}\n"
    if others:
        toc += "chapters:\n" + "".join(f"  - file: {name}\n" for name in others)
    (root / "_toc.yml").write_text(toc)
    shutil.copy(ROOT / "_config.yml", root)
    shutil.copy(ROOT / "requirements.lock", root)
    (root / "book" / "_static").mkdir(parents=True, exist_ok=True)
    for name in ("references.bib", "_static/onion.svg"):
        shutil.copy(ROOT / "book" / name, root / "book" / name)
    for name, text in pages.items():
        page = root / "book" / f"{name}.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)
    return root
