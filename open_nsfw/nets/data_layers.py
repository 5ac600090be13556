"""The shapes of the pictures that a net in the form for training reads by itself, as far as its prototxt tells them."""

from __future__ import annotations

from open_nsfw.nets.net import Layer, Shape

DATA_TYPES = frozenset({"Data", "DummyData", "ImageData", "MemoryData"})
COLOURS = 3  # of a picture in a database or file, unless the layer says that it is grey


def data_shape(layer: Layer) -> Shape:
    """(N, C, H, W) of a data layer's first top. Raises ModelError where only the data itself would tell."""
    if layer.type == "DummyData":
        return _dummy_shape(layer)
    if layer.type == "MemoryData":
        param = layer.param.memory_data_param
        shape: Shape = (param.batch_size, param.channels, param.height, param.width)
        return _checked(layer, shape)
    transform = layer.param.transform_param
    own = layer.param.data_param if layer.type == "Data" else layer.param.image_data_param
    side = transform.crop_size or own.crop_size
    height, width = side, side
    if not side and layer.type == "ImageData":
        height, width = own.new_height, own.new_width
    if not (height and width):
        raise layer.error("only its data tells how large the pictures are: give it a crop_size in transform_param")
    grey = transform.force_gray or (layer.type == "ImageData" and not own.is_color)
    return _checked(layer, (max(own.batch_size, 1), 1 if grey else COLOURS, height, width))


def _dummy_shape(layer: Layer) -> Shape:
    param = layer.param.dummy_data_param
    if param.shape:
        return _checked(layer, tuple(param.shape[0].dim))
    dims = [list(each) for each in (param.num, param.channels, param.height, param.width)]
    if not all(dims):
        raise layer.error("it has no shape")
    return _checked(layer, tuple(each[0] for each in dims))


def _checked(layer: Layer, shape: Shape) -> Shape:
    if not shape or min(shape) < 1:
        raise layer.error(f"its shape is {list(shape)}; every dimension must be at least 1")
    return shape
