"""Pictures that a program draws, for the kinds that few free photographs show: rendered scenes, textures, fractals,
halftones, charts, documents.

    python benchmarks/drawn_pictures.py FOLDER

writes one PNG of each kind, to look at. The same seed gives the same picture.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 1024, 768
SEED = 1  # of the picture of each kind that `FOLDER` and harmless_pictures.py get
WORDS = (
    "the network reads each picture once and writes one row for it with score or reason so that nothing is lost and "
    "every run can go on from where the last one stopped with tables figures and measured margins beside them"
).split()

Random = np.random.Generator


def draw(kind: str, seed: int = SEED) -> Image.Image:
    """The picture of a kind in `KINDS`: RGB, 1024 x 768."""
    return KINDS[kind](np.random.default_rng([seed, *kind.encode()])).convert("RGB")


# ------------------------------------------------------------------------------------------------------------ the tools


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """float64 (H, W) each: x from -4/3 to 4/3, y from -1 (top) to 1."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (x - WIDTH / 2) / (HEIGHT / 2), (y - HEIGHT / 2) / (HEIGHT / 2)


def _as_image(levels: np.ndarray) -> Image.Image:
    """float (H, W) or (H, W, 3), 0 to 1 -> an image."""
    return Image.fromarray(np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8))


def _noise(random: Random, finest: int = 256, roughness: float = 0.5) -> np.ndarray:
    """float (H, W), 0 to 1: smooth noise of many sizes on top of each other."""
    total, weight, cells = np.zeros((HEIGHT, WIDTH)), 1.0, 3
    while cells <= finest:
        coarse = Image.fromarray(random.random((cells, cells * 4 // 3)).astype(np.float32))
        total += weight * np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
        weight, cells = weight * roughness, cells * 2
    return (total - total.min()) / np.ptp(total)


def _blend(levels: np.ndarray, *colours: tuple[float, float, float]) -> np.ndarray:
    """float (H, W), 0 to 1 -> (H, W, 3), from the first colour to the last."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(levels, stops, [each[part] for each in colours]) for part in range(3)], axis=-1)


def _colour(random: Random, low: int = 30, high: int = 230) -> tuple[int, int, int]:
    red, green, blue = (int(each) for each in random.integers(low, high, 3))
    return red, green, blue


def _nearest(random: Random, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest of `count` random points: its number, and the distances to it and to the second nearest."""
    x, y = _grid()
    number = np.zeros((HEIGHT, WIDTH), int)
    first, second = np.full((HEIGHT, WIDTH), np.inf), np.full((HEIGHT, WIDTH), np.inf)
    points = random.uniform((-1.4, -1.1), (1.4, 1.1), (count, 2))
    for index, (left, top) in enumerate(points):
        distance = np.hypot(x - left, y - top)
        closer = distance < first
        second = np.where(closer, first, np.minimum(second, distance))
        number[closer], first = index, np.minimum(first, distance)
    return number, first, second


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _sentence(random: Random, words: int) -> str:
    return " ".join(str(each) for each in random.choice(WORDS, words)).capitalize() + "."


def _page(colour: tuple[int, int, int] | str = "white") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (WIDTH, HEIGHT), colour)
    return image, ImageDraw.Draw(image)


# ------------------------------------------------------------------------------------------------------- rendered scenes


def spheres(random: Random) -> Image.Image:
    """Shining balls on a chequered floor, with shadows, by following a ray for each pixel."""
    x, y = _grid()
    rays = np.stack([x, -y - 0.25, np.full_like(x, 1.6)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    eye, light = np.array([0, 1.2, -3.5]), np.array([0.5, 0.8, -0.35]) / np.linalg.norm([0.5, 0.8, -0.35])
    balls = [
        (np.array([left, radius, depth]), radius, np.array(_colour(random)) / 255)
        for left, depth, radius in zip(
            random.permutation(np.linspace(-2.4, 2.4, 8)), random.uniform(-1, 3, 8), random.uniform(0.3, 0.9, 8)
        )
    ]
    colours = _blend((rays[..., 1] + 0.4) / 0.9, (0.95, 0.9, 0.8), (0.3, 0.5, 0.85))
    depths = np.where(rays[..., 1] < 0, -eye[1] / np.minimum(rays[..., 1], -1e-9), np.inf)
    places = eye + np.minimum(depths, 1e3)[..., None] * rays
    tiles = ((np.floor(places[..., 0]) + np.floor(places[..., 2])) % 2)[..., None]
    lit = np.ones((HEIGHT, WIDTH))
    for centre, radius, _ in balls:
        lit *= 1 - 0.6 * (_hit(places - centre, light, radius) < np.inf)
    fog = np.exp(-np.minimum(depths, 1e3) / 25)[..., None]
    floor = fog * (0.25 + 0.6 * tiles) * lit[..., None] + (1 - fog) * np.array([0.9, 0.85, 0.78])
    colours = np.where(np.isfinite(depths)[..., None], floor, colours)
    for centre, radius, colour in balls:
        hit = _hit(eye - centre, rays, radius)
        normals = (eye + np.where(np.isfinite(hit), hit, 0)[..., None] * rays - centre) / radius
        bright = np.clip(normals @ light, 0, 1)
        shine = np.clip((rays - 2 * (rays * normals).sum(-1, keepdims=True) * normals) @ light, 0, 1) ** 40
        ball = colour * (0.2 + 0.8 * bright)[..., None] + 0.7 * shine[..., None]
        nearer = hit < depths
        colours, depths = np.where(nearer[..., None], ball, colours), np.where(nearer, hit, depths)
    return _as_image(colours)


def _hit(start: np.ndarray, rays: np.ndarray, radius: float) -> np.ndarray:
    """How far along each ray a ball around the origin is met; infinity where it is not."""
    along = (start * rays).sum(-1)
    inside = along**2 - (start * start).sum(-1) + radius**2
    distance = -along - np.sqrt(np.maximum(inside, 0))
    return np.where((inside > 0) & (distance > 1e-3), distance, np.inf)


def terrain(random: Random) -> Image.Image:
    """Hills behind hills, paler with distance, under a sky with clouds."""
    _, y = _grid()
    sky = _blend((y + 1) / 1.4, (0.25, 0.45, 0.8), (0.75, 0.85, 0.95), (0.98, 0.9, 0.75))
    clouds = np.clip((_noise(random) - 0.5) * 3, 0, 1)[..., None]
    colours = sky * (1 - clouds) + clouds
    for layer in range(7):
        ridge = 0.1 + 0.13 * layer - 0.45 * (_noise(random, 128)[HEIGHT // 2] - 0.3) * (1 - layer / 9)
        ground = _blend(_noise(random, 384, 0.75), (0.1, 0.22, 0.08), (0.35, 0.4, 0.18), (0.5, 0.45, 0.3))
        haze = (1 - layer / 6) * 0.8
        colours = np.where((y > ridge)[..., None], ground * (1 - haze) + haze * np.array([0.65, 0.75, 0.88]), colours)
    return _as_image(colours)


def skyline(random: Random) -> Image.Image:
    """A city by night: blocks with lit windows, and what the water shows of them."""
    _, y = _grid()
    image = _as_image(_blend((y + 1) / 2, (0.02, 0.03, 0.12), (0.2, 0.1, 0.3), (0.45, 0.2, 0.25)))
    canvas = ImageDraw.Draw(image)
    shore = HEIGHT * 3 // 4
    for left in range(-20, WIDTH, 34):
        wide, top = int(random.integers(30, 90)), shore - int(random.integers(80, 480))
        wall = _colour(random, 10, 50)
        canvas.rectangle((left, top, left + wide, shore), fill=wall)
        for row in range(top + 8, shore - 8, 14):
            for column in range(left + 6, left + wide - 6, 11):
                if random.random() < 0.4:
                    canvas.rectangle(
                        (column, row, column + 5, row + 7), fill=(255, int(random.integers(180, 250)), 130)
                    )
    water = image.crop((0, shore - (HEIGHT - shore), WIDTH, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    image.paste(water.filter(ImageFilter.BoxBlur(4)).point(lambda level: level * 0.6), (0, shore))
    return image


def lights(random: Random) -> Image.Image:
    """Coloured lights, out of focus."""
    levels = np.full((HEIGHT, WIDTH, 3), 0.04)
    x, y = _grid()
    for _ in range(90):
        left, top, radius = random.uniform(-1.4, 1.4), random.uniform(-1, 1), random.uniform(0.03, 0.16)
        away = np.hypot(x - left, y - top) / radius
        disc = np.clip((1 - away) * 20, 0, 1) * (0.6 + 0.4 * np.minimum(away, 1))
        levels += disc[..., None] * random.uniform(0.05, 0.5) * np.array(_colour(random, 40, 255)) / 255
    return _as_image(levels).filter(ImageFilter.GaussianBlur(1.5))


# --------------------------------------------------------------------------------------------------------------- textures


def clouds(random: Random) -> Image.Image:
    """Soft noise of every size, in blue and white."""
    return _as_image(_blend(_noise(random, 384, 0.6), (0.1, 0.25, 0.6), (0.5, 0.65, 0.9), (1, 1, 1), (0.9, 0.85, 0.8)))


def pebbles(random: Random) -> Image.Image:
    """Rounded stones, lit from above."""
    number, first, second = _nearest(random, 420)
    height = np.clip((second - first) * 22, 0, 1) ** 0.5
    slope = np.gradient(height, axis=0) * 18
    greys = random.uniform(0.25, 0.8, 420)[number][..., None] * random.uniform(0.85, 1.15, (420, 3))[number]
    grain = 0.85 + 0.3 * _noise(random, 384, 0.9)
    return _as_image(greys * (0.25 + 0.75 * height + slope)[..., None] * grain[..., None])


def stained_glass(random: Random) -> Image.Image:
    """Coloured panes in lead."""
    number, first, second = _nearest(random, 130)
    panes = random.random((130, 3))[number] * (0.6 + 0.6 * _noise(random))[..., None]
    return _as_image(np.where((second - first < 0.02)[..., None], 0.05, panes))


def wood(random: Random) -> Image.Image:
    """The grain of a board."""
    x, y = _grid()
    rings = np.hypot(x * 0.25 + 0.3 * _noise(random, 12), y * 2.5 + 1.6 + 0.5 * _noise(random, 24))
    grain = 0.5 + 0.5 * np.sin(rings * 45) + 0.4 * (_noise(random, 384, 0.95) - 0.5)
    return _as_image(_blend(np.clip(grain, 0, 1), (0.35, 0.2, 0.1), (0.6, 0.38, 0.2), (0.78, 0.58, 0.36)))


def plaid(random: Random) -> Image.Image:
    """A woven cloth: stripes of the warp and of the weft, thread by thread."""
    stripes = [np.repeat(random.integers(20, 220, (40, 3)), random.integers(6, 60, 40), axis=0) for _ in range(2)]
    warp, weft = np.resize(stripes[0], (WIDTH, 3)), np.resize(stripes[1], (HEIGHT, 3))
    over = (np.add.outer(np.arange(HEIGHT) // 2, np.arange(WIDTH) // 2) % 4 < 2)[..., None]
    return _as_image(np.where(over, warp[None], weft[:, None]) / 255 * (0.85 + 0.3 * random.random((HEIGHT, WIDTH, 1))))


def ripples(random: Random) -> Image.Image:
    """Rings from several drops, running through each other."""
    x, y = _grid()
    height = np.zeros_like(x)
    for _ in range(6):
        away = np.hypot(x - random.uniform(-1.3, 1.3), y - random.uniform(-1, 1))
        height += np.cos(away * random.uniform(30, 70)) / (1 + 3 * away)
    slope = np.gradient(height, axis=1) * 6
    return _as_image(_blend(0.5 + 0.12 * height + slope, (0.0, 0.12, 0.2), (0.1, 0.45, 0.5), (0.95, 1, 0.95)))


# --------------------------------------------------------------------------------------------------------------- fractals


def _escape(point: np.ndarray, step: np.ndarray | complex, most: int = 120) -> np.ndarray:
    """How long z -> z^2 + step stays near the origin, float (H, W), 0 to 1."""
    count = np.zeros(point.shape)
    for _ in range(most):
        point = np.where(np.abs(point) < 20, point * point + step, point)
        count += np.abs(point) < 20
    smooth = count - np.log2(np.maximum(np.log(np.maximum(np.abs(point), 20)), 1))
    return np.clip(smooth / most, 0, 1)


def mandelbrot(random: Random) -> Image.Image:
    """Part of the rim of Mandelbrot's set."""
    x, y = _grid()
    plane = (x + 1j * y) * 0.012 + complex(-0.7453, 0.1127)
    return _as_image(
        _blend(
            _escape(np.zeros_like(plane), plane, 250) ** 0.6,
            (0, 0, 0.2),
            (0.1, 0.4, 0.8),
            (1, 0.9, 0.5),
            (0.6, 0.1, 0),
            (0, 0, 0),
        )
    )


def julia(random: Random) -> Image.Image:
    """One of Julia's sets."""
    x, y = _grid()
    levels = _escape((x + 1j * y) * 1.2, complex(-0.79, 0.15))
    return _as_image(_blend(levels**0.4, (0.98, 0.97, 0.9), (0.9, 0.6, 0.2), (0.3, 0.5, 0.2), (0.05, 0.15, 0.3)))


def halftone(random: Random) -> Image.Image:
    """Soft colours as a printer's dots of cyan, magenta, yellow and black, each turned by its angle."""
    picture = Image.merge("RGB", [_as_image(_noise(random, 24)) for _ in range(3)])
    ink = 1 - np.asarray(picture, float) / 255
    x, y = (each * HEIGHT / 2 for each in _grid())
    black = ink.min(axis=-1) * 0.8
    paper = np.ones((HEIGHT, WIDTH, 3))
    colours = ((0, 0.68, 0.94), (0.93, 0, 0.55), (1, 0.95, 0), (0.1, 0.1, 0.1))
    for plane, degrees, colour in zip((*(np.moveaxis(ink, -1, 0) - black), black), (15, 75, 0, 45), colours):
        turned = math.radians(degrees)
        across = x * math.cos(turned) + y * math.sin(turned)
        along = y * math.cos(turned) - x * math.sin(turned)
        screen = 0.5 + 0.25 * (np.cos(across * math.pi / 5) + np.cos(along * math.pi / 5))
        paper *= np.where((screen > 1 - plane)[..., None], colour, 1)
    return _as_image(paper)


# ------------------------------------------------------------------------------------------------- charts and documents


def bar_chart(random: Random) -> Image.Image:
    """Groups of bars with axes, lines and a legend."""
    image, canvas = _page()
    colours = [_colour(random) for _ in range(3)]
    for tick in range(0, 11):
        top = 660 - tick * 54
        canvas.line((90, top, 980, top), fill=(215, 215, 215))
        canvas.text((40, top - 10), str(tick * 10), fill="black", font=_font(18))
    for group in range(9):
        for index, colour in enumerate(colours):
            left = 110 + group * 96 + index * 26
            canvas.rectangle((left, 660 - int(random.integers(20, 520)), left + 23, 660), fill=colour)
        canvas.text((125 + group * 96, 672), f"20{group + 10}", fill="black", font=_font(18))
    for index, colour in enumerate(colours):
        canvas.rectangle((110 + index * 200, 720, 130 + index * 200, 740), fill=colour)
        canvas.text((140 + index * 200, 718), str(random.choice(WORDS)), fill="black", font=_font(20))
    canvas.text((300, 20), _sentence(random, 4), fill="black", font=_font(32))
    return image


def line_chart(random: Random) -> Image.Image:
    """Curves with a band, on a dark ground."""
    image, canvas = _page((24, 28, 38))
    for step in range(0, 12):
        canvas.line((80, 60 + step * 56, 980, 60 + step * 56), fill=(50, 56, 70))
        canvas.line((80 + step * 81, 60, 80 + step * 81, 676), fill=(50, 56, 70))
        canvas.text((30, 50 + step * 56), f"{1 - step / 11:.1f}", fill=(190, 195, 205), font=_font(16))
    for _ in range(5):
        heights = 370 + 6 * np.cumsum(random.normal(0, 3, 300)).clip(-48, 48)
        points = [(80 + 3 * index, float(height)) for index, height in enumerate(heights)]
        canvas.line(points, fill=_colour(random, 90, 255), width=4)
    canvas.text((350, 15), _sentence(random, 4), fill="white", font=_font(28))
    return image


def contour_map(random: Random) -> Image.Image:
    """Heights as lines and tints, with roads and names."""
    height = _noise(random, 12)
    tint = _blend(height, (0.55, 0.75, 0.9), (0.75, 0.88, 0.7), (0.93, 0.9, 0.72), (0.8, 0.65, 0.5))
    bands = np.floor(height * 22)
    edge = (np.diff(bands, axis=0, prepend=bands[:1]) != 0) | (np.diff(bands, axis=1, prepend=bands[:, :1]) != 0)
    image = _as_image(np.where(edge[..., None], tint * 0.7, tint))
    canvas = ImageDraw.Draw(image)
    for _ in range(5):
        path = np.cumsum(random.normal((18, 4), 30, (60, 2)), axis=0) + random.uniform((-200, 0), (200, HEIGHT))
        points = [(float(left), float(top)) for left, top in path]
        canvas.line(points, fill=(180, 60, 50), width=7, joint="curve")
        canvas.line(points, fill=(250, 220, 120), width=4, joint="curve")
    for _ in range(14):
        place = (int(random.integers(0, WIDTH - 150)), int(random.integers(0, HEIGHT - 30)))
        canvas.text(
            place, str(random.choice(WORDS)).capitalize(), fill=(40, 40, 40), font=_font(int(random.integers(16, 34)))
        )
    return image


def document(random: Random) -> Image.Image:
    """A printed page, photographed with uneven light."""
    image, canvas = _page((250, 248, 240))
    canvas.text((80, 50), _sentence(random, 4), fill=(20, 20, 20), font=_font(40))
    for line in range(24):
        top = 130 + line * 25
        if line % 7 != 6:
            canvas.text(
                (80, top), _sentence(random, 13)[: 60 if line % 7 == 5 else 96], fill=(35, 35, 40), font=_font(18)
            )
    x, y = _grid()
    light = 1 - 0.35 * np.clip(np.hypot(x + 0.5, y + 0.4) - 0.3, 0, 1.5) / 1.5
    return _as_image(np.asarray(image.filter(ImageFilter.GaussianBlur(0.6)), float) / 255 * light[..., None])


def window_screen(random: Random) -> Image.Image:
    """A computer's screen: windows with titles, lists, buttons and icons."""
    image = _as_image(_blend(_noise(random, 6), (0.1, 0.35, 0.5), (0.3, 0.6, 0.6), (0.7, 0.75, 0.6)))
    canvas = ImageDraw.Draw(image)
    for left, top, right, bottom in ((60, 60, 620, 520), (420, 200, 980, 690), (120, 430, 500, 730)):
        canvas.rectangle((left + 8, top + 8, right + 8, bottom + 8), fill=(30, 40, 50))
        canvas.rectangle((left, top, right, bottom), fill=(244, 244, 246), outline=(120, 120, 130))
        canvas.rectangle((left, top, right, top + 34), fill=_colour(random, 40, 160))
        canvas.text((left + 12, top + 6), _sentence(random, 2), fill="white", font=_font(19))
        for row in range(top + 52, bottom - 60, 30):
            canvas.rectangle((left + 16, row, left + 36, row + 20), fill=_colour(random))
            canvas.text((left + 48, row), _sentence(random, 4)[:34], fill=(40, 40, 45), font=_font(16))
        for index in range(2):
            canvas.rounded_rectangle(
                (right - 110 - index * 110, bottom - 44, right - 16 - index * 110, bottom - 12), 6, fill=(70, 120, 200)
            )
    canvas.rectangle((0, HEIGHT - 34, WIDTH, HEIGHT), fill=(32, 36, 44))
    return image


def maze(random: Random) -> Image.Image:
    """A maze that fills the page, in two colours."""
    rows, columns = HEIGHT // 16, WIDTH // 16
    open_cells = np.zeros((rows, columns), bool)
    path = [(1, 1)]
    open_cells[1, 1] = True
    while path:
        row, column = path[-1]
        ways = [
            (down, right)
            for down, right in ((-2, 0), (2, 0), (0, -2), (0, 2))
            if 0 < row + down < rows - 1
            and 0 < column + right < columns - 1
            and not open_cells[row + down, column + right]
        ]
        if not ways:
            path.pop()
            continue
        down, right = ways[int(random.integers(len(ways)))]
        open_cells[row + down // 2, column + right // 2] = open_cells[row + down, column + right] = True
        path.append((row + down, column + right))
    walls = open_cells.repeat(16, 0).repeat(16, 1)[..., None]
    return _as_image(np.where(walls, np.array([0.98, 0.96, 0.9]), np.array(_colour(random, 20, 120)) / 255))


KINDS: dict[str, Callable[[Random], Image.Image]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(spheres, terrain, skyline, lights, clouds, pebbles, stained_glass, wood, plaid, ripples, mandelbrot, julia),
        *(halftone, bar_chart, line_chart, contour_map, document, window_screen, maze),
    )
}


if __name__ == "__main__":
    for kind in KINDS:
        draw(kind).save(Path(sys.argv[1]) / f"{kind}.png")
