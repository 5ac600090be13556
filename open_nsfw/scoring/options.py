"""The options of the one loader of models. Standard library only."""

from __future__ import annotations

import os
from dataclasses import dataclass

from open_nsfw.errors import UsageError
from open_nsfw.pictures.formats import Limits
from open_nsfw.scoring.fast import THRESHOLDS

MOST_THREADS = 1024


@dataclass(frozen=True)
class LoadOptions:
    """What scores, and how."""

    model_def: str | os.PathLike[str] | None = None
    """The prototxt; None for the packaged one."""
    pretrained_model: str | os.PathLike[str] | None = None
    """The caffemodel; None for the packaged one."""
    engine: str = "auto"
    """One of `names.ENGINES`."""
    gpu: int | None = None
    """The device's number; None for the CPU."""
    threads: int | None = None
    """How many one forward pass uses; None for one a core. Caffe decides by itself."""
    precision: str = "float32"
    """One of `names.PRECISIONS`."""
    limits: Limits = Limits()
    """What one picture may cost where the classifier itself decodes it."""
    fast: bool = False
    """Whether the fast mode's quick classifier is loaded beside the exact one."""
    ranges: str | os.PathLike[str] | None = None
    """The ranges file of the int8 net; None for the packaged one."""
    thresholds: tuple[float, ...] = THRESHOLDS
    """Of the fast mode: the scores that something hangs on."""

    def __post_init__(self) -> None:
        """Raises UsageError for a number of threads that makes no sense."""
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise UsageError(f"{self.threads} threads: 1 to {MOST_THREADS} are needed, or None for one a core")
