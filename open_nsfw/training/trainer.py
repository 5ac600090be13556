"""One training of a part on some pictures, epoch by epoch, with its whole state in a file.

What a step hangs on (weights, velocity, average, and which pictures come next) is in the file or drawn from the seed, so a
training that was killed and goes on ends with the same weights to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.calibration.sample import Flags, Floats
from open_nsfw.nets.net import Blob
from open_nsfw.nets.training import SolverSettings
from open_nsfw.training import checkpoint
from open_nsfw.training.descent import Descent
from open_nsfw.training.inputs import Inputs
from open_nsfw.training.sampling import draw_epoch, prior_shift
from open_nsfw.training.stages import Part
from open_nsfw.training.torch_net import TorchNet

SAVE_SECONDS = 30.0  # between two savings within an epoch
EVALUATED = 64  # pictures at once

Blobs = Mapping[str, Sequence[Blob]]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that are learnt from, or held out."""

    digests: Sequence[str]
    """The SHA-256 of each."""
    nsfw: Flags
    """bool (N,)"""


@dataclass(frozen=True, eq=False)
class Course:
    """What a training does, but for its pictures."""

    part: Part
    net: TorchNet
    """Which all trainings share, one after the other."""
    inputs: Inputs
    settings: SolverSettings
    seed: int
    watch: Callable[[], None]
    """Called after every step."""


class Trainer:
    """A training. Its head gives logits that are right at as many nsfw pictures as sfw ones."""

    def __init__(
        self, course: Course, learnt: Pictures, held_out: Pictures | None, number: int, path: Path, start: Blobs
    ) -> None:
        """Go on from the file at `path`, or begin with the blobs `start`, whose logits are right at the pictures' own share.

        `number` tells this training's draws from another's. Raises UsageError for a damaged file.
        """
        self._course, self._learnt, self._held_out, self._number, self._path = course, learnt, held_out, number, path
        self.shift = prior_shift(learnt.nsfw)
        self._start = start
        self._losses: list[float] = []
        self._logits: list[Floats] = []
        self._loss, self._step = 0.0, 0
        self._descent: Descent | None = None
        self._saved = time.monotonic()
        found = checkpoint.load(path)
        if found is not None:
            self._read(found)

    @property
    def epochs(self) -> int:
        """How many are finished."""
        return len(self._losses)

    @property
    def losses(self) -> list[float]:
        """The mean log loss on the pictures learnt from, as they came, of each epoch; of as many nsfw as sfw ones."""
        return list(self._losses)

    def logits(self, epoch: int) -> Floats:
        """float64 (held out,): after so many epochs, 0 for before the first, right at the share of the pictures learnt
        from."""
        return self._logits[epoch] + self.shift

    def run(self, epochs: int) -> None:
        """Train until so many epochs are finished; save the state."""
        if self.epochs >= epochs and len(self._logits) > self.epochs:
            return
        self._take_turn()
        if not self._logits:
            self._evaluate()
        while self.epochs < epochs:
            self._epoch()
        self._save()
        self._leave_turn()

    def blobs(self) -> dict[str, tuple[Blob, ...]]:
        """The averaged weights, whose logits are right at as many nsfw pictures as sfw ones."""
        found = checkpoint.load(self._path)
        assert found is not None
        return _grouped(found, "average")

    def _take_turn(self) -> None:
        """Give the shared net this training's weights."""
        course = self._course
        found = checkpoint.load(self._path)
        course.net.set_blobs(self._begin() if found is None else _grouped(found, "weights"))
        self._descent = Descent(course.part, course.net.weights, course.settings)
        if found is not None:
            self._descent.steps = int(found["steps"])
            for kind in ("velocity", "average"):
                for (name, number), tensor in self._descent.state()[kind].items():
                    tensor.copy_(course.net.tensor(found[_key(kind, name, number)]))

    def _leave_turn(self) -> None:
        self._descent = None

    def _begin(self) -> Blobs:
        """The start, its head right at as many nsfw pictures as sfw ones."""
        head = self._course.part.trained[-1]
        weights, bias = self._start[head]
        half = np.float32(self.shift / 2)
        return {**self._start, head: (weights, (bias.reshape(-1) + np.array([half, -half])).astype(np.float32))}

    def _epoch(self) -> None:
        assert self._descent is not None
        course, learnt = self._course, self._learnt
        drawn = draw_epoch(learnt.nsfw, course.inputs.views, (course.seed, self._number, self.epochs))
        while self._step < drawn.batches:
            pictures, views = drawn.batch(self._step)
            wanted = [(learnt.digests[index], int(number)) for index, number in zip(pictures, views)]
            gradient = course.net.gradient(course.inputs.batch(wanted), learnt.nsfw[pictures])
            self._descent.step(gradient)
            self._loss += gradient.loss
            self._step += 1
            if time.monotonic() > self._saved + SAVE_SECONDS:
                self._save()
            course.watch()
        self._losses.append(self._loss / len(drawn.pictures))
        self._loss, self._step = 0.0, 0
        self._evaluate()

    def _evaluate(self) -> None:
        assert self._descent is not None
        digests = [] if self._held_out is None else self._held_out.digests
        self._logits.append(part_logits(self._course, digests, self._descent.average))

    def _save(self) -> None:
        assert self._descent is not None
        arrays: dict[str, NDArray[Any]] = {
            _key(kind, name, number): tensor.detach().cpu().numpy()
            for kind, tensors in self._descent.state().items()
            for (name, number), tensor in tensors.items()
        }
        numbers = {"steps": self._descent.steps, "step": self._step, "loss": self._loss}
        arrays.update({name: np.array(value) for name, value in numbers.items()})
        arrays.update(losses=np.array(self._losses), logits=np.array(self._logits))
        checkpoint.save(self._path, arrays)
        self._saved = time.monotonic()

    def _read(self, found: checkpoint.Arrays) -> None:
        self._step, self._loss = int(found["step"]), float(found["loss"])
        self._losses = [float(each) for each in found["losses"]]
        self._logits = list(found["logits"])


def part_logits(course: Course, digests: Sequence[str], weights: Any = None) -> Floats:
    """float64 (N,): the differences of the two logits of pictures, with the net's own weights or others."""
    found = [np.empty((0, 2), np.float32)]
    for start in range(0, len(digests), EVALUATED):
        found.append(course.net.logits(course.inputs.middles(digests[start : start + EVALUATED]), weights))
    logits = np.concatenate(found).astype(np.float64)
    difference: Floats = logits[:, 1] - logits[:, 0]
    return difference


def _key(kind: str, name: str, number: int) -> str:
    return f"{kind}/{number}/{name}"


def _grouped(arrays: checkpoint.Arrays, kind: str) -> dict[str, tuple[Blob, ...]]:
    found: dict[str, tuple[Blob, ...]] = {}
    for key, values in arrays.items():
        if key.startswith(f"{kind}/"):
            name = key.split("/", 2)[2]
            found[name] = (*found.get(name, ()), values)
    return found
