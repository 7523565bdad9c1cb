"""Rehearse the project's workflows on this machine, from a push to the published site.

The `run:` lines of .github/workflows run job by job, each job in a fresh clone. Artifacts, caches
and the site are folders. An expression or action without an entry here is an error.
tests/repository/test_workflows.py checks what only GitHub can enforce: permissions and triggers.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from support.git import git
from support.projects import GITHUB, ROOT, small_project, tree

Table = dict[str, Any]
EXPRESSION = re.compile(r"\$\{\{([^}]*)\}\}")
STATUS_FUNCTION = re.compile(r"\b(always|cancelled|failure)\(\)")
NO_MATRIX: Table = {"matrix": {"include": [{}]}}
NOT_IN_A_CLONE = shutil.ignore_patterns("_build", ".venv", ".git", "*.egg-info", ".*_cache")
JOBS_LEFT_OUT = ("check", "quick", "browser")  # `make check` and `make test` do the same
ACTIONS_LEFT_OUT = {"actions/setup-python"}  # jobs use the caller's Python

BUILD = ("build / plan", "build / execute", "build / render", "build / look")
BUILD_ONLY_CELL = """
```{{code-cell}} python
:tags: [remove-cell, build-only]
from onions.claims import claim, measure

{code}
```
"""
MEASURED = BUILD_ONLY_CELL.format(code='measure("rehearsed", 1)')
UNTRUE = (
    BUILD_ONLY_CELL.format(code='claim("Rain falls upwards.", False)') + "\nRain falls upwards.\n"
)


class RehearsalError(Exception):
    """A scenario ended unexpectedly, or a workflow has an unknown expression or action."""


@dataclass(frozen=True)
class Book:
    """The pages to change and to break; `pages`, if not empty, replace the book's pages."""

    change: str = "convolution"
    broken: str = "pooling"
    pages: dict[str, str] = field(default_factory=dict)
    lines_left_out: tuple[str, ...] = ()  # scripts of steps that are skipped


def main() -> None:
    """Rehearse with the full book, and exit with 1 if anything ends unexpectedly."""
    argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\n")[0],
        epilog="Example: make rehearse (`make test` does the same with a small book)",
    ).parse_args()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        try:
            rehearse(Path(folder), Book())
        except (RehearsalError, subprocess.SubprocessError) as error:
            sys.exit(f"\n✗ {error}")


def rehearse(folder: Path, book: Book) -> None:
    """Play all scenarios and print each job as it ends. Raises RehearsalError if one fails."""
    print("Left out:", ", ".join([*JOBS_LEFT_OUT, *book.lines_left_out]))
    github = GitHub(folder, book)
    for scenario in (first_publish, fork, failing_page):
        print(f"\n{scenario.__doc__}", flush=True)
        scenario(github, book)


def first_publish(github: "GitHub", book: Book) -> None:
    """The first push to main: two shards run every page, and the site is deployed."""
    run = github.push("publish.yml")
    run.expect("jobs succeeded", run.ended("success"), {"build", *BUILD, "deploy", "notebooks"})
    run.expect("two shards ran", {"store-executed-1", "store-executed-2"} <= run.artifacts.keys())
    run.expect("the shards ran each planned page once", run.executed(), run.planned())
    run.expect("the cache has each page", sorted(p for p, _ in github.stored()), run.planned())
    pages = {f"{page}.html" for page in run.planned()}
    run.expect("the site has each page", pages <= tree(github.site).keys())
    notebooks = set(github.git("ls-tree", "-r", "--name-only", "notebooks").splitlines())
    run.expect("the branch has the notebooks", notebooks, set(tree(github.site / "notebooks")))


