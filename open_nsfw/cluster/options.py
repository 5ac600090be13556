"""What is asked of a cluster: the options that the driver has, and what of them goes to the executors."""

from __future__ import annotations

from dataclasses import dataclass, replace

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.rows.row import FIELDS
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scoring.fast import THRESHOLDS
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import SourceOptions

ENGINE = "onnxruntime"  # what computes on executors


@dataclass(frozen=True)
class ScoreOptions:
    """How pictures are scored on a cluster."""

    load: LoadOptions = LoadOptions()
    """The model, whether the fast mode is used, and its ranges file; engine, GPU, threads and thresholds are settled here."""
    thresholds: tuple[float, ...] | None = None
    """Of the fast mode: the scores at which decisions change; None: the policy's, or 0.2 and 0.8."""
    policy: Policy | None = None
    """Gives every row its verdict."""
    any_model: bool = False
    """Take the policy though it was made for another model."""
    extraction: Extraction = Extraction()
    """Limits of a picture, which frames are scored, whether rows have the SHA-256."""
    sources: SourceOptions = SourceOptions()
    """What is taken from folders, and limits of archives."""
    max_seconds: float = 60.0
    """For decoding one picture."""
    prefix: str = ""
    """Begins the names of all columns of the result."""
    blobs: tuple[str, ...] = ()
    """Blobs of the net, in place of scores."""
    with_scores: bool = False
    """Blobs beside scores, and beside the rows that sum up."""
    with_pixels: bool = False
    """Blobs beside the pixels that they were computed from: a column of bytes, uint8 (256, 256, 3), RGB."""

    def settled_load(self) -> LoadOptions:
        """What an executor loads: one thread a picture, and every threshold that something hangs on."""
        asked = (*(self.thresholds or ()), *(() if self.policy is None else self.policy.thresholds)) or THRESHOLDS
        return replace(self.load, engine=ENGINE, threads=1, thresholds=asked)

    def pipeline(self) -> PipelineOptions:
        """The pipeline of a task."""
        policy = self.policy
        return PipelineOptions(
            jobs=1,
            extraction=self.extraction,
            max_seconds=self.max_seconds,
            quick=self.load.fast and not self.blobs,
            above=(self.thresholds or THRESHOLDS)[-1] if policy is None else policy.thresholds[-1],
            verdict=None if policy is None else policy.verdict,
        )


def check(options: ScoreOptions) -> None:
    """Raises UsageError for what a cluster has no use for."""
    if options.load.engine not in ("auto", ENGINE) or options.load.precision != "float32":
        raise UsageError(f"executors compute with {ENGINE} in float32 or in the fast mode, with no other engine")
    clash = sorted(set(options.blobs) & {one.name for one in FIELDS})
    if clash:
        raise UsageError(f"--blobs {clash[0]}: a column of the table has this name")


@dataclass(frozen=True)
class Work:
    """What an executor is told: all it needs beside the rows."""

    archive: str
    """The name under which Spark has unpacked the model's files there."""
    digest: str
    """Of these files (`ModelFiles.digest`)."""
    load: LoadOptions
    """Without the names of files, which are the archive's."""
    pipeline: PipelineOptions
    sources: SourceOptions
    slots: int | None
    """Tasks that an executor runs at once, which share its memory; None: as many as it has cores."""
    folder: str
    """The driver's working folder, from which relative paths lead."""
    prefix: str = ""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """The blobs to compute, with the shape that one picture's has; none: scores."""
    with_scores: bool = False
    """With blobs: rows have their scores, too."""
    with_pixels: bool = False
    """With blobs: rows have their pixels, too."""
    one_row: bool = False
    """Of an animation or a film only the row that sums it up is wanted."""
