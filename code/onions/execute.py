"""Run the pages that the store does not hold yet, side by side, each in a kernel of its own.

A page that fails does not stop the others. Finished pages are in the store at once, so an
interrupted build goes on where it was.
"""

import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from filelock import FileLock, Timeout
from nbformat import NotebookNode
from rich.console import Console

from onions import data
from onions.claims import Claim
from onions.files import sweep, write_whole
from onions.fingerprint import Build, components, digest, installed, locked
from onions.lint import named
from onions.pages import Page, Project
from onions.plan import longest_first, shards
from onions.pool import Kernels, default_jobs, share, side_by_side
from onions.progress import PageProgress, plain_console
from onions.rules import claimed as claims_of
from onions.runner import OnCell, PageFailed, run_cells
from onions.status import State, resolve, states
from onions.store import Store, claims


class EnvironmentDiffers(Exception):
    """The installed packages are not those of the lock file."""


class ClaimsFail(PageFailed):
    """A page ran to its end, but a sentence of it is not true of this run."""


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
    shard: tuple[int, int] = (1, 1),
    seeds: int = 0,
    pages: Iterable[str] = (),
    console: Console | None = None,
) -> Report:
    """Execute every page whose fingerprint is not in the store, and report what was done.

    `choice` is the value of ``ONIONS_DATA``; `jobs` is how many pages run at once, by default one
    for each GPU or core; `shard` (i, n) runs the i-th of n parts (from 1). With `seeds`, the pages
    that ask for it are run once from each of so many other seeds, in place of the book, and what
    they claim is only recorded. With `pages`, named as in `onions.lint.named`, no others run. What
    went wrong with a page is printed to the standard error stream at once. Raises DataError,
    LockError, PageError or EnvironmentDiffers before anything runs, and OSError where it may not
    write.
    """
    console = console or plain_console()
    with _one_build_at_a_time(project, console):
        sweep(project.store)
        build = resolve(choice, profile, unlocked, console.print)
        loud = "bold yellow" if build.source.name == "sketches" else None
        console.print(f"Data: {build.source.what}, since {build.source.why}.", style=loud)
        found = reference_states(project, build, seeds) if seeds else states(project, build)
        report = Report()
        wanted = {page.name for page in named(project, pages)}
        stale = [state for state in found if state.page.name in wanted and not state.fresh]
        if stale:
            check_environment(project, build)
            if build.source.name == "cifar10":
                data.load(build.source)  # every file is checked before the first page runs
        if not seeds:
            build.write(project)
        report.kept = [state.name for state in found if state.fresh]
        for state in stale:
            console.print(f"{state.name}: {'; '.join(state.why)}", style="dim")
        if report.kept:
            console.print(f"Nothing changed: {', '.join(report.kept)}.", style="dim")
        if shard[1] > 1:
            part, of = shard
            stale = shards(stale, of, project.store)[part - 1]
            names = ", ".join(state.name for state in stale) or "nothing"
            console.print(f"Shard {part} of {of}: {names}.")
        if stale:
            jobs = min(jobs or default_jobs(), len(stale))
            _run_all(longest_first(stale), project, report, jobs, console)
    return report


def reference_states(project: Project, build: Build, seeds: int) -> list[State]:
    """Return the states of the pages that ask for reference runs, from so many other seeds."""
    builds = [replace(build, seed_offset=offset) for offset in range(1, seeds + 1)]
    found = [state for other in builds for state in states(project, other)]
    return [state for state in found if state.page.lesson.get("reference")]


def _run_all(
    stale: list[State], project: Project, report: Report, jobs: int, console: Console
) -> None:
    """Run pages side by side, in order, and keep each that succeeds."""
    kernels, progress = Kernels(), PageProgress(console)

    def run(state: State, slot: int) -> Ran:
        before = state.facts.get("seconds")
        on_cell = progress.row(state.name, len(state.page.cells), before)
        return run_page(state, project, on_cell, share(slot, jobs), kernels)

    # In this thread, since Python 3.11 can't parse code in two threads at once
    # (https://github.com/python/cpython/issues/106905).
    def done(state: State, future: "Future[Ran]") -> None:
        name, ran = state.name, future.result()
        progress.end(name)
        try:
            keep_page(ran, state, project)
        except PageFailed as error:
            what = "claims something untrue" if isinstance(error, ClaimsFail) else "failed"
            report.failed[name] = textwrap.indent(str(error), "  ")
            print(f"\n{name} {what}\n{report.failed[name]}\n", file=sys.stderr, flush=True)
            console.print(f"{name}: {what}", style="red")
        else:
            report.seconds[name] = ran.seconds
            console.print(f"{name}: executed in {ran.seconds:.0f} s", style="green")

    with progress:
        side_by_side(stale, run, done, jobs, kernels)


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


