"""A page that runs while somebody writes, in a process of its own (`onions live`)."""

import os
import platform
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread

from onions.fingerprint import Build
from onions.pages import Project


class Run:
    """A page's run, from its start: at `cell` of `cells`, from 1 once the first runs.

    `slot` is as in `onions.pool.share`. `tell` is called in another thread at each cell, and once
    with True when the run has ended: then `seconds` says how long it took, or `trouble` what went
    wrong.
    """

    def __init__(
        self,
        project: Project,
        page: str,
        fingerprint: str,
        build: Build,
        slot: int,
        tell: Callable[["Run", bool], None],
    ) -> None:
        self.page, self.fingerprint, self.build, self.slot = page, fingerprint, build, slot
        self.cell = self.cells = 0
        self.seconds, self.trouble = 0.0, "The process that ran it was killed."
        self._tell = tell
        context = get_context("spawn")
        self._connection, theirs = context.Pipe(duplex=False)
        arguments = project, page, fingerprint, build, slot, theirs
        self._process = context.Process(target=_run, args=arguments)
        self._process.start()
        theirs.close()
        Thread(target=self._listen, daemon=True).start()

    def stop(self) -> None:
        """End the run, with its kernel."""
        self._process.terminate()
        self._process.join()

    def _listen(self) -> None:
        with suppress(EOFError):
            while True:
                self.cell, self.cells, self.seconds, self.trouble = self._connection.recv()
                self._tell(self, False)
        self._tell(self, True)


def slots() -> int:
    """Return how many pages may run at once; 1 where nothing can run, which a run then says."""
    try:
        from onions.pool import default_jobs
    except ImportError:
        return 1
    return default_jobs()


def _run(
    project: Project, page: str, print_: str, build: Build, slot: int, connection: Connection
) -> None:
    """Run a page in this process, and send what `Run` notes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that listens
    signal.signal(signal.SIGTERM, _end_quietly)
    at, seconds, trouble = (0, 0), 0.0, ""

    def on_cell(cell: int, cells: int) -> None:
        nonlocal at
        at = cell, cells
        connection.send((*at, 0.0, "The process that ran it was killed."))

    try:
        seconds = _execute(project, page, print_, build, slot, on_cell)
    except Exception as error:
        trouble = str(error)
    with suppress(OSError):
        connection.send((*at, seconds, trouble))


def _end_quietly(number: int, frame: object) -> None:
    """End this process; what asyncio then says of tasks that did not end helps nobody."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(1)


def _execute(
    project: Project,
    name: str,
    print_: str,
    build: Build,
    slot: int,
    on_cell: Callable[[int, int], None],
) -> float:
    """Run a page and keep it; return its seconds. Raises what went wrong."""
    try:
        from onions.execute import check_environment
        from onions.pool import Kernels, default_jobs, share
        from onions.running import keep_page, run_page
        from onions.status import State
    except ImportError as error:
        raise RuntimeError(
            f"{error.name} is missing. Only text can be edited with what is installed; to run "
            "code, `make install LOCK=requirements.lock`."
        ) from error
    if build.python != platform.python_version():
        raise RuntimeError(
            f"The last build ran on Python {build.python}, this is {platform.python_version()}. "
            "Run `onions execute` first."
        )
    check_environment(project, build)
    state, kernels = State(project.page(name), build, print_), Kernels()
    cells = len(state.page.cells)
    try:
        ran = run_page(
            state, project, lambda n: on_cell(n + 1, cells), share(slot, default_jobs()), kernels
        )
    except BaseException:
        kernels.stop()
        raise
    keep_page(ran, state, project)
    return ran.seconds
