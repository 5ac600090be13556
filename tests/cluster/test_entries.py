"""Entries -> Items, as an executor makes them. No Spark is needed for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from open_nsfw.cluster import entries
from open_nsfw.cluster.entries import items, location
from open_nsfw.cluster.options import Work
from open_nsfw.pictures.formats import Limits
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import Item, SourceOptions
from tests.tools.archive_samples import JPEG, make_zip


def made(folder: Path, **fields: Any) -> list[Item]:
    """The Items of an entry, on an executor that works elsewhere than the driver."""
    entry = {**dict.fromkeys(entries.FIELDS), "path": "a.jpg", **fields}
    sources = SourceOptions(limits=Limits(max_bytes=100))
    return list(items(entry, Work("", "", LoadOptions(), PipelineOptions(1), sources, None, str(folder))))


@pytest.mark.parametrize(
    "path, found",
    [
        ("a.jpg", "/home/me/a.jpg"),
        ("/data/a.jpg", "/data/a.jpg"),
        ("file:/data/a.jpg", "/data/a.jpg"),
        ("file:///data/a.jpg", "/data/a.jpg"),
        ("../a.jpg", "/home/me/../a.jpg"),
    ],
)
def test_where_a_file_is(path: str, found: str) -> None:
    """Relative paths lead from the driver's folder."""
    assert location(path, "/home/me") == found


def test_a_file_that_the_driver_found(tmp_path: Path) -> None:
    """Its name is as the driver knows it, also where that is no UTF-8."""
    (item,) = made(tmp_path, kind=entries.FILE, path="bytes:caf%E9.jpg", size=9, modified=1.5, by_content=True)
    assert (item.path, item.size, item.modified, item.by_content) == ("caf\udce9.jpg", 9, 1.5, True)
    assert item.location == f"{tmp_path}/caf\udce9.jpg"


def test_what_the_driver_could_not_find(tmp_path: Path) -> None:
    """Has the error that the driver had."""
    (item,) = made(tmp_path, kind=entries.FAILED, error="not-found: there is no such file")
    assert item.error is not None
    assert (item.error.code, item.error.reason) == ("not-found", "there is no such file")


@pytest.mark.parametrize("kind", [entries.PICTURE, entries.FOUND])
def test_content(tmp_path: Path, kind: str) -> None:
    """As it is; none, and one over the limit, are rows."""
    assert [item.data for item in made(tmp_path, kind=kind, content=JPEG, size=len(JPEG))] == [JPEG]
    codes = [made(tmp_path, kind=kind, size=size)[0].error for size in (None, 101)]
    assert [error.code for error in codes if error is not None] == ["empty", "too-many-bytes"]


def test_archives(tmp_path: Path) -> None:
    """By path and by content; a picture of a table is what it is."""
    content = make_zip()
    (tmp_path / "b.zip").write_bytes(content)
    members = ["a.jpg", "sub/b.png", "noname"]
    assert [item.member for item in made(tmp_path, kind=entries.ARCHIVE, path="b.zip")] == members
    assert [item.member for item in made(tmp_path, kind=entries.NAMED, path="b.zip")] == members
    assert [item.member for item in made(tmp_path, kind=entries.FOUND, path="x/b.zip", content=content)] == members
    assert [item.member for item in made(tmp_path, kind=entries.PICTURE, path="b.zip", content=content)] == [None]


@pytest.mark.parametrize(
    "path, code", [(".", "is-a-directory"), ("absent.jpg", "not-found"), ("hdfs://a/b.jpg", "unreadable")]
)
def test_paths_of_a_table(tmp_path: Path, path: str, code: str) -> None:
    """Each has one Item, with the name that the table has."""
    (item,) = made(tmp_path, kind=entries.NAMED, path=path)
    assert item.error is not None and (item.path, item.error.code) == (path, code)
