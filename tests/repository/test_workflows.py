"""The workflows' triggers, permissions, conditions, inputs, artifacts and caches.

Nearly all tests only read the YAML. test_rehearse.py runs the jobs' lines; `make check` adds zizmor
and GitHub's schema.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from onions.images.download import ARCHIVE_SHA256
from onions.images.sources import keras_cache
from onions.store.entries import FORMAT
from support.projects import ROOT
from support.rehearse import STATUS_FUNCTION

GITHUB = ROOT / ".github"
PATHS = sorted((GITHUB / "workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in PATHS}
JOBS = {f"{w}/{name}": job for w in WORKFLOWS for name, job in WORKFLOWS[w]["jobs"].items()}
STEPS = [(name, step) for name, job in JOBS.items() for step in job.get("steps", ())]
BUILD = "$/.github/workflows/build.yml"
READ = {"contents": "read"}
CIFAR10 = "${{ inputs.data == 'cifar10' }}"
GATE = '.venv/bin/onions gate --data "$ONIONS_DATA" | tee -a "$GITHUB_STEP_SUMMARY"'
NOT_CACHED = "${{ inputs.data == 'cifar10' && steps.images.outputs.cache-hit != 'true' }}"


def steps(job: str) -> list[str]:
    """Return the `run` line or the action of each step of a job."""
    return [step.get("run") or action(step) for step in JOBS[job]["steps"]]


def action(step: dict[str, Any]) -> str:
    return str(step.get("uses", "")).partition("@")[0]


def using(*actions: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the steps that use one of these actions, as (job, step)."""
    return [(job, step) for job, step in STEPS if action(step) in actions]


def before(job: str, direct: bool = False) -> set[str]:
    """Return the jobs that a job needs; unless `direct`, include the jobs that these need."""
    needs = JOBS[job].get("needs", [])
    workflow = job.partition("/")[0]
    names = {f"{workflow}/{name}" for name in ([needs] if isinstance(needs, str) else needs)}
    if direct:
        return names
    for name in set(names):
        names |= before(name)
        if JOBS[name].get("uses") == BUILD:
            names |= {called for called in JOBS if called.startswith("build/")}
    return names


def texts(value: Any) -> Iterator[str]:
    """Yield every string in a part of a workflow."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_workflow_has_no_default_permissions_and_pins_its_actions(path: Path) -> None:
    text = path.read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert "permissions" in job, name
        longest = 350 if name == "reference" else 120  # GitHub's own runners allow 360
        assert "uses" in job or job["timeout-minutes"] <= longest, name
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", ""), f"{name}: pass it by env"
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name
    for action in re.findall(r"uses: (?!\$/)(.+)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action), action


def test_caches_use_the_archive_and_store_format_of_the_code() -> None:
    text = "\n".join(path.read_text("utf-8") for path in PATHS)
    assert set(re.findall(r"key: cifar10-(\w+)", text)) == {ARCHIVE_SHA256}
    assert set(re.findall(r"\bstore-(\d+)-", text)) == {str(FORMAT)}
    archive = keras_cache()[1]
    assert set(re.findall(r"path: ~/(\S+_archive)", text)) == {
        f"{archive.relative_to(Path.home())}"
    }


def test_triggers() -> None:
    """No trigger is `pull_request_target`, which would run a fork's code with write permission."""
    # YAML 1.1 reads the word `on` as true.
    triggers = {name: workflow[True] for name, workflow in WORKFLOWS.items()}
    assert triggers.pop("build").keys() == {"workflow_call"}
    assert triggers == {
        "publish": {"push": {"branches": ["main"], "tags": ["v*"]}},
        "preview": {"pull_request": None},
        "comment": {"workflow_run": {"workflows": ["preview"], "types": ["completed"]}},
        "scheduled": {"schedule": [{"cron": "17 3 * * 1"}], "workflow_dispatch": None},
    }


