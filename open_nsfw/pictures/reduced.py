"""The quick decode of the fast mode: JPEG at reduced size, and only the part of it that the network sees.

A JPEG decoder can leave out the high frequencies of its 8 x 8 blocks and give a picture of a half, a quarter or an
eighth of the size for a fraction of the work. Everything after that is Yahoo's recipe for the middle of the picture: the
margin that the recipe resizes and compresses and then crops off is not made. The JPEG round trip stays; leaving it out
moves logits by 0.5 in the median.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from open_nsfw.pictures.decode import decoded_jpeg, open_image, round_trip, small_jpeg, to_rgb
from open_nsfw.pictures.formats import SIDE, Limits

# The shorter side that a reduced JPEG keeps at least, in pixels: pictures of 720 lines are halved, 12-megapixel photos
# decoded at an eighth. Measured with the float32 network on 1,056 held-back pictures, those with scores of 0.02 to 0.98,
# the logit's difference at 99 % and at worst: 360 px 0.77 and 1.08, 384 px 0.73 and 0.86, 512 px 0.49 and 0.85. An eighth
# of a photo takes four fifths of the time of a quarter, and a third of the time to resize it.
REDUCED_SIDE = 360
# Bits that a JPEG file spends on a pixel, at most, for the picture to be reduced. Photos take 1 to 2.5. Where it is more,
# the high frequencies carry the picture, as in a halftone: black and white are cut off at the ends of the scale before
# the exact decode's pixels are averaged, and not where the high frequencies are left out. Without this limit logits of
# halftones were off by up to 4.8.
REDUCED_BITS = 3.0
# Pixels a side of what JPEG compresses together: cut there, the middle comes out as it does from the whole, but for the
# colour of its outermost pixels.
MCU = 16


@dataclass(frozen=True)
class QuickPicture:
    """What the network may see of a picture, for a quick score."""

    image: Image.Image
    """RGB, square; the network's input is in its middle."""
    exact: bool
    """Whether these are the pixels of Yahoo's recipe, all 256 x 256 of them."""
    reduced: bool
    """Whether the picture was decoded at reduced size."""


def quick_round_trip(data: bytes, side: int, limits: Limits = Limits()) -> QuickPicture:
    """An encoded picture after a quick decode and the rest of Yahoo's recipe, for a network that reads `side` x `side`
    pixels. Raises InputError as `decode.decode` does."""
    return quick_picture(open_image(data, limits), len(data), side)


def quick_picture(image: Image.Image, encoded: int, side: int) -> QuickPicture:
    """The same for an opened picture of `encoded` bytes whose pixels are not decoded yet. What is no JPEG gets Yahoo's
    recipe."""
    if image.format not in ("JPEG", "MPO"):
        return QuickPicture(round_trip(to_rgb(image)), exact=True, reduced=False)
    size = image.size
    may_be_reduced = 8 * encoded <= REDUCED_BITS * image.width * image.height
    width, height = _reduce(image) if may_be_reduced else size
    edge = (SIDE - side) // 2 // MCU * MCU
    near, far = edge / SIDE, 1 - edge / SIDE
    middle = (width * near, height * near, width * far, height * far)
    # In one call, across and down in the order that this release of Pillow prefers: what decode.resize_to_jpeg avoids
    # for the sake of 0.001 of a score matters little here, and rows that only the crop would need are never touched.
    resized = to_rgb(image).resize((SIDE - 2 * edge,) * 2, Image.Resampling.BILINEAR, box=middle)
    return QuickPicture(decoded_jpeg(small_jpeg(resized)), exact=False, reduced=image.size != size)


def _reduce(image: Image.Image) -> tuple[float, float]:
    """Have a JPEG decoded at a half, a quarter or an eighth of its size, where both sides stay at `REDUCED_SIDE` or
    above. The picture's exact width and height in the pixels that come out: the last pixel may be a fraction of one,
    and stretching it to a whole one nearly doubles the worst logit difference."""
    reduced = image.draft(image.mode, (REDUCED_SIDE, REDUCED_SIDE))
    return reduced[1][2:] if reduced else image.size
