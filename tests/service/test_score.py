"""`POST /v1/score`: the rows of the command, for one picture or many, and what is refused."""

from __future__ import annotations

import base64
import bz2
import io
import json
import math
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.tools.archive_samples import make_tar
from tests.tools.helpers import DATA, PICTURE, run_command
from tests.tools.service import Answer, Running, multipart, serving

GIF = DATA / "pictures" / "animated.gif"
BROKEN = PICTURE.read_bytes()[:3000]
PUSHED = sorted((DATA / "pushed").glob("*.jpg"))
UNKNOWN = {
    "path",
    "modified",
    "decision",
}  # what the command knows of a file, and the service does not, or the other way


def command_rows(*arguments: Any) -> list[dict[str, Any]]:
    """What the command writes about the same files, without the names."""
    done = run_command(*arguments, "--format", "jsonl", "--quiet")
    return [without(json.loads(line)) for line in done.out.splitlines()]


def without(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what the two do not both know."""
    return {name: value for name, value in row.items() if name not in UNKNOWN}


def test_a_picture_has_the_row_of_the_command(service: Running) -> None:
    """To the last digit, with a decision more."""
    answer = service.score(PICTURE.read_bytes())
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert [without(row) for row in answer.rows] == command_rows(PICTURE)
    assert (answer.rows[0]["path"], answer.rows[0]["decision"]) == ("-", "undecided")


def test_parts_are_answered_in_order_and_a_bad_one_costs_only_itself(service: Running) -> None:
    """Names are those of the parts; what is no picture, broken or empty has its reason, and nobody is cleared by it."""
    parts = [
        ("a.jpg", PICTURE.read_bytes()),
        ("b.txt", b"text"),
        ("c.jpg", BROKEN),
        ("d", b""),
        ("e.gif", GIF.read_bytes()),
    ]
    rows = service.score(*_swapped(multipart(parts))).rows
    assert [row["path"] for row in rows] == [name for name, _ in parts]
    codes = [row["error"] and row["error"].partition(":")[0] for row in rows]
    assert codes == [None, "not-a-picture", "truncated", "empty", None]
    assert [row["decision"] for row in rows] == ["undecided"] * 4 + ["allowed"]
    assert without(rows[0]) == command_rows(PICTURE)[0]


def _swapped(given: tuple[bytes, dict[str, str]]) -> tuple[bytes, str, dict[str, str]]:
    return given[0], "", given[1]


def test_json_with_base64(service: Running) -> None:
    """The same, without names too; data that is no base64 is the error of its item."""
    data = base64.b64encode(PICTURE.read_bytes()).decode()
    items = [{"name": "x.jpg", "data": data}, {"data": data}, {"name": "y", "data": "%%"}, {"name": "z", "data": ""}]
    rows = ask_json(service, {"items": items}).rows
    assert [row["path"] for row in rows] == ["x.jpg", "1", "y", "z"]
    assert rows[0]["score"] == rows[1]["score"] == command_rows(PICTURE)[0]["score"]
    assert [row["error"] for row in rows[2:]] == ["undecodable: its data is not base64", "empty: the file is empty"]


def ask_json(service: Running, body: Any) -> Answer:
    """A JSON body."""
    return service.score(json.dumps(body).encode(), "", {"Content-Type": "application/json"})


def test_frames_and_a_summary(service: Running) -> None:
    """As with --frames all."""
    assert [without(row) for row in service.score(GIF.read_bytes(), "?frames=all").rows] == command_rows(
        GIF, "--frames", "all"
    )
    assert len(service.score(GIF.read_bytes(), "?frames=max=2").rows) == 3
    assert len(service.score(GIF.read_bytes()).rows) == 1


def test_members_of_an_archive(service: Running, tmp_path: Path) -> None:
    """In the order of the archive, as the command has them."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each in PUSHED:
            archive.write(each, each.name)
        archive.writestr("notes.txt", "no picture")
        archive.writestr("broken.jpg", BROKEN)
    rows = service.score(path.read_bytes()).rows
    assert [row["member"] for row in rows] == [each.name for each in PUSHED] + ["broken.jpg"]
    assert [without(row) for row in rows] == command_rows(path)


def test_members_of_a_tar_whose_compression_gives_nothing_at_first(service: Running) -> None:
    """A block of bzip2 has 900,000 bytes, of which nothing comes before all are there."""
    members = [("a.jpg", PICTURE.read_bytes()), ("b", random.Random(1).randbytes(2_000_000))]
    rows = service.score(bz2.compress(make_tar(members))).rows
    assert [(row["member"], row["error"]) for row in rows] == [("a.jpg", None)]


def test_an_archive_without_pictures(service: Running) -> None:
    """Has a row that says so."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("notes.txt", "no picture")
    (row,) = service.score(content.getvalue()).rows
    assert (row["error"], row["decision"]) == ("no-pictures: there is no picture in it", "undecided")


@pytest.mark.parametrize("names", [("sound",), ("sound", "film"), ("film", "sound"), ("sound", "film", "sound")])
def test_sound_in_an_archive(service: Running, tmp_path: Path, names: tuple[str, ...]) -> None:
    """Is passed over, as by the command; where there is nothing else, a row says so. The archive behind it has its rows."""
    pytest.importorskip("av", reason="PyAV is not installed in this interpreter")
    from tests.tools.films import film, sound

    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"{number}", film(times=[0]) if name == "film" else sound())
    rows = service.score(*_swapped(multipart([("a", path.read_bytes()), ("b", path.read_bytes())]))).rows
    told = [(row["member"], row["error"]) for row in rows if row["kind"] != "frame"]
    if "film" in names:
        assert told == [(str(names.index("film")), None)] * 2
    else:
        assert told == [(None, "no-pictures: there is no picture in it")] * 2
    assert list(map(without, service.score(path.read_bytes()).rows)) == command_rows(path)


def test_explained_scores(service: Running) -> None:
    """As with --explain: bias and 7 x 7 cells, whose sum is the logit of the score. Others have none."""
    (row,) = service.score(PICTURE.read_bytes(), "?explain=true").rows
    (said,) = command_rows(PICTURE, "--explain")
    assert without(row) == said and len(row["cells"]) == len(row["cells"][0]) == 7
    logit = row["bias"] + sum(map(sum, row["cells"]))
    assert 1 / (1 + math.exp(-logit)) == pytest.approx(row["score"], abs=1e-6)
    assert service.score(PICTURE.read_bytes()).rows[0]["cells"] is None


def test_decisions_follow_the_score(service: Running) -> None:
    """Without a policy by the thresholds that the network's authors suggest."""
    body, headers = multipart([(each.name, each.read_bytes()) for each in PUSHED])
    for row in service.score(body, "", headers).rows:
        expected = "allowed" if row["score"] < 0.2 else "blocked" if row["score"] >= 0.8 else "undecided"
        assert row["decision"] == expected, row


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?frame=all", "there is no parameter 'frame'; there are frames, every, scenes, explain"),
        (
            "?frames=some",
            'frames "some": first, all, every=N or max=N is needed, N a whole number above 0 of at most 18 digits',
        ),
        (
            "?frames=",
            'frames "": first, all, every=N or max=N is needed, N a whole number above 0 of at most 18 digits',
        ),
        (
            f"?frames=max={'9' * 5000}",
            f'frames "max={"9" * 73}...": first, all, every=N or max=N is needed, N a whole number above 0 of at most 18 digits',
        ),
        ("?frames=all&frames=first", "the parameter frames is there twice"),
        ("?scenes=yes", "scenes='yes': true or false is needed"),
        ("?every=0", "every='0': a number of seconds above 0 is needed, 1e+09 at most"),
        ("?every=1_0", "every='1_0': a number of seconds above 0 is needed, 1e+09 at most"),
        ("?every=nan", "every='nan': a number of seconds above 0 is needed, 1e+09 at most"),
    ],
)
def test_parameters_that_make_no_sense(service: Running, query: str, message: str) -> None:
    """Say what is wrong."""
    answer = service.score(PICTURE.read_bytes(), query)
    assert (answer.status, answer.json) == (400, {"error": {"code": "bad-request", "message": message}})


