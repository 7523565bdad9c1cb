"""The rehearsal: its reading of expressions and workflows, GitHub's rules, and the stories."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from rehearsal import actions
from rehearsal.expressions import STATUS, Context, ExpressionError, Scope
from rehearsal.machine import Machine, digest
from rehearsal.player import Run, Stage, play
from rehearsal.service import MAIN, REPOSITORY, Event, Service
from rehearsal.workflows import FOLDER, Refused, read, starts
from rehearse import LOCKS, SMALL, rehearse

PINNED = "3d3c42e5aac5ba805825da76410c181273ba90b1"
PLAN = '{"shards": [{"shard": "1/2", "number": 1}]}'
STEPS = [{"run": "true"}]


def test_the_stories_with_a_small_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some of them, to take less than a minute: all jobs use the environment that runs the tests,
    so that nothing is installed. `make rehearse` plays all, with the whole book and environments
    of their own.
    """
    environments = {digest(ROOT / lock): sys.prefix for lock in LOCKS}
    rehearse(tmp_path, environments, SMALL, [1, 3, 4, 5])
    said = capsys.readouterr().out
    assert "Left out: check, packages, make look." in said
    assert "✓ build / execute 1/2" in said and "✗ build / render" in said


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("true", True),
        ("null", None),
        ("-1.5", -1.5),
        ("'it''s'", "it's"),
        ("github.ref", "refs/heads/main"),
        ("github.event.pull_request.number", None),
        ("github.ref == 'REFS/heads/MAIN'", True),
        ("vars.GPU_RUNNER", None),
        ("vars.GPU_RUNNER || 'ubuntu-24.04'", "ubuntu-24.04"),
        ("inputs.gpu-runner && 'gpu.lock' || 'cpu.lock'", "cpu.lock"),
        ("'a' && 'b'", "b"),
        ("'' && 'b'", ""),
        ("0 || '' || false", False),
        ("!''", True),
        ("!inputs.save && true", False),
        ("1 == '1'", True),
        ("null == 0", True),
        ("'' == false", True),
        ("'x' == 1", False),
        ("'x' != 1", True),
        ("(true || false) && false", False),
        ("true || false && false", True),
        ("fromJSON(needs.plan.outputs.plan).shards[0].number", 1),
        ("fromJSON(needs.plan.outputs.plan).shards[1]", None),
        ("fromJSON('[]')[0]", None),
        ("false && fromJSON('')", False),
        ("toJSON(fromJSON('[1]'))", "[\n  1\n]"),
        ("!cancelled() && needs.plan.result == 'success'", True),
    ],
)
def test_an_expression(expression: str, value: object) -> None:
    assert scope().evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("github.reff", "no 'reff' here"),
        ("secrets.KEY", "no 'secrets' here"),
        ("needs.execute.result", "no 'execute' here"),
        ("hashFiles('*.lock')", "hashFiles() is not known"),
        ("1 < 2", "not understood: < 2"),
        ("(true", "')' is missing"),
        ("true false", "unexpected 'false'"),
        ("github.", "unexpected 'end'"),
        ("fromJSON('')", "fromJSON('')"),
    ],
)
def test_an_expression_that_is_refused(expression: str, says: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        scope().evaluate(expression)
    assert says in str(refused.value)


def test_a_text_with_expressions() -> None:
    filled = scope().fill({"a": "${{ inputs.save }}", "b": ["x-${{ inputs.save }}-${{ 1 }}"]})
    assert filled == {"a": True, "b": ["x-true-1"]}
    with pytest.raises(ExpressionError, match="toJSON"):
        scope().fill("all: ${{ needs }}")


@pytest.mark.parametrize(
    ("condition", "after_failure"),
    [
        (None, False),
        ("${{ inputs.save }}", False),
        ("${{ always() }}", True),
        ("failure()", True),
        ("${{ !cancelled() && inputs.save }}", True),
        ("${{ fromJSON(needs.plan.outputs.plan).nothing }}", False),
    ],
)
def test_a_condition_asks_for_success_unless_it_says_more(
    condition: str | None, after_failure: bool
) -> None:
    assert scope(success=False, failure=True).holds(condition) is after_failure


def test_a_condition_that_is_always_true_is_refused() -> None:
    with pytest.raises(ExpressionError, match="always true"):
        scope().holds("${{ inputs.save }} == false")


def scope(**status: bool) -> Scope:
    answers = dict.fromkeys(STATUS, False) | {"success": True, "always": True} | status
    return Scope(
        answers,
        github=Context(ref=MAIN, event={}),
        vars={},
        inputs=Context({"gpu-runner": "", "save": True}),
        needs=Context(plan={"result": "success", "outputs": {"plan": PLAN}}),
    )


def test_the_project_s_workflows_are_understood() -> None:
    paths = sorted((ROOT / FOLDER).glob("*.yml"))
    assert len(paths) == 5
    for path in paths:
        read(str(path), path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"container": "x"}, "w.yml: job one: container is not known"),
        ({"steps": [{"run": "true", "shell": "sh"}]}, "job one: step 1: shell is not known"),
        ({"steps": [{"uses": f"a/b@{PINNED}"}]}, "step 1: a/b has no stand-in"),
        ({"steps": [{"uses": "actions/checkout@v7"}]}, "not pinned by a whole commit"),
        (
            {"steps": [{"uses": f"actions/checkout@{PINNED}", "with": {"path": "x"}}]},
            "step 1: actions/checkout: missing a required argument: 'persist_credentials'",
        ),
        ({"if": "${{ 1 < 2 }}"}, "jobs: one: if: not understood"),
        ({"strategy": {"matrix": {"include": []}}}, "only fail-fast: false"),
        ({"strategy": {"fail-fast": False, "matrix": {"os": []}}}, "matrix: os is not known"),
        ({"uses": "other/repo/w.yml@main"}, "job one: steps is not known"),
    ],
)
def test_a_workflow_that_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused) as refused:
        read("w.yml", workflow(one={"steps": STEPS} | change))
    assert says in str(refused.value)


