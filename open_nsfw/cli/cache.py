"""`open-nsfw cache`: list the converted models that are kept for later runs, check them, or remove them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from open_nsfw.cli.options import add_debug_option
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status
from open_nsfw.errors import OutputError
from open_nsfw.files import cannot_be_written
from open_nsfw.scoring.cache_entries import MOST_BYTES, Entry, damaged, entries, remove
from open_nsfw.scoring.cache_entries import clear as remove_all
from open_nsfw.scoring.cache_folder import CACHE_VARIABLE, cache_dir, distrust
from open_nsfw.scoring.hashes import RECORD, altered
from open_nsfw.text import printable

PROGRAM = "open-nsfw cache"
MEGABYTE = 1e6

EXAMPLE = f"""\
examples:
  {PROGRAM}
  {PROGRAM} --check
  {PROGRAM} --clear

The folder is `open_nsfw` in the user's cache folder, or the one that {CACHE_VARIABLE} names. A model that is removed is
converted again when it is needed. Whenever a model is added, those of older releases are removed, and then those that
have gone unused for longest while all take more than {MOST_BYTES / MEGABYTE:.0f} MB.

A run does not read a large model file to see that it is the same as before: its size and the times of its last
change tell. --check reads them all.

exit status: 0 done, 1 with --check, a file was not whole, 2 a model could not be removed"""


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw cache` with these arguments; gives the exit status, 0 to 2."""
    return guarded(PROGRAM, argv, lambda: _run(parser().parse_args(argv)))


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM, description="List the converted models that are kept for later runs.", epilog=EXAMPLE
    )
    what = result.add_mutually_exclusive_group()
    what.add_argument(
        "--check",
        action="store_true",
        help="read all model files in full, and remove the converted ones that are damaged",
    )
    what.add_argument("--clear", action="store_true", help="remove all of them")
    add_debug_option(result)
    return result


def _run(values: argparse.Namespace) -> int:
    folder = cache_dir()
    if values.check:
        return _check(folder)
    found = entries(folder)
    if values.clear:
        _clear(folder, found)
        return Status.DONE
    print_text("\n".join([f"{_total(found)} in {printable(str(folder))}{_warning(folder)}", *map(_line, found)]) + "\n")
    return Status.DONE


def _check(folder: Path) -> Status:
    """Read everything; raises OutputError if what is damaged could not be removed."""
    total, bad = _total(entries(folder)), damaged(folder)
    lines = [
        f"{printable(str(entry.path))}: damaged; it was removed, and is made again when it is needed" for entry in bad
    ]
    try:
        others = set(altered()) - {str(entry.path) for entry in bad}
    except OSError as error:
        raise cannot_be_written(str(folder / RECORD), error) from error
    lines += [
        f"{printable(name)}: changed, though neither its size nor the time of its last change shows it; the next run hashes "
        "it again"
        for name in sorted(others)
    ]
    for entry in bad:
        if not remove(entry.path):
            raise OutputError(f"{entry.path}: is damaged and cannot be removed")
    summary = f"checked {total} in {printable(str(folder))}, and the files that they were made from: "
    print_text("\n".join([*lines, summary + (f"{len(lines)} not whole" if lines else "all whole")]) + "\n")
    return Status.FAILED if lines else Status.DONE


def _clear(folder: Path, found: list[Entry]) -> None:
    """Raises OutputError if a model could not be removed."""
    if left := remove_all(folder):
        raise OutputError(f"{left[0].path}: cannot be removed; {len(left)} of {len(found)} models are still there")
    print_text(f"removed {_total(found)} from {printable(str(folder))}\n")


def _total(found: list[Entry]) -> str:
    count = sum(entry.is_model for entry in found)
    models = "1 model" if count == 1 else f"{count} models"
    return f"{models}, {_megabytes(sum(entry.size for entry in found))}"


def _line(entry: Entry) -> str:
    used = time.strftime("%Y-%m-%d", time.localtime(entry.used))
    old = ", of an older release" if entry.outdated else ""
    return f"  {entry.model}  {_megabytes(entry.size):>9}  last used {used}  {entry.kind}{old}"


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB"


def _warning(folder: Path) -> str:
    """What keeps the folder from being used."""
    reason = distrust(folder) if folder.exists() else None
    return "" if reason is None else f" (not used: {reason})"
