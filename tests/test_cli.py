"""The commands that maintain the store."""

import json
from pathlib import Path

import pytest
from onions.book.project import Project
from onions.store.entries import Store
from support.pages import PRINTING_PAGE, entry
from support.projects import Small, run_onions


@pytest.fixture
def root(small: Small) -> Path:
    """A book whose store holds an old run of one page beside the current ones."""
    root = small(index=PRINTING_PAGE.replace("6 * 7", "6 * 8"), other=PRINTING_PAGE)
    assert run_onions(root, "execute").returncode == 0
    small(index=PRINTING_PAGE.replace("6 * 7", "6 * 9"), other=PRINTING_PAGE)
    assert run_onions(root, "execute").returncode == 0
    return root


def test_prune_deletes_entries_that_are_old_and_unused(root: Path) -> None:
    assert len(Store(Project(root).store).entries()) == 3
    done = run_onions(root, "store", "prune")
    assert done.returncode == 0 and "Deleted 0 entries" in done.stdout  # none is 30 days old
    done = run_onions(root, "store", "prune", "--days", "0")
    assert done.returncode == 0
    assert "Deleted 1 entries (" in done.stdout and "kept 2 entries (" in done.stdout
    assert "KiB" in done.stdout
    assert entry(root, "index") is not None and entry(root, "other") is not None
    assert run_onions(root, "status").returncode == 0


def test_verify_names_damaged_entries(root: Path) -> None:
    done = run_onions(root, "store", "verify")
    assert done.returncode == 0 and "0 of 3 entries" in done.stdout
    entry_file = Store(Project(root).store).entries()[1]
    facts = json.loads(entry_file.read_text())
    facts["cells"][0]["outputs"] = []
    entry_file.write_text(json.dumps(facts))
    done = run_onions(root, "store", "verify")
    assert done.returncode == 1 and "1 of 3 entries" in done.stdout
    assert str(entry_file) in done.stderr and "checksum is wrong" in done.stderr


def test_commands_before_execute_say_what_to_run(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    for command in (["status"], ["store", "prune"], ["render"]):
        done = run_onions(root, *command)
        assert done.returncode == 1 and "Run `onions execute`" in done.stderr, command
    assert run_onions(root, "store", "verify").returncode == 0


def test_a_damaged_build_file_is_named_and_replaced_by_execute(root: Path) -> None:
    (Project(root).store / "build.json").write_text("{")
    for command in (["status"], ["store", "prune"], ["render"]):
        done = run_onions(root, *command)
        assert done.returncode == 1 and "build.json: damaged" in done.stderr, command
    assert run_onions(root, "execute").returncode == 0
    assert run_onions(root, "status").returncode == 0


def test_every_command_shows_an_example() -> None:
    for command in (
        "execute",
        "status",
        "plan",
        "store",
        "render",
        "bundle",
        "new",
        "check",
        "diff",
    ):
        done = run_onions(Path(), command, "--help")
        assert done.returncode == 0 and f"example: onions {command}" in done.stdout.replace(
            "ONIONS_DATA=cifar10 ", ""
        )
