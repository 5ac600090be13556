"""What is done with files by their score: move or copy those at or above a threshold into a folder."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from open_nsfw.rows.row import Row, label
from open_nsfw.text import printable


@dataclass(frozen=True)
class Sorting:
    """The request: which files go where."""

    threshold: float
    folder: str
    move: bool
    """Take the file away from where it is; otherwise copy it."""
    dry_run: bool = False
    """Say what would be done, and do nothing."""


class Sorter:
    """Sorts files out as their rows come. A file of several frames goes by its highest score, that of its summary row."""

    def __init__(self, sorting: Sorting, say: Callable[[str], None]) -> None:
        self._sorting, self._say = sorting, say
        self.failed = 0
        """Files that should have been moved or copied and were not."""

    def add(self, rows: list[Row]) -> None:
        """Sort out the file that `rows`, all of one item, are about, if its score is high enough."""
        last = rows[-1]
        if last.score is None or last.score < self._sorting.threshold:
            return
        if last.member is not None or last.path == "-":
            self._say(f"{label(last)}: score {last.score:.6g}; not a file of its own, so it stays where it is")
            return
        target = self._target(last.path)
        verb = "move" if self._sorting.move else "copy"
        if self._sorting.dry_run:
            self._say(f"would {verb} {label(last)} to {printable(str(target))} (score {last.score:.6g})")
            return
        self._carry_out(last, target, verb)

    def _carry_out(self, row: Row, target: Path, verb: str) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            move_file(row.path, target) if self._sorting.move else copy_file(row.path, target)
        except OSError as error:
            if error.errno == errno.EEXIST and not self._sorting.move and filecmp.cmp(row.path, target, shallow=False):
                return  # copied by an earlier run
            self.failed += 1
            reason = "something is there already" if error.errno == errno.EEXIST else error.strerror or str(error)
            self._say(f"{label(row)}: cannot {verb} it to {printable(str(target))}: {reason}")
            return
        done = "moved" if self._sorting.move else "copied"
        self._say(f"{done} {label(row)} to {printable(str(target))} (score {row.score:.6g})")

    def _target(self, path: str) -> Path:
        """The file's place in the folder: its path as it was named, without a drive, a root or steps upwards."""
        parts = [part for part in Path(os.path.normpath(path)).parts if part not in (Path(path).anchor, os.pardir)]
        return Path(self._sorting.folder, *parts)


def copy_file(source: str | os.PathLike[str], target: Path) -> None:
    """Copy content and times to a name that must be free. Raises OSError, and then leaves nothing at `target`."""
    with open(source, "rb") as read, open(target, "xb") as written:
        try:
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())
        except BaseException:
            os.unlink(target)
            raise
    shutil.copystat(source, target)


def move_file(source: str | os.PathLike[str], target: Path) -> None:
    """Move to a name that must be free, also to another disk; the source goes only when the target is whole.

    Raises OSError. A plain rename would replace a file at `target`.
    """
    if os.path.islink(source):  # a link would point elsewhere from its new place: its picture moves instead
        copy_file(source, target)
    else:
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:  # another disk, or a file system without hard links
            copy_file(source, target)
    os.unlink(source)
