"""Parallel runs: how many pages at once, and each kernel's share of the machine."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from onions.kernel import cores

T = TypeVar("T")

# Seconds. A signal that arrives shortly before a thread waits for a lock does not end that wait. So
# the main thread wakes now and then; else it would see a Ctrl-C only when a page ends.
WAKE_SECONDS = 1.0

NVIDIA = Path("/proc/driver/nvidia/gpus")  # a folder for each GPU that the driver knows


class KernelRegistry:
    """The running kernels, so that an interruption leaves none behind."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def add(self, pid: int) -> None:
        """Register a kernel by its process, the leader of a group; kill it if all are to stop."""
        with self._lock:
            self._groups.add(pid)
            if self.stopped:
                _kill(pid)

    def remove(self, pid: int) -> None:
        """Forget a kernel that has ended."""
        with self._lock:
            self._groups.discard(pid)

    def stop(self) -> None:
        """Kill all kernels and their children; a kernel that starts later dies at once."""
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
    """Call `work(item, slot)` for all items in threads, at most `jobs` at once, in order.

    While a call works, no other has its `slot`, from 0 to jobs − 1. `finish` is called in this
    thread, which is the main one. An interruption kills `kernels`, waits until every thread has
    ended (nothing interrupts that), and is raised again.
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
    """Return how many pages to run at once: one for each GPU, or else one for each core."""
    return len(_gpus()) or cores()


def resource_environment(slot: int, jobs: int) -> dict[str, str]:
    """Return the environment variables that give a kernel its share of the machine.

    On CPUs a kernel gets one thread, however many pages run. With more threads, sums are added in
    another order, so digits would depend on the machine and on which pages are stale. One thread
    costs little, since small networks can't keep several cores busy. On GPUs a kernel gets the GPU
    of its slot, and a share of the cores.
    """
    gpus = _gpus()
    threads = str(max(1, cores() // jobs)) if gpus else "1"
    names = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = dict.fromkeys(names, threads) | {
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    return environment


def _gpus() -> list[str]:
    """Return the ids of the GPUs that CUDA may use: those in CUDA_VISIBLE_DEVICES, or all."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:  # "" and "-1" mean none
        return [name for name in chosen.split(",") if name.strip() and name.strip() != "-1"]
    return [str(number) for number in range(len(list(NVIDIA.glob("*"))))]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and the like for a moment."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def _kill(pid: int) -> None:
    with suppress(OSError):  # it may have ended, or its id may belong to another user now
        os.killpg(pid, signal.SIGKILL)
