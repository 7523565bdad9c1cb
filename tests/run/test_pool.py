"""Pages that run in parallel: their order, their resources, and interruptions."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from onions.book.project import Project
from onions.images.sources import Source
from onions.run import pool
from onions.run.pool import KernelRegistry, default_jobs, gpu_environment, run_parallel
from onions.store.build import Build
from onions.store.plan import expected_seconds
from onions.store.status import PageState
from support.pages import CRASHING_PAGE, PRINTING_PAGE, cell, entry
from support.projects import Small, onions_command


def test_items_start_in_order_and_at_most_jobs_run_at_once() -> None:
    started: list[int] = []
    slots: set[int] = set()
    running = peak = 0
    lock = threading.Lock()

    def work(item: int, slot: int) -> int:
        nonlocal running, peak
        with lock:
            started.append(item)
            slots.add(slot)
            running += 1
            peak = max(peak, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return item * 2

    results: dict[int, int] = {}

    def done(item: int, future: "Future[int]") -> None:
        results[item] = future.result()

    run_parallel(range(9), work, done, 3, KernelRegistry())
    assert results == {n: 2 * n for n in range(9)}
    assert 1 <= peak <= 3 and slots <= {0, 1, 2}
    assert all(abs(position - item) < 3 for position, item in enumerate(started))


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_an_interruption_kills_the_kernels_and_starts_nothing_more(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    kernels, started = KernelRegistry(), []

    def work(item: int, slot: int) -> None:
        started.append(item)
        time.sleep(0.02)
        if item == 0:
            kernels.add(sleeper.pid)
            sleeper.wait()  # until it is killed

    def done(item: int, future: "Future[None]") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_parallel(range(50), work, done, 2, kernels)
    assert sleeper.returncode == -signal.SIGKILL and len(started) < 50
    kernels.remove(sleeper.pid)


def test_a_kernel_added_after_stop_is_killed(sleeper: "subprocess.Popen[bytes]") -> None:
    kernels = KernelRegistry()
    kernels.stop()
    kernels.add(sleeper.pid)
    assert sleeper.wait(5) == -signal.SIGKILL


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """A function that sets the machine's number of cores and GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def configure(cores: int, gpus: int) -> None:
        monkeypatch.setattr(pool, "cores", lambda: cores)
        monkeypatch.setattr(pool, "NVIDIA", tmp_path / f"gpus-{gpus}")
        for number in range(gpus):
            (tmp_path / f"gpus-{gpus}" / f"0000:0{number}:00.0").mkdir(parents=True)

    return configure


