"""What the processor can compute, as Linux tells: how a model is laid out best depends on it."""

from __future__ import annotations

import hashlib
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
FIRST = 1 << 14  # bytes of that file: all about the first processor; of some machines it has hundreds
_NAMES = ("flags", "Features")  # of the line, on x86 and on ARM


def features(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The instruction sets of the first processor by the kernel's names ("avx2", "avx512f"); empty where the system does not
    tell."""
    try:
        with open(cpuinfo, encoding="ascii", errors="replace") as file:
            text = file.read(FIRST)
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, values = line.partition(":")
        if name.strip() in _NAMES:
            return frozenset(values.split())
    return frozenset()


def has_vnni(cpuinfo: Path = CPUINFO) -> bool:
    """Whether this processor is known to add int8 products in 32 bits.

    x86 without VNNI adds pairs of them in 16 bits and overflows; ONNX Runtime then must be told to take another way,
    which costs half the speed.
    """
    return any("vnni" in name for name in features(cpuinfo))


def name_of(instructions: frozenset[str]) -> str:
    """A short name that two processors share if they have the same instruction sets; `any` for none."""
    if not instructions:
        return "any"
    return hashlib.sha256(" ".join(sorted(instructions)).encode()).hexdigest()[:8]
