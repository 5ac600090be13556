"""Clients of clamd at the door of a running service: good ones, slow ones, hostile ones, and what comes of the next good one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.archive_samples import make_zip
from tests.tools.helpers import DATA, run_command, wait_until
from tests.tools.hosts import Clamd, clamd_scan
from tests.tools.service import Running, serving

LOW, MIDDLE, HIGH = (
    (DATA / "pushed" / f"{name}.jpg").read_bytes() for name in ("0.050-chelsea", "0.500-rocket", "0.950-chelsea")
)
END = struct.pack(">I", 0)
SLOW = ("--header-seconds", "1", "--body-seconds", "2", "--write-seconds", "2", "--idle-seconds", "2")


@contextlib.contextmanager
def door(folder: Path, address: str, *options: str) -> Iterator[tuple[Running, str]]:
    """A service with the door, and the address that it tells."""
    with serving(folder, "--clamd", address, *options) as service:
        assert service.process.stderr is not None
        line = service.process.stderr.readline()
        found = re.fullmatch(r"open-nsfw serve: listening for clients of clamd on (\S+)\n", line)
        assert found, line
        yield service, found[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The door of a service that is as strict as it is by default, on a free port, and has little patience."""
    folder = tmp_path_factory.mktemp("clamd")
    with door(folder, "127.0.0.1:0", *SLOW, "--max-bytes", "1MB") as (_, told):
        yield told


def chunks(content: bytes) -> bytes:
    """As one chunk, and the end."""
    return struct.pack(">I", len(content)) + content + END


def test_files_are_judged(address: str) -> None:
    """As files_antivirus of Nextcloud asks."""
    assert clamd_scan(address, LOW) == "clean"
    assert clamd_scan(address, HIGH) == "NSFW.Blocked"
    assert clamd_scan(address, MIDDLE) == clamd_scan(address, LOW[:3000]) == "NSFW.Undecided"
    assert clamd_scan(address, b"text") == clamd_scan(address, b"") == "NSFW.NotAPicture"
    assert clamd_scan(address, make_zip([("a.jpg", LOW)])) == "clean"
    assert clamd_scan(address, make_zip([("a.jpg", LOW), ("b.jpg", HIGH)])) == "NSFW.Blocked"


def test_a_session(address: str) -> None:
    """Many files on one connection, each with its number; the end of what is sent is no end of what is answered."""
    with Clamd(address) as client:
        client.send(b"zIDSESSION\0zPING\0zINSTREAM\0" + chunks(LOW) + b"zINSTREAM\0" + chunks(HIGH) + b"zPING\0")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"1: PONG\x002: stream: OK\x003: stream: NSFW.Blocked FOUND\x004: PONG\0"


def test_a_client_that_has_sent_all_and_waits(address: str) -> None:
    """It closes its half of the connection behind the last chunk."""
    with Clamd(address) as client:
        client.stream(HIGH)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"stream: NSFW.Blocked FOUND\n"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"zPING\0", b"PONG\0"),
        (b"zSCAN /etc/passwd\0", b"UNKNOWN COMMAND\0"),
        (b"zSHUTDOWN\0", b"UNKNOWN COMMAND\0"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"UNKNOWN COMMAND\n"),
        (b"\x16\x03\x01" * 2000, b"UNKNOWN COMMAND\n"),
        (b"zINSTREAM\0" + struct.pack(">I", 0xFFFFFFFF), b"INSTREAM size limit exceeded. ERROR\0"),
        (b"zINSTREAM\0" + chunks(bytes(999_999))[:-4] + struct.pack(">I", 2), b"INSTREAM size limit exceeded. ERROR\0"),
    ],
)
def test_commands_and_what_is_none(address: str, sent: bytes, answer: bytes) -> None:
    with Clamd(address) as client:
        client.send(sent)
        assert client.rest() == answer
    assert clamd_scan(address, LOW) == "clean"


def test_slow_clients_are_let_go(address: str) -> None:
    """One that sends a byte now and then, one that sends nothing, one that stops in a stream: each at its deadline."""
    for sent, trickle, least, most in ((b"", b"", 0.9, 4), (b"z", b"", 0.9, 4), (b"zINSTREAM\0\0\0\1\0", b"x", 1.9, 6)):
        with Clamd(address) as client:
            began = time.monotonic()
            client.send(sent)
            ended = threading.Event()
            thread = threading.Thread(target=_trickle, args=(client, trickle, ended), daemon=True)
            thread.start()
            answer = client.rest()
            ended.set()
            thread.join()
            assert answer.startswith(b"COMMAND READ TIMED OUT"), answer
            assert least < time.monotonic() - began < most
    assert clamd_scan(address, LOW) == "clean"


