"""Files and folders of this machine's file systems -> a table of entries that Spark reads.

The walk is that of every other command, on the driver. What it finds goes to Parquet some rows at a time, so that the driver's
memory does not grow with the number of files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from typing import Any

from open_nsfw.cluster import entries
from open_nsfw.cluster.folder import Folder
from open_nsfw.errors import UsageError
from open_nsfw.rows.parquet import spell
from open_nsfw.sources.item import STDIN, Item, SourceOptions
from open_nsfw.sources.walk import Sources

ROWS_AT_ONCE = 100_000  # of a file of the table, which are in memory at once: about 100 MB


@dataclass(frozen=True)
class Listing:
    """What was found."""

    table: str
    """The path of the table."""
    files: int
    """How many entries it has."""
    size: int
    """Bytes of all files together."""
    passed_over: int
    """Files that are no pictures."""


def list_files(names: Iterable[str], options: SourceOptions, folder: Folder, table: str) -> Listing:
    """Write the table `table` into `folder`. Raises UsageError for an input that only this process could read."""
    sources = Sources(names, replace(options, unpack=False))
    found = iter(filter(None, map(_entry, sources)))
    folder.remove(table)
    folder.make(table)
    files = size = 0
    group = list(islice(found, ROWS_AT_ONCE))
    while group or not files:
        _write(group, folder, f"{table}/part-{files // ROWS_AT_ONCE:05d}.parquet")
        files, size = files + len(group), size + sum(each["size"] or 0 for each in group)
        if len(group) < ROWS_AT_ONCE:
            break
        group = list(islice(found, ROWS_AT_ONCE))
    return Listing(folder.path_of(table), files, size, sources.passed_over)


def _entry(item: Item) -> dict[str, Any] | None:
    if item.path == STDIN or item.data is not None or item.file is not None:
        item.close()
        raise UsageError(f"{item.path}: only the process that was started with it can read it; name files or folders")
    if item.unless_seen:
        return None  # whether all files before it have only sound, the executors find out
    kind = entries.ARCHIVE if item.packed else entries.FILE
    error = item.error
    return {
        "kind": entries.FAILED if error is not None else kind,
        "path": spell(item.path),
        "size": item.size,
        "modified": item.modified,
        "by_content": item.by_content,
        "content": None,
        "error": None if error is None else f"{error.code}: {error.reason}",
    }


def _write(group: list[dict[str, Any]], folder: Folder, name: str) -> None:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    kinds = {"string": arrow.string(), "bigint": arrow.int64(), "double": arrow.float64()}
    kinds |= {"boolean": arrow.bool_(), "binary": arrow.binary()}
    schema = arrow.schema([arrow.field(field, kinds[kind]) for field, kind in entries.FIELDS.items()])
    handle, local = tempfile.mkstemp(suffix=".parquet")
    os.close(handle)
    try:
        parquet.write_table(arrow.Table.from_pylist(group, schema=schema), local)
        folder.take_from_disk(local, name)
    finally:
        if os.path.exists(local):
            os.unlink(local)


def on_this_machine(names: Iterable[str], is_default: bool) -> Iterator[bool]:
    """For each input whether the walk reads it, rather than Spark: `is_default` says whether Spark's own file system is that
    of this machine, too."""
    for name in names:
        scheme, separator, _ = name.partition("://")
        if separator and scheme.isalnum():
            yield scheme == "file"
        else:
            yield is_default or os.path.exists(name)
