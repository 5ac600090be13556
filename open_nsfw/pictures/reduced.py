"""The quick decode of the fast mode: JPEG at reduced size, and only the part of it that the network sees.

A JPEG decoder can leave out the high frequencies of its 8 x 8 blocks and give a picture of a half, a quarter or an
eighth of the size for a fraction of the work. Everything after that is Yahoo's recipe for the middle of the picture: the
margin that the recipe resizes and compresses and then crops off is not made. The JPEG round trip stays; leaving it out
moves logits by 0.5 in the median.
"""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from open_nsfw.pictures.decode import decoded_jpeg, open_image, small_jpeg, to_rgb
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.formats import SIDE, Limits, quick_pixels
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.upright import UPRIGHT, orientation_of, swaps_sides, turned
from open_nsfw.pictures.views import whole_picture

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


def quick_round_trip(data: bytes, side: int, limits: Limits = Limits()) -> Picture:
    """An encoded picture after a quick decode and the rest of Yahoo's recipe, for a network that reads `side` x `side`
    pixels, which are in the middle of what comes. Raises InputError as `decode.decode` does."""
    return quick_picture(open_image(data, limits), len(data), side)


def quick_picture(image: Image.Image, encoded: int, side: int, upright: bool = False) -> Picture:
    """An opened picture of `encoded` bytes, whose pixels are not decoded yet, after a quick decode for a network that
    reads `side` x `side` pixels; turned as its metadata say, if it is to be `upright`. What is no JPEG gets Yahoo's
    recipe."""
    if image.format not in ("JPEG", "MPO"):
        return whole_picture(image, Extraction(upright=upright))[0]
    width, height = image.size
    may_be_reduced = 8 * encoded <= REDUCED_BITS * width * height
    used_width, used_height = _reduce(image) if may_be_reduced else (width, height)
    made = quick_pixels(side)
    near, far = (SIDE - made) / 2 / SIDE, (SIDE + made) / 2 / SIDE
    middle = (used_width * near, used_height * near, used_width * far, used_height * far)
    # In one call, across and down in the order that this release of Pillow prefers: what decode.resize_to_jpeg avoids
    # for the sake of 0.001 of a score matters little here, and rows that only the crop would need are never touched.
    reduced = image.size != (width, height)
    resized = to_rgb(image).resize((made, made), Image.Resampling.BILINEAR, box=middle)
    picture = Picture(b"", width, height, image.format, exact=False, reduced=reduced)
    if upright:
        resized, picture = _upright(resized, picture, orientation_of(image))
    return replace(picture, pixels=decoded_jpeg(small_jpeg(resized)).tobytes())


def _upright(resized: Image.Image, picture: Picture, orientation: int) -> tuple[Image.Image, Picture]:
    """The middle of a picture, a square, and what is said of the picture, turned."""
    width, height = picture.width, picture.height
    if swaps_sides(orientation):
        width, height = height, width
    picture = replace(picture, width=width, height=height, upright=orientation != UPRIGHT)
    return turned(resized, orientation), picture


def _reduce(image: Image.Image) -> tuple[float, float]:
    """Have a JPEG decoded at a half, a quarter or an eighth of its size, where both sides stay at `REDUCED_SIDE` or
    above. The picture's exact width and height in the pixels that come out: the last pixel may be a fraction of one,
    and stretching it to a whole one nearly doubles the worst logit difference."""
    reduced = image.draft(image.mode, (REDUCED_SIDE, REDUCED_SIDE))
    return reduced[1][2:] if reduced else image.size