def _trickle(client: Clamd, piece: bytes, ended: threading.Event) -> None:
    while piece and not ended.wait(0.2):
        try:
            client.send(piece)
        except OSError:
            return


def test_what_ends_too_early_is_not_judged(address: str) -> None:
    """The half of a picture that would be allowed as it is."""
    with Clamd(address) as client:
        client.send(b"zINSTREAM\0" + struct.pack(">I", len(LOW)) + LOW)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"INSTREAM: the stream ends before its end. ERROR\0"


def test_streams_that_are_not_judged_are_counted(tmp_path: Path) -> None:
    """In metrics and log, each once: too large, cut short, too slow, and one whose client has gone."""
    with door(tmp_path, "127.0.0.1:0", *SLOW, "--max-bytes", "1MB") as (service, address):
        for sent in (struct.pack(">I", 2_000_000), chunks(LOW)[:-6], b"", chunks(LOW)):
            with Clamd(address) as client:
                client.send(b"zINSTREAM\0" + sent)
                if sent == chunks(LOW)[:-6]:
                    client.socket.shutdown(socket.SHUT_WR)
                client.rest()
        with Clamd(address) as client:
            client.send(b"zINSTREAM\0" + chunks(LOW)[:-6])
            wait_until(lambda: service.under_way() == 1)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
        wait_until(lambda: service.under_way() == 0)
        counted = {
            status: service.metric(f'open_nsfw_requests_total{{path="clamd",status="{status}"}}')
            for status in (200, 400, 408, 0)
        }
        assert counted == {200: 1, 400: 2, 408: 1, 0: 1}
        wait_until(lambda: service.log.read_text().count('"path": "clamd"') == 5)


def test_many_at_once_and_some_that_go_away(address: str) -> None:
    """Every good client has its answer, whatever those beside it do."""
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(clamd_scan(address, HIGH))) for _ in range(20)]
    for thread in threads:
        thread.start()
        with Clamd(address) as client:
            client.stream(HIGH)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
    for thread in threads:
        thread.join()
    assert answers == ["NSFW.Blocked"] * 20


def test_past_the_bounds_clients_are_told(tmp_path: Path) -> None:
    """In requests, in bytes and in connections; the file is unchecked then, never clean."""
    options = ("--max-requests", "2", "--max-held", "1MB", "--max-connections", "5", "--max-bytes", "2MB")
    with door(tmp_path, "127.0.0.1:0", *options) as (service, address), contextlib.ExitStack() as stack:
        holding = [stack.enter_context(Clamd(address)) for _ in range(2)]
        for client in holding:
            client.send(b"zINSTREAM\0")
        wait_until(lambda: service.under_way() == 2)
        with Clamd(address) as client:
            client.send(b"zINSTREAM\0")
            assert client.rest() == b"2 requests are under way already (--max-requests). ERROR\0"
        holding[0].send(struct.pack(">I", 1_500_000) + bytes(1_500_000))
        assert b"more bytes of uploads (--max-held). ERROR" in holding[0].rest()
        assert clamd_scan(address, LOW) == "clean"
        for _ in range(3):
            stack.enter_context(Clamd(address)).send(b"z")
        time.sleep(0.3)
        with Clamd(address) as client:
            client.send(b"zPING\0")
            assert client.rest() in (b"too many connections. ERROR\n", b"PONG\0")


def test_clients_of_clamd_have_a_share_of_their_own(tmp_path: Path) -> None:
    """However many of them hang, there is room for others."""
    with door(tmp_path, "127.0.0.1:0", "--max-requests", "6", "--max-requests-per-key", "3") as (service, address):
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(Clamd(address)).send(b"zINSTREAM\0")
            wait_until(lambda: service.under_way() == 3)
            with Clamd(address) as client:
                client.send(b"zINSTREAM\0")
                assert (
                    client.rest() == b"3 requests of this key are under way already (--max-requests-per-key). ERROR\0"
                )
            assert service.score(LOW).status == 200


