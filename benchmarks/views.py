"""What `--views tiles` finds of what the whole picture hides, and what it costs in false alarms and in time.

    python benchmarks/views.py [--rounds 5] [--only-times]

Harmless pictures whose pixels were pushed until the network gave them a score of 0.8 or more stand for what is to be found;
harmless pictures that score below 0.2 stand around them: on a wide border, on a contact sheet, in a strip, as a picture in a
picture. The same layouts of low pictures alone tell of false alarms. What pushed a picture is lost when its pixels are
resampled or compressed once more, which is not so with pictures that are what they seem; so the pushed ones stand there pixel
for pixel, in PNG files. Everything is seeded. Times are whole processes of the command, in turn with and without
on the same files.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import machine
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import open_nsfw

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
SEED = 2016
LOW, HIGH = 0.2, 0.8
BORDER = 5  # times as wide and as high as its content is a picture with a border
GUTTER = 16  # of a contact sheet, pixels
COLUMNS, ROWS = 4, 3
PANELS, STRIP_GUTTER = 12, 24
INSET = 3  # times as wide and as high as the picture in it is the picture around it
LARGEST = 480  # pixels a side of the pictures that are used

Picture = Image.Image


def bordered(one: Picture, others: Sequence[Picture], chance: random.Random) -> Picture:
    """On a wide border of one colour."""
    canvas = Image.new("RGB", (one.width * BORDER, one.height * BORDER), chance.choice(["white", "black", "#7a8aa0"]))
    canvas.paste(one, (chance.randrange(canvas.width - one.width), chance.randrange(canvas.height - one.height)))
    return canvas


def contact_sheet(one: Picture, others: Sequence[Picture], chance: random.Random) -> Picture:
    """Among eleven others."""
    width, height = one.width + GUTTER, one.height + GUTTER
    sheet = Image.new("RGB", (COLUMNS * width + GUTTER, ROWS * height + GUTTER), chance.choice(["white", "black"]))
    for number, each in enumerate(mixed(one, others, COLUMNS * ROWS, chance)):
        place = GUTTER + number % COLUMNS * width, GUTTER + number // COLUMNS * height
        sheet.paste(sized(each, one.width, one.height), place)
    return sheet


def sized(picture: Picture, width: int, height: int) -> Picture:
    """In another size; one that has it stays as it is, pixel for pixel."""
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.LANCZOS)


def strip(one: Picture, others: Sequence[Picture], chance: random.Random, gutter: int = STRIP_GUTTER) -> Picture:
    """Among eleven others, one below the other."""
    panels = [
        sized(each, one.width, round(each.height * one.width / each.width))
        for each in mixed(one, others, PANELS, chance)
    ]
    canvas = Image.new("RGB", (one.width, sum(each.height + gutter for each in panels) - gutter), "white")
    top = 0
    for each in panels:
        canvas.paste(each, (0, top))
        top += each.height + gutter
    return canvas


def seamless(one: Picture, others: Sequence[Picture], chance: random.Random) -> Picture:
    """The same without gutters."""
    return strip(one, others, chance, gutter=0)


def inset(one: Picture, others: Sequence[Picture], chance: random.Random) -> Picture:
    """Small, in another picture."""
    around = sized(chance.choice(others), one.width * INSET, one.height * INSET)
    around.paste(one, (chance.randrange(around.width - one.width), chance.randrange(around.height - one.height)))
    return around


def alone(one: Picture, others: Sequence[Picture], chance: random.Random) -> Picture:
    """As it is."""
    return one


def mixed(one: Picture, others: Sequence[Picture], count: int, chance: random.Random) -> list[Picture]:
    """The picture among `count` - 1 others."""
    found = chance.sample(others, count - 1)
    found.insert(chance.randrange(count), one)
    return found


Layout = Callable[[Picture, Sequence[Picture], random.Random], Picture]
LAYOUTS: dict[str, Layout] = {
    "as it is": alone,
    "on a wide border": bordered,
    "on a contact sheet": contact_sheet,
    "in a long strip": strip,
    "in a strip without gutters": seamless,
    "in another picture": inset,
}


TIMED = ("as it is", "on a contact sheet")


@dataclass(frozen=True)
class Found:
    """What was made of the files of one layout."""

    whole: list[float]
    """The scores of the whole pictures."""
    highest: list[float]
    """The highest scores of whole and parts."""
    found_as: Counter[str]
    """What the part with the highest score was found as, where that is high and the whole is not."""
    parts: float
    """Parts a picture."""


def measure(folder: Path, model: open_nsfw.Classifier) -> Found:
    """Score the files of a folder with views."""
    whole, highest, parts = [], [], []
    found_as: Counter[str] = Counter()
    for row in open_nsfw.scan_rows(folder, model, views="tiles"):
        assert row.error is None and row.score is not None, row
        if row.kind == "picture":
            whole.append(float(row.score))
        elif row.kind == "summary":
            highest.append(float(row.score))
            parts.append(row.parts or 0)
            if row.score >= HIGH > whole[-1]:
                found_as[str(row.found_as)] += 1
    return Found(whole, highest, found_as, statistics.mean(parts))


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only-times", action="store_true")
    options = parser.parse_args()
    model = open_nsfw.load_model(threads=1)
    low, high = chosen(model)
    print(f"{machine.describe()}; {len(high)} pictures of {HIGH} or more, {len(low)} below {LOW}\n", flush=True)
    with tempfile.TemporaryDirectory() as top:
        for name, layout in LAYOUTS.items():
            for kind, ones in (("high", high), ("low", low[: 2 * len(high)])):
                make(Path(top, kind, name), layout, ones, low)
        if not options.only_times:
            finds(Path(top), model)
        times(Path(top), options.rounds)


def chosen(model: open_nsfw.Classifier) -> tuple[list[Picture], list[Picture]]:
    """The low pictures and the high ones."""
    paths = sorted([*(DATA / "held_back").glob("*.jpg"), *(DATA / "pushed").glob("*.jpg")])
    paths = [path for path in paths if is_small(path)]
    scores = open_nsfw.score_batch(paths, model)
    low = [opened(path) for path, score in zip(paths, scores) if score < LOW and "pushed" not in path.name]
    return low, [opened(path) for path, score in zip(paths, scores) if score >= HIGH]


def opened(path: Path) -> Picture:
    with Image.open(path) as image:
        return image.convert("RGB")


def is_small(path: Path) -> bool:
    """Whether a dozen of a picture's size make no huge one."""
    with Image.open(path) as image:
        return max(image.size) <= LARGEST


