"""Hosts with interfaces of their own: what they send by their sources, and what they make of the answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.rows.row import Row
from open_nsfw.service.clamd import verdict
from open_nsfw.service.core import Answer as CoreAnswer
from open_nsfw.service.decisions import Decision
from open_nsfw.service.misskey import result as misskey_result
from open_nsfw.service.options import HostOptions
from open_nsfw.service.outcomes import Outcome, with_answer
from open_nsfw.service.photoprism import result as photoprism_result
from open_nsfw.service.pictrs import answer as pictrs_answer
from tests.tools.archive_samples import make_zip
from tests.tools.helpers import DATA, png_header
from tests.tools.hosts import (
    misskey_ask,
    misskey_is_sensitive,
    photoprism_ask,
    photoprism_decides,
    photoprism_of_old_decides,
    pictrs_lets_in,
)
from tests.tools.service import KEY, Running, serving

LOW, MIDDLE, HIGH = (
    (DATA / "pushed" / f"{name}.jpg").read_bytes() for name in ("0.050-chelsea", "0.500-rocket", "0.950-chelsea")
)
TRUNCATED = LOW[:3000]
GIF = (DATA / "pictures" / "animated.gif").read_bytes()
JPEG, PNG = "image/jpeg", "image/png"
ALLOWED, UNDECIDED, BLOCKED = Decision.ALLOWED, Decision.UNDECIDED, Decision.BLOCKED


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a key, few parts, and another answer for what is undecided."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "keys").write_text(f"host {KEY}\n")
    options = ("--key-file", folder / "keys", "--undecided", "allow", "--max-parts", "3", "--max-body", "100kB")
    with serving(folder, *options) as running:
        yield running


# ------------------------------------------------------------------------------------------------ one file as a whole


def outcome_of(*rows: tuple[float | None, str | None, Decision]) -> Outcome:
    """Of rows with a score, an error, and a decision each."""
    found = Outcome()
    for score, error, decision in rows:
        found = with_answer(found, CoreAnswer(0, Row("-", score=score, error=error), decision))
    return found


def test_the_worst_row_decides() -> None:
    """Nothing is cleared by what stands beside it, and a file without a row is not cleared."""
    assert Outcome().decision is UNDECIDED
    low, middle, high = (0.1, None, ALLOWED), (0.5, None, UNDECIDED), (0.9, None, BLOCKED)
    failed = (None, "truncated: it ends too early", UNDECIDED)
    assert outcome_of(low, low) == Outcome(ALLOWED, 0.1, "", "", 2)
    assert outcome_of(low, middle, low).decision is UNDECIDED
    assert outcome_of(low, failed) == Outcome(UNDECIDED, 0.1, "truncated", "it ends too early", 2)
    assert outcome_of(failed, high, low) == Outcome(BLOCKED, 0.9, "truncated", "it ends too early", 3)


# ----------------------------------------------------------------------------------------------------------- Misskey


def test_misskey_gets_a_result_for_each_part(service: Running) -> None:
    """In order; a bad part costs only itself."""
    parts = [(JPEG, LOW), (JPEG, HIGH), ("image/webp", LOW), (None, b"text"), (PNG, b""), (PNG, TRUNCATED)]
    parts += [(PNG, png_header(60000, 60000)), ("image/gif; charset=x", GIF), (JPEG, b"text"), (JPEG, MIDDLE)]
    answer = misskey_ask(service, parts, {"X-Request-Id": "abc-1"})
    assert (answer.status, answer.headers["x-request-id"]) == (200, "abc-1")
    assert answer.json["success"] is True
    results = answer.json["result"]["results"]
    told = [each["error"]["code"] if not each["success"] else each["predictions"][0]["className"] for each in results]
    assert told == [
        *("Neutral", "Porn", "UNSUPPORTED_MEDIA_TYPE", "INVALID_REQUEST", "INVALID_REQUEST", "IMAGE_DECODE_FAILED"),
        *("REQUEST_TOO_LARGE", "Neutral", "IMAGE_DECODE_FAILED", "Neutral"),
    ]
    assert [misskey_is_sensitive(each, 0.7) for each in results] == [False, True, *[None] * 5, False, None, False]
    for each in (results[0], results[1]):
        assert sum(prediction["probability"] for prediction in each["predictions"]) == pytest.approx(1)
    (score,) = service.score(HIGH).rows
    assert results[1]["predictions"][0]["probability"] == score["score"]


def test_misskey_is_refused_in_its_own_words(service: Running, keyed: Running) -> None:
    """Status and code, with `success: false`, and no result."""
    good = {"Authorization": f"Bearer {KEY}"}
    form = {"Content-Type": "multipart/form-data; boundary=x", **good}

    def told(answer: Any) -> tuple[int, str]:
        assert answer.json["success"] is False and "result" not in answer.json and answer.json["error"]["message"]
        return answer.status, answer.json["error"]["code"]

    def ask(body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        return told(keyed.ask("POST", "/v1/detect-images", body, headers))

    assert told(misskey_ask(keyed, [(JPEG, LOW)])) == (401, "AUTHENTICATION_REQUIRED")
    wrong = {"Authorization": "Bearer no-key-at-all-0123"}
    assert told(misskey_ask(keyed, [(JPEG, LOW)], wrong)) == (401, "AUTHENTICATION_REQUIRED")
    assert ask(LOW, {"Content-Type": JPEG, **good}) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert ask(b"--x--\r\n", form) == (400, "INVALID_REQUEST")
    assert ask(b"--y\r\n\r\n", form) == (400, "INVALID_REQUEST")
    assert ask(b"x" * 200_000, form) == (413, "REQUEST_TOO_LARGE")
    assert told(misskey_ask(keyed, [(PNG, b"x")] * 4, good)) == (413, "REQUEST_TOO_LARGE")
    assert misskey_ask(keyed, [(JPEG, LOW)], good).status == 200
    assert service.ask("GET", "/v1/detect-images").status == 405


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("truncated", "IMAGE_DECODE_FAILED"),
        ("not-a-picture", "IMAGE_DECODE_FAILED"),
        ("too-many-pixels", "REQUEST_TOO_LARGE"),
        ("too-many-bytes", "REQUEST_TOO_LARGE"),
        ("timeout", "DETECTION_FAILED"),
        ("decoder-crashed", "DETECTION_FAILED"),
        ("out-of-memory", "DETECTION_FAILED"),
        ("not-finite", "DETECTION_FAILED"),
        ("empty", "INVALID_REQUEST"),
    ],
)
def test_misskeys_codes(code: str, told: str) -> None:
    assert misskey_result(Outcome(code=code, reason="why", rows=1)) == {
        "success": False,
        "error": {"code": told, "message": "why"},
    }
    assert misskey_result(Outcome(UNDECIDED, 0.1, "truncated", "x", 2))["success"] is False


# -------------------------------------------------------------------------------------------------------- PhotoPrism


def test_photoprism_gets_a_status_for_each_picture(service: Running) -> None:
    """In order, and what it makes of each is the service's decision, whatever threshold it has of its own."""
    answer = photoprism_ask(service, [LOW, HIGH, MIDDLE, TRUNCATED, b"", GIF])
    assert answer.status == 200
    assert (answer.json["id"], answer.json["code"]) == ("b0a1", 200)
    assert answer.json["model"]["type"] == "nsfw" and answer.json["model"]["resolution"] == 224
    results = answer.json["result"]["nsfw"]
    statuses = ["safe", "unsafe", "unavailable", "unavailable", "unavailable", "safe"]
    assert [each["status"] for each in results] == statuses
    for threshold in (0.01, 0.75, 0.99):
        assert [photoprism_decides(each, threshold) for each in results] == statuses
    assert [photoprism_of_old_decides(each) for each in results[:2]] == ["safe", "unsafe"]
    assert [each.get("reason", "").partition(":")[0] for each in results] == [
        *("", "", "the score lies between the thresholds", "truncated", "empty", "")
    ]