def fork(github: "GitHub", book: Book) -> None:
    """A fork's pull request: every page runs briefly, a report is made, nothing is stored."""
    site, caches, base = tree(github.site), list(github.caches), github.git("rev-parse", "HEAD")
    github.append(book.change, MEASURED)
    run = github.push("preview.yml", base)
    jobs = {"fork", *(job.replace("build", "fork") for job in BUILD)}
    run.expect("jobs succeeded", run.ended("success"), jobs)
    run.expect("one machine ran every page", run.executed(), run.planned())
    built = json.loads((run.artifacts["site"] / "store" / "build.json").read_text("utf-8"))
    run.expect("the profile is smoke", built["profile"], "smoke")
    run.expect("the data are sketches", built["source"]["name"], "sketches")
    report = (run.artifacts["report"] / "report.md").read_text("utf-8")
    run.expect("the report has the page", f"| {book.change} | fresh" in report)
    run.expect("no cache was written", list(github.caches), caches)
    run.expect("nothing was deployed", tree(github.site) == site)
    github.git("reset", "-q", "--hard", base)


def failing_page(github: "GitHub", book: Book) -> None:
    """A false claim on main: the other pages' results are kept, and the last good site stays."""
    site = tree(github.site)
    github.append(book.broken, UNTRUE)
    github.append(book.change, MEASURED)
    run = github.push("publish.yml")
    run.expect("execute and render failed", run.ended("failure"), {"build", *BUILD[1:3]})
    run.expect("only the plan succeeded", run.ended("success"), {"build / plan"})
    run.expect("the other page ran", run.executed(), [book.change])
    untrue = f"{book.broken} has a false claim"
    run.expect("the log names the page", untrue in run.logs["build / execute"])
    kept = [page for page, text in github.stored() if '"rehearsed"' in text]
    run.expect("the cache has the other page's result", kept, [book.change])
    stale = re.search(rf"^{book.broken} +stale", run.logs["build / render"], re.M)
    run.expect("render refuses the stale page", bool(stale))
    run.expect("the last good site is there, byte for byte", tree(github.site) == site)


class GitHub:
    """The state that GitHub keeps between runs: the repository, caches and deployed site."""

    def __init__(self, folder: Path, book: Book):
        self.folder, self.book = folder, book
        self.repository, self.site = folder / GITHUB["GITHUB_REPOSITORY"], folder / "site"
        self.caches: dict[str, Path] = {}
        shutil.copytree(ROOT, self.repository, ignore=NOT_IN_A_CLONE)
        if book.pages:
            shutil.rmtree(self.repository / "book")
            small_project(self.repository, **book.pages)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """Run git in the repository; return its stripped output."""
        return git(self.repository, *arguments).stdout.strip()

    def append(self, page: str, text: str) -> None:
        """Append text to a page."""
        with (self.repository / "book" / f"{page}.md").open("a") as file:
            file.write(text)

    def push(self, workflow: str, base: str = "") -> "Run":
        """Commit everything and run a workflow; `base` is the base of a fork's pull request."""
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "Change the book")
        run = Run(self, self.git("rev-parse", "HEAD"), base)
        run.play(f"$/.github/workflows/{workflow}", {})
        return run

    def stored(self) -> list[tuple[str, str]]:
        """Return the page and the text of each entry in the newest cache."""
        texts = [f.read_text("utf-8") for f in list(self.caches.values())[-1].glob("*.ipynb")]
        return [(json.loads(text)["metadata"]["onions"]["page"], text) for text in texts]


