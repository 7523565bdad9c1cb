"""CONTRIBUTING.md, the hooks and the forms: what they tell a contributor is true."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, run_onions
from onions.lint import find
from onions.pages import Project

Small = Callable[..., Path]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_ten_lines_lead_to_a_pull_request() -> None:
    [first, *_] = re.findall(r"```bash\n(.*?)```", TEXT, re.S)
    lines = first.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("git clone") and lines[-1].startswith("git push")
    targets = [t for line in lines for t in re.findall(r"^make ([a-z ]*[a-z])", line)]
    for target in " ".join(targets).split():
        assert re.search(rf"^{target}:", MAKEFILE, re.M), target
    for name in re.findall(r"\.venv/bin/onions (\w+)", first):
        assert run_onions(ROOT, name, "--help").returncode == 0, name


def test_the_example_is_a_page_that_builds(small: Small) -> None:
    [text] = re.findall(r"^````markdown\n(.*?)^````$", TEXT, re.M | re.S)
    root = small(index="# One", example=text)
    assert find(Project(root).page("example")) == []
    for command in ("execute", "render"):  # a warning stops the second
        done = run_onions(root, command)
        assert done.returncode == 0, done.stdout + done.stderr
    html = (root / "_build" / "html" / "example.html").read_text("utf-8")
    assert "3,072" in html and "This is a comment" not in html


def test_the_names_are_those_of_the_pages() -> None:
    table = TEXT.partition("\n## Names\n")[2].partition("\n## ")[0]
    names = [
        n for row in re.findall(r"^\|([^|]*)\|", table, re.M) for n in re.findall(r"`(\w+)`", row)
    ]
    code = "\n".join(c.source for page in Project(ROOT).pages() for c in page.cells)
    assert len(names) == len(set(names)) == 15
    for name in names:
        assert re.search(rf"^[\w, ()]*\b{name}\b[\w, ()]* = ", code, re.M), name


def test_what_it_names_is_there() -> None:
    for path in re.findall(r"`((?:code|book|tests)/[\w/.]+)`", TEXT):
        assert "NAME" in path or (ROOT / path).exists(), path
    rules = run_onions(ROOT, "check", "--explain").stdout
    for heading in re.findall(r"see “(\w+)” in CONTRIBUTING", " ".join(rules.split())):
        assert f"\n## {heading}\n" in TEXT


def hooks() -> list[dict[str, object]]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]  # nothing is downloaded
    return [hook for repo in config["repos"] for hook in repo["hooks"]]


def test_every_hook_is_a_part_of_make_check() -> None:
    [recipe] = re.findall(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    for hook in hooks():
        command = (
            str(hook["entry"]).replace(".venv/bin/", "$(BIN)/").replace(" --force-exclude", "")
        )
        assert f"@{command}" in recipe, command


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files of this project in a repository of their own, with this environment."""
    for name in ("book", "code", ".pre-commit-config.yaml", "pyproject.toml", "_toc.yml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / ".gitignore").write_text(".venv\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "--all")
    return tmp_path


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    person = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *person, *arguments], cwd=root, capture_output=True, text=True, timeout=300
    )


def test_a_commit_that_breaks_a_rule_is_stopped_and_told_why(clone: Path) -> None:
    installed = shlex.split(str(ROOT / ".venv/bin/pre-commit install"))
    subprocess.run(installed, cwd=clone, check=True, capture_output=True)
    page = clone / "book" / "pooling.md"
    kept = page.read_text("utf-8")
    page.write_text(f"{kept}\nThis is simply so.\n", "utf-8")
    git(clone, "add", "--all")
    done = git(clone, "commit", "-m", "A page")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "words: “simply”" in said, said
    assert "why: whoever does not find it easy" in said and "fix: leave the word out." in said
    assert said.count("Failed") == 1, said
    page.write_text(kept, "utf-8")
    git(clone, "add", "--all")
    done = git(clone, "commit", "-m", "A page")
    assert done.returncode == 0, done.stdout + done.stderr
