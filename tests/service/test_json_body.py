"""Bodies of JSON that cost more than they are: refused before they are objects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from open_nsfw.service.json_body import object_in
from open_nsfw.service.options import Bounds
from open_nsfw.service.refusals import Refusal
from tests.tools.helpers import PICTURE
from tests.tools.hosts import photoprism_ask
from tests.tools.service import Running, multipart, serving

PATHS = ("/v1/score", "/api/v1/vision/nsfw")
SIZE = 15_000_000
MOST_GROWTH = 400 * 1024  # KiB; parsed, three of them would take over a gigabyte


def peak(service: Running) -> int:
    """KiB at most in memory so far."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_many_small_values(tmp_path: Path) -> None:
    """Several such bodies at once leave the service its memory, and the next good request is answered."""
    with serving(tmp_path) as service, ThreadPoolExecutor(3) as clients:

        def ask(path: str) -> int:
            return service.ask("POST", path, body, {"Content-Type": "application/json"}).status

        before = peak(service)
        for piece in (b"{},", b"[],", b'"ab",', b"0,"):
            body = b'{"items":[' + piece * (SIZE // len(piece)) + b"0]}"
            for path in PATHS:
                assert list(clients.map(ask, [path] * 3)) == [400] * 3
        assert peak(service) - before < MOST_GROWTH
        assert photoprism_ask(service, [PICTURE.read_bytes()]).status == 200


def test_what_items_can_have_is_read() -> None:
    """Names full of quotes too, as many as there may be."""
    import json

    bounds = Bounds(max_parts=20)
    items = [{"name": '"' * 500, "data": "x"} for _ in range(20)]
    assert object_in(json.dumps({"items": items}).encode(), bounds) == {"items": items}
    with pytest.raises(Refusal, match="more values than 20 items"):
        object_in(json.dumps({"items": items * 3}).encode(), bounds)
    for wrong in (b"", b"{", b"[]", b"1", b"[" * 5000, b"\xff", b'{"a": 1e999' + b"9" * 5000 + b"}x"):
        with pytest.raises(Refusal):
            object_in(wrong, bounds)


def test_odd_headers_of_parts_write_nothing_into_the_log(tmp_path: Path) -> None:
    """The parser's own remarks are a stranger's words."""
    body, headers = multipart([("a", PICTURE.read_bytes())])
    with serving(tmp_path) as service:
        for wrong in (b"\xff", b"\n", b"\0"):
            assert service.score(body.replace(b"Content-Disposition", b"Content" + wrong), "", headers).status in (
                200,
                400,
            )
        assert service.stop() == 0
        assert service.process.stderr is not None
        assert service.process.stderr.read() == "open-nsfw serve: stopped\n"