class Run:
    """One run of a workflow: its artifacts, and each job's result and log."""

    def __init__(self, github: GitHub, commit: str, base: str):
        self.github, self.commit, self.base = github, commit, base
        self.artifacts: dict[str, Path] = {}
        self.outputs: Table = {}  # of all jobs
        self.results: dict[str, str] = {}  # by job, as `build / plan`
        self.logs: defaultdict[str, str] = defaultdict(str)

    def play(self, path: str, arguments: Table, prefix: str = "") -> str:
        """Play a workflow's jobs in order; return success or failure."""
        file = self.github.repository / path.removeprefix("$/")
        workflow = yaml.safe_load(file.read_text("utf-8"))
        # YAML reads the key `on` as True.
        declared = workflow[True].get("workflow_call", {}).get("inputs", {})
        inputs = {name: declared[name]["default"] for name in declared} | arguments
        for name, job in workflow["jobs"].items():
            if name not in JOBS_LEFT_OUT:
                table = self.expressions(inputs, prefix)
                self.results[prefix + name] = self.job(prefix, name, job, table)
        jobs = [result for name, result in self.results.items() if name.startswith(prefix)]
        return "failure" if "failure" in jobs else "success"

    def job(self, prefix: str, name: str, job: Table, table: Table) -> str:
        """Play a job for each variant of its matrix; return success, failure or skipped."""
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        before = all(self.results[prefix + need] == "success" for need in needs)
        if not holds(job.get("if"), table, before):
            return "skipped"
        if "uses" in job:
            return self.play(job["uses"], fill(job["with"], table), f"{name} / ")
        results, env = [], fill(job.get("env", {}), table)
        for variant in fill(job.get("strategy", NO_MATRIX)["matrix"]["include"], table):
            matrix = {f"matrix.{key}": value for key, value in variant.items()}
            results.append(Machine(self, prefix + name, table | matrix, env).play(job))
        return "failure" if "failure" in results else "success"

    def expressions(self, inputs: Table, prefix: str) -> Table:
        """Return the value of each expression that the played jobs contain, by its text."""
        shards = json.loads(self.outputs.get("plan", '{"shards": []}'))["shards"]
        success = {job.removeprefix(prefix) for job in self.ended("success")}
        return {
            **{f"inputs.{name}": value for name, value in inputs.items()},
            "!inputs.fresh": not inputs.get("fresh"),
            "inputs.save && inputs.fresh": inputs.get("save") and inputs.get("fresh"),
            "inputs.save && !inputs.fresh": inputs.get("save") and not inputs.get("fresh"),
            "inputs.data == 'cifar10'": inputs.get("data") == "cifar10",
            "inputs.data == 'cifar10' && steps.images.outputs.cache-hit != 'true'": (
                inputs.get("data") == "cifar10"  # nothing is cached
            ),
            # The repository's variables (.github/README.md).
            "vars.ONIONS_DATA || 'cifar10'": "sketches",
            "vars.GPU_RUNNER": "",
            "inputs.gpu-runner && 'requirements-gpu.lock' || 'requirements.lock'": (
                "requirements.lock"
            ),
            "vars.SHARDS || '2'": "2",
            # The event: a push to main or, with a base, a fork's pull request.
            "github.run_id": self.commit,
            "github.run_attempt": "1",
            "github.server_url": self.github.folder.as_uri(),
            "github.repository": GITHUB["GITHUB_REPOSITORY"],
            "github.token": "",
            "github.event.pull_request.head.repo.full_name == github.repository": not self.base,
            "github.event.pull_request.head.repo.full_name != github.repository": bool(self.base),
            # The results of earlier jobs.
            "always()": True,
            "!cancelled()": True,
            "fromJSON(needs.plan.outputs.plan).shards": shards,
            "fromJSON(needs.plan.outputs.plan).shards[0]": bool(shards),
            "!cancelled() && needs.plan.result == 'success'": "plan" in success,
            "inputs.base && !cancelled()": bool(inputs.get("base")),
            "!cancelled() && needs.render.result == 'success'": "render" in success,
            "!cancelled() && needs.build.result == 'success' && github.ref == 'refs/heads/main'": (
                "build" in success
            ),
            "!cancelled() && needs.deploy.result == 'success'": "deploy" in success,
            "!cancelled() && needs.build.result == 'success' && github.ref_type == 'tag'": False,
            "!cancelled() && needs.bundle.result == 'success'": "bundle" in success,
        }

    def planned(self) -> list[str]:
        """Return the pages of the plan, sorted."""
        shards = json.loads(self.outputs["plan"])["shards"]
        return sorted(page for shard in shards for page in shard["pages"])

    def executed(self) -> list[str]:
        """Return the pages that were executed, sorted."""
        return sorted(re.findall(r"^(\S+): executed in", "".join(self.logs.values()), re.M))

    def ended(self, result: str) -> set[str]:
        """Return the jobs with this result."""
        return {job for job, ended in self.results.items() if ended == result}

    def expect(self, sentence: str, value: Any, expected: Any = True) -> None:
        """Print the sentence if it is true; otherwise raise RehearsalError with the logs' ends."""
        if value != expected:
            end = "".join(log[-2000:] for log in self.logs.values())
            raise RehearsalError(f"{end}\nFalse: {sentence}. Expected {expected!r}, got {value!r}.")
        print(f"   · {sentence}", flush=True)