@pytest.mark.parametrize(
    "body", [b"[", b"[]", b"{}", b'{"items": []}', b'{"items": [1]}', b'{"items": [{"name": "a"}]}', b"[" * 100000]
)
def test_json_that_is_no_request(service: Running, body: bytes) -> None:
    """Is refused as a whole."""
    assert service.score(body, "", {"Content-Type": "application/json"}).error == (400, "bad-request")


def test_an_empty_body_has_a_row(service: Running) -> None:
    """Like an empty file."""
    (row,) = service.score(b"").rows
    assert row["error"] == "empty: the file is empty"


def test_other_methods_and_paths(service: Running) -> None:
    """Are answered in the same form."""
    assert service.ask("GET", "/v1/score").error == (405, "wrong-method")
    assert service.ask("GET", "/v1/scores").error == (404, "no-such-path")


def test_a_body_over_a_limit_names_the_option(tmp_path: Path) -> None:
    """The one that counts: of a file alone, and of a request."""
    with serving(tmp_path, "--max-bytes", "1000", "--max-body", "2000") as service:
        answer = service.score(bytes(1001))
        assert answer.json["error"]["message"] == "the body has more than 1,000 bytes (--max-bytes)"
        answer = service.score(*[b"x" * 2001, "", {"Content-Type": "multipart/form-data; boundary=x"}])
        assert answer.json["error"]["message"] == "the body has more than 2,000 bytes (--max-body)"
    with serving(tmp_path, "--max-held", "1500") as service:  # busy is for what may be tried again
        answer = service.score(bytes(1501))
        assert (answer.status, answer.json["error"]["message"]) == (
            413,
            "the body has more than 1,500 bytes (--max-held)",
        )


def test_a_name_that_is_allowed_may_have_a_port(tmp_path: Path) -> None:
    """As programs write it behind a proxy."""
    with serving(tmp_path, "--allow-host", "nsfw.example:8443") as service:
        assert service.ask("GET", "/healthz", None, {"Host": "nsfw.example:8443"}).status == 200