def test_concurrency() -> None:
    """A publication is never cancelled half-way, and a push to main cancels no release.

    A new push cancels a preview.
    """
    run = "github.event.workflow_run"
    assert {name: w["concurrency"] for name, w in WORKFLOWS.items() if name != "build"} == {
        "publish": {"group": "publish-${{ github.ref }}", "cancel-in-progress": False},
        "scheduled": {"group": "scheduled", "cancel-in-progress": False},
        "preview": {
            "group": "preview-${{ github.event.pull_request.number }}",
            "cancel-in-progress": True,
        },
        "comment": {
            "group": f"comment-${{{{ {run}.head_repository.id }}}}-${{{{ {run}.head_branch }}}}",
            "cancel-in-progress": False,
        },
    }


def test_permissions_of_each_job() -> None:
    may_write = {
        "comment/comment": {"actions": "read", **READ, "pull-requests": "write"},
        "publish/deploy": {"pages": "write", "id-token": "write"},
        "publish/notebooks": {"contents": "write"},
        "publish/release": {"contents": "write", "id-token": "write", "attestations": "write"},
        "scheduled/packages": {"contents": "write", "pull-requests": "write"},
        "scheduled/propose": {"contents": "write", "pull-requests": "write"},
        "scheduled/tell": {**READ, "issues": "write"},
    }
    permissions = {name: job["permissions"] for name, job in JOBS.items()}
    assert permissions == dict.fromkeys(JOBS, READ) | may_write


def test_conditions_and_needs_of_each_job() -> None:
    build = "!cancelled() && needs.build.result == 'success'"
    repository = "github.event.pull_request.head.repo.full_name"
    run = "github.event.workflow_run"
    conditions = {
        "build/execute": "fromJSON(needs.plan.outputs.plan).shards[0]",
        "build/render": "!cancelled() && needs.plan.result == 'success'",
        "build/look": "!cancelled() && needs.render.result == 'success'",
        "publish/deploy": f"{build} && github.ref == 'refs/heads/main'",
        "publish/notebooks": "!cancelled() && needs.deploy.result == 'success'",
        "publish/bundle": f"{build} && github.ref_type == 'tag'",
        "publish/release": "!cancelled() && needs.bundle.result == 'success'",
        "preview/build": f"{repository} == github.repository",
        "preview/fork": f"{repository} != github.repository",
        "comment/comment": (
            f"{run}.event == 'pull_request' && contains(fromJSON("
            f"""'["success", "failure", "cancelled", "timed_out"]'), {run}.conclusion)"""
        ),
        "scheduled/reference": "!cancelled()",
        "scheduled/propose": "!cancelled() && needs.reference.result != 'skipped'",
        "scheduled/links": "!cancelled()",
        "scheduled/tell": ("!cancelled() && (failure() || contains(needs.*.result, 'cancelled'))"),
    }
    assert {name: job["if"] for name, job in JOBS.items() if "if" in job} == {
        name: f"${{{{ {condition} }}}}" for name, condition in conditions.items()
    }
    assert {name: before(name, direct=True) for name in JOBS if "needs" in JOBS[name]} == {
        "build/execute": {"build/plan"},
        "build/render": {"build/plan", "build/execute"},
        "build/look": {"build/render"},
        "publish/deploy": {"publish/build"},
        "publish/notebooks": {"publish/deploy"},
        "publish/bundle": {"publish/build"},
        "publish/release": {"publish/bundle"},
        "scheduled/reference": {"scheduled/rebuild"},
        "scheduled/propose": {"scheduled/reference"},
        "scheduled/links": {"scheduled/rebuild"},
        "scheduled/tell": {
            f"scheduled/{name}"
            for name in (
                *("rebuild", "reference", "propose", "links", "packages", "environments"),
                "python",
            )
        },
    }


@pytest.mark.parametrize("job", [name for name in JOBS if "needs" in JOBS[name]])
def test_a_job_after_one_that_may_be_skipped_checks_results(job: str) -> None:
    """A skipped job skips all later jobs whose condition has no status function.

    It does so even from within a called workflow: https://github.com/actions/runner/issues/2205.
    """
    if any("if" in JOBS[name] for name in before(job)):
        assert STATUS_FUNCTION.search(JOBS[job].get("if", "")), job


