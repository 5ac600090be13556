"""A picture and the explanation of its score -> a heat map, as PNG.

Colours mean the same in every heat map: a cell that adds `SCALE` to the logit or more is orange all over, one that takes as
much away is blue, and in between they are as transparent as they are near to 0. The border that the net never sees, since
Yahoo's recipe cuts it off, is hatched.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from open_nsfw.errors import UsageError
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.pixels import Pixels
from open_nsfw.scoring.explanation import EXACT, Explanation

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

GROUNDS = ("grey", "colour", "blurred")
SCALE = 0.4  # logits of a cell at which its colour is full; on pictures that score 0.99 the highest cells have so much
NSFW_COLOUR, SAFE_COLOUR = (217, 98, 43), (43, 123, 186)  # told apart also by people who do not tell red from green
FULL = 0.8  # opacity of a full colour
LONGEST, SHORTEST = 768, 96  # pixels of the picture's longer side, and of its shorter one at least
NARROWEST = 600  # pixels that the words need
BLUR = 9  # pixels, of 256
HATCH_STEP, HATCH_COLOUR = 12, (255, 255, 255, 170)
PAPER, INK, SOFT = (255, 255, 255), (29, 35, 48), (84, 91, 104)
MARGIN, LINE = 14, 22  # pixels around the words, and from line to line
BAR = (180, 12)  # pixels of the scale of colours
COMPRESSION = 4  # of PNG: a third of the time of the usual 6, and a twelfth more bytes


def heat_map(
    pixels: Pixels,
    explanation: Explanation,
    size: tuple[int, int] = (1, 1),
    input_size: tuple[int, int] = (224, 224),
    ground: str = GROUNDS[0],
) -> bytes:
    """The PNG file of a picture with what each cell adds to its logit.

    `pixels`: uint8 (256, 256, 3), RGB, after Yahoo's resize and JPEG round trip, as `pictures.pixels.resized_pixels` and
    `as_array` give them. `size`: width and height of the picture as encoded, for its proportions. `input_size`: height and
    width that the net reads from the middle (`Engine.input_shape[1:]`). `ground`: one of `GROUNDS`, what is below the
    colours: the picture in grey or in colour, or grey and so blurred that nobody need look at it. Raises UsageError for
    another ground, and for a size below 1.
    """
    from PIL import Image, ImageDraw

    if min(size) < 1:
        raise UsageError(f"a picture of {size[0]} x {size[1]} pixels has no heat map")
    if ground not in GROUNDS:
        raise UsageError(f"there is no ground {ground!r} for heat maps; there are {', '.join(GROUNDS)}")
    shown = _shown_size(*size)
    picture = _ground(Image.fromarray(np.ascontiguousarray(pixels)), ground).resize(shown, Image.Resampling.BICUBIC)
    seen = _seen(shown, input_size)
    picture = Image.alpha_composite(picture.convert("RGBA"), _colours(explanation, shown, seen))
    picture = Image.alpha_composite(picture, _hatching(shown, seen))
    lines = _words(explanation)
    if max(input_size) < SIDE:
        lines.append("The hatched border is never seen.")
    width, height = max(shown[0], NARROWEST), shown[1] + 2 * MARGIN + LINE * (len(lines) + 1)
    page = Image.new("RGB", (width, height), PAPER)
    page.paste(picture.convert("RGB"), ((width - shown[0]) // 2, 0))
    _write(ImageDraw.Draw(page), lines, shown[1] + MARGIN)
    file = io.BytesIO()
    page.save(file, "PNG", compress_level=COMPRESSION)
    return file.getvalue()


def _shown_size(width: int, height: int) -> tuple[int, int]:
    longest = max(width, height)
    shown_width, shown_height = (max(SHORTEST, round(LONGEST * side / longest)) for side in (width, height))
    return shown_width, shown_height


def _ground(picture: Image.Image, ground: str) -> Image.Image:
    """256 x 256, RGB."""
    from PIL import ImageFilter

    if ground == "colour":
        return picture
    grey = picture.convert("L").convert("RGB")
    return grey.filter(ImageFilter.GaussianBlur(BLUR)) if ground == "blurred" else grey


def _seen(shown: tuple[int, int], input_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what the net reads, in pixels of the shown picture."""
    (width, height), (rows, columns) = shown, input_size
    left, top = (SIDE - columns) // 2, (SIDE - rows) // 2
    edges = (left, top, left + columns, top + rows)
    scaled = [round(edge * side / SIDE) for edge, side in zip(edges, (width, height, width, height))]
    return scaled[0], scaled[1], scaled[2], scaled[3]


def _colours(explanation: Explanation, shown: tuple[int, int], seen: tuple[int, int, int, int]) -> Image.Image:
    """The cells' colours where they are in the picture, RGBA."""
    from PIL import Image

    share = np.clip(explanation.cells / SCALE, -1, 1)
    cells = np.empty((*share.shape, 4), np.uint8)
    cells[..., :3] = np.where(share[..., np.newaxis] > 0, NSFW_COLOUR, SAFE_COLOUR)
    cells[..., 3] = np.rint(np.abs(share) * FULL * 255)
    left, top, right, bottom = seen
    layer = Image.new("RGBA", shown)
    squares = Image.fromarray(cells).resize((right - left, bottom - top), Image.Resampling.NEAREST)
    layer.paste(squares, (left, top))
    return layer


def _hatching(shown: tuple[int, int], seen: tuple[int, int, int, int]) -> Image.Image:
    """Lines over what is not seen, and its edge, RGBA."""
    from PIL import Image, ImageDraw

    layer = Image.new("RGBA", shown)
    draw = ImageDraw.Draw(layer)
    width, height = shown
    for start in range(-height, width, HATCH_STEP):
        draw.line((start, height, start + height, 0), fill=HATCH_COLOUR, width=2)
    left, top, right, bottom = seen
    draw.rectangle((left, top, right - 1, bottom - 1), fill=(0, 0, 0, 0), outline=HATCH_COLOUR)
    return layer


def _words(explanation: Explanation) -> list[str]:
    head = f"Score {explanation.score:.4f}, logit {explanation.logit:+.2f}"
    if explanation.method != EXACT or explanation.bias is None:
        return [head, "A cell's number: what covering it takes from the logit. The numbers do not add up."]
    total = float(explanation.cells.sum(dtype=np.float64))
    rows, columns = explanation.cells.shape
    return [f"{head} = bias {explanation.bias:+.2f} and the sum of {rows} x {columns} cells {total:+.2f}"]


def _write(draw: ImageDraw.ImageDraw, lines: list[str], top: int) -> None:
    """The words, and the scale of colours below them."""
    for number, line in enumerate(lines):
        draw.text(
            (MARGIN, top + LINE * number), line, INK if number == 0 else SOFT, font=_font(16 if number == 0 else 14)
        )
    top += LINE * len(lines) + 4
    low, font = f"{-SCALE:g}", _font(14)
    left = MARGIN + int(draw.textlength(low, font=font)) + 8
    for step in range(BAR[0]):
        share = 2 * step / (BAR[0] - 1) - 1
        colour, opacity = NSFW_COLOUR if share > 0 else SAFE_COLOUR, abs(share) * FULL
        mixed = tuple(round(opacity * part + (1 - opacity) * 255) for part in colour)
        draw.line((left + step, top, left + step, top + BAR[1]), fill=mixed)
    draw.text((MARGIN, top - 2), low, SOFT, font=font)
    right = left + BAR[0] + 8
    draw.text((right, top - 2), f"{SCALE:+g} and beyond, logits of a cell: blue safe, orange nsfw", SOFT, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
