"""What the container or service that this process runs in may use: the limits of Linux control groups, v1 and v2.

    cpu_share      how many processors' worth of time
    memory_limit   how many bytes

A limit may be set on the process's own group or on any group above it; the smallest holds. File names and units are
those of the kernel's documentation: admin-guide/cgroup-v2.rst (cpu.max, memory.max), scheduler/sched-bwc.rst
(cpu.cfs_quota_us) and admin-guide/cgroup-v1/memory.rst (memory.limit_in_bytes). Standard library only, and elsewhere
than on Linux there are no limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")  # lines of `number:controllers:path`; v2 has no controllers in its line
UNLIMITED = 2**60  # v1 says "no limit" with a number near 2**63


def cpu_share(mounted: Path = MOUNTED, membership: Path = MEMBERSHIP) -> float | None:
    """Processors' worth of time that the groups allow, above 0; None without a limit."""
    shares = []
    for folder, version in _groups("cpu", mounted, membership):
        if version == 2:
            quota, period = (_words(folder / "cpu.max") + ["max", "max"])[:2]
        else:
            quota, period = (
                "".join(_words(folder / name)[:1]) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )  # quota -1: no limit
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            shares.append(int(quota) / int(period))
    return min(shares, default=None)


def memory_limit(mounted: Path = MOUNTED, membership: Path = MEMBERSHIP) -> int | None:
    """Bytes of memory that the groups allow to all processes in them together; None without a limit."""
    limits = []
    for folder, version in _groups("memory", mounted, membership):
        text = "".join(_words(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))[:1])
        if text.isdecimal() and int(text) < UNLIMITED:
            limits.append(int(text))
    return min(limits, default=None)


def _groups(controller: str, mounted: Path, membership: Path) -> Iterator[tuple[Path, int]]:
    """The folder of the process's group and of each group above it, with the version of their files."""
    for line in _lines(membership):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for top in (mounted, mounted / "unified"):  # the second where v1 is there as well
                yield from ((folder, 2) for folder in _upwards(top, path))
        elif controller in controllers.split(","):
            yield from ((folder, 1) for folder in _upwards(mounted / controller, path))


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """`top/path` and all folders above it up to `top`. In a container that sees the path of its host, only `top` is
    there."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # the group lies outside what this process may see
        parts = []
    for count in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:count])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()
