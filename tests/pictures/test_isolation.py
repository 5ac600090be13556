"""A decoder that crashes, hangs or eats memory costs one picture its score. What the evil decoder does is in
tests/tools/planted_decoders.py; tests/end_to_end/test_planted_decoders.py has the rest of it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from open_nsfw.errors import InputError, SetupError
from open_nsfw.pictures import isolation
from open_nsfw.pictures.extraction import Encoded, Extraction
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.watchdog import Deadline, Watchdog
from tests.tools.helpers import PICTURE, ROOT
from tests.tools.planted_decoders import plant
from tests.tools.processes import marked, wait_until


@pytest.fixture(name="planted")
def _planted(tmp_path: Path) -> Path:
    """A folder with the planted decoder and a picture for each thing that it does."""
    plant(tmp_path)
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
    assert "--max-memory: a decoder needs at least 256MiB, not '1000'" in done.stderr


@pytest.mark.parametrize("kind", ["hang", "hang-with-children", "hang-deaf", "hang-stopped"])
def test_workers_end_with_the_command(planted: Path, kind: str) -> None:
    """Killed itself, it can end nobody: a guard in each worker's process group does, also where the decoder hangs, and with
    what the decoder has started."""
    command = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", "--jobs", "2"]
    inputs = [str(planted / f"{kind}.heic"), str(PICTURE)]
    environment = {**os.environ, "PYTHONPATH": str(planted / "plugin"), "OPEN_NSFW_MARK": str(planted)}
    process = subprocess.Popen([*command, *inputs], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    count = 8 if kind == "hang-with-children" else 5  # the command, two workers, a guard for each, children
    try:
        wait_until(lambda: len(marked(planted)) == count, "the command and its workers run")
        time.sleep(0.3)  # for the decoder to hang
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not marked(planted), "all have gone")


@pytest.mark.parametrize("whom", ["the command", "all of its processes"])
def test_a_pause_costs_no_picture_its_score(planted: Path, whom: str) -> None:
    """As of a container: the time of a pause is not the decoder's."""
    command = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", "--max-seconds", "2"]
    inputs = [str(planted / "takes-a-while.heic"), str(PICTURE)]
    environment = {**os.environ, "PYTHONPATH": str(planted / "plugin"), "OPEN_NSFW_MARK": str(planted)}
    process = subprocess.Popen([*command, "--jobs", "1", *inputs], env=environment, stderr=subprocess.PIPE, text=True)
    begun = planted / "plugin" / "pillow_heif.py.begun"
    wait_until(begun.exists, "the decoder is at work")
    paused = [process.pid] if whom == "the command" else [process.pid, *marked(planted)]
    for number, seconds in ((signal.SIGSTOP, 5), (signal.SIGCONT, 0)):
        for pid in paused:
            os.kill(pid, number)
        time.sleep(seconds)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


@pytest.fixture(name="watchdog")
def _watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


@pytest.fixture(name="worker")
def _worker(watchdog: Watchdog) -> Iterator[DecodeWorker]:
    """One with a minute for a picture."""
    worker = DecodeWorker(Extraction(max_memory=900_000_000), 60, watchdog)
    yield worker
    worker.close()


def decoded(worker: DecodeWorker, encoded: Encoded = str(PICTURE)) -> int:
    """Decode a picture, as it should be; the process that did it."""
    assert [type(each) for each in worker.decode(encoded)] == [FileInfo, Picture]
    assert worker._process is not None
    return worker._process.pid


def test_a_worker_that_dies_with_nothing_to_do_costs_no_picture_its_score(worker: DecodeWorker) -> None:
    """The next request may reach it before the system says that it is dead; a fresh process answers then."""
    for _ in range(20):
        os.kill(decoded(worker), signal.SIGKILL)


def test_a_worker_that_is_stopped_goes_on(worker: DecodeWorker) -> None:
    """Between two pictures or while it decodes: the time for a picture would pass unused."""
    pid = decoded(worker)
    os.kill(pid, signal.SIGSTOP)
    assert decoded(worker) == pid
    parts = worker.decode(str(PICTURE))
    assert isinstance(next(parts), FileInfo)
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(next(parts), Picture)
    assert list(parts) == []
    assert decoded(worker) == pid