def test_photoprism_sends_what_is_no_picture(service: Running) -> None:
    """Addresses are not fetched, and nothing is cleared."""
    images = ["https://example.org/a.jpg", "data:image/jpeg;base64,%%", "data:text/plain,x", "data:;base64,"]
    images.append("DATA:image/jpeg;BASE64," + base64.b64encode(LOW).decode())
    answer = ask_photoprism(service, {"images": images})
    results = answer.json["result"]["nsfw"]
    assert [each["status"] for each in results] == ["unavailable"] * 4 + ["safe"]
    assert results[0]["reason"] == "not-found: this is an address, and nothing is fetched"
    assert [each["reason"].partition(":")[0] for each in results[1:4]] == ["undecodable", "undecodable", "empty"]
    (result,) = ask_photoprism(service, {"url": "http://127.0.0.1/a.jpg"}).json["result"]["nsfw"]
    assert result["status"] == "unavailable"


def test_photoprism_refuses_in_its_own_form(service: Running) -> None:
    """An id that no encoding has, and more than JSON may have."""
    answer = ask_photoprism(service, {"id": "\ud800", "images": ["data:,x"]})
    assert (answer.status, answer.json) == (400, {"id": "", "code": 400, "error": '"id" must be a text'})
    head = f"POST /api/v1/vision/nsfw HTTP/1.1\r\nHost: localhost\r\nContent-Length: {16 * 1024 * 1024 + 1}\r\n\r\n"
    body = json.loads(service.raw(head.encode()).partition(b"\r\n\r\n")[2])
    words = "the most of JSON; send the file itself, or multipart/form-data"
    assert body == {"id": "", "code": 413, "error": f"the body has more than 16,777,216 bytes ({words})"}


