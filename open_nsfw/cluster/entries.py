"""Entries: what one row of an input says of the file that is to be scored, as a column of a DataFrame, and the Items that an
executor makes of it.

The column `ENTRY` is a struct with the fields of `FIELDS`. All other columns of the row pass through to the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from open_nsfw.cluster.options import Work
from open_nsfw.errors import ERROR_CODES, InputError
from open_nsfw.pictures.formats import is_url, too_many_bytes
from open_nsfw.rows.parquet import unspell
from open_nsfw.sources.item import Item
from open_nsfw.sources.walk import Sources, in_bytes, unpacked

ENTRY = "_open_nsfw_entry"

# kind of an entry
FILE = "file"  # a picture or film that the driver found, by its path
ARCHIVE = "archive"  # an archive that the driver found, by its path
NAMED = "named"  # a path that a table has, of which nothing is known yet
FOUND = "found"  # the content of a file that Spark found in a folder
PICTURE = "picture"  # the content of a picture that a table has
FAILED = "failed"  # the driver found that there is nothing to score

# field -> its type in Spark's SQL
FIELDS = {
    "kind": "string",
    "path": "string",  # as Parquet spells it (rows.parquet.spell)
    "size": "bigint",
    "modified": "double",
    "by_content": "boolean",
    "content": "binary",
    "error": "string",  # of FAILED: `code: sentence`
}


def items(entry: dict[str, Any], work: Work) -> Iterator[Item]:
    """The Items of an entry: one, but for archives and for files of a folder that are no pictures."""
    item = Item(
        unspell(entry["path"]) or "",
        size=entry["size"],
        modified=entry["modified"],
        by_content=bool(entry["by_content"]),
    )
    if entry["kind"] == FAILED:
        yield replace(item, error=failure(entry["error"]))
    elif entry["kind"] in (FOUND, PICTURE):
        yield from _with_content(item, entry["content"], entry["kind"], work)
    else:
        yield from _from_disk(replace(item, at=location(item.path, work.folder)), entry["kind"], work)


def failure(error: str) -> InputError:
    """The InputError of `code: sentence`."""
    code, _, reason = error.partition(": ")
    return InputError(code, reason) if code in ERROR_CODES else InputError("unreadable", error)


def location(path: str, folder: str) -> str:
    """Where an executor finds a file that the driver knows as `path`."""
    plain = path[len("file:") :] if path.startswith("file:") else path
    if plain.startswith("//"):  # file:///a
        plain = "/" + plain.lstrip("/")
    return os.path.join(folder, plain)


def _with_content(item: Item, content: bytes | None, kind: str, work: Work) -> Iterator[Item]:
    limits = work.sources.limits
    if item.size is not None and item.size > limits.max_bytes:
        yield replace(item, error=too_many_bytes(limits))  # the content stayed where it is
    elif content is None:
        yield replace(item, error=InputError("empty", "the column has no content in this row"))
    elif kind == FOUND:
        yield from in_bytes(replace(item, data=content), work.sources)
    else:
        yield replace(item, data=content)


def _from_disk(item: Item, kind: str, work: Work) -> Iterator[Item]:
    if kind == FILE:
        yield item
    elif kind == ARCHIVE:
        yield from unpacked(item, work.sources)
    elif is_url(item.path) and not item.path.startswith("file:"):
        reason = (
            "executors open the paths of a table as files; name the folder itself as an input, which Spark then reads"
        )
        yield replace(item, error=InputError("unreadable", reason))
    elif os.path.isdir(item.location):
        yield replace(item, error=InputError("is-a-directory", "this is a folder, not a picture"))
    else:
        yield from _named(item, work)


def _named(item: Item, work: Work) -> Iterator[Item]:
    """A path of a table: every picture in it has a row, and so has a path without one."""
    for found in Sources([item.location], work.sources):
        if not found.unless_seen:
            yield replace(found, path=item.path, at=item.at, by_content=False)
