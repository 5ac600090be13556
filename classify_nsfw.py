#!/usr/bin/env python3
"""Score pictures with Yahoo's open_nsfw network: the command. All of it is in open_nsfw/cli/classify.py, which Python keeps
compiled; a script it would compile at every start."""

from __future__ import annotations

# What the module `signal` is made from; importing that one takes 4 ms, in which Ctrl-C would be a traceback.
import _signal as signal  # type: ignore[import-not-found]
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    from open_nsfw.cli.classify import main as run

    return run(arguments)


def command() -> int:
    """The process: `main`, and Ctrl-C ends it without a word until the scan listens for it. Python's own handler would
    print a traceback out of some import, or lose the Ctrl-C there."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was started to ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return main()


if __name__ == "__main__":
    sys.exit(command())
