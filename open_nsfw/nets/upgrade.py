"""Layers in the two older spellings of Caffe's formats, as the LayerParameter that Caffe's own upgrade makes of them.

V1    `layers { type: CONVOLUTION ... }`, of 2014: types are an enum
V0    `layers { layer { type: "conv" ... } ... }`, of 2013: all settings of all types side by side, and padding is a layer

The rules are those of Caffe 1.0's util/upgrade_proto.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from open_nsfw.errors import ModelError
from open_nsfw.nets import schema
from open_nsfw.nets.net import cut, quoted

# Layer types of V1 by their name today.
V1_TYPES = {
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
# Layer types of V0 by their name today.
V0_TYPES = {
    "accuracy": "Accuracy",
    "bnll": "BNLL",
    "concat": "Concat",
    "conv": "Convolution",
    "data": "Data",
    "dropout": "Dropout",
    "euclidean_loss": "EuclideanLoss",
    "flatten": "Flatten",
    "hdf5_data": "HDF5Data",
    "hdf5_output": "HDF5Output",
    "im2col": "Im2col",
    "images": "ImageData",
    "infogain_loss": "InfogainLoss",
    "innerproduct": "InnerProduct",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MultinomialLogisticLoss",
    "pool": "Pooling",
    "relu": "ReLU",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "softmax_loss": "SoftmaxWithLoss",
    "split": "Split",
    "tanh": "TanH",
    "window_data": "WindowData",
}
# Where a setting of V0 goes, by layer type: V0 field -> {V0 type: (message, field)}.
_V0_FIELDS: dict[str, dict[str, tuple[str, str]]] = {
    "num_output": {"conv": ("convolution_param", "num_output"), "innerproduct": ("inner_product_param", "num_output")},
    "biasterm": {"conv": ("convolution_param", "bias_term"), "innerproduct": ("inner_product_param", "bias_term")},
    "weight_filler": {
        "conv": ("convolution_param", "weight_filler"),
        "innerproduct": ("inner_product_param", "weight_filler"),
    },
    "bias_filler": {
        "conv": ("convolution_param", "bias_filler"),
        "innerproduct": ("inner_product_param", "bias_filler"),
    },
    "pad": {"conv": ("convolution_param", "pad"), "pool": ("pooling_param", "pad")},
    "kernelsize": {"conv": ("convolution_param", "kernel_size"), "pool": ("pooling_param", "kernel_size")},
    "group": {"conv": ("convolution_param", "group")},
    "stride": {"conv": ("convolution_param", "stride"), "pool": ("pooling_param", "stride")},
    "pool": {"pool": ("pooling_param", "pool")},
    "dropout_ratio": {"dropout": ("dropout_param", "dropout_ratio")},
    "local_size": {"lrn": ("lrn_param", "local_size")},
    "alpha": {"lrn": ("lrn_param", "alpha")},
    "beta": {"lrn": ("lrn_param", "beta")},
    "k": {"lrn": ("lrn_param", "k")},
    "concat_dim": {"concat": ("concat_param", "concat_dim")},
    "source": {"data": ("data_param", "source"), "images": ("image_data_param", "source")},
    "batchsize": {"data": ("data_param", "batch_size"), "images": ("image_data_param", "batch_size")},
    "rand_skip": {"data": ("data_param", "rand_skip"), "images": ("image_data_param", "rand_skip")},
    "shuffle_images": {"images": ("image_data_param", "shuffle")},
    "new_height": {"images": ("image_data_param", "new_height")},
    "new_width": {"images": ("image_data_param", "new_width")},
    "scale": dict.fromkeys(("data", "images"), ("transform_param", "scale")),
    "meanfile": dict.fromkeys(("data", "images"), ("transform_param", "mean_file")),
    "cropsize": dict.fromkeys(("data", "images"), ("transform_param", "crop_size")),
    "mirror": dict.fromkeys(("data", "images"), ("transform_param", "mirror")),
}


def upgraded(old_layers: Sequence[Any]) -> list[Any]:
    """V1LayerParameters, of both older spellings, as LayerParameters. Raises ModelError for what Caffe cannot upgrade
    either."""
    if any(old.HasField("layer") for old in old_layers):
        return [_of_v0(old) for old in _without_padding_layers(old_layers)]
    return [_of_v1(old) for old in old_layers]


def blob_holders(old_layers: Sequence[Any]) -> list[Any]:
    """The messages that have the names and blobs of V1LayerParameters, of both older spellings."""
    if any(old.HasField("layer") for old in old_layers):
        return [old.layer for old in old_layers if old.HasField("layer")]
    return list(old_layers)


def _of_v1(old: Any) -> Any:
    type_name = schema.enum_name(old, "type")
    new = schema.LayerParameter(name=old.name, type=V1_TYPES.get(type_name, type_name))
    _take_connections(new, old)
    _take_rates(new, old)
    for spec, name in zip(_specs(new, len(old.param)), old.param):
        spec.name = name
    for spec, mode in zip(_specs(new, len(old.blob_share_mode)), old.blob_share_mode):
        spec.share_mode = mode
    new.loss_weight.extend(old.loss_weight)
    new.include.extend(old.include)
    new.exclude.extend(old.exclude)
    for descriptor, value in old.ListFields():
        if descriptor.name.endswith("_param"):
            getattr(new, descriptor.name).CopyFrom(value)
    return new


def _take_connections(new: Any, old: Any) -> None:
    new.bottom.extend(old.bottom)
    new.top.extend(old.top)


def _take_rates(new: Any, old: Any) -> None:
    for spec, rate in zip(_specs(new, len(old.blobs_lr)), old.blobs_lr):
        spec.lr_mult = rate
    for spec, decay in zip(_specs(new, len(old.weight_decay)), old.weight_decay):
        spec.decay_mult = decay


def _specs(new: Any, count: int) -> Any:
    """The settings of the layer's parameters, of which there are then at least `count`."""
    while len(new.param) < count:
        new.param.add()
    return new.param


