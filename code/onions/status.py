"""What is fresh, what is stale, and why."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from typing import Any

from packaging.utils import canonicalize_name

from onions import data
from onions.claims import KEY
from onions.fingerprint import (
    NO_PACKAGES,
    Build,
    Fingerprints,
    components,
    installed,
    versions,
)
from onions.pages import Page, Project
from onions.store import Store, StoreError

MOST_REASONS = 4


@dataclass(frozen=True)
class State:
    """A page that runs: fresh, or stale for the reasons in `why`; `facts` of its last run."""

    page: Page
    build: Build
    fingerprint: str
    why: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def fresh(self) -> bool:
        """Whether the store holds the page as it stands."""
        return not self.why

    @property
    def name(self) -> str:
        """The page's name; of a reference run with its seed."""
        offset = self.build.seed_offset
        return f"{self.page.name} (seed +{offset})" if offset else self.page.name


def last_build(project: Project) -> Build:
    """Return what the last execution ran with. Raises StoreError where there is none to read."""
    try:
        return Build.read(project)
    except FileNotFoundError as error:
        raise StoreError("nothing is executed yet. Run `onions execute`.") from error
    except ValueError as error:
        raise StoreError(str(error)) from error


def resolve(choice: str, profile: str, unlocked: bool, say: data.Say) -> Build:
    """Return what an execution with these choices would run with.

    `choice` is the value of ``ONIONS_DATA``; `say` gets a line about anything slow. Raises
    DataError where the data can't be had.
    """
    source = data.resolve(choice, say=say)
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    found = None
    if unlocked:  # listing what is installed takes longer than all the rest
        found = installed(sorted({canonicalize_name(d.name) for d in metadata.distributions()}))
    return Build(source, backend, profile, platform.python_version(), unlocked=found)


def states(project: Project, build: Build) -> list[State]:
    """Return the state of every page that runs, in the order of the table of contents.

    Raises PageError or LockError where a fingerprint can't be computed.
    """
    prints, store = Fingerprints(project, build), Store(project.store)
    found = [(page, prints.of(page)) for page in project.pages()]
    prints.remember()
    # Reads all other entries, so only when a page is stale.
    last = cache(lambda: store.latest(build.seed_offset, {print_ for _, print_ in found}))
    return [_state(page, print_, project, build, store, last) for page, print_ in found if print_]


def reference_states(project: Project, build: Build, seeds: int) -> list[State]:
    """Return the states of the pages that ask for reference runs, from so many other seeds."""
    builds = [replace(build, seed_offset=offset) for offset in range(1, seeds + 1)]
    found = [state for other in builds for state in states(project, other)]
    return [state for state in found if state.page.lesson.get("reference")]


def age(facts: dict[str, Any]) -> str:
    """Return how long ago a page was executed, in words; nothing where it never was."""
    if not facts:
        return ""
    minutes = (datetime.now(UTC) - datetime.fromisoformat(facts["executed"])) // timedelta(
        minutes=1
    )
    for size, name in ((60 * 24, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            number = minutes // size
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "now"


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Say what of a page's components changed between two runs."""
    packages = versions(before) | versions(now)
    reasons = []
    for name in dict.fromkeys([*NO_PACKAGES, *now, *before]):  # first what concerns every page
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name == "data" and old and new:
            names = [part.partition(" ")[0] for part in (old, new)]
            reasons.append("data changed" if names[0] == names[1] else f"data {' → '.join(names)}")
        elif name in packages or name in ("python", "backend", "profile"):
            reasons.append(f"{name} {old or 'not used'} → {new or 'not used'}")
        elif old is None or new is None:
            reasons.append(f"{name} {'is new' if old is None else 'is gone'}")
        else:
            reasons.append(f"{name} changed")
    return reasons


def _state(
    page: Page,
    print_: str,
    project: Project,
    build: Build,
    store: Store,
    last: Callable[[], dict[str, dict[str, Any]]],
) -> State:
    try:
        entry = store.read(print_)
    except StoreError as error:
        return State(page, build, print_, [str(error)], last().get(page.name, {}))
    if entry is not None:
        return State(page, build, print_, [], dict(entry.metadata[KEY]))
    before = last().get(page.name)
    if before is None:
        return State(page, build, print_, ["not in the store"])
    reasons = differences(before["components"], components(page, project, build))
    if len(reasons) > MOST_REASONS:
        reasons[MOST_REASONS:] = [f"and {len(reasons) - MOST_REASONS} more"]
    return State(page, build, print_, reasons, before)
