"""Two ways to score, compared through the pipeline."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.scan.compare import Comparison, Pair, RepeatableSources, compare
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item
from tests.tools.helpers import DATA, OTHER_PICTURE, PICTURE, caffemodel, small_net, write_model

OPTIONS = PipelineOptions(1)


@pytest.fixture(scope="module", name="exact")
def _exact() -> Models:
    """The packaged model."""
    return load_models(LoadOptions(engine="onnxruntime", threads=1))


@pytest.fixture(scope="module", name="fast")
def _fast() -> Models:
    """The packaged model's fast mode."""
    return load_models(LoadOptions(engine="onnxruntime", threads=1, fast=True))


def model(folder: Path, bias: float) -> Models:
    """A small net that gives every picture the same score; none where `bias` is NaN."""
    weights = {"c": [np.zeros((2, 3, 1, 1), np.float32), np.array([0, bias], np.float32)]}
    _, model_def, _, pretrained = write_model(folder, small_net(), caffemodel(weights))
    return load_models(LoadOptions(model_def, pretrained, "onnxruntime"))


def test_pairs_by_hand() -> None:
    """Sides and differences on literal scores."""
    near, far = Pair("near", 0.799998, 0.800002), Pair("far", 0.79, 0.81, twice=True)
    assert near.changes_sides(0.8) and far.changes_sides(0.8) and not far.changes_sides(0.2)
    assert far.score_difference == pytest.approx(0.02)
    assert Pair("", 0.5, 0.8).logit_difference == pytest.approx(np.log(4))
    assert Comparison((near, far)).moved((0.2, 0.8)) == [far]  # the other is as near as exact engines promise


def test_the_fast_mode_is_the_commands(exact: Models, fast: Models) -> None:
    """Its scores and what it scored twice are those that the pipeline gives, and its decisions the exact ones."""
    found = compare(RepeatableSources([str(DATA / "pushed")]), exact, fast, OPTIONS)
    assert len(found.pairs) == 18 and found.moved((0.2, 0.8)) == []
    assert [pair.twice for pair in found.pairs] == [pair.score_difference == 0 for pair in found.pairs]
    assert 10 <= sum(pair.twice for pair in found.pairs) < 18
    assert (found.unreadable, found.one_sided, found.ended_by) == (0, (), None)


def test_a_decision_of_the_pipeline_that_is_wrong_is_found(
    exact: Models, fast: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison runs the code of the command: broken there, it fails here."""
    monkeypatch.setattr("open_nsfw.scoring.scorer.escalates", lambda *_: False)
    found = compare(RepeatableSources([str(DATA / "pushed")]), exact, fast, OPTIONS)
    assert not any(pair.twice for pair in found.pairs)
    assert found.moved((0.2, 0.8)) != []


def test_what_only_one_way_can_score(tmp_path: Path) -> None:
    """It is told apart from a picture that neither can score; names are printable, and members have theirs."""
    told: list[str] = []
    items = [Item("a\n.jpg", "m\u00e9", data=PICTURE.read_bytes()), Item("b.jpg", data=b"text")]
    some, none = model(tmp_path, 0.0), model(tmp_path, float("nan"))
    name = "$'a\\x0a.jpg!m\u00e9'"
    assert compare(items, some, none, OPTIONS, told.append) == Comparison((), 1, (name,))
    assert compare(items, none, some, OPTIONS, told.append) == Comparison((), 1, (name,))
    assert compare(items, some, some, OPTIONS).pairs == (Pair(name, 0.5, 0.5),)
    assert [line.partition(": ")[0] for line in told] == [name, "b.jpg"] * 2
    assert told[0] == told[2] == f"{name}: the network's answer is no probability but nan"


def test_files_that_come_and_go(tmp_path: Path) -> None:
    """A file that was there for one way only is named; rows are joined by name, not by their order."""
    some = model(tmp_path, 0.0)

    class Changing:
        calls = 0

        def __iter__(self) -> Iterator[Item]:
            self.calls += 1
            names = ["a", "b", "b"] if self.calls == 1 else ["b", "b", "c"]
            return iter([Item(name, data=PICTURE.read_bytes()) for name in names])

    told: list[str] = []
    found = compare(Changing(), some, some, OPTIONS, told.append)
    assert [pair.name for pair in found.pairs] == ["b", "b"]
    assert found.one_sided == ("c", "a")
    assert told == ["c: only one of the two ways has it", "a: only one of the two ways has it"]


def test_frames_are_joined_by_number(exact: Models, tmp_path: Path) -> None:
    """Each frame has its pair, and the summary none."""
    shutil.copy(DATA / "pictures" / "animated.gif", tmp_path)
    options = PipelineOptions(1, Extraction(frames=FrameChoice("all")))
    found = compare(RepeatableSources([str(tmp_path)]), exact, exact, options)
    assert [pair.name.split()[1] for pair in found.pairs] == [f"#{frame}" for frame in range(len(found.pairs))]
    assert len(found.pairs) > 1
    assert all(pair.score_difference == 0 for pair in found.pairs)


@pytest.mark.parametrize("most_in_memory", [8_000_000, 100])
def test_what_can_be_read_once_is_kept(
    most_in_memory: int, exact: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A named pipe gives its picture to both ways, also one that is kept in a file for its size."""
    monkeypatch.setattr("open_nsfw.sources.payload.MOST_IN_MEMORY", most_in_memory)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(PICTURE.read_bytes()))
    writer.start()
    with RepeatableSources([str(pipe), str(OTHER_PICTURE)]) as sources:
        found = compare(sources, exact, exact, OPTIONS)
    writer.join()
    assert [pair.name for pair in found.pairs] == [str(pipe), str(OTHER_PICTURE)]
    assert found.pairs[0].reference == pytest.approx(0.4994, abs=1e-4)
    assert all(pair.score_difference == 0 for pair in found.pairs)
