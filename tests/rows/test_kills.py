"""A writer that is killed at any moment: for a longer hunt, FUZZ=20 python -m pytest tests/rows/test_kills.py"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.tools.helpers import ROOT, examples
from tests.tools.rows import (
    every_form,
    read,
)

# Writes the rows of ITEMS items that are not there yet: every fifth has frames and a summary. Names are long, so that
# a batch is many pages, and hard: bytes that are not UTF-8, quotes, line ends.
CHILD = """
import os, random, sys
from open_nsfw.rows.writer import OutputOptions, Row, open_writer
form, file, items = sys.argv[1], sys.argv[2], int(sys.argv[3])

def rows_of(number):
    path = f"{number}" + os.fsdecode(b'/\\xe9"\\r\\n,') + "x" * 3000
    if number % 5:
        return [Row(path, score=number / 1024, member=("m" if number % 2 else None))]
    frames = [Row(path, kind="frame", frame=frame, score=0.5) for frame in range(4)]
    return [*frames, Row(path, kind="summary", frames=4, score=0.5)]

with open_writer(OutputOptions(form, file, resume=True)) as writer:
    print("open", flush=True)
    batch = []
    for number in range(items):
        rows = rows_of(number)
        if not writer.is_done(rows[0].path, rows[0].member):
            batch += rows
        while len(batch) > 8:  # batches end in the middle of an item, too
            size = random.randint(1, 8)
            writer.write(batch[:size])
            del batch[:size]
    writer.write(batch)
"""


ITEMS = 1500


def rows_of(number: int) -> list[tuple[str, str | None, str, int | None]]:
    path = f"{number}" + os.fsdecode(b'/\xe9"\r\n,') + "x" * 3000
    if number % 5:
        return [(path, "m" if number % 2 else None, "picture", None)]
    return [(path, None, "frame", frame) for frame in range(4)] + [(path, None, "summary", None)]


def run_and_kill(form: str, file: Path, after: float) -> int:
    """The exit status; `after` seconds from the moment the file is open, the process is killed."""
    command = [sys.executable, "-c", CHILD, form, str(file), str(ITEMS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        return process.wait(timeout=60)


@every_form
def test_killed_at_any_moment_no_row_is_torn_twice_or_missing(form: str, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    chance = random.Random(form)
    statuses = [run_and_kill(form, file, chance.uniform(0, 0.03)) for _ in range(examples(12))]
    assert statuses.count(-signal.SIGKILL) >= 3, statuses
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, form, str(file), str(ITEMS)], cwd=ROOT, stdout=subprocess.PIPE
    ) as last:
        last.communicate(timeout=120)
    assert last.returncode == 0
    rows = read(file, form)
    wanted = [row for number in range(ITEMS) for row in rows_of(number)]
    assert Counter((row.path, row.member, row.kind, row.frame) for row in rows) == Counter(wanted)
    assert all(row.score == 0.5 or row.kind == "picture" for row in rows)
    assert os.listdir(tmp_path) == ["rows"]


def test_every_line_that_a_kill_left_is_whole_json_but_the_last(tmp_path: Path) -> None:
    for after in (0.001, 0.005, 0.01, 0.02):
        run_and_kill("jsonl", tmp_path / "rows", after)
        for line in (tmp_path / "rows").read_bytes().split(b"\n")[:-1]:
            assert json.loads(line)["path"]
