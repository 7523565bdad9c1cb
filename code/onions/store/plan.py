"""The order in which pages run, and their division into shards for several machines."""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from onions.base.files import write_atomic
from onions.base.locks import folder_lock
from onions.store.status import PageState

PLAN_FILE = "plan.json"


def expected_seconds(state: PageState) -> float:
    """Return the duration of a page's last run in this profile, or a guess from its epochs."""
    if state.last_run and state.last_run["build"]["profile"] == state.build.profile:
        return float(state.last_run["seconds"])
    epochs = sum(
        int(number)
        for cell in state.page.cells
        for number in re.findall(r"\bepochs=(\d+)", cell.source)
    )
    return 3.0 + epochs


def longest_first(stale: Iterable[PageState]) -> list[PageState]:
    """Return pages with the longest first, so no long page runs alone at the end."""
    return sorted(stale, key=expected_seconds, reverse=True)


def plan_shards(stale: list[PageState], count: int, store: Path) -> list[list[PageState]]:
    """Divide stale pages into `count` shards that take about the same time.

    The plan is saved in the folder `store`, and reused while it covers every stale page: a machine
    that resumes after an interruption runs its own shard, even if the expected times have changed.
    """
    path = store / PLAN_FILE
    plan = _read_plan(path)
    planned = {key for shard in plan for key in shard}
    if len(plan) != count or not planned.issuperset(map(_key, stale)):
        plan = _divide(stale, count)
        with folder_lock(store):
            write_atomic(path, json.dumps(plan, indent=1) + "\n")
    by_key = {_key(state): state for state in stale}
    return [[by_key[key] for key in shard if key in by_key] for shard in plan]


def _divide(stale: list[PageState], count: int) -> list[list[str]]:
    """Assign each page, the longest first, to the shard with the fewest seconds so far."""
    shards: list[list[str]] = [[] for _ in range(count)]
    seconds = [0.0] * count
    for state in longest_first(stale):
        shortest = seconds.index(min(seconds))
        shards[shortest].append(_key(state))
        seconds[shortest] += expected_seconds(state)
    return shards


def _key(state: PageState) -> str:
    return f"{state.page.name} {state.fingerprint}"


def _read_plan(path: Path) -> list[list[str]]:
    with suppress(OSError, ValueError, TypeError):
        return [[str(key) for key in shard] for shard in json.loads(path.read_text("utf-8"))]
    return []
