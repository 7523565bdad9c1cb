"""Plays workflows: each job on a machine of its own, one after another, with their own lines."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rehearsal import actions
from rehearsal.expressions import EXPRESSION, Context, ExpressionError, Scope, text
from rehearsal.machine import Environments, Machine
from rehearsal.service import MAIN, REPOSITORY, Event, Service
from rehearsal.workflows import FOLDER, HERE, Refused, Spec, inputs, needs, read, starts


@dataclass
class Job:
    """What became of a job: success, failure or skipped; `id` is as in ``build/execute``."""

    id: str
    name: str
    result: str = "success"
    seconds: float = 0.0
    log: str = ""
    why: str = ""
    runs_on: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    machine: Machine | None = None


@dataclass
class Run:
    """What became of a workflow."""

    id: int
    workflow: str
    event: Event
    result: str = "success"
    jobs: list[Job] = field(default_factory=list)


@dataclass
class Stage:
    """With what workflows are played: GitHub, what is installed, and what is left out by name."""

    service: Service
    environments: Environments
    chrome: str | None = None
    left_out: tuple[str, ...] = ()  # jobs
    instead: dict[str, str] = field(default_factory=dict)  # a step's line, and what runs for it
    told: Callable[[Job], None] = lambda job: None


def play(stage: Stage, event: Event) -> list[Run]:
    """Run all workflows that an event starts, each with those that wait for its end."""
    runs = []
    for path, source in stage.service.files(event.sha, FOLDER).items():
        workflow = read(path, source)
        if starts(workflow, event):
            stage.service.runs += 1
            run = Run(stage.service.runs, workflow.get("name", path), event)
            run.result, _ = _Workflow(stage, run, path, workflow, {}).play()
            runs += [run, *play(stage, _finished(stage.service, run))]
    return runs


def last_lines(printed: str) -> str:
    """Return the last lines that say something, for a reader."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return "\n".join(line[:200] for line in lines[-3:])


@dataclass(frozen=True)
class _Caller:
    """The job that a called workflow is in: its id and name, as prefixes, and what it may do."""

    id: str
    name: str
    permissions: dict[str, str]


