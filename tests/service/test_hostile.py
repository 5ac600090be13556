"""What people who mean harm send: what comes back, and that the next good request is answered."""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.tools.helpers import PICTURE, png_header, wait_until
from tests.tools.planted_decoders import KINDS, is_at_work, plant
from tests.tools.processes import children
from tests.tools.service import KEY, Running, multipart, received, serving

pytestmark = pytest.mark.once

GOOD = PICTURE.read_bytes()
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\n"
SCORE = 0.499399334192276  # of GOOD


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with small limits and short deadlines, whose decoder of HEIF is a planted one."""
    folder = tmp_path_factory.mktemp("strict")
    plant(folder / "planted")
    limits = (
        "--max-bytes",
        "200kB",
        "--max-body",
        "1MB",
        "--max-parts",
        "50",
        "--max-seconds",
        "4",
        "--max-memory",
        "384MiB",
    )
    deadlines = ("--header-seconds", "1", "--body-seconds", "2", "--write-seconds", "2", "--jobs", "2")
    with serving(folder, *limits, *deadlines, env={"PYTHONPATH": str(folder / "planted" / "plugin")}) as running:
        yield running


@pytest.fixture(autouse=True)
def _good_is_answered_afterwards(strict: Running) -> Iterator[None]:
    """After each of the tests."""
    yield
    (row,) = strict.score(GOOD).rows
    assert row["score"] == pytest.approx(SCORE, abs=1e-5)


def heif(kind: str) -> bytes:
    """A picture that makes the planted decoder do something."""
    from tests.tools.planted_decoders import HEIF

    assert kind in KINDS
    return HEIF + kind.encode()


def status(answer: bytes) -> int:
    """Of a raw answer; 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def chunked(pieces: list[bytes]) -> bytes:
    """A body in chunks, without its end."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


# --- bodies


def test_a_body_that_says_that_it_is_too_large(strict: Running) -> None:
    """Is refused before any of it is read."""
    answer = strict.raw(HEAD + b"Content-Length: 1000000000\r\n\r\n")
    assert status(answer) == 413 and b'"too-large"' in answer


def test_a_body_that_turns_out_too_large(strict: Running) -> None:
    """Without a length, or with chunks that never end."""
    answer = strict.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([bytes(10_000)] * 30))
    assert status(answer) == 413


def test_a_client_that_waits_for_100_continue_is_told_413_instead(strict: Running) -> None:
    """So it never sends the body."""
    answer = strict.raw(HEAD + b"Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n")
    assert status(answer) == 413


def test_chunks_without_end(strict: Running) -> None:
    """Byte by byte, within the limit: the deadline ends it."""
    began = time.monotonic()
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        answer = _drip(connection, b"1\r\nx\r\n")
    assert status(answer) == 408 and b'"too-slow"' in answer
    assert 1.5 < time.monotonic() - began < 15


@pytest.mark.parametrize("path", [b"score", b"nothing"])
def test_many_small_chunks(strict: Running, path: bytes) -> None:
    """Each costs as much as kilobytes of a larger one: they are refused, also where nobody wants the body."""
    head = HEAD.replace(b"score", path)
    answer = strict.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"x"] * 100_000))
    assert status(answer) == 400 and b'"the body comes in too many small chunks"' in answer


def test_small_chunks_of_a_patient_client(strict: Running) -> None:
    """A picture may come in as many as it has hundreds of bytes."""
    pieces = [GOOD[at : at + 64] for at in range(0, len(GOOD), 64)]
    body = chunked([*pieces, *[bytes(64)] * 2500]) + b"0\r\n\r\n"
    answer = strict.raw(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert status(answer) == 200 and b'"error": null' in answer


def _drip(connection: socket.socket, piece: bytes) -> bytes:
    """Send a piece again and again until an answer comes; the answer."""
    connection.settimeout(0.1)
    while True:
        try:
            connection.sendall(piece)
        except OSError:
            return b""
        try:
            first = connection.recv(65536)
        except TimeoutError:
            continue
        except socket.timeout:  # its own name on Python 3.9
            continue
        connection.settimeout(10)
        return first + received(connection)


def test_a_slow_body(strict: Running) -> None:
    """A byte now and then, of a length that was promised."""
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        answer = _drip(connection, b"x")
    assert status(answer) == 408


def test_a_slow_head(strict: Running) -> None:
    """A header now and then, without end."""
    began = time.monotonic()
    with strict.connect() as connection:
        connection.sendall(HEAD)
        answer = _drip(connection, b"X: y\r\n")
    assert status(answer) in (408, 0)
    assert time.monotonic() - began < 10


def test_a_slow_second_head(strict: Running) -> None:
    """On a connection that had a good request before."""
    with strict.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b'{"status":"alive"}')
        connection.sendall(b"GET")
        assert status(received(connection)) == 408


def test_a_head_of_a_megabyte(strict: Running) -> None:
    """431, and the end of the connection."""
    assert status(strict.raw(HEAD + b"X: " + b"y" * 1_000_000)) in (431, 0)


def test_a_head_that_is_too_large(strict: Running) -> None:
    """Such as one with the cookies of a whole site: the answer says so."""
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Cookie: " + b"y" * 20_000)
        answer = received(connection)
    assert status(answer) == 431
    assert answer.endswith(b'{"error": {"code": "too-large", "message": "the head of the request is too large"}}')


def test_ten_thousand_parts(strict: Running) -> None:
    """More than a request may have."""
    body, headers = multipart([("a", b"x")] * 10_000)
    answer = strict.score(body[:900_000], "", headers)
    assert answer.error == (413, "too-large")
    assert answer.json["error"]["message"] == "more than 50 parts (--max-parts)"


def test_part_headers_of_a_megabyte(strict: Running) -> None:
    """More than a part's headers may have."""
    body = b"--B\r\nContent-Disposition: form-data; name=" + b"n" * 900_000 + b"\r\n\r\nx\r\n--B--\r\n"
    answer = strict.score(body, "", {"Content-Type": "multipart/form-data; boundary=B"})
    assert answer.status in (400, 413)  # newer parsers have a limit of their own


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"--B\r\n\r\nx\r\n", "multipart/form-data; boundary=B"),
        (b"no boundary at all", "multipart/form-data; boundary=B"),
        (b"--B--\r\n", "multipart/form-data; boundary=B"),
        (b"--B\r\nx", "multipart/form-data"),
        (b"--B\r\nx", "multipart/form-data; boundary=" + "B" * 1000),
        (b"", "multipart/form-data; boundary=B"),
        (b"x", "multipart/form-data; boundary=B; filename*='';filename*0*=a"),
        (b"x", "multipart/form-data; boundary=B; filename*" + "9" * 5000 + "=a"),
        (
            b"--B\r\nContent-Disposition: form-data; filename*" + b"9" * 5000 + b"=a\r\n\r\nx\r\n--B--\r\n",
            "multipart/form-data; boundary=B",
        ),
    ],
)
def test_multipart_that_is_none(strict: Running, body: bytes, header: str) -> None:
    """400."""
    assert strict.score(body, "", {"Content-Type": header}).error == (400, "bad-request")


