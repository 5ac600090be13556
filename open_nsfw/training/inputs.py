"""What the trained part of a net reads of pictures: the activations below it, which no step of training changes.

They are computed once for a few views of each picture and kept in a file, as long as the disk has room for that; else
they are computed anew for each batch. One picture is computed at a time: its values do not hang on the batch that it is in.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import OutputError
from open_nsfw.nets.net import Net
from open_nsfw.nets.shapes import infer
from open_nsfw.scoring.blobs import BlobEngine
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.training.feature_file import FeatureFile, FeatureKind
from open_nsfw.training.stages import Part
from open_nsfw.training.views import ENDLESS, MIDDLE, view, view_name

VIEWS = 5  # of each picture that is learnt from, the middle among them, where activations are kept
LEAST_VIEWS = 3  # with fewer, nothing is kept
LARGEST_SHARE = 0.5  # of what is free on the disk
AT_ONCE = 16  # views under way in each thread

Float32 = NDArray[np.float32]
Wanted = Sequence[tuple[str, int]]
"""(SHA-256 of a picture, number of a view)"""


class Inputs:
    """Values of the blob `start` for views of pictures. Use as a context manager."""

    def __init__(
        self, source: ModelFiles, net: Net, part: Part, pixels: FeatureFile, seed: int, jobs: int, path: str, views: int
    ) -> None:
        """`pixels` has the pictures; activations are kept at `path` unless `views` is `ENDLESS`. Raises OutputError."""
        self.views, self._part, self._pixels, self._seed = views, part, pixels, seed
        self._engine = BlobEngine(source, [] if part.is_whole else [part.start], threads=1)
        self.shape = start_shape(net, part)
        self._threads = ThreadPoolExecutor(jobs, "activations")
        self._ahead = AT_ONCE * jobs
        kind = FeatureKind(source.digest, f"{part.start} of views, seed {seed}", int(np.prod(self.shape)))
        self._file = None if views == ENDLESS else FeatureFile(path, kind)

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.__exit__()

    def missing(self, wanted: Wanted) -> Wanted:
        """Those that are to be kept and are not yet."""
        if self._file is None:
            return []
        return [each for each in wanted if view_name(*each, self._seed) not in self._file]

    def prepare(self, wanted: Wanted, done: Callable[[], None]) -> None:
        """Keep what is missing of these; `done` is called after each. Raises OutputError, as for a full disk."""
        if self._file is None:
            return
        rest = iter(self.missing(wanted))
        while some := list(islice(rest, self._ahead)):
            for (sha256, number), values in zip(some, self._computed(some)):
                self._file.add(view_name(sha256, number, self._seed), values.reshape(-1))
                done()

    def batch(self, wanted: Wanted) -> Float32:
        """float32 (N, ...): what the part reads of these views."""
        if self._file is None:
            return np.stack(list(self._computed(wanted)))
        names = [view_name(*each, self._seed) for each in wanted]
        found: Float32 = self._file.read(names).reshape(len(names), *self.shape)
        return found

    def middles(self, digests: Sequence[str]) -> Float32:
        """float32 (N, ...): of the views that are scored."""
        return self.batch([(sha256, MIDDLE) for sha256 in digests])

    def _computed(self, wanted: Wanted) -> Iterator[Float32]:
        height, width = self._engine.input_shape[1:]
        pictures = self._pixels.read([sha256 for sha256, _ in wanted])
        side = round((pictures.shape[1] // 3) ** 0.5)
        blobs = (
            self._engine.blob_from_pixels(
                view(each.reshape(side, side, 3), number, sha256, self._seed, height, width)[np.newaxis]
            )
            for each, (sha256, number) in zip(pictures, wanted)
        )
        return self._threads.map(self._one, blobs)

    def _one(self, blob: Float32) -> Float32:
        values: Float32 = (blob if self._part.is_whole else self._engine.compute(blob)[self._part.start])[0]
        return values


def start_shape(net: Net, part: Part) -> tuple[int, ...]:
    """The shape that the blob `start` has for one picture, without the batch."""
    if part.is_whole:
        return net.input_shape[1:]
    shapes = [
        shape[1:]
        for layer, around in zip(net.layers, infer(net))
        for top, shape in zip(layer.tops, around.tops)
        if top == part.start
    ]
    return shapes[-1]


def views_that_fit(net: Net, part: Part, pictures: int, tested: int, folder: str) -> int:
    """How many views of each picture are kept: as many of `VIEWS` as fit into a share of what is free on the disk, or
    `ENDLESS`, which stands for none. The whole net's input is not kept: it costs nothing."""
    if part.is_whole:
        return ENDLESS
    one = 4 * int(np.prod(start_shape(net, part)))
    try:
        free = shutil.disk_usage(os.path.abspath(folder)).free
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    views = int((free * LARGEST_SHARE / one - tested) // max(pictures, 1))
    return min(views, VIEWS) if views >= LEAST_VIEWS else ENDLESS
