"""A part of a net on several tasks at once: each has some of the pictures, and computes of every batch what it has.

The trainer of one machine runs in each task, step by step the same. Only where it asks for the gradient of a batch, or for the
logits of pictures, do the tasks differ: each computes its own, and the sums are the batch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.cluster.group import summed
from open_nsfw.training.inputs import Float32, Inputs, Wanted
from open_nsfw.training.torch_net import Gradient, TorchNet, Weights


@dataclass(frozen=True, eq=False)
class Shard:
    """What this task has of a batch."""

    values: Float32
    """float32 (n, ...): of the blob that the part reads."""
    at: NDArray[np.int64]
    """int64 (n,): their places in the batch."""
    size: int
    """Pictures of the whole batch."""


class ShardInputs(Inputs):
    """Values for views of those pictures that this task has."""

    owned: frozenset[str] = frozenset()
    """SHA-256 of each."""

    def batch(self, wanted: Wanted) -> Any:
        """The Shard of a batch."""
        at = [index for index, (sha256, _) in enumerate(wanted) if sha256 in self.owned]
        values = super().batch([wanted[index] for index in at]) if at else np.empty((0, *self.shape), np.float32)
        return Shard(values, np.array(at, np.int64), len(wanted))

    def middles(self, digests: Sequence[str]) -> Any:
        """The Shard of the views that are scored."""
        return super().middles(digests)


class ShardNet(TorchNet):
    """A net whose gradients and logits are those of all tasks together."""

    def gradient(self, inputs: Any, nsfw: NDArray[np.bool_]) -> Gradient:
        """Of the log loss of a batch: `inputs` is this task's Shard of it, `nsfw`, bool (N,), are the labels of all."""
        own = super().gradient(inputs.values, nsfw[inputs.at]) if len(inputs.at) else None
        keys = list(self.weights)
        parts = [self.weights[key].detach() * 0 if own is None else own.weights[key] for key in keys]
        loss = self.torch.tensor([0.0 if own is None else own.loss], dtype=parts[0].dtype, device=parts[0].device)
        total = summed(self.torch, self.torch.cat([*(part.reshape(-1) for part in parts), loss]))
        *found, loss = total.split([*(part.numel() for part in parts), 1])
        weights = {key: each.reshape(part.shape) for key, each, part in zip(keys, found, parts)}
        return Gradient(len(nsfw), float(loss), weights)

    def logits(self, inputs: Any, weights: Weights | None = None) -> Float32:
        """float32 (N, 2) of a batch, of which `inputs` is this task's Shard."""
        found = np.zeros((inputs.size, 2), np.float32)
        if len(inputs.at):
            found[inputs.at] = super().logits(inputs.values, weights)
        total: Float32 = summed(self.torch, self.torch.from_numpy(found)).numpy()
        return total
