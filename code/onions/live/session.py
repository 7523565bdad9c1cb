"""`onions live`: the book in a browser, updated with every edit.

A changed file starts a new preview (`onions.live.preview`), which takes about a second. A pending
page shows the outputs of its last run while a separate process runs it; a change of its fingerprint
cancels the run. Each open tab reloads when its page changes, and shows progress and errors.
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

from onions.base.files import PARTIAL_SUFFIX
from onions.base.imports import PACKAGE
from onions.book.project import Project
from onions.live.page_process import PageProcess, job_slots
from onions.live.preview import LIVE_FOLDER, Preview, RenderProcess
from onions.live.server import EventChannel, LiveHandler
from onions.site.serve import serve_folder
from onions.site.sphinx_build import renderer_sources
from onions.store.build import Build
from onions.store.entries import Store

WAKE_SECONDS = 1.0  # between the main thread's checks for a Ctrl-C


def serve_live(
    project: Project, builds: list[Build], *, port: int, notify: Callable[[str], None]
) -> None:
    """Serve the book until interrupted, on `port` of this machine (0: any free port).

    `builds` are as in `onions.live.preview.render_preview`; `notify` gets a line about every event.
    Raises OSError if the port is taken.
    """
    site = project.build / LIVE_FOLDER / "html"
    site.mkdir(parents=True, exist_ok=True)
    channel = EventChannel()
    session = LiveSession(project, builds, channel, notify)
    with serve_folder(site, "/", handler=partial(LiveHandler, channel), port=port) as address:
        try:
            session.run(address)
        finally:
            session.close()


@dataclass
class LiveSession:
    """The main loop, which handles one event at a time, and its state."""

    project: Project
    builds: list[Build]
    channel: EventChannel
    notify: Callable[[str], None]
    events: "SimpleQueue[tuple[Any, ...]]" = field(default_factory=SimpleQueue)
    renderer: RenderProcess = field(default_factory=RenderProcess)
    ended: Event = field(default_factory=Event)
    preview: Preview | None = None  # the last good preview; a failed preview if there is none
    error: str = ""  # of the last preview, empty if it succeeded
    last_runs: dict[str, str] = field(default_factory=dict)  # fingerprints by page
    read: set[str] = field(default_factory=set)  # pages that Sphinx read since the last report
    written: set[str] = field(default_factory=set)  # pages that it wrote since then; "" for others
    warnings: dict[str, list[str]] = field(default_factory=dict)  # by page
    failed: dict[str, str] = field(default_factory=dict)  # error messages by fingerprint
    running: dict[str, PageProcess] = field(default_factory=dict)  # by page
    edited: list[str] = field(default_factory=list)  # pages, the most recently edited first
    rendering_since: float = 0.0  # seconds of the monotonic clock; 0 if nothing is rendering
    watched: set[Path] = field(default_factory=set)  # folders
    outdated: bool = True  # whether something changed since the last preview started

    def run(self, address: str) -> None:
        """Handle events until interrupted; announce `address` once the first preview is ready."""
        self.notify("Rendering the book …")
        latest = Store(self.project.store).latest_runs()
        self.last_runs = {page: facts["fingerprint"] for page, facts in latest.items()}
        for folder in (self.project.book, PACKAGE, self.project.root):
            self._watch_folder(folder)
        self._render()
        while True:
            match self._next_event():
                case "changed", paths:
                    self._on_changed(paths)
                case "previewed", preview:
                    self._on_previewed(preview)
                    if address and not self.rendering_since:
                        self.notify(f"Open {address} – Ctrl-C stops the preview.")
                        address = ""
                case "ran", process, True:
                    self._on_run_ended(process)
            self._start_runs()
            pages = self.preview.digests if self.preview else {}
            self.channel.publish({page: self._tab_event(page) for page in ["", *pages]})

    def close(self) -> None:
        """Stop all processes and threads."""
        self.ended.set()
        for process in self.running.values():
            process.stop()
        self.renderer.stop()

    def _next_event(self) -> tuple[Any, ...]:
        while True:
            with suppress(Empty):
                # Without a timeout, a Ctrl-C just before the wait would go unnoticed.
                return self.events.get(timeout=WAKE_SECONDS)

    def _watch_folder(self, folder: Path) -> None:
        """Watch a folder, unless it is watched already; those of pages and code with all below."""
        recursive = (self.project.book, PACKAGE)
        if folder in self.watched or any(
            folder.is_relative_to(top) for top in recursive if top in self.watched
        ):
            return
        self.watched.add(folder)

        def report_changes() -> None:
            for changes in watch(folder, recursive=folder in recursive, stop_event=self.ended):
                self.events.put(("changed", sorted({Path(path) for _, path in changes})))

        Thread(target=report_changes, daemon=True).start()

    def _on_changed(self, changed: list[Path]) -> None:
        paths = [path for path in changed if self._can_change_preview(path)]
        if not paths:
            return
        self.notify(f"Changed: {', '.join(map(self._relative, paths))}")
        for path in paths:
            name = self._relative(path).removeprefix("book/").removesuffix(".md")
            self.edited = [name, *(other for other in self.edited if other != name)]
            if self.preview:  # saving a failed page runs it again
                for fingerprint in self.preview.pending.get(name, ()):
                    self.failed.pop(fingerprint, None)
        if set(paths) & set(renderer_sources()):
            self.renderer.stop()
            self.renderer = RenderProcess()
        self.outdated = True
        self._render()

    def _can_change_preview(self, path: Path) -> bool:
        if self.preview and path in self.preview.files:
            return True
        if any(path.is_relative_to(folder) for folder in (self.project.book, PACKAGE)):
            return path.suffix not in ("", PARTIAL_SUFFIX)
        return path in (self.project.lock, self.project.config, self.project.toc)

    def _render(self) -> None:
        """Start a preview, unless one is running or nothing changed."""
        if self.rendering_since or not self.outdated:
            return
        self.rendering_since, self.outdated = time.monotonic(), False
        arguments = self.project, self.builds, dict(self.last_runs)

        def wait(renderer: RenderProcess) -> None:
            self.events.put(("previewed", renderer.preview(*arguments)))

        Thread(target=wait, args=(self.renderer,), daemon=True).start()

    def _on_previewed(self, preview: Preview) -> None:
        seconds, self.rendering_since = time.monotonic() - self.rendering_since, 0.0
        if not preview.error:  # Sphinx repeats neither in the next preview
            self.read |= set(preview.read)
            self.written |= preview.warnings.keys()
            self.warnings |= preview.warnings
        if self.outdated:  # a file changed since this preview started
            self._render()
            return
        if preview.error and preview.error != self.error:
            self.notify(f"Rendering failed; the last good pages stay.\n{preview.error}")
        self.error = preview.error
        if preview.error:
            self.preview = self.preview or preview
            return
        self.preview = preview
        self.last_runs |= preview.current
        for folder in {path.parent for path in preview.files if path.parent.is_dir()}:
            self._watch_folder(folder)
        present = {"", *(path.removesuffix(".html") for path in preview.digests)}
        self.warnings = {page: lines for page, lines in self.warnings.items() if page in present}
        read = sorted(self.read & present)
        self.notify(f"Rendered in {seconds:.1f} s: {', '.join(read) or 'nothing changed'}.")
        for page in sorted(self.written & present):
            for warning in self.warnings[page]:
                self.notify(warning)
        self.read.clear()
        self.written.clear()

    def _start_runs(self) -> None:
        """Start pending runs, the most recently edited page first; cancel obsolete runs."""
        pending = self.preview.pending if self.preview else {}
        for page, process in list(self.running.items()):
            if process.fingerprint not in pending.get(page, ()):
                process.stop()
                del self.running[page]
                self.notify(f"{page}: run cancelled")
        order = {page: number for number, page in enumerate(self.edited)}
        waiting = [page for page in pending if page not in self.running]
        waiting.sort(key=lambda page: order.get(page, len(order)))
        runs = [(page, *run) for page in waiting for run in self._next_run(pending[page])]
        free_slots = set(range(job_slots())) - {process.slot for process in self.running.values()}
        for (page, fingerprint, build), slot in zip(runs, free_slots, strict=False):
            self.notify(f"{page}: running{_quick(build)} …")
            self.running[page] = PageProcess(
                self.project, page, fingerprint, build, slot, self._on_run_changed
            )

    def _next_run(self, runs: dict[str, Build]) -> list[tuple[str, Build]]:
        """Return a page's next run in a list, which is empty if no run is pending or one failed."""
        if runs.keys() & self.failed.keys():
            return []
        store = Store(self.project.store)
        return [run for run in runs.items() if not store.path(run[0]).exists()][:1]

    def _on_run_changed(self, process: PageProcess, ended: bool) -> None:
        self.events.put(("ran", process, ended))

    def _on_run_ended(self, process: PageProcess) -> None:
        if self.running.get(process.page) is not process:
            return  # it was cancelled
        del self.running[process.page]
        if process.error:
            self.failed[process.fingerprint] = process.error
            self.notify(f"\n{process.page} failed; the last good outputs stay.\n{process.error}\n")
        else:
            quick = _quick(process.build)
            self.notify(f"{process.page}: executed{quick} in {process.seconds:.0f} s")
            self.outdated = True
            self._render()

    def _tab_event(self, path: str) -> dict[str, Any]:
        """Return the event for a page's tab: the page's digest, pending run and problems.

        The digest is None before the first preview. `others` are other pages with problems.
        """
        name = path.removesuffix(".html")
        preview = self.preview or Preview()
        failed = {
            page: self.failed[fingerprint]
            for page, runs in preview.pending.items()
            for fingerprint in runs
            if fingerprint in self.failed
        }
        waits = ""
        if process := self.running.get(name):
            cell = (
                f"cell {process.cell} of {process.cells}" if process.cell else "starting the kernel"
            )
            waits = f"Running{_quick(process.build)}: {cell}."
        elif name in preview.pending and name not in failed:
            waits = "Waiting to run."
        problems = [self.error, failed.get(name, ""), *self.warnings.get(name, [])]
        problems += self.warnings.get("", []) if name else []
        pages_with_problems = {page for page, lines in self.warnings.items() if page and lines}
        return {
            "state": preview.digests.get(path, "") if preview.digests else None,
            "waits": waits,
            "problems": [problem for problem in problems if problem],
            "others": sorted((pages_with_problems | set(failed)) - {name}),
        }

    def _relative(self, path: Path) -> str:
        with suppress(ValueError):
            return path.relative_to(self.project.root).as_posix()
        return str(path)


def _quick(build: Build) -> str:
    return " for one epoch" if build.profile == "smoke" else ""
