"""`--views tiles` and `--upright` of the whole command: parts of pictures are scored as well, pictures are turned first."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import open_nsfw
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.scores_file import read_scores
from open_nsfw.rows.reader import read_rows
from open_nsfw.scoring.model_files import find_model_files
from tests.tools.films import film
from tests.tools.helpers import DATA, Result, run_command, small_net, write_model

LOW, HIGH = DATA / "pushed" / "0.050-chelsea.jpg", DATA / "pushed" / "0.990-coffee.jpg"
PLACE = (316, 20, 572, 276)  # of the high picture on the sheet
TILES = ("--views", "tiles")


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A contact sheet of a high picture and three low ones."""
    folder = tmp_path_factory.mktemp("views")
    sheet = Image.new("RGB", (592, 592), "white")
    with Image.open(LOW) as low, Image.open(HIGH) as high:
        for place in ((20, 20), (20, 316), (316, 316)):
            sheet.paste(low, place)
        sheet.paste(high, PLACE[:2])
    sheet.save(folder / "sheet.png")
    return folder


def run(*arguments: object, cwd: Path) -> Result:
    return run_command("--engine", "onnxruntime", *map(str, arguments), cwd=cwd)


def rows(*arguments: object, cwd: Path, status: int = 0) -> list[dict[str, Any]]:
    done = run("--format", "jsonl", *arguments, cwd=cwd)
    assert done.status == status, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_the_summary_says_where_the_highest_score_is(folder: Path) -> None:
    """The whole has the score of a run without views, a part that of its box as a picture of its own."""
    whole, *parts, summary = rows("sheet.png", *TILES, cwd=folder)
    (alone,) = rows("sheet.png", cwd=folder)
    assert {**whole, "views": None} == alone and whole["views"] == "tiles"
    assert [(part["kind"], part["part"], part["found_as"]) for part in parts] == [
        ("part", number, "cell") for number in range(4)
    ]
    assert [part["left"] for part in parts] == [20, 316, 20, 316]
    for part in parts:
        box = part["left"], part["top"], part["right"], part["bottom"]
        with Image.open(folder / "sheet.png") as sheet:
            sheet.crop(box).save(folder / "part.png")
        assert rows("part.png", cwd=folder)[0]["score"] == part["score"]
        assert (part["width"], part["height"]) == (592, 592)
    assert summary["kind"] == "summary" and summary["score"] == summary["max"] == parts[1]["score"] > 0.98
    assert (summary["part"], summary["found_as"]) == (1, "cell")
    assert (summary["left"], summary["top"], summary["right"], summary["bottom"]) == PLACE
    assert (summary["frames"], summary["parts"], summary["above"]) == (1, 4, 1)
    assert summary["mean"] == whole["score"] < 0.2


