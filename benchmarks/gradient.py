"""The network's logit and its gradient for the input, computed by ONNX Runtime: what pushes pictures over the range.

Only the layers that residual nets are made of are differentiated, for one input at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SAFE, NSFW = 0, 1


class Climber:
    """logit = fc[1] - fc[0] and d logit / d input of an ONNX model made by open_nsfw.nets.onnx_graph.convert."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        differentiated = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
        self.input = differentiated.graph.input[0].name
        _Backward(differentiated).add()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            differentiated.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, blob: np.ndarray) -> tuple[float, np.ndarray]:
        """float32 (1, C, H, W) -> the logit, and its gradient, float32 (C, H, W)."""
        logits, gradient = self._session.run(None, {self.input: blob})
        return float(logits[0, NSFW] - logits[0, SAFE]), gradient[0]


class _Backward:
    """Adds the backward pass to a model: nodes from the last Gemm back to the input."""

    def __init__(self, model: Any) -> None:
        self.graph = model.graph
        self.values = {each.name: numpy_helper.to_array(each) for each in self.graph.initializer}
        self.shapes = {
            each.name: [dimension.dim_value for dimension in each.type.tensor_type.shape.dim]
            for each in [*self.graph.value_info, *self.graph.input]
        }
        self.gradients: dict[str, str] = {}
        self.count = 0

    def add(self) -> None:
        nodes = list(self.graph.node)
        last = max(index for index, node in enumerate(nodes) if node.op_type == "Gemm")
        logits, source = nodes[last].output[0], self.graph.input[0].name
        del self.graph.node[last + 1 :]
        del self.graph.output[:]
        self.gradients[logits] = self.constant(np.array([[-1.0, 1.0]], np.float32))
        for node in reversed(nodes[: last + 1]):
            getattr(self, f"back_{node.op_type.lower()}")(node, self.gradients.get(node.output[0]))
        for name in (logits, self.gradients[source]):
            self.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        self.count += 1
        names = [f"backward_{self.count}_{index}" for index in range(outputs)]
        self.graph.node.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def constant(self, value: np.ndarray) -> str:
        self.count += 1
        self.graph.initializer.append(numpy_helper.from_array(value, f"backward_constant_{self.count}"))
        return f"backward_constant_{self.count}"

    def pass_on(self, tensor: str, gradient: str) -> None:
        """What a consumer gives to the tensor it read, added to what others gave."""
        known = self.gradients.get(tensor)
        self.gradients[tensor] = gradient if known is None else self.op("Add", known, gradient)

    def back_conv(self, node: Any, gradient: str) -> None:
        options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        before, after = self.shapes[node.input[0]][2:], self.shapes[node.output[0]][2:]
        padding = [
            side - ((out - 1) * stride + kernel - 2 * pad)
            for side, out, stride, kernel, pad in zip(
                before, after, options["strides"], options["kernel_shape"], options["pads"][:2]
            )
        ]
        self.pass_on(
            node.input[0],
            self.op(
                "ConvTranspose",
                gradient,
                node.input[1],
                strides=options["strides"],
                pads=options["pads"],
                output_padding=padding,
            ),
        )

    def back_relu(self, node: Any, gradient: str) -> None:
        open_gate = self.op("Cast", self.op("Sign", node.output[0]), to=TensorProto.FLOAT)
        self.pass_on(node.input[0], self.op("Mul", gradient, open_gate))

    def back_add(self, node: Any, gradient: str) -> None:
        for tensor in node.input:
            self.pass_on(tensor, gradient)

    def back_maxpool(self, node: Any, gradient: str) -> None:
        """Each window's gradient goes to the pixel that was its maximum, which ONNX counts over the whole tensor."""
        options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        shape = self.shapes[node.input[0]]
        self.count += 1
        pooled, indices = f"backward_{self.count}_pooled", f"backward_{self.count}_indices"
        self.graph.node.append(helper.make_node("MaxPool", [node.input[0]], [pooled, indices], **options))
        flat = self.constant(np.array([-1], np.int64))
        zeros = self.constant(np.zeros(int(np.prod(shape[1:])), np.float32))
        updates = [self.op("Reshape", indices, flat), self.op("Reshape", gradient, flat)]
        spread = self.op("ScatterElements", zeros, *updates, axis=0, reduction="add")
        self.pass_on(node.input[0], self.op("Reshape", spread, self.constant(np.array([1, *shape[1:]], np.int64))))

    def back_averagepool(self, node: Any, gradient: str) -> None:
        shape = self.shapes[node.input[0]][1:]
        share = self.constant(np.array(1 / (shape[1] * shape[2]), np.float32))
        self.pass_on(
            node.input[0],
            self.op("Expand", self.op("Mul", gradient, share), self.constant(np.array([1, *shape], np.int64))),
        )

    def back_reshape(self, node: Any, gradient: str) -> None:
        shape = self.constant(np.array([1, *self.shapes[node.input[0]][1:]], np.int64))
        self.pass_on(node.input[0], self.op("Reshape", gradient, shape))

    def back_gemm(self, node: Any, gradient: str) -> None:
        self.pass_on(node.input[0], self.op("MatMul", gradient, node.input[1]))
