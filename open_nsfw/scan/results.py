"""The rows of one item: one for a picture, more for an animation or a video."""

from __future__ import annotations

from dataclasses import replace

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import NO_PICTURES
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Failure, Picture
from open_nsfw.rows.row import Row
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scoring.scorer import Needs, Outcome, Scored, Scorer
from open_nsfw.sources.item import Item


class PictureResult:
    """What is known of one picture: its row, and what comes of its score."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.outcome: Outcome | None = None
        """None as long as it has not been asked for, and for a picture that failed."""

    def scored_row(self) -> Row:
        """The row with its score, for which it waits, or with the reason why there is none."""
        if self.row.error is not None:
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

    def __init__(self, item: Item) -> None:
        size = item.size if item.data is None and item.file is None else item.held
        self._basis = Row(path=item.path, member=item.member, bytes=size, modified=item.modified)
        self._by_content = item.by_content
        self._pictures: list[PictureResult] = []
        self.error = item.error
        """What ended it."""

    @property
    def needs_exact_pixels(self) -> bool:
        """Whether the pixels did not suffice for the score that a picture of it must have."""
        return any(each.outcome is Needs.EXACT_PIXELS for each in self._pictures)

    def begin_again(self) -> None:
        """Forget the pictures, which are to be decoded again."""
        self._pictures.clear()
        self.error = None

    def set_file(self, info: FileInfo) -> None:
        """Take what the decoding process says of the file, where nothing better is known."""
        known = self._basis.bytes
        self._basis = replace(self._basis, bytes=info.bytes if known is None else known, sha256=info.sha256)

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
        )
        self._pictures.append(PictureResult(row))
        return self._pictures[-1]

    def add_failed(self, failed: Failure) -> None:
        """Give a picture that cannot be had its row."""
        row = replace(self._basis, kind="frame", frame=failed.frame, seconds=failed.seconds, track=failed.track)
        self._pictures.append(PictureResult(replace(row, error=error_text(failed.error))))

    def rows(self, scorer: Scorer, options: PipelineOptions) -> list[Row]:
        """All rows of the item, for whose scores it waits; none of a file that was taken for its content alone and has
        only sound. An exception of the engine comes out here."""
        if self._by_content and not self._pictures and self.error is not None and self.error.code == NO_PICTURES:
            return []
        rows = [each.scored_row() for each in self._pictures]
        if self.error is not None:
            rows = _ended(rows, replace(self._basis, error=error_text(self.error)))
        if any(row.kind == "frame" for row in rows):
            rows.append(_summary(rows, options.above))
        return [_finished(row, scorer, options) for row in rows]


def _ended(rows: list[Row], failure: Row) -> list[Row]:
    """The rows of an item that ended with a failure: in a file of several pictures that stands behind the last one. The
    only picture of a file has one row: what goes wrong behind it may have gone wrong in it."""
    if not rows or rows[-1].frame is None:
        return [failure]
    return [*rows, replace(failure, kind="frame", frame=rows[-1].frame + 1, track=rows[-1].track)]


def _summary(rows: list[Row], above: float) -> Row:
    """The row that sums up a file of several pictures."""
    scored = [row for row in rows if row.score is not None]
    scores = [row.score for row in scored if row.score is not None]
    exact = all(row.exact for row in scored)
    basis = replace(rows[0], kind="summary", frame=None, seconds=None, track=None, error=None, score=None, exact=exact)
    if not scores:
        return replace(basis, frames=0, above=0, error=f"{NO_PICTURES}: none of its frames could be scored")
    mean, count = sum(scores) / len(scores), sum(score >= above for score in scores)
    highest = scored[scores.index(max(scores))]
    basis = replace(basis, bias=highest.bias, cells=highest.cells)
    return replace(basis, score=highest.score, max=highest.score, mean=mean, frames=len(scores), above=count)


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
