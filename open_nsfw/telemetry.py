"""Keeps ONNX Runtime from reporting to its makers. Imported with the package, before any module of it.

Releases since 2026 start to report when they are imported, unless a variable in the environment forbids it; nothing ends
that later. So the variable is set as soon as this package is imported, and it is noted whether that was too late.
"""

from __future__ import annotations

import os
import sys

VARIABLE = "ORT_DISABLE_TELEMETRY"
_OFF = "1"

too_late = "onnxruntime" in sys.modules and os.environ.get(VARIABLE) != _OFF
"""Whether ONNX Runtime was imported before this package, and not told to be silent."""

os.environ[VARIABLE] = _OFF
