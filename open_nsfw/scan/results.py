"""The rows of one item: one for a picture, more for an animation or a video."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import NO_PICTURES, FrameChoice
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Failure, Part, Picture
from open_nsfw.rows.row import Row, is_last
from open_nsfw.scan.facts import OF_THE_ITEM, Facts, are_lasting
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.segments import with_segments
from open_nsfw.scoring.scorer import Needs, Outcome, Scored, Scorer
from open_nsfw.sources.item import Item

_NAMELESS: dict[str, Any] = {name: "" if name == "path" else None for name in OF_THE_ITEM}


@dataclass
class Handling:
    """What is particular to one item of a scan."""

    frames: FrameChoice | None = None
    """Which frames are wanted of it; None for those that the options of the scan name."""
    explain: bool = False
    """Whether its scores are explained, which are exact ones then."""
    anew: bool = False
    """Whether scores that are kept do not count: it is to be decoded and scored, and nothing of it is kept."""
    watch: Callable[[ItemResult], None] | None = None
    """Called in the job's thread whenever frames of it have got their scores."""
    abandoned: threading.Event = field(default_factory=threading.Event)
    """Set when nobody wants its rows any more: the job ends with the next picture."""
    begun: float | None = None
    """When a job took it, by `time.monotonic()`; None before that."""


