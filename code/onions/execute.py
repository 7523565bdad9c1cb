"""Run the pages that the store does not hold yet, side by side, each in a kernel of its own.

A page that fails does not stop the others. Finished pages are in the store at once, so an
interrupted build goes on where it was.
"""

import os
import platform
import re
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
from filelock import FileLock, Timeout
from nbformat import NotebookNode
from packaging.utils import canonicalize_name
from rich.console import Console

from onions import data
from onions.fingerprint import Build, components, digest, installed, locked
from onions.pages import Page, Project
from onions.pool import Kernels, default_jobs, share, side_by_side
from onions.progress import PageProgress, plain_console
from onions.rules import claimed as claims_of
from onions.runner import OnCell, PageFailed, run_cells
from onions.status import State, states
from onions.store import Store, claims, write_notebook


class EnvironmentDiffers(Exception):
    """The installed packages are not those of the lock file."""


@dataclass
class Report:
    """What an execution did, by page: kept from before, run (seconds), failed (message)."""

    kept: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def execute(
    project: Project,
    *,
    choice: str = "auto",
    profile: str = "full",
    unlocked: bool = False,
    jobs: int | None = None,
    console: Console | None = None,
) -> Report:
    """Execute every page whose fingerprint is not in the store, and report what was done.

    `choice` is the value of ``ONIONS_DATA``; `jobs` is how many pages run at once, by default one
    for each GPU or core. Raises DataError, LockError, PageError or EnvironmentDiffers before
    anything runs.
    """
    console = console or plain_console()
    with _one_build_at_a_time(project, console):
        build = resolve(choice, profile, unlocked, console)
        found, report = states(project, build), Report()
        stale = [state for state in found if not state.fresh]
        if stale:
            _check_environment(project, build)
            if build.source.name == "cifar10":
                data.load(build.source)  # every file is checked before the first page runs
        build.write(project)
        for state in found:
            if state.fresh:
                report.kept.append(state.page.name)
                console.print(f"{state.page.name}: nothing changed", style="dim")
            else:
                console.print(f"{state.page.name}: {'; '.join(state.why)}", style="dim")
        if stale:
            jobs = min(jobs or default_jobs(), len(stale))
            _run_all(stale, project, build, report, jobs, console)
    return report


def _run_all(
    stale: list[State],
    project: Project,
    build: Build,
    report: Report,
    jobs: int,
    console: Console,
) -> None:
    """Run pages side by side, the longest first, so that none is left over at the end."""
    store, kernels = Store(project.build / "store"), Kernels()
    progress = PageProgress(console)

    def run(state: State, slot: int) -> _Ran:
        on_cell = progress.row(state.page, state.facts.get("seconds"))
        return _run(state.page, project, build, on_cell, share(slot, jobs), kernels)

    # In this thread, since Python 3.11 can't parse code in two threads at once
    # (https://github.com/python/cpython/issues/106905).
    def done(state: State, future: "Future[_Ran]") -> None:
        page = state.page
        progress.end(page.name)
        ran = future.result()
        try:
            _keep(ran, state, project, build, store)
        except Exception as error:
            message = str(error)
            if not isinstance(error, PageFailed):
                log = _log_path(page, project)
                message = f"{type(error).__name__}: {message}. The kernel's log: {log}"
            report.failed[page.name] = _with_notebook(message, page, project, ran.notebook)
            console.print(f"{page.name}: failed", style="red")
        else:
            report.seconds[page.name] = ran.seconds
            console.print(f"{page.name}: executed in {ran.seconds:.0f} s", style="green")

    with progress:
        ordered = sorted(stale, key=lambda state: expected_seconds(state, build), reverse=True)
        side_by_side(ordered, run, done, jobs, kernels)


def expected_seconds(state: State, build: Build) -> float:
    """Return how long a page will take: as long as last time in this profile, or a guess."""
    if state.facts and state.facts["build"]["profile"] == build.profile:
        return float(state.facts["seconds"])
    epochs = sum(
        int(number)
        for cell in state.page.cells
        for number in re.findall(r"\bepochs=(\d+)", cell.source)
    )
    return 3.0 + epochs


