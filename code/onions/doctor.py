"""Hold a build against the reference runs: what is a surprise, and what may be why."""

from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode

from onions.claims import KEY
from onions.fingerprint import Build, code, versions
from onions.pages import Project
from onions.reference import Reference, Spread
from onions.status import states
from onions.store import Store, measures

MOST_CAUSES = 4
CODE = "its code changed since the reference runs"


def findings(project: Project, build: Build) -> Iterator[str]:
    """Yield what does not agree with the reference runs, in words with the likely cause, by page.

    A page that is stale, or that no reference run knows, is named as well. Raises PageError,
    LockError or StoreError where that can't be told.
    """
    store, reference = Store(project.store), Reference(project)
    for state in states(project, build):
        if not state.page.lesson.get("reference"):
            continue
        name = state.page.name
        entry = store.read(state.fingerprint) if state.fresh else None
        runs = [one for one in reference.of(build.source.name) if name in one["pages"]]
        if entry is None:
            yield f"{name}: not executed as it stands. Run `onions execute`."
        elif not runs:
            yield (
                f"{name}: there are no reference runs with {build.source.name}. Run "
                "`onions reference`."
            )
        else:
            wrong = list(_surprises(entry, reference, build.source.name))
            causes = _causes(entry.metadata[KEY], runs)
            if wrong:
                why = "; ".join(causes[:MOST_CAUSES]) or "nothing else differs; is it the code?"
                yield "\n  ".join([f"{name}: a surprise; likely cause: {why}", *wrong])
            elif causes and causes[0] == CODE:
                yield f"{name}: {CODE}. Run `onions reference`."


def _surprises(entry: NotebookNode, reference: Reference, data: str) -> Iterator[str]:
    page = entry.metadata[KEY]["page"]
    for _, measure in measures(entry):
        name, value = measure["name"], measure["value"]
        spread = reference.spread(data, page, name)
        if spread is None or isinstance(value, str):
            known = set(reference.values(data, page, name))
            if not known:
                yield f"{name} = {value}, in the reference runs missing"
            # What differs between the reference runs may differ here, too.
            elif len(known) == 1 and value not in known:
                yield f"{name} = {value}, in all reference runs {known.pop()}"
        elif not spread.normal(value):
            yield f"{name} = {value:.4g}, {_range(spread)}"


def _range(spread: Spread) -> str:
    low, high = spread.values[0], spread.values[-1]
    return f"in {len(spread.values)} reference runs {low:.4g} to {high:.4g}"


def _causes(facts: dict[str, Any], runs: list[dict[str, Any]]) -> list[str]:
    """Return in what a run differs from the nearest set of reference runs, the likeliest first."""
    return min((_differences(facts, one) for one in runs), key=len)


def _differences(facts: dict[str, Any], one: dict[str, Any]) -> list[str]:
    build, parts = facts["build"], facts["components"]
    found = []
    if one["pages"][facts["page"]]["code"] != code(parts):
        found.append(CODE)
    if build["profile"] != "full":
        found.append(f"profile {build['profile']}, not full")
    if build["source"]["identity"] != one["data identity"]:
        found.append("other images under the same name")
    for name, value in (("backend", build["backend"]), ("device", facts["device"])):
        if value != one[name]:
            found.append(f"{name} {value}, not {one[name]}")
    for name, version in (versions(parts) | {"python": facts["python"]}).items():
        if version != one["versions"].get(name):
            found.append(f"{name} {version}, not {one['versions'].get(name, 'used')}")
    return found
