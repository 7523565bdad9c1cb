"""Pages side by side: how many at once, and what each one's kernel gets of the machine."""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from onions.kernel import cores

T = TypeVar("T")

NVIDIA = Path("/proc/driver/nvidia/gpus")  # a folder for each GPU that the driver knows


class Kernels:
    """The kernels that run now, so that an interruption leaves none behind."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def add(self, pid: int) -> None:
        """Note a kernel by its process, the first of a group; kill it if all are to stop."""
        with self._lock:
            self._groups.add(pid)
            if self.stopped:
                _kill(pid)

    def remove(self, pid: int) -> None:
        """Forget a kernel that has ended."""
        with self._lock:
            self._groups.discard(pid)

    def stop(self) -> None:
        """Kill all kernels, with what they have started; those that start later die at once."""
        with self._lock:
            self.stopped = True
            for pid in self._groups:
                _kill(pid)


def side_by_side(
    things: Iterable[T],
    work: Callable[[T, int], Any],
    done: Callable[[T, "Future[Any]"], None],
    jobs: int,
    kernels: Kernels,
) -> None:
    """Call `work(thing, slot)` for all things in threads, at most `jobs` at once, in order.

    `slot`, from 0 to jobs − 1, is a worker's own while it works. `done` is called in this thread.
    Interrupted, kills `kernels`, waits until every thread has ended, and raises again.
    """
    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(jobs):
        slots.put(slot)

    def in_slot(thing: T) -> Any:
        slot = slots.get()
        try:
            return work(thing, slot)
        finally:
            slots.put(slot)

    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(in_slot, thing): thing for thing in things}
        try:
            for future in as_completed(futures):
                done(futures[future], future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            kernels.stop()
            raise


def default_jobs() -> int:
    """Return how many pages to run at once: one for each GPU, or else one for each core."""
    return _gpus() or cores()


def share(slot: int, jobs: int) -> dict[str, str]:
    """Return the environment that gives a kernel its share of the cores and one GPU.

    Single-threaded trainings side by side finish sooner than many-threaded ones in a row, since
    small networks can't keep several cores busy.
    """
    threads = str(max(1, cores() // jobs))
    environment = {
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if gpus := _gpus():
        environment["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
    if jobs > 1:
        names = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment |= dict.fromkeys((*names, "MKL_NUM_THREADS"), threads)
        environment["TF_NUM_INTEROP_THREADS"] = "1"
    return environment


def _gpus() -> int:
    return len(list(NVIDIA.iterdir())) if NVIDIA.is_dir() else 0


def _kill(pid: int) -> None:
    with suppress(OSError):  # it may be gone, or another's by now
        os.killpg(pid, signal.SIGKILL)
