"""Parallel runs: the number of pages at once, and the GPU of each."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from onions.base.cores import cores

T = TypeVar("T")

# Seconds between wake-ups of the main thread. A signal just before a wait for a lock does not
# interrupt the wait, so without wake-ups a Ctrl-C could go unnoticed until a page ends.
WAKE_SECONDS = 1.0

NVIDIA = Path("/proc/driver/nvidia/gpus")  # contains a folder for each GPU


class KernelRegistry:
    """The running kernels; `stop` kills them when the build is interrupted."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def add(self, pid: int) -> None:
        """Register a kernel by its process group's leader; kill it if `stop` was called before."""
        with self._lock:
            self._groups.add(pid)
            if self.stopped:
                _kill(pid)

    def remove(self, pid: int) -> None:
        """Unregister a kernel that has ended."""
        with self._lock:
            self._groups.discard(pid)

    def stop(self) -> None:
        """Kill all kernels and their children, and every kernel that is added later."""
        with self._lock:
            self.stopped = True
            for pid in self._groups:
                _kill(pid)


def run_parallel(
    items: Iterable[T],
    work: Callable[[T, int], Any],
    finish: Callable[[T, "Future[Any]"], None],
    jobs: int,
    kernels: KernelRegistry,
) -> None:
    """Call `work(item, slot)` in a thread for each item, in order, at most `jobs` at once.

    `slot` is from 0 to `jobs` − 1; calls that run at the same time have different slots. Call
    `finish(item, future)` in this thread, which must be the main thread. If an exception or a
    Ctrl-C interrupts the work, kill `kernels`, wait for all threads, and raise it again.
    """
    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(jobs):
        slots.put(slot)

    def work_in_slot(item: T) -> Any:
        slot = slots.get()
        try:
            return work(item, slot)
        finally:
            slots.put(slot)

    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(work_in_slot, item): item for item in items}
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, timeout=WAKE_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                finish(futures[future], future)
    except BaseException:
        with _uninterrupted():
            kernels.stop()
            pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def default_jobs() -> int:
    """Return how many pages to run at once: one for each GPU or, without GPUs, for each core."""
    return len(_gpus()) or cores()


def device_kind() -> str:
    """Return the kind of device that pages run on here: GPU or CPU."""
    return "GPU" if _gpus() else "CPU"


def gpu_environment(slot: int) -> dict[str, str]:
    """Return the environment variable that gives a kernel the GPU of its slot, if there is one."""
    name, gpus = "CUDA_VISIBLE_DEVICES", _gpus()
    if gpus:
        return {name: gpus[slot % len(gpus)]}
    return {name: os.environ[name]} if name in os.environ else {}  # "-1" hides all GPUs


def _gpus() -> list[str]:
    """Return the ids of the GPUs in CUDA_VISIBLE_DEVICES or, if it is not set, of all GPUs."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:  # "" and "-1" mean none
        return [name for name in chosen.split(",") if name.strip() and name.strip() != "-1"]
    return [str(number) for number in range(len(list(NVIDIA.glob("*"))))]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM during the block."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def _kill(pid: int) -> None:
    with suppress(OSError):  # it has ended, or another user's process has its id
        os.killpg(pid, signal.SIGKILL)
