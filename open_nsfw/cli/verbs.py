"""What all verbs of `open-nsfw` share: how they end, and what they print."""

from __future__ import annotations

import sys
from collections.abc import Callable

from open_nsfw.errors import OpenNsfwError
from open_nsfw.rows.files import Stdout

BAD_USAGE = 2  # exit status


def guarded(program: str, run: Callable[[], int], debug: bool = False) -> int:
    """The exit status of `run()`: 2, with one line on stderr, for an error made on purpose, unless `debug`."""
    try:
        return run()
    except OpenNsfwError as error:
        if debug:
            raise
        print(f"{program}: error: {error}", file=sys.stderr)
        return BAD_USAGE


def print_text(text: str) -> None:
    """Text on stdout, if that is not closed; what its encoding does not have is escaped. Raises OutputError for a pipe
    that nobody reads or a full disk."""
    if sys.stdout is None:
        return  # as by `>&-`: the exit status is what is wanted
    if not hasattr(sys.stdout, "buffer"):  # a StringIO in its place
        sys.stdout.write(text)
        return
    Stdout().put([text.encode(sys.stdout.encoding or "utf-8", "backslashreplace")])
