"""Keys, and addresses that need them."""

from __future__ import annotations

import base64
import hashlib
import statistics
import time
from pathlib import Path

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.service.keys import Keys, key_in, read_keys
from tests.tools.helpers import PICTURE, run_command
from tests.tools.service import KEY, serving

MODULE = "-m"


def key_file(folder: Path, text: str) -> Path:
    """A file of keys."""
    path = folder / "keys"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_of_keys(tmp_path: Path) -> None:
    """Several keys, comments and empty lines."""
    keys = read_keys(str(key_file(tmp_path, f"# who\n\nforum {KEY}\nmail\t{KEY[::-1]}\n")))
    assert (keys.name_of(KEY), keys.name_of(KEY[::-1]), keys.name_of(KEY + "x"), keys.name_of("")) == (
        "forum",
        "mail",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no key in it"),
        ("forum\n", "line 1: a name, white space and a key are needed"),
        ("a short\n", "line 1: the key has fewer than 16 letters"),
        (
            "a schlüssel-schlüssel\n",
            "line 1: the key has other letters than ASCII, which clients send in several ways; ",
        ),
        (f"a {KEY}\na {KEY}x\n", "line 2: the name a is there twice"),
    ],
)
def test_files_that_are_no_keys(tmp_path: Path, text: str, message: str) -> None:
    """Say where and why."""
    with pytest.raises(UsageError, match=message):
        read_keys(str(key_file(tmp_path, text)))


def test_a_file_of_a_windows_editor(tmp_path: Path) -> None:
    """With a byte order mark, and lines that end as there."""
    for first in ("# who", f"mail {KEY[::-1]}"):
        path = tmp_path / "keys"
        path.write_bytes(f"\ufeff{first}\r\nforum {KEY}\r\n".encode())
        assert read_keys(str(path)).name_of(KEY) == "forum"


def test_a_key_in_a_header() -> None:
    """Of both schemes; anything else has none."""
    basic = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    assert [key_in(each) for each in (f"Bearer {KEY}", f"basic {basic}", "Basic %", "Digest x", "")] == [
        KEY,
        KEY,
        "",
        "",
        "",
    ]


def test_a_service_with_keys(tmp_path: Path) -> None:
    """Answers 401 without one, and to a wrong one; the name, but no key, may be told."""
    with serving(tmp_path, "--key-file", key_file(tmp_path, f"forum {KEY}\n")) as service:
        picture = PICTURE.read_bytes()
        for headers in ({}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": "Bearer"}):
            answer = service.score(picture, "", headers)
            assert answer.error == (401, "key-needed")
            assert answer.headers["www-authenticate"].startswith("Basic ")
        assert service.score(picture, "", {"Authorization": f"Bearer {KEY}"}).status == 200
        assert service.ask("GET", "/healthz").status == service.ask("GET", "/readyz").status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_another_address_needs_keys(host: str) -> None:
    """And says how to give them."""
    done = run_command("open_nsfw", "serve", "--host", host, script="-m")
    assert (done.status, done.err) == (
        2,
        f"open-nsfw serve: error: --host {host} can be reached from other machines, so a key is needed: add --key-file FILE, "
        "a file with a name and a key a line\n",
    )


def test_time_does_not_tell_which_key_nearly_fitted() -> None:
    """All keys are compared, whichever fits: the first of many takes as long as the last, and as none."""
    secrets = [f"key-number-{number:06d}-of-many" for number in range(3000)]
    keys = Keys({secret: hashlib.sha256(secret.encode()).digest() for secret in secrets})
    assert [keys.name_of(secret) for secret in (secrets[0], secrets[-1], KEY)] == [secrets[0], secrets[-1], None]

    def seconds(secret: str) -> float:
        began = time.perf_counter()
        keys.name_of(secret)
        return time.perf_counter() - began

    first, last, none = (statistics.median(seconds(each) for _ in range(25)) for each in (secrets[0], secrets[-1], KEY))
    assert max(first, last, none) < 3 * min(first, last, none)
