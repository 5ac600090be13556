"""How many cores this process may use."""

from __future__ import annotations

import math
import os

from open_nsfw.cgroup import cpu_share


def available_cores() -> int:
    """At least 1: the cores that the scheduler gives to this process, and no more than its container's share of time.

    A machine's count misleads under taskset and in containers: too many threads for the share stand in each other's
    way.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cpu_share()
    return cores if share is None else max(1, min(cores, math.ceil(share)))