def test_conditions_of_steps() -> None:
    """All other steps have no condition."""
    assert [
        (job.removeprefix("build/"), step.get("run") or action(step), step["if"])
        for job, step in STEPS
        if "if" in step
    ] == [
        ("plan", "actions/cache/restore", "${{ !inputs.fresh }}"),
        ("plan", "actions/cache/restore", CIFAR10),
        ("plan", ".venv/bin/onions data fetch", NOT_CACHED),
        ("plan", "actions/cache/save", NOT_CACHED),
        ("execute", "make gpu", "${{ inputs.gpu-runner }}"),
        ("execute", "actions/cache/restore", CIFAR10),
        ("execute", "actions/upload-artifact", "${{ always() }}"),
        ("render", "actions/cache/restore", CIFAR10),
        ("render", ".venv/bin/onions store prune --days 60", "${{ inputs.save }}"),
        ("render", "actions/cache/save", "${{ inputs.save && !inputs.fresh }}"),
        ("render", "actions/cache/save", "${{ inputs.save && inputs.fresh }}"),
        (
            "render",
            '.venv/bin/onions status --markdown | tee _build/report.md >> "$GITHUB_STEP_SUMMARY"',
            "${{ !cancelled() }}",
        ),
        ("render", ".venv/bin/onions doctor --strict", "${{ inputs.doctor }}"),
        ("render", 'make report LOCK=requirements-site.lock BASE="$BASE"', "${{ inputs.base }}"),
        ("render", 'cat _build/report.md >> "$GITHUB_STEP_SUMMARY"', "${{ inputs.base }}"),
        ("render", "actions/upload-artifact", "${{ inputs.base && !cancelled() }}"),
        ("look", GATE, "${{ inputs.publish }}"),
        ("scheduled/reference", "make gpu", "${{ vars.GPU_RUNNER }}"),
        ("scheduled/reference", "actions/upload-artifact", "${{ always() }}"),
    ]


def test_inputs_of_each_build() -> None:
    """A fork's build is short, runs on GitHub's CPUs, starts with an empty store, saves nothing."""
    declared = WORKFLOWS["build"][True]["workflow_call"]["inputs"]
    assert {name: facts["default"] for name, facts in declared.items()} == {
        "data": "cifar10",
        "profile": "full",
        "gpu-runner": "",
        "shards": "2",
        **dict.fromkeys(("fresh", "save", "publish", "doctor"), False),
        "base": "",
    }
    for name, facts in declared.items():
        types = {"string": str, "boolean": bool}
        assert type(facts["default"]) is types[facts["type"]], name
    variables = {
        "data": "${{ vars.ONIONS_DATA || 'cifar10' }}",
        "gpu-runner": "${{ vars.GPU_RUNNER }}",
        "shards": "${{ vars.SHARDS || '2' }}",
    }
    base = {"base": "HEAD^1"}
    smoke = {"data": "sketches", "profile": "smoke", "shards": "1", "fresh": True}
    calls = {name: job for name, job in JOBS.items() if "uses" in job}
    assert {job["uses"] for job in calls.values()} == {BUILD}
    assert {name: job["with"] for name, job in calls.items()} == {
        "publish/build": {**variables, "save": True, "publish": True},
        "preview/build": {**variables, "save": True, **base},
        "preview/fork": {**smoke, **base},
        "scheduled/rebuild": {**variables, "fresh": True, "save": True, "doctor": True},
    }
    assert not any(job.keys() & {"secrets", "env"} for job in calls.values())


def test_no_key_weakens_a_job() -> None:
    """No job has keys such as `continue-on-error`, `container` or `shell`."""
    bash = {"run": {"shell": "bash"}}  # sets pipefail, so a pipe hides no error
    for name, workflow in WORKFLOWS.items():
        known = {"name", True, "permissions", "concurrency", "defaults", "jobs"}
        assert workflow.keys() <= known
        assert workflow.get("defaults") == (None if name == "preview" else bash)
    call = {"name", "needs", "if", "uses", "with", "permissions"}
    own = {"runs-on", "strategy", "outputs", "environment", "timeout-minutes", "steps", "env"}
    for name, job in JOBS.items():
        assert job.keys() <= (call if "uses" in job else call - {"uses", "with"} | own), name
        gpu = {
            "build/execute": ("inputs.gpu-runner", "matrix.number"),
            "scheduled/reference": ("vars.GPU_RUNNER", "'reference'"),
        }
        runner = "ubuntu-24.04"
        if name in gpu:
            label, part = gpu[name]
            label = f"{label} && format({label}, github.run_id, {part})"
            runner = f"${{{{ {label} || 'ubuntu-24.04' }}}}"
        assert "uses" in job or job["runs-on"] == runner, name
    for name, step in STEPS:
        kind = {"run", "env"} if "run" in step else {"uses", "with"}
        assert step.keys() <= {"id", "if"} | kind, (name, step)
    assert "steps" not in JOBS["preview/build"] and "steps" not in JOBS["preview/fork"]


