"""Commands that work in one folder at the same time."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from onions.base.files import delete_partial_files
from onions.base.locks import folder_lock
from onions.commands import onions as cli
from onions.site.render import site_lock
from onions.store.entries import Store
from onions.store.fingerprint import fingerprint_of
from support.pages import PRINTING_PAGE, entry
from support.projects import Small, onions_command, run_onions, variables
from support.runs import build_site

HOLD = """
import sys, time
from pathlib import Path
from onions.base.locks import folder_lock

with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(300)
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "folder")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        lines: list[str] = []
        waiting = threading.Thread(target=lambda: _hold(tmp_path / "folder", lines.append))
        waiting.start()
        while not lines:
            time.sleep(0.01)
        holder.kill()
        waiting.join()
    assert lines == [
        f"Another command is writing to {tmp_path / 'folder'}; waiting for it to finish."
    ]


def _hold(folder: Path, notify: Callable[[str], None]) -> None:
    with folder_lock(folder, notify):
        pass


def test_half_written_entries_are_deleted_only_if_nobody_writes_them(tmp_path: Path) -> None:
    """Stress: without the store's lock, nearly all writes failed."""
    store, writes = Store(tmp_path / "store"), 200

    def write() -> None:
        for number in range(writes):
            parts = {"cells": {"cell 1": str(number)}}
            notebook = nbformat.v4.new_notebook()
            facts: dict[str, Any] = {
                "page": "a",
                "executed": "",
                "seconds": 1.0,
                "build": {},
                "components": parts,
            }
            store.write(fingerprint_of(parts), notebook, **facts)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        with folder_lock(store.folder):
            delete_partial_files(store.folder)
    assert len(store.entries()) == writes


@pytest.mark.parametrize("command", [["render"], ["store", "prune", "--days", "0"]])
def test_a_command_says_that_it_waits_for_another(small: Small, command: list[str]) -> None:
    project = build_site(small(index=PRINTING_PAGE))
    small(index=PRINTING_PAGE + "\nMore.\n")
    folder = project.store if "prune" in command else project.build / "render"
    held, waited = folder_lock(folder), threading.Event()
    held.__enter__()

    def release(line: str) -> None:
        assert line.startswith(f"Another command is writing to {folder}; waiting")
        waited.set()
        held.__exit__(None, None, None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onions.commands._notify", release)
        assert run_onions(project.root, *command).returncode == 0
    assert waited.is_set()
    with site_lock(project), folder_lock(project.store):
        pass  # both are free again


@pytest.mark.kernel
def test_commands_at_the_same_time_all_succeed(small: Small) -> None:
    project = build_site(small(index=PRINTING_PAGE, other=PRINTING_PAGE.replace("7", "8")))
    small(index=PRINTING_PAGE + "\nMore.\n", other=PRINTING_PAGE.replace("7", "9"))
    assert run_onions(project.root, "execute").returncode == 0
    commands = [["render"], ["render"], ["execute"], ["plan"], ["store", "prune", "--days", "0"]]
    running = [
        subprocess.Popen(
            onions_command(project.root, *command),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables(),
        )
        for command in commands
    ]  # fmt: skip
    for command, process in zip(commands, running, strict=True):
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, f"{command}: {output}"
    assert run_onions(project.root, "render").returncode == 0
    assert entry(project.root, "other") is not None
    assert "More." in (project.build / "html" / "index.html").read_text("utf-8")


def test_a_plan_deletes_only_damaged_entries(small: Small) -> None:
    project = build_site(small(index=PRINTING_PAGE, other=PRINTING_PAGE.replace("7", "8")))
    store = Store(project.store)
    good, damaged = (store.pages()[name] for name in ("index", "other"))
    store.path(damaged).write_text("{")
    store.delete_damaged([good, damaged, "missing"])
    assert store.entries() == [store.path(good)]


def test_every_command_is_listed_here() -> None:
    """A new command that writes needs a lock; the others only read."""
    writing = {"execute", "reference", "plan", "store", "render", "bundle", "live", "new", "data"}
    reading = {"status", "doctor", "gate", "check", "claims", "diff"}
    assert {*cli.commands} == writing | reading
