"""Find the stale pages and run them.

Each page is stored as soon as it finishes, so an interrupted build resumes where it stopped.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console

from onions.base.files import delete_partial_files
from onions.base.locks import folder_lock
from onions.book.project import Project, select_pages
from onions.images.sources import load_images
from onions.run.claims import ClaimsFailed, check_claims
from onions.run.progress import plain_console
from onions.run.reference import MissingRuns
from onions.store.build import resolve_build
from onions.store.entries import Store
from onions.store.lockfile import check_environment
from onions.store.page_claims import page_claims
from onions.store.plan import longest_first, plan_shards
from onions.store.status import PageState, page_states, record_build


@dataclass
class ExecutionReport:
    """The names of the fresh pages, the seconds of executed pages, the errors of failed pages."""

    fresh: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def execute(
    project: Project,
    *,
    choice: str = "auto",
    profile: str = "full",
    jobs: int | None = None,
    shard: tuple[int, int] = (1, 1),
    reference: bool = False,
    pages: Iterable[str] = (),
) -> ExecutionReport:
    """Execute every page whose fingerprint is not in the store.

    `choice` is the value of ``ONIONS_DATA``. `jobs` is the number of pages that run at once, by
    default the number of GPUs or, without GPUs, of cores. `shard` (i, n) runs the i-th of n shards,
    from 1. `reference` executes the missing reference runs instead of the book, adds each to the
    file of reference runs when it has finished, and only records false claims. `pages`, named as
    for `select_pages`, limits the run to these pages. Page errors are printed to stderr
    immediately. Raises DataError, LockError, PageError or EnvironmentMismatch before anything runs;
    OSError if a file can't be written.
    """
    console = plain_console()
    with folder_lock(project.build / "log", console.print):
        with folder_lock(project.store):
            delete_partial_files(project.store)
        build = resolve_build(choice, profile, console.print)
        loud = "bold yellow" if build.source.name == "sketches" else None
        console.print(f"Data: {build.source.description}, since {build.source.reason}.", style=loud)
        missing = MissingRuns(project, build) if reference else None
        states = missing.states() if missing else page_states(project, build)
        selected = {page.name for page in select_pages(project, pages)}
        stale = [state for state in states if state.page.name in selected and not state.fresh]
        if stale:
            from onions.run.pages import run_pages  # slow to import, and rarely needed

            check_environment(project.lock, build.python)
            if build.source.name == "cifar10":
                load_images(build.source)  # checks every file before a page runs
        if not missing:
            record_build(project, build, states)
        report = ExecutionReport(fresh=[state.name for state in states if state.fresh])
        for state in stale:
            console.print(f"{state.name}: {'; '.join(state.reasons)}", style="dim")
        if report.fresh:
            console.print(f"Fresh: {', '.join(report.fresh)}.", style="dim")
        stale = _pages_of_shard(stale, shard, project, console)
        if stale:
            report.seconds, report.failed = run_pages(
                longest_first(stale), project, jobs, console, missing.add if missing else None
            )
        if not missing:
            _check_texts(
                [state for state in states if state.page.name in selected], report, project
            )
    return report


def _check_texts(states: list[PageState], report: ExecutionReport, project: Project) -> None:
    """Add each page whose text claims something false of its run to the failed ones."""
    store = Store(project.store)
    for state in states:
        if state.name in report.failed or "{claim}" not in state.page.markup:
            continue
        if (entry := store.read(state.fingerprint)) is not None:
            try:
                check_claims(state.page, page_claims(state.page, entry))
            except ClaimsFailed as error:
                report.failed[state.name] = str(error)
                print(f"\n{state.name} has a false claim\n{error}\n", file=sys.stderr, flush=True)


def _pages_of_shard(
    stale: list[PageState], shard: tuple[int, int], project: Project, console: Console
) -> list[PageState]:
    """Return the pages of this shard; print their names if there are several shards."""
    number, count = shard
    if count == 1:
        return stale
    pages = plan_shards(stale, count, project.store)[number - 1]
    names = ", ".join(state.name for state in pages) or "nothing"
    console.print(f"Shard {number} of {count}: {names}.")
    return pages
