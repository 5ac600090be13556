"""`Item`: one thing to score; what is taken for one; and the options of looking for them. Standard library only: this is
on the way of every run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import container_of
from open_nsfw.pictures.extraction import Encoded
from open_nsfw.pictures.formats import Limits, sniff
from open_nsfw.sources.heads import is_surely_archive

STDIN = "-"

# A file whose name ends like this is taken for a picture or a video whatever it holds: a broken one gets its row.
# MPEG transport streams are known by content alone: most files called *.ts are TypeScript.
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff"),
    *(".avif", ".avifs", ".heic", ".heif"),
)
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mpe", ".vob", ".flv", ".ogv", ".wmv"),
    *(".3gp", ".3g2", ".m2ts", ".mts", ".m2t", ".asf", ".ogm", ".f4v", ".rm", ".rmvb", ".wtv", ".dv", ".mxf", ".gxf"),
    *(".nut", ".ivf", ".obu", ".m1v", ".m2v", ".h264", ".264", ".h265", ".265", ".hevc", ".y4m"),
)
# Raw pictures of cameras, of those kinds that begin as TIFF does; others begin with magic of their own.
RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25", ".kdc", ".mef", ".mos", ".nef"),
    *(".nrw", ".pef", ".rwl", ".sr2", ".srf", ".srw"),
)
_CANON_RAW = b"CR"  # behind the header of a TIFF file
_SUFFIXES = PICTURE_SUFFIXES + VIDEO_SUFFIXES
_APPLE_DOUBLE = b"\x00\x05\x16\x07"  # what macOS stores beside x.jpg as ._x.jpg: attributes, no picture


@dataclass(frozen=True)
class SourceOptions:
    """What is taken from folders and archives, and what an archive may cost."""

    hidden: bool = False
    """Also files and folders whose name begins with a dot; the members of an archive are never hidden."""
    limits: Limits = field(default_factory=Limits)
    """Of one picture; a member of an archive or standard input beyond `max_bytes` is not read."""
    max_archive_bytes: int = 64 * 1024**3
    """What unpacking one archive may add to its size; pictures, which are compressed already, add next to nothing."""
    max_archive_ratio: float = 200.0
    """Unpacked to packed size of one member of a zip or of a whole compressed tar; judged past 10 MiB unpacked."""
    left_out: str | None = None
    """A folder that is not looked into where it is found in another one, or by a pattern: files are brought there."""
    unpack: bool = True
    """Whether the members of an archive come; otherwise the archive does, as one Item that is `packed`."""


@dataclass(frozen=True)
class Item:
    """One thing to score, or the reason why there is nothing to score."""

    path: str
    """As the user knows it; a name that is not UTF-8 is carried by surrogate escapes (`os.fsdecode`)."""
    member: str | None = None
    """The name inside an archive: a label, never a path that anything is written to."""
    data: bytes | None = None
    """The encoded picture or video; None where whoever scores it reads `file`, or the file `path`."""
    file: BinaryIO | None = field(default=None, compare=False)
    """In place of `data` that is large, and of a `path` that means this process's own (`/dev/stdin`): an open file, to be
    read from its beginning. Whoever takes the Item closes it."""
    error: InputError | None = None
    """Why there is nothing to score."""
    size: int | None = None
    """Bytes of the file, or of the archive's file; None for standard input."""
    modified: float | None = None
    """When that file was last changed, in seconds since 1970."""
    at: str | None = None
    """Where the file is, for a process to which `path`, as the user knows it, does not lead; None where it does."""
    packed: bool = False
    """An archive that was not looked into: `walk.unpacked` gives its members."""
    by_content: bool = False
    """Nobody named it, and only its content says that it plays: if that turns out to be only sound, it is passed over."""
    unless_seen: int = 0
    """So many items before this one are `by_content` and of the same folder or archive: this one, which says that there is
    no picture in it, counts only if all of them were passed over."""

    @property
    def held(self) -> int:
        """Bytes of `data` or `file`; 0 where the picture is read from `path`."""
        return os.fstat(self.file.fileno()).st_size if self.file is not None else len(self.data or b"")

    @property
    def encoded(self) -> Encoded:
        """What the decoding process is given."""
        if self.file is not None:
            return self.file
        return self.location if self.data is None else self.data

    @property
    def location(self) -> str:
        """The path by which this process finds the file."""
        return self.path if self.at is None else self.at

    def close(self) -> None:
        """Close `file`, if there is one. May be called twice."""
        if self.file is not None:
            self.file.close()


def named_like_picture(name: str) -> bool:
    """Whether a file's name ends like a picture's or a video's."""
    return name.lower().endswith(_SUFFIXES)


def is_picture(name: str, head: bytes) -> bool:
    """Whether a file that nobody asked for by name is to be scored: by its name, else by its first `HEAD` bytes."""
    if head.startswith(_APPLE_DOUBLE):
        return False
    if named_like_picture(name):
        return True
    if is_surely_archive(head):
        return False
    form, container = sniff(head), container_of(head)
    if _is_raw(name, form, head) or (form is None and container is None):
        return False
    # The magic of a transport stream is a "G" every 188 bytes: no text is a film for that.
    return form is not None or container != "mpegts" or any(byte < 9 or 13 < byte < 32 for byte in head[:512])


def may_be_only_sound(name: str, head: bytes) -> bool:
    """Whether a file that `is_picture` took may turn out to have nothing to see."""
    return not named_like_picture(name) and sniff(head) is None


def _is_raw(name: str, form: str | None, head: bytes) -> bool:
    """Whether a file holds what a camera's sensor saw. Most of them are TIFF inside, with a small preview first."""
    return form == "TIFF" and (head[8:10] == _CANON_RAW or name.lower().endswith(RAW_SUFFIXES))
