"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "QUOTA PERIOD" in microseconds, or "max PERIOD" (Linux, cgroup v2)


def available_cores(quota: Path = CGROUP_QUOTA) -> int:
    """At least 1: the cores that the scheduler gives to this process, and no more than its container's share of time.

    A machine's count misleads under taskset and in containers: too many threads for the share stand in each other's
    way.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    if allowed == "max":
        return cores
    return max(1, min(cores, math.ceil(int(allowed) / int(period))))
