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
from onions.fingerprint import Build
from onions.pages import Project
from onions.plan import expected_seconds
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


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """A machine with so many cores and GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def has(cores: int, gpus: int) -> None:
        monkeypatch.setattr(pool, "cores", lambda: cores)
        monkeypatch.setattr(pool, "NVIDIA", tmp_path / f"gpus-{gpus}")
        for number in range(gpus):
            (tmp_path / f"gpus-{gpus}" / f"0000:0{number}:00.0").mkdir(parents=True)

    return has


def test_on_processors_every_kernel_has_one_thread(machine: Callable[..., None]) -> None:
    """Otherwise a page's digits would depend on the machine and on what else was stale."""
    machine(cores=8, gpus=0)
    assert default_jobs() == 8
    assert share(0, 1) == share(3, 4) == share(11, 12)
    assert share(0, 1)["TF_NUM_INTRAOP_THREADS"] == share(0, 1)["OMP_NUM_THREADS"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in share(0, 1)


def test_kernels_share_the_gpus(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(cores=8, gpus=2)
    assert default_jobs() == 2
    assert [share(slot, 4)["CUDA_VISIBLE_DEVICES"] for slot in range(4)] == ["0", "1", "0", "1"]
    assert share(0, 2)["TF_NUM_INTRAOP_THREADS"] == "4"
    assert share(0, 2)["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-8f2a")  # the caller's choice counts
    assert default_jobs() == 2
    assert [share(slot, 2)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["1", "GPU-8f2a"]
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert default_jobs() == 8 and "CUDA_VISIBLE_DEVICES" not in share(0, 1)


def test_the_longest_page_comes_first(small: Small) -> None:
    project = Project(small(index=GOOD, fits="# Fits\n\n" + cell("fit(epochs=5)\nfit(epochs=20)")))
    build = Build(Source("sketches", "", "", "", ""), "tensorflow", "full", "3.11")
    new, known = (State(page, build, "", ["new"]) for page in project.pages())
    assert expected_seconds(known) == 28 and expected_seconds(new) == 3
    for profile, seconds in (("full", 70.5), ("smoke", 3)):
        facts = {"seconds": 70.5, "build": {"profile": profile}}
        assert expected_seconds(State(new.page, build, "", ["x"], facts)) == seconds


WAITS = "# Waits\n\n" + cell("x = 1") + cell("import time\nprint('here')\ntime.sleep(300)")


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a build that runs beside the test; what is left of it in the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def execute(root: Path, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-u", "-m", "onions.cli", "--project", str(root), "execute"]
        build = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, "ONIONS_DATA": "sketches"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell lets what it runs in the background ignore Ctrl-C, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(build)
        return build

    yield execute
    for build in started:
        build.kill()
        build.communicate()


def wait_for(build: "subprocess.Popen[str]", *texts: str) -> str:
    """Read what a build prints until all texts stand there."""
    assert build.stdout is not None
    seen = ""
    for line in build.stdout:
        seen += line
        if all(text in seen for text in texts):
            return seen
    raise AssertionError(f"it ended before it said {texts}:\n{seen}")


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


def no_kernel_stays(root: Path) -> bool:
    deadline = time.monotonic() + 30
    while kernels_of(root) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not kernels_of(root)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_build_keeps_what_is_finished_and_leaves_no_kernel(
    small: Small, start: Start, how: signal.Signals
) -> None:
    root = small(index=WAITS, other=GOOD)
    build = start(root, "--jobs", "2")
    wait_for(build, "other: executed", "index: cell 2 of 2")
    assert kernels_of(root)
    build.send_signal(how)
    _, said = build.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert build.returncode == -9
    else:
        assert build.returncode == 130 and "Finished pages are kept" in said
        assert "Traceback" not in said
    assert no_kernel_stays(root)
    assert entry(root, "other") is not None and entry(root, "index") is None
    assert not list((root / "_build" / "store").glob("*.part"))
    small(index=GOOD.replace("7", "8"), other=GOOD)
    again = start(root)
    printed, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "Nothing changed: other." in printed and "index: executed" in printed


def test_a_second_build_waits_for_the_first(small: Small, start: Start) -> None:
    root = small(index=WAITS.replace("300", "15"))
    first = start(root)
    wait_for(first, "cell 2 of 2")
    second = start(root)
    printed, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert "Another build runs in" in printed and "Nothing changed: index." in printed
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_pages_run_side_by_side_and_a_failed_one_stops_no_other(small: Small, start: Start) -> None:
    pages = {f"p{number}": GOOD.replace("7", str(number)) for number in range(3)}
    root = small(index=CRASHES, **pages)
    build = start(root, "--jobs", "3")
    printed, said = build.communicate(timeout=120)
    assert build.returncode == 3 and "ZeroDivisionError" in said
    assert all(entry(root, name) is not None for name in pages)
    assert printed.count(": executed in") == 3 and "index: failed" in printed


def test_a_build_that_is_stopped_twice_or_while_kernels_start(small: Small, start: Start) -> None:
    pages = {f"p{number}": WAITS.replace("300", f"30{number}") for number in range(4)}
    root = small(**pages)
    build = start(root, "--jobs", "4")
    wait_for(build, "p0: not in the store")
    while not kernels_of(root):
        time.sleep(0.01)
    for _ in range(3):
        build.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, said = build.communicate(timeout=60)
    assert build.returncode == 130, said
    assert "Finished pages are kept" in said and "Traceback" not in said
    assert no_kernel_stays(root)


def test_what_went_wrong_is_said_at_once(small: Small, start: Start) -> None:
    """An interruption of the pages that still run does not swallow it."""
    build = start(small(index=CRASHES, other=WAITS), "--jobs", "2")
    wait_for(build, "index: failed", "other: cell 2 of 2")
    build.send_signal(signal.SIGINT)
    _, said = build.communicate(timeout=60)
    assert build.returncode == 130 and "ZeroDivisionError: division by zero" in said
