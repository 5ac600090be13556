"""Pictures turned as they are meant to be seen: what EXIF says of a photo, and a display matrix of a film's frame.

Yahoo's recipe does neither; `--upright` asks for it. Both are told as one of the eight orientations of EXIF (tag 274):
1 is upright, 2 to 8 are the seven other ways in which rows and columns can lie.
"""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image

UPRIGHT = 1
ORIENTATION_TAG = 274
# EXIF 2.3, section 4.6.4 A, Orientation: what turns a picture that lies so upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# (a, b, c, d) of a display matrix, which takes the stored pixel (x, y) to (a x + c y, b x + d y), by sign -> orientation.
_MATRICES = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_MATRIX = struct.Struct(
    "=9i"
)  # of FFmpeg (libavutil/display.h): three rows of three, 16.16 and in the last column 2.30


def orientation_of(image: Image.Image) -> int:
    """The orientation, 1 to 8, that an opened picture's metadata says it has; 1 where they say nothing that can be read.

    Ask when its pixels are decoded: some plug-ins of Pillow (TIFF, HEIF) turn the pixels then, and say so.
    """
    try:
        value = image.getexif().get(ORIENTATION_TAG, UPRIGHT)
    except Exception:  # noqa: BLE001  of any kind: a picture is not refused for what is said beside it
        return UPRIGHT
    return value if value in _TURNS else UPRIGHT


def frame_orientation(frame: Any) -> int:
    """The orientation, 1 to 8, of PyAV's video frame by its display matrix; 1 where it has none, or is turned by anything
    but quarters of a circle."""
    kept = frame.side_data
    for index in range(len(kept)):  # what iterating over it gives differs with PyAV's releases
        data = kept[index]
        if data.type.name == "DISPLAYMATRIX" and len(bytes(data)) >= _MATRIX.size:
            return matrix_orientation(bytes(data))
    return UPRIGHT


def matrix_orientation(matrix: bytes) -> int:
    """The orientation, 1 to 8, that a display matrix in FFmpeg's form (nine 32-bit integers) stands for."""
    a, b, _, c, d, *_ = _MATRIX.unpack_from(matrix)
    largest = max(map(abs, (a, b, c, d)))
    # A matrix may scale as well: what is less than a thousandth of the rest is no turn.
    signs = [0 if abs(each) * 1000 <= largest else (each > 0) - (each < 0) for each in (a, b, c, d)]
    return next((orientation for matrix, orientation in _MATRICES.items() if list(matrix) == signs), UPRIGHT)


def swaps_sides(orientation: int) -> bool:
    """Whether a picture of this orientation is as wide upright as it is high now."""
    return orientation >= 5


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """A picture of this orientation, upright; the picture itself where nothing is to be done."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
