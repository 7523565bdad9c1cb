"""What the tests share: small projects, the whole book in the smoke profile, a browser."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import find
from onions.fingerprint import Build, fingerprint
from onions.pages import Page, Project
from onions.store import Store
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]

Run = Callable[..., subprocess.CompletedProcess[str]]


def run_onions(
    project: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line on a project, with the stand-in unless told otherwise."""
    return subprocess.run(
        [sys.executable, "-m", "onions.cli", "--project", str(project), *arguments],
        env={**os.environ, "ONIONS_DATA": "sketches", **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


def copy_project(target: Path) -> Path:
    """Copy what a build reads, and nothing that it made."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "book", target / "book")
    for name in ("_config.yml", "_toc.yml", "requirements.lock"):
        shutil.copy(ROOT / name, target / name)
    return target


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """Make a project of the given pages, by name; the first is the root."""

    def make(**pages: str) -> Path:
        first, *others = pages
        toc = f"format: jb-book\nroot: {first}\n"
        if others:
            toc += "chapters:\n" + "".join(f"  - file: {name}\n" for name in others)
        (tmp_path / "_toc.yml").write_text(toc)
        shutil.copy(ROOT / "_config.yml", tmp_path)
        shutil.copy(ROOT / "requirements.lock", tmp_path)
        (tmp_path / "book").mkdir(exist_ok=True)
        shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
        for name, text in pages.items():
            (tmp_path / "book" / f"{name}.md").write_text(text)
        return tmp_path

    return make


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The whole book, executed in the smoke profile with the stand-in, and rendered."""
    root = copy_project(tmp_path_factory.mktemp("book"))
    for command in (["execute", "--profile", "smoke"], ["render"]):
        done = run_onions(root, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    return Project(root)


@pytest.fixture(scope="session")
def entries(book: Project) -> dict[str, tuple[Page, object]]:
    """Every page that runs, with its executed notebook."""
    build, store = Build.read(book), Store(book.build / "store")
    return {
        page.name: (page, store.read(fingerprint(page, book, build)))
        for page in book.pages()
        if page.cells
    }


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser; its absence is a failure."""
    path = find()
    assert path, "no Chromium: run `make browser`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