def test_kernels_share_the_gpus(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(cores=8, gpus=2)
    assert default_jobs() == 2
    gpus = [gpu_environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(4)]
    assert gpus == ["0", "1", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-8f2a")  # the caller's choice has priority
    assert default_jobs() == 2
    gpus = [gpu_environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)]
    assert gpus == ["1", "GPU-8f2a"]
    for no_devices in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", no_devices)
        assert default_jobs() == 8 and gpu_environment(0) == {"CUDA_VISIBLE_DEVICES": no_devices}


def test_without_a_gpu_a_page_runs_on_each_core(machine: Callable[..., None]) -> None:
    machine(cores=8, gpus=0)
    assert default_jobs() == 8 and gpu_environment(0) == {}


def test_the_longest_page_comes_first(small: Small) -> None:
    project = Project(
        small(index=PRINTING_PAGE, fits="# Fits\n\n" + cell("fit(epochs=5)\nfit(epochs=20)"))
    )
    build = Build(Source("sketches", "", "", "", ""), "full", "3.11")
    new, known = (PageState(page, build, "", ["new"]) for page in project.pages())
    assert expected_seconds(known) == 28 and expected_seconds(new) == 3
    for profile, seconds in (("full", 70.5), ("smoke", 3)):
        facts = {"seconds": 70.5, "build": {"profile": profile}}
        assert expected_seconds(PageState(new.page, build, "", ["x"], facts)) == seconds


WAITING_PAGE = "# Waits\n\n" + cell("x = 1") + cell("import time\nprint('here')\ntime.sleep(300)")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """A function that starts a build in the background; the fixture kills it if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def execute(root: Path, *arguments: str) -> "subprocess.Popen[str]":
        build = subprocess.Popen(
            onions_command(root, "execute", *arguments),
            env={**os.environ, "ONIONS_DATA": "sketches", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Background jobs of a shell script ignore Ctrl-C, and so do their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(build)
        return build

    yield execute
    for build in started:
        build.kill()
        build.communicate()


def wait_for(build: "subprocess.Popen[str]", *texts: str) -> str:
    """Read a build's output until it contains all texts. Raises AssertionError if it does not."""
    assert build.stdout is not None
    output = ""
    for line in build.stdout:
        output += line
        if all(text in output for text in texts):
            return output
    raise AssertionError(f"the build ended before it printed {texts}:\n{output}")


def kernels_of(root: Path) -> list[str]:
    """Return the process ids of a project's kernels, found by their logs."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            log = (process / "fd" / "2").readlink()
            if str(root) in str(log) and "ipykernel" in (process / "cmdline").read_text():
                pids.append(process.name)
        except OSError:
            continue
    return pids


def all_kernels_end(root: Path) -> bool:
    """Return whether all kernels of a project end within 30 seconds."""
    deadline = time.monotonic() + 30
    while kernels_of(root) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not kernels_of(root)


@pytest.mark.kernel
@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_build_keeps_finished_pages_and_leaves_no_kernel(
    small: Small, start: Start, stop_signal: signal.Signals
) -> None:
    root = small(index=WAITING_PAGE, other=PRINTING_PAGE)
    build = start(root, "--jobs", "2")
    wait_for(build, "other: executed", "index: cell 2 of 2")
    assert kernels_of(root)
    build.send_signal(stop_signal)
    _, stderr = build.communicate(timeout=60)
    if stop_signal == signal.SIGKILL:
        assert build.returncode == -9
    else:
        assert build.returncode == 130 and "Finished pages are kept" in stderr
        assert "Traceback" not in stderr
    assert all_kernels_end(root)
    assert entry(root, "other") is not None and entry(root, "index") is None
    assert not list((root / "_build" / "store").glob("*.part"))
    small(index=PRINTING_PAGE.replace("7", "8"), other=PRINTING_PAGE)
    again = start(root)
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stderr
    assert "Fresh: other." in stdout and "index: executed" in stdout


@pytest.mark.kernel
def test_a_second_build_waits_for_the_first(small: Small, start: Start, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = (
        f"import os, time\nend = time.monotonic() + 60\n"
        f"while not os.path.exists({str(go)!r}) and time.monotonic() < end:\n    time.sleep(0.05)"
    )
    root = small(index="# Waits\n\n" + cell(source))
    first = start(root)
    wait_for(first, "cell 1 of 1")
    second = start(root)
    wait_for(second, "Another command is writing to")
    go.touch()
    stdout, stderr = second.communicate(timeout=120)
    assert second.returncode == 0, stderr
    assert "Fresh: index." in stdout
    first.communicate(timeout=60)
    assert first.returncode == 0


@pytest.mark.kernel
def test_pages_run_in_parallel_and_a_failed_page_stops_no_other(small: Small, start: Start) -> None:
    pages = {f"p{number}": PRINTING_PAGE.replace("7", str(number)) for number in range(3)}
    root = small(index=CRASHING_PAGE, **pages)
    build = start(root, "--jobs", "3")
    stdout, stderr = build.communicate(timeout=120)
    assert build.returncode == 3 and "ZeroDivisionError" in stderr
    assert all(entry(root, name) is not None for name in pages)
    assert stdout.count(": executed in") == 3 and "index: failed" in stdout


@pytest.mark.kernel
def test_a_build_stops_when_interrupted_repeatedly_while_kernels_start(
    small: Small, start: Start
) -> None:
    pages = {f"p{number}": WAITING_PAGE.replace("300", f"30{number}") for number in range(4)}
    root = small(**pages)
    build = start(root, "--jobs", "4")
    wait_for(build, "p0: not in the store")
    while not kernels_of(root):
        time.sleep(0.01)
    end = time.monotonic() + 60
    while build.poll() is None and time.monotonic() < end:  # also during clean-up and report
        build.send_signal(signal.SIGINT)
        time.sleep(0.002)
    _, stderr = build.communicate(timeout=60)
    assert build.returncode == 130, stderr
    assert "Finished pages are kept" in stderr and "Traceback" not in stderr
    assert all_kernels_end(root)


@pytest.mark.kernel
def test_a_build_in_the_background_of_a_script_ignores_ctrl_c(small: Small) -> None:
    """A shell starts such jobs with SIGINT ignored."""
    with subprocess.Popen(
        onions_command(small(index=PRINTING_PAGE), "execute"),
        env={**os.environ, "ONIONS_DATA": "sketches", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as build:
        wait_for(build, "index: not in the store")
        build.send_signal(signal.SIGINT)
        stdout, _ = build.communicate(timeout=60)
    assert build.returncode == 0 and "index: executed in" in stdout


@pytest.mark.kernel
def test_a_failure_is_reported_at_once(small: Small, start: Start) -> None:
    """An interruption of the other pages must not hide the failure."""
    build = start(small(index=CRASHING_PAGE, other=WAITING_PAGE), "--jobs", "2")
    wait_for(build, "index: failed", "other: cell 2 of 2")
    build.send_signal(signal.SIGINT)
    _, stderr = build.communicate(timeout=60)
    assert build.returncode == 130 and "ZeroDivisionError: division by zero" in stderr
