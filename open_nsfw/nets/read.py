"""A prototxt and a caffemodel -> a `Net` whose weights are known to be complete and to fit; no framework needed.

What real Caffe answers with the end of the process (a CHECK that fails) is a `ModelError` of one line here.
"""

from __future__ import annotations

from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.nets.caffemodel import read_caffemodel, with_weights
from open_nsfw.nets.cost import cost_of
from open_nsfw.nets.net import Net
from open_nsfw.nets.prototxt import read_prototxt
from open_nsfw.nets.shapes import check_weights

# What the activations of one input may take at one time. Yahoo's net takes 5 MB, VGG 26; 350 bytes of prototxt can ask for
# more than any machine has.
MOST_ACTIVATION_BYTES = 2 * 2**30


def read_net(model_def: str | Path, pretrained_model: str | Path) -> Net:
    """Read and check a net for inference.

    Raises ModelError, in one line, for files that are missing or unreadable, layers that are not supported, weights
    that are missing or of other shapes than the prototxt's layers need.
    """
    net = read_prototxt(model_def)
    weights = read_caffemodel(pretrained_model, net.layer_names)
    try:
        _check_memory(net)
        net = with_weights(net, weights)
    except ModelError as error:
        raise type(error)(f"{model_def}: {error}") from error
    try:
        check_weights(net)
    except ModelError as error:
        raise type(error)(f"{pretrained_model} does not fit {model_def}: {error}") from error
    return net


def _check_memory(net: Net) -> None:
    """Raises ModelError for a layer that cannot work, and for a net whose blobs would fill the memory."""
    peak = cost_of(net).peak_bytes
    if peak > MOST_ACTIVATION_BYTES:
        raise ModelError(
            f"the blobs of one input would take {peak / 2**30:.1f} GiB at once; at most {MOST_ACTIVATION_BYTES / 2**30:g} are "
            "computed here"
        )
