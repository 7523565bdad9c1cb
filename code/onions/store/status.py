"""The state of each page: fresh, or stale with reasons."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from onions.base.text import format_count
from onions.book.page import Page
from onions.book.project import Project
from onions.claims import KEY
from onions.store.build import Build, StoreError
from onions.store.entries import Store
from onions.store.fingerprint import NON_PACKAGES, FingerprintCache, components, package_versions

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
        """The page's name, with the seed offset of a reference run."""
        offset = self.build.seed_offset
        return f"{self.page.name} (seed +{offset})" if offset else self.page.name


def page_states(project: Project, build: Build) -> list[PageState]:
    """Return the state of every page with code, in the order of the table of contents.

    Raises PageError or LockError if a fingerprint can't be computed.
    """
    fingerprints, store = FingerprintCache(project, build), Store(project.store)
    pages = [(page, fingerprints.get(page)) for page in project.pages()]
    fingerprints.save()
    current = {fingerprint for _, fingerprint in pages}
    # This reads all other entries, so it is called only if a page is stale.
    latest = cache(lambda: store.latest_runs(build.seed_offset, exclude=current))
    return [
        _page_state(PageState(page, build, fingerprint), project, store, latest)
        for page, fingerprint in pages
        if fingerprint
    ]


def reference_states(project: Project, build: Build, seeds: int) -> list[PageState]:
    """Return the states of pages with reference runs, for each seed offset from 1 to `seeds`."""
    builds = [replace(build, seed_offset=offset) for offset in range(1, seeds + 1)]
    states = [state for build in builds for state in page_states(project, build)]
    return [state for state in states if state.page.lesson.get("reference")]


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


def component_changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Describe each component that differs between two runs: first those of NON_PACKAGES."""
    packages = package_versions(before) | package_versions(after)
    changes = []
    for name in dict.fromkeys([*NON_PACKAGES, *after, *before]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name == "data" and old and new:
            old_name, new_name = (part.partition(" ")[0] for part in (old, new))
            changes.append(
                "data changed" if old_name == new_name else f"data {old_name} → {new_name}"
            )
        elif name in packages or name in ("python", "profile"):
            changes.append(f"{name} {old or 'not used'} → {new or 'not used'}")
        elif old is None or new is None:
            changes.append(f"{name} {'is new' if old is None else 'is gone'}")
        else:
            changes.append(f"{name} changed")
    return changes


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
