"""Which pages run when, and on which machine where several share the work."""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from onions.files import write_whole
from onions.status import State

PLAN = "plan.json"


def expected_seconds(state: State) -> float:
    """Return how long a page will take: as long as last time in this profile, or a guess."""
    if state.facts and state.facts["build"]["profile"] == state.build.profile:
        return float(state.facts["seconds"])
    epochs = sum(
        int(number)
        for cell in state.page.cells
        for number in re.findall(r"\bepochs=(\d+)", cell.source)
    )
    return 3.0 + epochs


def longest_first(stale: Iterable[State]) -> list[State]:
    """Return pages in the order to start them, so that none is left over at the end."""
    return sorted(stale, key=expected_seconds, reverse=True)


def shards(stale: list[State], number: int, folder: Path) -> list[list[State]]:
    """Deal stale pages out to `number` machines, so that all take about as long.

    The plan is kept in the store's `folder` and holds for as long as every stale page is in it:
    a machine that goes on after an interruption, with other seconds known by then, still runs its
    own pages.
    """
    path = folder / PLAN
    dealt = _kept(path)
    known = {key for shard in dealt for key in shard}
    if len(dealt) != number or not known.issuperset(map(_key, stale)):
        dealt = _deal(stale, number)
        write_whole(path, json.dumps(dealt, indent=1) + "\n")
    by_key = {_key(state): state for state in stale}
    return [[by_key[key] for key in shard if key in by_key] for shard in dealt]


def _deal(stale: list[State], number: int) -> list[list[str]]:
    """Give each page, the longest first, to whoever has the least to do."""
    dealt: list[list[str]] = [[] for _ in range(number)]
    seconds = [0.0] * number
    for state in longest_first(stale):
        least = seconds.index(min(seconds))
        dealt[least].append(_key(state))
        seconds[least] += expected_seconds(state)
    return dealt


def _key(state: State) -> str:
    return f"{state.page.name} {state.fingerprint}"


def _kept(path: Path) -> list[list[str]]:
    with suppress(OSError, ValueError, TypeError):
        return [[str(key) for key in shard] for shard in json.loads(path.read_text("utf-8"))]
    return []
