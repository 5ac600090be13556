"""What is done with files by their score: move or copy those at or above a threshold into a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from open_nsfw.errors import UsageError
from open_nsfw.rows.row import Row, is_last, label
from open_nsfw.scan.placing import Place, bring, find_place, is_one_entry, taken_places
from open_nsfw.sources.item import STDIN
from open_nsfw.sources.stdin import is_own_descriptor
from open_nsfw.text import printable

CLOCK_SECONDS = 2.0  # the step of FAT's times of change, the coarsest that a copied file may have


@dataclass(frozen=True)
class Sorting:
    """The request: which files go where."""

    threshold: float
    folder: str
    """Made when the first file comes. What is in it already stays where it is."""
    move: bool
    """Take the file away from where it is; otherwise copy it."""
    dry_run: bool = False
    """Say what would be done, and do nothing."""


class Moved(NamedTuple):
    """A file that was moved in this run or an earlier one."""

    place: str
    row: Row


class Sorter:
    """Sorts files out as their rows come. A file of several frames or parts goes by its highest score, that of its summary
    row."""

    def __init__(self, sorting: Sorting, say: Callable[[str], None]) -> None:
        """Raises UsageError if what the folder's name stands for is no folder."""
        if os.path.lexists(sorting.folder) and not os.path.isdir(sorting.folder):
            raise UsageError(f"{printable(sorting.folder)}: is no folder, so no files can be brought there")
        self._sorting, self._say = sorting, say
        self._verb, self._participle = ("move", "moved") if sorting.move else ("copy", "copied")
        self._moved: dict[str, Moved] = {}  # by where files were: links to them may come later
        self._left: set[str] = set()  # the folders that moved files were in
        self._places: set[str] = set()  # where files were brought, or would be
        self.failed = 0
        """Files that should have been moved or copied and were not."""

    def summary(self) -> str:
        """How many files were moved or copied, an earlier run's included where rows of it were caught up with."""
        files = "1 file" if len(self._places) == 1 else f"{len(self._places):,} files"
        done = f"would be {self._participle}" if self._sorting.dry_run else self._participle
        return f"{files} {done} by --{self._verb}-above {self._sorting.threshold:g}"

    def catch_up(self, rows: Iterable[Row]) -> None:
        """Do what the rows of earlier runs ask for: a kill may have come between a row and what is done about it."""
        for row in rows:
            if not is_last(row.kind, row.views) or not self._is_high(row) or not _is_own_file(row):
                continue
            if os.path.lexists(row.path):
                self.add([row])
            else:
                self._note_earlier_move(row)

    def revised(self, rows: list[Row]) -> list[Row]:
        """The rows of an item, to be written. A link whose file was moved before it could be read has the row of that
        file, and so has a file that is named a second time. A folder has none whose pictures were all moved before."""
        first = rows[0] if rows else None
        if first is not None and (first.error or "").startswith("no-pictures:"):
            return [] if any(_is_inside(folder, first.path) for folder in self._left) else rows
        if first is None or not (first.error or "").startswith("not-found:") or os.path.exists(first.path):
            return rows
        moved = self._moved.get(os.path.realpath(first.path))
        return rows if moved is None else [replace(moved.row, path=first.path)]

    def add(self, rows: list[Row]) -> None:
        """Sort out the file that `rows`, all of one item, are about, if its score is high enough."""
        last = rows[-1] if rows else None
        if last is None or not self._is_high(last):
            return
        if not _is_own_file(last):
            self._tell(last, "not a file of its own, so it stays where it is")
        elif _is_inside(last.path, self._sorting.folder):
            self._tell_inside(last)
        else:
            self._carry_out(last)

    def _is_high(self, row: Row) -> bool:
        return row.score is not None and row.score >= self._sorting.threshold

    def _carry_out(self, row: Row) -> None:
        try:
            place = self._bring(row)
            is_inside = place.holds_it and self._is_already_at(row.path, place.path)
        except OSError as error:
            wanted = printable(os.path.join(self._sorting.folder, *_parts(row.path)))
            self._fail(row, f"cannot {self._verb} it to {wanted}: {error.strerror or error}")
            return
        if is_inside:
            self._tell_inside(row)
        elif self._sorting.dry_run:
            self._places.add(place.path)
            self._say(f"would {self._verb} {label(row)} to {printable(place.path)} (score {row.score:.6g})")
        elif not self._sorting.move:
            self._places.add(place.path)
            if not place.holds_it:  # else an earlier run copied it
                self._tell_place("copied", row, place)
        elif os.path.lexists(row.path) and self._remove(row, place):  # else it was named a second time
            self._places.add(place.path)
            self._tell_place("moved", row, place)

    def _bring(self, row: Row) -> Place:
        """Where the file has been brought, or would be. Raises OSError."""
        source, folder, parts = self._present_place(row.path), self._sorting.folder, _parts(row.path)
        if self._sorting.dry_run:
            return find_place(source, folder, parts)
        return bring(source, folder, parts, may_link=self._sorting.move)

    def _is_already_at(self, path: str, place: str) -> bool:
        """Whether a file's place is where it is already, by another name of its folder: to remove it there would lose it."""
        return is_one_entry(path, place, may_try=self._sorting.move and not self._sorting.dry_run)

    def _remove(self, row: Row, place: Place) -> bool:
        """Take a file that is in its place away from where it was."""
        try:
            os.unlink(row.path)
        except OSError as error:
            reason = error.strerror or error
            self._fail(row, f"is in {printable(place.path)} now, but cannot be removed from its old place: {reason}")
            return False
        self._note_move(row, place.path)
        return True

    def _present_place(self, path: str) -> str:
        """The path itself; where its file, or the file that it is a link to, was moved before, that file's new place."""
        if os.path.exists(path):
            return path
        moved = self._moved.get(os.path.realpath(path))
        return path if moved is None else moved.place

    def _note_earlier_move(self, row: Row) -> None:
        """Remember where an earlier run brought the file that `row` is about, if it is still there."""
        if not self._sorting.move:
            return
        self._left.add(os.path.dirname(_location(row.path)))
        places = taken_places(self._sorting.folder, _parts(row.path))
        place = next((place for place in places if _is_file_of(row, place)), None)
        if place is not None:
            self._places.add(place)
            self._note_move(row, place)

    def _note_move(self, row: Row, place: str) -> None:
        location = _location(row.path)
        self._moved[location] = Moved(place, row)
        self._left.add(os.path.dirname(location))

    def _tell_place(self, done: str, row: Row, place: Place) -> None:
        remark = "" if place.is_own_name else ", its own name being taken"
        self._say(f"{done} {label(row)} to {printable(place.path)}{remark} (score {row.score:.6g})")

    def _tell(self, row: Row, remark: str) -> None:
        self._say(f"{label(row)}: score {row.score:.6g}; {remark}")

    def _tell_inside(self, row: Row) -> None:
        self._tell(row, f"is in {printable(self._sorting.folder)}, so it stays where it is")

    def _fail(self, row: Row, problem: str) -> None:
        self.failed += 1
        self._say(f"{label(row)}: {problem}")


def _is_own_file(row: Row) -> bool:
    """Whether a row is about a file that can be read again and moved, or was one: no member of an archive, standard input,
    open file of this process (`/dev/fd/3`), named pipe or device."""
    if row.member is not None or row.path == STDIN or is_own_descriptor(row.path):
        return False
    return os.path.isfile(row.path) or not os.path.exists(row.path)


def _is_file_of(row: Row, place: str) -> bool:
    """Whether a moved file may be that of a row, going by size and time of change: another one may have the name."""
    try:
        status = os.lstat(place)
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size != row.bytes:
        return False
    return row.modified is not None and abs(status.st_mtime - row.modified) <= CLOCK_SECONDS


def _parts(path: str) -> list[str]:
    """The file's place in the folder: its path as it was named, without a drive, a root or steps upwards."""
    _, path = os.path.splitdrive(os.path.normpath(path))
    return [part for part in path.split(os.sep) if part not in ("", os.curdir, os.pardir)]


def _location(path: str) -> str:
    """The path without links, but for the last part: of a link, where the link is."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _is_inside(path: str, folder: str) -> bool:
    """Whether a name is that of something in a folder, whatever links lead there."""
    top = os.path.realpath(folder)
    return os.path.commonpath([top, _location(path)]) == top
