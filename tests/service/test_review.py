"""The review over HTTP: who is let in, what is refused, and what the page is given."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from open_nsfw.review.store import open_store
from open_nsfw.rows.row import Row
from tests.tools.archive_samples import make_zip
from tests.tools.helpers import DATA, PICTURE, ROOT, SECONDS, wait_until
from tests.tools.planted_decoders import is_at_work, plant
from tests.tools.processes import children
from tests.tools.review import column, new_store, write_rows
from tests.tools.review_page import Page, pictures, review
from tests.tools.service import KEY, serving

ORIGIN = "http://127.0.0.1:{port}"


class Browser:
    """Speaks to a review as a browser does: with a cookie, and the header Origin."""

    def __init__(self, port: int, **headers: str) -> None:
        self.port, self.headers = port, {"Origin": f"http://127.0.0.1:{port}", **headers}

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, content)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        sent = {name: value for name, value in {**self.headers, **headers}.items() if value is not None}
        content = json.dumps(body) if isinstance(body, dict) else body
        try:
            if isinstance(body, dict):
                sent = {"Content-Type": "application/json", **sent}
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            if "set-cookie" in found:
                self.headers["Cookie"] = found["set-cookie"].partition(";")[0]
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def api(self, name: str, /, **data: Any) -> Any:
        """What an action answers."""
        status, _, content = self.ask("POST", f"/review/api/{name}", data)
        return json.loads(content) if status == 200 else (status, json.loads(content)["error"]["code"])


def entered(page: Page, number: int = 0) -> Browser:
    """A browser that has opened the last address."""
    address = page.addresses(number + 1)[number]
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", address)
    assert found
    browser = Browser(int(found[1]))
    status, headers, _ = browser.ask("GET", found[2])
    assert (status, headers["location"]) == (303, "/review/")
    return browser


def code(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer[0], json.loads(answer[2])["error"]["code"]


def test_a_token_lets_one_browser_in(tmp_path: Path) -> None:
    """Once; the next address is printed then. Without one there is nothing to be had."""
    with review(tmp_path, str(pictures(tmp_path / "p", 3))) as page:
        (address,) = page.addresses()
        stranger = Browser(int(address.split(":")[2].split("/")[0]))
        for path in ("/review/", "/review/review.js", "/review/picture/1/0.jpg"):
            assert code(stranger.ask("GET", path)) == (403, "no-session")
        assert stranger.api("overview") == (403, "no-session")
        assert code(stranger.ask("GET", "/review/?token=guessed")) == (403, "wrong-token")
        browser = entered(page)
        status, headers, _ = browser.ask("GET", "/review/")
        assert status == 200
        assert re.fullmatch(r"open_nsfw_review_\d+=\S+", browser.headers["Cookie"])
        token = address.partition("=")[2]
        assert code(stranger.ask("GET", f"/review/?token={token}")) == (403, "wrong-token")
        other = entered(page, 1)
        assert other.headers["Cookie"] != browser.headers["Cookie"]


def test_two_reviews_on_one_machine(tmp_path: Path) -> None:
    """In one browser, which has its cookies of a host for all ports: the second one does not end the first."""
    for name in "ab":
        (tmp_path / name).mkdir()
    rows = str(pictures(tmp_path / "p", 2))
    with review(tmp_path / "a", rows) as first, review(tmp_path / "b", rows) as second:
        browsers = [entered(page) for page in (first, second)]
        jar = dict(browser.headers["Cookie"].split("=") for browser in browsers)
        for browser in browsers:
            browser.headers["Cookie"] = "; ".join(map("=".join, jar.items()))
            assert browser.api("begin", name="Anna")["labels"] == ["sfw", "nsfw"]


def test_headers_of_the_page(tmp_path: Path) -> None:
    """Nothing from elsewhere, nothing inline, no frame around it, nothing kept; the cookie is out of reach of scripts."""
    with review(tmp_path, str(pictures(tmp_path / "p", 2))) as page:
        (address,) = page.addresses()
        browser = Browser(int(address.split(":")[2].split("/")[0]))
        _, headers, _ = browser.ask("GET", address[address.index("/review") :])
        assert headers["set-cookie"].endswith("; HttpOnly; Path=/review; SameSite=strict")
        for path in ("/review/", "/review/review.js", "/review/review.css", "/review/icon.svg"):
            _, headers, content = browser.ask("GET", path)
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
            assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
            assert headers["cache-control"] == "no-store"
            assert not re.search(rb"https?://(?!www\.w3\.org)", content) and b"<script>" not in content


def test_other_sites_and_other_names_are_refused(tmp_path: Path) -> None:
    """Whatever cookie they come with."""
    with review(tmp_path, str(pictures(tmp_path / "p", 2))) as page:
        browser = entered(page)
        assert browser.api("begin", name="Anna")["labels"] == ["sfw", "nsfw"]
        path = "/review/api/overview"
        assert code(browser.ask("POST", path, {}, Host="evil.example")) == (421, "wrong-host")
        assert code(browser.ask("POST", path, {}, Origin="http://evil.example")) == (403, "other-origin")
        assert code(browser.ask("POST", path, {}, Origin="null")) == (403, "other-origin")
        assert code(browser.ask("POST", path, {}, Origin=None)) == (403, "other-origin")
        assert code(browser.ask("POST", path, "{}", **{"Content-Type": "text/plain"})) == (400, "bad-request")
        assert code(browser.ask("POST", path, "[1]", **{"Content-Type": "application/json"})) == (400, "bad-request")
        assert browser.ask("POST", path, "{}", **{"Content-Type": "Application/JSON;charset=utf-8"})[0] == 200
        assert code(browser.ask("POST", path, {"x": "y" * 70_000})) == (413, "too-large")
        assert code(browser.ask("GET", "/review/../review.sqlite"))[0] == 404
        assert browser.api("nothing") == (404, "no-such-path")


def test_pictures_come_small_and_encoded_anew(tmp_path: Path) -> None:
    """Whatever format they are of, without what was in the file beside the pixels; not one byte of it."""
    source = DATA / "pictures" / "rgb.png"
    large = tmp_path / "large.jpg"
    with Image.open(PICTURE) as picture:
        picture.resize((2000, 1500)).save(large, exif=b"Exif\0\0secret", comment=b"secret")
    rows = [Row(str(path), score=0.5, model="m") for path in (source, large)]
    with review(tmp_path, str(write_rows(tmp_path / "rows.jsonl", rows))) as page:
        browser = entered(page)
        browser.api("begin", name="Anna")
        items = browser.api("next", count=2)["items"]
        assert len(items) == 2
        for item in items:
            status, headers, content = browser.ask("GET", f"/review/picture/{item['id']}/0.jpg")
            assert (status, headers["content-type"]) == (200, "image/jpeg")
            with Image.open(io.BytesIO(content)) as shown:
                assert max(shown.size) == 256 and shown.format == "JPEG"
            assert b"secret" not in content
        assert code(browser.ask("GET", "/review/picture/99/0.jpg")) == (400, "bad-request")
        assert code(browser.ask("GET", f"/review/picture/{items[0]['id']}/7.jpg")) == (400, "bad-request")
        for none in ("9" * 20, "9" * 5000, "-1", "x", "\u0663"):  # the last is a digit elsewhere
            path = f"/review/picture/{quote(none)}/0"
            assert code(browser.ask("GET", f"{path}.jpg")) == code(browser.ask("GET", f"{path}/grey.png"))
            assert code(browser.ask("GET", f"{path}.jpg")) == (404, "no-such-path")


def test_a_picture_that_is_gone_or_broken_is_named_and_not_asked_for_again(tmp_path: Path) -> None:
    """It costs nobody another picture."""
    rows = pictures(tmp_path / "p", 3)
    (tmp_path / "p" / "0001.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    with review(tmp_path, str(rows), "--second", "0") as page:
        browser = entered(page)
        browser.api("begin", name="Anna")
        (tmp_path / "p" / "0002.jpg").unlink()
        items = {item["name"][-8:]: item["id"] for item in browser.api("next", count=3)["items"]}
        for name in ("0001.jpg", "0002.jpg"):
            status, _, content = browser.ask("GET", f"/review/picture/{items[name]}/0.jpg")
            assert status == 400 and f"{name} cannot be shown: " in json.loads(content)["error"]["message"]
        assert [item["name"][-8:] for item in browser.api("next", count=3)["items"]] == ["0000.jpg"]
        assert browser.api("overview")["queues"] == {"undecided": 1, "audit": 0, "calibration": 0}


def test_blind_tells_no_score_before_the_decision(tmp_path: Path) -> None:
    """Nor the band, nor the queue, which tell of it."""
    with review(tmp_path, str(pictures(tmp_path / "p", 3)), "--blind") as page:
        browser = entered(page)
        browser.api("begin", name="Anna")
        (item, *_) = browser.api("next", count=1)["items"]
        assert {*item} == {"id", "name", "frames", "alike"}
        found = browser.api("decide", item=item["id"], action="label", label="sfw", batch="b")
        assert 0.2 <= found["score"] < 0.8
        assert code(browser.ask("GET", f"/review/picture/{item['id']}/0/grey.png")) == (400, "bad-request")


def test_a_session_ends_and_says_so(tmp_path: Path) -> None:
    """After so many pictures; what was in hand is free again, and a new session may begin."""
    with review(tmp_path, str(pictures(tmp_path / "p", 6)), "--session-pictures", "2", "--second", "0") as page:
        browser, other = entered(page), entered(page, 1)
        browser.api("begin", name="Anna")
        for number in range(2):
            (item, *_) = browser.api("next", count=4)["items"]
            browser.api("decide", item=item["id"], action="label", label="sfw", batch=f"b{number}")
        found = browser.api("next", count=4)
        assert found["items"] == [] and found["over"] == "You have decided 2 pictures in 1 minute. Take a break."
        other.api("begin", name="Ben")
        assert len(other.api("next", count=4)["items"]) == 4
        browser.api("begin", name="Anna")
        assert browser.api("next", count=1)["over"] is None


def test_a_team_comes_with_a_key(tmp_path: Path) -> None:
    """`serve --review STORE` has the same page, and the score as ever."""
    rows = [Row(str(path), score=0.5, model="m") for path in sorted((DATA / "pushed").glob("*.jpg"))[:4]]
    new_store(tmp_path, rows).close()
    keys = tmp_path / "keys.txt"
    keys.write_text(f"team {KEY}\n")
    with serving(tmp_path, "--review", tmp_path / "review.sqlite", "--key-file", keys) as service:
        nobody = Browser(service.port)
        status, headers, _ = nobody.ask("GET", "/review/")
        assert status == 401 and headers["www-authenticate"].startswith("Basic ")
        password = base64.b64encode(f"anybody:{KEY}".encode()).decode()
        browser = Browser(service.port, Authorization=f"Basic {password}")
        assert browser.ask("GET", "/review")[1]["location"] == "/review/"
        assert browser.ask("GET", "/review/")[0] == 200
        browser.api("begin", name="Anna")
        (item,) = browser.api("next", count=1)["items"]
        assert browser.api("decide", item=item["id"], action="label", label="nsfw", batch="b")["items"] == [item["id"]]
        without_key = Browser(service.port, Cookie=browser.headers["Cookie"])
        assert without_key.api("overview") == (401, "key-needed")
        assert service.score(PICTURE.read_bytes(), headers={"Authorization": f"Bearer {KEY}"}).status == 200
    with open_store(str(tmp_path / "review.sqlite")) as store:
        assert column(store, "SELECT person || ' ' || label FROM opinion") == ["Anna nsfw"]


def command(*arguments: object) -> tuple[int, str]:
    """Exit status and stderr of `open-nsfw ARGUMENTS`."""
    line = [sys.executable, "-m", "open_nsfw", *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode, done.stderr


def test_what_cannot_be_reviewed_is_one_line(tmp_path: Path) -> None:
    """With what to do; exit status 2."""
    store, rows = (
        tmp_path / "s.sqlite",
        write_rows(tmp_path / "rows.jsonl", [Row("a.jpg", error="empty: x", model="m")]),
    )
    for arguments, message in (
        (["nothing.jsonl", "--store", store], "nothing.jsonl: there is no such file or folder"),
        (
            ["--store", tmp_path / "no.sqlite"],
            f"{tmp_path}/no.sqlite: there is no review store; `open-nsfw review` makes one with --store",
        ),
        (
            [rows, "--store", store],
            f"{store}: there is no picture with a score in it; give rows, or a folder of pictures",
        ),
        ([rows, "--store", store, "--labels", "a"], "--labels: 2 to 9 different names are needed, not a"),
        ([rows, "--store", store, "--find", "nowhere"], "--find: there is no folder nowhere"),
        ([rows, "--store", store, "--audit", "2"], "--audit: a share from 0 to 1 is needed, not '2'"),
    ):
        assert command("review", *arguments) == (2, f"open-nsfw review: error: {message}\n")
    for arguments, message in (
        (["--review", store], "--review needs --key-file FILE"),
        (["--together"], "--together needs --review STORE"),
        (["--lease-minutes", "2"], "--lease-minutes needs --review STORE"),
    ):
        assert command("serve", *arguments) == (2, f"open-nsfw serve: error: {message}\n")


def test_a_kill_of_the_page_loses_no_decision(tmp_path: Path) -> None:
    """What was answered is in the store; the same command goes on."""
    rows = pictures(tmp_path / "p", 5)
    line = [
        sys.executable,
        "-m",
        "open_nsfw",
        "review",
        str(rows),
        "--port",
        "0",
        "--store",
        str(tmp_path / "review.sqlite"),
    ]
    log = tmp_path / "killed.log"
    with open(log, "w") as file, subprocess.Popen(line, cwd=ROOT, stderr=file, text=True) as process:
        page = Page(process, log)
        browser = entered(page)
        browser.api("begin", name="Anna")
        (item,) = browser.api("next", count=1)["items"]
        browser.api("decide", item=item["id"], action="label", label="nsfw", batch="b")
        os.kill(process.pid, signal.SIGKILL)
    with review(tmp_path) as again:
        browser = entered(again)
        browser.api("begin", name="Anna")
        assert item["id"] not in {each["id"] for each in browser.api("next", count=5)["items"]}
        assert browser.api("undo")["items"][0]["id"] == item["id"]


def test_an_orderly_end_says_nothing_of_the_pictures_in_hand(tmp_path: Path) -> None:
    """Whose previews are being made: they are asked for in the next run, from the first moment on."""
    planted = plant(tmp_path / "planted")
    archive = tmp_path / "a.zip"
    archive.write_bytes(make_zip([("hangs.heic", planted["hang"].read_bytes())]))
    rows = [Row(str(planted["hang"]), score=0.5, model="m"), Row("a.zip", "hangs.heic", score=0.5, model="m")]
    source = str(write_rows(tmp_path / "rows.jsonl", rows))
    for _ in range(2):
        with review(tmp_path, source, cwd=tmp_path, plugin=tmp_path / "planted" / "plugin") as page:
            assert "not there" not in page.log.read_text()
            browser = entered(page)
            browser.api("begin", name="Anna")
            items = browser.api("next", count=2)["items"]
            assert len(items) == 2
            with ThreadPoolExecutor(2) as asking:
                answers = [asking.submit(browser.ask, "GET", f"/review/picture/{item['id']}/0.jpg") for item in items]
                wait_until(lambda: sum(map(is_at_work, children(page.process.pid))) == 2)
                page.process.terminate()
                assert page.process.wait(SECONDS) == 0
                assert [answer.exception() is not None or answer.result()[0] >= 400 for answer in answers] == [True] * 2


def test_a_folder_is_scored_and_what_is_new_is_added(tmp_path: Path) -> None:
    """Through the pipeline; a second run scores and adds the new file alone."""
    folder = tmp_path / "pushed"
    folder.mkdir()
    sources = sorted((DATA / "pushed").glob("*.jpg"))[:5]
    for source in sources[:4]:
        (folder / source.name).write_bytes(source.read_bytes())
    with review(tmp_path, str(folder)) as page:
        assert "rows: 4 new\n" in page.log.read_text()
    (folder / sources[4].name).write_bytes(sources[4].read_bytes())
    with review(tmp_path, str(folder)) as page:
        assert "rows: 1 new, 4 known\n" in page.log.read_text()
    with open_store(str(tmp_path / "review.sqlite")) as store:
        scores = column(store, "SELECT score FROM item ORDER BY path")
    assert scores == pytest.approx([float(path.name[:5]) for path in sources], abs=2e-3)


def test_look_alikes_are_shown_once(tmp_path: Path) -> None:
    """And decided together, with --together."""
    pytest.importorskip("scipy", reason="scipy is not installed in this interpreter")
    with Image.open(PICTURE) as picture:
        for number, size in enumerate(((256, 192), (300, 225), (400, 300))):
            picture.resize(size).save(tmp_path / f"{number}.jpg")
    rows = [Row(str(tmp_path / f"{number}.jpg"), score=0.5, model="m") for number in range(3)]
    rows.append(Row(str(DATA / "pictures" / "rgb.png"), score=0.6, model="m"))
    with review(tmp_path, str(write_rows(tmp_path / "rows.jsonl", rows)), "--together", "--second", "0") as page:
        assert "2 pictures look like another one, and are decided with it" in page.log.read_text()
        browser = entered(page)
        browser.api("begin", name="Anna")
        items = browser.api("next", count=4)["items"]
        assert sorted(item["alike"] for item in items) == [0, 2]
        item = next(item for item in items if item["alike"])
        assert len(browser.api("decide", item=item["id"], action="label", label="sfw", batch="b")["items"]) == 3
        assert len(browser.api("undo")["items"]) == 1
