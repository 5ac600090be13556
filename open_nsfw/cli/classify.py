"""What `classify_nsfw` does with its command line: one scan, and an exit status."""

from __future__ import annotations

import sys

from open_nsfw.address_space import check_address_space
from open_nsfw.cli.classify_options import COMMAND, parse
from open_nsfw.cli.process import guarded, log_to_stderr


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    return guarded(COMMAND, given, lambda: _run(given))


def _run(arguments: list[str]) -> int:
    request = parse(arguments)
    check_address_space()
    log_to_stderr(COMMAND)
    from open_nsfw.cli.scan import Scan  # --help and a wrong command line need none of it

    return Scan(COMMAND, request).run()