class _Workflow:
    """One workflow as it is played; one that a job calls is another of these, within that job."""

    def __init__(
        self,
        stage: Stage,
        run: Run,
        path: str,
        workflow: Spec,
        given: Spec,
        caller: _Caller | None = None,
    ):
        self.stage, self.run, self.path, self.workflow = stage, run, path, workflow
        self.inputs = Context(given)
        self.caller = caller or _Caller("", "", {})
        self.limited = caller is not None  # to what the caller may do
        self.over: dict[str, Spec] = {}  # result and outputs of each job that is over
        self.behind: dict[str, set[str]] = {}  # results of each job and all that it needed

    def play(self) -> tuple[str, set[str]]:
        """Run all jobs; return the workflow's result, and those of all its jobs."""
        scope = self._scope({}, {}, {})
        self.env = _place(self.path, lambda: scope.fill(self.workflow.get("env", {})))
        _place(self.path, lambda: scope.fill(self.workflow.get("concurrency")))
        waiting = dict(self.workflow["jobs"])
        while waiting:
            ready = [n for n, job in waiting.items() if not waiting.keys() & set(needs(job))]
            if not ready:
                raise Refused(f"{self.path}: these jobs wait for each other: {', '.join(waiting)}")
            name, job = ready[0], waiting.pop(ready[0])
            if name in self.stage.left_out:
                self.over[name], self.behind[name] = {"result": "success", "outputs": {}}, set()
                continue
            for need in needs(job):
                if need not in self.over:
                    raise Refused(f"{self.path}: job {name}: needs {need}, which there is not")
            self._job(name, job)
        results = {str(job["result"]) for job in self.over.values()}
        result = "failure" if "failure" in results else "success"
        return ("skipped" if results == {"skipped"} else result), set().union(*self.behind.values())

    def _job(self, name: str, spec: Spec) -> None:
        """Run a job, in all its variants, unless its condition forbids."""
        place = f"{self.path}: job {name}"
        before = set().union(*(self.behind[need] for need in needs(spec)))
        over = {need: self.over[need] for need in needs(spec)}
        scope = self._scope(over, _status(before), {})
        if not _place(place, lambda: scope.holds(spec.get("if"))):
            job = Job(
                self.caller.id + name, self.caller.name + _plain(spec.get("name", name)), "skipped"
            )
            self._end(name, [job], before | {"skipped"})
        elif "uses" in spec:
            self._call(name, spec, scope, before)
        else:
            variants: list[Spec] = [{}]
            if "strategy" in spec:
                variants = _place(place, lambda: scope.fill(spec["strategy"]["matrix"]["include"]))
            if not variants:
                raise Refused(f"{place}: its matrix is empty")
            jobs = [self._variant(name, spec, scope, variant) for variant in variants]
            self._end(name, jobs, before | {job.result for job in jobs})

    def _end(self, name: str, jobs: list[Job], behind: set[str]) -> None:
        results = [job.result for job in jobs]
        result = "failure" if "failure" in results else results[0]
        self.over[name] = {"result": result, "outputs": jobs[-1].outputs}
        self.behind[name] = behind
        for job in jobs:
            if job.result == "skipped":
                self._tell(job)

    def _call(self, name: str, spec: Spec, scope: Scope, before: set[str]) -> None:
        """Run the workflow that a job calls, which may do no more than the job."""
        path = spec["uses"].removeprefix(HERE)
        source = self.stage.service.files(self.run.event.sha, FOLDER).get(path)
        place = f"{self.path}: job {name}"
        if source is None:
            raise Refused(f"{place}: {path} is not in this commit")
        called = read(path, source)
        given = _place(place, lambda: scope.fill(spec.get("with", {})))
        values = inputs(called["on"]["workflow_call"]["inputs"], given, place)
        permissions = self._permissions(spec, place)
        caller = _Caller(f"{self.caller.id}{name}/", f"{self.caller.name}{name} / ", permissions)
        result, inside = _Workflow(self.stage, self.run, path, called, values, caller).play()
        self.over[name] = {"result": result, "outputs": {}}
        # A skipped job within may count as skipped for success() in later jobs, too: so they must
        # ask for needs.….result, as https://github.com/actions/runner/issues/2205 says.
        self.behind[name] = before | inside

    def _variant(self, name: str, spec: Spec, outer: Scope, matrix: Spec) -> Job:
        """Run one variant of a job on a machine of its own."""
        place = f"{self.path}: job {name}"
        permissions = self._permissions(spec, place)
        token = self.stage.service.token(permissions)
        scope = self._scope(outer.contexts["needs"], {}, matrix, token)
        shown = text(_place(place, lambda: scope.fill(spec.get("name", name))))
        job = Job(self.caller.id + name, self.caller.name + shown)
        service, event = self.stage.service, self.run.event
        folder = service.folder / "machines" / f"{self.run.id}-{len(self.run.jobs)}-{name}"
        job.machine = Machine(folder, service, event, self.run.id, permissions)
        job.runs_on = text(_place(place, lambda: scope.fill(spec["runs-on"])))
        if not job.runs_on:
            raise Refused(f"{place}: runs-on is empty")
        job.machine.environment = (spec.get("environment") or {}).get("name", "")
        job.machine.make(self.stage.environments, self.stage.chrome)
        started = time.monotonic()
        steps = _Steps(self, job, spec, scope, place)
        steps.play()
        job.seconds = time.monotonic() - started
        if job.result == "success":
            filled = _place(place, lambda: scope.fill(spec.get("outputs", {})))
            job.outputs = {key: text(value) for key, value in filled.items()}
            _place(place, lambda: scope.fill(spec.get("environment")))
        self._tell(job)
        return job

    def _tell(self, job: Job) -> None:
        self.run.jobs.append(job)
        self.stage.told(job)

    def _permissions(self, spec: Spec, place: str) -> dict[str, str]:
        """Return what a job's token may do: what it asks for, but for a fork only reading."""
        asked = spec.get("permissions", self.workflow.get("permissions"))
        if not isinstance(asked, dict):
            raise Refused(f"{place}: permissions are not named one by one")
        if self.run.event.fork:
            return {scope: "read" for scope in asked if scope != "id-token"}
        for scope, access in asked.items() if self.limited else ():
            given = self.caller.permissions.get(scope, "none")
            if given not in (access, "write"):
                raise Refused(f"{place}: asks for {scope}: {access}, its caller has {given}")
        return dict(asked)

    def _scope(self, needs: Spec, status: dict[str, bool], matrix: Spec, token: str = "") -> Scope:
        service, event = self.stage.service, self.run.event
        github = Context(
            event_name=event.name,
            event=event.payload,
            sha=event.sha,
            ref=event.ref,
            ref_name=event.ref_name,
            ref_type=event.ref_type,
            repository=REPOSITORY,
            run_id=str(self.run.id),
            run_attempt="1",
            server_url=service.url,
            api_url=service.api_url,
            workflow=self.run.workflow,
        )
        if token:
            github["token"] = token
        return Scope(
            status,
            github=github,
            vars=service.variables,
            inputs=self.inputs,
            needs=Context(needs),
            matrix=Context(matrix),
        )


