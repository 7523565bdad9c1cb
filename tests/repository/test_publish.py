"""The gate, `plan`, `status` and the workflows' scripts."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from onions.book.project import Project
from onions.store.build import BUILD_FILE
from support.lessons import FRONT_MATTER
from support.projects import ROOT, Small, run_onions, small_project
from support.runs import change_run, store_runs

SCRIPTS = ROOT / ".github" / "scripts"

PAGE = """# Title

```{code-cell} python
:tags: [remove-cell, build-only]
from onions.claims import claim, measure
claim("One is less than two.", True)
measure("one", 1)
measure("two", 2)
```

One is less than two.
So it was measured{claim}`one < two`.
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small rendered book with two claims that hold."""
    root = small_project(tmp_path_factory.mktemp("book"), index=PAGE)
    store_runs(root)
    assert run_onions(root, "render").returncode == 0
    return root


@pytest.fixture
def site(built: Path, tmp_path: Path) -> Path:
    """A copy of the small book that a test may change."""
    return shutil.copytree(built, tmp_path / "book")


def test_the_gate_lets_a_correct_site_pass(site: Path) -> None:
    html = site / "_build" / "html"
    (html / "images.bin").write_bytes(bytes(2_000_000))
    done = run_onions(site, "gate", "--data", "sketches")
    assert done.returncode == 0, done.stderr
    files = [path for path in html.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    assert megabytes > 2
    size = f"{megabytes:.1f} MB in {len(files)} files"
    assert done.stdout == f"The site may be published. It has {size}.\n"


def test_a_site_too_large_for_github_pages_closes_the_gate(site: Path) -> None:
    with (site / "_build" / "html" / "images.bin").open("wb") as file:
        file.truncate(10**9)  # takes no space on the disk
    done = run_onions(site, "gate", "--data", "sketches")
    assert done.returncode == 1
    assert "MB; GitHub Pages allows 1,000 MB. Publish fewer images" in done.stderr


def test_the_gate_requires_cifar10_by_default(site: Path) -> None:
    done = run_onions(site, "gate")
    assert done.returncode == 1 and done.stdout == ""
    assert (
        "the built-in stand-in, not CIFAR-10; it must show CIFAR-10's official images"
        in done.stderr
    )


def claim_fails(entry: dict[str, Any]) -> None:
    _claim(entry)["holds"] = False


def claim_is_unchecked(entry: dict[str, Any]) -> None:
    _claim(entry)["holds"] = None


def measured_differently(entry: dict[str, Any]) -> None:
    _records(entry, "measure")[0]["value"] = 3


def cut_short(entry: dict[str, Any]) -> None:
    entry["metadata"]["onions"]["build"]["profile"] = "smoke"


def _claim(entry: dict[str, Any]) -> Any:
    [claim] = _records(entry, "claim")
    return claim


def _records(entry: dict[str, Any], kind: str) -> list[Any]:
    records = [o["metadata"]["onions"] for o in entry["cells"][0]["outputs"]]
    return [record[kind] for record in records if kind in record]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (claim_fails, "6: a claim does not hold: “One is less than two.”"),
        (claim_is_unchecked, "6: a claim was not checked: “One is less than two.”"),
        (measured_differently, "12: a claim does not hold: “So it was measured.”"),
        (cut_short, "12: a claim was not checked: “So it was measured.”"),
    ],
)
def test_a_claim_that_does_not_hold_closes_the_gate(
    site: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """`execute` never stores such a page, but the gate checks anyway."""
    from onions.store.entries import Store

    store = Store(site / "_build" / "html" / "store")
    [path] = store.entries()
    change_run(store, path.stem, change)
    done = run_onions(site, "gate", "--data", "sketches")
    assert done.returncode == 1 and f"index.md:{message}" in done.stderr


def page_changed(root: Path) -> None:
    page = root / "book" / "index.md"
    page.write_text(page.read_text().replace("claim(", "claim( "))


def entry_damaged(root: Path) -> None:
    [entry] = (root / "_build" / "html" / "store").glob("*.ipynb")
    text = entry.read_text()
    entry.write_text(text.replace("less", "more"))


def site_without_build_file(root: Path) -> None:
    (root / "_build" / "html" / "store" / BUILD_FILE).unlink()


def lesson_lost(root: Path) -> None:
    (root / "book" / "other.md").write_text(f"{FRONT_MATTER}# Other\n")
    (root / "book" / "start.md").write_text("# Start\n")
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: start\nparts:\n"
        "  - {caption: Lesson, chapters: [{file: index}, {file: other}]}\n"
    )


def smoke_profile(root: Path) -> None:
    _build(root, profile="smoke")


def _build(root: Path, **changed: Any) -> None:
    path = root / "_build" / "html" / "store" / BUILD_FILE
    build = json.loads(path.read_text())
    path.write_text(json.dumps({**build, **changed}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (page_changed, "index.md: stale on the site"),
        (entry_damaged, "damaged"),
        (site_without_build_file, "no site, or its build.json is damaged"),
        (lesson_lost, "index.md:1: no lesson in the front matter, unlike other in the same part"),
        (smoke_profile, "cut short (profile smoke)"),
    ],
)
def test_an_obstacle_closes_the_gate(
    site: Path, change: Callable[[Path], None], message: str
) -> None:
    change(site)
    done = run_onions(site, "gate", "--data", "sketches")
    assert done.returncode == 1 and message in done.stderr, done.stderr


def test_status_markdown_has_a_row_for_each_page(site: Path) -> None:
    done = run_onions(site, "status", "--markdown")
    assert done.returncode == 0
    assert re.search(
        r"^\| index \| fresh \| \d+ \| .* \| (now|1 minute ago) \| 2 held \|$", done.stdout, re.M
    )
    page_changed(site)
    done = run_onions(site, "status", "--markdown")
    assert done.returncode == 1 and "| stale, since cell 1 changed |" in done.stdout


def test_plan_json_has_the_shards_for_a_matrix(small: Small) -> None:
    """`plan --json` describes each job of the matrix, and writes the build to the store."""
    root = small(index=PAGE)
    done = run_onions(root, "plan", "--shards", "2", "--json")
    [shard] = json.loads(done.stdout)["shards"]
    assert (shard["shard"], shard["number"], shard["pages"]) == ("1/2", 1, ["index"])
    assert "stale" in run_onions(root, "status").stdout
    assert Project(root).store.joinpath(BUILD_FILE).exists()


def test_the_locks_pin_the_same_versions() -> None:
    """Rendering and GPU runs use the versions that the tests use."""
    pins = {
        name: set(re.findall(r"^([a-z0-9._-]+==\S+)", (ROOT / name).read_text("utf-8"), re.M))
        for name in ("requirements.lock", "requirements-site.lock", "requirements-gpu.lock")
    }
    assert pins["requirements-site.lock"] < pins["requirements.lock"]
    assert pins["requirements.lock"] < pins["requirements-gpu.lock"]
    cuda = pins["requirements-gpu.lock"] - pins["requirements.lock"]
    assert cuda and all(pin.startswith("nvidia-") for pin in cuda)


def test_the_notebooks_are_pushed_as_a_branch_of_one_commit(tmp_path: Path) -> None:
    remote, notebooks = tmp_path / "remote", tmp_path / "notebooks"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    (notebooks / "solutions").mkdir(parents=True)
    for number in range(2):
        for name in ("dropout.ipynb", "solutions/dropout.ipynb", "dropout.py"):
            (notebooks / name).write_text(f"{number}")
        command = [str(SCRIPTS / "push_notebooks.sh"), str(notebooks), remote.as_uri()]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout == "Pushed 2 notebooks to the branch notebooks.\n"

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", remote, *arguments], capture_output=True, text=True)
        return done.stdout

    assert git("rev-list", "--count", "notebooks") == "1\n"
    assert git("show", "notebooks:dropout.py") == "1"
    assert git("show", "notebooks:solutions/dropout.ipynb") == "1"


def test_a_release_has_the_bundle_and_the_build_facts(site: Path, tmp_path: Path) -> None:
    releases = []
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for kind in ("epub", "pdf", "zip"):
        (bundle / f"networks-are-like-onions.{kind}").write_text(kind)
    for folder in (tmp_path / "a", tmp_path / "b"):
        html = site / "_build" / "html"
        paths = (SCRIPTS / "release_files.py", html, bundle, folder)
        command = [sys.executable, *map(str, paths), "v1.0"]
        subprocess.run(command, check=True, capture_output=True)
        releases.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert releases[0] == releases[1]
    for kind in ("epub", "pdf", "zip"):
        assert releases[0][f"networks-are-like-onions-v1.0.{kind}"] == kind.encode()
    facts = json.loads(releases[0]["networks-are-like-onions-v1.0.json"])
    assert facts["build"]["profile"] == "full" and facts["pages"]["index"]["device"]


class Forge(ThreadingHTTPServer):
    """A fake of the GitHub API that the scripts use: pull requests, comments and issues."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pulls: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.jobs = [{"name": "build / render", "conclusion": "success"}]

    def run_tell(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run tell.py against this server."""
        environment = {
            "GITHUB_API_URL": f"http://127.0.0.1:{self.server_port}",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": "own/book",
            "GITHUB_RUN_ID": "7",
            "GITHUB_TOKEN": "secret",
        }
        command = [sys.executable, str(SCRIPTS / "tell.py"), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True)


class Handler(BaseHTTPRequestHandler):
    server: Forge

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path = self.path.removeprefix("/repos/own/book/").partition("?")[0]
        answers: dict[str, object] = {
            "pulls": self.server.pulls,
            "issues": self.server.issues,
            "actions/runs/7/jobs": {"jobs": self.server.jobs},
        }
        self._send(answers.get(path, self.server.comments))

    def do_POST(self) -> None:
        new = {"id": 1, "number": 5, "user": {"login": "github-actions[bot]"}, "html_url": "here"}
        posts = self.server.comments if self.path.endswith("/comments") else self.server.issues
        posts.append(new | self._body())
        self._send(posts[-1])

    def do_PATCH(self) -> None:
        number = int(self.path.rpartition("/")[2])
        [old] = [c for c in self.server.comments if c["id"] == number]
        old.update(self._body())
        self._send(old)

    def _body(self) -> dict[str, Any]:
        return dict(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _send(self, answer: object) -> None:
        allowed = self.headers["Authorization"] == "Bearer secret"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def pull_request(repository: str) -> dict[str, Any]:
    return {"number": 3, "head": {"sha": "c0ffee", "repo": {"full_name": repository}}}


def post_report(forge: Forge, report: Path, commit: str = "c0ffee") -> str:
    done = forge.run_tell(
        "comment", report, "--head", "own:a branch", "--commit", commit, "--run", "7"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_report_replaces_the_last_comment(forge: Forge, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    forge.pulls = [pull_request("own/book")]
    someone = {"id": 9, "user": {"login": "someone"}, "body": "<!-- onions: report -->\nmine"}
    forge.comments = [someone.copy()]
    for text in ("| first |", "| second |"):
        report.write_text(text)
        assert post_report(forge, report) == "here\n"
    assert forge.comments[0] == someone, "a comment by someone else changed"
    assert [c["body"] for c in forge.comments[1:]] == ["<!-- onions: report -->\n| second |"]


def test_a_fork_s_report_is_quoted_as_plain_text(forge: Forge, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    report.write_text("@everybody ![x](https://evil.example/x.png)\n```\n" + "x" * 70_000)
    forge.pulls = [pull_request("fork/book")]
    post_report(forge, report)
    [comment] = forge.comments
    _, intro, _, fence, *lines = comment["body"].split("\n")
    assert intro == "What the fork's own build reports:" and fence == "````text"
    assert lines[-1] == "````" and "````" not in lines[:-1] and len(comment["body"]) < 65_000


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out"])
def test_a_failed_build_is_reported_with_its_failed_jobs(
    forge: Forge, tmp_path: Path, conclusion: str
) -> None:
    report = tmp_path / "report.md"
    forge.pulls = [pull_request("own/book")]
    forge.jobs.append({"name": "build / execute 1/2", "conclusion": conclusion})
    failed = (
        "<!-- onions: report -->\n**Failed:** `build / execute 1/2`. "
        "See https://github.example/own/book/actions/runs/7.\n\n"
    )
    post_report(forge, report)
    missing = "There is no report, since the build stopped before it."
    assert [c["body"] for c in forge.comments] == [failed + missing]
    report.write_text("| stale |")
    post_report(forge, report)
    assert [c["body"] for c in forge.comments] == [f"{failed}| stale |"]


def test_a_fork_s_job_names_are_quoted_as_plain_text(forge: Forge, tmp_path: Path) -> None:
    forge.pulls = [pull_request("fork/book")]
    forge.jobs.append({"name": "@everybody", "conclusion": "failure"})
    post_report(forge, tmp_path / "report.md")
    before, _, inside = forge.comments[0]["body"].partition("```text\n")
    assert "@everybody" in inside and "@" not in before


def test_a_report_of_an_older_commit_is_not_posted(forge: Forge, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    report.write_text("old")
    forge.pulls = [pull_request("own/book")]
    assert "No open pull request" in post_report(forge, report, "0dd")
    assert forge.comments == []


def test_a_symbolic_link_is_refused_as_report(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "report.md").symlink_to("/etc/hostname")
    forge.pulls = [pull_request("own/book")]
    report = tmp_path / "report.md"
    done = forge.run_tell("comment", report, "--head", "o:b", "--commit", "c0ffee", "--run", "7")
    assert done.returncode == 1 and "a symbolic link. Pass" in done.stderr


def test_repeated_failures_are_reported_in_one_issue(forge: Forge) -> None:
    results = {"rebuild": "failure", "links": "success", "python": "cancelled"}
    needs = json.dumps({job: {"result": result} for job, result in results.items()})
    for _ in range(2):
        done = forge.run_tell("issue", "The scheduled build fails", "--needs", needs)
        assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr
    expected = "Failed: `rebuild`, `python`. See https://github.example/own/book/actions/runs/7."
    assert [(i["title"], i["body"]) for i in forge.issues] == [
        ("The scheduled build fails", expected)
    ]
    assert [c["body"] for c in forge.comments] == [expected]


def test_a_github_api_error_is_reported(forge: Forge) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "tell.py"), "issue", "title", "--needs", "{}"],
        env={
            "GITHUB_API_URL": f"http://127.0.0.1:{forge.server_port}",
            "GITHUB_SERVER_URL": "",
            "GITHUB_REPOSITORY": "own/book",
            "GITHUB_RUN_ID": "7",
            "GITHUB_TOKEN": "wrong",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "401" in done.stderr and "Traceback" not in done.stderr
