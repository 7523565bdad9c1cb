"""The command line: its help, its errors, and the commands that maintain the store."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from onions.book.project import Project
from onions.commands import onions as cli
from onions.store.entries import Store
from support.lessons import FRONT_MATTER
from support.pages import PRINTING_PAGE, entry
from support.projects import Small, run_onions, small_project
from support.runs import store_runs


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    for number in (8, 9):
        page = PRINTING_PAGE.replace("6 * 7", f"6 * {number}")
        root = small_project(folder, index=page, other=PRINTING_PAGE)
        store_runs(root)
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A project whose store holds the current runs, and an old run of one page."""
    return shutil.copytree(template, tmp_path, dirs_exist_ok=True)


def test_prune_deletes_entries_that_are_old_and_unused(root: Path) -> None:
    assert len(Store(Project(root).store).entries()) == 3
    done = run_onions(root, "store", "prune")
    assert done.returncode == 0 and "Deleted 0 entries" in done.stdout  # none is 30 days old
    done = run_onions(root, "store", "prune", "--days", "0")
    assert done.returncode == 0
    assert "Deleted 1 entry (" in done.stdout and "kept 2 entries (" in done.stdout
    assert "KiB" in done.stdout
    assert entry(root, "index") is not None and entry(root, "other") is not None
    assert run_onions(root, "status").returncode == 0


def test_prune_keeps_the_reference_runs_of_the_present_pages(small: Small) -> None:
    page = FRONT_MATTER.replace("}", ", reference: 2}") + PRINTING_PAGE
    root = small(index=page)
    store_runs(root)
    store = Store(Project(root).store)
    store_runs(root, command="reference")
    reference = {facts["fingerprint"] for facts in store.facts() if facts["build"]["seed_offset"]}
    assert len(reference) == 2
    assert "Deleted 0" in run_onions(root, "store", "prune", "--days", "0").stdout
    small(index=page.replace("6 * 7", "6 * 8"))
    store_runs(root)
    assert "Deleted 3" in run_onions(root, "store", "prune", "--days", "0").stdout


def test_verify_names_damaged_entries(root: Path) -> None:
    done = run_onions(root, "store", "verify")
    assert done.returncode == 0 and "Damaged: 0 of 3 entries (" in done.stdout
    entry_file = Store(Project(root).store).entries()[1]
    facts = json.loads(entry_file.read_text())
    facts["cells"][0]["outputs"] = []
    entry_file.write_text(json.dumps(facts))
    done = run_onions(root, "store", "verify")
    assert done.returncode == 1 and "Damaged: 1 of 3 entries (" in done.stdout
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
    store_runs(root)
    assert run_onions(root, "status").returncode == 0


def commands(group: click.Group, path: str = "onions") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(commands(cli)))
def test_every_command_has_help_with_an_example(path: str, command: click.Command) -> None:
    done = run_onions(Path(), *path.split()[1:], "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: {path} [OPTIONS]")
    assert str(command.help).partition("\n")[0] in done.stdout
    assert command.epilog and command.epilog.partition("onions ")[2].startswith(path[7:])
    assert command.epilog in done.stdout
    for option in command.params:
        assert isinstance(option, click.Argument) or getattr(option, "help", None), option.name


def test_the_help_lists_the_commands() -> None:
    done = run_onions(Path(), "--help")
    assert done.returncode == 0 and "\n    onions execute " in done.stdout
    for name, command in cli.commands.items():
        line = re.escape(f"{name} ") + " *" + re.escape(command.get_short_help_str(limit=80))
        assert re.search(rf"^  {line}$", done.stdout, re.M), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "No such command 'fly'"),
        (["execute", "--fly"], "No such option"),
        (["execute", "--profile", "quick"], "'quick' is not one of 'full', 'smoke'"),
        (["execute", "--jobs", "0"], "0 is not in the range x>=1"),
        (["execute", "--shard", "4/3"], "write 2/3 for the second of three shards"),
        (["reference", "--jobs", "0"], "0 is not in the range x>=1"),
        (["status", "--json", "--markdown"], "--json and --markdown can't be combined"),
        (["check", "--fix", "--explain"], "--fix and --explain can't be combined"),
        (
            ["check", "--explain", "kindness"],
            "kindness: no such rule. Choose one of python, repeats",
        ),
        (["diff", "main"], "Missing argument 'AFTER'"),
        (["new"], "Missing argument 'NAME'"),
        (["store"], "Usage: onions store [OPTIONS] COMMAND"),
        ([], "Usage: onions [OPTIONS] COMMAND"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_why(arguments: list[str], message: str) -> None:
    done = run_onions(Path(), *arguments)
    assert done.returncode == 2 and message in done.stderr
    assert not done.stdout


def test_the_profile_in_the_environment_is_checked() -> None:
    done = run_onions(Path(), "execute", ONIONS_PROFILE="quick")
    assert done.returncode == 2 and "'quick' is not one of 'full', 'smoke'" in done.stderr


def test_a_shell_completes_commands() -> None:
    words = {"COMP_WORDS": "onions re", "COMP_CWORD": "1", "_ONIONS_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "onions.cli"], env={**os.environ, **words}, capture_output=True
    )
    assert done.stdout.split() == [b"plain,reference", b"plain,render"]


def test_a_mistyped_command_gets_a_suggestion(tmp_path: Path) -> None:
    done = run_onions(tmp_path, "excute")
    assert (
        done.returncode == 2 and "No such command 'excute'. Did you mean 'execute'?" in done.stderr
    )


@pytest.mark.kernel
def test_the_module_runs_as_the_command_does() -> None:
    for command in ([sys.executable, "-m", "onions"], [Path(sys.executable).with_name("onions")]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"onions {version('onions')}\n"), done.stderr


@pytest.mark.parametrize("folder", [".", "book", "book/_static"])
def test_a_command_finds_the_project_from_each_of_its_folders(
    root: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / folder)
    done = run_onions(None, "status")
    assert done.returncode == 0 and "index  fresh" in done.stdout
    assert not (root / "book" / "_build").exists()


@pytest.mark.parametrize(
    "command", ["status", "execute", "render", "gate", "check", "live", "plan"]
)
def test_outside_of_a_project_a_command_says_so_and_creates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for project in (None, tmp_path):
        done = run_onions(project, command)
        where = "in this folder" if project else "in this folder or one above"
        message = f"onions: {tmp_path}: no book {where}: a project has book/ and _toc.yml."
        assert done.returncode == 2 and done.stderr.startswith(message) and not done.stdout
        assert [*tmp_path.iterdir()] == []
    assert run_onions(None, command, "--help").returncode == 0


def test_windows_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onions.cli.os", SimpleNamespace(name="nt"))
    done = run_onions(small(index="# T"), "status")
    assert done.returncode == 2 and "Windows is not supported. Use Linux in WSL" in done.stderr


def test_data_needs_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_onions(None, "data", KERAS_HOME=str(tmp_path))
    assert done.returncode == 0 and "nothing. `onions data fetch` downloads" in done.stdout
    assert "the built-in stand-in, not CIFAR-10, since ONIONS_DATA=sketches" in done.stdout
    files = tmp_path / "datasets" / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    files.mkdir(parents=True)
    done = run_onions(None, "data", "fetch", KERAS_HOME=str(tmp_path))
    assert done.returncode == 2 and f"{files}/data_batch_1: can't be read" in done.stderr
