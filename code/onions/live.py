"""`onions live`: the book in a browser, kept up with its files while somebody writes.

A change of a file is a new preview (`onions.preview`), about a second later. Pages that await their
run are shown with the outputs of the last one, and run in processes of their own meanwhile, each
until it ends or its page changes again. Tabs follow: each reloads when its page has changed, and
says what runs and what went wrong.
"""

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from html import escape
from http import HTTPStatus
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from watchfiles import watch

from onions.fingerprint import Build
from onions.pages import Project
from onions.preview import LIVE, Preview, Warm, digest
from onions.serve import Pages, served
from onions.site import PACKAGE, renders_with
from onions.store import Store

SCRIPT = PACKAGE / "extension" / "scripts" / "live.js"
OURS = "-/"  # below this path is what only the preview has
HEARTBEAT = 15.0  # seconds after which a tab that has left is noticed
Say = Callable[[str], None]


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


class Board:
    """What the tabs are told: one text of JSON for each page, whenever it changes."""

    def __init__(self) -> None:
        self._news = Condition()
        self._tell: Callable[[str], dict[str, Any]] = lambda page: {}

    def show(self, tell: Callable[[str], dict[str, Any]]) -> None:
        """Tell each tab what `tell` returns for the path of its page, as in ``setup.html``."""
        with self._news:
            self._tell = tell
            self._news.notify_all()

    def follow(self, page: str) -> Iterator[str]:
        """Yield what is told of a page, whenever that changes; nothing new is an empty text."""
        before = ""
        while True:
            with self._news:
                now = json.dumps(self._tell(page))
                if now == before:
                    self._news.wait(HEARTBEAT)
                    now = json.dumps(self._tell(page))
            yield now if now != before else ""
            before = now