def test_a_shell_that_hides_errors_is_refused() -> None:
    source = workflow(one={"steps": STEPS}).replace("shell: bash", "shell: sh")
    with pytest.raises(Refused, match="a pipe hides errors"):
        read("w.yml", source)


@pytest.mark.parametrize(
    ("on", "event", "yes"),
    [
        ({"push": {"branches": ["main"]}}, Event("push", "", MAIN), True),
        ({"push": {"branches": ["main"]}}, Event("push", "", "refs/heads/notebooks"), False),
        ({"push": {"branches": ["main"]}}, Event("push", "", "refs/tags/main"), False),
        ({"push": {"tags": ["v*"]}}, Event("push", "", "refs/tags/v1.0"), True),
        ({"pull_request": None}, Event("pull_request", "", "refs/pull/1/merge"), True),
        ({"pull_request": None}, Event("push", "", MAIN), False),
    ],
)
def test_what_starts_a_workflow(on: dict[str, Any], event: Event, yes: bool) -> None:
    assert starts({"on": on}, event) is yes


def workflow(**jobs: dict[str, Any]) -> str:
    for job in jobs.values():
        if "uses" not in job:
            job.setdefault("runs-on", "ubuntu-24.04")
            job.setdefault("permissions", {"contents": "read"})
    head = {"on": {"push": {"branches": ["main"]}}, "defaults": {"run": {"shell": "bash"}}}
    return str(yaml.safe_dump({**head, "jobs": jobs}, sort_keys=False))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "github", {})
    yield made
    made.close()


def push(service: Service, **files: str) -> Event:
    """Put workflows onto main."""
    tree = "".join(
        f"100644 blob {blob}\t{name}.yml\n"
        for name, source in files.items()
        for blob in [_git(service, source, "hash-object", "-w", "--stdin")]
    )
    for name in ("workflows", ".github"):
        tree = f"040000 tree {_git(service, tree, 'mktree')}\t{name}\n"
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    whole = _git(service, tree, "mktree")
    sha = _git(service, "", *author, "commit-tree", whole, "-m", "Workflows")
    service.git("update-ref", MAIN, sha)
    return Event("push", sha, MAIN)


def _git(service: Service, given: str, *arguments: str) -> str:
    command = ["git", "-C", str(service.repository), *arguments]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, check=True
    ).stdout.strip()


def results(run: Run) -> dict[str, str]:
    return {job.name: job.result for job in run.jobs}


def test_outputs_variants_and_what_a_failure_skips(service: Service) -> None:
    jobs: dict[str, Any] = {
        "plan": {
            "steps": [{"id": "p", "run": f"echo 'plan={PLAN}' >> \"$GITHUB_OUTPUT\""}],
            "outputs": {"plan": "${{ steps.p.outputs.plan }}"},
        },
        "execute": {
            "name": "execute ${{ matrix.shard }}",
            "needs": "plan",
            "strategy": {
                "fail-fast": False,
                "matrix": {"include": "${{ fromJSON(needs.plan.outputs.plan).shards }}"},
            },
            "steps": [{"run": "false | cat"}, {"run": "echo no"}],
        },
        "after": {"needs": "execute", "steps": STEPS},
        "anyway": {
            "needs": ["plan", "execute"],
            "if": "${{ always() && needs.execute.result == 'failure' }}",
            "steps": STEPS,
        },
        "tell": {"needs": "anyway", "if": "${{ failure() }}", "steps": STEPS},
    }
    (run,) = play(Stage(service, {}), push(service, one=workflow(**jobs)))
    assert run.result == "failure" and results(run) == {
        "plan": "success",
        "execute 1/2": "failure",
        "after": "skipped",
        "anyway": "success",
        "tell": "success",  # a failure counts, however far back
    }
    assert "no" not in run.jobs[1].log and run.jobs[1].why.startswith("false | cat")


