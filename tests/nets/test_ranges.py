"""The ranges file."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import ModelError
from open_nsfw.nets import ranges as ranges_file
from open_nsfw.nets.float_graph import FloatGraph
from open_nsfw.nets.ranges import Margins
from open_nsfw.scoring.int8_engine import Int8Engine, float_model
from open_nsfw.scoring.model_files import ModelFiles, find_model_files, read_ranges
from tests.tools.helpers import MODEL_DEF, NETS, ROOT, WEIGHTS
from tests.tools.noise_ranges import MARGIN, noise_ranges

PACKAGED = ROOT / "nsfw_model" / "quantization.json"


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """The packaged model."""
    return find_model_files(MODEL_DEF, WEIGHTS)


def test_the_packaged_ranges(files: ModelFiles) -> None:
    """For the packaged model, small, and with its margin's evidence."""
    known, content = read_ranges(files)
    assert content == PACKAGED.read_bytes()
    assert len(content) < 200_000
    assert known.model == files.digest
    assert known.reduced is not None
    for margin, largest in ((known.full, 2.5), (known.reduced, 2.0)):
        assert margin.pictures >= 400 and margin.near >= 200
        assert 0 < margin.median < margin.p99 < margin.p99_9 <= margin.worst
        assert margin.reach < margin.logits < largest
    assert set(known.tensors) == set(FloatGraph(float_model(files)).points)


def test_written_and_read_back(files: ModelFiles, tmp_path: Path) -> None:
    """Nothing is lost."""
    known, content = read_ranges(files)
    assert known.to_json().encode() == content
    (tmp_path / "again.json").write_text(known.to_json())
    assert read_ranges(files, tmp_path / "again.json")[0] == known


def _changed(**changes: Any) -> str:
    return json.dumps({**json.loads(PACKAGED.read_text()), **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a ranges file (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("[]", "not a ranges file (list indices must be integers or slices, not str)"),
        ("{}", "not a ranges file (no 'format')"),
        (_changed(format=2), "not a ranges file (format 2; this release reads 1)"),
        (_changed(full={**asdict(MARGIN), "logits": -1}), "not a ranges file (-1 is no possible value)"),
        (_changed(reduced={**asdict(MARGIN), "worst": float("nan")}), "not a ranges file (nan is no possible value)"),
        (_changed(full={**asdict(MARGIN), "reach": 10**400}), "not a ranges file (a number is too large)"),
        (_changed(full={**asdict(MARGIN), "reach": True}), "not a ranges file (true is not a number)"),
        (_changed(model=3), "not a ranges file (model or converter is not what it should be)"),
        (_changed(converter=1.5), "not a ranges file (model or converter is not what it should be)"),
        (
            _changed(tensors={"x": {"low": -1e300, "high": 1.0, "mean": []}}),
            "not a ranges file (-1e+300 is no possible value)",
        ),
        (
            _changed(tensors={"x": {"low": -1.0, "high": 1.0, "mean": "123"}}),
            'not a ranges file ("1" is not a number)',
        ),
        ("[" * 100_000, "not a ranges file (it is nested too deeply)"),
        (_changed(full=None), "not a ranges file (no margin)"),
        (_changed(factors={"x": [0]}), "not a ranges file (0 is no possible value)"),
    ],
)
def test_broken_ranges_files(files: ModelFiles, tmp_path: Path, content: str, message: str) -> None:
    """One line: which file, what is wrong, what to do."""
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(ModelError) as error:
        read_ranges(files, path)
    if sys.version_info >= (3, 13) and content == "{":
        message = message.replace("Expecting property name enclosed in double quotes", "Expecting property name")
        assert str(error.value).startswith(f"{path}: not a ranges file (Expecting property name")
        return
    assert str(error.value) == f"{path}: {message}; {ranges_file.REMEDY}"


def test_ranges_without_end(files: ModelFiles) -> None:
    """One line instead of all memory."""
    with pytest.raises(ModelError) as error:
        read_ranges(files, "/dev/zero")
    assert str(error.value) == f"/dev/zero: not a ranges file (more than 16,777,216 bytes); {ranges_file.REMEDY}"


def test_what_is_quoted_of_a_ranges_file_is_cut() -> None:
    """A name or value in it may have any length."""
    for content in (
        json.dumps({"format": "x" * 10_000}),
        json.dumps(
            {
                "format": 1,
                "model": "",
                "converter": 1,
                "tensors": {},
                "factors": {},
                "full": {"x" * 10_000: 1},
                "reduced": None,
            }
        ),
    ):
        with pytest.raises(ModelError) as error:
            ranges_file.parse(content.encode(), "ranges.json")
        assert len(str(error.value)) < 500


def test_missing_ranges_and_another_models(files: ModelFiles, tmp_path: Path) -> None:
    """A model of one's own has no packaged ranges."""
    with pytest.raises(ModelError) as error:
        read_ranges(files, tmp_path / "none.json")
    assert (
        str(error.value) == f"{tmp_path / 'none.json'}: cannot be read: No such file or directory; {ranges_file.REMEDY}"
    )
    other = find_model_files(NETS / "convolution.prototxt", NETS / "convolution.caffemodel")
    with pytest.raises(ModelError) as error:
        Int8Engine(other)
    assert str(error.value) == (
        f"{PACKAGED}: these ranges are of the model {files.digest[:12]}, not of {other.short_hash} "
        f"({other.pretrained_model}); {ranges_file.REMEDY}"
    )


def test_margins_hold_where_they_were_measured(files: ModelFiles) -> None:
    """A threshold beyond 0.02 or 0.98 gets the worst difference of all pictures, with the same headroom."""
    known = noise_ranges(float_model(files))
    assert known.margins_for((0.02, 0.98)) == Margins(1.0, float("inf"))
    far = replace(known, full=replace(MARGIN, worst=2.0), reduced=replace(MARGIN, logits=3.0))
    assert far.margins_for((0.5,)) == Margins(1.0, 3.0)
    assert far.margins_for((0.01, 0.5)) == Margins(2.5, 3.0)
    assert far.margins_for((0.981,)) == Margins(2.5, 3.0)
