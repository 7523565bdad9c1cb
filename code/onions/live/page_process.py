"""A page's run in a separate process, which `onions live` can stop."""

import os
import platform
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread

from onions.book.project import Project
from onions.store.build import Build

KILLED = "The process that ran the page was killed. Save the page to run it again."


class PageProcess:
    """A process that runs a page; it starts immediately.

    `cell` is the number (from 1) of the running cell, and `cells` the number of all cells; both are
    0 while the kernel starts. `slot` is as in `onions.run.pool.run_parallel`.
    `on_change(process, ended)` is called from another thread, at each cell and when the run has
    ended. Afterwards, `seconds` is the run's duration, and `error` its error message, empty for
    success.
    """

    def __init__(
        self,
        project: Project,
        page: str,
        fingerprint: str,
        build: Build,
        slot: int,
        on_change: Callable[["PageProcess", bool], None],
    ) -> None:
        self.page, self.fingerprint, self.build, self.slot = page, fingerprint, build, slot
        self.cell = self.cells = 0
        self.seconds, self.error = 0.0, KILLED
        self._on_change = on_change
        context = get_context("spawn")
        self._connection, child_connection = context.Pipe(duplex=False)
        arguments = project, page, fingerprint, build, slot, child_connection
        self._process = context.Process(target=_run, args=arguments)
        self._process.start()
        child_connection.close()
        Thread(target=self._listen, daemon=True).start()

    def stop(self) -> None:
        """Stop the run and its kernel."""
        self._process.terminate()
        self._process.join()

    def _listen(self) -> None:
        with suppress(EOFError):
            while True:
                self.cell, self.cells, self.seconds, self.error = self._connection.recv()
                self._on_change(self, False)
        self._on_change(self, True)


def job_slots() -> int:
    """Return how many pages may run at once; 1 if the packages that run pages are missing."""
    try:
        from onions.run.pool import default_jobs
    except ImportError:
        return 1
    return default_jobs()


def _run(
    project: Project, page: str, fingerprint: str, build: Build, slot: int, connection: Connection
) -> None:
    """Run a page in this process, and send its progress and result to `PageProcess`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent process
    signal.signal(signal.SIGTERM, _exit_quietly)
    cell_of_cells, seconds, error_message = (0, 0), 0.0, ""

    def on_cell(cell: int, cells: int) -> None:
        nonlocal cell_of_cells
        cell_of_cells = cell, cells
        connection.send((*cell_of_cells, 0.0, KILLED))

    try:
        seconds = _run_and_store(project, page, fingerprint, build, slot, on_cell)
    except Exception as error:
        error_message = str(error)
    with suppress(OSError):
        connection.send((*cell_of_cells, seconds, error_message))


def _exit_quietly(number: int, frame: object) -> None:
    """Exit without asyncio's messages about unfinished tasks."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(1)


def _run_and_store(
    project: Project,
    name: str,
    fingerprint: str,
    build: Build,
    slot: int,
    on_cell: Callable[[int, int], None],
) -> float:
    """Run a page, store it and return its seconds. Raises any error of the run."""
    try:
        from onions.run.pages import run_page, store_page
        from onions.run.pool import KernelRegistry
        from onions.store.lockfile import check_environment
        from onions.store.status import PageState
    except ImportError as error:
        raise RuntimeError(
            f"{error.name} is missing, so pages can't run. Run "
            "`make install LOCK=requirements.lock`."
        ) from error
    if build.python != platform.python_version():
        raise RuntimeError(
            f"The last build used Python {build.python}; this is {platform.python_version()}. "
            "Run `onions execute` first."
        )
    check_environment(project.lock, build.python)
    state, kernels = PageState(project.page(name), build, fingerprint), KernelRegistry()
    cells = len(state.page.cells)
    try:
        page_run = run_page(state, project, lambda n: on_cell(n + 1, cells), slot, kernels)
    except BaseException:
        kernels.stop()
        raise
    store_page(page_run, state, project)
    return page_run.seconds
