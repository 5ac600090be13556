"""Two ways to score the same sources, each through the pipeline of the command, and how far their scores are apart."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from open_nsfw.rows.row import Row, label
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.run import run
from open_nsfw.scoring.fast import logit
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import STDIN, Item, SourceOptions
from open_nsfw.sources.stdin import is_own_descriptor
from open_nsfw.sources.walk import Sources

UNSEEN = "only one of the two ways has it"  # of a file that came or went in between, or a frame
EXACT = 1e-5  # the score difference that exact engines promise at most


@dataclass(frozen=True)
class Pair:
    """The two scores of one picture or frame."""

    name: str
    """On one line, printable."""
    reference: float
    compared: float
    twice: bool = False
    """Whether the fast mode scored it quickly and then exactly."""

    @property
    def score_difference(self) -> float:
        """Between the two scores, without sign."""
        return abs(self.compared - self.reference)

    @property
    def logit_difference(self) -> float:
        """Between the logits of the two scores, without sign."""
        return abs(logit(self.compared) - logit(self.reference))

    def changes_sides(self, threshold: float) -> bool:
        """Whether just one of the scores is at or above the threshold."""
        return (self.reference >= threshold) != (self.compared >= threshold)


@dataclass(frozen=True)
class Comparison:
    """All pictures and frames, and what could not be compared."""

    pairs: tuple[Pair, ...]
    unreadable: int = 0
    one_sided: tuple[str, ...] = ()
    """Names of the pictures that only one of the two ways could score."""
    ended_by: int | None = None
    """The signal that cut the comparison short."""

    def moved(self, thresholds: Sequence[float]) -> list[Pair]:
        """The pictures on two sides of a threshold whose scores differ by more than exact engines promise."""
        return [
            pair for pair in self.pairs if pair.score_difference > EXACT and any(map(pair.changes_sides, thresholds))
        ]


def compare(
    items: Iterable[Item],
    reference: Models,
    compared: Models,
    options: PipelineOptions,
    tell: Callable[[str], None] = lambda line: None,
    advance: Callable[[], None] = lambda: None,
) -> Comparison:
    """Score all items in one way, then in the other, and join the rows.

    `items` is iterated twice. The fast mode is used where models have a quick classifier, whatever `options.quick` says.
    `tell` takes a line for each picture without two scores, `advance` is called for each item of each way. Raises
    SetupError.
    """
    join = _Join(compared.quick is not None, tell)
    for models, add in ((reference, join.first), (compared, join.second)):
        ended_by = _score(items, models, options, add, advance)
        if ended_by is not None:
            return Comparison((), ended_by=ended_by)
    return join.comparison()


def _score(
    items: Iterable[Item],
    models: Models,
    options: PipelineOptions,
    add: Callable[[_Key, Row], None],
    advance: Callable[[], None],
) -> int | None:
    """Give each row of a run to `add`, summaries left out; the signal that cut the run short."""
    seen: Counter[_Names] = Counter()

    def write(rows: list[Row]) -> None:
        for row in rows:
            if row.kind != "summary":
                names = row.path, row.member, row.track, row.frame
                add((*names, seen[names]), row)
                seen[names] += 1
        advance()

    return run(items, lambda: models, replace(options, quick=models.quick is not None), write)


_Names = tuple[str, Optional[str], Optional[int], Optional[int]]
"""Path, member, track and frame of a row."""
_Key = tuple[str, Optional[str], Optional[int], Optional[int], int]
"""The names, and how many rows of the run had the same names before."""


class _Join:
    """Joins the rows of two runs over the same sources."""

    def __init__(self, fast: bool, tell: Callable[[str], None]) -> None:
        self._fast, self._tell = fast, tell
        self._waiting: dict[_Key, float | str] = {}
        """What the first run has of pictures that the second has not come to: the score, or the error."""
        self._pairs: list[Pair] = []
        self._unreadable = 0
        self._one_sided: list[str] = []

    def first(self, key: _Key, row: Row) -> None:
        """Take a row of the first run."""
        self._waiting[key] = _outcome(row)

    def second(self, key: _Key, row: Row) -> None:
        """Take a row of the second run."""
        name, before, now = label(row), self._waiting.pop(key, ""), _outcome(row)
        if isinstance(before, float) and isinstance(now, float):
            self._pairs.append(Pair(name, before, now, self._fast and bool(row.exact)))
        elif isinstance(before, str) and isinstance(now, str):
            self._unreadable += 1
            self._tell(f"{name}: {before or now}")
        else:
            self._one_sided.append(name)
            self._tell(f"{name}: {now if isinstance(now, str) else before or UNSEEN}")

    def comparison(self) -> Comparison:
        """All of it, once both runs are over."""
        for path, member, track, frame, _ in self._waiting:
            name = label(Row(path, member, track=track, frame=frame))
            self._one_sided.append(name)
            self._tell(f"{name}: {UNSEEN}")
        return Comparison(tuple(self._pairs), self._unreadable, tuple(self._one_sided))


def _outcome(row: Row) -> float | str:
    """A row's score, or its error's text without the code."""
    return (row.error or "").partition(": ")[2] if row.score is None else float(row.score)


class RepeatableSources:
    """`Sources` that can be gone through more than once: the items of what can be read only once are kept. Use as a context
    manager: files that hold large ones are closed at its end."""

    def __init__(self, arguments: Sequence[str], options: SourceOptions = SourceOptions()) -> None:
        self._arguments, self._options = arguments, options
        self._kept: dict[str, list[Item]] = {}

    def __enter__(self) -> RepeatableSources:
        return self

    def __exit__(self, *_: object) -> None:
        for items in self._kept.values():
            for item in items:
                item.close()

    def __iter__(self) -> Iterator[Item]:
        for argument in self._arguments:
            if _can_be_read_again(argument):
                yield from Sources([argument], self._options)
                continue
            if argument not in self._kept:
                self._kept[argument] = list(Sources([argument], self._options))
            yield from map(_copied, self._kept[argument])


def _can_be_read_again(argument: str) -> bool:
    """Whether an argument is no standard input, open file of this process, named pipe or device."""
    if argument == STDIN or is_own_descriptor(argument):
        return False
    return not os.path.exists(argument) or os.path.isfile(argument) or os.path.isdir(argument)


def _copied(item: Item) -> Item:
    """An item whose file may be closed without closing that of the first."""
    if item.file is None:
        return item
    descriptor = os.dup(item.file.fileno())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return replace(item, file=os.fdopen(descriptor, "rb"))
