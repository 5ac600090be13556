"""The head of a net: the fully connected layer whose two logits become the score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import Blob, Layer, Net, quoted
from open_nsfw.nets.read import read_net
from open_nsfw.nets.sharing import check_not_shared
from open_nsfw.scoring.engine import OUTPUT
from open_nsfw.scoring.model_files import ModelFiles

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Head:
    """Two logits: `weights @ features + bias`. The score is the softmax's second value, 1 / (1 + exp(-(second - first)))."""

    layer: str
    """The layer's name, `fc_nsfw` in Yahoo's net."""
    features: str
    """The blob that it reads, `pool` in Yahoo's net."""
    weights: Float64
    """float64 (2, K)"""
    bias: Float64
    """float64 (2,)"""

    @property
    def direction(self) -> Float64:
        """float64 (K,): what a feature adds to the difference of the logits."""
        direction: Float64 = self.weights[1] - self.weights[0]
        return direction

    @property
    def offset(self) -> float:
        """The difference of the logits where all features are 0."""
        return float(self.bias[1] - self.bias[0])

    def blobs(self) -> tuple[Blob, Blob]:
        """As the caffemodel has them, float32."""
        return self.weights.astype(np.float32), self.bias.astype(np.float32)

    def with_difference(self, direction: Float64, offset: float) -> Head:
        """The head whose logits differ by `features @ direction + offset`, and whose sum of both is what it was: a change is
        shared by both logits."""
        half = (direction - self.direction) / 2
        weights = np.stack([self.weights[0] - half, self.weights[1] + half])
        shift = (offset - self.offset) / 2
        return Head(self.layer, self.features, weights, np.array([self.bias[0] - shift, self.bias[1] + shift]))


def find_head(files: ModelFiles) -> Head:
    """The head of a net. Raises ModelError for a net that has none of this shape, and for weights that are not finite."""
    net = read_net(files.model_def, files.pretrained_model)
    _check_finite(net, files)
    layer = _fully_connected(net)
    problem = "its score does not come from a fully connected layer" if layer is None else _unfit(layer)
    if layer is None or problem:
        raise ModelError(
            f"{files.model_def}: {problem}; fine-tuning needs an InnerProduct layer of 2 outputs with a bias, whose outputs "
            f'a Softmax layer makes "{OUTPUT}" of'
        )
    check_not_shared(net, {layer.name})
    weights, bias = (blob.astype(np.float64) for blob in layer.blobs)
    return Head(layer.name, layer.bottoms[0], weights.reshape(weights.shape[-2:]), bias.reshape(-1))


def _check_finite(net: Net, files: ModelFiles) -> None:
    for layer in net.layers:
        if not all(np.isfinite(blob).all() for blob in layer.blobs):
            raise ModelError(f"{files.pretrained_model}: {layer.label} has weights that are not finite numbers")


def _fully_connected(net: Net) -> Layer | None:
    """The layer of which a last Softmax makes the score."""
    softmax = next((layer for layer in reversed(net.layers) if OUTPUT in layer.tops), None)
    if softmax is None or softmax.type != "Softmax":
        return None
    maker = next(
        (layer for layer in reversed(net.layers) if softmax.bottoms[0] in layer.tops and layer is not softmax), None
    )
    return maker if maker is not None and maker.type == "InnerProduct" else None


def _unfit(layer: Layer) -> str:
    settings = layer.param.inner_product_param
    if settings.num_output != 2:
        return f"the layer {quoted(layer.name)} has {settings.num_output} outputs"
    if not settings.bias_term:
        return f"the layer {quoted(layer.name)} has no bias"
    if settings.transpose or settings.axis != 1:
        return f"the layer {quoted(layer.name)} is transposed or has another axis than 1"
    return ""
