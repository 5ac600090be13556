"""Yahoo's open_nsfw network: the probability that a picture is pornographic.

import open_nsfw
model = open_nsfw.load_model()
model.score("picture.jpg")          # 0.0129502...
list(model.scores(["a.jpg", "b.png"]))
"""

from __future__ import annotations

from open_nsfw import telemetry  # noqa: F401  before anything else: importing it is what counts
from open_nsfw.version import __version__

TYPE_CHECKING = False  # type checkers know better; the module `typing` takes 8 ms, in which Ctrl-C would be a traceback
if TYPE_CHECKING:
    from typing import Any

    from open_nsfw.errors import EngineError, InputError, ModelError, OpenNsfwError
    from open_nsfw.pictures.formats import Limits
    from open_nsfw.scoring.classifier import Classifier, Score
    from open_nsfw.scoring.engine import Engine
    from open_nsfw.scoring.load import load_engine, load_model

# Imported when asked for: the command must not pay for NumPy to print its version or a usage error.
_HOMES = {
    "Classifier": "scoring.classifier",
    "Engine": "scoring.engine",
    "EngineError": "errors",
    "InputError": "errors",
    "Limits": "pictures.formats",
    "ModelError": "errors",
    "OpenNsfwError": "errors",
    "Score": "scoring.classifier",
    "load_engine": "scoring.load",
    "load_model": "scoring.load",
}

__all__ = [
    "Classifier",
    "Engine",
    "EngineError",
    "InputError",
    "Limits",
    "ModelError",
    "OpenNsfwError",
    "Score",
    "__version__",
    "load_engine",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'open_nsfw' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"open_nsfw.{_HOMES[name]}"), name)
