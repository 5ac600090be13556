"""A picture in any shape -> uint8 pixels -> float32 blob: Yahoo's recipe, to the last bit.

The first half, from encoded bytes to the JPEG round trip, is in decode.py, which needs no NumPy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Union

import numpy as np
from numpy.typing import NDArray

from open_nsfw.pictures.formats import Limits, read_bytes, read_stream
from open_nsfw.pictures.picture import Picture

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO, "Image.Image", Pixels]

# The Transformer settings of Yahoo's classify_nsfw.py: means of the 0..255 values that Caffe's ImageNet models use.
MEAN_BGR = (104, 117, 123)


def resized_pixels(source: Source, limits: Limits = Limits()) -> Pixels:
    """A picture after Yahoo's resize and JPEG round trip: uint8 (256, 256, 3), RGB, 0..255. Raises as `load_image`
    does."""
    from open_nsfw.pictures.decode import round_trip

    return np.asarray(round_trip(load_image(source, limits)))


def as_array(picture: Picture) -> Pixels:
    """A picture's pixels: uint8 (side, side, 3), RGB, 0..255."""
    return np.frombuffer(picture.pixels, dtype=np.uint8).reshape(picture.side, picture.side, 3)


def crop(pixels: Pixels, height: int, width: int) -> Pixels:
    """The middle of uint8 (H, W, 3): (height, width, 3), or as much of that as there is."""
    top, left = max((pixels.shape[0] - height) // 2, 0), max((pixels.shape[1] - width) // 2, 0)
    return pixels[top : top + height, left : left + width]


def to_blob(pixels: Pixels) -> Float32:
    """uint8 (N, H, W, 3) RGB -> float32 (N, 3, H, W) BGR minus `MEAN_BGR`, -123..151: what the network reads."""
    blob = np.ascontiguousarray(pixels[..., ::-1].transpose(0, 3, 1, 2), dtype=np.float32)
    blob -= np.array(MEAN_BGR, dtype=np.float32).reshape(1, 3, 1, 1)
    return blob


def load_image(source: Source, limits: Limits = Limits()) -> Image.Image:
    """An RGB Pillow image from a path, encoded bytes, a binary file, a Pillow image or a uint8 RGB array (H, W, 3).

    Raises InputError if the picture cannot be had, TypeError or ValueError if `source` is none of these.
    """
    from PIL import Image

    from open_nsfw.pictures.decode import decode, to_rgb

    if isinstance(source, Image.Image):
        if 0 in source.size:
            raise ValueError(f"a picture with pixels is needed, this one has {source.width} x {source.height}")
        return to_rgb(source)
    if isinstance(source, np.ndarray):
        return image_from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode(bytes(source), limits)
    if isinstance(source, (str, os.PathLike)):
        return decode(read_bytes(source, limits), limits)
    if hasattr(source, "read"):
        return decode(read_stream(source, limits), limits)
    raise TypeError(
        f"a path, bytes, a binary file, a Pillow image or a uint8 array is needed, not {type(source).__name__}"
    )


def image_from_array(array: Any) -> Image.Image:
    """A uint8 RGB array (H, W, 3) as a Pillow image. Raises TypeError or ValueError for another dtype or shape."""
    from PIL import Image

    if array.dtype != np.uint8:
        raise TypeError(f"an array of dtype uint8 (0..255) is needed, this one is {array.dtype}")
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ValueError(f"an RGB array of shape (H, W, 3) is needed, this one is {array.shape}")
    return Image.fromarray(np.ascontiguousarray(array))
