"""Pictures of one content, in one run and in many: who is scored, who is not, and what the rows are then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from open_nsfw.errors import ERROR_CODES, InputError
from open_nsfw.nets.ranges import Margins
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.pictures.picture import Picture
from open_nsfw.rows.row import Row
from open_nsfw.scan import content
from open_nsfw.scan.content import content_of
from open_nsfw.scan.facts import LASTING_ERRORS, Facts
from open_nsfw.scan.facts_json import from_bytes, to_bytes
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scan.recall import Recall
from open_nsfw.scan.results import ItemResult
from open_nsfw.scan.score_cache import ScoreCache
from open_nsfw.scoring.classifier import Score
from open_nsfw.scoring.scorer import Models, Scored
from open_nsfw.sources.item import Item
from tests.scan.test_pipeline import BROKEN, SMALL, Brightness, items, plain_picture
from tests.tools.helpers import DATA
from tests.tools.planted_decoders import KINDS, plant

ANIMATION = (DATA / "pictures" / "animated.gif").read_bytes()
PAGES = (DATA / "pictures" / "multi-page.tif").read_bytes()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ScoreCache]:
    """An empty one."""
    with ScoreCache(str(tmp_path / "cache"), 1 << 24) as opened:
        yield opened


class Batches(Brightness):
    """An engine that takes one caller, and batches."""

    def __init__(self) -> None:
        super().__init__()
        self.engine.concurrent, self.engine.batch_size = False, 8


def models(exact: Brightness, quick: Brightness | None = None, *thresholds: float) -> Models:
    """Classifiers that take no time."""
    return Models(exact, quick, thresholds)  # type: ignore[arg-type]


def scan(found: list[Item], used: Models, options: PipelineOptions) -> list[Row]:
    """All rows."""
    with Pipeline(options) as pipeline:
        pipeline.start(found)
        pipeline.use(used)
        return [row for each in pipeline.rows() for row in each]


def count(used: Any) -> int:
    """How many pictures a classifier had to score."""
    return sum(used.batches)


@pytest.mark.parametrize("kind", [Brightness, Batches])
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_copies_are_scored_once_in_a_run(cache: ScoreCache, jobs: int, quick: bool, kind: type[Brightness]) -> None:
    """Though they come at the same time; each row has its own name, and the score of its own content."""
    exact, fast = kind(), Brightness() if quick else None
    pictures = [plain_picture(grey) if grey % 100 else SMALL[0] for grey in range(0, 250, 50)]
    found = [Item(str(index), data=pictures[index % 5]) for index in range(200)]
    rows = scan(found, models(exact, fast), PipelineOptions(jobs, quick=quick, cache=cache))
    fresh = scan(found, models(kind(), Brightness() if quick else None), PipelineOptions(jobs, quick=quick))
    assert rows == fresh and [row.path for row in rows] == [str(index) for index in range(200)]
    assert count(fast or exact) == 3, "three different contents: a JPEG, and two colours"
    assert cache.found == 197


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("frames", ["first", "all", "max=2"])
def test_a_second_run_scores_nothing(cache: ScoreCache, frames: str, jobs: int) -> None:
    """Whatever the file holds, errors that lie in it included; its rows are those of a run without a cache."""
    found = [*items(60), Item("a.gif", data=ANIMATION), Item("p.tif", data=PAGES), Item("t.txt", data=b"no picture")]
    found = [replace(each, size=7, modified=float(index), member=f"m{index}") for index, each in enumerate(found)]
    extraction = Extraction(frames=FrameChoice.parse(frames), hash=True)
    options = PipelineOptions(jobs, extraction, above=0.4, verdict=lambda score: f"{score > 0.5}")
    fresh = scan(found, models(Brightness()), options)
    first, second = Brightness(), Brightness()
    for used in (first, second):
        assert scan(found, models(used), replace(options, cache=cache)) == fresh
    assert count(first) < count(Brightness()) + 60 and second.batches == []
    assert {row.error.partition(":")[0] for row in fresh if row.error} == {"unreadable", "truncated", "not-a-picture"}


def test_names_hashes_verdicts_and_counts_are_of_the_run(cache: ScoreCache) -> None:
    """What does not come from the content is not kept: the second run needs no score for it."""
    animation = PipelineOptions(1, Extraction(frames=FrameChoice("all")), above=0.1, cache=cache)
    scan([Item("a", data=ANIMATION)], models(Brightness()), animation)
    changed = Extraction(frames=FrameChoice("all"), hash=True, max_memory=10**9)
    other = replace(animation, extraction=changed, above=0.9, max_seconds=5, verdict=lambda score: "mine")
    used = Brightness()
    rows = scan([Item("b", member="c", data=ANIMATION, modified=1.0)], models(used), other)
    assert used.batches == []
    assert rows == scan([Item("b", member="c", data=ANIMATION, modified=1.0)], models(used), replace(other, cache=None))
    assert (rows[-1].kind, rows[-1].above, rows[-1].verdict, rows[-1].member) == ("summary", 0, "mine", "c")


class Changed(Brightness):
    """The same numbers by something else."""

    def __init__(self, **engine: Any) -> None:
        super().__init__()
        vars(self.engine).update(engine)


FAST = PipelineOptions(1, quick=True)
OTHER_WAYS = {
    "more than a score": (models(type("Explainer", (Brightness,), {})()), PipelineOptions(1)),
    "model": (models(Changed(model_hash="1")), PipelineOptions(1)),
    "engine": (models(Changed(name="other")), PipelineOptions(1)),
    "ranges": (models(Changed(made_from="1")), PipelineOptions(1)),
    "not exact": (models(Changed(exact=False)), PipelineOptions(1)),
    "fast": (models(Brightness(), Brightness()), FAST),
    "fast, thresholds": (models(Brightness(), Brightness(), 0.3), FAST),
    "fast, margins": (replace(models(Brightness(), Brightness()), margins=Margins(0.1, 0.2)), FAST),
    "frames": (models(Brightness()), PipelineOptions(1, Extraction(frames=FrameChoice("all")))),
    "every": (models(Brightness()), PipelineOptions(1, Extraction(frames=FrameChoice(every_seconds=2)))),
    "most frames": (models(Brightness()), PipelineOptions(1, Extraction(frames=FrameChoice(max_frames=2)))),
    "most pixels": (models(Brightness()), PipelineOptions(1, Extraction(Limits(max_pixels=10**6)))),
    "most bytes": (models(Brightness()), PipelineOptions(1, Extraction(Limits(max_bytes=10**6)))),
}


def test_another_way_to_score_has_entries_of_its_own(cache: ScoreCache) -> None:
    """Each in its turn scores the picture though all before it have, and a second time none does: an exact score is never
    answered by a quick one, nor one model's by another's."""
    ways = {"plain": (models(Brightness()), PipelineOptions(1)), **OTHER_WAYS}
    for scored in (1, 0):
        for name, (used, options) in ways.items():
            classifiers: list[Any] = [used.exact, *([] if used.quick is None else [used.quick])]
            for each in classifiers:
                each.batches.clear()
            (row,) = scan([Item("a", data=SMALL[1])], used, replace(options, cache=cache))
            assert (row.score is not None, sum(map(count, classifiers))) == (True, scored), name


def test_what_befell_a_picture_is_not_kept(
    cache: ScoreCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash, a time-out, too little memory: the next run tries again, and so does a copy in the same run. What the
    decoder says of the picture is kept."""
    planted = plant(tmp_path / "planted")
    monkeypatch.syspath_prepend(tmp_path / "planted" / "plugin")
    options = PipelineOptions(2, max_seconds=1, cache=cache)
    for name in ("crash", "hang", "no-memory", "no-json"):
        found = [Item(str(planted[name])), Item(str(planted[name]))]
        for _ in range(2):
            errors = {row.error for row in scan(found, models(Brightness()), options)}
            assert errors == {str(KINDS[name].error).replace("2 s", "1 s")}
    assert cache.found == 0
    for expected in (1, 3):
        scan([Item(str(planted["raise"])), Item(str(planted["raise"]))], models(Brightness()), options)
        assert cache.found == expected
    assert caplog.messages == []


