"""What a decoder can do to the command, through the whole command: each kind of tests/tools/planted_decoders.py costs its own
picture its score, with the right word, and no other picture its own.

`FUZZ=20` runs them twenty times, in other orders, by other numbers of jobs, in the fast mode as well.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.helpers import DATA, FUZZ, ROOT
from tests.tools.planted_decoders import KINDS, plant

pytestmark = pytest.mark.once

# Their names begin with their scores. The paths are relative, which a decoder must not change the meaning of.
GOOD = [path.relative_to(ROOT) for path in sorted((DATA / "pushed").glob("*.jpg"))]
SECONDS = 600
MOST_FRAMES = 5


@pytest.fixture(name="planted", scope="module")
def _planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A picture for each kind."""
    return plant(tmp_path_factory.mktemp("planted"))


def scan(folder: Path, *arguments: str) -> list[list[dict[str, object]]]:
    """Rows of a run with the planted decoder on the import path, those of each input together."""
    line = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", "--format", "jsonl", *arguments]
    line += ["--max-seconds", "2", "--max-memory", "900000000", "--max-frames", str(MOST_FRAMES)]
    environment = {**os.environ, "PYTHONPATH": str(folder / "plugin")}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [list(group) for _, group in itertools.groupby(rows, key=lambda row: row["path"])]


def check(planted: dict[str, Path], names: list[str], *options: str) -> None:
    """Each kind's error is its own, and the good picture behind it has the score in its name."""
    inputs = [path for name, good in zip(names, itertools.cycle(GOOD)) for path in (planted[name], good)]
    found = scan(planted["crash"].parent, *options, *map(str, inputs))
    assert [rows[0]["path"] for rows in found] == [str(path) for path in inputs]
    errors = [[row["error"] for row in rows if row["error"] is not None] for rows in found[0::2]]
    expected = [[] if KINDS[name].error is None else [KINDS[name].error] for name in names]
    assert dict(zip(names, errors)) == dict(zip(names, expected))
    tolerance = 0.1 if "--fast" in options else 0.002
    for name, rows in zip(names, found[1::2]):
        (row,) = rows
        assert row["error"] is None, f"behind {name}"
        assert row["score"] == pytest.approx(float(Path(str(row["path"])).name[:5]), abs=tolerance), f"behind {name}"


def test_each_kind_costs_its_own_picture_only(planted: dict[str, Path]) -> None:
    """All kinds in one run with one decoding process at a time, a good picture behind each: what a kind leaves behind in
    the process, or in its pipe, would strike there."""
    check(planted, list(KINDS), "--jobs", "1")


@pytest.mark.skipif(FUZZ is None, reason="FUZZ=20 runs them twenty times, in other orders")
@pytest.mark.parametrize("seed", range(int(FUZZ or 0)))
def test_in_any_order(planted: dict[str, Path], seed: int) -> None:
    """One kind may prepare the ground for the next."""
    chance = random.Random(seed)
    names = list(KINDS)
    chance.shuffle(names)
    check(planted, names, "--jobs", str(chance.randint(1, 4)), *(["--fast"] if seed % 2 else []))


def test_what_it_gave_before_counts(planted: dict[str, Path]) -> None:
    """The frames before a picture that cannot be are scored; the only picture of a file has one row."""
    frames, single = scan(planted["crash"].parent, str(planted["answers-without-end"]), str(planted["picture-twice"]))
    assert [row["kind"] for row in frames] == ["frame"] * (2 * MOST_FRAMES + 1) + ["summary"]
    assert [row["score"] is None for row in frames] == [False] * 2 * MOST_FRAMES + [True, False]
    assert [(row["kind"], row["score"]) for row in single] == [("picture", None)]
