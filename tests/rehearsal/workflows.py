"""Reads workflows, and refuses what the rehearsal does not know, so that nothing is passed over."""

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import yaml

from rehearsal import actions
from rehearsal.expressions import EXPRESSION, ExpressionError, bare, check, text
from rehearsal.service import Event

FOLDER = ".github/workflows"
HERE = "$/"  # how a `uses` of this repository's own files begins
WORKFLOW = {"name", "on", "permissions", "concurrency", "defaults", "env", "jobs"}
JOB = {
    *("name", "needs", "if", "runs-on", "strategy", "outputs", "permissions", "environment"),
    *("timeout-minutes", "env", "steps"),
}
CALL = {"name", "needs", "if", "uses", "with", "permissions"}
RUN, USE = {"name", "id", "if", "run", "env"}, {"name", "id", "if", "uses", "with"}
Spec = dict[str, Any]


class Refused(Exception):
    """A workflow says something that the rehearsal, or GitHub, does not accept; it says where."""


def read(path: str, source: str) -> Spec:
    """Return a workflow. Raises Refused for whatever it says that is not known here."""
    workflow = dict(yaml.safe_load(source))
    if True in workflow:  # YAML reads the word `on` so
        workflow["on"] = workflow.pop(True)
    _only(workflow, WORKFLOW, path)
    _check_triggers(workflow["on"], path)
    for name, job in workflow["jobs"].items():
        _check_job(job, f"{path}: job {name}")
        if any("run" in step for step in job.get("steps", ())) and workflow.get("defaults") != {
            "run": {"shell": "bash"}
        }:
            raise Refused(f"{path}: defaults: run: shell: bash is missing, so a pipe hides errors")
    for place, expression in _expressions(workflow, path):
        try:
            check(expression)
        except ExpressionError as error:
            raise Refused(f"{place}: {error}") from error
    return workflow


def starts(workflow: Spec, event: Event) -> bool:
    """Tell whether an event starts a workflow."""
    on = workflow["on"]
    if event.name not in on:
        return False
    asked = on[event.name] or {}
    if event.name == "push":
        kinds = {"branch": "branches", "tag": "tags"}
        return any(fnmatch(event.ref_name, p) for p in asked.get(kinds[event.ref_type], ()))
    if event.name == "workflow_run":
        return event.payload["workflow_run"]["name"] in asked["workflows"]
    return True


def inputs(declared: Spec, given: Spec, place: str) -> Spec:
    """Return a called workflow's inputs. Raises Refused where GitHub would."""
    found = {}
    for name in given:
        if name not in declared:
            raise Refused(f"{place}: with: {name} is no input of the workflow")
    for name, one in declared.items():
        value = given.get(name, one.get("default"))
        if one["type"] == "boolean" and not isinstance(value, bool):
            raise Refused(f"{place}: with: {name} must be true or false, not {value!r}")
        found[name] = value if one["type"] == "boolean" else text(value)
    return found


def needs(job: Spec) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


def _check_triggers(on: Spec, path: str) -> None:
    known = {
        "push": {"branches", "tags"},
        "pull_request": set(),
        "workflow_run": {"workflows", "types"},
        "workflow_call": {"inputs"},
        "workflow_dispatch": set(),
        "schedule": set(),
    }
    _only(on, set(known), f"{path}: on")
    for name, asked in on.items():
        if name != "schedule":
            _only(asked or {}, known[name], f"{path}: on: {name}")
    for name, declared in (on.get("workflow_call") or {}).get("inputs", {}).items():
        place = f"{path}: input {name}"
        _only(declared, {"description", "type", "default"}, place)
        if declared["type"] not in ("string", "boolean"):
            raise Refused(f"{place}: type {declared['type']} is not known")


def _check_job(job: Spec, place: str) -> None:
    if "uses" in job:
        _only(job, CALL, place)
        if not job["uses"].startswith(HERE):
            raise Refused(f"{place}: uses: {job['uses']}: not of this repository ({HERE}…)")
        return
    _only(job, JOB, place)
    strategy = job.get("strategy")
    if strategy is not None:
        _only(strategy, {"fail-fast", "matrix"}, f"{place}: strategy")
        _only(strategy["matrix"], {"include"}, f"{place}: matrix")
        if strategy.get("fail-fast") is not False:
            raise Refused(f"{place}: strategy: only fail-fast: false is known")
    for number, step in enumerate(job["steps"], 1):
        where = f"{place}: step {number}"
        _only(step, RUN if "run" in step else USE, where)
        if "uses" in step:
            try:
                actions.find(step["uses"], step.get("with", {}))
            except actions.Unknown as error:
                raise Refused(f"{where}: {error}") from error


def _only(found: Spec, known: set[str], place: str) -> None:
    for key in found:
        if key not in known:
            raise Refused(f"{place}: {key} is not known to the rehearsal")


def _expressions(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield every expression in a workflow, and where it stands."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "if":
                yield f"{place}: if", bare(str(part))
            else:
                yield from _expressions(part, f"{place}: {key}")
    elif isinstance(value, list):
        for number, part in enumerate(value, 1):
            yield from _expressions(part, f"{place} {number}")
    elif isinstance(value, str):
        yield from ((place, match[1]) for match in EXPRESSION.finditer(value))
