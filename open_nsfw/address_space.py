"""The limit on this process's address space (`ulimit -v`, RLIMIT_AS), which NumPy and ONNX Runtime may not fit into.

Below a certain limit they end the process by themselves or raise anything at all, so it is looked at before they are
loaded. Standard library only.
"""

from __future__ import annotations

from open_nsfw.cores import available_cores
from open_nsfw.errors import SetupError

MEBIBYTE = 1024**2
# Measured: a first run with --fast, which converts the model, reserves 794 MiB with 1 job, 865 with 2, 978 with 4, 1,308
# with 8 and 1,674 with 16. With less, some runs fail.
LEAST = 768 * MEBIBYTE
LEAST_FOR_CORE = 64 * MEBIBYTE


def limit() -> int | None:
    """Bytes that this process may reserve; None without a limit."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def check_address_space() -> None:
    """Raises SetupError if the limit is too small for NumPy and ONNX Runtime."""
    allowed = limit()
    if allowed is None:
        return
    needed = LEAST + LEAST_FOR_CORE * available_cores()
    if allowed < needed:
        raise SetupError(
            f"this process may reserve only {allowed // MEBIBYTE} MiB of memory (ulimit -v), and at least "
            f"{needed // MEBIBYTE} MiB are needed here; raise the limit, or lift it with `ulimit -v unlimited`"
        )


def hint() -> str:
    """What to add to a failure that too little memory may explain; empty without a limit."""
    allowed = limit()
    if allowed is None:
        return ""
    return f"; this process may reserve only {allowed // MEBIBYTE} MiB of memory (ulimit -v), which may be too little"
