"""The versions of what makes models from model files: parts of the names in the cache, and of ranges files."""

from __future__ import annotations

# Raise the first whenever nets/onnx_graph.py makes another graph from the same two files, the second whenever
# nets/quantize.py does from the same model and ranges.
CONVERTER_VERSION = 2
QUANTIZER_VERSION = 2