class _Steps:
    """The steps of a job, one after another."""

    def __init__(self, workflow: _Workflow, job: Job, spec: Spec, scope: Scope, place: str):
        assert job.machine
        self.workflow, self.job, self.spec, self.scope = workflow, job, spec, scope
        self.place, self.machine = place, job.machine
        self.steps = Context({s["id"]: {"outputs": {}} for s in spec["steps"] if "id" in s})
        scope.contexts["steps"] = self.steps
        self.ends = time.monotonic() + 60 * spec.get("timeout-minutes", 360)

    def play(self) -> None:
        """Run all steps whose condition holds, then what actions left for the end."""
        env = self._fill(self.spec.get("env", {}), self.place)
        for number, step in enumerate(self.spec["steps"], 1):
            place = f"{self.place}: step {number}"
            status = _status({self.job.result})
            self.scope.ask(status)
            if _place(place, partial(self.scope.holds, step.get("if"))):
                self._step(step, {**self.workflow.env, **env}, place)
        for rest in self.machine.at_end if self.job.result == "success" else ():
            try:
                rest()
            except actions.ActionFailed as error:
                self._failed(str(error))

    def _step(self, step: Spec, env: Spec, place: str) -> None:
        given = self._fill(step.get("with", {}), place)
        try:
            if "run" in step:
                outputs = self._run(step, env, place)
            else:
                action = actions.find(step["uses"], given)
                outputs = action(self.machine, **actions.python_names(given)) or {}
        except actions.ActionFailed as error:
            what = step.get("run") or step["uses"].partition("@")[0]
            self._failed(f"{what.strip()}\n{error}")
        else:
            if "id" in step:
                self.steps[step["id"]]["outputs"] = outputs

    def _run(self, step: Spec, env: Spec, place: str) -> dict[str, str]:
        """Run a step's lines; return its outputs. Raises ActionFailed."""
        script = text(_place(place, lambda: self.scope.fill(step["run"])))
        script = self.workflow.stage.instead.get(script, script)
        output, summary = self.machine.folder / "output", self.machine.folder / "summary"
        output.write_text("")
        summary.touch()
        variables = {
            **self._github(),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            **env,
            **self._fill(step.get("env", {}), place),
        }
        status, printed = self.machine.run(script, variables, self.ends - time.monotonic())
        self.job.log += f"$ {script.strip()}\n{printed}"
        if status:
            raise actions.ActionFailed(f"{last_lines(printed)}\nIt ended with {status}.".strip())
        found = {}
        for line in output.read_text("utf-8").splitlines():
            name, sign, value = line.partition("=")
            if not sign or "<<" in name:
                raise Refused(f"{place}: GITHUB_OUTPUT: only name=value lines are known: {line}")
            found[name] = value
        return found

    def _failed(self, why: str) -> None:
        self.job.log += f"{why}\n"
        if self.job.result == "success":  # what failed first is what there is to know
            self.job.result, self.job.why = "failure", why

    def _fill(self, values: Spec, place: str) -> dict[str, str]:
        filled = _place(place, lambda: self.scope.fill(values))
        return {name: text(value) for name, value in filled.items()}

    def _github(self) -> dict[str, str]:
        github = self.scope.contexts["github"]
        names = [name for name in github if name not in ("event", "token")]
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.machine.workspace),
            **{f"GITHUB_{name.upper()}": github[name] for name in names},
        }


def _status(results: set[str]) -> dict[str, bool]:
    """Return what the status functions answer, after jobs or steps with these results."""
    return {
        "success": results <= {"success"},
        "failure": "failure" in results,
        "always": True,
        "cancelled": False,
    }


def _finished(service: Service, run: Run) -> Event:
    """Return the event that a run is over; it belongs to main, whatever the run was of."""
    pull = run.event.payload.get("pull_request")
    here = {"full_name": REPOSITORY, "id": 1}
    head: Spec = (
        pull["head"] if pull else {"sha": run.event.sha, "ref": run.event.ref_name, "repo": here}
    )
    repository: Spec = head["repo"]
    facts = {
        "id": run.id,
        "name": run.workflow,
        "event": run.event.name,
        "conclusion": run.result,
        "head_sha": head["sha"],
        "head_branch": head["ref"],
        "head_repository": {
            **repository,
            "owner": {"login": repository["full_name"].partition("/")[0]},
        },
    }
    main = service.git("rev-parse", MAIN)
    return Event("workflow_run", main, MAIN, {"workflow_run": facts})


def _plain(name: str) -> str:
    """Return a job's name where it does not run, so that nothing fills its expressions."""
    return EXPRESSION.sub("", name).strip()


def _place(place: str, work: Callable[[], Any]) -> Any:
    """Do something with expressions; what is wrong with them is said with the place."""
    try:
        return work()
    except ExpressionError as error:
        raise Refused(f"{place}: {error}") from error
