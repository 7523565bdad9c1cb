"""The machine of one job: a fresh folder, a home, a few tools, and nothing of the caller's.

Installing 3 GB for every job would take an hour, so `pip` is a stand-in: for a lock file it puts an
environment in place that was made from this very lock before. All else of `make install` is real.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.service import Event, Service

Environments = dict[str, str]  # a lock file's SHA-256, and the folder made from it
INSTALLED = "installed-lock"  # in .venv: the lock's name

PYTHON = """#!/bin/bash
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "${{@: -1}}/bin" && cp "$(dirname "$0")/pip" "${{@: -1}}/bin/pip"; exit
fi
unset PYTHONPATH  # it is for .venv alone
exec {python} "$@"
"""
PIP = """#!{python}
import sys
sys.path.insert(0, {tests!r})
from rehearsal.machine import install
install({environments!r}, sys.argv)
"""
GH = """#!/bin/bash
test -n "$GH_TOKEN" && test -e {writers}/"$GH_TOKEN" || {{ echo 'gh: HTTP 403' >&2; exit 1; }}
echo "gh $*" >> {said}
"""
NVIDIA = """#!/bin/sh
echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
exit 9
"""


@dataclass
class Machine:
    """One job's machine, and what the actions on it may do and leave for the job's end."""

    folder: Path
    service: Service
    event: Event
    run_id: int
    permissions: dict[str, str]
    environment: str = ""  # the job's, as in github-pages
    at_end: list[Callable[[], None]] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        """Where the repository lies."""
        return self.folder / "work"

    @property
    def home(self) -> Path:
        """Where ``~`` is."""
        return self.folder / "home"

    def path(self, name: str) -> Path:
        """Return where an action's path lies."""
        if name.startswith("~/"):
            return self.home / name[2:]
        return self.workspace / name

    def may(self, scope: str, access: str) -> bool:
        """Tell whether the job's token may do that."""
        return self.permissions.get(scope) in (access, "write")

    def make(self, environments: Environments, chrome: str | None) -> None:
        """Make the folders and the tools."""
        tools = self.folder / "bin"
        for folder in (self.workspace, self.home, tools):
            folder.mkdir(parents=True)
        python = getattr(sys, "_base_executable", sys.executable)  # not that of an environment
        tests = str(Path(__file__).parents[1])
        _tool(tools / "python3", PYTHON.format(python=python))
        _tool(tools / "pip", PIP.format(python=python, tests=tests, environments=environments))
        _tool(tools / "gh", GH.format(writers=self.service.writers, said=self.service.said))
        _tool(tools / "nvidia-smi", NVIDIA)
        if chrome:
            _tool(tools / "google-chrome", f'#!/bin/sh\nexec {chrome} "$@"\n')

    def run(self, script: str, variables: dict[str, str], seconds: float) -> tuple[int, str]:
        """Run a step's lines with bash, as GitHub does; return the status and what was printed."""
        step = self.folder / "step.sh"
        step.write_text(script)
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", step],
            cwd=self.workspace,
            env={**self._variables(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=seconds)
            return process.returncode, printed
        except subprocess.TimeoutExpired:
            return 124, "The job took longer than its timeout-minutes."
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def _variables(self) -> dict[str, str]:
        own = str(Path(sys.prefix, "bin"))
        path = [p for p in os.environ.get("PATH", "").split(os.pathsep) if p != own]
        return {
            "PATH": os.pathsep.join([str(self.folder / "bin"), *path]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "CI": "true",
            "PYTHONPATH": str(self.workspace / "code"),
        }


def install(environments: Environments, arguments: list[str]) -> None:
    """Be `pip install` in a machine's .venv: put the environment of a lock in place."""
    folder = Path(arguments[0]).resolve().parents[1]
    if arguments[-2:] == ["-e", "."]:
        return  # PYTHONPATH does that
    if "-r" not in arguments or "--require-hashes" not in arguments:
        sys.exit(f"The rehearsal installs locked packages only, not: pip {arguments[1:]}")
    lock = Path(arguments[arguments.index("-r") + 1])
    environment = environments.get(digest(lock))
    if not environment:
        sys.exit(f"The rehearsal has no environment that was made from this {lock}.")
    for part in Path(environment).iterdir():
        if part.name in ("include", "lib", "lib64", "share"):
            _link(part, folder / part.name)
    for tool in Path(environment, "bin").iterdir():
        if not tool.name.startswith("pip"):
            _link(tool, folder / "bin" / tool.name)
    shutil.copy(Path(environment, "pyvenv.cfg"), folder)
    (folder / INSTALLED).write_text(lock.name)


def digest(lock: Path) -> str:
    """Return what a lock file is known by."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.symlink_to(source)


def _tool(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)