def check_environment(project: Project, build: Build) -> None:
    """Refuse an environment in which a page would meet other versions than the locked ones.

    Raises EnvironmentDiffers, which lists them.
    """
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
class Ran:
    """A page after its run: its outputs, what its kernel said at the end, or what went wrong."""

    notebook: NotebookNode
    ending: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: Exception | None = None


def run_page(
    state: State, project: Project, on_cell: OnCell, share: dict[str, str], kernels: Kernels
) -> Ran:
    """Run a page; whatever goes wrong is in what it returns, so that the others still run.

    `on_cell`, `share` and `kernels` are as in `onions.runner.run_cells`.
    """
    page, ran, started = state.page, Ran(nbformat.v4.new_notebook()), time.monotonic()
    try:
        ran.notebook.cells = [
            nbformat.v4.new_code_cell(cell.source, metadata={"tags": [*cell.tags]}, id=f"c{i}")
            for i, cell in enumerate(page.cells)
        ]
        path = _log_path(state, project)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as log:
            ran.ending = run_cells(page, ran.notebook, state.build, log, on_cell, share, kernels)
    except Exception as error:
        ran.error = error
    ran.seconds = round(time.monotonic() - started, 1)
    return ran


def keep_page(ran: Ran, state: State, project: Project) -> None:
    """Put a page into the store if all went well.

    Raises PageFailed, which says what did not, where, and where the rest can be looked at; as
    ClaimsFail where the page says something untrue.
    """
    try:
        _keep(ran, state, project)
    except Exception as error:
        kind = ClaimsFail if isinstance(error, ClaimsFail) else PageFailed
        raise kind(_explain(error, state, project, ran.notebook)) from error


def _keep(ran: Ran, state: State, project: Project) -> None:
    if ran.error:
        raise ran.error
    page, build = state.page, state.build
    found = list(claims(ran.notebook))
    if sorted(claim["sentence"] for _, claim in found) != sorted(ran.ending.pop("claimed")):
        raise PageFailed("it cleared away the record of a claim; remove what clears the output")
    if not build.seed_offset:  # a reference run is there to see which claims fail
        _check_claims(page, found)
    parts = components(project.page(page.name), project, build)
    if digest(parts) != state.fingerprint:
        raise PageFailed("its code, or a module of ours, changed while it ran; execute again")
    Store(project.store).write(
        state.fingerprint,
        ran.notebook,
        page=page.name,
        seconds=ran.seconds,
        executed=datetime.now(UTC).isoformat(timespec="seconds"),
        build=asdict(replace(build, unlocked=None)),
        components=parts,
        **ran.ending,
    )


def _log_path(state: State, project: Project) -> Path:
    return project.build / "log" / f"{state.name.replace('/', '-')}.log"


def _check_claims(page: Page, found: list[tuple[int, Claim]]) -> None:
    """Raise ClaimsFail with every claim that does not hold."""
    false = [(index, claim) for index, claim in found if claim["holds"] is False]
    if not false:
        return
    number = "1 claim does" if len(false) == 1 else f"{len(false)} claims do"
    lines = [f"{number} not hold in this run:"]
    for index, claim in false:
        cell = page.cells[index]
        line = next((n for n, text in claims_of(cell) if text == claim["sentence"]), cell.line)
        lines.append(f"  {page.path}:{line}  “{claim['sentence']}”")
        lines += [f"    {name} = {value}" for name, value in claim["measures"].items()]
    raise ClaimsFail("\n".join([*lines, "Correct the sentence, or what it is about."]))


def _explain(error: Exception, state: State, project: Project, notebook: NotebookNode) -> str:
    """Say what went wrong with a page, and where the rest of it can be looked at."""
    lines = [str(error)]
    if not isinstance(error, PageFailed):
        lines = [f"{type(error).__name__}: {error}. The kernel's log: {_log_path(state, project)}"]
    path = project.build / "failed" / f"{state.name.replace('/', '-')}.ipynb"
    try:
        write_whole(path, nbformat.writes(notebook))
        lines.append(f"What ran is kept in {path}")
    except Exception as problem:  # a full disk, or an output that is no JSON
        lines.append(f"What ran could not be kept: {problem}")
    return "\n".join(lines)
