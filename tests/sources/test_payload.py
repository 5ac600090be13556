"""Large pictures from archives, pipes and standard input: in a file, never in this process's memory as a whole."""

from __future__ import annotations

import errno
import io
import os
import tempfile
import threading
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import Limits
from open_nsfw.sources.payload import MOST_IN_MEMORY, read_payload
from tests.tools.archive_samples import JPEG, content, make_tar, make_zip, rows, tar_header
from tests.tools.helpers import PICTURE, ROOT, peak_of, small_net, write_model
from tests.tools.sources import errors, scan, write

UNLIMITED = Limits(max_bytes=2**62)


class Bytewise(io.RawIOBase):
    """A stream that gives as little at once as it may."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 < size < 2**24, "nobody may be asked for all there might be"
        piece, self._left = self._left[:1000], self._left[1000:]
        return piece


@pytest.mark.parametrize("size", [1, 999, 1000, MOST_IN_MEMORY, MOST_IN_MEMORY + 1, MOST_IN_MEMORY + 3_000_000])
def test_payloads(size: int) -> None:
    data = os.urandom(1000) * (size // 1000) + b"x" * (size % 1000)
    payload = read_payload(Bytewise(data[100:]), UNLIMITED, data[:100], with_crc=True)
    assert (payload.size, payload.crc) == (size, zlib.crc32(data))
    assert (payload.data is None) == (size > MOST_IN_MEMORY) == (payload.file is not None)
    if payload.file is not None:
        with payload.file as file:
            data_read = file.read()
        assert data_read == data
    else:
        assert payload.data == data


@pytest.mark.parametrize("size", [0, 99, 100, 101, 5000])
def test_limits_of_payloads(size: int) -> None:
    for head in (b"", b"x" * min(size, 40)):
        stream = Bytewise(bytes(size - len(head)))
        if 0 < size <= 100:
            assert read_payload(stream, Limits(max_bytes=100), head).size == size
            continue
        with pytest.raises(InputError) as caught:
            read_payload(stream, Limits(max_bytes=100), head)
        assert caught.value.code == ("too-many-bytes" if size else "empty")


def test_a_file_is_closed_where_the_payload_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: made.append(real(**options)) or made[-1])
    with pytest.raises(InputError, match="max-bytes"):
        read_payload(Bytewise(bytes(MOST_IN_MEMORY + 2_000_000)), Limits(max_bytes=MOST_IN_MEMORY + 1_000_000))
    damaged = bytearray(make_zip([("a.jpg", JPEG + bytes(MOST_IN_MEMORY))], zipfile.ZIP_STORED))
    damaged[5000] = 1
    write("x.zip", bytes(damaged))
    assert rows(scan("x.zip")) == [("a.jpg", "damaged-archive")]
    assert [file.closed for file in made] == [True, True]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_folder_for_temporary_files_that_cannot_take_it(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs the one picture."""

    def fail(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    write("x.zip", make_zip([("a.jpg", JPEG + bytes(MOST_IN_MEMORY)), ("b.jpg", JPEG)], zipfile.ZIP_STORED))
    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    items = scan("x.zip")
    problem = f"the folder for temporary files cannot hold it: {os.strerror(number)}"
    expected = f"has over 8,388,608 bytes, and {problem}; name another one in TMPDIR"
    assert errors(items) == [("x.zip", "a.jpg", "unreadable", expected)]
    assert rows(items)[1] == ("b.jpg", JPEG)


@pytest.mark.parametrize("large", [False, True])
def test_a_limit_above_all_memory_costs_nothing(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is allocated because it would be allowed: in archives, from pipes, from standard input."""
    picture = JPEG + bytes(MOST_IN_MEMORY if large else 0)
    write("stored.zip", make_zip([("a.jpg", picture)], zipfile.ZIP_STORED))
    write("x.tar", make_tar([("a.jpg", picture)]))
    for name in ("stored.zip", "x.tar"):
        assert rows(scan(name, limits=UNLIMITED)) == [("a.jpg", picture)]
    os.mkfifo("pipe")
    writer = threading.Thread(target=write, args=("pipe", picture))
    writer.start()
    (item,) = scan("pipe", limits=UNLIMITED)
    writer.join()
    assert content(item) == picture
    write("picture", picture)
    with open("picture", encoding="latin-1") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        (item,) = scan("-", limits=UNLIMITED)
    assert content(item) == picture


SCAN = """
import sys
from open_nsfw.sources.walk import Sources
for item in Sources(sys.argv[1:]):
    assert item.error is None and item.held > 50_000_000, item
    item.close()
"""


def test_large_members_leave_memory_flat() -> None:
    picture = JPEG + bytes(64_000_000)
    write("x.zip", make_zip([(f"{number}.jpg", picture) for number in range(3)], zipfile.ZIP_STORED))
    with open("x.tar", "wb") as file:
        for number in range(3):
            file.write(tar_header(b"%d.jpg" % number, len(picture)) + picture + bytes(-len(picture) % 512))
        file.write(bytes(1024))
    for name in ("x.zip", "x.tar"):
        peak, _ = peak_of(SCAN, os.path.abspath(name))
        assert peak < 60 * 1024
        os.unlink(name)


COMMAND = """
import sys
from open_nsfw.cli.classify import main
assert main(["--quiet", "--format", "jsonl", "--output", *sys.argv[1:]]) == 0
"""


def test_the_command_scores_large_members_with_little_memory() -> None:
    """The bytes go from the archive to the process that decodes without being in the command's."""
    model = write_model(Path.cwd(), small_net())
    peaks = []
    for name, size in (("small.zip", 0), ("large.zip", 64_000_000)):
        picture = PICTURE.read_bytes() + bytes(size)  # what stands behind the end of a JPEG is not looked at
        write(name, make_zip([(f"{number}.jpg", picture) for number in range(4)], zipfile.ZIP_STORED))
        options = ["--engine", "onnxruntime", "--jobs", "2", *model]
        peak, _ = peak_of(COMMAND, os.path.abspath(f"{name}.jsonl"), *options, os.path.abspath(name))
        peaks.append(peak)
        lines = Path(f"{name}.jsonl").read_text().splitlines()
        assert len(lines) == 4 and all(f'"bytes": {len(picture)}' in line for line in lines)
        os.unlink(name)
    assert peaks[1] - peaks[0] < 50 * 1024
    assert ROOT.is_dir()


def test_small_pieces_take_no_more_memory_than_large_ones() -> None:
    """A stranger decides how large the pieces are that come."""
    code = f"""
import sys
from open_nsfw.sources.payload import PayloadBuffer
buffer, size = PayloadBuffer(), int(sys.argv[1])
for _ in range({MOST_IN_MEMORY} // size):
    buffer.add(b"x" * size)
assert len(buffer.payload().data) == {MOST_IN_MEMORY}
"""
    large, _ = peak_of(code, str(1 << 20))
    small, _ = peak_of(code, "4")
    assert small - large < 20 * 1024
