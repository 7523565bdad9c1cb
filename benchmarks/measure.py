"""Time and memory of a whole process, with everything that it starts; and tables of them."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median


@dataclass
class Usage:
    """What a run took: seconds by the clock, seconds of all cores, and MiB at its peak.

    The memory is what all its processes had together that nobody shares (proportional set size).
    """

    wall: float
    cpu: float
    peak: float

    def __add__(self, then: "Usage") -> "Usage":
        """Return what two runs took, one after the other."""
        return Usage(self.wall + then.wall, self.cpu + then.cpu, max(self.peak, then.peak))

    @classmethod
    def median(cls, runs: "Iterable[Usage]") -> "Usage":
        """Return the medians of several runs."""
        return cls(*map(median, zip(*map(astuple, runs), strict=True)))

    def columns(self) -> list[str]:
        """Return the three numbers for a table."""
        return [f"{self.wall:.1f}", f"{self.cpu:.1f}", f"{self.peak:.0f}"]


@dataclass
class Attempt:
    """A run that may have failed: what it took, its exit code, what it said.

    The code is None where it was stopped, as it took longer than it may.
    """

    usage: Usage
    code: int | None
    said: str


def attempt(
    command: list[str],
    environment: dict[str, str],
    folder: Path | None = None,
    limit: float | None = None,
) -> Attempt:
    """Run a command in a folder, for `limit` seconds at most."""
    before, started = os.times(), time.monotonic()
    with (
        tempfile.TemporaryFile("w+", errors="replace") as said,  # a pipe would outlive its process
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        peak = _Peak(process.pid)
        peak.start()
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        except BaseException:
            _end(process.pid)
            raise
        wall = time.monotonic() - started
        peak.stop()
        _end(process.pid)  # what it left behind, too: a kernel would slow the next run down
        process.wait()
        said.seek(0)
        words = said.read()
    after = os.times()
    cpu = after.children_user + after.children_system
    usage = Usage(wall, cpu - before.children_user - before.children_system, peak.mib)
    return Attempt(usage, code, words)


def run(command: list[str], environment: dict[str, str]) -> Usage:
    """Run a command, its output thrown away; if it fails, stop with the last of it."""
    done = attempt(command, environment)
    if done.code:
        raise SystemExit(f"{' '.join(command)}\nfailed with {done.code}:\n{done.said[-4000:]}")
    return done.usage


def _end(leader: int) -> None:
    """End a process and the group that it leads."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def table(heads: list[str], rows: Iterable[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class _Peak(threading.Thread):
    """Looks four times a second how much memory a process and its descendants have."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.mib, self._ended = pid, 0.0, threading.Event()

    def run(self) -> None:
        ended = False
        while not ended:
            self.mib = max(self.mib, sum(map(_mib, _family(self.pid))))
            ended = self._ended.wait(0.25)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _family(first: int) -> set[int]:
    """Return a process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = set(), [first]
    while waiting:
        found.add(pid := waiting.pop())
        waiting += children.get(pid, [])
    return found


def _mib(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
