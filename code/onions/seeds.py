"""Make the reference runs: run pages from other seeds, and write down what came out."""

import json
from datetime import UTC, datetime
from typing import Any

from nbformat import NotebookNode

from onions.claims import KEY, Value
from onions.files import write_whole
from onions.fingerprint import Build, code, versions
from onions.pages import Project
from onions.reference import SET, Band, Reference
from onions.status import State, reference_states
from onions.store import Store, claims, measures, trainings


def write_reference(project: Project, build: Build, seeds: int) -> list[State]:
    """Put the finished runs into the book, in place of those with the same data and device.

    Return the runs that are missing; while there are any, nothing is written. Raises OSError.
    """
    found = reference_states(project, build, seeds)
    missing = [state for state in found if not state.fresh]
    if found and not missing:
        reference, new = Reference(project), _set(found, Store(project.store), build)
        kept = [one for one in reference.sets if [one[k] for k in SET] != [new[k] for k in SET]]
        sets = sorted([*kept, new], key=lambda one: [one[k] for k in SET])
        write_whole(reference.path, "[\n" + ",\n".join(map(_json, sets)) + "\n]\n")
    return missing


def _set(found: list[State], store: Store, build: Build) -> dict[str, Any]:
    """Return the set of runs with one build, each page's runs in the order of their seeds."""
    pages: dict[str, list[NotebookNode]] = {}
    for state in found:
        if entry := store.read(state.fingerprint):
            pages.setdefault(state.page.name, []).append(entry)
    facts = [entry.metadata[KEY] for entries in pages.values() for entry in entries]
    used = {name: found for fact in facts for name, found in versions(fact["components"]).items()}
    return {
        "data": build.source.name,
        "data identity": build.source.identity,
        "backend": build.backend,
        "device": "; ".join(sorted({fact["device"] for fact in facts})),
        "date": datetime.now(UTC).date().isoformat(),
        "seeds": max(state.build.seed_offset for state in found),
        "versions": dict(sorted(used.items())) | {"python": build.python},
        "pages": {page: _page(entries) for page, entries in sorted(pages.items())},
    }


def _page(entries: list[NotebookNode]) -> dict[str, Any]:
    """Return what a page's runs came to, by the names of its measures, claims and trainings."""
    measured: dict[str, list[Value]] = {}
    claimed: dict[str, list[bool | None]] = {}
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for entry in entries:
        for _, measure in measures(entry):
            measured.setdefault(measure["name"], []).append(_short(measure["value"]))
        for _, claim in claims(entry):
            claimed.setdefault(claim["sentence"], []).append(claim["holds"])
        for _, training in trainings(entry):
            for metric, values in training["curves"].items():
                curves.setdefault(training["name"], {}).setdefault(metric, []).append(values)
    return {
        "code": code(entries[0].metadata[KEY]["components"]),
        "claims": dict(sorted(claimed.items())),
        "measures": dict(sorted(measured.items())),
        "curves": {
            name: {metric: vars(Band.over(runs)) for metric, runs in sorted(metrics.items())}
            for name, metrics in sorted(curves.items())
        },
    }


def _short(value: Value) -> Value:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _json(value: Any, indent: str = "") -> str:
    """Return JSON with each list of values on a line of its own, so that changes show well."""
    inner = f"{indent} "
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    items = [
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {_json(item, inner)}"
        for key, item in value.items()
    ]
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"
