"""How far quick and exact logits of pictures are apart, and the margin that calls for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from open_nsfw.errors import InputError, UsageError
from open_nsfw.nets.quantize import quantize
from open_nsfw.nets.ranges import HEADROOM, NEAR, PROGRAM, Margin, Ranges, rounded
from open_nsfw.pictures.formats import read_bytes
from open_nsfw.pictures.pixels import as_array, crop, resized_pixels, to_blob
from open_nsfw.pictures.reduced import quick_round_trip
from open_nsfw.progress import Progress
from open_nsfw.scoring.int8_engine import float_model, int8_session, logits
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.onnx_runtime import run_session
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.text import printable

LEAST_PICTURES = 20  # fewer give neither ranges nor a worst case that mean anything


@dataclass(frozen=True)
class Difference:
    """One held-back picture's logits."""

    path: str
    exact: float
    quick: float
    reduced: bool
    """Whether the quick one is of a JPEG decoded at reduced size."""

    @property
    def size(self) -> float:
        """How far the quick logit is off."""
        return abs(self.quick - self.exact)

    @property
    def reach(self) -> float:
        """How far the quick logit is from the farthest threshold between it and the exact one, of thresholds with
        scores of 0.02 to 0.98; 0 if none is between them."""
        low, high = sorted((self.exact, self.quick))
        if high < -NEAR or low > NEAR:
            return 0.0
        return abs(self.quick - min(max(self.exact, -NEAR), NEAR))


def differences(
    files: ModelFiles,
    ranges: Ranges,
    paths: Sequence[str],
    progress: Progress | None = None,
    seen: set[bytes] | None = None,
    both_ways: bool = False,
) -> list[Difference]:
    """Quick and exact logits of picture files. Left out, and named on stderr, are those that cannot be decoded, or have
    the content of another or of one in `seen` (SHA-256).

    `both_ways`: a JPEG that is decoded at reduced size stands for one decoded in full as well, so that there is a margin for
    those where no other pictures are at hand.
    """
    progress, seen = progress or Progress(shown=False), set() if seen is None else seen
    exact = load_models(LoadOptions(engine="onnxruntime"), files).exact.engine
    quick = int8_session(quantize(float_model(files), ranges), None)
    name, (height, width) = quick.get_inputs()[0].name, exact.input_shape[1:]
    found = []
    for path in paths:
        try:
            data = new_bytes(path, seen)
            picture = quick_round_trip(data, max(height, width))
            pixels = [resized_pixels(data), as_array(picture)]
        except InputError as error:
            leave_out(path, error, progress)
            continue
        blobs = [to_blob(crop(each, height, width)[np.newaxis]) for each in pixels]
        reference = float(logits(exact.forward(blobs[0]))[0])
        for blob, reduced in ((blobs[1], picture.reduced), (blobs[0], False)):
            if blob is blobs[1] or (both_ways and picture.reduced):
                output = logits(run_session(quick, {name: blob})[0])[0]
                found.append(Difference(path, reference, float(output), reduced))
        progress.advance()
    return found


def with_margins(ranges: Ranges, found: Sequence[Difference]) -> Ranges:
    """The ranges with the margins that these differences call for, and what speaks for them. Raises UsageError if there
    are too few."""
    full = [each for each in found if not each.reduced]
    reduced = [each for each in found if each.reduced]
    if len(full) < LEAST_PICTURES:
        raise UsageError(
            f"{len(full)} pictures to measure the margin on that are not large JPEG; at least {LEAST_PICTURES} are needed"
        )
    return replace(ranges, full=margin(full), reduced=margin(reduced) if len(reduced) >= LEAST_PICTURES else None)


def margin(found: Sequence[Difference]) -> Margin:
    """What one kind of pictures calls for."""
    sizes = np.array([each.size for each in found])
    worst = max(found, key=lambda each: each.size)
    median, p99, p99_9 = (rounded(float(np.quantile(sizes, share))) for share in (0.5, 0.99, 0.999))
    near = sum(abs(each.exact) < NEAR for each in found)
    # Where hardly a picture comes near a threshold, none on its wrong side says nothing.
    reach = max(each.reach if near >= LEAST_PICTURES else each.size for each in found)
    return Margin(
        logits=math.ceil(reach * HEADROOM * 100) / 100,
        pictures=len(found),
        median=median,
        p99=p99,
        p99_9=p99_9,
        worst=rounded(worst.size),
        worst_picture=Path(worst.path).name,
        near=near,
        reach=rounded(reach),
    )


def describe(ranges: Ranges) -> str:
    """The margins and their evidence, a line each."""
    lines = ["decoded in full: " + _described(ranges.full), "JPEG decoded at reduced size: "]
    if ranges.reduced is not None:
        return "\n".join(lines) + _described(ranges.reduced)
    return "\n".join(lines) + f"no margin, for want of {LEAST_PICTURES} such pictures; all are scored exactly"


def _described(seen: Margin) -> str:
    return (
        f"margin {seen.logits:g} logits; over {seen.pictures:,} held-back pictures ({seen.near:,} with scores of 0.02 to "
        f"0.98) quick and exact logits differ by {seen.median:g} in the median, {seen.p99:g} at 99 %, {seen.p99_9:g} at "
        f"99.9 %, {seen.worst:g} at worst, and by {seen.reach:g} across a threshold of 0.02 to 0.98"
    )


def new_bytes(path: str, seen: set[bytes]) -> bytes:
    """The bytes of a picture file. Raises InputError if it cannot be read or its content was there already."""
    data = read_bytes(path)
    digest = hashlib.sha256(data).digest()
    if digest in seen:
        raise InputError("same-content", "another picture has the same content")
    seen.add(digest)
    return data


def leave_out(path: str, error: InputError, progress: Progress) -> None:
    """Say that a picture does not count, and why."""
    progress.say(f"{PROGRAM}: {printable(path)} is left out: {error}")
    progress.advance()
