"""The messages of the decoding process: which answers are in order."""

from __future__ import annotations

import pytest

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.pictures.messages import (
    Answer,
    End,
    FileFailure,
    FileInfo,
    FoundPicture,
    ProtocolError,
    Request,
    in_order,
)
from open_nsfw.pictures.picture import MOST_PARTS, Failure, Part, Picture

PIXELS = bytes(3 * 256 * 256)
PICTURE = Picture(PIXELS, 8, 6, "PNG")
DIGEST = "0f" * 32
ERROR = InputError("truncated", "it ends too early")


def order(*answers: Answer, side: int | None = None, options: Extraction = Extraction()) -> list[Answer]:
    """Those that come through."""
    return list(in_order(answers, Request(7, path="x", quick_side=side), options))


INFO, SHOWN, END = FileInfo(7, 9, None), FoundPicture(7, PICTURE), End(7)


def frame(index: int, track: int | None = None) -> FoundPicture:
    """A frame of a film."""
    return FoundPicture(7, Picture(PIXELS, 8, 6, "MATROSKA", frame=index, track=track))


@pytest.mark.parametrize(
    "answers",
    [
        (INFO, SHOWN, END),
        (FileFailure(7, ERROR),),
        (INFO, FileFailure(7, ERROR)),
        (INFO, frame(0), FoundPicture(7, Failure(ERROR, 1)), frame(2), END),
        (INFO, frame(5, 0), frame(0, 1), frame(6, 0), END),
    ],
)
def test_answers_in_order(answers: tuple[Answer, ...]) -> None:
    assert order(*answers, INFO, SHOWN) == list(answers)  # what comes behind the last is not looked at


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((SHOWN,), "an answer out of order"),
        ((END,), "an answer out of order"),
        ((INFO, END), "neither a picture nor a reason"),
        ((INFO, INFO), "an answer out of order"),
        ((FileInfo(8, 9, None),), "an answer to another request"),
        ((INFO, End(6)), "an answer to another request"),
        ((FileInfo(7, 9, DIGEST),), "a hash that was not asked for, or none"),
        ((INFO, SHOWN, SHOWN), "a picture that was there already"),
        ((INFO, SHOWN, frame(1)), "a picture that was there already"),
        ((INFO, frame(1), SHOWN), "a picture that was there already"),
        ((INFO, frame(1), frame(1)), "a picture that was there already"),
        ((INFO, frame(1, 0), frame(1, 1), frame(0, 1)), "a picture that was there already"),
        ((INFO, *map(frame, range(5))), "more pictures than it may"),
        ((INFO, FoundPicture(7, Picture(bytes(3), 8, 6, "PNG"))), "pixels that were not asked for"),
        ((INFO, FoundPicture(7, Picture(PIXELS, 8, 6, "PNG", exact=False))), "pixels that were not asked for"),
        ((INFO, FoundPicture(7, Picture(PIXELS, 8, 6, "PNG", reduced=True))), "pixels that were not asked for"),
    ],
)
def test_answers_out_of_order(answers: tuple[Answer, ...], reason: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{reason}$"):
        order(*answers, options=Extraction(frames=FrameChoice(max_frames=2)))


def part(number: int, frame: int | None = None, box: tuple[int, int, int, int] = (0, 0, 4, 6)) -> FoundPicture:
    """A part of a picture."""
    return FoundPicture(7, Picture(PIXELS, 8, 6, "PNG", frame=frame, part=Part(number, "cell", *box)))


def failed_part(number: int) -> FoundPicture:
    """A part of a file's only picture that could not be cut out."""
    return FoundPicture(7, Failure(ERROR, None, part=Part(number, "cell", 0, 0, 4, 6)))


VIEWS = Extraction(frames=FrameChoice(max_frames=2), views="tiles")
OUT_OF_PLACE = "a part that was not asked for, or not in its place"


@pytest.mark.parametrize(
    "answers",
    [
        (INFO, SHOWN, part(0), part(1), END),
        (INFO, SHOWN, failed_part(0), part(1), END),
        (INFO, SHOWN, *map(part, range(MOST_PARTS)), END),
        (INFO, frame(0), part(0, 0), part(1, 0), frame(1), part(0, 1), END),
    ],
)
def test_parts_follow_their_picture(answers: tuple[Answer, ...]) -> None:
    assert order(*answers, options=VIEWS) == list(answers)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((part(0),), OUT_OF_PLACE),
        ((SHOWN, part(1)), OUT_OF_PLACE),
        ((SHOWN, part(0), part(0)), OUT_OF_PLACE),
        ((SHOWN, part(0, 3)), OUT_OF_PLACE),
        ((SHOWN, *map(part, range(MOST_PARTS + 1))), OUT_OF_PLACE),
        ((FoundPicture(7, Failure(ERROR, 1)), part(0, 1)), OUT_OF_PLACE),
        ((SHOWN, part(0, None, (0, 0, 9, 6))), "a part outside of its picture"),
        ((SHOWN, part(0, None, (0, 0, 8, 7))), "a part outside of its picture"),
        ((FoundPicture(7, Failure(ERROR, None)),), "a failure of no picture"),
    ],
)
def test_parts_out_of_place(answers: tuple[Answer, ...], reason: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{reason}$"):
        order(INFO, *answers, options=VIEWS)


def test_parts_that_nobody_asked_for() -> None:
    with pytest.raises(ProtocolError, match=f"^{OUT_OF_PLACE}$"):
        order(INFO, SHOWN, part(0))


def test_turned_pictures_are_those_that_were_asked_for() -> None:
    turned = FoundPicture(7, Picture(PIXELS, 8, 6, "PNG", upright=False))
    assert len(order(INFO, turned, END, options=Extraction(upright=True))) == 3
    for shown, options in ((turned, Extraction()), (SHOWN, Extraction(upright=True))):
        with pytest.raises(ProtocolError, match="^a picture that was turned without being asked for"):
            order(INFO, shown, options=options)


def test_a_hash_that_was_asked_for() -> None:
    with_hash = Extraction(hash=True)
    assert len(order(FileInfo(7, 9, DIGEST), SHOWN, END, options=with_hash)) == 3
    with pytest.raises(ProtocolError):
        order(INFO, END, options=with_hash)


def test_quick_pixels_are_as_many_as_the_net_needs() -> None:
    def quick(side: int) -> FoundPicture:
        return FoundPicture(7, Picture(bytes(3 * side * side), 8, 6, "JPEG", exact=False, reduced=True))

    assert len(order(INFO, quick(224), END, side=224)) == 3
    assert len(order(INFO, SHOWN, END, side=224)) == 3  # no JPEG: the recipe's
    with pytest.raises(ProtocolError):
        order(INFO, quick(256), END, side=224)


def test_a_picture_in_full_size_is_as_large_as_it_says() -> None:
    """Where it was asked for it must be there, within the limit; otherwise it must not. Frames have none."""
    wanted = Extraction(limits=Limits(max_pixels=48), whole=True)

    def shown(width: int, height: int, size: int) -> tuple[Answer, ...]:
        return INFO, FoundPicture(7, Picture(PIXELS, width, height, "PNG", whole=bytes(size))), END

    assert len(order(*shown(8, 6, 144), options=wanted)) == 3
    assert len(order(INFO, frame(0), END, options=wanted)) == 3
    for answers, options in (
        (shown(8, 6, 0), wanted),
        (shown(8, 6, 143), wanted),
        (shown(8, 7, 168), wanted),
        (shown(8, 6, 144), Extraction()),
    ):
        with pytest.raises(ProtocolError, match="^a picture in full size that was not asked for, or none$"):
            order(*answers, options=options)
