"""Run the pages that the store does not hold yet, each alone in a kernel of its own.

A page that fails does not stop the others. Finished pages are in the store at once, so an
interrupted build goes on where it was.
"""

import os
import platform
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata

import nbformat
from nbformat import NotebookNode
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from onions import data
from onions.fingerprint import Build, components, fingerprint, installed, locked
from onions.pages import Page, Project
from onions.rules import claimed as claims_of
from onions.runner import OnCell, PageFailed, run_cells
from onions.store import Store, StoreError, claims, write_notebook


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
    console: Console | None = None,
) -> Report:
    """Execute every page whose fingerprint is not in the store, and report what was done.

    `choice` is the value of ``ONIONS_DATA``. Raises DataError, LockError, PageError or
    EnvironmentDiffers before anything runs.
    """
    console = console or Console(soft_wrap=True, markup=False, highlight=False)
    pages = [page for page in project.pages() if page.cells]
    build = _resolve(choice, profile, unlocked, console)
    fingerprints = {page.name: fingerprint(page, project, build) for page in pages}
    store, report = Store(project.build / "store"), Report()
    stale = [page for page in pages if not _is_kept(store, fingerprints[page.name], console)]
    if stale:
        _check_environment(project, build)
        if build.source.name == "cifar10":
            data.load(build.source)  # every file is checked before the first page runs
    build.write(project)
    for page in pages:
        if page not in stale:
            report.kept.append(page.name)
            console.print(f"{page.name}: nothing changed", style="dim")
            continue
        try:
            seconds = _run_into(store, fingerprints[page.name], page, project, build, console)
        except PageFailed as error:
            report.failed[page.name] = str(error)
            console.print(f"{page.name}: failed", style="red")
        else:
            report.seconds[page.name] = seconds
            console.print(f"{page.name}: executed in {seconds:.0f} s", style="green")
    return report


def _resolve(choice: str, profile: str, unlocked: bool, console: Console) -> Build:
    source = data.resolve(choice, say=console.print)
    loud = "bold yellow" if source.name == "sketches" else None
    console.print(f"Data: {source.what}, since {source.why}.", style=loud)
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    build = Build(source, backend, profile, platform.python_version())
    if unlocked:
        names = {canonicalize_name(d.name) for d in metadata.distributions()}
        build = replace(build, unlocked=installed(sorted(names)))
    return build


def _is_kept(store: Store, print_: str, console: Console) -> bool:
    try:
        return store.read(print_) is not None
    except StoreError as error:
        console.print(f"{error} It is executed again now.", style="yellow")
        return False


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


def _run_into(
    store: Store, print_: str, page: Page, project: Project, build: Build, console: Console
) -> float:
    """Run a page and keep it under its fingerprint; return the seconds it took.

    Raises PageFailed, whatever went wrong, so that the other pages still run.
    """
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(cell.source, metadata={"tags": list(cell.tags)}, id=f"c{i}")
            for i, cell in enumerate(page.cells)
        ]
    )
    log_path = project.build / "log" / f"{page.name.replace('/', '-')}.log"
    started = time.monotonic()
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("wb") as log, _progress(page, console) as on_cell:
            ending = run_cells(page, notebook, build, log, on_cell)
        _check_claims(page, notebook, ending.pop("claimed"))
        if fingerprint(project.page(page.name), project, build) != print_:
            raise PageFailed("its code, or a module of ours, changed while it ran; execute again")
        seconds = round(time.monotonic() - started, 1)
        store.write(
            print_,
            notebook,
            page=page.name,
            seconds=seconds,
            executed=datetime.now(UTC).isoformat(timespec="seconds"),
            build=asdict(replace(build, unlocked=None)),
            components=components(page, project, build),
            **ending,
        )
    except Exception as error:
        message = str(error)
        if not isinstance(error, PageFailed):
            message = f"{type(error).__name__}: {message}. The kernel's log: {log_path}"
        raise PageFailed(_with_notebook(message, page, project, notebook)) from error
    return seconds


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


@contextmanager
def _progress(page: Page, console: Console) -> Iterator[OnCell]:
    """Show the page, the cell and the time: a live bar on a terminal, plain lines elsewhere."""
    total, started = len(page.cells), time.monotonic()
    bar = Progress(
        TextColumn(page.name),
        BarColumn(),
        TextColumn("cell {task.fields[cell]} of {task.total}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(page.name, total=total, cell=1)

        def on_cell(index: int) -> None:
            bar.update(task, completed=index, cell=index + 1)
            if not console.is_terminal:
                seconds = time.monotonic() - started
                console.print(f"{page.name}: cell {index + 1} of {total} ({seconds:.0f} s)")

        yield on_cell
