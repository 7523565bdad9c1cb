"""Play the project's GitHub workflows on this machine, from a push to the published site.

Their own lines run, each job on a machine of its own; GitHub's side is in tests/rehearsal. What
each story must come to is checked: the command ends with 1 where it comes to something else.

    .venv/bin/python tests/rehearse.py --book small --only 3 5
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onions.browser import find
from rehearsal import small_book
from rehearsal.author import Author
from rehearsal.machine import INSTALLED, Environments, digest
from rehearsal.player import Job, Run, Stage, last_lines, play
from rehearsal.service import MAIN, Event, Service
from rehearsal.workflows import Refused

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-site.lock")
# `check` tests the code as `make check test` does; `packages` asks the package index.
LEFT_OUT = ("check", "packages")
NOT_IN_A_CLONE = shutil.ignore_patterns("_build", ".venv", ".git", "*.egg-info", ".*_cache")
MARKS = {"success": "✓", "failure": "✗", "skipped": "–"}
BUILD = ("build/plan", "build/execute", "build/render", "build/look")
MEASURED = """
```{{code-cell}} python
:tags: [remove-cell, build-only]
from onions.claims import measure

measure("rehearsed", {value})
```
"""
UNTRUE = """
Rain falls upwards.

```{code-cell} python
:tags: [remove-cell, build-only]
from onions.claims import claim

claim("Rain falls upwards.", False)
```
"""


class Surprise(Exception):
    """A story came to something else than it must."""


@dataclass
class Book:
    """A book, its pages that change in the stories, and what a step runs instead of its line."""

    code: str
    prose: str
    broken: str
    instead: dict[str, str] = field(default_factory=dict)


FULL = Book(code="convolution", prose="dropout", broken="pooling")
# The tests in a browser are about the pages of the whole book.
SMALL = Book("numbers", "words", "squares", {"make look": "make install"})


def main() -> None:
    """Play the stories that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="example: .venv/bin/python tests/rehearse.py --book small --only 3 5",
    )
    parser.add_argument(
        "--book",
        choices=("full", "small"),
        default="full",
        help="full: as it stands, training included; small: four tiny pages (full)",
    )
    numbers = range(1, len(STORIES) + 1)
    parser.add_argument(
        "--only",
        type=int,
        nargs="+",
        choices=numbers,
        default=list(numbers),
        metavar="N",
        help=f"the stories to play, of 1 to {len(STORIES)} (all); all others begin with 1",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        try:
            environments = make_environments(Path(folder, "environments"))
            book = FULL if options.book == "full" else SMALL
            rehearse(Path(folder), environments, book, options.only)
        except (Surprise, Refused) as error:
            sys.exit(f"\n✗ {error}")


def make_environments(folder: Path) -> Environments:
    """Run `make install` once for each lock, in a copy of the project of its own."""
    made = {}
    for lock in LOCKS:
        started = time.monotonic()
        print(f"make install LOCK={lock} …", end=" ", flush=True)
        clone = folder / lock
        shutil.copytree(ROOT, clone, ignore=NOT_IN_A_CLONE)
        done = subprocess.run(
            ["make", "install", f"LOCK={lock}", f"PYTHON={sys.executable}"],
            cwd=clone,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise Surprise(f"make install LOCK={lock}: {last_lines(done.stdout)}")
        print(f"{time.monotonic() - started:.0f} s")
        made[digest(clone / lock)] = str(clone / ".venv")
    return made


def rehearse(folder: Path, environments: Environments, book: Book, stories: list[int]) -> None:
    """Play some stories, by number. Raises Surprise or Refused."""
    print(f"Left out: {', '.join([*LEFT_OUT, *book.instead])}. Run `make check test` for the code.")
    service = Service(folder / "github", {"ONIONS_DATA": "sketches"})
    try:
        stage = Stage(service, environments, find(), LEFT_OUT, book.instead, _tell)
        shutil.copytree(ROOT, folder / "author", ignore=NOT_IN_A_CLONE)
        if book is SMALL:
            small_book.write(folder / "author")
        scene = Scene(stage, book, Author(folder / "author", service))
        for number in sorted({1, *stories}):  # all begin with the first site
            started = time.monotonic()
            print(f"\n{number}. {(STORIES[number - 1].__doc__ or '').partition(chr(10))[0]}")
            STORIES[number - 1](scene)
            print(f"   {time.monotonic() - started:.0f} s", flush=True)
    finally:
        service.close()


@dataclass
class Scene:
    """What the stories share."""

    stage: Stage
    book: Book
    author: Author
    site: dict[str, bytes] = field(default_factory=dict)  # the last one that was deployed well

    @property
    def service(self) -> Service:
        """GitHub."""
        return self.stage.service

    def play(self, event: Event) -> list[Run]:
        """Run what an event starts; the first run is that of the event itself."""
        return play(self.stage, event)

    def caches(self, ref: str) -> list[Any]:
        """Return the caches that runs on a ref have kept, the newest last."""
        return [cache for cache in self.service.caches if cache.ref == ref]

    def deployed(self) -> dict[str, bytes]:
        """Return the site that GitHub Pages shows."""
        return tree(self.service.site)


def first_publish(scene: Scene) -> None:
    """The first push to main: everything runs on two CPU runners, and the site is deployed."""
    (run,) = scene.play(scene.author.push())
    expect_jobs(run, "success", *BUILD, "deploy", "notebooks")
    expect_jobs(run, "skipped", "release")
    shards = jobs(run, "build/execute")
    expect("two runners without a GPU", [j.runs_on for j in shards], ["ubuntu-24.04"] * 2)
    plan = json.loads(jobs(run, "build/plan")[0].outputs["plan"])
    planned = sorted(page for shard in plan["shards"] for page in shard["pages"])
    expect("every page of the plan ran, once", executed(run), planned)
    expect_light(jobs(run, "build/render")[0], scene.stage.environments)
    scene.site = scene.deployed()
    expect("the site has a page for each", {f"{p}.html" for p in planned} <= scene.site.keys())
    notebooks = scene.service.git("ls-tree", "-r", "--name-only", "notebooks").splitlines()
    shown = [name[10:] for name in scene.site if name.startswith("notebooks/")]
    expect("its notebooks are on the branch `notebooks`", sorted(notebooks), sorted(shown))


def nothing_changed(scene: Scene) -> None:
    """The same again: nothing runs, and the same site is deployed."""
    (run,) = scene.play(scene.author.push())
    expect_jobs(run, "success", *(job for job in BUILD if job != "build/execute"), "deploy")
    expect_jobs(run, "skipped", "build/execute", "release")
    expect("the site is the same, byte for byte", differing(scene.deployed(), scene.site), [])


def pull_request(scene: Scene) -> None:
    """A pull request changes one page's code and another's prose: one page runs, one comment."""
    author, book, before = scene.author, scene.book, scene.caches(MAIN)
    author.add(book.code, MEASURED.format(value=1))
    author.add(book.prose, "\nAnd a sentence more.\n")
    author.commit("Change two pages")
    preview, comment = scene.play(author.pull_request(1, "lesson"))
    expect_jobs(preview, "success", *BUILD)
    expect_jobs(preview, "skipped", "fork")
    expect("just the page with other code ran", executed(preview), [book.code])
    artifacts = scene.service.artifacts[preview.id]
    expect("the site is an artifact", (artifacts["site"] / f"{book.prose}.html").exists())
    report = (artifacts["report"] / "report.md").read_text("utf-8")
    rows = report[report.index("\n# ") :]  # behind the table of all pages
    named = [page for page in (book.code, book.prose) if f"\n| {page} |" in rows]
    expect("the report names that page", named, [book.code])
    expect_jobs(comment, "success", "comment")
    expect("there is one comment", [c["issue"] for c in scene.service.comments], [1])
    expect("it says what the report says", report.strip() in scene.service.comments[0]["body"])

    author.add(book.prose, "\nAnd one more.\n")
    author.commit("Change a page again")
    preview, comment = scene.play(author.pull_request(1, "lesson"))
    expect_jobs(comment, "success", "comment")
    expect("a second push runs no page", executed(preview), [])
    expect("it updates the comment", [c["edits"] for c in scene.service.comments], [1])
    expect("main's caches are as they were", scene.caches(MAIN), before)
    author.back()


def fork(scene: Scene) -> None:
    """A fork's pull request: one epoch on a CPU, nothing may be written, and still a comment."""
    author, before, told = scene.author, list(scene.service.caches), len(scene.service.comments)
    author.add(scene.book.code, MEASURED.format(value=2))
    author.commit("Change a page elsewhere")
    preview, comment = scene.play(author.pull_request(2, "guest"))
    expect_jobs(preview, "success", *(job.replace("build", "fork") for job in BUILD))
    expect_jobs(preview, "skipped", "build")
    access = {a for j in preview.jobs if j.machine for a in j.machine.permissions.values()}
    expect("its tokens can read and no more", access, {"read"})
    built = json.loads(
        (scene.service.artifacts[preview.id]["site"] / "store/build.json").read_text()
    )
    expect("its trainings are cut short", built["profile"], "smoke")
    expect("no cache was written", scene.service.caches, before)
    expect_jobs(comment, "success", "comment")
    body = scene.service.comments[-1]["body"]
    expect("there is a comment", len(scene.service.comments), told + 1)
    expect("what the fork wrote is quoted as text", bool(re.search(r"^`{3,}text$", body, re.M)))
    author.back()


def failing_page(scene: Scene) -> None:
    """A page on main says something untrue: the others are kept, and the last good site stays."""
    scene.author.add(scene.book.broken, UNTRUE)
    scene.author.add(scene.book.code, MEASURED.format(value=3))
    scene.author.commit("Break a page")
    (run,) = scene.play(scene.author.push())
    expect_jobs(run, "failure", "build/execute", "build/render")
    expect_jobs(run, "skipped", "build/look", "deploy", "notebooks", "release")
    expect("the other page ran", executed(run), [scene.book.code])
    said = "".join(job.log for job in jobs(run, "build/execute"))
    expect("the log names the sentence", f"{scene.book.broken} claims something untrue" in said)
    kept = sorted(entry["page"] for entry in entries(scene) if "rehearsed" in entry["text"])
    expect("its result is in main's cache", kept, [scene.book.code])
    expect_site_stays(scene)
    scene.author.back()


def stale_store(scene: Scene) -> None:
    """The kept store is damaged: the page runs again. And a runner's results get lost."""
    damage(scene, scene.book.code)
    (run,) = scene.play(scene.author.push())
    expect_jobs(run, "success", *BUILD, "deploy")
    expect("just the damaged page ran", executed(run), [scene.book.code])
    scene.site = scene.deployed()

    damage(scene, scene.book.broken)
    scene.service.lost.update({"store-executed-1", "store-executed-2"})
    (run,) = scene.play(scene.author.push())
    scene.service.lost.clear()
    expect_jobs(run, "failure", "build/render")
    expect_jobs(run, "skipped", "deploy")
    said = jobs(run, "build/render")[0].log
    expect("the log names the page", bool(re.search(rf"{scene.book.broken} +stale", said)))
    expect_site_stays(scene)
    (run,) = scene.play(scene.author.push())
    expect("the next run repairs it", (run.result, executed(run)), ("success", [scene.book.broken]))
    scene.site = scene.deployed()


def missing_gpu(scene: Scene) -> None:
    """A runner with a GPU is asked for, and has none: it says so, and nothing is deployed."""
    scene.service.variables["GPU_RUNNER"] = "gpu"
    scene.author.add(scene.book.code, MEASURED.format(value=4))
    scene.author.commit("Change a page")
    (run,) = scene.play(scene.author.push())
    del scene.service.variables["GPU_RUNNER"]
    expect_jobs(run, "failure", "build/execute")
    expect_jobs(run, "skipped", "build/look", "deploy")
    (job,) = jobs(run, "build/execute")
    expect("it ran where it was asked to", job.runs_on, "gpu")
    expect("it says what to do", "GPU_RUNNER" in job.why and "driver" in job.why)
    expect_site_stays(scene)
    scene.author.back()


def tag(scene: Scene) -> None:
    """A tag: the release's files are made, attested and handed to `gh`; the site stays."""
    (run,) = scene.play(scene.author.push("refs/tags/v1.0"))
    expect_jobs(run, "success", "build/render", "bundle", "release")
    expect_jobs(run, "skipped", "build/execute", "deploy", "notebooks")
    said = scene.service.said.read_text().splitlines()
    attested = sorted(line.split()[2] for line in said if line.startswith("attest "))
    kinds = [name.rpartition(".")[2] for name in attested]
    expect("four files are attested", kinds, ["epub", "json", "pdf", "zip"])
    (asked,) = [line for line in said if line.startswith("gh ")]
    wanted = "gh release create v1.0 --verify-tag --generate-notes "
    expect("gh makes the release", asked.startswith(wanted))
    files = sorted(Path(name).name for name in asked.removeprefix(wanted).split())
    expect("with just these files", files, attested)
    expect_site_stays(scene)


def weekly(scene: Scene) -> None:
    """The weekly build fails: everything runs from nothing, and an issue names the job."""
    scene.author.add(scene.book.broken, UNTRUE)
    sha = scene.author.commit("Break a page")
    scene.author.push()
    (run,) = scene.play(Event("schedule", sha, MAIN))
    expect_jobs(run, "failure", "rebuild/execute", "rebuild/render")
    expect_jobs(run, "success", "links", "tell")
    wanted = [page for page in pages(scene) if page != scene.book.broken]
    expect("all pages ran, from nothing", executed(run), wanted)
    expect("links are followed", "lychee " in scene.service.said.read_text())
    expect(
        "there is an issue",
        [i["title"] for i in scene.service.issues],
        ["The scheduled build fails"],
    )
    expect("it names the job", "`rebuild`" in scene.service.issues[0]["body"])
    scene.author.back()


STORIES: tuple[Callable[[Scene], None], ...] = (
    first_publish,
    nothing_changed,
    pull_request,
    fork,
    failing_page,
    stale_store,
    missing_gpu,
    tag,
    weekly,
)


def expect(sentence: str, found: Any, wanted: Any = True) -> None:
    """Say what is so, or raise Surprise."""
    if found != wanted:
        raise Surprise(f"{sentence}: expected {wanted!r}, found {found!r}")
    print(f"   · {sentence}", flush=True)


def expect_jobs(run: Run, result: str, *names: str) -> None:
    """Raise Surprise unless these jobs came to that result; the story shows them already."""
    for name in names:
        found = [job.result for job in jobs(run, name)]
        if result not in found:
            log = "".join(job.log for job in jobs(run, name))
            raise Surprise(f"{run.workflow}: {name}: expected {result}, found {found}\n{log}")


def expect_light(job: Job, environments: Environments) -> None:
    """Raise Surprise unless a job ran in the environment that is for rendering only."""
    assert job.machine
    environment = job.machine.workspace / ".venv"
    expect("render installs what rendering needs", (environment / INSTALLED).read_text(), LOCKS[1])
    if len(set(environments.values())) > 1:
        expect(
            "no TensorFlow is there", list(environment.glob("lib/*/site-packages/tensorflow")), []
        )


def expect_site_stays(scene: Scene) -> None:
    """Raise Surprise unless the last good site is there as it was."""
    expect("the last good site is there, as it was", differing(scene.deployed(), scene.site), [])


def jobs(run: Run, name: str) -> list[Job]:
    """Return a run's jobs by id, one for each variant."""
    return [job for job in run.jobs if job.id == name]


def executed(run: Run) -> list[str]:
    """Return the pages that a run executed, in order of their names."""
    logs = "".join(job.log for job in run.jobs)
    return sorted(re.findall(r"^(\S+): executed in", logs, re.M))


def pages(scene: Scene) -> list[str]:
    """Return the pages that run."""
    return sorted({entry["page"] for entry in entries(scene)})


def entries(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield the facts of each entry in main's newest cache, with its `path` and `text`."""
    for path in scene.caches(MAIN)[-1].content.glob("*.ipynb"):
        text = path.read_text("utf-8")
        yield {**json.loads(text)["metadata"]["onions"], "path": path, "text": text}


def damage(scene: Scene, page: str) -> None:
    """Cut off the end of a page's newest entry in main's newest cache."""
    unchanged = [e for e in entries(scene) if e["page"] == page and "rehearsed" not in e["text"]]
    for entry in unchanged:
        entry["path"].write_text(entry["text"][:-100])


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """Return the names of files that are not in both alike."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _tell(job: Job) -> None:
    took = f" ({job.seconds:.0f} s)" if job.seconds >= 1 else ""
    what = {"success": took, "failure": took, "skipped": " (skipped)"}[job.result]
    print(f"   {MARKS[job.result]} {job.name}{what}", flush=True)
    for line in job.why.splitlines():
        print(f"     | {line}", flush=True)


if __name__ == "__main__":
    main()
