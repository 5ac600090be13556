"""What a fine-tuning is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from open_nsfw.calibration.labels import LabelNames
from open_nsfw.training.stages import AUTO, DEEP, HEAD

TRAIN = (AUTO, HEAD, *DEEP)


@dataclass(frozen=True)
class TuneRequest:
    """The request."""

    labels: str
    """LABELS, as it was named."""
    folder: str
    """DIR, where everything is written."""
    train: str = AUTO
    """One of `TRAIN`: what of the net is trained; auto takes each step that the number of labels allows and that helps."""
    names: LabelNames = LabelNames()
    model_def: str | None = None
    pretrained_model: str | None = None
    jobs: int | None = None
    group_by: str = "auto"
    """One of `split.WAYS`."""
    max_fpr: float = 0.01
    """The false-positive rate at which the recall is measured, and for which the policy's threshold is chosen."""
    prevalence: float | None = None
    """The share of nsfw pictures in the traffic, which goes into the bias; None: that of the labels."""
    confidence: float = 0.95
    resamples: int = 1000
    """Of the bootstrap."""
    seed: int = 0
    """Of the split, of views and batches, and of the bootstrap."""
    time_limit: float | None = None
    """Seconds from the start of the command, after which no epoch begins; None: no limit."""
    gpu: int | None = None
    """The GPU that computes gradients; None: the processor."""
    tensorboard: str | None = None
    """A folder for what TensorBoard shows."""
    resume: bool = False
    overwrite: bool = False
    keep_anyway: bool = False
    """Give the files their plain names, and call it done, also where the new model is not better."""
    thumbnails: bool = True
    quiet: bool = False
    command: str = ""
    """The command line, for the report."""