def test_only_the_jobs_that_build_get_the_choices_of_a_build() -> None:
    """The checks and tests are of the code, and choose data and profile themselves."""
    choices = {"ONIONS_DATA": "${{ inputs.data }}", "ONIONS_PROFILE": "${{ inputs.profile }}"}
    assert {name: job["env"] for name, job in JOBS.items() if "env" in job} == {
        **{f"build/{name}": choices for name in ("plan", "execute", "render", "look")},
        "scheduled/reference": {"ONIONS_DATA": "${{ vars.ONIONS_DATA || 'cifar10' }}"},
    }


EVENT = {
    "pull_request": {"number", "head.repo.full_name"},
    "workflow_run": {
        *("id", "event", "conclusion", "head_branch", "head_sha"),
        *("head_repository.id", "head_repository.owner.login"),
    },
}
FACTS = {
    "ref",
    "ref_name",
    "ref_type",
    "repository",
    "run_id",
    "run_attempt",
    "server_url",
    "token",
}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_expressions_use_known_names(workflow: str) -> None:
    """On GitHub, an unknown name is empty, not an error. `secrets` is not a known name."""
    known = {*FACTS, *(f"event.{e}.{fact}" for e, facts in EVENT.items() for fact in facts)}
    paths = {f"github.{fact}" for fact in known}
    readme = (GITHUB / "README.md").read_text("utf-8")
    paths |= {f"vars.{name}" for name in re.findall(r"^ *\| `([A-Z_]+)` \|", readme, re.M)}
    paths |= {"true", "always", "cancelled", "contains", "failure", "format"}
    paths |= {"fromJSON", "toJSON"}
    if workflow == "build":
        paths |= {f"inputs.{name}" for name in WORKFLOWS["build"][True]["workflow_call"]["inputs"]}
    whole = {key: value for key, value in WORKFLOWS[workflow].items() if key != "jobs"}
    for name, job in {"": whole, **WORKFLOWS[workflow]["jobs"]}.items():
        own = {f"matrix.{key}" for key in ("shard", "number")} if "strategy" in job else set()
        own |= {f"steps.{step['id']}.outputs" for step in job.get("steps", ()) if "id" in step}
        for needed in before(f"{workflow}/{name}", direct=True) if name else ():
            path = f"needs.{needed.partition('/')[2]}"
            own |= {"needs", f"{path}.result"}
            own |= {f"{path}.outputs.{key}" for key in JOBS[needed].get("outputs", ())}
        for text in texts(job):
            for expression in re.findall(r"\$\{\{(.*?)\}\}", text):
                bare = re.sub(r"'[^']*'|needs\.\*\.result|(?<=\))\.shards\b", "", expression)
                for path in re.findall(r"[A-Za-z_][\w.-]*", bare):
                    step = re.sub(r"^(steps\.\w+\.outputs)\.[\w-]+$", r"\1", path)
                    assert step in paths | own, f"{workflow}: {name}: {path}"


def test_a_condition_is_one_expression() -> None:
    """Text around the expression would make the condition always true."""
    for part in [*JOBS.values(), *(step for _, step in STEPS)]:
        assert re.fullmatch(r"\$\{\{[^{}]*\}\}", part.get("if", "${{ true }}")), part["if"]