def fill(value: Any, table: Table) -> Any:
    """Replace the expressions in a value. Raises RehearsalError if one is not in the table."""
    if isinstance(value, dict):
        return {key: fill(part, table) for key, part in value.items()}
    if not isinstance(value, str):
        return value

    def find(match: re.Match[str]) -> Any:
        if (expression := match[1].strip()) not in table:
            raise RehearsalError(f"{match[0]} has no value in tests/support/rehearse.py. Add it.")
        return table[expression]

    if whole := EXPRESSION.fullmatch(value):
        return find(whole)  # of any type
    return EXPRESSION.sub(lambda match: text(find(match)), value)


def text(value: Any) -> str:
    """Return a value as GitHub inserts it into a text."""
    return value if isinstance(value, str) else json.dumps(value)


def holds(condition: str | None, table: Table, success: bool) -> bool:
    """Return whether an `if:` holds; without a status function, it also requires `success`."""
    if condition is None:
        return success
    return bool(fill(condition, table)) and (success or bool(STATUS_FUNCTION.search(condition)))


class Machine:
    """One job's machine: a folder, with a clone after the checkout."""

    def __init__(self, run: Run, name: str, table: Table, env: Table):
        self.run, self.github, self.name, self.table, self.env = run, run.github, name, table, env
        self.folder = Path(tempfile.mkdtemp(dir=run.github.folder))
        self.work = self.folder / "work"

    def play(self, job: Table) -> str:
        """Play a job's steps, print the result and return it."""
        started, result = time.monotonic(), "success"
        for step in job["steps"]:
            if holds(step.get("if"), self.table, result == "success"):
                try:
                    self.line(step, 60 * job["timeout-minutes"])
                    self.action(step)
                except OSError as error:  # the step failed
                    result = "failure"
                    self.run.logs[self.name] += f"{error}\n"
        if result == "success":
            self.run.outputs |= fill(job.get("outputs", {}), self.table)
        shard, took = self.table.get("matrix.shard", ""), time.monotonic() - started
        mark = "✓" if result == "success" else "✗"
        print(f"   {mark} {self.name} {shard} ({took:.0f} s)", flush=True)
        return result

    def line(self, step: Table, seconds: float) -> None:
        """Run a step's `run:` lines; add its GITHUB_OUTPUT to the table.

        Raises ChildProcessError if they fail, and TimeoutExpired after `seconds`.
        """
        script = step.get("run")
        if script is None or script in self.github.book.lines_left_out:
            return
        variables = {n: os.environ[n] for n in ("PATH", "HOME", "CHROMIUM") if n in os.environ} | {
            **GITHUB,
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.work / "code"),  # the clone's code, not the caller's
            "PYTHON": "false",  # keeps `make install` from changing the caller's environment
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.work,
            env=variables | self.env | fill(step.get("env", {}), self.table),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        self.run.logs[self.name] += f"$ {script}\n{done.stdout}{done.stderr}"
        if (output := self.folder / "output").exists():
            for name, _, value in (o.partition("=") for o in output.read_text().splitlines()):
                self.table[f"steps.{step['id']}.outputs.{name}"] = value
            output.unlink()
        if done.returncode:
            raise ChildProcessError(f"{script}: exit status {done.returncode}")

    def action(self, step: Table) -> None:
        """Imitate an action.

        Raises RehearsalError if the action is unknown, and TypeError if an input is unknown.
        """
        name = step.get("uses", "").partition("@")[0]
        if not name or name in ACTIONS_LEFT_OUT:
            return
        if name not in ACTIONS:
            raise RehearsalError(f"the action {name} is not in tests/support/rehearse.py. Add it.")
        inputs = fill(step.get("with", {}), self.table)
        ACTIONS[name](self, **{key.replace("-", "_"): value for key, value in inputs.items()})

    def checkout(self, *, persist_credentials: bool, fetch_depth: int = 1) -> None:
        """Clone the repository, and link the caller's environment as its .venv."""
        depth = [f"--depth={fetch_depth}"] if fetch_depth else []
        source = self.github.repository.as_uri()
        subprocess.run(["git", "clone", "-q", *depth, source, self.work], check=True)
        (self.work / ".venv").mkdir()
        for part in Path(sys.prefix).glob("[!.]*"):
            (self.work / ".venv" / part.name).symlink_to(part)
        for lock in self.work.glob("*.lock"):  # leaves `make install` nothing to do
            (self.work / ".venv" / f".ready-{lock.name}").touch()

    def upload(
        self, *, name: str, path: str, include_hidden_files: bool = False, retention_days: int = 0
    ) -> None:
        """Keep a folder or files as an artifact; its name must be new in this run."""
        target = self.github.folder / self.run.commit / name
        target.mkdir(parents=True)
        for source in (self.work / line for line in path.split()):
            if not source.is_dir():  # the path of a file, or a pattern
                for file in source.parent.glob(source.name):
                    shutil.copy(file, target)
            else:
                hidden = None if include_hidden_files else shutil.ignore_patterns(".*")
                shutil.copytree(source, target, ignore=hidden, dirs_exist_ok=True)
        self.run.artifacts[name] = target

    def download(
        self, *, path: str, name: str = "", pattern: str = "", merge_multiple: bool = True
    ) -> None:
        """Copy artifacts into a folder. Raises OSError if files of the same name differ."""
        names = [key for key in self.run.artifacts if fnmatch(key, pattern or name)]
        if not names:
            raise FileNotFoundError(f"there is no artifact {pattern or name}")
        files = [item for key in names for item in tree(self.run.artifacts[key]).items()]
        for target, content in ((self.work / path / file, content) for file, content in files):
            if target.exists() and target.read_bytes() != content:
                raise OSError(f"{target.name} differs between {', '.join(names)}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def restore(self, *, path: str, key: str, restore_keys: str) -> None:
        """Copy the newest cache whose key begins with `restore_keys`, if there is one."""
        if keys := [k for k in self.github.caches if k.startswith(restore_keys)]:
            shutil.copytree(self.github.caches[keys[-1]], self.work / path)

    def save(self, *, path: str, key: str) -> None:
        """Keep a folder as a cache."""
        self.github.caches[key] = shutil.copytree(self.work / path, self.folder / "cache")

    def deploy_pages(self, *, artifact_name: str) -> None:
        """Replace the site."""
        shutil.rmtree(self.github.site, ignore_errors=True)
        shutil.copytree(self.run.artifacts[artifact_name], self.github.site)


ACTIONS: dict[str, Callable[..., None]] = {
    "actions/checkout": Machine.checkout,
    "actions/upload-artifact": Machine.upload,
    "actions/download-artifact": Machine.download,
    "actions/cache/restore": Machine.restore,
    "actions/cache/save": Machine.save,
    "actions/upload-pages-artifact": Machine.upload,
    "actions/deploy-pages": Machine.deploy_pages,
}


if __name__ == "__main__":
    main()
