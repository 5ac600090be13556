"""What the fast mode must know about the new model: int8 ranges and margins, measured on the labelled pictures.

Every second picture that was learnt from gives ranges, the others the margin. Nothing is chosen by it, and no label counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.errors import ModelError
from open_nsfw.nets.ranges import Ranges
from open_nsfw.progress import Progress
from open_nsfw.scoring.int8_engine import quantized
from open_nsfw.scoring.margins import LEAST_PICTURES, differences, with_margins
from open_nsfw.scoring.measure_ranges import PASSES, load_pictures, measure
from open_nsfw.scoring.model_files import ModelFiles

MOST_MEASURED = 100  # pictures for the ranges; more change little and take memory
MOST_COMPARED = 200  # pictures for the margins


def measure_ranges(model: ModelFiles, examples: Sequence[Example], quiet: bool) -> Ranges | str:
    """The ranges of a model, or why there are none. `examples` are pictures whose files are there."""
    paths = sorted({each.path for each in examples if each.path is not None and each.member is None})
    if len(paths) < 2 * LEAST_PICTURES:
        return f"{len(paths)} pictures that are files are too few to measure ranges on"
    seen: set[bytes] = set()
    measured, compared = spread(paths[::2], MOST_MEASURED), spread(paths[1::2], MOST_COMPARED)
    with Progress((1 + PASSES) * len(measured) + len(compared), shown=not quiet) as progress:
        pictures = load_pictures(measured, progress, seen)
        try:
            ranges = measure(model, pictures, progress)
            found = differences(model, ranges, compared, progress, seen, both_ways=True)
            if sum(not each.reduced for each in found) < LEAST_PICTURES:
                return f"{len(found)} pictures that can be decoded again are too few to measure the margin on"
            ranges = with_margins(ranges, found)
            quantized(model, ranges)
        except ModelError as error:
            return str(error)
    return ranges


def spread(paths: Sequence[str], most: int) -> list[str]:
    """At most so many, evenly spread."""
    count = min(len(paths), most)
    return [paths[index * len(paths) // count] for index in range(count)]