def test_downloads_match_the_uploads_of_earlier_jobs() -> None:
    uploads = [(job, step["with"]) for job, step in using("actions/upload-artifact")]
    names = [upload["name"] for _, upload in uploads]
    matrix = "store-executed-${{ matrix.number }}"
    assert names == ["store-planned", matrix, "report", "site", "bundle", "reference-runs"]
    assert all(upload["retention-days"] <= 14 for _, upload in uploads)
    assert [u["name"] for _, u in uploads if u.get("include-hidden-files")] == ["site"]
    downloads = using("actions/download-artifact")
    assert [job.partition("/")[2] for job, _ in downloads] == [
        *("execute", "render", "look", "comment", "deploy", "notebooks", "bundle"),
        *("release", "release", "propose"),
    ]
    # One artifact alone has build.json.
    files = {matrix: ["/*.ipynb", "/*.bin"], "reference-runs": ["/reference_runs.json"]}
    for job, step in downloads:
        inputs = step["with"]
        if job == "comment/comment":  # from another run
            continue
        assert inputs.keys() in ({"name", "path"}, {"pattern", "merge-multiple", "path"}), job
        assert inputs.get("merge-multiple", True) is True
        pattern = inputs.get("pattern", inputs.get("name"))
        matches = [
            (uploader, upload) for uploader, upload in uploads if fnmatch(upload["name"], pattern)
        ]
        assert len(matches) == (2 if "pattern" in inputs else 1), job
        for uploader, upload in matches:
            paths = [inputs["path"] + name for name in files.get(upload["name"], [""])]
            assert uploader in before(job) and upload["path"].split() == paths, job


def test_caches() -> None:
    """Only `render` saves the store, if `save` is true; only `plan` saves CIFAR-10's archive."""
    store, archive = "_build/store", "~/.keras/datasets/cifar-10-batches-py-target_archive"
    caches = [
        (job, action(step).removeprefix("actions/"), step["with"]["path"])
        for job, step in using("actions/cache/restore", "actions/cache/save")
    ]
    assert caches == [
        ("build/plan", "cache/restore", store),
        ("build/plan", "cache/restore", archive),
        ("build/plan", "cache/save", archive),
        ("build/execute", "cache/restore", archive),
        ("build/render", "cache/restore", archive),
        ("build/render", "cache/save", store),
        ("build/render", "cache/save", store),
        ("scheduled/reference", "cache/restore", archive),
    ]
    key = f"store-{FORMAT}-${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
    restored, saved, saved_if_fresh = (
        step["with"]
        for _, step in using("actions/cache/restore", "actions/cache/save")
        if step["with"]["path"] == store
    )
    assert saved == saved_if_fresh == {"path": store, "key": key}
    assert restored == {**saved, "restore-keys": f"store-{FORMAT}-"}


def test_order_of_the_steps_of_a_build() -> None:
    onions = ".venv/bin/onions"
    execute = steps("build/execute")
    in_order(execute, "make gpu", 'make install LOCK="$LOCK"', f'{onions} execute --shard "$SHARD"')
    assert execute[-1] == "actions/upload-artifact"
    [install] = [s for s in JOBS["build/execute"]["steps"] if "LOCK" in s.get("env", {})]
    locks = "${{ inputs.gpu-runner && 'requirements-gpu.lock' || 'requirements.lock' }}"
    assert install["env"] == {"LOCK": locks}
    assert JOBS["build/execute"]["strategy"] == {
        "fail-fast": False,
        "matrix": {"include": "${{ fromJSON(needs.plan.outputs.plan).shards }}"},
    }
    render = steps("build/render")
    plan = steps("build/plan")  # the archive is saved at once, whatever fails later
    fetch = plan.index(f"{onions} data fetch")
    assert plan[fetch - 1 : fetch + 2 : 2] == ["actions/cache/restore", "actions/cache/save"]
    check = render.index(f"{onions} execute --check")
    saves = [number for number, step in enumerate(render) if step == "actions/cache/save"]
    # Before the check; after it if the store was empty, since a partial one must not be the newest.
    assert saves == [check - 1, check + 1]
    in_order(render, "actions/download-artifact", "actions/cache/save", f"{onions} execute --check")
    in_order(render, f"{onions} execute --check", f"{onions} render", f"{onions} doctor --strict")
    assert render[-1] == "actions/upload-artifact"
    for name in ("build/plan", "build/render"):  # neither needs TensorFlow
        assert "make install LOCK=requirements-site.lock" in steps(name)
    assert steps("build/look")[2:] == ["actions/download-artifact", "make look", GATE]
    jobs = {"check": "check", "quick": "test-quick", "browser": "test-browser"}
    for job, target in jobs.items():
        assert steps(f"build/{job}")[2:] == [f"make {target}"] and not before(f"build/{job}")
    assert steps("scheduled/environments")[2:] == ["make test-slow"]


