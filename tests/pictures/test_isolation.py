"""A decoder that crashes, hangs or eats memory costs one picture its row. The evil decoder is a false `pillow_heif` on the
import path, which the worker loads for a HEIF picture; what it does is written in the picture."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from open_nsfw.errors import SetupError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.watchdog import Watchdog
from tests.tools.helpers import PICTURE, ROOT

# A minimal HEIF: the `ftyp` box that the allow-list goes by, and then a word for the planted decoder.
HEIF = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1"

PLANTED = """
import ctypes, os, sys, time
from PIL import Image, ImageFile

class Planted(ImageFile.ImageFile):
    format = "HEIF"
    def _open(self):
        self._size, self._mode, self.tile = (8, 8), "RGB", []
        self.fp.seek(24)
        self.order = self.fp.read().decode()
    def load(self):
        if self.order == "crash":
            ctypes.string_at(0)
        if self.order == "exit":
            os._exit(7)
        if self.order == "hang":
            time.sleep(600)
        if self.order == "eat":
            self.eaten = [bytearray(1 << 26) for _ in range(1000)]
        if self.order == "raise":
            raise RuntimeError("two\\nlines")
        if self.order == "print":
            os.write(1, b"noise among the answers")
            print("more noise", flush=True)
        self.im = Image.new("RGB", self._size, "teal").im
        return Image.Image.load(self)

def register_heif_opener():
    Image.register_open("HEIF", Planted, lambda prefix: prefix[4:8] == b"ftyp")
"""


@pytest.fixture(name="planted")
def _planted(tmp_path: Path) -> Path:
    """A folder with the planted decoder and a picture for each thing that it does."""
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "pillow_heif.py").write_text(PLANTED)
    for order in ("crash", "exit", "hang", "eat", "raise", "print"):
        (tmp_path / f"{order}.heic").write_bytes(HEIF + order.encode())
    return tmp_path


def scan(planted: Path, *arguments: str) -> tuple[list[dict[str, object]], subprocess.CompletedProcess[str]]:
    """Rows and process of a run with the planted decoder on the import path."""
    command = [
        sys.executable,
        str(ROOT / "classify_nsfw.py"),
        "--engine",
        "onnxruntime",
        "--format",
        "jsonl",
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": str(planted / "plugin")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done


def test_each_evil_picture_costs_its_own_row_only(planted: Path) -> None:
    """All of them in one run, good pictures between them, on two jobs: rows in order, errors by code and sentence."""
    evil = ["crash", "exit", "hang", "eat", "raise"]
    inputs = [path for order in evil for path in (str(planted / f"{order}.heic"), str(PICTURE))]
    rows, done = scan(planted, "--jobs", "2", "--max-seconds", "3", "--max-memory", "600000000", *inputs)
    assert [row["path"] for row in rows] == inputs
    assert [row["error"] for row in rows[0::2]] == [
        "decoder-crashed: the decoder crashed on it (signal SIGSEGV)",
        "decoder-crashed: the decoder crashed on it (exit status 7)",
        "timeout: not decoded within 3 s (--max-seconds)",
        "out-of-memory: decoding takes more memory than it may (--max-memory)",
        "undecodable: a damaged HEIF file: two lines",
    ]
    assert [row["score"] for row in rows[1::2]] == [pytest.approx(0.49940, abs=1e-4)] * len(evil)
    assert done.returncode == 1
    assert f"classify_nsfw: {planted}/crash.heic: the decoder crashed on it (signal SIGSEGV)\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_single_evil_picture_still_has_its_row(planted: Path) -> None:
    """Yahoo's own form of the command, where nothing else is in the run."""
    rows, done = scan(planted, str(planted / "crash.heic"))
    assert [row["error"] for row in rows] == ["decoder-crashed: the decoder crashed on it (signal SIGSEGV)"]
    assert done.returncode == 1


def test_what_a_decoder_prints_does_not_reach_the_rows(planted: Path) -> None:
    """The worker's standard output is the way of its answers; a library that prints must not get among them."""
    rows, done = scan(planted, str(planted / "print.heic"), str(PICTURE))
    assert [row["error"] for row in rows] == [None, None]
    assert done.returncode == 0


def test_the_memory_limit_is_an_option(tmp_path: Path) -> None:
    """The same honest picture, of 400 MB decoded, fits into the default limit and not into a smaller one."""
    picture = tmp_path / "large.png"
    Image.new("L", (10_000, 10_000), 128).save(picture)
    rows, _ = scan(tmp_path, str(picture))
    assert rows[0]["error"] is None
    rows, _ = scan(tmp_path, "--max-memory", "300000000", str(picture))
    message = "out-of-memory: decoding takes more memory than it may (--max-memory)"
    assert rows[0]["error"] == message
    _, done = scan(tmp_path, "--max-memory", "1000", str(picture))
    assert done.returncode == 2
    assert "--max-memory: a decoder needs at least 268435456 bytes, not '1000'" in done.stderr


def test_workers_end_with_the_command(planted: Path) -> None:
    """Also where the command is killed: a worker whose parent is gone reads the end of its input."""
    command = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", "--jobs", "2"]
    inputs = [str(planted / "hang.heic"), str(PICTURE)]
    environment = {**os.environ, "PYTHONPATH": str(planted / "plugin"), "OPEN_NSFW_MARK": str(planted)}
    process = subprocess.Popen([*command, *inputs], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(marked(planted)) == 5, "the command and its two workers, each with a guard, run")
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not marked(planted), "both workers have gone")


def test_a_worker_that_dies_with_nothing_to_do_costs_no_picture_its_score() -> None:
    """The next request may reach it before the system says that it is dead; a fresh process answers then."""
    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(), 60, watchdog)
    try:
        for _ in range(20):
            assert [type(each) for each in worker.decode(str(PICTURE))] == [FileInfo, Picture]
            assert worker._process is not None
            os.kill(worker._process.pid, signal.SIGKILL)
    finally:
        worker.close()
        watchdog.close()


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files or processes: what it is, and what helps."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(), 60, watchdog)
    monkeypatch.setattr(subprocess, "Popen", full)
    try:
        with pytest.raises(SetupError) as error:
            list(worker.decode(str(PICTURE)))
    finally:
        watchdog.close()
    assert str(error.value) == "a decoding process cannot be started: Too many open files; try fewer --jobs"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_costs_no_picture_its_score(number: signal.Signals) -> None:
    """A terminal, `timeout` and systemd send it to the decoding processes, too, which leave it to the command."""
    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(), 60, watchdog)
    try:
        assert [type(each) for each in worker.decode(str(PICTURE))] == [FileInfo, Picture]
        process = worker._process
        assert process is not None
        os.kill(process.pid, number)
        assert [type(each) for each in worker.decode(str(PICTURE))] == [FileInfo, Picture]
        assert worker._process is process and not process.has_ended()
    finally:
        worker.close()
        watchdog.close()


def marked(mark: Path) -> list[int]:
    """Processes that inherited the mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"OPEN_NSFW_MARK={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # gone, or not ours
    return found


def wait_until(condition: object, what: str, seconds: float = 60) -> None:
    """Wait for a condition; fail with what it was if it does not come."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
