"""Animations and pages: each frame as it is to be seen, at its time, whatever the file says of itself."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures import frames
from open_nsfw.pictures.decode import open_image
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.pictures.picture import Failure, Found
from open_nsfw.pictures.tiff_pages import TiffPages
from tests.tools.helpers import DATA

ALL = FrameChoice("all")
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def found(data: bytes, choice: FrameChoice = ALL, limits: Limits = Limits()) -> list[tuple[int | None, Any]]:
    """Of each picture its number, and its time or what is wrong with it; in the end also what ended the file."""
    result: list[tuple[int | None, Any]] = []
    try:
        for each in frames.pictures(data, Extraction(limits, choice)):
            is_failed = isinstance(each, Failure)
            result.append((each.frame, f"{each.error.code}: {each.error}" if is_failed else each.seconds))  # type: ignore
    except InputError as error:
        result.append((None, f"{error.code}: {error}"))
    return result


def encoded(form: str, colours: list[tuple[int, int, int]], **options: Any) -> bytes:
    """A file with a picture of each colour."""
    first, *others = (Image.new("RGB", (40, 30), colour) for colour in colours)
    buffer = io.BytesIO()
    first.save(buffer, form, save_all=True, append_images=others, **options)
    return buffer.getvalue()


# ---------------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize("form", ["WEBP", "GIF", "PNG", "AVIF"])
def test_times_are_the_sums_of_the_durations_before(form: str) -> None:
    """Durations that differ, none at all among them."""
    Image.init()
    if form not in Image.SAVE_ALL:
        pytest.skip("this Pillow reads no AVIF")
    shades = [(40 * index, 255 - 40 * index, 90) for index in range(6)]
    durations = [100, 200, 10 if form == "AVIF" else 0, 40, 500, 70]
    times = [0.0, 0.1, 0.3, 0.31, 0.35, 0.85] if form == "AVIF" else [0.0, 0.1, 0.3, 0.3, 0.34, 0.84]
    data = encoded(form, shades, duration=durations)
    assert [time for _, time in found(data)] == pytest.approx(times)
    assert found(data, FrameChoice("every", 4)) == [(0, 0.0), (4, pytest.approx(times[4]))]


def test_a_picture_of_its_own_before_an_animated_png() -> None:
    """It is scored, and is no part of the animation, whose time begins behind it."""
    data = encoded("PNG", [RED, GREEN, BLUE, RED], default_image=True, duration=[100, 200, 300])
    assert found(data) == [(0, None), (1, 0.0), (2, 0.1), (3, 0.3)]


# --------------------------------------------------------------------------------------------------------- animated PNG


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def animated_png(
    size: tuple[int, int], parts: list[tuple[tuple[int, int], Any, int, int]], claimed: int | None = None
) -> bytes:
    """An animated PNG, RGBA: of each frame its place, uint8 (H, W, 4), what becomes of it, how it is drawn."""
    count = len(parts) if claimed is None else claimed
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 6, 0, 0, 0))
    data += chunk(b"acTL", struct.pack(">II", count, 0))
    number = 0
    for index, ((x, y), pixels, dispose, blend) in enumerate(parts):
        height, width = pixels.shape[:2]
        data += chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, x, y, 1, 10, dispose, blend))
        packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
        data += chunk(b"IDAT", packed) if index == 0 else chunk(b"fdAT", struct.pack(">I", number + 1) + packed)
        number += 1 + (index > 0)
    return data + chunk(b"IEND", b"")


def drawn(size: tuple[int, int], parts: list[tuple[tuple[int, int], Any, int, int]]) -> list[Any]:
    """The frames as the specification of animated PNG has them: uint8 (H, W, 3) each. Alpha is 0 or 255."""
    canvas, result = np.zeros((size[1], size[0], 4), np.uint8), []
    for index, ((x, y), pixels, dispose, blend) in enumerate(parts):
        place = (slice(y, y + pixels.shape[0]), slice(x, x + pixels.shape[1]))
        before = canvas.copy()
        is_drawn = np.ones(pixels.shape[:2], bool) if blend == 0 else pixels[..., 3] == 255
        canvas[place][is_drawn] = pixels[is_drawn]
        result.append(canvas[..., :3].copy())
        if dispose == 1 or (dispose == 2 and index == 0):
            canvas[place] = 0
        elif dispose == 2:
            canvas = before
    return result


def random_parts(seed: int, size: tuple[int, int]) -> list[tuple[tuple[int, int], Any, int, int]]:
    """Six frames anywhere, disposed of and drawn in any way; the first covers all, as it must."""
    source, numbers = random.Random(seed), np.random.default_rng(seed)
    parts = []
    for index in range(6):
        width, height = (source.randint(1, side) if index else side for side in size)
        place = (source.randint(0, size[0] - width), source.randint(0, size[1] - height))
        pixels = numbers.integers(0, 256, (height, width, 4), np.uint8)
        pixels[..., 3] = numbers.choice(np.array([0, 255], np.uint8), (height, width)) if index else 255
        parts.append((place, pixels, source.randint(0, 2), source.randint(0, 1)))
    return parts


def seen(data: bytes, choice: FrameChoice, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the recipe is given: uint8 (H, W, 3) of each frame."""
    images: list[Any] = []
    real = frames.views

    def note(image: Image.Image, *where: Any) -> Iterator[Found]:
        yield from real(image, *where)
        images.append(np.asarray(image.convert("RGB")))

    monkeypatch.setattr(frames, "views", note)
    list(frames.pictures(data, Extraction(frames=choice)))
    monkeypatch.setattr(frames, "views", real)
    return images


