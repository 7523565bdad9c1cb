"""Runs of small pages in this process, for tests that are not about kernels."""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest import mock

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat import NotebookNode
from nbformat.v4 import new_output
from onions import claims, kernel
from onions.book.page import Page
from onions.book.project import Project
from onions.store.entries import Store
from traitlets.config import Config

from support.projects import run_onions


def store_runs(
    root: Path, *arguments: str, command: str = "execute"
) -> subprocess.CompletedProcess[str]:
    """Do what `onions execute` does, but run the cells in this process, which takes milliseconds.

    The cells may print, draw, display, measure, claim and export.
    """
    with (
        mock.patch("onions.run.pages.run_cells", run_cells),
        mock.patch("onions.run.pages.run_parallel", run_in_turn),  # `run_cells` captures sys.stdout
    ):
        done = run_onions(root, command, *arguments, MPLBACKEND="agg")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def change_run(store: Store, fingerprint: str, change: Callable[[NotebookNode], object]) -> None:
    """Write an entry again after `change` has edited its outputs or its facts."""
    entry = store.read(fingerprint)
    assert entry is not None
    change(entry)
    facts = entry.metadata.pop("onions")
    for name in ("format", "fingerprint", "checksum"):  # added by Store.write
        del facts[name]
    store.write(fingerprint, entry, **facts)


def build_site(root: Path, **environment: str) -> Project:
    """Store a project's runs, then render it with the given environment variables."""
    store_runs(root)
    done = run_onions(root, "render", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return Project(root)


def run_in_turn(
    items: Iterable[Any], work: Callable[..., Any], finish: Callable[..., None], *_: object
) -> None:
    """Do what `onions.run.pool.run_parallel` does, in this thread."""
    for item in items:
        future: Future[Any] = Future()
        future.set_result(work(item, 0))
        finish(item, future)


def run_cells(page: Page, notebook: NotebookNode, *_: object) -> dict[str, object]:
    """Run all cells; return `onions.kernel.run_facts`. Replaces `onions.run.cells.run_cells`."""
    shell: Any = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    claims.claimed_sentences.clear()
    try:
        for count, cell in enumerate(notebook.cells, 1):
            cell.execution_count = count
            cell.outputs = [*run_cell(shell, cell.source)]
        return kernel.run_facts() | {"modules": []}  # a kernel has imported fewer
    finally:
        InteractiveShell.clear_instance()


def run_cell(shell: Any, source: str) -> Iterator[NotebookNode]:
    """Run a cell and yield its outputs: what it prints, what it displays, its result, figures."""
    results: list[object] = []
    shell.display_trap.hook = results.append
    with capture_output() as captured:
        shell.run_cell(source).raise_error()
    for line in captured.stdout.splitlines(keepends=True):
        yield new_output("stream", text=line)
    for shown in captured.outputs:
        yield new_output("display_data", shown.data, metadata=shown.metadata)
    if results and results[0] is not None and not source.rstrip().endswith(";"):
        yield new_output("execute_result", shell.display_formatter.format(results[0])[0])
    if "pyplot" in source:
        yield from draw_figures(shell)


def draw_figures(shell: Any) -> Iterator[NotebookNode]:
    from matplotlib import pyplot

    kernel._display_figures(shell)
    for number in pyplot.get_fignums():
        data, _ = shell.display_formatter.format(pyplot.figure(number))
        yield new_output("display_data", data)
    pyplot.close("all")
