"""`open-nsfw cache`: list the converted models that are kept for later runs, or remove them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from open_nsfw.cli.options import add_debug_option
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status
from open_nsfw.errors import OutputError
from open_nsfw.scoring.cache import CACHE_VARIABLE, cache_dir, distrust
from open_nsfw.scoring.cache_entries import MOST_BYTES, Entry, entries
from open_nsfw.scoring.cache_entries import clear as remove_all
from open_nsfw.text import printable

PROGRAM = "open-nsfw cache"
MEGABYTE = 1e6

EXAMPLE = f"""\
examples:
  {PROGRAM}
  {PROGRAM} --clear

The folder is `open_nsfw` in the user's cache folder, or the one that {CACHE_VARIABLE} names. A model that is removed is
converted again when it is needed. Whenever a model is added, those of older releases are removed, and then those that
have gone unused for longest while all take more than {MOST_BYTES / MEGABYTE:.0f} MB.

exit status: 0 done, 2 a model could not be removed"""


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw cache` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, argv, lambda: _run(parser().parse_args(argv).clear))


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM, description="List the converted models that are kept for later runs.", epilog=EXAMPLE
    )
    result.add_argument("--clear", action="store_true", help="remove all of them")
    add_debug_option(result)
    return result


def _run(clear: bool) -> int:
    folder = cache_dir()
    found = entries(folder)
    if clear:
        _clear(folder, found)
        return Status.DONE
    print_text("\n".join([f"{_total(found)} in {printable(str(folder))}{_warning(folder)}", *map(_line, found)]) + "\n")
    return Status.DONE


def _clear(folder: Path, found: list[Entry]) -> None:
    """Raises OutputError if a model could not be removed."""
    if left := remove_all(folder):
        raise OutputError(f"{left[0].path}: cannot be removed; {len(left)} of {len(found)} models are still there")
    print_text(f"removed {_total(found)} from {printable(str(folder))}\n")


def _total(found: list[Entry]) -> str:
    models = "1 model" if len(found) == 1 else f"{len(found)} models"
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