def test_a_part_that_is_too_large(strict: Running) -> None:
    """Costs only itself, and is not kept."""
    body, headers = multipart([("a", GOOD), ("b", bytes(300_000)), ("c", GOOD)])
    rows = strict.score(body, "", headers).rows
    assert [row["error"] and row["error"].partition(":")[0] for row in rows] == [None, "too-many-bytes", None]


# --- connections


def test_a_thousand_idle_connections(strict: Running) -> None:
    """Hold nobody up, and are closed."""
    idle = [strict.connect() for _ in range(1000)]
    assert strict.score(GOOD).status == 200
    for connection in idle:
        assert received(connection) == b""
        connection.close()


def test_half_closed(strict: Running) -> None:
    """A client that ends its side is gone: nothing comes back."""
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 5\r\n\r\nhell")
        connection.shutdown(socket.SHUT_WR)
        assert received(connection) == b""


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 50\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5, 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b" Content-Length: 5\r\n",
        b"X: a\rContent-Length: 5\r\n",
        b"X: a\x00b\r\n",
    ],
)
def test_shapes_that_two_programs_read_differently(strict: Running, headers: bytes) -> None:
    """One refusal, the end of the connection, and no answer to what is hidden behind."""
    answer = strict.raw(HEAD + headers + b"\r\n0\r\n\r\n" + SMUGGLED)
    assert status(answer) in (400, 421, 501), answer
    assert answer.count(b"HTTP/1.1 ") == 1 and b"smuggled" not in answer


@pytest.mark.parametrize("size", [b"-1", b"0x5", b"fffffffffffffffffffff", b"", b"5 5"])
def test_chunk_sizes_that_are_none(strict: Running, size: bytes) -> None:
    """400, and the end of the connection."""
    answer = strict.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
    assert status(answer) in (400, 0) and answer.count(b"HTTP/1.1 ") <= 1


def test_pipelined_requests_are_answered_in_order(strict: Running) -> None:
    """As HTTP/1.1 allows."""
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = strict.raw(first * 3 + last)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"404"]


