"""The page at `/`, and the description for programs: what a browser does with them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.service.page import security_headers
from tests.tools.browser import ENVIRONMENT, FOLDER, in_a_browser
from tests.tools.helpers import DATA, ROOT
from tests.tools.service import KEY, Running, serving

EVIL = "<img src=x onerror=alert(1)>.jpg"


def driven(service: Running, folder: Path, key: str, files: list[Path]) -> list[dict[str, Any]]:
    """What happened in each of light and dark, wide and narrow."""
    address = f"http://127.0.0.1:{service.port}/"
    line = [
        "node",
        str(ROOT / "tests" / "tools" / "drive_page.mjs"),
        FOLDER,
        address,
        str(folder),
        key,
        *map(str, files),
    ]
    done = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(found) == 4
    return found


@pytest.mark.once
@in_a_browser
def test_pictures_are_scored_by_hand(tmp_path: Path) -> None:
    """Chosen by keyboard and pasted, behind a key; a file's name is text; nothing but the service is asked, and nothing is
    said in the console. Accessible, and no wider than a phone."""
    keys, evil, text = tmp_path / "keys", tmp_path / EVIL, tmp_path / "notes.txt"
    keys.write_text(f"me {KEY}\n")
    shutil.copy(DATA / "pushed" / "0.950-chelsea.jpg", evil)
    text.write_text("no picture")
    files = [
        DATA / "pushed" / "0.050-chelsea.jpg",
        evil,
        text,
        DATA / "pictures" / "animated.gif",
        DATA / "pictures" / "exif-rotated.jpg",
        DATA / "pushed" / "0.500-rocket.jpg",
    ]
    with serving(tmp_path, "--key-file", keys) as service:
        address = f"http://127.0.0.1:{service.port}/"
        for each in driven(service, tmp_path, KEY, files):
            assert (each["problems"], each["violations"], each["docs"]) == ([], [], []), each
            assert not each["tooWide"] and not each["docsTooWide"] and each["focused"] == "drop"
            assert {asked.partition("?")[0] for asked in each["asked"]} == {address, address + "v1/score"}
            assert (each["said"], each["cleared"]) == ("6 of 6 scored.", "1 of 1 scored.")
            shown = {card["text"][0]: card for card in each["cards"]}
            decisions = {name: card["text"][-1] for name, card in shown.items() if name != "notes.txt"}
            assert decisions == {
                "0.050-chelsea.jpg": "allowed",
                EVIL: "blocked",
                "animated.gif": "allowed",
                "exif-rotated.jpg": "allowed",
                "pasted.jpg": "undecided",
            }
            assert shown["notes.txt"]["text"][1].startswith("undecided") and not shown["notes.txt"]["shown"]
            assert [name for name, card in shown.items() if card["heat"]] == [
                name for name in shown if name != "notes.txt"
            ]
            assert [name for name, card in shown.items() if card["veiled"]] == [EVIL, "pasted.jpg"]
            assert shown[EVIL]["text"][1].startswith("Score 0.9") and shown[EVIL]["shown"] == [True]
            assert shown["animated.gif"]["text"][1].endswith(", the highest of 3")
            assert not shown["exif-rotated.jpg"]["turned"]  # it lies as it is stored: so its heat map fits


def test_the_page_allows_itself_alone(service: Running) -> None:
    """Its policy names its own style and script by their hashes, and no other source."""
    answer = service.ask("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert policy == security_headers(answer.content.decode())["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert b"http://" not in answer.content and b"https://" not in answer.content


def test_the_page_is_behind_the_key(tmp_path: Path) -> None:
    """Where there are keys; and so is the description."""
    keys = tmp_path / "keys"
    keys.write_text(f"me {KEY}\n")
    with serving(tmp_path, "--key-file", keys) as service:
        for path in ("/", "/docs", "/openapi.json"):
            assert service.ask("GET", path).error == (401, "key-needed")
            assert service.ask("GET", path, headers={"Authorization": f"Bearer {KEY}"}).status == 200
