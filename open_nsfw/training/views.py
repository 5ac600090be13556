"""Views of a picture for training: parts of its 256 x 256 pixels after the JPEG round trip, some of them mirrored.

View 0 is what is scored: the middle. Every other number stands for a part at random, the same in every run: it is drawn
from the seed, the picture's content and the number.
"""

from __future__ import annotations

import hashlib

import numpy as np

from open_nsfw.pictures.pixels import Pixels, crop

MIDDLE = 0
ENDLESS = 2**16  # numbers of views where none is kept


def view(pixels: Pixels, number: int, sha256: str, seed: int, height: int, width: int) -> Pixels:
    """uint8 (height, width, 3) of uint8 (H, W, 3), RGB."""
    if number == MIDDLE:
        return crop(pixels, height, width)
    drawn = hashlib.sha256(f"{seed} {sha256} {number}".encode("ascii")).digest()
    top = int.from_bytes(drawn[:4], "little") % (pixels.shape[0] - height + 1)
    left = int.from_bytes(drawn[4:8], "little") % (pixels.shape[1] - width + 1)
    part = pixels[top : top + height, left : left + width]
    return np.ascontiguousarray(part[:, ::-1]) if drawn[8] & 1 else part


def view_name(sha256: str, number: int, seed: int) -> str:
    """A SHA-256 that stands for a view of a picture, hexadecimal: what it is kept under."""
    return hashlib.sha256(f"view {seed} {sha256} {number}".encode("ascii")).hexdigest()
