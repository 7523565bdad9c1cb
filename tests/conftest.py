"""Fixtures: small projects, the whole book in the smoke profile, a browser."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from onions.book.project import Project
from onions.cli import main
from onions.site.browser import launch_chromium
from onions.site.serve import BASE_PATH, serve_folder
from playwright import sync_api
from support.explorers import EXPLORERS, RunScript
from support.pages import Entries, entry
from support.projects import Run, copy_project, run_onions, small_project


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--built", type=Path, help="the folder of a built book, for -m site")


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a small project in `tmp_path`."""
    return partial(small_project, tmp_path)


@pytest.fixture
def onions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the command line in this process, which is faster than a new one."""
    monkeypatch.setattr("signal.signal", lambda number, handler: None)

    def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        status = main(["--project", str(root), *arguments])
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Project:
    """The whole book, executed in the smoke profile with the stand-in, and rendered.

    With `--built`, return the given book instead. Tests marked `site` read only a book's site.
    """
    if built := request.config.getoption("--built"):
        return Project(built.resolve())
    # Tests run in two workers. The first to take the lock executes the pages for both. Each worker
    # renders its own copy, since some tests edit it.
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
def entries(book: Project) -> Entries:
    """Every page that runs, with its executed notebook."""
    entries: Entries = {}
    for page in book.pages():
        if page.cells:
            notebook = entry(book.root, page.name)
            assert notebook is not None, page.name
            entries[page.name] = (page, notebook)
    return entries


@pytest.fixture(scope="session")
def site_url(book: Project) -> Iterator[str]:
    """The URL of the book's site on a server like GitHub Pages; it ends in a slash."""
    not_found = (book.build / "html" / "404.html").read_text("utf-8")
    # None if the site was built without an address.
    built_for = re.search('data-content_root="(/[^"]*)"', not_found)
    with serve_folder(book.build / "html", built_for[1] if built_for else BASE_PATH) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[sync_api.Browser]:
    """A real browser; if it is missing, tests fail."""
    with launch_chromium() as browser:
        yield browser


@pytest.fixture
def tab(chromium: sync_api.Browser) -> Iterator[sync_api.Page]:
    context = chromium.new_context(reduced_motion="reduce")  # no smooth scrolling
    yield context.new_page()
    context.close()


@pytest.fixture
def phone_tab(chromium: sync_api.Browser) -> Iterator[sync_api.Page]:
    """A tab as wide as a phone."""
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture
def scriptless_tab(chromium: sync_api.Browser) -> Iterator[sync_api.Page]:
    """A tab without JavaScript."""
    context = chromium.new_context(java_script_enabled=False, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def run_script(chromium: sync_api.Browser) -> Iterator[RunScript]:
    """A function that runs JavaScript on a page from the folder of the explorers' modules.

    `script` is an async function of `argument`; `import("./layers.js")` works in it.
    """
    context = chromium.new_context()
    tab = context.new_page()
    with serve_folder(EXPLORERS, "/") as url:
        tab.goto(url + "shared.js")  # imports need a page from the same server

        def run(script: str, argument: object = None) -> Any:
            return tab.evaluate(script, argument)

        yield run
    context.close()
