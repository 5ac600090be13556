"""What is told after each epoch, on the terminal, to TensorBoard, and in the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from open_nsfw.calibration.curves import area_under_roc
from open_nsfw.calibration.rates import Rate
from open_nsfw.calibration.sample import Flags, Floats, Sample
from open_nsfw.calibration.words import percent
from open_nsfw.errors import SetupError
from open_nsfw.installing import install_command
from open_nsfw.training.logistic import log_loss
from open_nsfw.training.measure import recall_at
from open_nsfw.training.torch_net import load_torch


@dataclass(frozen=True)
class EpochFound:
    """One epoch of all folds."""

    epoch: int
    """0 for the head alone."""
    learnt: float | None
    """The mean log loss on the pictures learnt from, as they came, as many nsfw as sfw ones; None before the first."""
    held_out: float
    """The log loss on the pictures, each by weights that were not learnt from it."""
    auc: Rate
    recall: float
    """At a false-positive rate of at most the limit."""


def measure_epoch(
    epoch: int, learnt: Sequence[float], logits: Floats, nsfw: Flags, max_fpr: float, confidence: float
) -> EpochFound:
    """`learnt`: the loss of each fold. `logits`: float64 (N,), of the pictures held out."""
    sample = Sample(logits, nsfw, None)
    return EpochFound(
        epoch,
        float(np.mean(learnt)) if learnt else None,
        log_loss(logits, nsfw),
        area_under_roc(sample, confidence),
        recall_at(logits, nsfw, max_fpr),
    )


def describe(what: str, found: EpochFound, best: EpochFound, max_fpr: float) -> str:
    """`stage3, epoch 2: loss 0.21 learnt, 0.25 held out; AUC 0.954 (0.933 to 0.969), recall 0.81 at 1 %; best 0.25 (epoch
    2)`"""
    name = "before" if found.epoch == 0 else f"epoch {found.epoch}"
    learnt = "" if found.learnt is None else f"{found.learnt:.4f} learnt, "
    area = f"{found.auc.value or 0:.3f} ({found.auc.low:.3f} to {found.auc.high:.3f})"
    return (
        f"{what}, {name}: loss {learnt}{found.held_out:.4f} held out; AUC {area}, recall {found.recall:.3f} at "
        f"{percent(max_fpr)}; best {best.held_out:.4f} ({'before' if best.epoch == 0 else f'epoch {best.epoch}'})"
    )


class EpochLog:
    """Tells each epoch as it ends, and keeps what TensorBoard shows."""

    def __init__(self, what: str, max_fpr: float, say: Callable[[str], None], board: Any) -> None:
        """`board`: what `open_board` gave, or None."""
        self._what, self._max_fpr, self._say, self._board = what, max_fpr, say, board
        self._best: EpochFound | None = None

    def __call__(self, found: EpochFound) -> None:
        """Tell one."""
        if self._best is None or found.held_out < self._best.held_out:
            self._best = found
        self._say(describe(self._what, found, self._best, self._max_fpr))
        if self._board is None:
            return
        values = {"loss/held out": found.held_out, "AUC": found.auc.value, "recall at the limit": found.recall}
        if found.learnt is not None:
            values["loss/learnt"] = found.learnt
        for name, value in values.items():
            self._board.add_scalar(f"{self._what}/{name}", value, found.epoch)
        self._board.flush()


def open_board(folder: str) -> Any:
    """What writes for TensorBoard into a folder. Raises SetupError where its library or torch is not installed."""
    load_torch()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SetupError(f"tensorboard is not installed: {install_command('tensorboard')}") from error
    return SummaryWriter(folder)
