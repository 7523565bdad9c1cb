"""Side by side: order, shares, interruptions."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from onions import pool
from onions.data import Source
from onions.execute import expected_seconds
from onions.fingerprint import Build
from onions.pages import Project
from onions.pool import Kernels, default_jobs, share, side_by_side
from onions.status import State
from test_execute import CRASHES, GOOD, cell, entry

Small = Callable[..., Path]


def test_things_are_worked_on_in_order_and_at_most_so_many_at_once() -> None:
    started: list[int] = []
    slots: set[int] = set()
    running = most = 0
    lock = threading.Lock()

    def work(thing: int, slot: int) -> int:
        nonlocal running, most
        with lock:
            started.append(thing)
            slots.add(slot)
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return thing * 2

    found: dict[int, int] = {}

    def done(thing: int, future: "Future[int]") -> None:
        found[thing] = future.result()

    side_by_side(range(9), work, done, 3, Kernels())
    assert found == {n: 2 * n for n in range(9)}
    assert 1 <= most <= 3 and slots <= {0, 1, 2}
    assert all(abs(place - thing) < 3 for place, thing in enumerate(started))


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_an_interruption_kills_the_kernels_and_starts_nothing_more(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    kernels, started = Kernels(), []

    def work(thing: int, slot: int) -> None:
        started.append(thing)
        time.sleep(0.02)
        if thing == 0:
            kernels.add(sleeper.pid)
            sleeper.wait()  # ends when it is killed

    def done(thing: int, future: "Future[None]") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side(range(50), work, done, 2, kernels)
    assert sleeper.returncode == -signal.SIGKILL and len(started) < 50
    kernels.remove(sleeper.pid)


def test_a_kernel_that_starts_while_all_stop_is_killed(sleeper: "subprocess.Popen[bytes]") -> None:
    kernels = Kernels()
    kernels.stop()
    kernels.add(sleeper.pid)
    assert sleeper.wait(5) == -signal.SIGKILL


def test_each_kernel_gets_its_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pool, "NVIDIA", tmp_path / "none")
    monkeypatch.setattr(pool, "cores", lambda: 8)
    assert default_jobs() == 8
    assert share(0, 4)["TF_NUM_INTRAOP_THREADS"] == share(0, 4)["OMP_NUM_THREADS"] == "2"
    assert share(3, 12)["TF_NUM_INTRAOP_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in share(0, 1) and "CUDA_VISIBLE_DEVICES" not in share(0, 4)
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    monkeypatch.setattr(pool, "NVIDIA", tmp_path / "gpus")
    assert default_jobs() == 2
    assert [share(slot, 4)["CUDA_VISIBLE_DEVICES"] for slot in range(4)] == ["0", "1", "0", "1"]
    assert share(0, 2)["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_the_longest_page_comes_first(small: Small) -> None:
    project = Project(small(index=GOOD, fits="# Fits\n\n" + cell("fit(epochs=5)\nfit(epochs=20)")))
    new, known = (State(page, "", ["never executed"]) for page in project.pages())
    build = Build(Source("sketches", "", "", "", ""), "tensorflow", "full", "3.11")
    assert expected_seconds(known, build) == 28 and expected_seconds(new, build) == 3
    for profile, seconds in (("full", 70.5), ("smoke", 3)):
        facts = {"seconds": 70.5, "build": {"profile": profile}}
        assert expected_seconds(State(new.page, "", ["x"], facts), build) == seconds


WAITS = "# Waits\n\n" + cell("x = 1") + cell("import time\nprint('here')\ntime.sleep(300)")


def start(root: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-u", "-m", "onions.cli", "--project", str(root), "execute"]
    return subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "ONIONS_DATA": "sketches"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kernels_of(root: Path) -> list[str]:
    """The processes whose folder or log is the project's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            log = (process / "fd" / "2").readlink()
            if str(root) in str(log) and "ipykernel" in (process / "cmdline").read_text():
                found.append(process.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_build_keeps_what_is_finished_and_leaves_no_kernel(
    small: Small, how: signal.Signals
) -> None:
    root = small(index=WAITS, other=GOOD)
    build = start(root, "--jobs", "2")
    assert build.stdout is not None
    seen = ""
    for line in build.stdout:
        seen += line
        if "other: executed" in seen and "index: cell 2 of 2" in seen:
            break
    assert kernels_of(root)
    build.send_signal(how)
    _, said = build.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert build.returncode == -9
    else:
        assert build.returncode == 130 and "Finished pages are kept" in said
        assert "Traceback" not in said
    deadline = time.monotonic() + 30
    while kernels_of(root) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert kernels_of(root) == []
    assert entry(root, "other") is not None and entry(root, "index") is None
    assert not list((root / "_build" / "store").glob("*.part"))
    small(index=GOOD.replace("7", "8"), other=GOOD)
    again = start(root)
    printed, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "other: nothing changed" in printed and "index: executed" in printed


def test_a_second_build_waits_for_the_first(small: Small) -> None:
    root = small(index=WAITS.replace("300", "15"))
    first = start(root)
    assert first.stdout is not None
    for line in first.stdout:
        if "cell 2 of 2" in line:
            break
    second = start(root)
    printed, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert "Another build runs in" in printed and "index: nothing changed" in printed
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_pages_run_side_by_side_and_a_failed_one_stops_no_other(small: Small) -> None:
    pages = {f"p{number}": GOOD.replace("7", str(number)) for number in range(3)}
    root = small(index=CRASHES, **pages)
    build = start(root, "--jobs", "3")
    printed, said = build.communicate(timeout=120)
    assert build.returncode == 3 and "ZeroDivisionError" in said
    assert all(entry(root, name) is not None for name in pages)
    assert printed.count(": executed in") == 3 and "index: failed" in printed
