"""The CPU cores that this process may use."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many cores this process may use, by its affinity and its cgroups' quotas.

    A container with two of a machine's 64 cores usually has a quota and no affinity. A part of a
    core counts as one. Source: Linux's cgroup-v2 (cpu.max) and sched-bwc (cpu.cfs_quota_us).
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min([cores, *_quotas()])))


def _quotas() -> Iterator[float]:
    """Yield the quota, in cores, of each cgroup of this process that has one."""
    for folder in _folders():
        with suppress(OSError, ValueError):  # no such file, or "max"
            quota, period = (folder / "cpu.max").read_text().split()
            yield int(quota) / int(period)
        with suppress(OSError, ValueError):  # version 1
            quota = (folder / "cpu.cfs_quota_us").read_text()
            if int(quota) > 0:  # -1: none
                yield int(quota) / int((folder / "cpu.cfs_period_us").read_text())


def _folders() -> Iterator[Path]:
    """Yield the folders of this process' cgroups and of those around them."""
    lines = []
    with suppress(OSError):
        lines = OWN_CGROUPS.read_text().splitlines()
    for line in ["0::/", *lines]:
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            top = CGROUPS / ("cpu" if controllers else "")
            own = Path(path.lstrip("/"))
            yield from (top / part for part in (own, *own.parents))
