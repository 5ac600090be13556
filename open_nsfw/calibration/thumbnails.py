"""Small pictures for the report."""

from __future__ import annotations

import io

from PIL import Image

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.redecode import Key, decoded_again
from open_nsfw.pictures.picture import Picture

THUMBNAIL_QUALITY = 70  # of JPEG; about 8 kB each


def thumbnails(examples: list[Example]) -> dict[Key, bytes]:
    """Small JPEGs of these pictures, by (path, member); those that cannot be had any more are left out."""
    wanted = [(example.path, example.member) for example in examples if example.path is not None]
    return {key: small_jpeg(picture) for key, picture in decoded_again(wanted)}


def small_jpeg(picture: Picture) -> bytes:
    """A JPEG of what the network looks at, in the picture's own proportions."""
    longest, side = max(picture.width, picture.height), picture.side
    size = max(1, round(side * picture.width / longest)), max(1, round(side * picture.height / longest))
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), picture.pixels).resize(size).save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()