def in_order(steps: list[str], *expected: str) -> None:
    """Assert that the expected steps occur, in this order."""
    places = [steps.index(step) for step in expected]
    assert places == sorted(places), expected


def test_only_a_site_that_passed_the_gate_is_deployed() -> None:
    """Each attempt deploys an artifact of its own: Pages refuses two of one name in a run."""
    name = "github-pages-${{ github.run_attempt }}"
    [(job, pages)] = using("actions/upload-pages-artifact")
    assert job == "publish/deploy" and "publish/build" in before(job)
    assert pages["with"] == {"name": name, "path": "_build/html"}
    [(job, deploy)] = using("actions/deploy-pages")
    assert job == "publish/deploy"
    assert deploy["id"] == "deploy" and deploy["with"] == {"artifact_name": name}
    assert steps(job) == [
        *("actions/download-artifact", "actions/upload-pages-artifact", "actions/deploy-pages")
    ]
    assert {name: job["environment"] for name, job in JOBS.items() if "environment" in job} == {
        "publish/deploy": {"name": "github-pages", "url": "${{ steps.deploy.outputs.page_url }}"}
    }


def test_a_release_has_a_tag_and_an_attestation() -> None:
    tag = {"TAG": "${{ github.ref_name }}"}
    files, attest, create = JOBS["publish/release"]["steps"][3:]
    script = '.github/scripts/release_files.py _build/html _build/bundle _build/release "$TAG"'
    assert files == {"run": script, "env": tag}
    assert action(attest) == "actions/attest-build-provenance"
    assert attest["with"] == {"subject-path": "_build/release/*"}
    assert create["run"].startswith('gh release create "$TAG" --verify-tag ')
    assert create["run"].endswith(" _build/release/*") and tag.items() <= create["env"].items()
    assert steps("publish/bundle")[-3:] == [
        *("cp -r _build/html/store _build/store", "make bundle", "actions/upload-artifact")
    ]


def test_a_comment_runs_no_code_of_the_pull_request() -> None:
    """The workflow checks out main, and its script treats the preview's report as text."""
    run = "github.event.workflow_run"
    _, report, tell = JOBS["comment/comment"]["steps"]
    assert steps("comment/comment")[:2] == ["actions/checkout", "actions/download-artifact"]
    assert report["with"] == {
        "pattern": "report",
        "path": "report",
        "run-id": f"${{{{ {run}.id }}}}",
        "github-token": "${{ github.token }}",
    }
    script = "python3 .github/scripts/tell.py comment report/report.md"
    assert tell["run"] == f'{script} --head "$HEAD" --commit "$COMMIT" --run "$RUN"'
    owner, branch = f"{run}.head_repository.owner.login", f"{run}.head_branch"
    assert tell["env"] == {
        "RUN": f"${{{{ {run}.id }}}}",
        "HEAD": f"${{{{ {owner} }}}}:${{{{ {branch} }}}}",
        "COMMIT": f"${{{{ {run}.head_sha }}}}",
        "GITHUB_TOKEN": "${{ github.token }}",
    }


def test_the_weekly_build_reports_every_job_that_failed() -> None:
    assert before("scheduled/tell", direct=True) == {
        name for name in JOBS if name.startswith("scheduled/") and name != "scheduled/tell"
    }
    assert JOBS["scheduled/tell"]["steps"][-1] == {
        "run": 'python3 .github/scripts/tell.py issue "The scheduled build fails" --needs "$NEEDS"',
        "env": {"NEEDS": "${{ toJSON(needs) }}", "GITHUB_TOKEN": "${{ github.token }}"},
    }
    [(job, links)] = using("lycheeverse/lychee-action")
    assert job == "scheduled/links" and links["with"]["fail"] is True
    proposals = dict(using("peter-evans/create-pull-request"))
    assert {job: step["with"]["add-paths"] for job, step in proposals.items()} == {
        "scheduled/packages": "requirements*.lock",
        "scheduled/propose": "book/reference/reference_runs.json",
    }
    assert steps("scheduled/packages")[2] == "make lock"
    assert ".venv/bin/onions reference" in steps("scheduled/reference")


