"""`classify_nsfw --explain`: the cells in the rows of every format, and what --resume makes of rows without them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from open_nsfw import Explainer, load_model
from open_nsfw.rows.reader import read_rows
from tests.tools.helpers import DATA, PICTURE, engines, run_command, small_net, write_model
from tests.tools.rows import every_form

ANIMATION = DATA / "pictures" / "animated.gif"


@every_form
def test_cells_are_in_every_format(tmp_path: Path, form: str) -> None:
    """Those of the library; a summary has those of its highest frame; what failed has none."""
    file = tmp_path / "rows"
    inputs = [str(PICTURE), str(ANIMATION), "missing.jpg"]
    options = ["--frames", "all", "--explain", "--engine", "onnxruntime", "--format", form, "--output", str(file)]
    assert run_command(*inputs, *options).status == 1
    picture, *frames, summary, missing = read_rows(str(file), form)
    expected = Explainer(load_model(engine="onnxruntime", threads=1)).explain(PICTURE)
    np.testing.assert_array_equal(np.array(picture.cells, np.float32), expected.cells)
    assert (picture.score, picture.bias) == (expected.score, expected.bias)
    for row in (picture, *frames):
        assert row.score is not None and row.bias is not None and row.cells is not None
        logit = row.bias + sum(map(sum, row.cells))
        assert 1 / (1 + np.exp(-logit)) == pytest.approx(row.score, abs=1e-6)
    highest = max(frames, key=lambda row: row.score or 0)
    assert len(frames) > 1 and summary.kind == "summary"
    assert (summary.score, summary.cells) == (highest.score, highest.cells)
    assert missing.cells is None and missing.bias is None


@pytest.mark.parametrize("engine", engines())
def test_scores_are_the_same(engine: str) -> None:
    """To the last bit, with and without."""
    folder = str(DATA / "pushed")
    plain, explained = (
        run_command(folder, "--engine", engine, "--format", "jsonl", *options).out for options in ((), ("--explain",))
    )
    pairs = [(json.loads(one), json.loads(other)) for one, other in zip(plain.splitlines(), explained.splitlines())]
    assert len(pairs) == 18
    for one, other in pairs:
        assert one["cells"] is None and other["cells"] is not None
        assert {**other, "cells": None, "bias": None} == one


def test_resume_explains_what_was_not(tmp_path: Path) -> None:
    """Rows without cells are made anew; those that have them stay."""
    file = tmp_path / "rows.jsonl"
    options = ["--engine", "onnxruntime", "--format", "jsonl", "--output", str(file)]
    assert run_command(PICTURE, *options).status == 0
    assert run_command(PICTURE, ANIMATION, *options, "--resume", "--explain").status == 0
    before = file.read_bytes()
    assert [json.loads(line)["cells"] is None for line in before.splitlines()] == [False, False]
    assert "2 of them by earlier runs" in run_command(PICTURE, ANIMATION, *options, "--resume", "--explain").err
    assert "2 of them by earlier runs" in run_command(PICTURE, ANIMATION, *options, "--resume").err
    assert file.read_bytes() == before


def test_refusals(tmp_path: Path) -> None:
    """One line each."""
    done = run_command(PICTURE, "--explain", "--fast")
    line = "--explain and --fast cannot be combined: what is explained is the exact score"
    assert (done.status, done.err) == (2, f"classify_nsfw: error: {line}\n")
    done = run_command(PICTURE, "--explain", "--engine", "openvino", "--precision", "int8")
    assert (done.status, done.err) == (2, f"classify_nsfw: error: {line.replace('--fast', '--precision')}\n")
    model = write_model(tmp_path, small_net(kind="Sigmoid"))
    done = run_command(PICTURE, "--explain", "--engine", "onnxruntime", *model)
    assert done.status == 2 and done.out == ""
    assert done.err.endswith('makes "prob"; open-nsfw explain --occlusion takes any net\n')
