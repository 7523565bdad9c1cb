"""Run pages side by side, each in a kernel of its own, and keep in the store each that succeeds.

A page that fails does not stop the others.
"""

import sys
import textwrap
import time
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from rich.console import Console

from onions.claims import Claim
from onions.files import write_whole
from onions.fingerprint import components, digest
from onions.pages import Page, Project
from onions.pool import Kernels, default_jobs, share, side_by_side
from onions.progress import PageProgress
from onions.rules import claimed as claims_of
from onions.runner import OnCell, PageFailed, run_cells
from onions.status import State
from onions.store import Store, claims


class ClaimsFail(PageFailed):
    """A page ran to its end, but a sentence of it is not true of this run."""


def run_all(
    stale: list[State], project: Project, jobs: int | None, console: Console
) -> tuple[dict[str, float], dict[str, str]]:
    """Run pages, in order, `jobs` at once, by default one for each GPU or core.

    Return by page the seconds of those that were kept, and what went wrong with the others, which
    is printed to the standard error stream at once.
    """
    jobs = min(jobs or default_jobs(), len(stale))
    kernels, progress = Kernels(), PageProgress(console)
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}

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
            failed[name] = textwrap.indent(str(error), "  ")
            print(f"\n{name} {what}\n{failed[name]}\n", file=sys.stderr, flush=True)
            console.print(f"{name}: {what}", style="red")
        else:
            seconds[name] = ran.seconds
            console.print(f"{name}: executed in {ran.seconds:.0f} s", style="green")

    with progress:
        side_by_side(stale, run, done, jobs, kernels)
    return seconds, failed


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
