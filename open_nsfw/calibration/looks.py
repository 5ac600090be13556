"""Which pictures look alike: versions of one original (resized, compressed again, lighter, darker), frames of a film that
follow each other.

The look of a picture is its perceptual hash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions,
2010): which of the 63 lowest frequencies of its grey 32 x 32 version are stronger than their median. Two pictures look
alike if few of these bits differ, and all that are linked by such pairs are one group. A mirrored, turned or cropped
version is not recognized.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

import numpy as np

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.redecode import Key, decoded_again
from open_nsfw.calibration.sample import Flags, Floats, Ints
from open_nsfw.files import write_whole
from open_nsfw.pictures.picture import Picture
from open_nsfw.progress import Progress

GREY_SIDE = 32
LOW_SIDE = 8  # frequencies in each direction; the lowest of all, the mean, is left out
BITS = LOW_SIDE**2 - 1
MOST_DIFFERENT = 6  # bits; a tenth of them, the usual limit
FLATTEST = 2.0  # of 255, the standard deviation of a picture that has a look; of a flatter one only noise would count
BLANK = "blank"  # the look of such pictures
ROWS_AT_ONCE = 256  # compared with all others: 100 MB for 100,000 pictures


def names_of_groups(examples: Sequence[Example], kept_in: str, jobs: int, quiet: bool) -> list[str | None]:
    """A name for each picture that pictures which look alike share; None for one that cannot be decoded any more. The looks
    are kept in the file `kept_in`, by the pictures' SHA-256, for the next run."""
    kept = _read(kept_in)
    looks: dict[Key, str] = {}
    unknown: list[Key] = []
    hashes = {(each.path, each.member): each.sha256 for each in examples if each.path is not None}
    for key, sha256 in hashes.items():
        if sha256 in kept:
            looks[key] = kept[sha256]
        else:
            unknown.append(key)
    if unknown:
        with Progress(len(unknown), shown=not quiet) as progress:
            for key, picture in decoded_again(unknown, jobs):
                looks[key] = look_of(picture)
                progress.advance("comparing")
        _write(kept_in, {**kept, **{sha256: looks[key] for key, sha256 in hashes.items() if sha256 and key in looks}})
    return linked([None if each.path is None else looks.get((each.path, each.member)) for each in examples])


def look_of(picture: Picture) -> str:
    """The look of a picture: 16 hexadecimal digits, or `BLANK`."""
    from scipy.fft import dctn

    side = picture.side
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(side, side, 3)
    grey = _shrunk(pixels.mean(2))
    if grey.std() < FLATTEST:
        return BLANK
    low = dctn(grey, norm="ortho")[:LOW_SIDE, :LOW_SIDE].ravel()[1:]
    return np.packbits(low > np.median(low)).tobytes().hex()


def _shrunk(grey: Floats) -> Floats:
    """Means of equal blocks: float64 (S, S) -> (GREY_SIDE, GREY_SIDE); what is left over at the right and below is not
    looked at."""
    block = grey.shape[0] // GREY_SIDE
    whole = grey[: block * GREY_SIDE, : block * GREY_SIDE]
    shrunk: Floats = whole.reshape(GREY_SIDE, block, GREY_SIDE, block).mean((1, 3))
    return shrunk


def linked(looks: Sequence[str | None]) -> list[str | None]:
    """For each look the name of the group that it is linked to; None stays None."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    distinct = sorted({each for each in looks if each is not None and each != BLANK})
    if not distinct:
        return list(looks)
    pairs = [np.arange(len(distinct))[None].repeat(2, 0), *_pairs(_bits(distinct))]
    rows, columns = np.concatenate(pairs, axis=1)
    size = (len(distinct), len(distinct))
    _, numbers = connected_components(coo_array((np.ones(len(rows), bool), (rows, columns)), size), directed=False)
    names: dict[str | None, str | None] = {look: str(number) for look, number in zip(distinct, numbers)}
    return [names.get(each, each) for each in looks]


def _bits(looks: Sequence[str]) -> Flags:
    """bool (N, BITS)"""
    packed = np.frombuffer(bytes.fromhex("".join(looks)), np.uint8).reshape(len(looks), -1)
    return np.unpackbits(packed, axis=1, count=BITS).astype(bool)


def _pairs(bits: Flags) -> Iterable[Ints]:
    """The pairs of looks that differ in at most `MOST_DIFFERENT` bits: int64 (2, pairs), some at a time."""
    signs = np.where(bits, np.float32(1), np.float32(-1))
    for start in range(0, len(signs), ROWS_AT_ONCE):
        # Equal bits less different ones.
        rows, columns = np.nonzero(signs[start : start + ROWS_AT_ONCE] @ signs.T >= BITS - 2 * MOST_DIFFERENT)
        yield np.stack((rows + start, columns))


# --- kept for the next run ---


def _read(path: str) -> dict[str | None, str]:
    """SHA-256 -> look. What is no file of looks is as good as none."""
    try:
        with open(path, encoding="ascii") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: look for key, look in found.items() if _is_look(look)} if isinstance(found, dict) else {}


def _is_look(value: object) -> bool:
    return value == BLANK or (isinstance(value, str) and len(value) == 16 and set(value) <= set("0123456789abcdef"))


def _write(path: str, looks: dict[str | None, str]) -> None:
    write_whole(path, json.dumps(looks, indent=0, sort_keys=True) + "\n")


def beside(scores_file: str) -> str:
    """Where the looks of the pictures in a file of scores are kept."""
    return os.path.splitext(scores_file)[0] + ".looks.json"
