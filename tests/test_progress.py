"""The bar of long work, on a terminal only."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.progress import Progress
from tests.tools.helpers import DATA, terminal_output


class Terminal(io.StringIO):
    """Standard error that says it is one."""

    def isatty(self) -> bool:
        """As a terminal does."""
        return True


def verb(*arguments: object) -> list[str]:
    """The command line of a verb."""
    return [sys.executable, "-m", "open_nsfw", *map(str, arguments)]


def test_verify_shows_how_far_it_is(tmp_path: Path) -> None:
    """All 18 pictures and one that cannot be read, each scored in two ways; the line of that one stands apart from the
    bar; nothing where nobody looks."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff broken")
    arguments = verb("verify", DATA / "pushed", broken, "--against", "onnxruntime", "--engine", "onnxruntime")
    lines = terminal_output(arguments).replace("\r", "\n").splitlines()
    assert any("| 38/38 [" in line for line in lines)
    assert [line for line in lines if str(broken) in line] == [
        f"open-nsfw verify: {broken}: a damaged JPEG file: its header cannot be read"
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stderr == f"open-nsfw verify: {broken}: a damaged JPEG file: its header cannot be read\n"


def test_quantize_ranges_shows_how_far_it_is(tmp_path: Path) -> None:
    """Three times: decoding, measuring the ranges in two passes, measuring the margin."""
    for path in sorted((DATA / "held_back").glob("*.jpg"))[:40]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    output = terminal_output(verb("quantize-ranges", tmp_path, "--output", tmp_path / "ranges.json"))
    assert output.count("| 20/20 [") >= 2
    assert "| 40/40 [" in output


def test_calibrate_knows_how_many_pictures_a_folder_has(tmp_path: Path) -> None:
    """The bar has an end, and so a time left."""
    for package in ("sklearn", "matplotlib"):
        pytest.importorskip(package, reason=f"{package} is not installed in this interpreter")
    for index, path in enumerate(sorted((DATA / "pushed").glob("*.jpg"))):
        folder = tmp_path / "labelled" / ("sfw" if index % 2 else "nsfw")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
    assert "| 18/18 [" in terminal_output(verb("calibrate", tmp_path / "labelled", "--engine", "onnxruntime"))


def test_what_is_read_fast_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """One comes after a second, counts bytes, and is gone at the end."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(2000, reading="rows.jsonl") as progress:
        progress.advance(count=500)
        assert terminal.getvalue() == ""
        time.sleep(1.1)
        progress.advance(count=500)
        assert "reading rows.jsonl:  50%|" in terminal.getvalue() and " 1.00k/2.00k " in terminal.getvalue()
    assert terminal.getvalue().endswith(" \r")


def test_the_end_may_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that ends after the bar has, or does not know, hurts nothing; lines after the end are plain."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(lambda: None) as progress:
        progress.advance("0 failed")
        progress.say("a line")
    progress.advance()
    progress.say("another line")
    assert "1 pictures [" in terminal.getvalue()
    assert "a line\n" in terminal.getvalue()
    assert terminal.getvalue().endswith("another line\n")


def test_a_count_that_fails_is_left_to_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar has no end then."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def count() -> int:
        raise UsageError("no such list")

    with Progress(count) as progress:
        progress.advance()
        for thread in threading.enumerate():
            if thread.name == "counter":
                thread.join()
    assert "Traceback" not in terminal.getvalue() and "1 pictures [" in terminal.getvalue()


def test_nothing_is_counted_where_nobody_looks() -> None:
    """Counting walks all folders."""

    def count() -> int:
        raise AssertionError("counted")

    with Progress(count) as progress:
        progress.advance()
