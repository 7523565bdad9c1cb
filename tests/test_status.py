"""What makes a page stale, and what does not, each by its reason."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from conftest import run_onions
from onions import imports
from onions.data import Source
from onions.fingerprint import Build
from onions.pages import Project
from onions.status import age, states
from onions.store import Store
from test_execute import cell

Small = Callable[..., Path]

PAGE = (
    "---\nlesson: {teaching: 1, exercises: 0, questions: [], objectives: [], keypoints: []}\n---\n"
    "# Page\n\nText.\n\n"
    + cell("import wrapt\nx = 1")
    + cell("from onions import claims", ":tags: [remove-cell, build-only]\n")
    + cell("x", "---\nmystnb: {image: {alt: A thing.}}\n---\n")
)
OTHER = "# Other\n\n" + cell("y = 1")


def why(root: Path, name: str = "index") -> list[str]:
    project = Project(root)
    found = {state.page.name: state for state in states(project, Build.read(project))}
    return found[name].why


@pytest.fixture
def executed(small: Small) -> Path:
    root = small(index=PAGE, other=OTHER)
    assert run_onions(root, "execute").returncode == 0
    assert why(root) == why(root, "other") == []
    return root


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
            ["cell 2 changed", "ipython {ipython} → not used"],
        ),
        # What changes nothing:
        ("Text.", "Other text.", []),
        ("A thing.", "Another thing.", []),
        ("teaching: 1", "teaching: 2", []),
        ("remove-cell, build-only", "remove-input, build-only", []),
        ("# Page", "# Another title", []),
    ],
)
def test_an_edit_of_the_page(executed: Path, before: str, after: str, reasons: list[str]) -> None:
    path = executed / "book" / "index.md"
    whole = path.read_text("utf-8")
    edit(path, before, after)
    versions = {name: metadata.version(name) for name in ("matplotlib", "ipython")}
    expected = [reason.format(**versions) for reason in reasons]
    found = why(executed)
    assert found[: len(expected)] == expected or set(expected) <= set(found)
    assert bool(found) == bool(reasons) and why(executed, "other") == []
    path.write_text(whole, "utf-8")
    assert why(executed) == []  # going back is a hit


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
        ("backend", "jax", ["backend tensorflow → jax"]),
    ],
)
def test_a_change_of_the_build(
    executed: Path, field: str, value: object, reasons: list[str]
) -> None:
    project = Project(executed)
    build = Build.read(project)
    changed = Build(**{**vars(build), field: value})
    found = states(project, changed)[0].why
    assert {reason.format(python=build.python) for reason in reasons} <= set(found)


def test_a_new_version_of_a_package_that_the_page_uses(executed: Path) -> None:
    lock = executed / "requirements.lock"
    version = next(
        line.split("==")[1].split()[0]
        for line in lock.read_text().splitlines()
        if line.startswith("wrapt==")
    )
    edit(lock, f"wrapt=={version}", "wrapt==99.0")
    assert why(executed) == [f"wrapt {version} → 99.0"]
    edit(lock, "wrapt==99.0", f"wrapt=={version}")
    edit(lock, "seaborn==", "seaborn==99.")  # which no page here uses
    assert why(executed) == []


def test_a_module_that_the_page_imports(executed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = imports.source
    for module, expected in (("onions.claims", True), ("onions.site", False)):
        with monkeypatch.context() as patch:
            patch.setattr(
                imports, "source", lambda name, m=module: source(name) + "\n#" * (name == m)
            )
            name = module.replace(".", "/") + ".py"
            assert why(executed) == ([f"{name} changed"] if expected else [])


def test_a_page_that_never_ran_and_a_lost_or_damaged_entry(executed: Path, small: Small) -> None:
    small(index=PAGE, other=OTHER, third="# Third\n\n" + cell("z = 1"))
    assert why(executed, "third") == ["not in the store"]
    store = executed / "_build" / "store"
    project = Project(executed)
    path = Store(store).path(states(project, Build.read(project))[1].fingerprint)
    whole = path.read_text()
    path.write_text(whole[:200])
    assert "damaged" in why(executed, "other")[0]


def test_the_command_and_the_gate(executed: Path) -> None:
    for command in (["status"], ["execute", "--check"]):
        done = run_onions(executed, *command)
        assert done.returncode == 0 and "0 of 2 pages are stale" in done.stdout
    edit(executed / "book" / "index.md", "x = 1", "x = 2")
    for command in (["status"], ["execute", "--check"]):
        done = run_onions(executed, *command)
        assert done.returncode == 1 and "1 of 2 pages are stale" in done.stdout
        row = next(line for line in done.stdout.splitlines() if line.startswith("index"))
        assert "stale" in row and row.endswith("cell 1 changed")
    assert not (executed / "_build" / "failed").exists()


def test_the_gate_looks_at_what_would_run_now(executed: Path) -> None:
    assert run_onions(executed, "execute", "--profile", "smoke").returncode == 0
    assert run_onions(executed, "status").returncode == 0
    (executed / "_build" / "store").rename(executed / "_build" / "old")
    assert run_onions(executed, "execute", "--profile", "smoke").returncode == 0
    assert run_onions(executed, "execute", "--check", "--profile", "smoke").returncode == 0
    done = run_onions(executed, "execute", "--check")
    assert done.returncode == 1 and "profile smoke → full" in done.stdout


def test_many_reasons_are_cut(small: Small) -> None:
    root = small(index="# Many\n\n" + "".join(cell(f"x = {n}") for n in range(9)))
    assert run_onions(root, "execute").returncode == 0
    small(index="# Many\n\n" + "".join(cell(f"y = {n}") for n in range(9)))
    assert why(root) == [*(f"cell {n} changed" for n in range(1, 5)), "and 5 more"]


def test_nothing_executed_yet(small: Small) -> None:
    done = run_onions(small(index=OTHER), "status")
    assert done.returncode == 1 and "Run `onions execute`" in done.stderr


def test_ages() -> None:
    from datetime import UTC, datetime, timedelta

    def ago(**parts: int) -> str:
        return age({"executed": (datetime.now(UTC) - timedelta(**parts)).isoformat()})

    assert [ago(seconds=5), ago(minutes=1), ago(hours=5), ago(days=1, hours=3)] == [
        "now", "1 minute ago", "5 hours ago", "1 day ago",
    ]  # fmt: skip
    assert age({}) == ""