def test_text_begins_as_without_views(folder: Path) -> None:
    done = run("sheet.png", *TILES, cwd=folder)
    first, *_, last = done.out.splitlines()
    assert first + "\n" == run("sheet.png", cwd=folder).out
    assert last == (
        "NSFW score: 0.98999351263 sheet.png "
        "(highest of 5: cell at 316,20, 256 x 256 pixels, 1 at or over the threshold)"
    )
    assert "NSFW score: 0.98999351263 sheet.png part 1 (cell at 316,20, 256 x 256 pixels)" in done.out


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_format_has_the_same_rows(folder: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / "rows"
    assert run("sheet.png", *TILES, "--format", form, "--output", file, cwd=folder).status == 0
    assert [vars(row) for row in read_rows(str(file), form)] == rows("sheet.png", *TILES, cwd=folder)
    if form == "csv":
        with file.open(newline="") as opened:
            assert list(csv.DictReader(opened))[-1]["right"] == "572"


def test_decisions_hang_on_the_highest_score(folder: Path, tmp_path: Path) -> None:
    """The picture counts once, and as high; it is moved, and has the verdict."""
    policy = tmp_path / "policy.json"
    Policy((0.3, 0.7), model=find_model_files().short_hash).write(policy)
    shutil.copy(folder / "sheet.png", tmp_path)
    shutil.copy(LOW, tmp_path / "low.jpg")
    options = ("--fail-above", "0.8", "--move-above", "0.8", "out", "--policy", policy, "--format", "jsonl")
    done = run("sheet.png", "low.jpg", *TILES, *options, cwd=tmp_path)
    assert done.status == 3
    assert done.err.endswith(" pictures/s\n")
    assert "2 scored (1 allow, 0 review, 1 block), 1 at or above --fail-above 0.8, 1 file moved" in done.err
    assert (tmp_path / "out" / "sheet.png").exists() and (tmp_path / "low.jpg").exists()
    verdicts = {(row["path"], row["kind"]): row["verdict"] for row in map(json.loads, done.out.splitlines())}
    assert verdicts["sheet.png", "picture"] == "allow"
    assert verdicts["sheet.png", "summary"] == "block"
    assert verdicts["low.jpg", "summary"] == "allow"


def test_the_fast_mode_decides_alike(folder: Path) -> None:
    """Quick scores of the recipe's pixels, and exact ones near a threshold."""
    shutil.copy(HIGH, folder / "high.jpg")
    for name in ("sheet.png", "high.jpg"):
        exact, fast = rows(name, *TILES, cwd=folder), rows(name, *TILES, "--fast", cwd=folder)
        assert [row["part"] for row in fast] == [row["part"] for row in exact]
        for one, other in zip(exact, fast):
            sides = [[row["score"] >= threshold for threshold in (0.2, 0.8)] for row in (one, other)]
            assert sides[0] == sides[1]
            assert one["exact"] is True and (other["exact"] is False or other["score"] == one["score"])
        assert not all(row["exact"] for row in fast)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_resume_makes_what_one_run_would(folder: Path, tmp_path: Path, form: str) -> None:
    """From a file that a kill left in the middle of a picture's parts; and between runs with and without views."""
    for name in ("a.png", "b.png"):
        shutil.copy(folder / "sheet.png", tmp_path / name)
    journal = tmp_path / ("rows.journal" if form == "parquet" else "rows")
    common = ("--format", form, "--output", "rows", "a.png", "b.png")

    def written() -> list[dict[str, Any]]:
        return [vars(row) for row in read_rows(str(tmp_path / "rows"), form)]

    assert run(*common, *TILES, cwd=tmp_path).status == 0
    whole = written()
    assert len(whole) == 2 * 6
    if form != "parquet":  # whose journal is gone
        lines = journal.read_bytes().splitlines(keepends=True)
        head = len(lines) - len(whole)
        for left in (1, 3, 6, 8, 11):
            journal.write_bytes(b"".join(lines[: head + left]) + lines[head + left][:40])
            done = run(*common, *TILES, "--resume", cwd=tmp_path)
            assert done.counts == (2, 0)
            assert "(0 below 0.2, 0 in the middle, 2 at 0.8 or above)" in done.err
            assert written() == whole
    assert run(*common, "--resume", cwd=tmp_path).status == 0
    assert [row["kind"] for row in written()] == ["picture", "picture"]
    assert run(*common, "--resume", *TILES, cwd=tmp_path).status == 0
    assert written() == whole
    again = run(*common, "--resume", *TILES, cwd=tmp_path)
    assert "2 of them by earlier runs" in again.err


def test_resume_counts_by_the_thresholds_of_now(folder: Path, tmp_path: Path) -> None:
    common = ("--format", "jsonl", "--output", tmp_path / "rows", "sheet.png", *TILES)
    assert run(*common, cwd=folder).status == 0
    assert run(*common, "--resume", "--fail-above", "0.04", cwd=folder).status == 3
    assert json.loads((tmp_path / "rows").read_text().splitlines()[-1])["above"] == 4


def test_a_policy_is_checked_on_summaries(folder: Path, tmp_path: Path) -> None:
    """A file with parts counts once among the scores of a policy's traffic."""
    file = tmp_path / "rows.csv"
    assert run("sheet.png", LOW, *TILES, "--format", "csv", "--output", file, cwd=folder).status == 0
    scores = read_scores(str(file)).scores
    assert len(scores) == 2 and scores[0] > 0.98


# -------------------------------------------------------------------------------------- other files, with a small net


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A net that takes no time."""
    return write_model(tmp_path_factory.mktemp("model"), small_net())


def kinds(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["kind"], row["frame"], row["part"]) for row in found]


def test_every_frame_has_its_parts_and_the_file_one_summary(model: list[str], tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((140, 140, 3), grey, np.uint8)) for grey in (20, 120, 220)]
    frames[0].save(tmp_path / "loop.png", save_all=True, append_images=frames[1:], duration=500)
    (tmp_path / "clip.mkv").write_bytes(film(size=(160, 144)))
    for name, count in (("loop.png", 3), ("clip.mkv", 4)):
        found = rows(name, "--frames", "all", *TILES, *model, cwd=tmp_path)
        summary = found.pop()
        wholes = [row for row in found if row["kind"] == "frame"]
        assert len(wholes) == count
        expected = [("frame", row["frame"], None) for row in wholes]
        assert kinds(found) == [
            each for frame in expected for each in (frame, *(("part", frame[1], number) for number in range(13)))
        ]
        assert all(
            part["seconds"] == whole["seconds"] for whole in wholes for part in found if part["frame"] == whole["frame"]
        )
        best = max(found, key=lambda row: row["score"])
        assert summary["score"] == best["score"]
        where = ("frame", "seconds", "part", "left", "top", "right", "bottom")
        assert [summary[name] for name in where] == [best[name] for name in where]
        assert (summary["frames"], summary["parts"]) == (count, 13 * count)


def test_frames_are_limited_and_their_parts_are_not_counted(model: list[str], tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((140, 140, 3), grey, np.uint8)) for grey in (20, 120, 220)]
    frames[0].save(tmp_path / "loop.png", save_all=True, append_images=frames[1:])
    common = ("loop.png", "--frames", "all", "--max-frames", 2, *TILES, *model)
    found = rows(*common, cwd=tmp_path, status=1)
    assert len(found) == 2 * 14 + 1 + 1
    assert found[-2]["error"].startswith("too-many-frames: ")
    output = ("--format", "jsonl", "--output", "rows", "--resume")
    assert run(*common, *output, cwd=tmp_path).status == 1
    assert "1 failed; 3 of them by earlier runs" in run(*common, *output, cwd=tmp_path).err
    more = run(*common, *output, "--max-frames", 3, cwd=tmp_path)
    assert "0 failed; " in more.err and "earlier" not in more.err


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (60, 60)])
def test_what_has_no_parts_has_a_summary(model: list[str], tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "navy").save(tmp_path / "small.png")
    whole, summary = rows("small.png", *TILES, *model, cwd=tmp_path)
    assert (whole["kind"], summary["kind"]) == ("picture", "summary")
    assert summary["score"] == whole["score"] and summary["part"] is summary["left"] is None
    assert (summary["frames"], summary["parts"]) == (1, 0)
    assert run("small.png", *TILES, *model, cwd=tmp_path).out.endswith(
        "(highest of 1: the whole, 0 at or over the threshold)\n"
    )


def test_alpha_is_dropped_before_parts_are_looked_for(model: list[str], tmp_path: Path) -> None:
    """As in the recipe: what is transparent has the colour that the file has there."""
    image = Image.new("RGBA", (600, 600), (255, 255, 255, 0))
    image.paste(Image.effect_noise((150, 150), 90).convert("RGBA"), (300, 100))
    image.save(tmp_path / "clear.png")
    _, part, _ = rows("clear.png", *TILES, *model, cwd=tmp_path)
    assert (part["found_as"], part["left"], part["top"], part["right"], part["bottom"]) == (
        *("content", 300, 100),
        *(450, 250),
    )


def test_what_cannot_be_decoded_has_one_row(model: list[str], tmp_path: Path) -> None:
    """And costs nobody else its parts."""
    (tmp_path / "broken.jpg").write_bytes(LOW.read_bytes()[:3000])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "broken.jpg", "broken.jpg")
        archive.write(LOW, "low.jpg")
    found = rows("broken.jpg", "missing.jpg", "x.zip", *TILES, *model, cwd=tmp_path, status=1)
    assert [(row["kind"], row["error"] is None) for row in found[:3]] == [("picture", False)] * 3
    assert all(row["views"] is None for row in found[:3])
    assert [row["kind"] for row in found[3:]] == ["picture", *["part"] * 13, "summary"]


def test_a_picture_that_takes_too_much_memory_has_one_row(model: list[str], tmp_path: Path) -> None:
    Image.new("RGB", (12_000, 9_000), "teal").save(tmp_path / "huge.png")
    shutil.copy(LOW, tmp_path / "low.jpg")
    found = rows("huge.png", "low.jpg", *TILES, "--max-memory", "300MiB", *model, cwd=tmp_path, status=1)
    assert found[0]["error"].startswith("out-of-memory: ") and found[0]["kind"] == "picture"
    assert found[-1]["kind"] == "summary" and len(found) == 1 + 15


def test_the_library_has_views(folder: Path) -> None:
    found = list(open_nsfw.scan_rows(folder / "sheet.png", views="tiles"))
    assert [row.kind for row in found] == ["picture", *["part"] * 4, "summary"]
    (highest,) = open_nsfw.score_batch([folder / "sheet.png"], views="tiles")
    assert highest == found[-1].score > 0.98
    for call in (open_nsfw.scan_rows, open_nsfw.score_batch):
        with pytest.raises(open_nsfw.OpenNsfwError, match='^views "cells": there are tiles$'):
            list(call([folder / "sheet.png"], views="cells"))


# ------------------------------------------------------------------------------------------------------------ upright


@pytest.fixture(name="lying", scope="module")
def _lying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The high picture on its side, with and without the word that it is to be turned."""
    folder = tmp_path_factory.mktemp("lying")
    with Image.open(HIGH) as high:
        high.convert("RGB").save(folder / "upright.png")
        lies = high.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    lies.save(folder / "lying.png")
    exif = Image.Exif()
    exif[274] = 6
    lies.save(folder / "marked.png", exif=exif.tobytes())
    return folder


def test_a_turned_picture_scores_as_one_that_lies_upright(lying: Path) -> None:
    def score(name: str, *options: str) -> tuple[float, Any]:
        (row,) = rows(name, *options, cwd=lying)
        return row["score"], row["upright"]

    assert score("marked.png", "--upright") == (score("upright.png")[0], True)
    assert score("upright.png", "--upright") == (score("upright.png")[0], False)
    assert score("marked.png") == (score("lying.png")[0], None)
    assert score("marked.png")[0] != score("upright.png")[0]


def test_resume_scores_anew_what_was_turned_otherwise(lying: Path, tmp_path: Path) -> None:
    common = ("marked.png", "upright.png", "--format", "jsonl", "--output", tmp_path / "rows", "--resume")
    for options, upright in (((), [None, None]), (("--upright",), [True, False]), ((), [None, None])):
        done = run(*common, *options, cwd=lying)
        assert "of them by earlier runs" not in done.err
        found = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
        assert [row["upright"] for row in found] == upright
        assert found == rows("marked.png", "upright.png", *options, cwd=lying)


def test_boxes_of_a_turned_picture_are_places_in_what_is_seen(lying: Path, tmp_path: Path) -> None:
    wide = Image.new("RGB", (1200, 800), "white")
    with Image.open(HIGH) as high:
        wide.paste(high, (900, 40))
    exif = Image.Exif()
    exif[274] = 8
    wide.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "wide.png", exif=exif.tobytes())
    *_, summary = rows("wide.png", *TILES, "--upright", cwd=tmp_path)
    assert (summary["width"], summary["height"], summary["upright"]) == (1200, 800, True)
    assert (summary["left"], summary["top"]) == (900, 40)
    assert summary["score"] > 0.98


def test_the_cache_of_scores_keeps_parts_and_turned_pictures_apart(folder: Path, lying: Path, tmp_path: Path) -> None:
    """What a run with other options left there answers nothing, and one with the same gives the same rows."""
    files = (folder / "sheet.png", lying / "marked.png")
    for options in ((), TILES, ("--upright",), (*TILES, "--upright")):
        plain = rows(*files, *options, cwd=tmp_path)
        for answered in (False, True):
            done = run(*files, *options, "--format", "jsonl", "--cache", "cache", cwd=tmp_path)
            assert [json.loads(line) for line in done.out.splitlines()] == plain
            assert ("; 2 known by content; " in done.err) == answered, done.err
