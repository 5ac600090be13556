"""Heat maps for people who decide: what each part of a picture adds to its score.

The model is loaded when the first one is asked for.
"""

from __future__ import annotations

import threading

from open_nsfw.errors import OpenNsfwError, UsageError
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.pixels import as_array
from open_nsfw.scoring.explanation import ExplainedScore, Explainer
from open_nsfw.scoring.heat_map import heat_map
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.options import LoadOptions


class HeatMaps:
    """Draws heat maps by one model. For several threads."""

    def __init__(self, load: LoadOptions) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._explainer: Explainer | None = None
        self._why_not: str | None = None

    def draw(self, picture: Picture, model: str, ground: str) -> bytes:
        """A PNG of the picture with its heat map. `model`: the hash of the one that scored it. `ground`: one of
        `scoring.heat_map.GROUNDS`. Raises UsageError where there can be none."""
        explainer = self._loaded()
        engine = explainer.engine
        if model != engine.model_hash:
            raise UsageError(f"the score is of the model {model}, the heat map would be of {engine.model_hash}")
        (score,) = explainer.score_pixels([as_array(picture)])
        if not isinstance(score, ExplainedScore):
            raise UsageError(str(score.error))
        size, seen = (picture.width, picture.height), (engine.input_shape[1], engine.input_shape[2])
        return heat_map(as_array(picture), score.explanation, size, seen, ground)

    def _loaded(self) -> Explainer:
        with self._lock:
            if self._why_not is not None:
                raise UsageError(self._why_not)
            if self._explainer is None:
                try:
                    self._explainer = Explainer(load_models(self._load).exact)
                except OpenNsfwError as error:
                    self._why_not = str(error)
                    raise UsageError(self._why_not) from error
            return self._explainer
