"""The state of each page: fresh, or stale with reasons."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from onions.base.text import format_count
from onions.book.page import Page
from onions.book.project import Project
from onions.book.reference import Run
from onions.claims import KEY
from onions.images.sources import Source
from onions.store.build import Build, StoreError
from onions.store.entries import Store
from onions.store.fingerprint import (
    Components,
    FingerprintCache,
    components,
    fingerprint,
)

MAX_REASONS = 4


@dataclass(frozen=True)
class PageState:
    """A page with code: stale if it has `reasons`.

    `last_run` holds the facts of its last run; it is empty if the store has none.
    """

    page: Page
    build: Build
    fingerprint: str
    reasons: list[str] = field(default_factory=list)
    last_run: dict[str, Any] = field(default_factory=dict)

    @property
    def fresh(self) -> bool:
        """Whether the store holds a run of the page in its present state."""
        return not self.reasons

    @property
    def name(self) -> str:
        """The page's name, with the seed offset and the images of a reference run."""
        offset, images = self.build.seed_offset, self.build.images
        others = f", other images {images}" if images else ""
        return f"{self.page.name} (seed +{offset}{others})" if offset else self.page.name


def page_states(
    project: Project, build: Build, pages: Iterable[Page] | None = None
) -> list[PageState]:
    """Return the state of every page with code, in the order of the table of contents.

    `pages` limits them. Raises PageError or LockError if a fingerprint can't be computed.
    """
    fingerprints, store = FingerprintCache(project, build), Store(project.store)
    pages = project.pages() if pages is None else pages
    hashed = [(page, fingerprints.get(page)) for page in pages]
    fingerprints.save()
    current = {fingerprint for _, fingerprint in hashed}
    # This reads all other entries, so it is called only if a page is stale.
    latest = cache(lambda: store.latest_runs(build.seed_offset, exclude=current))
    return [
        _page_state(PageState(page, build, fingerprint), project, store, latest)
        for page, fingerprint in hashed
        if fingerprint
    ]


def reference_states(
    project: Project, build: Build, planned: Mapping[Page, Collection[Run]]
) -> list[PageState]:
    """Return the states of the `planned` reference runs of each page."""
    states: list[PageState] = []
    for seed, images in sorted({run for runs in planned.values() for run in runs}, key=_order):
        pages = [page for page, runs in planned.items() if (seed, images) in runs]
        states += page_states(project, replace(build, seed_offset=seed, images=images), pages)
    return states


def _order(run: Run) -> tuple[int, int]:
    return run[1], run[0]  # the lesson's own images first


def record_build(project: Project, build: Build, states: list[PageState]) -> None:
    """Write the build and its pages' fingerprints into the store, for render and comparisons."""
    build.write(project.store)
    Store(project.store).write_pages({state.page.name: state.fingerprint for state in states})


def used_fingerprints(project: Project, build: Build) -> set[str]:
    """Return the fingerprints of all pages in this build, and of all reference runs in the store.

    A reference run counts if its page is still the same, whatever its data and seed.
    """
    used = {state.fingerprint for state in page_states(project, build)}
    pages = {page.name: page for page in project.pages()}
    for facts in Store(project.store).facts(exclude=used):
        if facts["build"].get("seed_offset") and (page := pages.get(facts["page"])):
            with suppress(KeyError, TypeError):  # a build of another version
                source = Source(**facts["build"]["source"])
                other = Build(**{**facts["build"], "source": source})
                used.add(fingerprint(page, project, other))
    return used


def age(last_run: dict[str, Any]) -> str:
    """Return the age of a run, as in ``2 days ago``; an empty string if `last_run` is empty."""
    if not last_run:
        return ""
    since = datetime.now(UTC) - datetime.fromisoformat(last_run["executed"])
    minutes = since // timedelta(minutes=1)
    for size, unit in ((60 * 24, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            return f"{format_count(minutes // size, unit)} ago"
    return "now"


def component_changes(before: Components, after: Components) -> list[str]:
    """Describe each component that differs between two runs; dependencies are counted."""
    changes: list[str] = []
    for kind in ("facts", "cells", "exports", "modules"):
        changes += _describe_each(before.get(kind, {}), after.get(kind, {}))
    imported = {name for parts in (before, after) for name in parts.get("packages", {})}
    old, new = (
        {**parts.get("dependencies", {}), **parts.get("packages", {})} for parts in (before, after)
    )
    changes += _describe_each(*({n: v[n] for n in sorted(v) if n in imported} for v in (old, new)))
    others = sorted(n for n in {*old, *new} - imported if old.get(n) != new.get(n))
    if others:
        first = f"{others[0]} {_arrow(old.get(others[0]), new.get(others[0]))}"
        count = format_count(len(others) - 1, "other dependency", "other dependencies")
        changes.append(f"{first}, and {count}" if len(others) > 1 else first)
    return changes


def _describe_each(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """Yield a description of each component that differs."""
    for name in {**after, **before}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name == "data" and old and new:
            sources = [part.partition(" ")[0] for part in (old, new)]
            yield f"data {_arrow(*sources)}" if sources[0] != sources[1] else "data changed"
        elif _is_hash(old) or _is_hash(new):
            yield f"{name} {'changed' if old and new else 'is new' if new else 'is gone'}"
        else:
            yield f"{name} {_arrow(old, new)}"


def _arrow(old: str | None, new: str | None) -> str:
    return f"{old or 'not used'} → {new or 'not used'}"


def _is_hash(text: str | None) -> bool:
    return bool(re.fullmatch("[0-9a-f]{64}", text or ""))


def _page_state(
    state: PageState,
    project: Project,
    store: Store,
    latest: Callable[[], dict[str, dict[str, Any]]],
) -> PageState:
    """Complete a page's state from its entry; if it has none, from its last run."""
    page = state.page
    try:
        entry = store.read(state.fingerprint)
    except StoreError as error:
        return replace(state, reasons=[str(error)], last_run=latest().get(page.name, {}))
    if entry is not None:
        return replace(state, last_run=dict(entry.metadata[KEY]))
    last_run = latest().get(page.name)
    if last_run is None:
        return replace(state, reasons=["not in the store"])
    reasons = component_changes(last_run["components"], components(page, project, state.build))
    if len(reasons) > MAX_REASONS:
        reasons[MAX_REASONS:] = [f"and {len(reasons) - MAX_REASONS} more"]
    return replace(state, reasons=reasons, last_run=last_run)