def _without_padding_layers(old_layers: Sequence[Any]) -> list[Any]:
    """The layers with each `padding` layer's width written into the convolution or pooling that reads it."""
    padded: dict[str, tuple[str, int]] = {}  # top of a padding layer -> (its bottom, its width)
    kept = []
    for old in old_layers:
        if old.layer.type == "padding":
            if len(old.bottom) != 1 or len(old.top) != 1:
                raise ModelError(f"layer {quoted(old.layer.name)} (padding): it must have one bottom and one top")
            padded[old.top[0]] = (old.bottom[0], old.layer.pad)
            continue
        copy = type(old)()
        copy.CopyFrom(old)
        for index, bottom in enumerate(copy.bottom):
            if bottom in padded:
                if copy.layer.type not in ("conv", "pool"):
                    raise ModelError(f"layer {quoted(copy.layer.name)} ({cut(copy.layer.type)}): it cannot be padded")
                copy.bottom[index], copy.layer.pad = padded[bottom]
        kept.append(copy)
    return kept


def _of_v0(old: Any) -> Any:
    settings = old.layer
    new = schema.LayerParameter(name=settings.name, type=V0_TYPES.get(settings.type, settings.type))
    _take_connections(new, old)
    _take_rates(new, settings)
    for descriptor, value in settings.ListFields():
        place = _V0_FIELDS.get(descriptor.name, {}).get(settings.type)
        if place is not None:  # Caffe says on its log what the type has no use for, and goes on
            _put(getattr(new, place[0]), place[1], value)
    return new


def _put(message: Any, name: str, value: Any) -> None:
    """Set a field that may be repeated, a message or a plain value."""
    present = getattr(message, name)
    if hasattr(present, "append"):
        present.append(value)
    elif hasattr(present, "CopyFrom"):
        present.CopyFrom(value)
    else:
        setattr(message, name, value)
