"""Compare a build with the reference runs: its deviations and their likely causes."""

from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode

from onions.book.project import Project
from onions.book.reference import ReferenceRuns, Spread
from onions.claims import KEY
from onions.images.sources import Source
from onions.store.build import Build
from onions.store.entries import Store, measures
from onions.store.fingerprint import code_hash
from onions.store.status import component_changes, page_states

MAX_CAUSES = 4
CODE_CHANGED = "its code changed since the reference runs"


def deviations(project: Project, build: Build) -> Iterator[str]:
    """Yield a message for each page that deviates from the reference runs, with the likely causes.

    Only pages with `reference: true` are compared. Also yield a message if one of these pages is
    stale, has no reference runs with the build's data, or has changed code. Raises PageError,
    LockError or StoreError if the pages can't be compared.
    """
    store, reference = Store(project.store), ReferenceRuns(project)
    for state in page_states(project, build):
        if state.page.lesson.get("reference"):
            entry = store.read(state.fingerprint) if state.fresh else None
            if message := _message(state.page.name, entry, build.source, reference):
                yield f"{state.page.name}: {message}"


def _message(
    page: str, entry: NotebookNode | None, source: Source, reference: ReferenceRuns
) -> str:
    """Return how a page's run deviates from the reference runs; "" if it does not."""
    sets = [runs for runs in reference.with_data(source) if page in runs["pages"]]
    if entry is None:
        return "stale. Run `onions execute`."
    if not sets:
        return f"no reference runs with {source.short_name}. Run `onions reference`."
    causes = _causes(page, entry.metadata[KEY], sets)
    if deviating := list(_deviating_measures(page, entry, reference, source)):
        cause = (
            "; ".join(causes[:MAX_CAUSES])
            or "unknown (code, data, profile, device and versions are the same)"
        )
        return "\n  ".join([f"deviates; likely cause: {cause}", *deviating])
    return f"{CODE_CHANGED}. Run `onions reference`." if CODE_CHANGED in causes[:1] else ""


def _deviating_measures(
    page: str, entry: NotebookNode, reference: ReferenceRuns, source: Source
) -> Iterator[str]:
    """Yield each measure outside the spread of the page's reference runs, with that spread."""
    for _, measure in measures(entry):
        name, value = measure["name"], measure["value"]
        spread = reference.spread(source, page, name)
        if spread is None or isinstance(value, str):
            values = set(reference.values(source, page, name))
            if not values:
                yield f"{name} = {value}, but missing in the reference runs"
            # A word that varies among the reference runs may have any value here.
            elif len(values) == 1 and value not in values:
                yield f"{name} = {value}, but {values.pop()} in all reference runs"
        elif not spread.normal(value):
            yield f"{name} = {value:.4g}, but {_range(spread)}"


def _range(spread: Spread) -> str:
    low, high = spread.values[0], spread.values[-1]
    return f"{low:.4g} to {high:.4g} in {len(spread.values)} reference runs"


def _causes(page: str, facts: dict[str, Any], sets: list[dict[str, Any]]) -> list[str]:
    """Return how a run differs from the most similar reference runs, the likeliest cause first."""
    return min((_differences(page, facts, runs) for runs in sets), key=len)


def _differences(page: str, facts: dict[str, Any], runs: dict[str, Any]) -> list[str]:
    """Return the differences between the facts of a page's run and one set of reference runs."""
    build, components = facts["build"], facts["components"]
    differences = []
    if runs["pages"][page]["code"] != code_hash(components):
        differences.append(CODE_CHANGED)
    if build["profile"] != "full":
        differences.append(f"profile {build['profile']}, not full")
    if build["source"]["identity"] != runs["data identity"]:
        differences.append("other images of the same name")
    if facts["device"] != runs["device"]:
        differences.append(f"device {facts['device']}, not {runs['device']}")
    known = runs["versions"]
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
