"""Measure the time and memory of a process and its descendants; format Markdown tables."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass
class Resources:
    """A run's wall-clock seconds, CPU seconds on all cores, and peak memory in MiB.

    The memory is the sum of the proportional set sizes of all processes.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float

    def __add__(self, other: "Resources") -> "Resources":
        """Return the resources of two consecutive runs."""
        return Resources(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.peak_mib, other.peak_mib),
        )

    def columns(self) -> list[str]:
        """Return the three numbers for a table."""
        return [f"{self.seconds:.1f}", f"{self.cpu_seconds:.1f}", f"{self.peak_mib:.0f}"]


@dataclass
class ProcessResult:
    """A run that may have failed; its exit code is None if it was stopped at its timeout."""

    resources: Resources
    exit_code: int | None
    output: str


def run_process(
    command: list[str],
    environment: dict[str, str],
    folder: Path | None = None,
    timeout: float | None = None,
) -> ProcessResult:
    """Run a command for at most `timeout` seconds (None: no limit), then kill its process group.

    `folder` None is the current folder. The output is stdout and stderr together.
    """
    before, started = os.times(), time.monotonic()
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,  # orphans could hold a pipe open
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        peak = _Peak(process.pid)
        peak.start()
        try:
            exit_code: int | None = process.wait(timeout)
        except subprocess.TimeoutExpired:
            exit_code = None
        except BaseException:
            _kill_group(process.pid)
            raise
        seconds = time.monotonic() - started
        peak.stop()
        _kill_group(process.pid)  # a leftover kernel would slow down the next run
        process.wait()
        log.seek(0)
        output = log.read()
    after = os.times()
    cpu_seconds = after.children_user - before.children_user
    cpu_seconds += after.children_system - before.children_system
    return ProcessResult(Resources(seconds, cpu_seconds, peak.mib), exit_code, output)


def run_checked(command: list[str], environment: dict[str, str]) -> Resources:
    """Run a command silently; if it fails, exit with the end of its output."""
    result = run_process(command, environment)
    if result.exit_code:
        end = result.output[-4000:]
        raise SystemExit(f"{' '.join(command)}\nfailed with {result.exit_code}:\n{end}")
    return result.resources


def paired_medians(measures: Sequence[Callable[[], float]], pairs: int) -> list[float]:
    """Call each function in turn, `pairs` times; return the median of each function's results."""
    rounds = [[measure() for measure in measures] for _ in range(pairs)]
    return [median(values) for values in zip(*rounds, strict=True)]


def table(heads: list[str], rows: Iterable[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def memory(pid: int, argument: str = "") -> float:
    """Return the sum of the proportional set sizes of a process and its descendants, in MiB.

    With an `argument`, only processes count whose command line contains it.
    """
    return sum(_mib(child) for child in _descendants(pid) if argument in _command(child))


def _kill_group(leader: int) -> None:
    """Kill a process and the group that it leads."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


class _Peak(threading.Thread):
    """A thread that samples the memory of a process and its descendants four times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.mib, self._ended = pid, 0.0, threading.Event()

    def run(self) -> None:
        ended = False
        while not ended:
            self.mib = max(self.mib, memory(self.pid))
            ended = self._ended.wait(0.25)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _descendants(root: int) -> set[int]:
    """Return the ids of a process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    pids, queue = set(), [root]
    while queue:
        pids.add(pid := queue.pop())
        queue += children.get(pid, [])
    return pids


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    return ""


def _mib(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