def test_the_weekly_build_fails_once_the_next_python_works(tmp_path: Path) -> None:
    lines = [step["run"] for job, step in STEPS if job == "scheduled/python" and "run" in step]
    [lock, widen, build] = lines
    assert lock == "make lock"
    project = tmp_path / "pyproject.toml"
    shutil.copy(ROOT / "pyproject.toml", project)
    for script, make, status in ((widen, "false", 0), (build, "false", 0), (build, "true", 1)):
        shutil.copy(f"/bin/{make}", tmp_path / "make")
        path = f"{tmp_path}:{os.environ['PATH']}"
        command = ["bash", "-eo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, check=False)
        assert done.returncode == status, script
    assert 'requires-python = ">=3.11,<3.15"' in project.read_text("utf-8")


def test_the_guide_says_what_to_do_when_a_job_fails() -> None:
    guide = (GITHUB / "README.md").read_text("utf-8")
    _, _, table = guide.partition("## When a job fails")
    for job in ("plan", "execute", "render", "look", "doctor", "bundle", "reference", "propose"):
        assert f"| `{job}`" in table, job
    assert "## Several machines without GitHub" in guide
    making = (ROOT / "book" / "reference" / "making.md").read_text("utf-8")
    assert "likely causes of failures" in making  # it refers to this table


def test_jobs_with_the_token() -> None:
    """Only jobs that write get the token, and none of them runs a pull request's code."""
    token = "${{ github.token }}"  # noqa: S105
    users = {job for job, step in STEPS if token in texts(step)}
    assert users == {"comment/comment", "publish/notebooks", "publish/release", "scheduled/tell"}
    assert not any("secrets" in path.read_text("utf-8") for path in PATHS)


def test_a_job_installs_one_lock() -> None:
    """Later targets that install packages use the same lock as `make install`."""
    targets = "install|book|live|bundle|test|check|look|report"
    for name, job in JOBS.items():
        lines = [step.get("run", "") for step in job.get("steps", [])]
        makes = [line for line in lines if re.match(rf"make ({targets})\b", line)]
        locks = {(re.findall(r"LOCK=(\S+)", line) or ["requirements.lock"])[0] for line in makes}
        assert len(locks) <= 1, f"{name}: {locks}"


def test_actions_and_installations() -> None:
    known = {
        *("checkout", "setup-python", "cache/restore", "cache/save", "upload-artifact"),
        *("download-artifact", "upload-pages-artifact", "deploy-pages"),
        "attest-build-provenance",
    }
    others = {"lycheeverse/lychee-action", "peter-evans/create-pull-request"}
    used = {action(step) for _, step in STEPS if "uses" in step}
    assert used == others | {f"actions/{name}" for name in known}
    full = [job for job, step in using("actions/checkout") if step["with"].get("fetch-depth") == 0]
    assert full == ["build/render", "publish/bundle"]  # for the base commit and page dates
    for job, step in using("actions/checkout"):  # no `ref`: the commit that started the workflow
        assert step["with"].keys() <= {"persist-credentials", "fetch-depth"}, job
        assert step["with"].get("fetch-depth", 0) == 0, job
    for job, step in using("actions/setup-python"):
        newer = job == "scheduled/python" and step["with"] == {"python-version": "3.14"}
        assert newer or step["with"] == {"python-version-file": ".github/python-version"}, job
    version = (GITHUB / "python-version").read_text("utf-8").strip()
    assert re.fullmatch(r"3\.1[123](\.\d+)?", version)
    for name in JOBS:
        lines = [s["run"] for job, s in STEPS if job == name and "run" in s]
        assert not lines or steps(name)[0] == "actions/checkout", name
        if any(line.startswith(("make ", ".venv/")) for line in lines):
            assert steps(name)[1] == "actions/setup-python", name
        assert not any(re.search(r"\bpip\b|\bcurl\b|\bwget\b", line) for line in lines), name