class PictureResult:
    """What is known of one picture: its row, and what comes of its score."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.outcome: Outcome | None = None
        """None as long as it has not been asked for, and for a picture that failed."""

    @property
    def is_settled(self) -> bool:
        """Whether it has its score or its error, so that nobody waits for its row."""
        if isinstance(self.outcome, Future):
            return self.outcome.done()
        return self.row.error is not None or isinstance(self.outcome, Scored)

    def scored_row(self) -> Row:
        """The row with its score, for which it waits, or with the reason why there is none."""
        if self.row.error is not None or self.row.score is not None:
            return self.row
        assert self.outcome is not None and not isinstance(self.outcome, Needs)
        scored = self.outcome if isinstance(self.outcome, Scored) else self.outcome.result()
        if scored.score.error is not None:
            return replace(self.row, error=error_text(scored.score.error))
        # Its class is not imported here: NumPy comes with it, and this is loaded before there is a model.
        explanation = getattr(scored.score, "explanation", None)
        row = replace(self.row, score=scored.score, exact=scored.exact)
        return row if explanation is None else replace(row, bias=explanation.bias, cells=explanation.cell_rows())


class ItemResult:
    """What is known of one item so far. A job fills it; `rows` is for whoever wants the rows then."""

    def __init__(self, item: Item, handling: Handling | None = None) -> None:
        self.handling = handling or Handling()
        size = item.size if item.data is None and item.file is None else item.held
        self._basis = Row(path=item.path, member=item.member, bytes=size, modified=item.modified)
        self._by_content = item.by_content
        self._pictures: list[PictureResult] = []
        self.error = item.error
        """What ended it."""
        self.is_whole = True
        """Whether a decoding process and the engine did all that was asked of them."""
        self._info: FileInfo | None = None

    def tell(self, latest: Picture) -> None:
        """Tell who watches that the scores up to this picture's are known or under way."""
        if self.handling.watch is not None and latest.frame is not None:
            self.handling.watch(self)

    @property
    def needs_exact_pixels(self) -> bool:
        """Whether the pixels did not suffice for the score that a picture of it must have."""
        return any(each.outcome is Needs.EXACT_PIXELS for each in self._pictures)

    def begin_again(self) -> None:
        """Forget the pictures, which are to be decoded again."""
        self._pictures.clear()
        self.error = None

    @property
    def is_lasting(self) -> bool:
        """Whether what is known comes from the content, and not from what befell its decoding."""
        return self.is_whole and are_lasting((each.row for each in self._pictures), self.error)

    def facts(self) -> Facts:
        """What the content alone determines. Waits for the scores."""
        rows = tuple(replace(each.scored_row(), **_NAMELESS) for each in self._pictures)
        info = self._info
        return Facts(rows, self.error, info is not None, None if info is None else info.format)

    def recall(self, facts: Facts, info: FileInfo | None) -> None:
        """Take what was known of the same content before."""
        if info is not None:
            self.set_file(info)
        self._pictures = [PictureResult(self._named(row)) for row in facts.rows]
        self.error = facts.error

    def take_over(self, first: ItemResult, info: FileInfo | None) -> None:
        """Take what is known of another item with the same content, scores that are under way included."""
        if info is not None and first._info is not None:
            self.set_file(info._replace(format=first._info.format))
        for each in first._pictures:
            self._pictures.append(PictureResult(self._named(each.row)))
            self._pictures[-1].outcome = each.outcome
        self.error = first.error

    def _named(self, row: Row) -> Row:
        """A row of another item with the same content, as one of this item."""
        return replace(row, **{name: getattr(self._basis, name) for name in OF_THE_ITEM})

    def set_file(self, info: FileInfo) -> None:
        """Take what the decoding process says of the file, where nothing better is known."""
        known, self._info = self._basis.bytes, info
        size = info.bytes if known is None else known
        self._basis = replace(self._basis, bytes=size, sha256=info.sha256, format=info.format)

    def add(self, picture: Picture) -> PictureResult:
        """Give a picture its row; its score is still to come."""
        row = replace(
            self._basis,
            kind="picture" if picture.frame is None else "frame",
            frame=picture.frame,
            seconds=picture.seconds,
            track=picture.track,
            width=picture.width,
            height=picture.height,
            format=picture.format,
            upright=picture.upright,
        )
        row = _of_part(row, picture.part)
        self._pictures.append(PictureResult(row))
        return self._pictures[-1]

    def add_failed(self, failed: Failure) -> None:
        """Give a picture that cannot be had its row."""
        row = replace(self._basis, kind="frame", frame=failed.frame, seconds=failed.seconds, track=failed.track)
        row = _of_part(row, failed.part)
        self._pictures.append(PictureResult(replace(row, error=error_text(failed.error))))

    def frame_rows(self, start: int, scorer: Scorer, options: PipelineOptions) -> list[Row]:
        """The rows of the frames from the `start`-th on that are known already; they are among those that `rows` gives in the
        end, at the same places. None of a file's only picture: what goes wrong behind it may have gone wrong in it."""
        known = []
        for each in self._pictures[start:]:
            if each.row.frame is None or not each.is_settled:
                break
            known.append(_finished(each.scored_row(), scorer, options))
        return known

    @property
    def is_settled(self) -> bool:
        """Whether no score is still under way."""
        return all(each.is_settled for each in self._pictures)

    def when_settled(self, call: Callable[[], None]) -> None:
        """Call this once, when no score is under way any more: now, or in the thread that has the last one."""
        pending = [each.outcome for each in self._pictures if isinstance(each.outcome, Future)]
        left = _Countdown(len(pending), call)
        for outcome in pending:
            outcome.add_done_callback(left.count)
        if not pending:
            call()

    def rows(self, scorer: Scorer, options: PipelineOptions) -> list[Row]:
        """All rows of the item, for whose scores it waits; none of a file that was taken for its content alone and has
        only sound. An exception of the engine comes out here."""
        if self._by_content and not self._pictures and self.error is not None and self.error.code == NO_PICTURES:
            return []
        views = options.extraction.views
        rows = [replace(each.scored_row(), views=views) for each in self._pictures]
        if self.error is not None:
            rows = _ended(rows, replace(self._basis, error=error_text(self.error)))
        if rows and not is_last(rows[-1].kind, rows[-1].views):
            rows = _summed_up(rows, options)
        return [_finished(row, scorer, options) for row in rows]


