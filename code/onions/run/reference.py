"""Add the results of pages run from other seeds to the reference runs."""

import sys
from dataclasses import replace
from typing import Any

from nbformat import NotebookNode

from onions.book.page import Page
from onions.book.project import Project
from onions.book.reference import ReferenceRuns, Run, planned_runs
from onions.claims import KEY, Value
from onions.run.pool import device_kind
from onions.store.build import Build
from onions.store.entries import Store, claims, measures, trainings
from onions.store.fingerprint import code_hash, components
from onions.store.recipe import VARIABLES
from onions.store.status import PageState, reference_states


class MissingRuns:
    """The planned reference runs of a build's data that the book's file lacks."""

    def __init__(self, project: Project, build: Build) -> None:
        self.project, self.build = project, build
        self.store = Store(project.store)

    def states(self) -> list[PageState]:
        """Return the state of each missing run; runs that the store has are added to the file.

        A run on another kind of device counts as missing, since the fingerprint is of both.
        """
        planned = {page: self._missing(page) for page in self.project.pages()}
        kind, states = device_kind(), []
        for state in reference_states(self.project, self.build, planned):
            other = state.last_run.get("device kind") if state.fresh else kind
            if other != kind:
                state = replace(state, reasons=[f"it ran on a {other}, not on a {kind}"])
            elif state.fresh:
                self.add(state)
            states.append(state)
        return states

    def add(self, state: PageState) -> None:
        """Add a finished run to the file. Raises OSError if it can't be written."""
        entry = self.store.read(state.fingerprint)
        if entry:
            facts, build = entry.metadata[KEY], state.build
            if facts["device kind"] != device_kind():
                print(
                    f"{state.name}: ran on a {facts['device kind']}, although this machine has a "
                    f"{device_kind()}. Run `make install LOCK=requirements-gpu.lock`.",
                    file=sys.stderr,
                )
            runs = ReferenceRuns(self.project)
            runs.add(
                self._set(facts["device kind"]),
                state.page.name,
                (build.seed_offset, build.images),
                _results(entry),
                _origin(facts),
            )

    def _missing(self, page: Page) -> set[Run]:
        planned = planned_runs(page)
        if not planned:
            return set()
        code = code_hash(components(page, self.project, self.build))
        recorded = ReferenceRuns(self.project).recorded(self._set(device_kind()), page.name, code)
        return planned - recorded

    def _set(self, kind: str) -> dict[str, str]:
        """Return the facts that identify a set of runs with this build's data."""
        return {
            "data": self.build.source.name,
            "data identity": self.build.source.identity,
            "backend": VARIABLES["KERAS_BACKEND"],
            "device": kind,
        }


def _origin(facts: dict[str, Any]) -> dict[str, Any]:
    """Return when, on what and with which versions a run was made."""
    parts = facts["components"]
    versions = {**parts["packages"], **parts["dependencies"], "python": facts["python"]}
    return {
        "date": facts["executed"][:10],
        "processor": facts["device"],
        "versions": dict(sorted(versions.items())),
    }


def _results(entry: NotebookNode) -> dict[str, Any]:
    """Return the measures with their scales, the claims and the curves of a run, by name."""
    recorded = [measure for _, measure in measures(entry)]
    return {
        "code": code_hash(entry.metadata[KEY]["components"]),
        "scales": {m["name"]: m["scale"] for m in recorded if m["scale"]},
        "measures": {m["name"]: _short(m["value"]) for m in recorded},
        "claims": {claim["sentence"]: claim["holds"] for _, claim in claims(entry)},
        "curves": {
            training["name"]: {
                metric: [float(f"{value:.4g}") for value in curve]
                for metric, curve in training["curves"].items()
            }
            for _, training in trainings(entry)
        },
    }


def _short(value: Value) -> Value:
    return float(f"{value:.5g}") if isinstance(value, float) else value
