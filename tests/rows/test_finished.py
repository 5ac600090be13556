"""Which pictures a file has finished: no two names are taken for each other."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from open_nsfw.rows import finished
from tests.tools.helpers import examples

Name = tuple  # (path, member)


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.text(max_size=4), st.one_of(st.none(), st.text(max_size=4))), max_size=20))
def test_keys_of_different_names_differ(names: list[Name]) -> None:
    names += [("a", None), ("a", ""), ("", "a"), ("a\0b", None), ("a", "b"), ("ab", None), ("1 a", None), ("", "1 a")]
    names += [(os.fsdecode(b"\xe9"), None), ("é", None)]
    assert len({finished.key_of(*name) for name in names}) == len(set(names))


def test_the_index_takes_16_bytes_a_picture_and_knows_each() -> None:
    keys = bytearray(b"".join(finished.key_of(f"{number}.jpg", None) for number in range(100_000)))
    index = finished.Finished(keys, 100_000, 0)
    assert index._keys.nbytes == 1_600_000
    assert len(index) == 100_000
    assert all(index.is_done(f"{number}.jpg") for number in range(0, 100_000, 7))
    assert not any(index.is_done(f"{number}.jpg") for number in range(100_000, 110_000))


@pytest.mark.parametrize("wanted", [b"\0" * 16, b"a" + b"\0" * 15, b"\0" * 15 + b"a", b"\xff" * 16, b"a\0" * 8])
def test_the_index_is_not_confused_by_zeros_in_keys(wanted: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [hashlib.md5(b"%d" % number).digest() for number in range(50)] + [b"\0" * 14 + b"b\0", b"a\0" * 7 + b"a\1"]
    monkeypatch.setattr(finished, "key_of", lambda path, member: wanted)
    assert finished.Finished(bytearray(b"".join([*others, wanted])), 0, 0).is_done("x")
    assert not finished.Finished(bytearray(b"".join(others)), 0, 0).is_done("x")
    assert not finished.Finished(bytearray(), 0, 0).is_done("x")
