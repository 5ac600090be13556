"""The names of engines and precisions, as options and rows have them. Standard library only."""

from __future__ import annotations

from open_nsfw.errors import EngineError

ENGINES = ("auto", "caffe", "onnxruntime", "openvino")
"""`auto` is pycaffe where it can be imported, ONNX Runtime otherwise."""
REFERENCES = ("caffe", "onnxruntime")
"""The engines that the others are compared with: exact, and fixed by their name."""
PRECISIONS = ("float32", "bfloat16", "int8")
"""`float32` is exact. OpenVINO has all three, ONNX Runtime float32 and int8."""


def check_precision(name: str) -> None:
    """Raises EngineError for what is no precision."""
    if name not in PRECISIONS:
        raise EngineError(f'there is no precision "{name}"; there are {", ".join(PRECISIONS)}')
