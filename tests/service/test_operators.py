"""What operators have: metrics, the access log, and policy and keys that are read anew."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools.helpers import DATA, PICTURE, ROOT, run_command, wait_until
from tests.tools.service import KEY, Running, serving

PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


def policy(thresholds: list[float], bands: list[str]) -> str:
    """A policy with a distribution of scores in it."""
    edges, sfw, nsfw = [0.15, 0.3, 0.6], [300, 200, 60, 20], [10, 40, 100, 400]
    values = {"open_nsfw_policy": 1, "thresholds": thresholds, "bands": bands}
    return json.dumps({**values, "scores": {"edges": edges, "sfw": sfw, "nsfw": nsfw}})


def number(service: Running, line: str) -> float:
    """The value of a line of /metrics; 0 where it is not there."""
    text = service.ask("GET", "/metrics").content.decode()
    found = re.search("^" + re.escape(line) + r" (\S+)", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_metrics_count_requests_rows_and_stages(service: Running) -> None:
    """Each once; unknown paths share one label."""
    lines = (
        'open_nsfw_requests_total{path="/v1/score",status="200"}',
        'open_nsfw_rows_total{decision="undecided",verdict=""}',
        'open_nsfw_row_errors_total{code="not-a-picture"}',
        'open_nsfw_requests_total{path="other",status="404"}',
        'open_nsfw_stage_seconds_count{stage="work"}',
        'open_nsfw_stage_seconds_count{stage="queue"}',
        "open_nsfw_score_count",
    )
    before = [number(service, line) for line in lines]
    service.score(PICTURE.read_bytes())
    service.score(b"text")
    service.ask("GET", "/nothing/here")
    after = [number(service, line) for line in lines]
    assert [b - a for a, b in zip(before, after)] == [2, 2, 1, 1, 2, 2, 1]
    assert number(service, "open_nsfw_requests_under_way") == 0


def test_the_access_log_has_a_line_for_each_request(tmp_path: Path) -> None:
    """In JSON, with the name of the key; the key is nowhere."""
    keys = tmp_path / "keys"
    keys.write_text(f"forum {KEY}\n")
    with serving(tmp_path, "--key-file", keys) as service:
        service.score(PICTURE.read_bytes(), "", {"Authorization": f"Bearer {KEY}", "X-Request-Id": "id-7"})
        service.score(PICTURE.read_bytes(), "", {"Authorization": "Bearer wrong-wrong-wrong-wrong"})
        wait_until(lambda: len(service.log.read_text().splitlines()) == 2)
        assert service.stop() == 0
    good, bad = map(json.loads, service.log.read_text().splitlines())
    size = PICTURE.stat().st_size
    kept = {name: good[name] for name in ("id", "client", "key", "method", "path", "status", "bytes", "undecided")}
    assert kept == {
        "id": "id-7", "client": "127.0.0.1", "key": "forum", "method": "POST", "path": "/v1/score", "status": 200, "bytes": size,
        "undecided": 1,
    }  # fmt: skip
    assert (bad["key"], bad["status"]) == ("", 401)
    assert KEY not in service.log.read_text() and "wrong-wrong" not in service.log.read_text()


def test_answers_to_what_is_no_request_are_counted(tmp_path: Path) -> None:
    """No HTTP, a head that is too large or too slow: in metrics and log, each once, without the bytes that came."""
    with serving(tmp_path, "--header-seconds", "1") as service:
        for sent in (b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nCookie: " + b"y" * 20_000, b"GET / HTTP/1.1\r\nX: y"):
            service.raw(sent)
        service.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET\r\n\r\n")
        counted = [
            service.metric(f'open_nsfw_requests_total{{path="other",status="{status}"}}') for status in (400, 431, 408)
        ]
        assert counted == [2, 1, 1]
        assert service.stop() == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    found = [(line["status"], line["client"]) for line in lines if not line["method"] and not line["path"]]
    assert found == [(400, "127.0.0.1"), (431, "127.0.0.1"), (408, "127.0.0.1"), (400, "127.0.0.1")]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    """As on a full disk; scoring goes on."""
    (tmp_path / "service.log").symlink_to("/dev/full")
    with serving(tmp_path) as service:
        assert [service.score(PICTURE.read_bytes()).status for _ in range(3)] == [200] * 3
        wait_until(lambda: service.metric("open_nsfw_log_lines_lost") >= 3)
        assert service.stop() == 0


def test_policy_and_keys_are_read_anew(tmp_path: Path) -> None:
    """On SIGHUP and when a file changes. A bad one leaves the old one, and says so."""
    path, keys = tmp_path / "policy.json", tmp_path / "keys"
    path.write_text(policy([0.3], ["low", "high"]))
    keys.write_text(f"forum {KEY}\n")
    with serving(tmp_path, "--policy", path, "--policy-for-any-model", "--key-file", keys) as service:

        def verdict(key: str) -> str | None:
            answer = service.score(PICTURE.read_bytes(), "", {"Authorization": f"Bearer {key}"})
            return str(answer.rows[0]["verdict"]) if answer.status == 200 else None

        assert service.process.stderr is not None
        assert verdict(KEY) == "high"
        path.write_text(policy([0.6], ["fine", "bad"]))
        wait_until(lambda: verdict(KEY) == "fine")
        assert [service.process.stderr.readline() for _ in range(2)] == [
            "open-nsfw serve: keys read anew\n",
            "open-nsfw serve: policy read anew\n",
        ]
        keys.write_text(f"mail {KEY[::-1]}\n")
        path.write_text("{}")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: verdict(KEY[::-1]) == "fine")
        assert verdict(KEY) is None
        assert service.process.stderr.readline() == "open-nsfw serve: keys read anew\n"
        assert service.process.stderr.readline() == (
            f'open-nsfw serve: policy not changed: {path}: is no policy: it has no "open_nsfw_policy"\n'
        )


@pytest.mark.parametrize("edges", [["0.1", "0.5"], [0.5, 0.2], [0.5, 2], 7])
def test_a_policy_whose_scores_make_no_sense(edges: Any, tmp_path: Path) -> None:
    """At the start it is a message; later it costs nothing: what comes after it is still read."""
    path, keys = tmp_path / "policy.json", tmp_path / "keys"
    good = policy([0.3], ["low", "high"])
    bad = json.dumps({**json.loads(good), "scores": {**json.loads(good)["scores"], "edges": edges}})
    path.write_text(bad)
    keys.write_text(f"forum {KEY}\nmail {KEY[::-1]}\n")
    options = ("--policy", path, "--policy-for-any-model", "--key-file", keys)
    done = subprocess.run(
        [sys.executable, "-m", "open_nsfw", "serve", "--port", "0", *map(str, options)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    path.write_text(good)
    with serving(tmp_path, *options) as service:
        path.write_text(bad)
        assert service.process.stderr is not None
        assert service.process.stderr.readline() == "open-nsfw serve: keys read anew\n"
        assert service.process.stderr.readline().startswith(f"open-nsfw serve: policy not changed: {path}: ")
        keys.write_text(f"forum {KEY}\n")
        removed = {"Authorization": f"Bearer {KEY[::-1]}"}
        wait_until(lambda: service.ask("GET", "/metrics", None, removed).status == 401)
        (row,) = service.score(PICTURE.read_bytes(), "", {"Authorization": f"Bearer {KEY}"}).rows
        assert row["verdict"] == "high"


@pytest.mark.once
def test_policy_check_reads_the_histogram(tmp_path: Path) -> None:
    """It comes to the same as by the rows themselves; a histogram of another policy is refused."""
    path, metrics, rows = tmp_path / "policy.json", tmp_path / "metrics.txt", tmp_path / "rows.jsonl"
    path.write_text(policy([0.3], ["low", "high"]))
    with serving(tmp_path, "--policy", path, "--policy-for-any-model") as service:
        contents = [service.score(each.read_bytes()).content for each in PUSHED * 6]
        metrics.write_bytes(service.ask("GET", "/metrics").content)
    rows.write_bytes(b"".join(line.replace(b', "decision"', b', "note"') for line in contents))
    told = [
        run_command("open_nsfw", "policy", "check", path, each, "--policy-for-any-model", script="-m")
        for each in (metrics, rows)
    ]
    assert told[0].out == told[1].out and "108 scores of today" in told[0].out, told
    path.write_text(policy([0.31], ["low", "high"]))
    done = run_command("open_nsfw", "policy", "check", path, metrics, "--policy-for-any-model", script="-m")
    assert (done.status, done.err) == (
        2,
        f"open-nsfw policy: error: {metrics}: was counted for another policy; start the service with --policy {path}\n",
    )


def test_metrics_need_a_key_where_there_are_keys(tmp_path: Path) -> None:
    """They tell how much is asked, and by whom nothing."""
    keys = tmp_path / "keys"
    keys.write_text(f"forum {KEY}\n")
    with serving(tmp_path, "--key-file", keys) as service:
        assert service.ask("GET", "/metrics").error == (401, "key-needed")
        assert service.ask("GET", "/metrics", headers={"Authorization": f"Bearer {KEY}"}).status == 200
