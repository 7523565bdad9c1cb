"""Compare a build with the reference runs: its deviations and their likely causes."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from nbformat import NotebookNode

from onions.book.project import Project
from onions.book.reference import PageRuns, ReferenceRuns
from onions.book.verdict import Verdict, judge
from onions.claims import KEY, Value
from onions.images.sources import Source
from onions.store.build import Build
from onions.store.entries import Store, measure_values
from onions.store.fingerprint import code_hash
from onions.store.status import component_changes, page_states

MAX_CAUSES = 4
CODE_CHANGED = "its code changed since the reference runs"


class Deviation(NamedTuple):
    """What is to say about a page.

    `fails` is True if it is stale, or different from runs with the same code and images.
    """

    message: str
    fails: bool


def deviations(project: Project, build: Build) -> Iterator[Deviation]:
    """Yield the pages whose run is not as the reference runs lead one to expect.

    Only pages with reference runs are compared. Also yield such a page if it is stale, has no runs
    with the build's data, or has changed code. Raises PageError, LockError or StoreError if the
    pages can't be compared.
    """
    store, reference = Store(project.store), ReferenceRuns(project)
    for state in page_states(project, build):
        if state.page.lesson.get("reference"):
            entry = store.read(state.fingerprint) if state.fresh else None
            message, fails = _judged(state.page.name, entry, build.source, reference)
            if message:
                yield Deviation(f"{state.page.name}: {message}", fails)


def _judged(
    page: str, entry: NotebookNode | None, source: Source, reference: ReferenceRuns
) -> tuple[str, bool]:
    """Return how a page's run differs, and whether that fails; "" if it is as expected."""
    if entry is None:
        return "stale. Run `onions execute`.", True
    facts, values = entry.metadata[KEY], measure_values(entry)
    runs = reference.runs(source, page, facts["device kind"])
    if runs is None:
        return f"no reference runs with {source.short_name}. Run `onions reference`.", False
    verdict, causes = judge(values, runs), _differences(facts, runs)
    if verdict.grade == 0:
        changed = CODE_CHANGED in causes
        return f"{CODE_CHANGED}. Run `onions reference`." if changed else "", False
    outside = [_describe(name, values[name], runs, verdict) for name in verdict.outside()]
    if verdict.grade == 1 and CODE_CHANGED not in causes:
        return "\n  ".join(["unusual, as fewer than 1 in 100 runs", *outside]), False
    cause = (
        "; ".join(causes[:MAX_CAUSES])
        or "unknown (code, data, profile, device and versions are the same)"
    )
    same = CODE_CHANGED not in causes and runs.facts["data identity"] == source.identity
    return "\n  ".join([f"something is different; likely cause: {cause}", *outside]), same


def _describe(name: str, value: Value, runs: PageRuns, verdict: Verdict) -> str:
    """Return a measure's value and where it is expected."""
    spread = runs.spread(name)
    if spread is None or spread.constant or isinstance(value, str):
        return f"{name} = {value}, but {runs.values(name)[0]} in all reference runs"
    low, high = spread.interval(verdict.limit)
    expected = f"{low:.4g} to {high:.4g} by {len(spread.values)} reference runs"
    return f"{name} = {value:.4g}, expected {expected}"


def _differences(facts: dict[str, Any], runs: PageRuns) -> list[str]:
    """Return how a page's run differs from its reference runs, the likeliest cause first."""
    build, components, reference = facts["build"], facts["components"], runs.facts
    differences = []
    if runs.code != code_hash(components):
        differences.append(CODE_CHANGED)
    if build["profile"] != "full":
        differences.append(f"profile {build['profile']}, not full")
    if build["source"]["identity"] != reference["data identity"]:
        differences.append("other images of the same name")
    if facts["device kind"] != reference["device"]:
        differences.append(f"a {facts['device kind']}, not a {reference['device']}")
    known = runs.results["versions"]
    for name, version in (components["packages"] | {"python": facts["python"]}).items():
        if version != known.get(name):
            differences.append(
                f"{name} {version}, not {known.get(name, 'used by the reference runs')}"
            )
    dependencies = {n: version for n, version in components["dependencies"].items() if n in known}
    differences += component_changes(
        {"dependencies": {name: known[name] for name in dependencies}},
        {"dependencies": dependencies},
    )
    return differences
