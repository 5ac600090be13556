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


@pytest.mark.parametrize("mebibytes", [60, 150, 300, 450, 600])
@pytest.mark.parametrize("program", COMMANDS)
def test_too_little(program: str, mebibytes: int) -> None:
    """One line and exit status 2, wherever NumPy or ONNX Runtime would have failed."""
    size = mebibytes * address_space.MEBIBYTE
    done = subprocess.run(
        [sys.executable, *COMMANDS[program]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"{program}: error: this process may reserve only {mebibytes} MiB of memory \(ulimit -v\), and at least \d+ MiB "
        r"are needed here; raise the limit, or lift it with `ulimit -v unlimited`\n",
        done.stderr,
    )


def test_just_enough(tmp_path: Path) -> None:
    """At the limit that is asked for, a picture has its score, also where the model is converted first."""
    size = address_space.LEAST + address_space.LEAST_FOR_CORE * address_space.available_cores()
    done = subprocess.run(
        [sys.executable, *COMMANDS["classify_nsfw"], "--fast"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "OPEN_NSFW_CACHE": str(tmp_path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The border itself, and no limit at all."""
    monkeypatch.setattr(address_space, "available_cores", lambda: 4)
    needed = (768 + 4 * 64) * address_space.MEBIBYTE
    monkeypatch.setattr(address_space, "limit", lambda: needed)
    address_space.check_address_space()
    assert address_space.hint() == (
        "; this process may reserve only 1024 MiB of memory (ulimit -v), which may be too little"
    )
    monkeypatch.setattr(address_space, "limit", lambda: needed - 1)
    with pytest.raises(
        SetupError, match="^this process may reserve only 1023 MiB .* at least 1024 MiB are needed here; "
    ):
        address_space.check_address_space()
    monkeypatch.setattr(address_space, "limit", lambda: None)
    address_space.check_address_space()
    assert address_space.hint() == ""
