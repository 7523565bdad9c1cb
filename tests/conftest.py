"""What the tests share: small projects, the whole book in the smoke profile, a browser."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from onions.browser import chromium as start
from onions.cli import main
from onions.fingerprint import Build, fingerprint
from onions.pages import Page, Project
from onions.serve import UNDER, served
from onions.store import Store
from playwright.sync_api import Browser, Locator, Request, expect
from playwright.sync_api import Page as Tab

ROOT = Path(__file__).parents[1]
EXPLORERS = ROOT / "code" / "onions" / "extension" / "scripts" / "explorers"
# The repository that the book is built for, as GitHub's runners say it.
GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "Founders/onions"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--built", type=Path, help="the folder of a built book, for -m site")


Run = Callable[..., subprocess.CompletedProcess[str]]


def run_onions(
    project: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line on a project, with the stand-in unless told otherwise."""
    return subprocess.run(
        [sys.executable, "-m", "onions.cli", "--project", str(project), *arguments],
        env={**os.environ, "ONIONS_DATA": "sketches", **GITHUB, **environment},
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


def address(book: Project, name: str) -> str:
    """Return where a page of the site is, as a file."""
    return (book.build / "html" / f"{name}.html").as_uri()


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def small_project(root: Path, **pages: str) -> Path:
    """Make a project of the given pages, by name; the first is the root."""
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
        (root / "book" / f"{name}.md").write_text(text)
    return root


def note_failures(tab: Tab, said: list[str]) -> None:
    """Add to `said` every request of a tab that fails, but for what is cancelled when it leaves."""

    def note(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            said.append(f"{request.failure} {request.url}")

    tab.on("requestfailed", note)


def open_explorer(tab: Tab, online: str, name: str, where: str) -> Locator:
    """Go to the page `where`, and to its explorer, once that is ready."""
    tab.goto(f"{online}{where}.html")
    explorer = tab.locator(f"onion-{name}")
    explorer.scroll_into_view_if_needed()
    expect(explorer).to_have_class("explorer ready")
    return explorer


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """Make a small project in `tmp_path`."""
    return partial(small_project, tmp_path)


@pytest.fixture
def onions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, which takes no second to start."""
    monkeypatch.setattr("signal.signal", lambda number, handler: None)

    def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            status = main(["--project", str(root), *arguments])
        except SystemExit as stopped:  # wrong usage
            status = int(stopped.code or 0)
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Project:
    """The whole book, executed in the smoke profile with the stand-in, and rendered.

    With `--built`, the book that is there; tests marked `site` ask for no more than its site.
    """
    if built := request.config.getoption("--built"):
        return Project(built.resolve())
    # Two processes run the tests. The first to come here executes the pages; each renders its own
    # copy, since some tests edit it.
    root = copy_project(tmp_path_factory.mktemp("book"))
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / "executed.lock"):
        if not (shared / "store").exists():
            done = run_onions(root, "execute", "--profile", "smoke")
            assert done.returncode == 0, done.stdout + done.stderr
            shutil.copytree(root / "_build" / "store", shared / "store")
    shutil.copytree(shared / "store", root / "_build" / "store", dirs_exist_ok=True)
    done = run_onions(root, "render")
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
def online(book: Project) -> Iterator[str]:
    """Where a server like GitHub Pages has the book's site; it ends in a slash."""
    notfound = (book.build / "html" / "404.html").read_text("utf-8")
    built_for = re.search('data-content_root="(/[^"]*)"', notfound)  # none without an address
    with served(book.build / "html", built_for[1] if built_for else UNDER) as place:
        yield place


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser; its absence is a failure."""
    with start() as browser:
        yield browser


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Tab]:
    context = chromium.new_context(reduced_motion="reduce")  # no smooth scrolling
    yield context.new_page()
    context.close()


@pytest.fixture
def plain(chromium: Browser) -> Iterator[Tab]:
    """A tab without JavaScript."""
    context = chromium.new_context(java_script_enabled=False, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def module(chromium: Browser) -> Iterator[Callable[..., Any]]:
    """Run JavaScript beside the explorers' modules: `module(script, argument)`.

    The script is an async function of the argument; `import("./layers.js")` works in it.
    """
    context = chromium.new_context()
    tab = context.new_page()
    with served(EXPLORERS, "/") as place:
        tab.goto(place + "shared.js")  # any address of theirs, so that imports are allowed

        def run(script: str, argument: object = None) -> Any:
            return tab.evaluate(script, argument)

        yield run
    context.close()