def make(folder: Path, layout: Layout, ones: Iterable[Picture], low: Sequence[Picture]) -> None:
    """Write a file for each of `ones`."""
    folder.mkdir(parents=True)
    chance = random.Random(SEED)
    for number, one in enumerate(ones):
        layout(one, [each for each in low if each is not one], chance).save(
            folder / f"{number:03}.png", compress_level=1
        )


def finds(top: Path, model: open_nsfw.Classifier) -> None:
    """The table of what is found, and of false alarms."""
    print(
        f"| | a high picture: the whole is {HIGH} or more | with `--views tiles` | found as | only low ones: {LOW} or more, "
        f"whole | with views | {HIGH} or more, whole | with views | parts |"
    )
    print("|---" * 9 + "|")
    for name in LAYOUTS:
        high, low = measure(top / "high" / name, model), measure(top / "low" / name, model)
        cells = [share(high.whole, HIGH), share(high.highest, HIGH)]
        cells.append(", ".join(f"{count} {kind}" for kind, count in high.found_as.most_common()) or "-")
        cells += [share(scores, limit) for limit in (LOW, HIGH) for scores in (low.whole, low.highest)]
        print(f"| {name} | " + " | ".join([*cells, f"{high.parts:.1f}"]) + " |", flush=True)


def share(scores: Sequence[float], threshold: float) -> str:
    """How many of how many reach a threshold."""
    return f"{sum(score >= threshold for score in scores)} of {len(scores)}"


def times(top: Path, rounds: int) -> None:
    """The table of times, as ratios against the same command without views."""
    print("\n| time with / without | `--views tiles` | `--fast --views tiles` / `--fast` | `--upright` |")
    print("|---|---|---|---|")
    for name in TIMED:
        files = str(top / "low" / name)
        cells = [
            ratio(files, rounds, [], ["--views", "tiles"]),
            ratio(files, rounds, ["--fast"], ["--fast", "--views", "tiles"]),
            ratio(files, rounds, [], ["--upright"]),
        ]
        print(f"| {name} | " + " | ".join(f"{each:.2f}" for each in cells) + " |", flush=True)


def ratio(files: str, rounds: int, without: list[str], options: list[str]) -> float:
    """How many times as long the command takes with some options as without."""
    command = [sys.executable, str(DATA.parent.parent / "classify_nsfw.py"), files, "--quiet", "--format", "csv"]
    pairs = machine.pairs(rounds, lambda: machine.run([*command, *options]), lambda: machine.run([*command, *without]))
    return machine.median_ratio(pairs, "wall")


if __name__ == "__main__":
    main()
