#!/usr/bin/env python3
"""Score pictures with Yahoo's open_nsfw network: the command. All of it is in open_nsfw/cli/classify.py, which Python keeps
compiled; a script it would compile at every start."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    from open_nsfw.cli.classify import main as run

    return run(arguments)


def command() -> int:
    """The process."""
    from open_nsfw.cli.process import begin, end

    begin()
    return end(main())


if __name__ == "__main__":
    sys.exit(command())
