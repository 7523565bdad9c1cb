"""Fixtures: small projects, the whole book, a browser. Markers, and what a failed test prints."""

import gc
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from onions.book.project import Project
from onions.site.browser import launch_chromium
from onions.site.serve import BASE_PATH, serve_folder
from playwright import sync_api
from support.explorers import EXPLORERS, RunScript
from support.pages import Entries, entry
from support.projects import copy_project, make_once, run_onions, small_project

# Playwright waits 5 seconds, which a machine under load may need. No test asserts times.
sync_api.expect.set_options(timeout=120_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--built", type=Path, help="a project with a site, for -m site")
    parser.addoption("--executed", type=Path, help="a project executed in full with sketches")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that open a browser, and the quick ones."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "chromium" in fixtures:
            item.add_marker("browser")
        if "book" in fixtures:
            item.add_marker("kernel")
        if not any(map(item.get_closest_marker, ("browser", "kernel", "slow"))):
            item.add_marker("quick")


def pytest_collection_finish() -> None:
    """Exempt what is imported from garbage collection, and from the searches of an extension.

    sphinx_external_toc looks at all tracked objects each time that a test renders.
    """
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Say how to repeat a test that failed."""
    report = yield
    if report.failed:
        command = f".venv/bin/python -m pytest '{item.nodeid}'"
        report.sections.append(("Repeat this test alone", command))
    return report


@pytest.fixture(autouse=True)
def no_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no quick test start a kernel."""
    if request.node.get_closest_marker("quick"):
        refuse = mock.Mock(side_effect=AssertionError("mark this test with pytest.mark.kernel"))
        monkeypatch.setattr("onions.run.cells._kernel_manager", refuse)


@pytest.fixture
def project_folder(tmp_path: Path) -> Path:
    """The folder of the small project; links must quote its name."""
    return tmp_path / "a bök #1 100%"


@pytest.fixture
def small(project_folder: Path) -> Callable[..., Path]:
    """A function that makes a small project in `project_folder`."""
    return partial(small_project, project_folder)


@pytest.fixture(scope="session")
def book(shared_folder: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """The whole book, executed with sketches and rendered once for all tests; no test edits it.

    It is executed in the smoke profile, unless `--executed` gives a project that has run in full.
    With `--built`, the given project is used as it is; tests marked `site` read only its site.
    """
    if built := request.config.getoption("--built"):
        yield Project(built.resolve())
        return
    root = shared_folder / "book"
    with make_once(root) as is_new:
        if is_new:
            copy_project(root)
            if executed := request.config.getoption("--executed"):
                shutil.copytree(Project(executed).store, root / "_build" / "store")
                commands = [["execute", "--check"], ["render"]]
            else:
                commands = [["execute", "--profile", "smoke"], ["render"]]
            for command in commands:
                done = run_onions(root, *command)
                assert done.returncode == 0, done.stdout + done.stderr
    project = Project(root)
    before = modification_times(project)
    yield project
    assert modification_times(project) == before, "a test edited the book that all tests share"


def modification_times(project: Project) -> dict[Path, float]:
    """Return when the files of a book's pages, store and site were modified."""
    folders = (project.book, project.store, project.build / "html")
    return {path: path.stat().st_mtime for folder in folders for path in folder.rglob("*")}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the workers of this run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


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
