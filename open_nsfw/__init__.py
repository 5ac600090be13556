"""Yahoo's open_nsfw network: the probability that a picture is pornographic.

import open_nsfw

model = open_nsfw.load_model()
model.score("picture.jpg")                                  # 0.0129502...
list(model.scores(["a.jpg", "b.png"]))                      # one after the other, in this thread
open_nsfw.score_batch(["a.jpg", "b.png"], model)            # on all cores: a NumPy array
for row in open_nsfw.scan_rows("photos"):                   # folders, archives, videos: rows as of the command
    print(row.path, row.score, row.error)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from open_nsfw import telemetry  # noqa: F401  before anything else: importing it is what counts
from open_nsfw.version import __version__

if TYPE_CHECKING:
    from open_nsfw.errors import EngineError, InputError, ModelError, OpenNsfwError, SetupError, UsageError
    from open_nsfw.pictures.formats import Limits
    from open_nsfw.rows.row import Row
    from open_nsfw.scan.bulk import scan_rows, score_batch
    from open_nsfw.scoring.classifier import Classifier, Score
    from open_nsfw.scoring.engine import Engine
    from open_nsfw.scoring.explanation import Explainer, Explanation
    from open_nsfw.scoring.heat_map import heat_map
    from open_nsfw.scoring.load import load_engine, load_model, load_models
    from open_nsfw.scoring.options import LoadOptions
    from open_nsfw.scoring.scorer import Models

# Imported when asked for: the command must not pay for NumPy to print its version or a usage error.
_HOMES = {
    "Classifier": "scoring.classifier",
    "Engine": "scoring.engine",
    "EngineError": "errors",
    "Explainer": "scoring.explanation",
    "Explanation": "scoring.explanation",
    "InputError": "errors",
    "Limits": "pictures.formats",
    "LoadOptions": "scoring.options",
    "ModelError": "errors",
    "Models": "scoring.scorer",
    "OpenNsfwError": "errors",
    "Row": "rows.row",
    "Score": "scoring.classifier",
    "SetupError": "errors",
    "UsageError": "errors",
    "heat_map": "scoring.heat_map",
    "load_engine": "scoring.load",
    "load_model": "scoring.load",
    "load_models": "scoring.load",
    "scan_rows": "scan.bulk",
    "score_batch": "scan.bulk",
}

__all__ = [
    "Classifier",
    "Engine",
    "EngineError",
    "Explainer",
    "Explanation",
    "InputError",
    "Limits",
    "LoadOptions",
    "ModelError",
    "Models",
    "OpenNsfwError",
    "Row",
    "Score",
    "SetupError",
    "UsageError",
    "__version__",
    "heat_map",
    "load_engine",
    "load_model",
    "load_models",
    "scan_rows",
    "score_batch",
]


if not TYPE_CHECKING:  # for a type checker the imports above are all there is: with this it would take any name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'open_nsfw' has no attribute '{name}'")
        from importlib import import_module

        return getattr(import_module(f"open_nsfw.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, which `help()` and editors show."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
