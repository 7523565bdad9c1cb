"""Pages side by side: how many at once, and what each one's kernel gets of the machine."""

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

# Seconds. A signal that comes just before a thread waits for a lock does not end that wait, so the
# main thread looks up now and then: else a Ctrl-C could be seen only when a page ends.
WAKES = 1.0

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

    `slot`, from 0 to jobs − 1, is a worker's own while it works. `done` is called in this thread,
    which is the main one. Interrupted, kills `kernels`, waits until every thread has ended (which
    nothing interrupts), and raises again.
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

    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(in_slot, thing): thing for thing in things}
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, timeout=WAKES, return_when=FIRST_COMPLETED)
            for future in ended:
                done(futures[future], future)
    except BaseException:
        with _uninterrupted():
            kernels.stop()
            pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def default_jobs() -> int:
    """Return how many pages to run at once: one for each GPU, or else one for each core."""
    return len(_gpus()) or cores()


def share(slot: int, jobs: int) -> dict[str, str]:
    """Return the environment that gives a kernel its share of the machine.

    On processors that is one thread, however many pages run: with more, sums are added up in
    another order, and the digits would depend on the machine and on what else was stale. It costs
    little, since small networks can't keep several cores busy. A kernel on a GPU gets that GPU,
    and a share of the cores to feed it.
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
    """Return the GPUs by which CUDA may be told: those the caller left us, or all there are."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:  # "" and "-1" mean none
        return [name for name in chosen.split(",") if name.strip() and name.strip() != "-1"]
    return [str(number) for number in range(len(list(NVIDIA.glob("*"))))]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and the like for a moment."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _kill(pid: int) -> None:
    with suppress(OSError):  # it may be gone, or another's by now
        os.killpg(pid, signal.SIGKILL)
