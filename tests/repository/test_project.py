"""The repository: requirements, locks, documents, make targets and command-line help."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from onions.book.project import Project
from onions.store.lockfile import locked_versions
from support.locks import URL, pins
from support.projects import ROOT, Small, run_onions

LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_the_folder_code_does_not_shadow_the_standard_library() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import code; print(code.InteractiveConsole.__module__, code.__file__)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    module, path = done.stdout.split()
    assert module == "code" and not path.startswith(str(ROOT))


@pytest.mark.parametrize(
    "package",
    ["tensorflow", "jupyter-book<2", "myst-nb", "matplotlib", "seaborn", "pandas", "pytest"],
)
def test_the_requirements_include(package: str) -> None:
    assert any(re.match(rf"{package}\b", line) for line in requirements("requirements.txt"))


def test_the_requirements_of_the_site_are_a_light_subset() -> None:
    site = requirements("requirements-site.txt")
    assert set(site) < set(requirements("requirements.txt"))
    heavy = re.compile(r"tensorflow|keras|numpy|matplotlib|pandas|seaborn")
    assert not [line for line in site if heavy.match(line)]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_no_url(name: str) -> None:
    lock = (ROOT / name).read_text("utf-8")
    assert not URL.search(lock)
    assert len(pins(lock)) >= 100 and all("--hash=sha256:" in pin for pin in pins(lock))


@pytest.mark.parametrize("python", ["3.11.9", "3.12.9", "3.13.1"])
def test_one_lock_pins_the_requirements_for_every_python(python: str) -> None:
    pinned = locked_versions(Project(ROOT).lock, python)
    for line in requirements("requirements.txt"):
        name = re.split(r"[<>=]", line)[0]
        assert name in pinned, f"{name}: run `make lock`"


def test_installed_versions_are_the_locked_ones() -> None:
    pinned = locked_versions(Project(ROOT).lock, ".".join(map(str, sys.version_info[:3])))
    for name in ("tensorflow", "keras", "jupyter-book", "myst-nb", "sphinx", "pillow"):
        assert metadata.version(name) == pinned[name]


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", makefile, re.M))
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in phony.split():
        assert re.search(rf"^{target}\s+\w", shown.stdout, re.M), target


def test_targets_and_paths_in_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake ([a-z]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for path in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", readme):
        assert (ROOT / "".join(path)).exists(), path
    for path in re.findall(r"^([a-z_.]+/[\w./]*)", readme, re.M):
        assert path == "_build/" or (ROOT / path).exists(), path


@pytest.mark.parametrize(
    "name",
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", ".github/README.md", "benchmarks/README.md"],
)
def test_every_path_in_a_document_exists(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    paths = re.findall(
        r"(?<![\w./-])(?:code|tests|book|benchmarks|docs|\.github)/(?:[\w./*-]*[\w/*])?", text
    )
    assert paths
    for path in paths:
        assert [*ROOT.glob(path.replace("NAME", "*"))], path


def test_the_cited_version_is_the_project_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    assert cited == [project["version"]]


def test_render_before_execute_says_what_to_do(small: Small) -> None:
    root = small(index="# One")
    done = run_onions(root, "render")
    assert done.returncode == 1 and "nothing executed yet. Run `onions execute`" in done.stderr
