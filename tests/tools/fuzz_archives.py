"""Damaged and random archives: whatever is in them, only Items come out, and not for ever.

Run by tests/sources/test_walk.py with few examples; for a longer hunt:

    FUZZ=200 python -m pytest tests/tools/fuzz_archives.py
"""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import Limits
from open_nsfw.sources.item import Item, SourceOptions
from open_nsfw.sources.lists import read_list
from open_nsfw.sources.walk import Sources
from tests.tools.archive_samples import make_streamed_zip, make_tar, make_zip, rows, tar_entry
from tests.tools.helpers import examples

OPTIONS = SourceOptions(limits=Limits(max_bytes=100_000), max_archive_bytes=1_000_000)
MODEST = settings(
    max_examples=examples(60),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
MOST_ITEMS = 10_000  # of these small files; more would be an endless loop

SEEDS = {
    "zip": make_zip(),
    "streamed.zip": make_streamed_zip(),
    "tar": make_tar(),
    "tar.gz": make_tar(mode="w:gz"),
    "tar.bz2": make_tar(mode="w:bz2"),
    "tar.xz": make_tar(mode="w:xz"),
}


def scan(data: bytes, name: str) -> list[Item]:
    """All Items of an archive with these bytes. Fails on what no reader may do."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        items: list[Item] = []
        for item in Sources([str(path)], OPTIONS):
            items.append(item)
            assert len(items) < MOST_ITEMS
        assert sorted(Path(folder).iterdir()) == [path], "something was written beside the archive"
    for item in items:
        assert item.error is None or (type(item.error).__mro__.index(InputError) <= 1 and "\n" not in str(item.error))
        assert item.data is None or (item.error is None and 0 < len(item.data) <= OPTIONS.limits.max_bytes)
    return items


@pytest.mark.parametrize("kind", sorted(SEEDS))
@MODEST
@given(data=st.data())
def test_flipped_bytes(kind: str, data: st.DataObject) -> None:
    """A few bytes changed, anywhere."""
    archive = bytearray(SEEDS[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    scan(bytes(archive), f"x.{kind}")


@pytest.mark.parametrize("kind", sorted(SEEDS))
@MODEST
@given(data=st.data())
def test_cut_and_spliced(kind: str, data: st.DataObject) -> None:
    """A piece taken out, doubled, or put where another was."""
    archive = SEEDS[kind]
    places = st.integers(0, len(archive))
    start, end, at = data.draw(places), data.draw(places), data.draw(places)
    scan(archive[:at] + archive[min(start, end) : max(start, end)] + archive[data.draw(places) :], f"x.{kind}")


@MODEST
@given(data=st.binary(max_size=3000), suffix=st.sampled_from(["zip", "tar", "tar.gz", "tar.zst", "tar.xz", "tgz"]))
def test_random_bytes_named_like_archives(data: bytes, suffix: str) -> None:
    assert scan(data, f"x.{suffix}"), "a file that is no archive has its row"


@MODEST
@given(
    entries=st.lists(
        st.tuples(
            st.binary(max_size=100), st.binary(max_size=1200), st.sampled_from(list(b"0123456789ABDKLMNSVXgx\0"))
        ),
        max_size=6,
    ),
    pack=st.booleans(),
)
def test_tar_of_any_headers(entries: list[tuple[bytes, bytes, int]], pack: bool) -> None:
    """Valid checksums, so that the reader goes behind them: any type, any name, any data for the special ones."""
    data = b"".join(tar_entry(name, body, bytes([flag])) for name, body, flag in entries) + bytes(1024)
    scan(gzip.compress(data, 1) if pack else data, "x.tar")


@MODEST
@given(
    members=st.lists(
        st.tuples(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20), st.binary(min_size=1)),
        max_size=8,
        unique_by=lambda member: member[0].strip("/"),
    )
)
def test_what_was_packed_comes_out(members: list[tuple[str, bytes]]) -> None:
    """Every member that begins like a picture comes, with its bytes and its name, from every kind of archive."""
    wanted = [(f"{name.strip('/')}.", b"\xff\xd8\xff\xe0\0" + data) for name, data in members if "\0" not in name]
    for data, suffix in ((make_zip(wanted), "zip"), (make_tar(wanted), "tar"), (make_tar(wanted, "w:gz"), "tgz")):
        found = scan(data, f"x.{suffix}")
        assert rows(found) == wanted if wanted else [item.error.code for item in found if item.error] == ["no-pictures"]


@MODEST
@given(
    names=st.lists(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name)),
    last=st.booleans(),
)
def test_nul_lists_round_trip(names: list[bytes], last: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list")
        path.write_bytes(b"\0".join(names) + (b"\0" if last else b""))
        found = [os.fsencode(name) for name in read_list(str(path), nul=True)]
    assert found == [b"./-" if name == b"-" else name for name in names]
