"""Stale pages and their reasons, and edits that keep a page fresh."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest
from onions.base import imports
from onions.book.project import Project
from onions.images.sources import Source
from onions.store.build import Build
from onions.store.entries import Store
from onions.store.status import age, page_states
from support.lessons import FRONT_MATTER
from support.pages import BUILD_ONLY_TAGS, SILENT_PAGE, cell
from support.projects import Small, run_onions, small_project
from support.runs import store_runs

PAGE = (
    f"{FRONT_MATTER}# Page\n\nText.\n\n"
    + cell("import wrapt\nx = 1")
    + cell("from onions import claims", BUILD_ONLY_TAGS)
    + cell("x", "---\nmystnb: {image: {alt: A thing.}}\n---\n")
)


def stale_reasons(root: Path, name: str = "index") -> list[str]:
    project = Project(root)
    states = {state.page.name: state for state in page_states(project, Build.read(project.store))}
    return states[name].reasons


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = small_project(tmp_path_factory.mktemp("book"), index=PAGE, other=SILENT_PAGE)
    store_runs(root)
    assert stale_reasons(root) == stale_reasons(root, "other") == []
    return root


@pytest.fixture
def executed(template: Path, project_folder: Path) -> Path:
    """A copy of an executed project that a test may change."""
    return shutil.copytree(template, project_folder)


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ("x = 1", "x = 2", ["cell 1 changed"]),
        ("import wrapt\n", "", ["cell 1 changed"]),
        (":tags: [remove-cell, build-only]", ":tags: [raises-exception]", ["cell 2 changed"]),
        (
            "from onions import claims",
            "from onions import figures",
            ["cell 2 changed", "matplotlib not used → {matplotlib}"],
        ),
        ("\nx\n", "\nx\n```\n\n```{code-cell} python\nx\n", ["cell 4 is new"]),
        (
            "\nfrom onions import claims\n",
            "\n1\n",
            ["cell 2 changed"],  # its kernel needs ipython all the same
        ),
        # Edits that change no output:
        ("Text.", "Other text.", []),
        ("A thing.", "Another thing.", []),
        ("teaching: 1", "teaching: 2", []),
        ("remove-cell, build-only", "remove-input, build-only", []),
        ("# Page", "# Another title", []),
    ],
)
def test_an_edit_of_a_page_gives_its_reasons(
    executed: Path, before: str, after: str, reasons: list[str]
) -> None:
    path = executed / "book" / "index.md"
    original = path.read_text("utf-8")
    edit(path, before, after)
    versions = {name: metadata.version(name) for name in ("matplotlib",)}
    expected = [reason.format(**versions) for reason in reasons]
    actual = stale_reasons(executed)
    assert actual[: len(expected)] == expected or set(expected) <= set(actual)
    assert bool(actual) == bool(reasons) and stale_reasons(executed, "other") == []
    path.write_text(original, "utf-8")
    assert stale_reasons(executed) == []  # the earlier entry is used again


@pytest.mark.parametrize(
    ("field", "value", "reasons"),
    [
        ("python", "3.99.0", ["python {python} → 3.99.0"]),
        ("profile", "smoke", ["profile full → smoke"]),
        (
            "source",
            Source("cifar10", "/x", "abc", "CIFAR-10", "asked"),
            ["data sketches → cifar10"],
        ),
        ("source", Source("sketches", "", "abc", "stand-in", "asked"), ["data changed"]),
    ],
)
def test_a_change_of_the_build_gives_its_reasons(
    executed: Path, field: str, value: object, reasons: list[str]
) -> None:
    project = Project(executed)
    build = Build.read(project.store)
    changed = Build(**{**vars(build), field: value})
    actual = page_states(project, changed)[0].reasons
    assert {reason.format(python=build.python) for reason in reasons} <= set(actual)


def test_a_new_version_makes_a_page_stale_only_if_it_uses_the_package(executed: Path) -> None:
    lock = executed / "requirements.lock"
    version = next(
        line.split("==")[1].split()[0]
        for line in lock.read_text().splitlines()
        if line.startswith("wrapt==")
    )
    edit(lock, f"wrapt=={version}", "wrapt==99.0")
    assert stale_reasons(executed) == [f"wrapt {version} → 99.0"]
    edit(lock, "wrapt==99.0", f"wrapt=={version}")
    edit(lock, "seaborn==", "seaborn==99.")  # a package that no page here uses
    assert stale_reasons(executed) == []


def test_a_changed_module_makes_a_page_stale_only_if_it_imports_the_module(
    executed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = imports.read_source
    for module, expected in (("onions.claims", True), ("onions.site.render", False)):
        with monkeypatch.context() as patch:
            patch.setattr(
                imports, "read_source", lambda name, m=module: source(name) + "\n0" * (name == m)
            )
            name = module.replace(".", "/") + ".py"
            assert stale_reasons(executed) == ([f"{name} changed"] if expected else [])


def test_a_page_without_a_readable_entry_is_stale(executed: Path, small: Small) -> None:
    small(index=PAGE, other=SILENT_PAGE, third="# Third\n\n" + cell("z = 1"))
    assert stale_reasons(executed, "third") == ["not in the store"]
    store = executed / "_build" / "store"
    project = Project(executed)
    path = Store(store).path(page_states(project, Build.read(project.store))[1].fingerprint)
    original = path.read_text()
    path.write_text(original[:200])
    assert "damaged" in stale_reasons(executed, "other")[0]


def test_status_and_execute_check_fail_while_a_page_is_stale(executed: Path) -> None:
    for command in (["status"], ["execute", "--check"]):
        done = run_onions(executed, *command)
        assert done.returncode == 0 and "Stale: 0 of 2 pages. Build:" in done.stdout
    edit(executed / "book" / "index.md", "x = 1", "x = 2")
    for command in (["status"], ["execute", "--check"]):
        done = run_onions(executed, *command)
        assert done.returncode == 1 and "Stale: 1 of 2 pages. Build:" in done.stdout
        row = next(line for line in done.stdout.splitlines() if line.startswith("index"))
        assert "stale" in row and row.endswith("cell 1 changed")
    assert not (executed / "_build" / "failed").exists()


def test_execute_check_compares_with_the_requested_profile(executed: Path) -> None:
    store_runs(executed, "--profile", "smoke")
    assert run_onions(executed, "status").returncode == 0
    (executed / "_build" / "store").rename(executed / "_build" / "old")
    store_runs(executed, "--profile", "smoke")
    assert run_onions(executed, "execute", "--check", "--profile", "smoke").returncode == 0
    done = run_onions(executed, "execute", "--check")
    assert done.returncode == 1 and "profile smoke → full" in done.stdout


def test_reasons_after_the_fourth_are_counted(small: Small) -> None:
    root = small(index="# Many\n\n" + "".join(cell(f"x = {n}") for n in range(9)))
    store_runs(root)
    small(index="# Many\n\n" + "".join(cell(f"y = {n}") for n in range(9)))
    assert stale_reasons(root) == [*(f"cell {n} changed" for n in range(1, 5)), "and 5 more"]


def test_status_before_execute_says_what_to_run(small: Small) -> None:
    done = run_onions(small(index=SILENT_PAGE), "status")
    assert done.returncode == 1 and "Run `onions execute`" in done.stderr


def test_age_is_in_the_largest_unit() -> None:
    from datetime import UTC, datetime, timedelta

    def ago(**parts: int) -> str:
        return age({"executed": (datetime.now(UTC) - timedelta(**parts)).isoformat()})

    assert [ago(seconds=5), ago(minutes=1), ago(hours=5), ago(days=1, hours=3)] == [
        "now", "1 minute ago", "5 hours ago", "1 day ago",
    ]  # fmt: skip
    assert age({}) == ""
