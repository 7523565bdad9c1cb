"""CONTRIBUTING.md's commands and names, and the pre-commit hooks."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from onions.book.check import check_page
from onions.book.project import Project
from support.git import git
from support.projects import ROOT, Small, run_onions

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_ten_lines_lead_to_a_pull_request() -> None:
    [first, *_] = re.findall(r"```bash\n(.*?)```", CONTRIBUTING, re.S)
    lines = first.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("git clone") and lines[-1].startswith("git push")
    targets = [t for line in lines for t in re.findall(r"^make ([a-z ]*[a-z])", line)]
    for target in " ".join(targets).split():
        assert re.search(rf"^{target}:", MAKEFILE, re.M), target
    for name in re.findall(r"\.venv/bin/onions (\w+)", first):
        assert run_onions(ROOT, name, "--help").returncode == 0, name


@pytest.mark.kernel
def test_the_example_page_builds(small: Small) -> None:
    [text] = re.findall(r"^````markdown\n(.*?)^````$", CONTRIBUTING, re.M | re.S)
    root = small(index="# One", example=text)
    assert check_page(Project(root).page("example")) == []
    for command in ("execute", "render"):  # a warning fails `render`
        done = run_onions(root, command)
        assert done.returncode == 0, done.stdout + done.stderr
    html = (root / "_build" / "html" / "example.html").read_text("utf-8")
    assert "3,072" in html and "This is a comment" not in html


def test_the_listed_names_are_assigned_on_the_pages() -> None:
    table = CONTRIBUTING.partition("\n## Names\n")[2].partition("\n## ")[0]
    names = [
        n for row in re.findall(r"^\|([^|]*)\|", table, re.M) for n in re.findall(r"`(\w+)`", row)
    ]
    code = "\n".join(c.source for page in Project(ROOT).pages() for c in page.cells)
    assert len(names) == len(set(names)) == 15
    for name in names:
        assert re.search(rf"^[\w, ()]*\b{name}\b[\w, ()]* = ", code, re.M), name


def test_the_sections_that_rules_refer_to_exist() -> None:
    rules = run_onions(ROOT, "check", "--explain").stdout
    for heading in re.findall(r"see “(\w+)” in CONTRIBUTING", " ".join(rules.split())):
        assert f"\n## {heading}\n" in CONTRIBUTING


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
    """A copy of this project in a new Git repository, with this environment."""
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


@pytest.mark.kernel
def test_a_hook_stops_a_commit_that_breaks_a_rule_and_says_why(clone: Path) -> None:
    installed = shlex.split(str(ROOT / ".venv/bin/pre-commit install"))
    subprocess.run(installed, cwd=clone, check=True, capture_output=True)
    page = clone / "book" / "pooling.md"
    original = page.read_text("utf-8")
    page.write_text(f"{original}\nThis is simply so.\n", "utf-8")
    git(clone, "add", "--all")
    done = git(clone, "commit", "-m", "A page", check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "words: “simply”" in output, output
    assert "why: readers who find it hard" in output and "fix: leave the word out," in output
    assert output.count("Failed") == 1, output
    page.write_text(original, "utf-8")
    git(clone, "add", "--all")
    done = git(clone, "commit", "-m", "A page", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
