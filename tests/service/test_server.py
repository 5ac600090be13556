"""The process: how it begins, says that it scores, and ends."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from open_nsfw.service.state import FRESH_SECONDS
from tests.tools.helpers import DATA, PICTURE, ROOT, run_command, wait_until
from tests.tools.planted_decoders import plant
from tests.tools.service import Answer, Running, received, serving


def test_alive_and_ready(service: Running) -> None:
    """Readiness is a real score."""
    assert service.ask("GET", "/healthz").json == {"status": "alive"}
    assert service.ask("GET", "/readyz").json["status"] == "ready"


def test_many_who_ask_whether_it_is_ready_cost_one_score(tmp_path: Path) -> None:
    """Whoever they are: no key is needed for that."""
    with serving(tmp_path) as service:
        time.sleep(FRESH_SECONDS + 0.5)
        with ExitStack() as stack:
            asking = [stack.enter_context(service.connect()) for _ in range(400)]
            for each in asking:
                each.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert max(service.metric("open_nsfw_waiting_files") for _ in range(10)) <= 1
            assert all(received(each).startswith(b"HTTP/1.1 200 ") for each in asking)


def test_half_a_second_between_two_requests(tmp_path: Path) -> None:
    """Is rounded up: a connection that may be idle for less than a second still takes a second request."""
    with serving(tmp_path, "--idle-seconds", "0.5") as service, service.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.read()) == (200, b'{"status":"alive"}')
            time.sleep(0.2)


def test_request_ids(service: Running) -> None:
    """Are taken over where they are of a usual form, and made otherwise."""
    assert service.ask("GET", "/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert len(service.ask("GET", "/healthz", headers={"X-Request-Id": "a b"}).headers["x-request-id"]) == 32


def test_sigterm_answers_what_is_under_way(tmp_path: Path) -> None:
    """Meanwhile it is not ready, and takes nothing new; then it ends with 0."""
    planted = plant(tmp_path / "planted")
    slow = planted["takes-a-while"].read_bytes()
    with serving(tmp_path, env={"PYTHONPATH": str(tmp_path / "planted" / "plugin")}) as service:
        assert service.score(PICTURE.read_bytes()).status == 200
        answers: list[Answer] = []
        asking = threading.Thread(target=lambda: answers.append(service.score(slow)))
        asking.start()
        wait_until(lambda: (tmp_path / "planted" / "plugin" / "pillow_heif.py.begun").exists())
        service.process.terminate()
        wait_until(lambda: service.ask("GET", "/readyz").status == 503)
        assert service.score(PICTURE.read_bytes()).error == (503, "stopping")
        asking.join()
        assert service.process.wait(30) == 0
        assert answers[0].rows[0]["score"] is not None


def test_what_is_not_done_within_the_grace_is_answered_503(tmp_path: Path) -> None:
    """And the process ends with 0 all the same."""
    planted = plant(tmp_path / "planted")
    hanging = planted["hang"].read_bytes()
    with serving(tmp_path, "--grace", "2", env={"PYTHONPATH": str(tmp_path / "planted" / "plugin")}) as service:
        answers: list[Answer] = []
        asking = threading.Thread(target=lambda: answers.append(service.score(hanging)))
        asking.start()
        wait_until(lambda: service.under_way() == 1)
        service.process.terminate()
        asking.join()
        assert service.process.wait(10) == 0
        assert answers[0].error == (503, "stopping")


def test_an_address_that_is_taken() -> None:
    """One line, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_command("open_nsfw", "serve", "--port", str(port), script="-m")
    assert (done.status, done.err) == (
        2,
        f"open-nsfw serve: error: --host 127.0.0.1 --port {port}: cannot be listened on: Address already in use; "
        "choose another --port\n",
    )


def test_a_host_that_is_no_name() -> None:
    """Nothing would ever match it."""
    done = run_command("open_nsfw", "serve", "--allow-host", "https://nsfw.example/", script="-m")
    needed = "a name as in nsfw.example is needed, no address of a page, not 'https://nsfw.example/'"
    assert (done.status, done.err) == (2, f"open-nsfw serve: error: --allow-host: {needed}\n")


def test_a_policy_of_another_model(tmp_path: Path) -> None:
    """Is refused as by the command."""
    policy = tmp_path / "policy.json"
    policy.write_text(
        '{"open_nsfw_policy": 1, "thresholds": [0.3], "bands": ["allow", "block"], "model": "0123456789ab"}'
    )
    done = run_command("open_nsfw", "serve", "--port", "0", "--policy", str(policy), script="-m")
    assert done.status == 2 and "was made for the model 0123456789ab" in done.err


def test_a_policy_gives_verdicts(tmp_path: Path) -> None:
    """Its bands are named in rows; the lowest is allowed, the highest blocked."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"open_nsfw_policy": 1, "thresholds": [0.3, 0.6], "bands": ["fine", "look", "bad"]}')
    with serving(tmp_path, "--policy", policy, "--policy-for-any-model") as service:
        told = {}
        for name in ("0.100-coffee", "0.500-rocket", "0.700-chelsea"):
            (row,) = service.score((DATA / "pushed" / f"{name}.jpg").read_bytes()).rows
            told[row["verdict"]] = row["decision"]
        assert told == {"fine": "allowed", "look": "undecided", "bad": "blocked"}


@pytest.mark.parametrize("number, status", [(signal.SIGHUP, 0), (signal.SIGTERM, 0)])
def test_signals_that_come_before_it_is_up(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """A reload does not end it, and an end is one in order."""
    script = tmp_path / "early.py"
    script.write_text(
        "import os, signal, sys\n"
        "from open_nsfw.service import server\n"
        "read = server._listener\n"
        f"server._listener = lambda options: (os.kill(os.getpid(), {int(number)}), read(options))[1]\n"
        "from open_nsfw.cli.serve import main\n"
        "sys.exit(main(['--port', '0']))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("open-nsfw serve: listening on ") is (number == signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == status


def test_what_it_needs_ends_with_an_error(tmp_path: Path) -> None:
    """Then it ends itself: no service goes on whose keys are never read again."""
    script = tmp_path / "broken.py"
    script.write_text(
        "import sys\n"
        "from open_nsfw.errors import SetupError\n"
        "from open_nsfw.service.reload import Reloader\n"
        "def fail(self): raise SetupError('a fault that nobody thought of')\n"
        "Reloader.reload = fail\n"
        "from open_nsfw.cli.serve import main\n"
        "sys.exit(main(['--port', '0']))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("open-nsfw serve: listening on ")
        process.send_signal(signal.SIGHUP)
        try:
            assert process.wait(30) == 2
        finally:
            process.kill()
        assert process.stderr.read() == "open-nsfw serve: error: a fault that nobody thought of\n"