def test_what_the_source_says_of_an_item_is_not_kept(cache: ScoreCache, tmp_path: Path) -> None:
    """Files that are not there, folders, empty files, files over the limit."""
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(SMALL[0])
    names = [str(tmp_path / name) for name in ("none", "empty", "large")] + [str(tmp_path)]
    options = PipelineOptions(1, Extraction(Limits(max_bytes=len(SMALL[0]) - 1)), cache=cache)
    for _ in range(2):
        rows = scan([Item(name) for name in names], models(Brightness()), options)
        codes = [str(row.error).partition(":")[0] for row in rows]
        assert codes == ["not-found", "empty", "too-many-bytes", "is-a-directory"]
    assert cache.found == 0


def test_a_large_file_that_somebody_writes_into_is_not_kept(
    cache: ScoreCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read twice: to be hashed, and to be decoded."""
    monkeypatch.setattr(content, "MOST_IN_MEMORY", 10)
    path = tmp_path / "a.png"
    path.write_bytes(plain_picture(10))
    hashed = content.content_of

    def rewritten(item: Item, limits: Limits) -> Any:
        found = hashed(item, limits)
        path.write_bytes(plain_picture(200))
        return found

    monkeypatch.setattr("open_nsfw.scan.recall.content_of", rewritten)
    (row,) = scan([Item(str(path))], models(Brightness()), PipelineOptions(1, cache=cache))
    assert row.score == pytest.approx(200 / 255, abs=0.01)
    monkeypatch.setattr("open_nsfw.scan.recall.content_of", hashed)
    path.write_bytes(plain_picture(10))
    for found in (0, 1):
        (row,) = scan([Item(str(path))], models(Brightness()), PipelineOptions(1, cache=cache))
        assert (row.score, cache.found) == (pytest.approx(10 / 255, abs=0.01), found)


def test_the_content_of_an_item(tmp_path: Path) -> None:
    """The same for a path, an open file and bytes; none of what would have to be waited for."""
    path, pipe = tmp_path / "a.png", tmp_path / "pipe.png"
    path.write_bytes(SMALL[1])
    os.mkfifo(pipe)
    with open(path, "rb") as file:
        file.read(7)
        for item in (Item(str(path)), Item("-", data=SMALL[1]), Item("a", file=file)):
            found = content_of(item, Limits())
            assert found is not None and found.is_unchanged
            assert (found.sha256.hex()[:8], found.size) == ("ebf4f635", 69) or found.size == len(SMALL[1])
        assert file.tell() == 0
    assert content_of(Item(str(pipe)), Limits()) is None
    assert content_of(Item("a\0b"), Limits()) is None
    assert content_of(Item("a", error=InputError("empty", "nothing")), Limits()) is None


def test_an_exception_in_one_job_does_not_keep_the_others_waiting(cache: ScoreCache) -> None:
    """The engine fails on the first of many copies: the run ends with its exception."""

    class Failing(Brightness):
        def score_pixels(self, pixels: Any) -> Any:
            raise RuntimeError("no more memory")

    copies = [Item(str(index), data=SMALL[0]) for index in range(20)]
    with pytest.raises(RuntimeError, match="no more memory"):
        scan(copies, models(Failing()), PipelineOptions(3, cache=cache))
    with pytest.raises(RuntimeError, match="no more memory"):
        scan(copies, models(type("", (Failing, Batches), {})()), PipelineOptions(3, cache=cache))
    assert len(scan(copies, models(Brightness()), PipelineOptions(3, cache=cache))) == 20


def test_facts_as_bytes() -> None:
    """They come back as they were, to the last digit; what is none is refused."""
    rows = (
        Row("", kind="frame", frame=0, seconds=0.1, score=1 / 3, exact=True, width=2, height=1, format="GIF"),
        Row("", kind="frame", frame=1, error="truncated: it \x1b ends \udcff"),
    )
    facts = Facts(rows, InputError("undecodable", "damaged"), was_opened=True)
    back = from_bytes(to_bytes(facts))
    assert (back.rows, back.was_opened) == (rows, True)
    assert back.error is not None and (back.error.code, back.error.reason) == ("undecodable", "damaged")
    whole = json.loads(to_bytes(facts))
    for wrong in ({}, {"pictures": [{"score": 2}]}, {"pictures": [{"frame": "0"}]}, {"error": ["no-code", "x"]}):
        with pytest.raises(ValueError):
            from_bytes(json.dumps({**({} if not wrong else whole), **wrong}).encode())
    with pytest.raises(ValueError):
        to_bytes(Facts((Row("", seconds=float("inf")),), None, True))


def test_errors_that_last_are_errors() -> None:
    assert ERROR_CODES.keys() > LASTING_ERRORS
    assert Facts((Row("", error="truncated: x"),), None, True).are_lasting
    assert not Facts((Row("", error="not-finite: x"),), None, True).are_lasting
    assert not Facts((), InputError("timeout", "x"), True).are_lasting


def test_bytes_that_are_broken_are_known_too(cache: ScoreCache) -> None:
    for found in (0, 1):
        (row,) = scan([Item("a", data=BROKEN)], models(Brightness()), PipelineOptions(1, cache=cache))
        assert (row.error is not None, cache.found) == (True, found)


def test_models_that_are_exchanged_meanwhile(cache: ScoreCache) -> None:
    """As by a service whose thresholds change: what was begun with the old ones is neither kept nor shared."""
    scorer: Any = Future()
    scorer.set_result(SimpleNamespace(models=models(Brightness(), Brightness(), 0.3)))
    recall = Recall(cache, scorer, FAST)
    items_of_one = [Item(name, data=SMALL[0]) for name in "abc"]
    first, second = (recall.look_up(item, ItemResult(item)) for item in items_of_one[:2])
    assert first.is_work and not second.is_work
    first.result.add(Picture(b"", 1, 1, "JPEG")).outcome = Scored(Score(0.4), exact=False)
    scorer.result().models = models(Brightness(), Brightness(), 0.4)
    third = recall.look_up(items_of_one[2], ItemResult(items_of_one[2]))
    assert third.is_work
    recall.publish(first)
    assert not recall.take_over(second)
    third.result.add(Picture(b"", 1, 1, "JPEG")).outcome = Scored(Score(0.6), exact=True)
    recall.publish(third)
    again = recall.look_up(items_of_one[0], ItemResult(items_of_one[0]))
    assert again.is_known and [row.score for row in again.result.facts().rows] == [0.6]
    scorer.result().models = models(Brightness(), Brightness(), 0.3)
    assert recall.look_up(items_of_one[0], ItemResult(items_of_one[0])).is_work
