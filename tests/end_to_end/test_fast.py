"""The fast mode through the real command: quick scores where nothing hangs on them, exact ones elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from open_nsfw.calibration.policy import Policy
from open_nsfw.cli import quantize_ranges
from open_nsfw.pictures.formats import SIDE
from tests.tools.helpers import DATA, PICTURE, ROOT, caffemodel, small_net, write_model

PUSHED, HELD_BACK = DATA / "pushed", DATA / "held_back"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command with ONNX Runtime."""
    line = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def rows(*arguments: object) -> dict[str, dict[str, Any]]:
    """Rows by path."""
    done = run("--format", "jsonl", *arguments)
    assert done.returncode == 0, done.stderr
    found = {row["path"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert len(found) == len(done.stdout.splitlines()), "a picture has two rows"
    return found


@pytest.fixture(scope="module", name="photos")
def _photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pushed pictures at four times their size, so that they are decoded at reduced size, and as they are."""
    folder = tmp_path_factory.mktemp("photos")
    for path in PUSHED.iterdir():
        shutil.copy(path, folder / path.name)
        with Image.open(path) as image:
            large = image.resize((8 * SIDE, 6 * SIDE), Image.Resampling.BICUBIC)
        large.save(folder / f"large-{path.name}", quality=92)
    return folder


def test_decisions_are_the_exact_ones(photos: Path) -> None:
    """Every picture on the side of both thresholds that its exact score is on; those near one have the exact score."""
    exact, fast = rows(photos), rows(photos, "--fast")
    assert list(fast) == list(exact)
    for path, row in fast.items():
        score = exact[path]["score"]
        assert [row["score"] >= threshold for threshold in (0.2, 0.8)] == [score >= 0.2, score >= 0.8], path
        assert row["exact"] is (row["score"] == score), path
        assert (row["width"], row["height"]) == (exact[path]["width"], exact[path]["height"])
    assert all(row["exact"] is True for row in exact.values())
    assert {row["exact"] for row in fast.values()} == {True, False}


def test_the_summary_counts_what_was_scored_twice(photos: Path) -> None:
    """As many as rows that are exact."""
    twice = sum(row["exact"] for row in rows(photos, "--fast").values())
    assert re.search(rf", {twice} scored twice, 0 failed;", run(photos, "--fast").stderr)


def test_thresholds_decide_what_is_scored_twice(photos: Path) -> None:
    """Near a threshold of one's own every picture is exact, however far from the default ones; and so it is with
    --fail-above, which something hangs on too."""
    picture = photos / "0.050-chelsea.jpg"
    for options in (("--thresholds", "0.05"), ("--fail-above", "0.06"), ("--copy-above", "0.06", photos / "out")):
        assert rows(picture, "--fast", *options)[str(picture)]["exact"] is True
    far = DATA / "pictures" / "rgb.png"
    assert rows(far, "--fast")[str(far)]["exact"] is False
    assert rows(far, "--fast", "--thresholds", "0.5")[str(far)]["exact"] is False


def test_a_policys_thresholds_count_beside_those_asked_for(photos: Path, tmp_path: Path) -> None:
    """The verdict hangs on them."""
    policy = tmp_path / "policy.json"
    Policy((0.3, 0.7)).write(policy)
    options = ("--policy", policy, "--policy-for-any-model")
    exact = rows(photos, *options)
    fast = rows(photos, *options, "--fast", "--thresholds", "0.999")
    assert [row["verdict"] for row in fast.values()] == [row["verdict"] for row in exact.values()]


def test_the_summary_is_of_the_thresholds_asked_for(photos: Path) -> None:
    """Others would be counted by quick scores."""
    assert re.search(
        r": 36 scored \(\d+ below 0\.1, \d+ at 0\.1 or above\)", run(photos, "--fast", "--thresholds", "0.1").stderr
    )
    exact = [row["score"] for row in rows(photos).values()]
    below, between, above = (
        sum(low <= score < high for score in exact) for low, high in ((0, 0.1), (0.1, 0.6), (0.6, 2))
    )
    wanted = f"({below} below 0.1, {between} in the middle, {above} at 0.6 or above)"
    assert wanted in run(photos, "--fast", "--thresholds", "0.6,0.1").stderr
    three = run(photos, "--fast", "--thresholds", "0.1,0.5,0.6").stderr
    assert re.search(r"\(\d+ below 0\.1, \d+ from 0\.1 to 0\.5, \d+ from 0\.5 to 0\.6, \d+ at 0\.6 or above\)", three)


def test_rows_say_what_computed_the_score(photos: Path) -> None:
    """The int8 net where the score is not exact."""
    for row in rows(photos, "--fast").values():
        assert row["engine"] == ("onnxruntime" if row["exact"] else "onnxruntime-int8")


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        (("--fast",), True),
        (("--fast", "--thresholds", "0.9"), True),
        (("--fast", "--thresholds", "THERE"), False),
        (("--fast", "--fail-above", "THERE"), False),
        ((), False),
    ],
)
def test_resume_keeps_quick_scores_only_where_they_will_do(
    tmp_path: Path, options: tuple[str, ...], stays: bool
) -> None:
    """Far from the thresholds of now, and not without --fast."""
    output, picture = tmp_path / "rows.jsonl", DATA / "pictures" / "rgb.png"
    assert run(picture, "--fast", "--format", "jsonl", "--output", output).returncode == 0
    (before,) = map(json.loads, output.read_text().splitlines())
    assert before["exact"] is False
    options = tuple(each.replace("THERE", f"{before['score']:.12f}") for each in options)
    run(picture, *options, "--format", "jsonl", "--output", output, "--resume")
    (after,) = map(json.loads, output.read_text().splitlines())
    assert after["exact"] is not stays
    assert (after["score"] == before["score"]) is stays


def test_resume_keeps_the_row_of_a_picture_that_is_gone(tmp_path: Path) -> None:
    """It cannot be had again."""
    output, picture = tmp_path / "rows.jsonl", tmp_path / "picture.png"
    shutil.copy(DATA / "pictures" / "rgb.png", picture)
    assert run(picture, "--fast", "--format", "jsonl", "--output", output).returncode == 0
    before = output.read_text()
    picture.unlink()
    assert run(PICTURE, "--format", "jsonl", "--output", output, "--resume").returncode == 0
    assert output.read_text().startswith(before)


def test_archives_are_scored_again_from_their_bytes(photos: Path, tmp_path: Path) -> None:
    """A member of an archive is not read a second time, but its bytes are decoded a second time."""
    packed = shutil.make_archive(str(tmp_path / "photos"), "zip", photos)
    done = run("--format", "jsonl", "--fast", packed)
    members = {row["member"]: row for row in map(json.loads, done.stdout.splitlines())}
    plain = {Path(path).name: row for path, row in rows(photos, "--fast").items()}
    assert {name: (row["score"], row["exact"]) for name, row in members.items()} == {
        name: (row["score"], row["exact"]) for name, row in plain.items()
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--thresholds", "0.5"), "--thresholds needs --fast"),
        (("--ranges", "x.json"), "--ranges needs --fast"),
        (
            ("--fast", "--precision", "int8"),
            "--fast and --precision cannot be combined: the fast mode has its own precisions",
        ),
        (("--precision", "int8"), "--precision int8 needs --engine openvino"),
        (("--fast", "--thresholds", "2"), '--thresholds "2": scores from 0 to 1 are needed, separated by commas'),
    ],
)
def test_what_makes_no_sense(options: tuple[str, ...], message: str) -> None:
    """One line and exit status 2."""
    done = run(PICTURE, *options)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"classify_nsfw: error: {message}\n")


def test_another_net_needs_ranges(tmp_path: Path) -> None:
    """The packaged ranges are not taken for a net that they were not measured on; the line says how to make some."""
    done = run(*write_model(tmp_path, small_net()), "--fast", PICTURE)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "open-nsfw quantize-ranges FOLDER --output FILE" in done.stderr


def test_a_bad_picture_costs_no_other_of_its_batch_its_score(photos: Path, tmp_path: Path) -> None:
    """Several pictures go through the network at once: whatever stands beside them, their rows are the same."""
    good = [*sorted(photos.iterdir())[::4], DATA / "pictures" / "rgb.png", DATA / "pictures" / "animated.gif"]
    mixed = []
    for index, path in enumerate(good):
        truncated, text = tmp_path / f"truncated-{index}.jpg", tmp_path / f"text-{index}.jpg"
        truncated.write_bytes((photos / "0.500-rocket.jpg").read_bytes()[:5000])
        text.write_text("no picture")
        mixed += [path, truncated, text]
    options = ("--format", "jsonl", "--fast", "--jobs", "1", "--frames", "all")
    forward, backward, alone = (
        [json.loads(line) for line in run(*options, *order).stdout.splitlines()] for order in (mixed, mixed[::-1], good)
    )
    assert list(dict.fromkeys(row["path"] for row in forward)) == list(map(str, mixed))
    assert len(forward) == len(backward) == len(alone) + 2 * len(good)
    assert [row for row in forward if row["error"] is None] == alone
    assert sorted(map(json.dumps, forward)) == sorted(map(json.dumps, backward))
    for name, code in (("truncated", "truncated: "), ("text", "not-a-picture: ")):
        errors = [row["error"] for row in forward if Path(row["path"]).name.startswith(name)]
        assert len(errors) == len(good) and all(error.startswith(code) for error in errors)


@pytest.mark.parametrize("side", [64, 227, 256])
def test_nets_of_other_sizes(photos: Path, tmp_path: Path, side: int) -> None:
    """A quick score is of as many pixels as the net reads. Without a margin for JPEG at reduced size they are all
    scored exactly."""
    weights = np.random.default_rng(side).normal(0, 0.02, (2, 3, 1, 1)).astype(np.float32)
    model = write_model(tmp_path, small_net(height=side, width=side), caffemodel({"c": [weights, np.zeros(2)]}))
    ranges = tmp_path / "ranges.json"
    options = ("--output", str(ranges), *model)
    assert quantize_ranges.main([str(HELD_BACK), *options]) == 0
    exact = rows(photos, *model)
    middle = sorted(row["score"] for row in exact.values())[len(exact) // 2]
    fast = rows(photos, *model, "--fast", "--ranges", ranges, "--thresholds", middle)
    assert list(fast) == list(exact)
    quick = [path for path, row in fast.items() if not row["exact"]]
    assert len(quick) > 5
    assert not any(Path(path).name.startswith("large-") for path in quick)
    for path, row in fast.items():
        difference = abs(row["score"] - exact[path]["score"])
        assert 0 < difference < 0.02 if path in quick else difference == 0, path