def test_a_target_in_absolute_form(strict: Running) -> None:
    """As clients of proxies send it, which servers must take (RFC 9112); not with another host than the header's."""
    for target, host, expected in (
        (b"http://localhost/healthz", b"localhost", 200),
        (b"HTTP://LocalHost:80/v1/score?frames=0", b"localhost:80", 405),
        (b"http://localhost", b"localhost", 200),
        (b"http://localhost/nothing", b"localhost", 404),
        (b"http://localhost/healthz", b"127.0.0.1", 400),
        (b"http://nsfw.example/healthz", b"localhost", 400),
        (b"http://nsfw.example/healthz", b"nsfw.example", 421),
        (b"ftp://localhost/healthz", b"localhost", 404),
    ):
        answer = strict.raw(b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (target, host))
        assert (target, host, status(answer)) == (target, host, expected)


def test_a_client_that_does_not_read_its_answer(strict: Running) -> None:
    """Is cut off: megabytes of rows are not kept for it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for letter in "ab":
            archive.writestr("\1" * 45_000 + letter + ".jpg", b"x")  # six letters in JSON for each of the name's
    body, headers = multipart([(str(number), content.getvalue()) for number in range(5)])
    whole = len(strict.score(body, "", headers).content)
    assert whole > 2_000_000
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", strict.port))
        head = HEAD + f"Content-Type: {headers['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(head + body)
        assert status(connection.recv(100)) == 200
        wait_until(lambda: strict.under_way() == 0)
        assert len(received(connection)) < whole / 2


# --- names, paths, origins


@pytest.mark.parametrize(
    "host", [b"evil.example", b"localhost.evil.example", b"127.0.0.1.nip.io", b"", b"localhost@evil"]
)
def test_hosts_of_others(strict: Running, host: bytes) -> None:
    """A page whose name was made to lead here has no way in."""
    answer = strict.raw(b"GET /readyz HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n")
    assert status(answer) == 421


def test_http_1_0_may_leave_the_host_out(strict: Running) -> None:
    """As health checks of load balancers do; no browser does."""
    assert status(strict.raw(b"GET /readyz HTTP/1.0\r\n\r\n")) == 200
    assert status(strict.raw(b"POST /v1/score HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD)) == 200
    assert status(strict.raw(b"GET /readyz HTTP/1.0\r\nHost: evil.example\r\n\r\n")) == 421


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: evil.example\r\n"])
def test_one_host_is_needed(strict: Running, hosts: bytes) -> None:
    """Neither none nor two."""
    assert status(strict.raw(b"GET /readyz HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n")) == 400


@pytest.mark.parametrize(
    "path",
    [
        "//v1/score",
        "/v1//score",
        "/v1/score/",
        "/v1/./score",
        "/v1/x/../score",
        "/v1/score%00",
        "/V1/SCORE",
        "/v1/score;x",
    ]
    + ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/score%2f", "/http://localhost/v1/score"],
)
def test_paths(strict: Running, path: str) -> None:
    """Exactly one path leads to a route."""
    assert strict.ask("POST", path, GOOD).error == (404, "no-such-path")


def test_other_origins(strict: Running) -> None:
    """No CORS: pages of other sites are refused, whatever they may read of it."""
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = strict.score(GOOD, "", headers)
        assert answer.error == (403, "other-origin")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert strict.ask("GET", "/", headers=link).status == 200  # a person who follows a link
    assert strict.score(GOOD, "", link).error == (403, "other-origin")
    preflight = strict.ask("OPTIONS", "/v1/score", headers={"Origin": "https://evil.example"})
    assert preflight.status == 403 and "access-control-allow-origin" not in preflight.headers
    assert strict.score(GOOD, "", {"Origin": f"http://127.0.0.1:{strict.port}"}).status == 200


# --- pictures


def test_bombs(strict: Running) -> None:
    """Pictures and archives that unpack to far more than they are."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.bmp", b"BM" + bytes(100_000_000))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:xz") as packed:
        member = tarfile.TarInfo("a.bmp")
        member.size = 50_000_000
        packed.addfile(member, io.BytesIO(bytes(member.size)))
    codes = [
        {str(row["error"]).partition(":")[0] for row in strict.score(bomb).rows}
        for bomb in (png_header(60_000, 60_000), archive.getvalue(), tar.getvalue())
    ]
    assert codes[0] == {"too-many-pixels"} and codes[1] <= {"archive-bomb", "too-many-bytes"}, codes
    assert codes[2] <= {"archive-bomb", "too-many-bytes", "no-pictures"}, codes


