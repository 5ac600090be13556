"""All that the rows of a file depend on beside its content, as one digest: part of the key of the cache of scores.

Whatever option is added to `Extraction` becomes part of it by itself; what changes no row that the cache keeps is named
here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.scorer import Models
from open_nsfw.scoring.versions import CONVERTER_VERSION, QUANTIZER_VERSION
from open_nsfw.version import __version__

# Of `Extraction`: the SHA-256 is known anyhow, and what runs out of memory is not kept. Frames are a part of their own.
WITHOUT_EFFECT = ("hash", "max_memory", "frames")
# The libraries that decode and compute. One that is not installed has no version, so what needs it is tried again when it
# is there.
LIBRARIES = ("pillow", "pillow-heif", "av", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "kendryte-caffe")
DIGEST_BYTES = 16


class ScoreContext:
    """The digests for one set of models and options, and any choice of frames."""

    def __init__(self, models: Models, options: PipelineOptions) -> None:
        self._frames = options.extraction.frames
        extraction = asdict(options.extraction)
        self._parts = {
            "package": (__version__, CONVERTER_VERSION, QUANTIZER_VERSION),
            "libraries": [_version(library) for library in LIBRARIES],
            "exact": _classifier(models.exact),
            "quick": _quick(models) if options.quick else None,
            "stop_above": options.stop_above,
            "extraction": {name: value for name, value in extraction.items() if name not in WITHOUT_EFFECT},
        }

    def digest(self, frames: FrameChoice | None = None) -> bytes:
        """16 bytes that differ wherever the models or options could give another row for the same content. `frames`: if not
        those of the options."""
        text = json.dumps({**self._parts, "frames": asdict(frames or self._frames)}, sort_keys=True)
        return hashlib.sha256(text.encode()).digest()[:DIGEST_BYTES]


def _quick(models: Models) -> list[Any] | None:
    """What decides in the fast mode between a quick score and an exact one."""
    if models.quick is None:
        return None
    margins = None if models.margins is None else asdict(models.margins)
    return [_classifier(models.quick), sorted(models.thresholds), margins]


def _classifier(classifier: Classifier) -> list[Any]:
    """Its kind is part of it: some give scores that carry more, such as explanations."""
    engine = classifier.engine
    return [type(classifier).__name__, engine.name, engine.model_hash, engine.exact, engine.made_from]


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
