"""The limits on the memory that this process may reserve, which NumPy and ONNX Runtime may not fit into.

Below a certain limit they end the process by themselves or raise anything at all, so limits are looked at before these
libraries are loaded. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator

from open_nsfw.cores import available_cores
from open_nsfw.errors import SetupError

MEBIBYTE = 1024**2
# Measured: a first run with --fast, which converts the model, reserves 794 MiB of addresses with 1 job, 865 with 2, 978
# with 4, 1,308 with 8 and 1,674 with 16. With less, some runs fail. Of data, which the libraries' own code is no part of,
# 500 MiB were enough with 2 jobs, and 400 were not.
LEAST_ADDRESSES = 768 * MEBIBYTE
LEAST_DATA = 448 * MEBIBYTE
LEAST_FOR_CORE = 64 * MEBIBYTE

_LIMITS = (("RLIMIT_AS", "ulimit -v", LEAST_ADDRESSES), ("RLIMIT_DATA", "ulimit -d", LEAST_DATA))


def limits() -> Iterator[tuple[int, str, int]]:
    """The limits that there are: bytes allowed, the shell's command for the limit, bytes needed with no core."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    for name, command, least in _LIMITS:
        soft, _ = resource.getrlimit(getattr(resource, name))
        if soft != resource.RLIM_INFINITY:
            yield soft, command, least


def check_address_space() -> None:
    """Raises SetupError if a limit is too small for NumPy and ONNX Runtime."""
    for allowed, command, least in limits():
        needed = least + LEAST_FOR_CORE * available_cores()
        if allowed < needed:
            raise SetupError(
                f"this process may reserve only {allowed // MEBIBYTE} MiB of memory ({command}), and at least "
                f"{needed // MEBIBYTE} MiB are needed here; raise the limit, or lift it with `{command} unlimited`"
            )


def hint() -> str:
    """What to add to a failure that too little memory may explain; empty without a limit."""
    for allowed, command, _ in limits():
        return (
            f"; this process may reserve only {allowed // MEBIBYTE} MiB of memory ({command}), which may be too little"
        )
    return ""
