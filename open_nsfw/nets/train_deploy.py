"""A net with weights in the form that Caffe trains: train_val.prototxt of any deploy prototxt, most of its layers frozen.

build-net writes the same for a net that it builds (training.py); this reads the net from its layers, so that it works for
one that was published or tuned before.
"""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf import text_format

from open_nsfw.nets import schema
from open_nsfw.nets.net import Layer, Net
from open_nsfw.nets.training import TrainingOptions, data_layer, loss_layer

# (lr_mult, decay_mult) of weights and bias in Yahoo's deploy.prototxt: the head learns five times as fast as the rest.
HEAD_RATES = ((5.0, 1.0), (10.0, 0.0))
RATES = ((1.0, 1.0), (2.0, 0.0))


def train_val(net: Net, trained: Collection[str], options: TrainingOptions) -> str:
    """The net as train_val.prototxt. Only the layers named in `trained` learn, the last of them as the head; the statistics
    of batch norm stay as they are. The net ends in a Softmax, whose place the loss takes."""
    head = [layer for layer in net.layers if layer.name in trained][-1].name
    parts = [f'# Written for training by `open-nsfw fine-tune`.\nname: "{net.name}"\n']
    parts += [data_layer(phase, net.input_shape[-1], options) for phase in ("TRAIN", "TEST")]
    logits = ""
    for layer in net.layers:
        if layer.type == "Softmax":
            logits = layer.bottoms[0]
        elif layer.type != "Input":
            parts.append(_text(layer, net.input_name, rates(layer, trained, head)))
    return "".join([*parts, *map(loss_layer, ("loss", "accuracy"), (logits, logits))])


def rates(layer: Layer, trained: Collection[str], head: str) -> tuple[tuple[float, float], ...]:
    """(lr_mult, decay_mult) of each blob of a layer, where the layers `trained` learn, `head` as the last of them."""
    if layer.name not in trained or layer.type == "BatchNorm":
        return ((0.0, 0.0),) * len(layer.blobs)
    return (HEAD_RATES if layer.name == head else RATES)[: len(layer.blobs)]


def _text(layer: Layer, input_name: str, mults: tuple[tuple[float, float], ...]) -> str:
    param = schema.LayerParameter()
    param.CopyFrom(layer.param)
    del param.blobs[:]
    del param.include[:], param.exclude[:]  # they were asked already, in the state of the net that was read
    while len(param.param) < len(mults):
        param.param.add()
    for spec, (lr_mult, decay_mult) in zip(param.param, mults):  # with its name, which makes it shared
        spec.lr_mult, spec.decay_mult = lr_mult, decay_mult
    if layer.type == "BatchNorm":
        param.batch_norm_param.use_global_stats = True
    for index, bottom in enumerate(param.bottom):
        if bottom == input_name:
            param.bottom[index] = "data"  # what the layers that read pictures call it
    text: str = text_format.MessageToString(param)
    return "layer {\n" + "".join(f"  {line}\n" for line in text.splitlines()) + "}\n"