class _Countdown:
    """Calls something when it was called so often itself, by whatever threads."""

    def __init__(self, left: int, call: Callable[[], None]) -> None:
        self._left, self._call, self._lock = left, call, threading.Lock()

    def count(self, _: object) -> None:
        with self._lock:
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._call()


def _summed_up(rows: list[Row], options: PipelineOptions) -> list[Row]:
    """The rows of a file with its summary, segments in place of frames where those are wanted."""
    summary, last = _summary(rows, options.above), rows[-1]
    has_frames = any(row.frame is not None for row in rows)
    if has_frames and ends_file(last, options):
        summary = replace(summary, frame=last.frame, seconds=last.seconds, track=last.track)
        summary = replace(summary, stop_above=options.stop_above)
    if has_frames and options.segments is not None:
        rows, summary = with_segments(rows, options.segments), replace(summary, segments=options.segments)
    return [*rows, summary]


def ends_file(row: Row, options: PipelineOptions) -> bool:
    """Whether nothing behind this frame, or part of one, is to be scored."""
    threshold = options.stop_above
    return threshold is not None and row.frame is not None and row.score is not None and row.score >= threshold


def _ended(rows: list[Row], failure: Row) -> list[Row]:
    """The rows of an item that ended with a failure: in a file of several pictures that stands behind the last one. The
    only picture of a file has one row: what goes wrong behind it may have gone wrong in it."""
    if not rows or rows[-1].frame is None:
        return [failure]
    return [*rows, replace(failure, kind="frame", frame=rows[-1].frame + 1, track=rows[-1].track)]


def _of_part(row: Row, part: Part | None) -> Row:
    """The row of a picture as that of a part of it, if there is one."""
    if part is None:
        return row
    return replace(row, kind="part", part=part.number, **_box(part))


def _box(part: Part | Row) -> dict[str, Any]:
    return {name: getattr(part, name) for name in ("found_as", "left", "top", "right", "bottom")}


def _summary(rows: list[Row], above: float) -> Row:
    """The row that sums up a file of several pictures, or of a picture and its parts."""
    scored = [row for row in rows if row.score is not None]
    exact = all(row.exact for row in scored)
    first = next(iter(scored), rows[0])  # what failed has no width, and may be of no known format
    basis = replace(first, kind="summary", frame=None, seconds=None, track=None, error=None, score=None, exact=exact)
    if not scored:
        return replace(basis, frames=0, above=0, error=f"{NO_PICTURES}: none of its frames could be scored")
    scores = [row.score for row in scored if row.score is not None]
    whole = [row.score for row in scored if row.score is not None and row.kind != "part"]
    count = sum(score >= above for score in scores)
    mean = math.fsum(whole) / len(whole) if whole else None  # `sum` rounds otherwise from Python to Python
    best = scored[scores.index(max(scores))]
    basis = replace(basis, score=best.score, max=best.score, bias=best.bias, cells=best.cells)
    summary = replace(basis, mean=mean, frames=len(whole), above=count)
    if basis.upright is not None:
        summary = replace(summary, upright=any(row.upright for row in rows))
    if basis.views is None:
        return summary
    where = {"frame": best.frame, "seconds": best.seconds, "track": best.track, "part": best.part, **_box(best)}
    return replace(summary, parts=len(scored) - len(whole), **where)


def _finished(row: Row, scorer: Scorer, options: PipelineOptions) -> Row:
    """A row with what the run as a whole has to say: choice of frames, engine, model and verdict."""
    engine = scorer.engine(row.exact)
    frame_choice = None if row.format is None else options.extraction.frames.name_for(row.format)
    row = replace(row, frame_choice=frame_choice, engine=engine.name, model=engine.model_hash)
    if options.verdict is None or row.score is None:
        return row
    return replace(row, verdict=options.verdict(row.score))


def error_text(error: InputError) -> str:
    """`code: sentence`, as rows carry it."""
    return f"{error.code}: {error}"
