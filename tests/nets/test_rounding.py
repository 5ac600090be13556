"""Weights rounded together, and the stride of the first convolution folded into channels."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from open_nsfw.nets.rounding import picture_covariance, rounded_each, rounded_together, weight_scales
from open_nsfw.nets.space_to_depth import fold_stride
from open_nsfw.scoring.int8_engine import int8_session


def test_together_errors_cancel_over_smooth_areas() -> None:
    """What a window of one colour gives is right to a fraction of a step; each by itself, it is off by several."""
    random = np.random.default_rng(1)
    weights = random.normal(0, 1, (64, 3, 7, 7)).astype(np.float32)
    scales = weight_scales(weights)
    covariance = picture_covariance(3, 7, 7)
    sums = {
        name: np.abs(((rounded * scales.reshape(-1, 1, 1, 1)) - weights).sum(axis=(1, 2, 3)) / scales)
        for name, rounded in {
            "each": rounded_each(weights, scales),
            "together": rounded_together(weights, scales, covariance),
        }.items()
    }
    assert sums["each"].mean() > 2
    assert sums["together"].mean() < 0.5
    assert np.abs(rounded_together(weights, scales, covariance)).max() == 127


def test_independent_inputs_are_rounded_each() -> None:
    """Where nothing is alike there is nothing to make up for."""
    weights = np.random.default_rng(2).normal(0, 1, (8, 2, 3, 3)).astype(np.float32)
    scales = weight_scales(weights)
    assert np.array_equal(rounded_together(weights, scales, np.eye(18)), rounded_each(weights, scales))


def test_covariance_by_hand() -> None:
    """In the order of the weights: colours, then rows, then columns."""
    covariance = picture_covariance(2, 2, 2)
    assert covariance.shape == (8, 8)
    assert np.allclose(np.diag(covariance), 1)
    assert covariance[0, 1] == covariance[0, 2] == pytest.approx(0.95)
    assert covariance[0, 3] == pytest.approx(0.95**2)
    assert covariance[0, 4] == pytest.approx(0.9)


def int8_convolution(
    channels: int, size: tuple[int, int], kernel: tuple[int, int], pads: list[int], stride: int
) -> bytes:
    """input -> uint8 -> convolution with int8 weights, as quantize.py writes it."""
    random = np.random.default_rng(3)
    constants = {
        "scale": np.float32(0.1),
        "zero": np.uint8(117),
        "scale_out": np.float32(3.0),
        "weights_integer": random.integers(-127, 128, (5, channels, *kernel), dtype=np.int8),
        "weights_scale": random.uniform(0.01, 0.1, 5).astype(np.float32),
        "weights_zero": np.zeros(5, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["data", "scale", "zero"], ["data_integer"]),
        helper.make_node("DequantizeLinear", ["data_integer", "scale", "zero"], ["data_rounded"]),
        helper.make_node("DequantizeLinear", ["weights_integer", "weights_scale", "weights_zero"], ["weights"], axis=0),
        helper.make_node(
            "Conv", ["data_rounded", "weights"], ["sums"], kernel_shape=kernel, pads=pads, strides=[stride, stride]
        ),
        helper.make_node("QuantizeLinear", ["sums", "scale_out", "zero"], ["sums_integer"]),
        helper.make_node("DequantizeLinear", ["sums_integer", "scale_out", "zero"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", channels, *size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 5, "H", "W"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("size", "kernel", "pads"),
    [
        ((8, 8), (7, 7), [3, 3, 3, 3]),
        ((10, 12), (7, 7), [3, 3, 3, 3]),
        ((8, 8), (3, 3), [0, 0, 0, 0]),
        ((8, 8), (3, 3), [1, 1, 1, 1]),
        ((8, 8), (2, 2), [0, 0, 0, 0]),
        ((12, 8), (5, 4), [2, 1, 2, 1]),
        ((8, 8), (4, 5), [1, 2, 2, 3]),
        ((8, 8), (8, 8), [0, 0, 0, 0]),
    ],
)
def test_folding_changes_no_bit(channels: int, size: tuple[int, int], kernel: tuple[int, int], pads: list[int]) -> None:
    """Every size of kernel and padding, on values beyond the range of uint8, too."""
    before = int8_convolution(channels, size, kernel, pads, 2)
    model = onnx.load_from_string(before)
    fold_stride(model)
    assert any(node.op_type == "SpaceToDepth" for node in model.graph.node)
    onnx.checker.check_model(model)
    data = np.random.default_rng(4).uniform(-20, 20, (3, channels, *size)).astype(np.float32)
    outputs = [int8_session(each, 1).run(None, {"data": data})[0] for each in (before, model.SerializeToString())]
    assert np.array_equal(*outputs)
    assert len(np.unique(outputs[0])) > 5


@pytest.mark.parametrize(
    ("channels", "size", "kernel", "stride"),
    [
        (3, (8, 8), (7, 7), 1),
        (3, (9, 8), (7, 7), 2),
        (5, (8, 8), (7, 7), 2),
        (3, (8, 8), (1, 1), 2),
        (3, (9, 9), (3, 3), 3),
    ],
)
def test_what_is_left_as_it_is(channels: int, size: tuple[int, int], kernel: tuple[int, int], stride: int) -> None:
    """Other strides, odd sizes, many channels, kernels of one weight."""
    before = int8_convolution(channels, size, kernel, [3, 3, 3, 3], stride)
    model = onnx.load_from_string(before)
    fold_stride(model)
    assert model.SerializeToString() == onnx.load_from_string(before).SerializeToString()
