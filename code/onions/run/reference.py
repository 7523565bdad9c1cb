"""Write the reference runs: the results of pages run from other seeds."""

import json
from datetime import UTC, datetime
from typing import Any

from nbformat import NotebookNode

from onions.base.files import write_atomic
from onions.book.project import Project
from onions.book.reference import SET_KEYS, Band, ReferenceRuns
from onions.claims import KEY, Value
from onions.store.build import Build
from onions.store.entries import Store, claims, measures, trainings
from onions.store.fingerprint import code_hash
from onions.store.status import PageState, reference_states


def write_reference_runs(project: Project, build: Build, seeds: int) -> list[PageState]:
    """Write the finished runs into the book, replacing the set with the same images and device.

    If runs are missing, return them and write nothing. Raises OSError if the file can't be written.
    """
    states = reference_states(project, build, seeds)
    missing = [state for state in states if not state.fresh]
    if states and not missing:
        reference, new = ReferenceRuns(project), _new_set(states, Store(project.store), build)
        sets = {_key(runs): runs for runs in reference.sets}
        old = sets.get(_key(new), {})
        if {**old, "date": ""} != {**new, "date": ""}:  # the same results keep their date
            sets[_key(new)] = new
        text = ",\n".join(_json(runs) for _, runs in sorted(sets.items()))
        write_atomic(reference.path, f"[\n{text}\n]\n")
    return missing


def _key(runs: dict[str, Any]) -> tuple[str, ...]:
    return tuple(runs[key] for key in SET_KEYS)


def _new_set(states: list[PageState], store: Store, build: Build) -> dict[str, Any]:
    """Return the set of a build's reference runs, with each page's runs ordered by seed."""
    pages: dict[str, list[NotebookNode]] = {}
    for state in states:
        if entry := store.read(state.fingerprint):
            pages.setdefault(state.page.name, []).append(entry)
    facts = [entry.metadata[KEY] for entries in pages.values() for entry in entries]
    versions = {
        name: version
        for fact in facts
        for kind in ("packages", "dependencies")
        for name, version in fact["components"][kind].items()
    }
    return {
        "data": build.source.name,
        "data identity": build.source.identity,
        "device": "; ".join(sorted({fact["device"] for fact in facts})),
        "date": datetime.now(UTC).date().isoformat(),
        "seeds": max(state.build.seed_offset for state in states),
        "versions": dict(sorted(versions.items())) | {"python": build.python},
        "pages": {page: _page_runs(entries) for page, entries in sorted(pages.items())},
    }


def _page_runs(entries: list[NotebookNode]) -> dict[str, Any]:
    """Return the measures, claims and curves of a page's runs, by name."""
    values: dict[str, list[Value]] = {}
    held: dict[str, list[bool | None]] = {}
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for entry in entries:
        for _, measure in measures(entry):
            values.setdefault(measure["name"], []).append(_short(measure["value"]))
        for _, claim in claims(entry):
            held.setdefault(claim["sentence"], []).append(claim["holds"])
        for _, training in trainings(entry):
            for metric, curve in training["curves"].items():
                curves.setdefault(training["name"], {}).setdefault(metric, []).append(curve)
    return {
        "code": code_hash(entries[0].metadata[KEY]["components"]),
        "claims": dict(sorted(held.items())),
        "measures": dict(sorted(values.items())),
        "curves": {
            name: {metric: vars(Band.over(runs)) for metric, runs in sorted(metrics.items())}
            for name, metrics in sorted(curves.items())
        },
    }


def _short(value: Value) -> Value:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _json(value: Any, indent: str = "") -> str:
    """Return JSON with each list of values on its own line, for readable diffs."""
    inner = f"{indent} "
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    items = [
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {_json(item, inner)}"
        for key, item in value.items()
    ]
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"