def test_a_kill_behind_the_last_answer_costs_nothing(worker: DecodeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline passes just when the answer is there: the file has its answer, the next one a fresh process."""
    leave = Deadline.__exit__

    def too_late(self: Deadline, *reason: object) -> None:
        leave(self, *reason)
        if answers == [FileInfo, Picture]:  # this is about the last message
            self.missed = True
            self.process.kill()

    pid = decoded(worker)
    monkeypatch.setattr(Deadline, "__exit__", too_late)
    for _ in range(3):
        answers: list[type] = []
        for each in worker.decode(str(PICTURE)):
            answers.append(type(each))
        assert answers == [FileInfo, Picture]
        assert worker._process is not None and worker._process.pid != pid or _ == 0


def test_all_pictures_of_a_file_have_a_time_together(
    planted: Path, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in time, and without end: twice the time of one, and more only for a large file."""
    monkeypatch.syspath_prepend(str(planted / "plugin"))
    worker, found = DecodeWorker(Extraction(), 1, watchdog), []
    with pytest.raises(InputError) as error:
        for each in worker.decode(str(planted / "slow-frames.heic")):
            found.append(each)
    worker.close()
    assert (error.value.code, str(error.value)) == (
        "timeout",
        "its pictures are not decoded within 2 s (--max-seconds)",
    )
    assert len(found) > 2


@pytest.mark.parametrize("has_names", [True, False], ids=["by its name in /proc", "by its descriptor"])
def test_an_open_file(worker: DecodeWorker, monkeypatch: pytest.MonkeyPatch, has_names: bool) -> None:
    """That has no name any more: a large member of an archive. Its offset is no matter, and it stays open."""
    pid = decoded(worker)
    if not has_names:
        monkeypatch.setattr(isolation, "_name", lambda file: "/nowhere")
    with tempfile.TemporaryFile() as file:
        file.write(PICTURE.read_bytes())
        file.flush()
        for _ in range(2):
            info, picture = worker.decode(file)
            assert isinstance(info, FileInfo) and info.bytes == PICTURE.stat().st_size
            assert picture == list(worker.decode(str(PICTURE)))[1]
        assert not file.closed
    assert (decoded(worker) == pid) == has_names


def test_a_worker_is_replaced_after_many_files(worker: DecodeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "FILES_PER_WORKER", 3)
    pids = []
    for _ in range(7):
        list(worker.decode(str(PICTURE)))
        pids.append(None if worker._process is None else worker._process.pid)
    assert [pid is None for pid in pids] == [False, False, True] * 2 + [False]
    assert pids[0] == pids[1] and len(set(pids)) == 4


@pytest.mark.parametrize("kind", ["takes-some-descriptors", "takes-some-memory"])
def test_a_worker_is_replaced_when_it_has_grown(
    planted: Path, worker: DecodeWorker, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Before it has so little left that pictures fail; one that keeps its size stays."""
    monkeypatch.syspath_prepend(str(planted / "plugin"))
    pid = decoded(worker)
    assert decoded(worker) == pid
    assert [type(each) for each in worker.decode(str(planted / f"{kind}.heic"))] == [FileInfo, Picture]
    assert worker._process is None
    assert decoded(worker) != pid


def test_no_process_can_be_started(worker: DecodeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files or processes: what it is, and what helps."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(SetupError) as error:
        list(worker.decode(str(PICTURE)))
    assert str(error.value) == "a decoding process cannot be started: Too many open files; try fewer --jobs"


def test_a_process_that_cannot_be_started_for_a_moment(worker: DecodeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a run, that is tried again before the run ends for it."""
    start, attempts = subprocess.Popen, [0]

    def often_full(*arguments: object, **options: object) -> object:
        attempts[0] += 1
        if attempts[0] % isolation.START_ATTEMPTS:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return start(*arguments, **options)  # type: ignore[call-overload]

    decoded(worker)
    worker.close()
    monkeypatch.setattr(isolation, "RETRY_SECONDS", 0)
    monkeypatch.setattr(subprocess, "Popen", often_full)
    decoded(worker)
    assert attempts == [isolation.START_ATTEMPTS]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_costs_no_picture_its_score(worker: DecodeWorker, number: signal.Signals) -> None:
    """A terminal, `timeout` and systemd send it to the decoding processes, too, which leave it to the command."""
    pid = decoded(worker)
    os.kill(pid, number)
    assert decoded(worker) == pid
