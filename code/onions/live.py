"""`onions live`: the book in a browser, kept up with its files while somebody writes.

A change of a file is a new preview (`onions.preview`), about a second later. Pages that await their
run are shown with the outputs of the last one, and run in processes of their own meanwhile, each
until it ends or its page changes again. Tabs follow: each reloads when its page has changed, and
says what runs and what went wrong.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from watchfiles import watch

from onions.background import Run, slots
from onions.files import PART
from onions.fingerprint import Build
from onions.pages import Project
from onions.preview import LIVE, Preview, Warm
from onions.serve import served
from onions.site import PACKAGE, renders_with
from onions.store import Store
from onions.tabs import Board, Tab

Say = Callable[[str], None]
WAKES = 1.0  # seconds after which the main thread looks whether it is to end


def live(project: Project, builds: list[Build], *, port: int, say: Say) -> None:
    """Serve the book until interrupted, on `port` of this machine (0: any that is free).

    `builds` are as in `onions.preview.preview`; `say` gets a line about everything that happens.
    Raises OSError where the port is taken.
    """
    site = project.build / LIVE / "html"
    site.mkdir(parents=True, exist_ok=True)
    board = Board()
    desk = Desk(project, builds, board, say)
    with served(site, "/", handler=partial(Tab, board), port=port) as address:
        try:
            desk.work(address)
        finally:
            desk.close()


@dataclass
class Desk:
    """Where everything that happens arrives, one thing after another, and is acted upon."""

    project: Project
    builds: list[Build]
    board: Board
    say: Say
    news: "SimpleQueue[tuple[Any, ...]]" = field(default_factory=SimpleQueue)
    warm: Warm = field(default_factory=Warm)
    ended: Event = field(default_factory=Event)
    shown: Preview | None = None  # the last good preview
    trouble: str = ""  # why there is no newer one
    last: dict[str, str] = field(default_factory=dict)  # the fingerprint of each page's last run
    warnings: dict[str, list[str]] = field(default_factory=dict)  # by page
    failed: dict[str, str] = field(default_factory=dict)  # by fingerprint, what went wrong
    running: dict[str, Run] = field(default_factory=dict)  # by page
    edited: list[str] = field(default_factory=list)  # pages, the one changed last first
    rendering: float = 0.0  # since when, in seconds of the monotonic clock
    again: bool = True  # whether something changed since

    def work(self, address: str) -> None:
        """Act upon what happens, until interrupted."""
        self.say("Rendering the book as it stands …")
        latest = Store(self.project.store).latest()
        self.last = {page: facts["fingerprint"] for page, facts in latest.items()}
        for folder, recursive in (
            (self.project.book, True),
            (PACKAGE, True),
            (self.project.root, False),
        ):
            Thread(target=self._watch, args=(folder, recursive), daemon=True).start()
        self._render()
        while True:
            match self._next_news():
                case "changed", paths:
                    self._changed(paths)
                case "previewed", preview:
                    self._previewed(preview)
                    if address and not self.rendering:
                        self.say(f"Open {address} – Ctrl-C ends it.")
                        address = ""
                case "ran", run, True:
                    self._ran(run)
            self._start_runs()
            self.board.show(self._tell)

    def _next_news(self) -> tuple[Any, ...]:
        """Wait for what happens next."""
        while True:
            with suppress(Empty):
                # A Ctrl-C that comes just before the wait begins does not end it.
                return self.news.get(timeout=WAKES)

    def close(self) -> None:
        """End everything that was started."""
        self.ended.set()
        for run in self.running.values():
            run.stop()
        self.warm.stop()

    def _watch(self, folder: Path, recursive: bool) -> None:
        for changes in watch(folder, recursive=recursive, stop_event=self.ended):
            self.news.put(("changed", sorted({Path(path) for _, path in changes})))

    def _changed(self, paths: list[Path]) -> None:
        if not (paths := [path for path in paths if self._concerns(path)]):
            return
        self.say(f"Changed: {', '.join(map(self._short, paths))}")
        for path in paths:
            name = self._short(path).removeprefix("book/").removesuffix(".md")
            self.edited = [name, *(other for other in self.edited if other != name)]
            if self.shown:  # saved again, so to be tried again
                for print_ in self.shown.awaited.get(name, ()):
                    self.failed.pop(print_, None)
        if set(paths) & set(renders_with()):
            self.warm.stop()
            self.warm = Warm()
        self.again = True
        self._render()

    def _concerns(self, path: Path) -> bool:
        """Tell whether a preview can look different when this file changes."""
        if path.parent == self.project.root:
            return path == self.project.lock or path.name in ("_config.yml", "_toc.yml")
        return path.suffix not in ("", PART)

    def _render(self) -> None:
        if self.rendering or not self.again:
            return
        self.rendering, self.again = time.monotonic(), False
        arguments = self.project, self.builds, dict(self.last)

        def wait(warm: Warm) -> None:
            self.news.put(("previewed", warm.preview(*arguments)))

        Thread(target=wait, args=(self.warm,), daemon=True).start()

    def _previewed(self, preview: Preview) -> None:
        seconds, self.rendering = time.monotonic() - self.rendering, 0.0
        if self.again:  # what came is old already
            self._render()
            return
        if preview.trouble and preview.trouble != self.trouble:
            self.say(f"Not rendered, the last good pages stay:\n{preview.trouble}")
        self.trouble = preview.trouble
        if preview.trouble:
            self.shown = self.shown or preview
            return
        self.shown = preview
        self.last |= preview.shown
        fresh = {name: preview.warnings.get(name, []) for name in ["", *preview.read]}
        self.warnings |= fresh
        self.say(f"Rendered in {seconds:.1f} s: {', '.join(preview.read) or 'nothing changed'}.")
        for warning in (warning for name in fresh for warning in fresh[name]):
            self.say(warning)

    def _start_runs(self) -> None:
        """Run the pages that await it, the one edited last first; end what nobody awaits now."""
        awaited = self.shown.awaited if self.shown else {}
        for page, run in list(self.running.items()):
            if run.fingerprint not in awaited.get(page, ()):
                run.stop()
                del self.running[page]
                self.say(f"{page}: its run is not needed any more, and was ended")
        order = {page: number for number, page in enumerate(self.edited)}
        waiting = [page for page in awaited if page not in self.running]
        waiting.sort(key=lambda page: order.get(page, len(order)))
        todo = [(page, *run) for page in waiting for run in self._next(awaited[page])]
        free = set(range(slots())) - {run.slot for run in self.running.values()}
        for (page, print_, build), slot in zip(todo, free, strict=False):
            self.say(f"{page}: runs{_how(build)} …")
            self.running[page] = Run(self.project, page, print_, build, slot, self._note_run)

    def _next(self, runs: dict[str, Build]) -> list[tuple[str, Build]]:
        """Return the run that comes next of those that a page awaits; none once one has failed."""
        if runs.keys() & self.failed.keys():
            return []
        store = Store(self.project.store)
        return [run for run in runs.items() if not store.path(run[0]).exists()][:1]

    def _note_run(self, run: Run, ended: bool) -> None:
        self.news.put(("ran", run, ended))

    def _ran(self, run: Run) -> None:
        if self.running.get(run.page) is not run:
            return  # it was stopped
        del self.running[run.page]
        if run.trouble:
            self.failed[run.fingerprint] = run.trouble
            self.say(f"\n{run.page} failed; the last good outputs stay.\n{run.trouble}\n")
        else:
            self.say(f"{run.page}: executed{_how(run.build)} in {run.seconds:.0f} s")
            self.again = True
            self._render()

    def _tell(self, path: str) -> dict[str, Any]:
        """Return what a tab is told of its page: its state, what it waits for, what is wrong."""
        name = path.removesuffix(".html")
        shown = self.shown or Preview()
        failed = {
            page: self.failed[print_]
            for page, runs in shown.awaited.items()
            for print_ in runs
            if print_ in self.failed
        }
        waits = ""
        if run := self.running.get(name):
            cell = f"cell {run.cell} of {run.cells}" if run.cell else "its kernel starts"
            waits = f"Running{_how(run.build)}: {cell}."
        elif name in shown.awaited and name not in failed:
            waits = "Waits for its run."
        problems = [self.trouble, failed.get(name, ""), *self.warnings.get(name, [])]
        problems += self.warnings.get("", [])
        bad = {page for page, said in self.warnings.items() if page and said} | set(failed)
        return {
            "state": shown.digests.get(path, "") if shown.digests else None,
            "waits": waits,
            "problems": [problem for problem in problems if problem],
            "others": sorted(bad - {name}),
        }

    def _short(self, path: Path) -> str:
        with suppress(ValueError):
            return path.relative_to(self.project.root).as_posix()
        return str(path)


def _how(build: Build) -> str:
    return " for one epoch" if build.profile == "smoke" else ""
