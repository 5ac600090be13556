"""The evidence for the fast mode's margin, made again.

    python benchmarks/margin_evidence.py [--pictures FOLDER] [--write]

makes the harmless pictures (harmless_pictures.py: some fifteen minutes, kept in FOLDER) and measures quick against exact
logits on the held-back ones with the ranges file in nsfw_model/. `--write` measures the ranges on the calibration
pictures, too, and writes the file. Exits with 1 if a picture's scores lie on two sides of a threshold that the stored
margin does not reach.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import harmless_pictures
import peers

from open_nsfw.cli import quantize_ranges
from open_nsfw.nets.ranges import NEAR, Margins
from open_nsfw.progress import Progress
from open_nsfw.scoring.fast import THRESHOLDS, escalates, logit
from open_nsfw.scoring.margins import Difference, describe, differences, with_margins
from open_nsfw.scoring.model_files import RANGES, find_model_files, read_ranges


def main() -> int:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=peers.FOLDER / "harmless_pictures")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    harmless_pictures.write_pictures(options.pictures)
    held_back, stored = options.pictures / "held_back", ROOT / "nsfw_model" / RANGES
    if options.write:
        folder = str(options.pictures / "calibration")
        return quantize_ranges.main([folder, "--held-back", str(held_back), "--output", str(stored)])
    files = find_model_files()
    known, _ = read_ranges(files, stored)
    paths = sorted(map(str, held_back.iterdir()))
    with Progress(len(paths)) as progress:
        found = differences(files, known, paths, progress)
    print("stored\n" + describe(known))
    print("measured\n" + describe(with_margins(known, found)) + "\n")
    margins = known.margins_for(THRESHOLDS)
    print_table(found, margins)
    return int(any(each.reach > margins.of(each.reduced) for each in found))


def print_table(found: Sequence[Difference], margins: Margins) -> None:
    """The differences by kind of picture, and what the margin makes of them."""
    kinds = {
        "all": found,
        "decoded in full": [each for each in found if not each.reduced],
        "at reduced size": [each for each in found if each.reduced],
        "distorted": [each for each in found if "-distorted-" in each.path],
        "pushed": [each for each in found if "-pushed-" in each.path],
        "printed": [each for each in found if "-printed-" in each.path],
        "score 0.02 to 0.98": [each for each in found if abs(each.exact) < NEAR],
    }
    print(
        "| held-back pictures | n | median | 99 % | 99.9 % | worst | across a threshold | scored twice | on the wrong side |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, chosen in kinds.items():
        sizes = np.array([each.size for each in chosen])
        quantiles = " | ".join(f"{np.quantile(sizes, share):.3f}" for share in (0.5, 0.99, 0.999, 1))
        twice = [escalates(1 / (1 + math.exp(-each.quick)), THRESHOLDS, margins.of(each.reduced)) for each in chosen]
        wrong = sum(not again and wrong_side(each) for each, again in zip(chosen, twice))
        reach = max(each.reach for each in chosen)
        print(f"| {name} | {len(chosen)} | {quantiles} | {reach:.3f} | {sum(twice)} | {wrong} |")


def wrong_side(each: Difference) -> bool:
    """Whether the quick score alone would decide otherwise than the exact one."""
    return any((each.exact >= logit(threshold)) != (each.quick >= logit(threshold)) for threshold in THRESHOLDS)


if __name__ == "__main__":
    sys.exit(main())
