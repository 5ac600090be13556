"""How a file's bytes are read: all of them, and none beyond the limit; and what their beginning says."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures.decode import decode
from open_nsfw.pictures.formats import Limits, read_bytes, read_stream, sniff

DATA = bytes(range(256)) * 1000
LIMITS = Limits(max_bytes=len(DATA))


def test_a_file_of_the_largest_size_and_one_above(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    assert read_bytes(path, LIMITS) == DATA
    path.write_bytes(DATA + b"x")
    with pytest.raises(InputError) as error:
        read_bytes(path, LIMITS)
    assert str(error.value) == "more than the limit of 256,000 bytes (--max-bytes)"


@pytest.mark.parametrize("expected", [None, 0, 1, len(DATA) - 1, len(DATA), len(DATA) + 1, 10**12])
def test_a_file_of_another_size_than_expected(expected: int | None) -> None:
    """It grew, or shrank, between the look at its size and the reading."""
    assert read_stream(io.BytesIO(DATA), LIMITS, expected) == DATA
    with pytest.raises(InputError) as error:
        read_stream(io.BytesIO(DATA + b"x"), LIMITS, expected)
    assert error.value.code == "too-many-bytes"


def test_a_pipe_has_no_size(tmp_path: Path) -> None:
    """What comes through a named pipe is read to its end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(DATA,))
    writer.start()
    assert read_bytes(path, LIMITS) == DATA
    writer.join()
    writer = threading.Thread(target=path.write_bytes, args=(b"",))
    writer.start()
    with pytest.raises(InputError) as error:
        read_bytes(path, LIMITS)
    assert error.value.code == "empty"
    writer.join()


def test_a_limit_above_all_memory_costs_nothing(tmp_path: Path) -> None:
    """Nothing is allocated because it would be allowed."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for expected in (None, 0):
        writer = threading.Thread(target=path.write_bytes, args=(DATA,))
        writer.start()
        with open(path, "rb") as file:
            assert read_stream(file, Limits(max_bytes=2**62), expected) == DATA
        writer.join()


def bitmap() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "BMP")
    return buffer.getvalue()


@pytest.mark.parametrize("size", [16, 18, 24, 32, 48, 60])
def test_bitmaps_with_a_header_that_os2_allows(size: int) -> None:
    """It may end behind any of its fields. That this kind is not read is said of a bitmap."""
    data = bitmap()[:14] + size.to_bytes(4, "little") + bitmap()[18:]
    assert sniff(data) == "BMP"
    with pytest.raises(InputError) as caught:
        decode(data)
    expected = f"a BMP file of a kind that is not read: Unsupported BMP header type ({size})"
    assert (caught.value.code, caught.value.reason) == ("unsupported", expected)


@pytest.mark.parametrize("size", [0, 13, 14, 66, 128, 40 << 16])
def test_no_bitmap_has_such_a_header(size: int) -> None:
    assert sniff(bitmap()[:14] + size.to_bytes(4, "little") + bitmap()[18:]) is None


@pytest.mark.parametrize("length", [2, 10, 14, 17, 18, 30])
def test_a_bitmap_that_was_cut_in_its_header(length: int) -> None:
    with pytest.raises(InputError) as caught:
        decode(bitmap()[:length])
    assert caught.value.reason.startswith("a damaged BMP file: ")