@pytest.mark.parametrize("seed", range(40))
def test_animated_png_is_drawn_by_its_specification(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever frames are looked at on the way: Pillow 13 by itself draws wrong what follows a frame that is undone, if
    that frame was loaded."""
    size = (24, 16)
    parts = random_parts(seed, size)
    right = drawn(size, parts)
    for choice in (ALL, FrameChoice("every", 2), FrameChoice("every", 5), FrameChoice("max", 3)):
        images = seen(animated_png(size, parts), choice, monkeypatch)
        wanted = [right[index] for index in choice.indices(len(parts))]
        assert len(images) == len(wanted)
        for image, expected in zip(images, wanted):
            assert np.array_equal(image, expected)


@pytest.mark.parametrize("seed", range(10))
def test_animated_png_is_drawn_as_by_ffmpeg(seed: int) -> None:
    """The specification as it is understood here is FFmpeg's understanding of it."""
    av = pytest.importorskip("av")
    size = (24, 16)
    parts = random_parts(seed, size)
    with av.open(io.BytesIO(animated_png(size, parts)), format="apng") as container:
        theirs = [frame.to_ndarray(format="rgba")[..., :3] for frame in container.decode(video=0)]
    assert len(theirs) == len(parts)
    for image, expected in zip(theirs, drawn(size, parts)):
        assert np.array_equal(image, expected)


@pytest.mark.parametrize("choice", [ALL, FrameChoice("every", 1), FrameChoice("max", 2), FrameChoice("max", 9)])
def test_a_frame_count_that_lies(choice: FrameChoice) -> None:
    """2,147,483,647 frames are claimed, two are there: two rows, at once, and in no list of all those numbers."""
    size = (24, 16)
    data = animated_png(size, random_parts(1, size)[:2], claimed=2**31 - 1)
    assert found(data, choice) == [(0, 0.0), (1, 0.1)]


def test_an_animated_png_of_more_frames_than_there_can_be() -> None:
    """Is none: its first picture is shown, alone."""
    size = (24, 16)
    data = animated_png(size, random_parts(1, size)[:2], claimed=2**31 + 1)
    assert found(data) == [(None, None)]


def test_an_animated_png_that_is_cut() -> None:
    """Up to the frame that is not whole."""
    size = (24, 16)
    data = animated_png(size, random_parts(1, size))
    at = data.rindex(b"fdAT")
    *whole, last = found(data[: at + 10])
    assert [frame for frame, _ in whole] == [0, 1, 2, 3, 4]
    assert last[0] is None and last[1].startswith(("truncated: a damaged PNG file", "undecodable: a damaged PNG file"))


def test_pictures_of_a_file_that_are_cut_off() -> None:
    """Of a JPEG with several, each that is not there has its row."""
    data = encoded("MPO", [RED, GREEN, BLUE])
    second = data.index(b"\xff\xd8\xff", 1)
    first, *rows = found(data[: second + 200])
    assert first == (0, None)
    assert [(frame, error.split(":")[0]) for frame, error in rows] == [(1, "truncated"), (2, "truncated")]


def test_pictures_of_a_file_that_is_cut_off_in_the_first() -> None:
    """Pillow 11 does not open such a file, and Pillow 13 does: one row for it, or one for each picture."""
    data = encoded("MPO", [RED, GREEN, BLUE])
    rows = [(frame, error.split(":")[0]) for frame, error in found(data[: data.index(b"\xff\xda")])]
    assert rows in ([(None, "truncated")], [(frame, "truncated") for frame in range(3)])


# ----------------------------------------------------------------------------------------------------------------- pages


def tiff(modes: list[str], big: bool = False) -> tuple[bytearray, list[int]]:
    """A TIFF with a page of each mode, and where the tags of each page begin."""
    buffer = io.BytesIO()
    first, *others = (Image.new(mode, (20, 10), 90) for mode in modes)
    first.save(buffer, "TIFF", save_all=True, append_images=others, big_tiff=big)
    data = bytearray(buffer.getvalue())
    offsets, at = [], 8 if big else 4
    form, tags, size = ("<Q", "<Q", 20) if big else ("<L", "<H", 12)
    while True:
        (offset,) = struct.unpack_from(form, data, at)
        if not offset:
            return data, offsets
        offsets.append(offset)
        at = offset + struct.calcsize(tags) + struct.unpack_from(tags, data, offset)[0] * size


def with_tag(data: bytearray, page: int, tag: int, value: int) -> bytearray:
    """The file with another value of a tag in the page that begins at `page`."""
    changed = bytearray(data)
    for index in range(struct.unpack_from("<H", data, page)[0]):
        at = page + 2 + index * 12
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<HHLL", changed, at, tag, 3, 1, value)
    return changed


PHOTOMETRIC, COMPRESSION = 262, 259


@pytest.mark.parametrize("odd", [0, 1, 3])
@pytest.mark.parametrize(("tag", "value"), [(PHOTOMETRIC, 32845), (COMPRESSION, 34926)])
def test_one_odd_page_costs_one_row(odd: int, tag: int, value: int) -> None:
    """The first one too, and it is no damage."""
    data, offsets = tiff(["L", "RGB", "1", "L"])
    *rows, _ = [*found(bytes(with_tag(data, offsets[odd], tag, value))), None]
    reason = "unknown pixel mode" if tag == PHOTOMETRIC else "compression 34926"
    expected: list[tuple[int, Any]] = [(index, None) for index in range(4)]
    expected[odd] = (odd, f"unsupported: a TIFF file of a kind that is not read: {reason}")
    assert rows == expected


def test_two_odd_pages_cost_two_rows() -> None:
    """And an evenly spread choice goes by the pages that are there."""
    data, offsets = tiff(["L"] * 5)
    for odd in (1, 4):
        data = with_tag(data, offsets[odd], PHOTOMETRIC, 32845)
    assert [frame for frame, error in found(bytes(data)) if error] == [1, 4]
    assert [frame for frame, _ in found(bytes(data), FrameChoice("max", 3))] == [0, 2, 4]
    assert found(bytes(data), FrameChoice("all", max_frames=1)) == [
        (0, None),
        (None, "too-many-frames: more than the limit of 1 frames (--max-frames)"),
    ]


@pytest.mark.parametrize("big", [False, True])
def test_pages_that_are_not_there(big: bool) -> None:
    """A page beyond the end of the file has an error; one that leads back to an earlier one is the last."""
    if big and tuple(map(int, Image.__version__.split(".")[:2])) < (11, 1):
        pytest.skip("this Pillow writes no BigTIFF")
    data, offsets = tiff(["L", "L", "L"], big)
    form, size, at = ("<Q", 20, 8) if big else ("<L", 12, 2)
    follows = offsets[1] + at + struct.unpack_from("<Q" if big else "<H", data, offsets[1])[0] * size
    beyond, back = bytearray(data), bytearray(data)
    struct.pack_into(form, beyond, follows, 10**9)
    struct.pack_into(form, back, follows, offsets[0])
    expected: list[tuple[int, Any]] = [(0, None), (1, None)]
    assert found(bytes(back)) == expected
    assert found(bytes(beyond)) == [*expected, (2, "truncated: a damaged TIFF file: it ends before page 2")]
    assert len(found(bytes(data))) == 3


def test_pages_that_are_cut_off() -> None:
    """Those before are scored."""
    buffer = io.BytesIO()
    pages = [Image.effect_noise((60, 40), 90) for _ in range(3)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    data = buffer.getvalue()
    tags = TiffPages(data, 9).offsets[2]
    for end in (len(data) - 1000, *range(tags - 3, tags + 200, 7)):  # in the pixels of the last page, and in its tags
        rows = found(data[:end])
        assert rows[:2] == [(0, None), (1, None)]
        assert [(frame, error.split(":")[0]) for frame, error in rows[2:]] == [(2, "truncated")]


def test_a_page_over_the_limit_of_pixels() -> None:
    """Each page is measured."""
    buffer = io.BytesIO()
    pages = [Image.new("L", size, 90) for size in ((10, 10), (100, 100), (10, 10))]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    rows = found(buffer.getvalue(), limits=Limits(max_pixels=5000))
    assert rows == [
        (0, None),
        (1, "too-many-pixels: 100 x 100 pixels, more than the limit of 5,000 (--max-pixels)"),
        (2, None),
    ]


@pytest.mark.parametrize(
    "error", [ValueError("odd"), KeyError(7), SyntaxError("unknown pixel mode"), struct.error("x")]
)
def test_a_reader_that_cannot_count(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be reached is scored."""

    def fail(_: object) -> int:
        raise error

    data = encoded("GIF", [RED, GREEN, BLUE], duration=100)
    kind = type(open_image(data))
    monkeypatch.setattr(kind, "n_frames", property(fail))
    assert found(data) == [
        (0, 0.0),
        (1, 0.1),
        (2, 0.2),
        (None, "truncated: a damaged GIF file: it ends before frame 3"),
    ]


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("x"), SyntaxError("unrecognized mode"), OSError("cut")])
def test_a_reader_that_cannot_reach_a_picture(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs itself where pictures do not build on each other."""
    data = (DATA / "pictures" / "stereo.mpo").read_bytes()
    kind = type(open_image(data))
    real = kind.seek

    def seek(image: Any, frame: int) -> None:
        if frame == 1:
            raise error
        real(image, frame)

    monkeypatch.setattr(kind, "seek", seek)
    rows = found(data)
    assert [frame for frame, problem in rows if problem is None] == [0, 2]
    code = "unsupported" if isinstance(error, SyntaxError) else "undecodable"
    assert rows[1][1].startswith(f"{code}: a ") and "frame 1: " in rows[1][1]


def test_a_whole_picture_that_is_not_supported_is_not_called_damaged() -> None:
    """The only picture of a file, too."""
    data, offsets = tiff(["L"])
    for tag, value, reason in ((PHOTOMETRIC, 32845, "unknown pixel mode"), (COMPRESSION, 34926, "compression 34926")):
        expected = [(None, f"unsupported: a TIFF file of a kind that is not read: {reason}")]
        changed = bytes(with_tag(data, offsets[0], tag, value))
        assert found(changed) == found(changed, FrameChoice()) == expected
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "BMP")
    bmp = bytearray(buffer.getvalue())
    struct.pack_into("<H", bmp, 28, 7)  # bits a pixel
    ((_, error),) = found(bytes(bmp))
    assert error.startswith("unsupported: a BMP file of a kind that is not read: Unsupported BMP pixel depth")
