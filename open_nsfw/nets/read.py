"""A prototxt and a caffemodel -> a `Net` whose weights are known to be complete and to fit; no framework needed.

What real Caffe answers with the end of the process (a CHECK that fails) is a `ModelError` of one line here.
"""

from __future__ import annotations

from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.nets.caffemodel import read_caffemodel, with_weights
from open_nsfw.nets.net import Net
from open_nsfw.nets.prototxt import read_prototxt
from open_nsfw.nets.shapes import check_weights, infer


def read_net(model_def: str | Path, pretrained_model: str | Path) -> Net:
    """Read and check a net for inference.

    Raises ModelError, in one line, for files that are missing or unreadable, layers that are not supported, weights
    that are missing or of other shapes than the prototxt's layers need.
    """
    net = read_prototxt(model_def)
    weights = read_caffemodel(pretrained_model)
    try:
        infer(net)
    except ModelError as error:
        raise type(error)(f"{model_def}: {error}") from error
    net = with_weights(net, weights)
    try:
        check_weights(net)
    except ModelError as error:
        raise type(error)(f"{pretrained_model} does not fit {model_def}: {error}") from error
    return net
