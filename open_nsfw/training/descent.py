"""Caffe's stochastic gradient descent on torch tensors, and the running average of the weights that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from open_nsfw.nets.train_deploy import rates
from open_nsfw.nets.training import SolverSettings
from open_nsfw.training.stages import Part
from open_nsfw.training.torch_net import Gradient, Key, Weights

AVERAGED = 0.99  # what the average keeps of itself in a step, once there were many; less in the first ones


class Descent:
    """SGD with momentum as Caffe's SGDSolver has it: the learning rate is part of what momentum keeps. All tensors of
    `weights` change in place."""

    def __init__(self, part: Part, weights: Weights, settings: SolverSettings) -> None:
        """No step was made; `average` is the weights as they are."""
        self._settings, self._weights = settings, weights
        self._rates = rates_of(part)
        self.steps = 0
        self.velocity: Weights = {key: value.detach() * 0 for key, value in weights.items()}
        self.average: Weights = {key: value.detach().clone() for key, value in weights.items()}

    def step(self, gradient: Gradient) -> None:
        """One step by the mean gradient of a batch, and the average after it."""
        settings = self._settings
        keep = min(AVERAGED, (1 + self.steps) / (10 + self.steps))
        shortened = self._shortened(gradient) / gradient.pictures
        for key, value in self._weights.items():
            lr_mult, decay_mult = self._rates[key]
            weight, velocity = value.detach(), self.velocity[key]
            slope = gradient.weights[key] * shortened + settings.weight_decay * decay_mult * weight
            velocity.mul_(settings.momentum).add_(slope, alpha=settings.base_lr * lr_mult)
            weight.sub_(velocity)
            self.average[key].mul_(keep).add_(weight, alpha=1 - keep)
        self.steps += 1

    def _shortened(self, gradient: Gradient) -> float:
        """What the gradient is multiplied by, as SGDSolver's ClipGradients has it: 1 where it is no longer than it may be."""
        longest = self._settings.clip_gradients
        if longest is None:
            return 1.0
        # NumPy's sums, of one thread: those of torch depend on how many threads there are.
        squares = (np.square(each.cpu().numpy(), dtype=np.float64).sum() for each in gradient.weights.values())
        length = float(np.sqrt(sum(squares))) / gradient.pictures
        return min(1.0, longest / length) if length else 1.0

    def state(self) -> dict[str, Mapping[Key, Any]]:
        """Every tensor that the next step hangs on: name of a kind -> tensors."""
        return {"weights": self._weights, "velocity": self.velocity, "average": self.average}


def rates_of(part: Part) -> dict[Key, tuple[float, float]]:
    """(lr_mult, decay_mult) of each blob that learns: those of train_val.prototxt."""
    trained = part.trained
    layers = [layer for layer in part.layers if layer.name in trained]
    return {
        (layer.name, number): each for layer in layers for number, each in enumerate(rates(layer, trained, trained[-1]))
    }