def test_a_job_far_behind_a_skipped_one_must_ask_for_results(service: Service) -> None:
    """Also where the skipped one is in a workflow that was called."""
    called = workflow(
        one={"if": "${{ false }}", "steps": STEPS},
        two={"needs": "one", "if": "${{ always() }}", "steps": STEPS},
    ).replace("push:\n    branches:\n    - main", "workflow_call:\n    inputs: {}")
    caller = workflow(
        build={"uses": f"$/{FOLDER}/called.yml", "permissions": {"contents": "read"}},
        plain={"needs": "build", "steps": STEPS},
        asking={
            "needs": "build",
            "if": "${{ !cancelled() && needs.build.result == 'success' }}",
            "steps": STEPS,
        },
    )
    (run,) = play(Stage(service, {}), push(service, called=called, caller=caller))
    expected = {"build / one": "skipped", "build / two": "success", "plain": "skipped"}
    assert results(run) == {**expected, "asking": "success"}


def test_a_called_workflow_s_inputs_and_permissions(service: Service) -> None:
    called = workflow(one={"steps": [{"run": "echo ${{ inputs.save }}"}]}).replace(
        "push:\n    branches:\n    - main",
        "workflow_call:\n    inputs: {save: {type: boolean, default: false}}",
    )

    def call(values: dict[str, Any], permissions: dict[str, str]) -> list[Run]:
        job = {"uses": f"$/{FOLDER}/called.yml", "with": values, "permissions": permissions}
        return play(Stage(service, {}), push(service, called=called, caller=workflow(build=job)))

    (run,) = call({"save": "${{ 1 == 1 }}"}, {"contents": "read"})
    assert "\ntrue\n" in run.jobs[0].log
    with pytest.raises(Refused, match="save must be true or false, not 'yes'"):
        call({"save": "yes"}, {"contents": "read"})
    with pytest.raises(Refused, match="with: fresh is no input"):
        call({"fresh": True}, {"contents": "read"})
    with pytest.raises(Refused, match="asks for contents: read, its caller has none"):
        call({}, {})


