"""A limit on the address space: enough for a score, or one line that says so."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw import address_space
from open_nsfw.errors import SetupError
from tests.tools.helpers import PICTURE, ROOT, SCRIPT, SECONDS

COMMANDS = {
    "classify_nsfw": [str(SCRIPT), "--engine", "onnxruntime", str(PICTURE)],
    "open-nsfw verify": ["-m", "open_nsfw", "verify", str(PICTURE)],
}


def limited(kind: int, size: int, *command: str, cache: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command under one limit."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, **({} if cache is None else {"OPEN_NSFW_CACHE": cache})},
        preexec_fn=lambda: resource.setrlimit(kind, (size, size)),
    )


@pytest.mark.parametrize(
    ("kind", "option", "mebibytes"),
    [(resource.RLIMIT_AS, "-v", size) for size in (60, 150, 300, 450, 600)]
    + [(resource.RLIMIT_DATA, "-d", size) for size in (20, 60, 150, 300, 400)],
)
@pytest.mark.parametrize("program", COMMANDS)
def test_too_little(program: str, kind: int, option: str, mebibytes: int) -> None:
    """One line and exit status 2, wherever NumPy or ONNX Runtime would have failed."""
    done = limited(kind, mebibytes * address_space.MEBIBYTE, *COMMANDS[program])
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"{program}: error: this process may reserve only {mebibytes} MiB of memory \(ulimit {option}\), and at least "
        rf"\d+ MiB are needed here; raise the limit, or lift it with `ulimit {option} unlimited`\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("kind", "least"),
    [(resource.RLIMIT_AS, address_space.LEAST_ADDRESSES), (resource.RLIMIT_DATA, address_space.LEAST_DATA)],
)
def test_just_enough(kind: int, least: int, tmp_path: Path) -> None:
    """At the limit that is asked for, a picture has its score, also where the model is converted first."""
    size = least + address_space.LEAST_FOR_CORE * address_space.available_cores()
    done = limited(kind, size, *COMMANDS["classify_nsfw"], "--fast", cache=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The border itself, and no limit at all."""

    def limit(allowed: int | None) -> None:
        found = [] if allowed is None else [(allowed, "ulimit -v", address_space.LEAST_ADDRESSES)]
        monkeypatch.setattr(address_space, "limits", lambda: iter(found))

    monkeypatch.setattr(address_space, "available_cores", lambda: 4)
    needed = (768 + 4 * 64) * address_space.MEBIBYTE
    limit(needed)
    address_space.check_address_space()
    assert address_space.hint() == (
        "; this process may reserve only 1024 MiB of memory (ulimit -v), which may be too little"
    )
    limit(needed - 1)
    with pytest.raises(
        SetupError, match="^this process may reserve only 1023 MiB .* at least 1024 MiB are needed here; "
    ):
        address_space.check_address_space()
    limit(None)
    address_space.check_address_space()
    assert address_space.hint() == ""
