"""How many cores this process may use, and how many jobs it should run at once."""

from __future__ import annotations

import math
import os

from open_nsfw.cgroup import cpu_share, memory_limit

# What a run takes, of which more jobs would not fit into a container's memory: measured by benchmarks/memory.py on
# 12-megapixel photos as 271 MiB with two jobs, all processes together, with room for a large picture in each.
RUN_BYTES, JOB_BYTES = 128 * 2**20, 256 * 2**20


def available_cores() -> int:
    """At least 1: the cores that the scheduler gives to this process, and no more than its container's share of time.

    A machine's count misleads under taskset and in containers: too many threads for the share stand in each other's
    way.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cpu_share()
    return cores if share is None else max(1, min(cores, math.ceil(share)))


def default_jobs() -> int:
    """At least 1: a job for each core, and no more than fit into the memory that the container allows."""
    limit = memory_limit()
    return available_cores() if limit is None else max(1, min(available_cores(), (limit - RUN_BYTES) // JOB_BYTES))
