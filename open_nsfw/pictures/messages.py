"""The messages between the command's process and one that decodes, and the order that answers must keep.

What the decoding process says is as trustworthy as the picture that it was given: a decoder that a picture has broken may
write anything. So nothing is taken as a message that is not one to the last field (wire.py), and nothing as an answer that
does not carry its request's number or is not in order. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional, Union

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import SIDE, quick_pixels
from open_nsfw.pictures.picture import MOST_PARTS, Failure, Found, Part, Picture

LARGEST = 2**63 - 1  # of whole numbers: what rows can hold
REQUEST_BITS = 48  # of a request's number, which is drawn by lot: answers in advance cannot know it


class ProtocolError(Exception):
    """What came is no message, or none that may come there; the text says why, without a word of the sender's."""


# Named tuples: six dataclasses take 3 ms to define, in the command and in each of its decoding processes.


class Request(NamedTuple):
    """One file to decode: at `path`, in an open `descriptor`, or `data` itself."""

    number: int
    path: str | None = None
    descriptor: int | None = None
    quick_side: int | None = None
    """Pixels a side that the net reads, if a quick decode will do."""
    frames: FrameChoice | None = None
    """Which frames are wanted of this file; None for those that the process was started for."""
    data: bytes = b""


class Ready(NamedTuple):
    """The process has come up."""


class FileInfo(NamedTuple):
    """What is known about a file before its pictures."""

    request: int
    bytes: int
    sha256: str | None
    format: str | None = None
    """By its first bytes, as a `Picture` of it has it; None if it is in none that is read."""


class FoundPicture(NamedTuple):
    """One picture of a file, or why it is not there; others follow."""

    request: int
    found: Found


class End(NamedTuple):
    """A file has no further picture."""

    request: int


class FileFailure(NamedTuple):
    """A file has no further picture that can be had."""

    request: int
    error: InputError
    worn: bool = False
    """The process is out of memory or descriptors, which earlier files may have used up."""


Answer = Union[FileInfo, FoundPicture, End, FileFailure]
Message = Union[Request, Ready, Answer]


def in_order(answers: Iterable[Answer], request: Request, options: Extraction) -> Iterator[Answer]:
    """The answers to one request, up to the last one: `FileInfo`, then each picture, its parts behind it, then `End`; or
    `FileFailure` anywhere.

    Raises ProtocolError for one to another request, one out of order, a picture twice, more pictures than `options` allow,
    and pixels or parts that were not asked for.
    """
    begun, shown, count = False, dict[Optional[int], int](), 0
    before: Found | None = None
    for answer in answers:
        if answer.request != request.number:
            raise ProtocolError("an answer to another request")
        if not isinstance(answer, FileFailure) and isinstance(answer, FileInfo) == begun:
            raise ProtocolError("an answer out of order")
        if isinstance(answer, FileInfo):
            begun = True
            if (answer.sha256 is not None) != options.hash:
                raise ProtocolError("a hash that was not asked for, or none")
        elif isinstance(answer, End) and count == 0:
            raise ProtocolError("neither a picture nor a reason")
        elif isinstance(answer, FoundPicture):
            if answer.found.part is None:
                _note_shown(answer.found, shown)
                count += 1
            elif options.views is None or before is None or not _follows(answer.found, answer.found.part, before):
                raise ProtocolError("a part that was not asked for, or not in its place")
            if count > 2 * options.frames.max_frames:  # as many pictures, and as many that failed
                raise ProtocolError("more pictures than it may")
            if isinstance(answer.found, Picture):
                _check_picture(answer.found, request.quick_side, options)
            before = answer.found
        yield answer
        if isinstance(answer, (End, FileFailure)):
            return


def _note_shown(found: Found, shown: dict[int | None, int]) -> None:
    """Note a picture's index, which must come behind the last one of its track. A picture without an index is alone."""
    if isinstance(found, Failure) and found.frame is None:
        raise ProtocolError("a failure of no picture")
    if found.frame is None:
        repeated, index = bool(shown), LARGEST
    else:
        index = found.frame
        repeated = index <= shown.get(found.track, -1)
    if repeated or LARGEST in shown.values():
        raise ProtocolError("a picture that was there already")
    shown[found.track] = index


def _check_whole(picture: Picture, options: Extraction) -> None:
    is_wanted = options.whole and picture.exact and picture.frame is None and picture.part is None
    size = 3 * picture.width * picture.height if is_wanted else 0
    if len(picture.whole) != size or size > 3 * options.limits.max_pixels:
        raise ProtocolError("a picture in full size that was not asked for, or none")


def _follows(found: Found, part: Part, before: Found) -> bool:
    """Whether a part comes directly behind its picture, or the part before it."""
    expected = before.part.number + 1 if before.part is not None else 0
    is_same = (found.frame, found.seconds, found.track) == (before.frame, before.seconds, before.track)
    return is_same and part.number == expected < MOST_PARTS and (expected > 0 or isinstance(before, Picture))


def _check_picture(picture: Picture, quick_side: int | None, options: Extraction) -> None:
    if (picture.upright is not None) != options.upright:
        raise ProtocolError("a picture that was turned without being asked for, or not looked at for that")
    part = picture.part
    if part is not None and (part.right > picture.width or part.bottom > picture.height):
        raise ProtocolError("a part outside of its picture")
    _check_pixels(picture, quick_side)
    _check_whole(picture, options)


def _check_pixels(picture: Picture, quick_side: int | None) -> None:
    if picture.exact:
        side, fits = SIDE, not picture.reduced
    else:
        side, fits = quick_pixels(quick_side or SIDE), quick_side is not None
    if not fits or len(picture.pixels) != 3 * side * side:
        raise ProtocolError("pixels that were not asked for")