class Tab(Pages):
    """Answers as GitHub Pages would, and adds to each page the script that follows the board."""

    caching = "no-store"

    def __init__(self, board: Board, *given: Any) -> None:
        self.board = board
        super().__init__(*given)

    def do_GET(self) -> None:
        """Answer a request."""
        url = urlsplit(self.path)
        if url.path == f"/{OURS}live.js":
            self.answer(HTTPStatus.OK, SCRIPT.read_bytes(), ".js")
        elif url.path == f"/{OURS}events":
            with suppress(OSError):  # the tab has left
                self._follow(*parse_qs(url.query).get("page", ["index.html"]))
        else:
            super().do_GET()

    def answer(
        self, status: HTTPStatus, body: bytes, suffix: str = ".html", **headers: str
    ) -> None:
        """Send an answer; a page with the script, which knows which state of the page it is in."""
        if suffix == ".html":
            name = urlsplit(self.path).path.lstrip("/") or "index.html"
            state = digest(body) if status == HTTPStatus.OK else ""
            body = (
                body or b"<!doctype html><title>No page yet</title><h1>There is no page here</h1>"
            )
            script = (
                f'<script src="/{OURS}live.js" data-page="{escape(name)}" data-state="{state}">'
            )
            body = body.replace(b"</body>", b"", 1) + f"{script}</script></body>".encode()
        super().answer(status, body, suffix, **headers)

    def _follow(self, page: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for text in self.board.follow(page):
            self.wfile.write(f"data: {text}\n\n".encode() if text else b":\n\n")


@dataclass
class Run:
    """A page that runs in a process of its own: `cell` of `cells`, from 1 once the first runs."""

    page: str
    fingerprint: str
    build: Build
    slot: int
    process: BaseProcess
    cell: int = 0
    cells: int = 0


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
            match self.news.get():
                case "changed", paths:
                    self._changed(paths)
                case "previewed", preview:
                    self._previewed(preview)
                    if address and not self.rendering:
                        self.say(f"Open {address} – Ctrl-C ends it.")
                        address = ""
                case "cell", run, cell, cells:
                    run.cell, run.cells = cell, cells
                case "ran", run, seconds, trouble:
                    self._ran(run, seconds, trouble)
            self._start_runs()
            self.board.show(self._tell)

    def close(self) -> None:
        """End everything that was started."""
        self.ended.set()
        for run in self.running.values():
            run.process.terminate()
        for run in self.running.values():
            run.process.join()
        self.warm.stop()

    def _watch(self, folder: Path, recursive: bool) -> None:
        for changes in watch(folder, recursive=recursive, stop_event=self.ended):
            self.news.put(("changed", sorted({Path(path) for _, path in changes})))

    def _changed(self, paths: list[Path]) -> None:
        settings = {self.project.root / name for name in ("_config.yml", "_toc.yml")}
        settings.add(self.project.lock)
        paths = [p for p in paths if p in settings or (p.parent != self.project.root and p.suffix)]
        if not paths:
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
                run.process.terminate()
                del self.running[page]
                self.say(f"{page}: it changed, so its run was ended")
        waiting = [page for page in awaited if self._next(page) and page not in self.running]
        order = {page: number for number, page in enumerate(self.edited)}
        waiting.sort(key=lambda page: order.get(page, len(order)))
        slots = set(range(_jobs())) - {run.slot for run in self.running.values()}
        for page, slot in zip(waiting, slots, strict=False):
            self._start(page, slot)

    def _next(self, page: str) -> tuple[str, Build] | None:
        """Return the run that a page awaits next; none once one has failed."""
        runs = self.shown.awaited[page] if self.shown else {}
        if any(print_ in self.failed for print_ in runs):
            return None
        store = Store(self.project.store)
        return next(((p, build) for p, build in runs.items() if not store.path(p).exists()), None)

    def _start(self, page: str, slot: int) -> None:
        print_, build = self._next(page) or ("", self.builds[-1])
        ours, theirs = get_context("spawn").Pipe(duplex=False)
        arguments = self.project, page, print_, build, slot, theirs
        process = get_context("spawn").Process(target=_run, args=arguments)
        run = self.running[page] = Run(page, print_, build, slot, process)
        process.start()
        theirs.close()
        self.say(f"{page}: runs{_how(build)} …")

        def listen() -> None:
            with suppress(EOFError):
                while True:
                    what, *facts = ours.recv()
                    self.news.put((what, run, *facts))
            process.join()
            self.news.put(("ran", run, 0.0, "The process that ran it was killed."))

        Thread(target=listen, daemon=True).start()

    def _ran(self, run: Run, seconds: float, trouble: str) -> None:
        if self.running.get(run.page) is not run:
            return  # it was ended
        del self.running[run.page]
        if trouble:
            self.failed[run.fingerprint] = trouble
            self.say(f"\n{run.page} failed; the last good outputs stay.\n{trouble}\n")
        else:
            self.say(f"{run.page}: executed{_how(run.build)} in {seconds:.0f} s")
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


def _jobs() -> int:
    """Return how many pages may run at once; 1 where nothing can run, which the run then says."""
    try:
        from onions.pool import default_jobs
    except ImportError:
        return 1
    return default_jobs()


def _run(
    project: Project, name: str, print_: str, build: Build, slot: int, connection: Connection
) -> None:
    """Run a page in this process; send each cell, and in the end the seconds or the trouble."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that listens
    signal.signal(signal.SIGTERM, _end_quietly)
    try:
        seconds, trouble = _execute(project, name, print_, build, slot, connection), ""
    except Exception as error:
        seconds, trouble = 0.0, str(error)
    with suppress(OSError):
        connection.send(("ran", seconds, trouble))


def _end_quietly(number: int, frame: object) -> None:
    """End this process; what asyncio then says of tasks that did not end helps nobody."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(1)


def _execute(
    project: Project, name: str, print_: str, build: Build, slot: int, connection: Connection
) -> float:
    """Run a page and keep it; return its seconds. Raises what went wrong."""
    try:
        from onions.execute import check_environment, keep_page, run_page
        from onions.pool import Kernels, default_jobs, share
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

    def on_cell(index: int) -> None:
        connection.send(("cell", index + 1, cells))

    try:
        ran = run_page(state, project, on_cell, share(slot, default_jobs()), kernels)
    except BaseException:
        kernels.stop()
        raise
    keep_page(ran, state, project)
    return ran.seconds
