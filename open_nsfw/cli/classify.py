"""What `classify_nsfw` does with its command line: one scan, and an exit status."""

from __future__ import annotations

import logging
import sys

from open_nsfw.address_space import check_address_space
from open_nsfw.cli.classify_options import COMMAND, parse
from open_nsfw.cli.process import guarded


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    return guarded(COMMAND, given, lambda: _run(given))


def _run(arguments: list[str]) -> int:
    request = parse(arguments)
    check_address_space()
    _log_to_stderr()
    from open_nsfw.cli.scan import Scan  # --help and a wrong command line need none of it

    return Scan(COMMAND, request).run()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{COMMAND}: %(message)s"))
    logger = logging.getLogger("open_nsfw")
    logger.handlers = [handler]
    logger.propagate = False
