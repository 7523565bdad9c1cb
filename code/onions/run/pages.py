"""Run pages in parallel, each in its own kernel, and store the successful runs.

A failing page does not stop the others.
"""

import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from rich.console import Console

from onions import packed
from onions.base.files import write_atomic
from onions.book.project import Project
from onions.exports import TAG
from onions.run.cells import OnCell, PageFailed, run_cells
from onions.run.claims import ClaimsFailed, check_claims
from onions.run.clean import clean_outputs
from onions.run.outputs import check_outputs
from onions.run.pool import KernelRegistry, default_jobs, gpu_environment, run_parallel
from onions.run.progress import PageProgress
from onions.store.entries import Store, claims
from onions.store.fingerprint import components, fingerprint_of
from onions.store.page_claims import page_claims
from onions.store.status import PageState


def run_pages(
    stale: list[PageState],
    project: Project,
    jobs: int | None,
    console: Console,
    on_stored: Callable[[PageState], None] | None = None,
) -> tuple[dict[str, float], dict[str, str]]:
    """Run pages in order, `jobs` at once; None means one per GPU or, without GPUs, per core.

    Call `on_stored` after a page is stored. Return the seconds of each stored page and the error
    message of each failed page, by name. Error messages are also printed to stderr immediately.
    """
    jobs = min(jobs or default_jobs(), len(stale))
    kernels, progress = KernelRegistry(), PageProgress(console)
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}

    def run(state: PageState, slot: int) -> PageRun:
        on_cell = progress.start(state.name, len(state.page.cells), state.last_run.get("seconds"))
        return run_page(state, project, on_cell, slot, kernels)

    # Runs in this thread only: Python 3.11 can't parse code in two threads at once
    # (https://github.com/python/cpython/issues/106905).
    def finish(state: PageState, future: "Future[PageRun]") -> None:
        name, page_run = state.name, future.result()
        progress.finish(name)
        try:
            store_page(page_run, state, project)
        except PageFailed as error:
            verb = "has a false claim" if isinstance(error, ClaimsFailed) else "failed"
            failed[name] = textwrap.indent(str(error), "  ")
            print(f"\n{name} {verb}\n{failed[name]}\n", file=sys.stderr, flush=True)
            console.print(f"{name}: {verb}", style="red")
        else:
            if on_stored:
                on_stored(state)
            seconds[name] = page_run.seconds
            console.print(f"{name}: executed in {page_run.seconds:.0f} s", style="green")

    with progress:
        run_parallel(stale, run, finish, jobs, kernels)
    return seconds, failed


@dataclass
class PageRun:
    """A finished run of a page: its notebook, the kernel's facts, its duration and its error."""

    notebook: NotebookNode
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: Exception | None = None


def run_page(
    state: PageState,
    project: Project,
    on_cell: OnCell,
    slot: int,
    kernels: KernelRegistry,
) -> PageRun:
    """Run a page and return the result, including any error, so the other pages still run.

    `on_cell` and `kernels` are as in `onions.run.cells.run_cells`, `slot` as in
    `onions.run.pool.run_parallel`.
    """
    page, result, started = state.page, PageRun(nbformat.v4.new_notebook()), time.monotonic()
    try:
        result.notebook.cells = [
            nbformat.v4.new_code_cell(source, metadata={"tags": [*cell.tags]}, id=f"c{i}")
            for i, cell in enumerate(page.cells)
            # An empty cell is not run: a reference run's fingerprint omits the cells that export.
            for source in ["" if state.build.seed_offset and TAG in cell.tags else cell.source]
        ]
        variables = gpu_environment(slot) | {packed.FOLDER: str(project.store)}
        path = _log_path(state, project)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as log:
            result.facts = run_cells(
                page, result.notebook, state.build, log, on_cell, variables, kernels
            )
    except Exception as error:
        result.error = error
    clean_outputs(result.notebook)
    result.seconds = round(time.monotonic() - started, 1)
    return result


def store_page(page_run: PageRun, state: PageState, project: Project) -> None:
    """Store a page's run if it had no error and no claim is false.

    Raises ClaimsFailed if a claim is false, PageFailed for any other error. The message gives the
    place, the cause and the file with the outputs.
    """
    try:
        _store(page_run, state, project)
    except Exception as error:
        kind = ClaimsFailed if isinstance(error, ClaimsFailed) else PageFailed
        raise kind(_explain(error, state, project, page_run.notebook)) from error


def _store(page_run: PageRun, state: PageState, project: Project) -> None:
    if page_run.error:
        raise page_run.error
    page, build = state.page, state.build
    sentences = sorted(claim["sentence"] for _, claim in claims(page_run.notebook))
    if sentences != sorted(page_run.facts.pop("claimed")):
        raise PageFailed(
            f"{page.path}: the record of a claim was cleared. Remove the code that clears it."
        )
    check_outputs(page, page_run.notebook)
    # Reference runs record false claims. The text of a false comparison can be corrected without
    # another run, so `execute` reports it after the run is stored.
    found = list(page_claims(page, page_run.notebook, build.profile))
    if not build.seed_offset and any(c.holds is False and not c.comparison for c in found):
        check_claims(page, found)
    parts = components(project.page(page.name), project, build)
    if unhashed := set(page_run.facts.pop("modules")) - parts["modules"].keys():
        raise PageFailed(
            f"{page.path}: imports {', '.join(sorted(unhashed))} without an import statement, so a "
            "change of that file would not make the page stale. Use an import statement."
        )
    if fingerprint_of(parts) != state.fingerprint:
        raise PageFailed(
            f"{page.path}: its code or a module changed while it ran. Run `onions execute` again."
        )
    Store(project.store).write(
        state.fingerprint,
        page_run.notebook,
        page=page.name,
        seconds=page_run.seconds,
        executed=datetime.now(UTC).isoformat(timespec="seconds"),
        build=asdict(build),
        components=parts,
        **page_run.facts,
    )


def _explain(error: Exception, state: PageState, project: Project, notebook: NotebookNode) -> str:
    """Save the outputs so far, and return an error message that names their file."""
    lines = [str(error)]
    if not isinstance(error, PageFailed):
        lines = [f"{type(error).__name__}: {error}. Read the log: {_log_path(state, project)}"]
    path = project.build / "failed" / f"{state.name.replace('/', '-')}.ipynb"
    try:
        write_atomic(path, nbformat.writes(notebook))
        lines.append(f"The outputs so far are in {path}")
    except Exception as problem:  # a full disk, or an output that is not JSON
        lines.append(f"The outputs so far could not be saved: {problem}")
    return "\n".join(lines)


def _log_path(state: PageState, project: Project) -> Path:
    return project.build / "log" / f"{state.name.replace('/', '-')}.log"
