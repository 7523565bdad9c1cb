"""The container of a self-hosted runner: its image and its start script, with stand-ins."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from support.projects import ROOT

RUNNER = ROOT / ".github" / "runner"
URL = "https://github.com/OWNER/NAME"


def test_the_image_knows_the_workflows_syntax_and_is_kept_new() -> None:
    [version] = re.findall(
        r"^FROM ghcr.io/actions/actions-runner:(\d+)\.(\d+)\.\d+$",
        (RUNNER / "Dockerfile").read_text("utf-8"),
        re.M,
    )
    assert tuple(map(int, version)) >= (2, 336)  # of `uses: $/…`
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    directories = {update["package-ecosystem"]: update["directory"] for update in updates}
    assert directories == {"github-actions": "/", "docker": "/.github/runner"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The runner's folder, with programs that note how they are called."""
    for name, script in {
        "nvidia-smi": "exit ${GPU_FAILS:-0}",
        "config.sh": "touch .runner",
        "run.sh": '[ -z "${TOKEN-}" ]',
    }.items():
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> calls\n{script}\n')
        path.chmod(0o755)
    return tmp_path


def start(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", RUNNER / "start.sh", *arguments],
        cwd=home,
        env={"PATH": f"{home}{os.pathsep}{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
    )


def calls(home: Path) -> list[str]:
    return [line.split()[0] for line in (home / "calls").read_text().splitlines()]


def test_a_runner_registers_once_and_runs_again_after_a_reboot(home: Path) -> None:
    assert start(home, "register", URL, TOKEN="secret").returncode == 0  # noqa: S106
    assert f"config.sh --unattended --replace --labels gpu --url {URL} --token secret" in (
        home / "calls"
    ).read_text("utf-8")
    assert start(home, "register", URL).returncode == 0
    registered = ["nvidia-smi", "config.sh", "run.sh"]
    assert calls(home) == [*registered, "nvidia-smi", "run.sh"]


def test_without_a_token_a_gpu_or_a_command_the_runner_says_so(home: Path) -> None:
    done = start(home, "register", URL)
    assert done.returncode != 0 and "TOKEN: missing. Copy it from Settings" in done.stderr
    done = start(home, "register", URL, GPU_FAILS="1")
    assert done.returncode == 1 and "No NVIDIA GPU found" in done.stderr
    assert start(home, "try", URL).returncode == 2
    assert "run.sh" not in calls(home)