def test_a_unix_socket(tmp_path: Path) -> None:
    """What a killed service left is taken over; it goes with the service. What belongs to others stays."""
    path = tmp_path / "clamd.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with door(tmp_path, f"unix:{path}", "--undecided", "allow", "--clamd-others", "allow") as (service, address):
        assert address == str(path) and stat.S_IMODE(os.stat(path).st_mode) == 0o666
        told = [clamd_scan(address, each) for each in (LOW, MIDDLE, LOW[:3000], b"text", HIGH)]
        assert told == ["clean", "clean", "clean", "clean", "NSFW.Blocked"]
        done = run_command("open_nsfw", "serve", "--port", "0", "--clamd", str(path), script="-m")
        taken = f"open-nsfw serve: error: --clamd {path}: cannot be listened on: it is taken already\n"
        assert (done.status, done.err) == (2, taken)
        metrics = service.ask("GET", "/metrics").content.decode()
        assert 'open_nsfw_requests_total{path="clamd",status="200"} 5.0' in metrics
        assert service.stop() == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    told = [(line["path"], line["method"], line["status"], line["bytes"]) for line in lines[:5]]
    assert told == [("clamd", "INSTREAM", 200, len(each)) for each in (LOW, MIDDLE, LOW[:3000], b"text", HIGH)]
    assert (lines[0]["allowed"], lines[4]["blocked"]) == (1, 1) and len({line["id"] for line in lines}) == len(lines)
    assert not path.exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "0.0.0.0:3310",
            "can be reached from other machines, and clamd's clients have no keys; use 127.0.0.1:3310, or a ",
        ),
        ("3310", "HOST:PORT or the path of a socket is needed, as 127.0.0.1:3310"),
        ("127.0.0.1:99999", "HOST:PORT or the path of a socket is needed, as 127.0.0.1:3310"),
        ("127.0.0.1:" + "9" * 5000, "HOST:PORT or the path of a socket is needed, as 127.0.0.1:3310"),
        ("no.such.host.invalid:1", "there is no such address ("),
        ("unix:/none/x.sock", "cannot be listened on: No such file or directory"),
        ("/" + "x" * 200, "cannot be listened on: AF_UNIX path too long"),
    ],
)
def test_addresses_that_cannot_be(address: str, message: str) -> None:
    done = run_command("open_nsfw", "serve", "--port", "0", "--clamd", address, script="-m")
    assert done.status == 2 and done.err.count("\n") == 1
    assert done.err.startswith(f"open-nsfw serve: error: --clamd {address.replace('unix:', '')}: {message}") or (
        done.err.startswith(f"open-nsfw serve: error: --clamd {address}: {message}")
    )


def test_sigterm_answers_what_is_under_way(tmp_path: Path) -> None:
    """A stream that has come is judged; the next one is refused."""
    with door(tmp_path, "127.0.0.1:0") as (service, address):
        with Clamd(address) as client:
            client.send(b"zIDSESSION\0")
            for _ in range(30):
                client.send(b"zINSTREAM\0" + chunks(HIGH))
            wait_until(lambda: service.under_way() > 0)
            status = service.stop()
            told = client.rest().split(b"\0")
        assert status == 0
        assert told[0] == b"1: stream: NSFW.Blocked FOUND"
        assert all(b"FOUND" in each or b"the service is about to end. ERROR" in each for each in told[:-1])


def test_clamdscan_itself(tmp_path: Path) -> None:
    """ClamAV's own client, where it is installed."""
    if shutil.which("clamdscan") is None:
        pytest.skip("there is no clamdscan here: apt-get install clamdscan")
    with door(tmp_path, "127.0.0.1:0") as (_, address):
        host, _, port = address.rpartition(":")
        (tmp_path / "clamd.conf").write_text(f"TCPSocket {port}\nTCPAddr {host}\nStreamMaxLength 25M\n")
        (tmp_path / "low.jpg").write_bytes(LOW)
        (tmp_path / "high.jpg").write_bytes(HIGH)
        line = ["clamdscan", f"--config-file={tmp_path / 'clamd.conf'}", "--stream", "--no-summary"]
        done = subprocess.run(
            [*line, str(tmp_path / "low.jpg"), str(tmp_path / "high.jpg")], capture_output=True, text=True, check=False
        )
        assert done.stdout == f"{tmp_path}/low.jpg: OK\n{tmp_path}/high.jpg: NSFW.Blocked FOUND\n", done.stderr
        assert done.returncode == 1
