"""Training below the head: on every fold side by side, as many epochs as help on what is held out, then on all.

After each epoch, all folds together have a logit for every picture, by weights that were not learnt from it. The epoch
whose logits have the least log loss is how long the last training goes, which learns from all of the pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from open_nsfw.calibration.sample import Flags, Floats, Ints
from open_nsfw.nets.net import Blob
from open_nsfw.training.epochs import EpochFound, measure_epoch
from open_nsfw.training.place import Place
from open_nsfw.training.trainer import Blobs, Course, Pictures, Trainer

MOST_EPOCHS = 12
PATIENCE = 3  # epochs without a better one, before the training ends
LEAST_EPOCHS = 5  # before it may end so: the first steps often lose what later ones win
TOO_LATE, DIVERGED = "the time was over before an epoch", "the weights grow without end"

Fold = tuple[Ints, Ints]
THIS_MACHINE = Place()


@dataclass(frozen=True)
class Asked:
    """What a training is measured by, and how long it may take."""

    max_fpr: float
    confidence: float
    deadline: float | None
    """time.monotonic() at which it ends; None: when it is done."""
    least_epochs: int
    """1 where the stage was asked for by name, 0 where it may turn out not to help."""
    epoch_seconds: float = 0.0
    """What an epoch of all folds is expected to take, until one was timed; 0 where nobody knows."""


@dataclass(frozen=True, eq=False)
class Deep:
    """What came of training a part."""

    epochs: tuple[EpochFound, ...]
    """From 0, the head alone."""
    best: int
    """How many epochs were used: 0 if none helped."""
    held_out: Floats
    """float64 (N,): each picture's logit by weights that were not learnt from it, after the best epoch."""
    blobs: dict[str, tuple[Blob, ...]]
    """Of the layers that learn, from all pictures; empty if no epoch helped."""
    out_of_time: bool


def train_deep(
    course: Course,
    pictures: Pictures,
    folds: Sequence[Fold],
    start: Callable[[Ints], Blobs],
    folder: Path,
    asked: Asked,
    say: Callable[[EpochFound], None],
    place: Place = THIS_MACHINE,
) -> Deep | str:
    """Train on the pictures; a few words about why there is nothing, if the time is over before an epoch is or the weights grow
    without end.

    `start` gives the blobs to begin with for the pictures at some indices: those with a head that was learnt from them
    alone. Everything that is computed is kept in `folder`.
    """
    trainers = [
        place.trainer(
            course, _some(pictures, learnt), _some(pictures, held), number, folder / f"fold{number}.npz", start(learnt)
        )
        for number, (learnt, held) in enumerate(folds)
    ]
    run = _Run(trainers, [held for _, held in folds], pictures.nsfw, asked, say)
    out_of_time = run.until_done()
    if run.epochs == 0:
        return TOO_LATE if out_of_time else DIVERGED
    best = run.best()
    blobs: dict[str, tuple[Blob, ...]] = {}
    if best:
        last = place.trainer(
            course, pictures, None, len(folds), folder / "all.npz", start(np.arange(len(pictures.nsfw)))
        )
        last.run(best)
        blobs = right_at_share(last.blobs(), course.part.trained[-1], last.shift)
    if not all(np.isfinite(blob).all() for each in blobs.values() for blob in each):
        return DIVERGED
    return Deep(tuple(run.found), best, run.logits(best), blobs, out_of_time)


def right_at_share(blobs: Blobs, head: str, shift: float) -> dict[str, tuple[Blob, ...]]:
    """Blobs whose logits are right at the share of nsfw that the pictures have: the prior goes back into the bias."""
    weights, bias = blobs[head]
    half = np.float32(shift / 2)
    changed = (weights, (bias + np.array([-half, half], np.float32)).astype(np.float32))
    return {**{name: tuple(each) for name, each in blobs.items()}, head: changed}


def _some(pictures: Pictures, at: Ints) -> Pictures:
    return Pictures([pictures.digests[index] for index in at], pictures.nsfw[at])


class _Run:
    """The folds, an epoch of all of them after the other."""

    def __init__(
        self, trainers: list[Trainer], held: list[Ints], nsfw: Flags, asked: Asked, say: Callable[[EpochFound], None]
    ) -> None:
        self._trainers, self._held, self._nsfw, self._asked, self._say = trainers, held, nsfw, asked, say
        self.found: list[EpochFound] = []
        self._seconds = asked.epoch_seconds  # of the last epoch

    @property
    def epochs(self) -> int:
        """How many all folds have finished and were measured."""
        return len(self.found) - 1

    def until_done(self) -> bool:
        """Train until nothing gets better any more; whether the time was over before."""
        for epoch in range(MOST_EPOCHS + 1):
            if self._is_late(epoch):
                return True
            started, is_whole = time.monotonic(), all(trainer.epochs < epoch for trainer in self._trainers)
            for trainer in self._trainers:
                trainer.run(epoch)
            self._seconds = time.monotonic() - started if is_whole else self._seconds
            if not np.isfinite(self.logits(epoch)).all():
                break  # the weights have grown without end; no later epoch can be better
            self._measure(epoch)
            if epoch >= LEAST_EPOCHS and epoch - self.best() >= PATIENCE:
                break
        return False

    def _is_late(self, epoch: int) -> bool:
        """Whether another epoch, and the last training after it, would end behind the deadline."""
        if self._asked.deadline is None or epoch == 0:
            return False
        folds = len(self._trainers)
        last = self._seconds / max(folds - 1, 1) * epoch
        return time.monotonic() + self._seconds + last > self._asked.deadline

    def _measure(self, epoch: int) -> None:
        learnt = [trainer.losses[epoch - 1] for trainer in self._trainers] if epoch else []
        found = measure_epoch(
            epoch, learnt, self.logits(epoch), self._nsfw, self._asked.max_fpr, self._asked.confidence
        )
        self.found.append(found)
        self._say(found)

    def logits(self, epoch: int) -> Floats:
        """float64 (N,): of every picture, by the fold that it was held out from."""
        logits = np.empty(len(self._nsfw))
        for held, trainer in zip(self._held, self._trainers):
            logits[held] = trainer.logits(epoch)
        return logits

    def best(self) -> int:
        """The epoch with the least loss on what was held out."""
        allowed = range(min(self._asked.least_epochs, self.epochs), self.epochs + 1)
        return min(allowed, key=lambda epoch: self.found[epoch].held_out)