def test_a_job_sees_nothing_of_the_caller_s(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONIONS_DATA", "mine")
    steps = [{"run": "env", "env": {"OWN": "${{ github.ref_name }}"}}]
    (run,) = play(Stage(service, {}), push(service, one=workflow(one={"steps": steps})))
    log = run.jobs[0].log
    assert "ONIONS_DATA" not in log and "OWN=main\n" in log and "CI=true\n" in log
    assert f"HOME={service.folder}" in log and f"GITHUB_REPOSITORY={REPOSITORY}\n" in log


def machine(service: Service, event: Event, **permissions: str) -> Machine:
    named = {name.replace("_", "-"): access for name, access in permissions.items()}
    made = Machine(service.folder / "machines" / f"{len(service.tokens)}", service, event, 1, named)
    service.token(named)
    made.make({}, None)
    return made


def pull(number: int, owner: str) -> Event:
    head = {"head": {"repo": {"full_name": f"{owner}/onions"}}}
    return Event("pull_request", "", f"refs/pull/{number}/merge", {"pull_request": head})


def test_who_finds_which_cache(service: Service) -> None:
    main, mine, other = Event("push", "", MAIN), pull(1, "lesson"), pull(2, "lesson")
    for event, key in ((main, "store-1"), (main, "store-2"), (mine, "store-3")):
        writer = machine(service, event)
        writer.path("store").mkdir()
        (writer.path("store") / "what").write_text(key)
        actions.save(writer, path="store", key=key)

    def found(event: Event, key: str, path: str = "store") -> str:
        reader = machine(service, event)
        hit = actions.restore(reader, path=path, key=key, restore_keys="store-").get("cache-hit")
        return f"{(reader.path(path) / 'what').read_text()} {hit}" if hit else "none"

    assert found(main, "store-9") == "store-2 false" and found(main, "store-1") == "store-1 true"
    assert found(mine, "store-9") == "store-3 false"  # its own first
    assert found(other, "store-9") == "store-2 false"
    assert found(pull(3, "guest"), "store-9") == "store-2 false"
    assert found(main, "store-9", path="elsewhere") == "none"
    fork = machine(service, pull(3, "guest"))
    fork.path("store").mkdir()
    with pytest.raises(actions.ActionFailed, match="may not be written"):
        actions.save(fork, path="store", key="store-4")


def test_artifacts(service: Service) -> None:
    job = machine(service, Event("push", "", MAIN))
    job.path("site").mkdir()
    (job.path("site") / ".nojekyll").touch()
    upload = {"path": "site", "retention_days": "5"}
    with pytest.raises(actions.ActionFailed, match="no files were found"):
        actions.upload(job, name="site", **upload)
    actions.upload(job, name="site", include_hidden_files="true", **upload)
    with pytest.raises(actions.ActionFailed, match="exists already"):
        actions.upload(job, name="site", include_hidden_files="true", **upload)
    actions.download(job, path="copy", name="site")
    assert job.path("copy/.nojekyll").exists()
    with pytest.raises(actions.ActionFailed, match="Unable to find any artifacts"):
        actions.download(job, path="copy", name="other")
    for name in ("part-1", "part-2"):
        (job.path("site") / "page").write_text(name)
        actions.upload(job, name=name, **upload)
    with pytest.raises(actions.ActionFailed, match="page differs between the artifacts"):
        actions.download(job, path="all", pattern="part-*", merge_multiple="true")


def test_a_site_is_deployed_by_who_may_and_whole(service: Service) -> None:
    event = Event("push", "", MAIN)
    job = machine(service, event, pages="write", id_token="write")  # noqa: S106
    job.path("site").mkdir()
    for version in ("one", "two"):
        service.artifacts.clear()
        (job.path("site") / "index.html").write_text(version)
        actions.upload_pages(job, path="site")
        with pytest.raises(actions.ActionFailed, match="permissions lack pages: write"):
            actions.deploy_pages(machine(service, event, pages="read"))
        job.environment = ""
        with pytest.raises(actions.ActionFailed, match="no environment github-pages"):
            actions.deploy_pages(job)
        job.environment = "github-pages"
        assert actions.deploy_pages(job) == {"page_url": service.site.as_uri()}
        assert (service.site / "index.html").read_text() == version
    assert service.site.is_symlink()


def test_the_interface_allows_what_a_token_may(service: Service) -> None:
    def ask(token: str, method: str, path: str, **body: str) -> Any:
        request = urllib.request.Request(
            f"{service.api_url}/repos/{REPOSITORY}/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    reader = service.token({"pull-requests": "read"})
    writer = service.token({"pull-requests": "write"})
    assert ask(reader, "POST", "issues/1/comments", body="a") == 403
    assert ask("no token", "GET", "issues/1/comments") == 403
    made = ask(writer, "POST", "issues/1/comments", body="a")
    assert ask(writer, "PATCH", f"issues/comments/{made['id']}", body="b")["edits"] == 1
    assert [c["body"] for c in ask(reader, "GET", "issues/1/comments?per_page=100&page=1")] == ["b"]
    assert ask(reader, "GET", "issues/1/comments?per_page=1&page=2") == []
    assert ask(writer, "POST", "issues", title="x") == 403 and ask(reader, "GET", "users") == 404


def test_a_push_needs_a_token_that_may_write(service: Service, tmp_path: Path) -> None:
    sha = push(service, one=workflow(one={"steps": STEPS})).sha
    script = f"git init -q . && git fetch -q {service.repository} {sha} && "
    script += f"git push -q {service.repository} FETCH_HEAD:refs/heads/notebooks"
    steps = [{"run": script, "env": {"TOKEN": "${{ github.token }}"}}]
    for access, result in (("read", "failure"), ("write", "success")):
        job = {"steps": steps, "permissions": {"contents": access}}
        (run,) = play(Stage(service, {}), push(service, one=workflow(one=job)))
        assert run.result == result
    assert "refs/heads/notebooks" in service.git("show-ref")


def test_pip_installs_what_was_made_from_the_same_lock(service: Service, tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("numpy==2\n")
    job = machine(service, Event("push", "", MAIN))
    status, said = job.run(
        f"python3 -m venv .venv\n.venv/bin/pip install --require-hashes -r {lock}", {}, 60
    )
    assert status == 1 and "no environment that was made from this" in said
    status, said = job.run(".venv/bin/pip install numpy", {}, 60)
    assert status == 1 and "installs locked packages only" in said
