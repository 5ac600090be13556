"""load_model() -> Classifier: one picture or many -> Score."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Union

import numpy as np

from open_nsfw.errors import InputError, ModelError
from open_nsfw.pictures.formats import SIDE, Limits
from open_nsfw.pictures.pixels import Pixels, Source, crop, resized_pixels
from open_nsfw.scoring.engine import OUTPUT, Engine

Decoded = Union[Pixels, InputError]
"""uint8 (256, 256, 3) after the resize and JPEG round trip, or why there are none."""

_OF_PATHS = "OU"  # kinds of NumPy's types: objects and text
NSFW = 1  # index of the class in `prob`; 0 is "safe for work"


class Score(float):
    """The probability, 0..1, that a picture is pornographic; not a number (NaN) where `error` says why there is none.

    A float in all ways, so that it compares, formats and adds up as one.
    """

    error: InputError | None

    def __new__(cls, value: float, error: InputError | None = None) -> Score:
        score = super().__new__(cls, value)
        score.error = error
        return score


class Classifier:
    """Yahoo's recipe around an engine. Make one with `load_model`.

    One classifier may be used by several threads at the same time. ONNX Runtime and OpenVINO then compute side by side;
    calls of Caffe and of a GPU wait for each other.
    """

    def __init__(self, engine: Engine, limits: Limits = Limits()) -> None:
        """Raises ModelError if the engine's net does not read pictures of 3 channels or gives no `prob` of 2 classes or
        more."""
        problem = _unfit(engine)
        if problem:
            raise ModelError(f"{engine.model_def}: {problem}")
        self.engine = engine
        self.limits = limits

    def score(self, image: Source) -> Score:
        """Score one picture: a path, encoded bytes, a binary file, a Pillow image, or a uint8 RGB array (H, W, 3).

        Raises InputError, which names the file, if the picture cannot be read or decoded, TypeError or ValueError for
        anything else than the above.
        """
        (score,) = self._scored([self._pixels(image)])
        if score.error is not None:
            raise score.error
        return score

    def scores(self, images: Iterable[Source]) -> Iterator[Score]:
        """Score a stream of pictures, in order; a picture that cannot be read costs no other its score.

        Its own is NaN, with the InputError in `error`. Pictures are taken from the stream one at a time, or, for an engine
        that computes batches, as many as a batch has. Raises TypeError for a single picture in place of a stream.
        """
        check_several(images)
        return self._scores(images)

    def _scores(self, images: Iterable[Source]) -> Iterator[Score]:
        waiting: list[Decoded] = []
        for image in images:
            try:
                waiting.append(self._pixels(image))
            except Exception:  # the caller's mistake: what came before it has its scores
                yield from self._scored(waiting)
                raise
            if len(waiting) >= self.engine.batch_size:
                yield from self._scored(waiting)
                waiting = []
        yield from self._scored(waiting)

    def _pixels(self, image: Source) -> Decoded:
        """A picture's pixels, or why there are none."""
        try:
            return resized_pixels(image, self.limits)
        except InputError as error:
            return InputError(error.code, error.reason, _name(image))

    def _scored(self, pictures: list[Decoded]) -> Iterator[Score]:
        """The scores of decoded pictures, computed as one batch, and of the others the errors."""
        pixels = [each for each in pictures if not isinstance(each, InputError)]
        scores = iter(self.score_pixels(pixels) if pixels else ())
        for each in pictures:
            yield Score(float("nan"), each) if isinstance(each, InputError) else next(scores)

    def score_pixels(self, pixels: Iterable[Pixels]) -> list[Score]:
        """Scores of pictures after the resize and JPEG round trip, not yet cropped: uint8 (256, 256, 3) each, or so much
        of their middle that the network finds its input in it.

        One that is no probability, as from weights that are no numbers, has the error `not-finite`.
        """
        height, width = self.engine.input_shape[1:]
        cropped = np.stack([crop(each, height, width) for each in pixels])
        output = self.engine.forward(self.engine.blob_from_pixels(cropped))
        if output.shape[1] <= NSFW:
            raise ModelError(
                f'{self.engine.model_def}: the blob "{OUTPUT}" has {output.shape[1]} value(s); the score is its second one'
            )
        return [_score(value) for value in output[:, NSFW]]


def check_several(images: object) -> None:
    """Raises TypeError for what is one picture: a string would be scored letter by letter, an array row by row."""
    is_array = isinstance(images, np.ndarray) and images.ndim < 4 and images.dtype.kind not in _OF_PATHS
    is_stream = hasattr(images, "__iter__") or hasattr(images, "__getitem__")
    one = (str, bytes, bytearray, memoryview, os.PathLike)
    if is_array or not is_stream or isinstance(images, one) or hasattr(images, "read"):
        raise TypeError(
            f"several pictures are needed, not one {type(images).__name__}; use score(), or put it into a list"
        )


def _name(image: Source) -> str | None:
    """The path by which a picture was given."""
    return os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else None


def _score(value: float) -> Score:
    if 0 <= value <= 1:
        return Score(value)
    message = f"the network's answer is no probability but {value}"
    return Score(float("nan"), InputError("not-finite", message))


def _unfit(engine: Engine) -> str:
    """Why an engine's net cannot score pictures; empty if it can."""
    if engine.output_name != OUTPUT:
        return f'the net makes no blob "{OUTPUT}" to read the score from; its output is "{engine.output_name}"'
    if len(engine.input_shape) != 3 or engine.input_shape[0] != 3:
        return f"a net that reads pictures of 3 channels is needed, this one reads {engine.input_shape}"
    if max(engine.input_shape[1:]) > SIDE:
        return f"the net reads {engine.input_shape[1:]} pixels; Yahoo's recipe makes pictures of {SIDE} x {SIDE}"
    return ""