@contextmanager
def _one_build_at_a_time(project: Project, console: Console) -> Iterator[None]:
    """Wait until no other build runs in this folder. A build that died holds nothing."""
    project.build.mkdir(parents=True, exist_ok=True)
    lock = FileLock(project.build / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.print(f"Another build runs in {project.build}; waiting for it to end.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def resolve(choice: str, profile: str, unlocked: bool, console: Console) -> Build:
    """Return what an execution with these choices would run with."""
    source = data.resolve(choice, say=console.print)
    loud = "bold yellow" if source.name == "sketches" else None
    console.print(f"Data: {source.what}, since {source.why}.", style=loud)
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    build = Build(source, backend, profile, platform.python_version())
    if unlocked:
        names = {canonicalize_name(d.name) for d in metadata.distributions()}
        build = replace(build, unlocked=installed(sorted(names)))
    return build


def _check_environment(project: Project, build: Build) -> None:
    """Refuse an environment in which a page would meet other versions than the locked ones."""
    if build.unlocked is not None:
        return
    pinned = locked(project, build.python)
    found = installed(pinned)
    wrong = [f"{n} {found[n]}, not {pinned[n]}" for n in pinned if found[n] != pinned[n]]
    if wrong:
        raise EnvironmentDiffers(
            f"The environment differs from {project.lock.name}: {'; '.join(wrong)}. "
            "Run `make install`, or execute with --unlocked."
        )


@dataclass
class _Ran:
    """A page after its run: its outputs, what its kernel said at the end, or what went wrong."""

    notebook: NotebookNode
    ending: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: Exception | None = None


def _run(
    page: Page,
    project: Project,
    build: Build,
    on_cell: OnCell,
    share: dict[str, str],
    kernels: Kernels,
) -> _Ran:
    """Run a page; whatever goes wrong is in what it returns, so that the others still run."""
    ran = _Ran(
        nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_code_cell(cell.source, metadata={"tags": [*cell.tags]}, id=f"c{i}")
                for i, cell in enumerate(page.cells)
            ]
        )
    )
    started = time.monotonic()
    try:
        path = _log_path(page, project)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as log:
            ran.ending = run_cells(page, ran.notebook, build, log, on_cell, share, kernels)
    except Exception as error:
        ran.error = error
    ran.seconds = round(time.monotonic() - started, 1)
    return ran


def _keep(ran: _Ran, state: State, project: Project, build: Build, store: Store) -> None:
    """Put a page into the store if all went well. Raises what went wrong."""
    if ran.error:
        raise ran.error
    page = state.page
    _check_claims(page, ran.notebook, ran.ending.pop("claimed"))
    parts = components(project.page(page.name), project, build)
    if digest(parts) != state.fingerprint:
        raise PageFailed("its code, or a module of ours, changed while it ran; execute again")
    store.write(
        state.fingerprint,
        ran.notebook,
        page=page.name,
        seconds=ran.seconds,
        executed=datetime.now(UTC).isoformat(timespec="seconds"),
        build=asdict(replace(build, unlocked=None)),
        components=parts,
        **ran.ending,
    )


def _log_path(page: Page, project: Project) -> Path:
    return project.build / "log" / f"{page.name.replace('/', '-')}.log"


def _check_claims(page: Page, notebook: NotebookNode, claimed: list[str]) -> None:
    """Raise PageFailed with every claim that does not hold, and where a record is gone."""
    found = list(claims(notebook))
    false = [(index, claim) for index, claim in found if claim["holds"] is False]
    if sorted(claim["sentence"] for _, claim in found) != sorted(claimed):
        raise PageFailed("it cleared away the record of a claim; remove what clears the output")
    if not false:
        return
    number = "1 claim does" if len(false) == 1 else f"{len(false)} claims do"
    lines = [f"{number} not hold in this run:"]
    for index, claim in false:
        cell = page.cells[index]
        line = next((n for n, text in claims_of(cell) if text == claim["sentence"]), cell.line)
        lines.append(f"  {page.path}:{line}  “{claim['sentence']}”")
        lines += [f"    {name} = {value}" for name, value in claim["measures"].items()]
    raise PageFailed("\n".join([*lines, "Correct the sentence, or what it is about."]))


def _with_notebook(message: str, page: Page, project: Project, notebook: NotebookNode) -> str:
    path = project.build / "failed" / f"{page.name.replace('/', '-')}.ipynb"
    message = textwrap.indent(message, "  ")
    try:
        write_notebook(path, notebook)
    except OSError as error:
        return f"{message}\n  What ran could not be kept: {error}"
    return f"{message}\n  What ran is kept in {path}"
