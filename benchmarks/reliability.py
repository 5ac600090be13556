"""What the model card says about the score as a probability: docs/reliability.png and a table of contact sheets.

    python benchmarks/reliability.py [--plot docs/reliability.png]

Nothing explicit is looked at. Left in the plot: pictures that are harmless by construction, by score; the share of them
that is pornographic is none at every score. Right: arithmetic. Where a score is right for one share of pornographic
pictures, Bayes' theorem says what it is worth for another. The table has the scores of contact sheets, squares of
harmless pictures, which people report as false alarms.

Needs matplotlib.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import open_nsfw

DATA = ROOT / "tests" / "data"
BINS = np.linspace(0, 1, 11)
SHARES = (0.5, 0.1, 0.01)  # of pornographic pictures; the first is the one for which the score is taken to be right
SIDES = (1, 2, 3, 4, 5)  # pictures a side of a contact sheet
CELL, GAP = 256, 4  # pixels


def harmless_scores(model: open_nsfw.Classifier) -> np.ndarray:
    """float64 (N,): the scores of all harmless pictures of the tests, distorted and pushed ones among them."""
    paths = [path for folder in ("pictures", "pushed", "held_back") for path in sorted((DATA / folder).iterdir())]
    scores = [score for score in model.scores(paths) if score == score]
    return np.array(scores, dtype=np.float64)


def worth(score: np.ndarray, share: float) -> np.ndarray:
    """What a score that is the probability among `SHARES[0]` pornographic pictures is among `share` of them."""
    odds = score / (1 - score) * share / (1 - share) * (1 - SHARES[0]) / SHARES[0]
    return np.asarray(odds / (1 + odds))


def contact_sheets(paths: list[Path], side: int) -> Iterator[Image.Image]:
    """Squares of `side` x `side` pictures, each half of the last one's pictures on."""
    count = side * side
    for start in range(0, len(paths) - count + 1, max(1, count // 2)):
        sheet = Image.new("RGB", (CELL * side, CELL * side))
        for at, path in enumerate(paths[start : start + count]):
            with Image.open(path) as picture:
                cell = picture.convert("RGB").resize((CELL - GAP, CELL - GAP))
            sheet.paste(cell, (at % side * CELL + GAP // 2, at // side * CELL + GAP // 2))
        yield sheet


def draw(scores: np.ndarray, path: Path) -> None:
    """The plot, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    counts, _ = np.histogram(scores, BINS)
    middles = (BINS[:-1] + BINS[1:]) / 2
    left.bar(middles, middles, width=0.09, color="#d5d9e0", label="if the score were the probability")
    left.plot(middles, np.zeros_like(middles), "o", color="#d9622b", label="measured")
    for middle, count in zip(middles, counts):
        left.annotate(str(count), (middle, 0.03), ha="center", fontsize=8)
    left.set(title=f"{len(scores)} harmless pictures, by score", ylabel="share that is pornographic")
    grid = np.linspace(0.01, 0.99, 99)
    for share, colour in zip(SHARES, ("#5f6673", "#2b7bba", "#d9622b")):
        right.plot(grid, worth(grid, share), color=colour, label=f"{share:.0%} of the pictures")
    right.set(title="A score right for 50 %, among fewer (computed)", ylabel="probability of pornography")
    for axes in (left, right):
        axes.set(xlabel="score", xlim=(0, 1), ylim=(-0.03, 1))
        axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the numbers and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "reliability.png")
    options = parser.parse_args()
    model = open_nsfw.load_model(engine="onnxruntime")
    scores = harmless_scores(model)
    draw(scores, options.plot)
    print(f"{len(scores)} harmless pictures, {sum(scores >= 0.8)} of them at 0.8 and above")
    for share in SHARES[1:]:
        print(
            f"a score of 0.8 that is right among {SHARES[0]:.0%} is {worth(np.array(0.8), share):.3f} among {share:.0%}"
        )
    print("| pictures on a contact sheet | sheets | median score | highest |\n|---|---|---|---|")
    paths = sorted((DATA / "held_back").glob("*-distorted-*"))
    for side in SIDES:
        sheets = [float(model.score(sheet)) for sheet in contact_sheets(paths, side)]
        print(f"| {side * side} | {len(sheets)} | {statistics.median(sheets):.3f} | {max(sheets):.3f} |")


if __name__ == "__main__":
    main()