def test_bad_pictures_in_parallel_with_good_ones(strict: Running) -> None:
    """What crashes, hangs, or eats memory costs only itself."""
    bad = {"crash": "decoder-crashed", "hang": "timeout", "eat": "out-of-memory", "abort": "decoder-crashed"}
    asked = [(heif(kind), code) for kind, code in bad.items()] * 2 + [(GOOD, None)] * 24
    with ThreadPoolExecutor(len(asked)) as clients:
        answers = list(clients.map(lambda each: strict.score(each[0]), asked))
    for (_, code), answer in zip(asked, answers):
        (row,) = answer.rows
        assert (row["error"] or "").partition(":")[0] == (code or "")
        assert row["decision"] == "undecided"
        assert code or row["score"] == pytest.approx(SCORE, abs=1e-5)


def test_many_archives_at_once(strict: Running) -> None:
    """More than are unpacked at one time, and some of their clients gone: each of the others has all of its rows."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            archive.writestr(name, GOOD)
    body = content.getvalue()
    for _ in range(20):
        with strict.connect() as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda _: strict.score(body), range(12)))
    assert [[row["member"] for row in answer.rows] for answer in answers] == [["a.jpg", "b.jpg"]] * 12


def decoders(service: Running) -> list[int]:
    """The decoding processes that a service has now."""
    return children(service.process.pid)


def test_kill_9_of_any_worker(strict: Running) -> None:
    """Again and again, while good pictures come: each has its score, or says that its decoder was killed."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(1):
            for pid in decoders(strict):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: strict.score(GOOD), range(150)))
    over.set()
    killer.join()
    rows = [answer.rows[0] for answer in answers]
    assert all(row["score"] is not None or row["error"].startswith("decoder-crashed: ") for row in rows)
    assert sum(row["score"] is not None for row in rows) > 20


# --- load


def test_a_client_that_has_gone_costs_nothing(tmp_path: Path) -> None:
    """What waits for its turn is dropped when its client goes: no row, no decoding."""
    plant(tmp_path / "planted")
    options = ("--jobs", "1", "--max-seconds", "4")
    with serving(tmp_path, *options, env={"PYTHONPATH": str(tmp_path / "planted" / "plugin")}) as service:
        hanging = threading.Thread(target=service.score, args=(heif("hang"),))
        hanging.start()
        wait_until(lambda: any(map(is_at_work, decoders(service))))
        with ExitStack() as gone:
            for _ in range(10):
                connection = gone.enter_context(service.connect())
                connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
            wait_until(lambda: service.metric("open_nsfw_waiting_files") == 10)
        wait_until(lambda: service.metric("open_nsfw_waiting_files") == 0)
        assert hanging.is_alive()  # so none of them had its turn
        hanging.join()
        assert service.score(GOOD).status == 200
        assert service.metric("open_nsfw_score_count") == 1
        assert service.metric("open_nsfw_held_bytes") == 0


def test_more_than_there_is_room_for(tmp_path: Path) -> None:
    """503 for all, 429 for a key that has its share, each with Retry-After; and 503 for what waits too long."""
    plant(tmp_path / "planted")
    keys = tmp_path / "keys"
    keys.write_text(f"a {KEY}\nb {KEY[::-1]}\n")
    options = (
        "--jobs",
        "1",
        "--max-seconds",
        "6",
        "--max-requests",
        "3",
        "--max-requests-per-key",
        "2",
        "--wait-seconds",
        "2",
    )
    more = ("--key-file", keys, "--max-held", "100kB")
    with serving(tmp_path, *options, *more, env={"PYTHONPATH": str(tmp_path / "planted" / "plugin")}) as service:
        mine, theirs = ({"Authorization": f"Bearer {key}"} for key in (KEY, KEY[::-1]))

        def ask(content: bytes, headers: dict[str, str]) -> tuple[int, str, str]:
            answer = service.score(content, "", headers)
            error = answer.json.get("error")
            code = error["code"] if isinstance(error, dict) else ""
            return answer.status, code, answer.headers.get("retry-after", "")

        with ThreadPoolExecutor(8) as clients:
            waits = [clients.submit(ask, heif("hang"), mine)]
            wait_until(lambda: any(map(is_at_work, decoders(service))))
            waits.append(clients.submit(ask, GOOD, mine))
            wait_until(lambda: service.under_way(mine) == 2)
            assert ask(GOOD, mine) == (429, "too-many-requests", "1")
            assert ask(bytes(90_000), theirs) == (503, "busy", "1")  # --max-held
            waits.append(clients.submit(ask, GOOD, theirs))
            wait_until(lambda: service.under_way(mine) == 3)
            assert ask(GOOD, theirs) == (503, "busy", "1")
            assert [each.result() for each in waits] == [(200, "", ""), (503, "busy", "1"), (503, "busy", "1")]
        assert ask(GOOD, mine)[0] == 200