def ask_photoprism(service: Running, body: Any, headers: dict[str, str] | None = None) -> Any:
    """Any body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **(headers or {})}
    return service.ask("POST", "/api/v1/vision/nsfw", content, given)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        {},
        {"images": []},
        {"images": "x"},
        {"images": [1]},
        {"images": {}},
        {"id": 1, "images": ["x"]},
    ],
)
def test_photoprism_is_refused_in_its_own_words(service: Running, body: Any) -> None:
    answer = ask_photoprism(service, body)
    assert (answer.status, answer.json["code"]) == (400, 400)
    assert answer.json["error"] and "result" not in answer.json


def test_photoprism_with_keys(keyed: Running) -> None:
    good = {"Authorization": f"Bearer {KEY}"}
    assert photoprism_ask(keyed, [LOW]).json == {
        "id": "",
        "code": 401,
        "error": "a key is needed: send the header `Authorization: Bearer KEY`",
    }
    assert photoprism_ask(keyed, [LOW] * 4, good).json["code"] == 413
    assert photoprism_ask(keyed, [b"x"] * 4, good).json == {
        "id": "b0a1",
        "code": 400,
        "error": "more than 3 images (--max-parts)",
    }
    assert photoprism_ask(keyed, [LOW], good).json["result"]["nsfw"][0]["status"] == "safe"


def test_photoprism_is_told_no_number_that_it_could_decide_by() -> None:
    for decision in Decision:
        told = photoprism_result(Outcome(decision, 0.5, "", "", 1))
        assert "score" not in told and "threshold" not in told
        assert photoprism_decides(told) == told["status"]


# ----------------------------------------------------------------------------------------------------------- pict-rs


def test_pictrs_keeps_out_what_is_not_allowed(service: Running, keyed: Running) -> None:
    """With --undecided block, which is the default, also what nobody decided about."""
    good = {"Authorization": "Basic " + base64.b64encode(f"pictrs:{KEY}".encode()).decode()}
    archive = make_zip([("a.jpg", LOW), ("b.jpg", HIGH)])
    uploads = [(LOW, JPEG), (HIGH, JPEG), (MIDDLE, JPEG), (TRUNCATED, JPEG), (GIF, "image/gif"), (b"", JPEG)]
    uploads += [(b"text", "text/plain"), (archive, "application/zip")]
    assert [pictrs_lets_in(service, *each) for each in uploads] == [True, False, False, False, True, *[False] * 3]
    assert [pictrs_lets_in(keyed, *each, good) for each in uploads[:7]] == [True, False, *[True] * 5]
    assert not pictrs_lets_in(keyed, LOW, JPEG)
    assert not pictrs_lets_in(keyed, b"\0" * 200_000, JPEG, good)


def test_pictrs_is_told_why(service: Running) -> None:
    answer = service.ask("POST", "/v1/pict-rs", TRUNCATED, {"Content-Type": JPEG})
    assert answer.status == 406
    assert answer.json["decision"] == "undecided" and answer.json["error"].startswith("truncated: ")
    assert pictrs_answer(Outcome(BLOCKED, 0.9, "", "", 1), False)[0] == 406
    assert pictrs_answer(Outcome(UNDECIDED, 0.5, "", "", 1), False) == (
        200,
        {"decision": "undecided", "score": 0.5, "error": None},
    )


# ------------------------------------------------------------------------------------------------------------- clamd


@pytest.mark.parametrize(
    ("outcome", "head", "told"),
    [
        (Outcome(ALLOWED, 0.1, "", "", 1), b"", "OK OK OK OK"),
        (Outcome(BLOCKED, 0.9, "", "", 1), b"", "NSFW.Blocked FOUND " * 4),
        (Outcome(UNDECIDED, 0.5, "", "", 1), b"", "NSFW.Undecided FOUND NSFW.Undecided FOUND OK OK"),
        (Outcome(UNDECIDED, None, "truncated", "x", 1), b"", "NSFW.Undecided FOUND NSFW.Undecided FOUND OK OK"),
        (Outcome(UNDECIDED, None, "not-a-picture", "x", 1), b"%PDF", "NSFW.NotAPicture FOUND OK " * 2),
        (Outcome(UNDECIDED, None, "no-pictures", "x", 1), b"PK", "NSFW.NotAPicture FOUND OK " * 2),
        (Outcome(UNDECIDED, None, "empty", "x", 1), b"", "NSFW.NotAPicture FOUND OK " * 2),
        (Outcome(), b"PK", "NSFW.NotAPicture FOUND OK " * 2),
        (Outcome(UNDECIDED, None, "encrypted", "x", 2), b"PK", "NSFW.Undecided FOUND NSFW.Undecided FOUND OK OK"),
        # Pictures in formats that are not read are no other files.
        (Outcome(UNDECIDED, None, "not-a-picture", "x", 1), b"8BPS", "NSFW.Undecided FOUND NSFW.Undecided FOUND OK OK"),
        (
            Outcome(UNDECIDED, None, "not-a-picture", "x", 1),
            b"<?xml?> <!-- x --><svg>",
            "NSFW.Undecided FOUND NSFW.Undecided FOUND OK OK",
        ),
    ],
)
def test_what_clients_of_clamd_are_told(outcome: Outcome, head: bytes, told: str) -> None:
    """With --undecided block and allow, and in each of them --clamd-others block and allow."""
    ways = [(True, True), (True, False), (False, True), (False, False)]
    words = [verdict(outcome, HostOptions(undecided, None, others), head).decode() for undecided, others in ways]
    assert " ".join(words) == told.strip()


def test_an_option_without_its_other(tmp_path: Path) -> None:
    from tests.tools.helpers import run_command

    done = run_command("open_nsfw", "serve", "--clamd-others", "allow", script="-m")
    assert (done.status, done.err) == (2, "open-nsfw serve: error: --clamd-others allow needs --clamd ADDRESS\n")
