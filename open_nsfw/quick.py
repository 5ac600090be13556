"""The quick half of the fast mode that needs no network: JPEG decoded at reduced size, and which quick scores must be
scored again.

A JPEG decoder can leave out the high frequencies of its 8 x 8 blocks and give a picture of a half, a quarter or an
eighth of the size for a fraction of the work. Everything after that is Yahoo's recipe, the JPEG round trip at 256 x 256
included: that one costs 0.2 ms, and leaving it out moves logits by 0.5 in the median.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from open_nsfw.decode import open_image, to_rgb
from open_nsfw.errors import UsageError
from open_nsfw.formats import SIDE, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

# The shorter side that a reduced JPEG keeps at least, in pixels. Measured on the 178 to 266 held-back pictures that the
# decoder reduces, the logit's difference at 99 % and at worst: 256 px 1.06 and 1.43, 384 px 0.77 and 0.85, 512 px 0.71
# and 0.85. A 12-megapixel photo is decoded at 1000 x 750 for 384 and 512 alike.
REDUCED_SIDE = 384
THRESHOLDS = (0.2, 0.8)  # the bands that the network's authors suggest
# Scores nearer than this to 0 or 1 are 0 or 1 in float32, which logits must not make infinite.
SMALLEST_SCORE = 2.0**-25


def quick_round_trip(data: bytes, limits: Limits = Limits()) -> Image.Image:
    """An encoded picture after a quick decode and the rest of Yahoo's recipe: RGB, 256 x 256. Raises InputError as
    `decode.decode` does."""
    return quick_picture(open_image(data, limits))


def quick_picture(image: Image.Image) -> Image.Image:
    """The same for an opened picture whose pixels are not decoded yet; `image.size` may change. What is no JPEG is
    decoded in full."""
    width, height = _reduce_jpeg(image)
    rgb = to_rgb(image)
    across = rgb.resize((SIDE, rgb.height), Image.Resampling.BILINEAR, box=(0, 0, width, rgb.height))
    resized = across.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=(0, 0, SIDE, height))
    resized.info.clear()
    buffer = io.BytesIO()
    resized.save(buffer, format="JPEG")
    return Image.open(buffer, formats=["JPEG"])


def _reduce_jpeg(image: Image.Image) -> tuple[float, float]:
    """Have a JPEG decoded at a half, a quarter or an eighth of its size, where both sides stay at `REDUCED_SIDE` or
    above. The picture's exact width and height in the pixels that come out: the last pixel may be a fraction of one,
    and stretching it to a whole one nearly doubles the worst logit difference."""
    reduced = None
    if image.format in ("JPEG", "MPO"):
        reduced = image.draft(image.mode, (REDUCED_SIDE, REDUCED_SIDE))
    return reduced[1][2:] if reduced else image.size


def logit(score: float) -> float:
    """log(score / (1 - score)) of a score 0..1, within -17.4 to 17.4; NaN for NaN."""
    bounded = min(max(score, SMALLEST_SCORE), 1 - SMALLEST_SCORE)
    return math.log(bounded / (1 - bounded)) if score == score else math.nan


def escalates(quick_score: float, thresholds: Sequence[float] = THRESHOLDS, margin: float = 0.0) -> bool:
    """Whether a picture with this quick score must be scored exactly: its logit lies within `margin` of a threshold's
    logit, the border included, or there is no quick score (NaN)."""
    value = logit(quick_score)
    return not all(abs(value - logit(threshold)) > margin for threshold in thresholds) or value != value


def escalating(
    quick_scores: Iterable[float], thresholds: Sequence[float] = THRESHOLDS, margin: float = 0.0
) -> NDArray[np.bool_]:
    """`escalates` for many scores: bool (N,)."""
    import numpy as np

    return np.fromiter((escalates(float(score), thresholds, margin) for score in quick_scores), dtype=np.bool_)


def parse_thresholds(text: str) -> tuple[float, ...]:
    """Thresholds as `--thresholds` takes them: scores from 0 to 1, comma-separated. Raises UsageError."""
    try:
        values = tuple(sorted(float(each) for each in text.split(",")))
    except ValueError:
        values = ()
    if not values or not all(0 <= value <= 1 for value in values):
        raise UsageError(f'--thresholds "{text}": scores from 0 to 1 are needed, separated by commas')
    return values
