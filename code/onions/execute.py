"""Decide which pages have to run, those that the store does not hold as they stand, and run them.

Finished pages are in the store at once, so an interrupted build goes on where it was.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from filelock import FileLock, Timeout
from rich.console import Console

from onions import data
from onions.files import sweep
from onions.fingerprint import Build, installed, locked
from onions.lint import named
from onions.pages import Project
from onions.plan import longest_first, shards
from onions.progress import plain_console
from onions.status import State, reference_states, resolve, states


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
        wanted = {page.name for page in named(project, pages)}
        stale = [state for state in found if state.page.name in wanted and not state.fresh]
        if stale:
            from onions.running import run_all  # here: most often nothing is stale

            check_environment(project, build)
            if build.source.name == "cifar10":
                data.load(build.source)  # every file is checked before the first page runs
        if not seeds:
            build.write(project)
        report = Report(kept=[state.name for state in found if state.fresh])
        for state in stale:
            console.print(f"{state.name}: {'; '.join(state.why)}", style="dim")
        if report.kept:
            console.print(f"Nothing changed: {', '.join(report.kept)}.", style="dim")
        stale = _part(stale, shard, project, console)
        if stale:
            report.seconds, report.failed = run_all(longest_first(stale), project, jobs, console)
    return report


def _part(
    stale: list[State], shard: tuple[int, int], project: Project, console: Console
) -> list[State]:
    """Return the pages of this shard, and say which they are."""
    part, of = shard
    if of == 1:
        return stale
    mine = shards(stale, of, project.store)[part - 1]
    names = ", ".join(state.name for state in mine) or "nothing"
    console.print(f"Shard {part} of {of}: {names}.")
    return mine


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
