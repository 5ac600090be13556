"""The options by which `classify_nsfw` goes on with what arrives in a folder, and what they must be."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from open_nsfw.cli import parsing
from open_nsfw.errors import UsageError

if TYPE_CHECKING:
    from open_nsfw.sources.watch import WatchOptions

SETTLE_SECONDS = 2.0
WRITTEN = ("", ".journal", "-wal", "-shm", "-journal")  # what a run writes beside FILE of --output, and of --cache


def add_watch_options(group: Any) -> None:
    """--watch and --settle"""
    group.add_argument(
        "--watch",
        type=parsing.file,
        metavar="DIR",
        help="score the pictures in DIR, and go on with those that arrive, until SIGTERM or Ctrl-C",
    )
    group.add_argument(
        "--settle",
        type=parsing.positive,
        metavar="SECONDS",
        help="with --watch: read a file when it has not changed for so long (default 2)",
    )


def check_watch(values: argparse.Namespace) -> None:
    """Raises UsageError for options that make no sense together."""
    if values.settle is not None and values.watch is None:
        raise UsageError("--settle needs --watch DIR")
    if values.watch is not None and (values.inputs or values.from_list is not None):
        other = "INPUT" if values.inputs else "--from-list"
        raise UsageError(f"--watch and {other} cannot be combined: what is scored are the pictures in DIR")


def watch_options(values: argparse.Namespace) -> WatchOptions | None:
    """The folder to be watched, if there is one."""
    if values.watch is None:
        return None
    from open_nsfw.sources.watch import WatchOptions  # few runs watch

    written = [path for path in (values.output, values.cache) if path not in (None, "-")]
    seconds = SETTLE_SECONDS if values.settle is None else values.settle
    return WatchOptions(values.watch, seconds, tuple(path + end for path in written for end in WRITTEN))
