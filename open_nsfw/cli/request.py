"""What one command line of `classify_nsfw` asks for: read once, checked, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from open_nsfw.pictures.extraction import Extraction
from open_nsfw.rows.options import OutputOptions
from open_nsfw.scan.score_cache_options import CacheOptions
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import SourceOptions

if TYPE_CHECKING:
    from typing import Literal

    from open_nsfw.scan.sorting import Sorting
    from open_nsfw.sources.watch import WatchOptions

HIGHEST_OF_POLICY: Literal["policy"] = "policy"


@dataclass(frozen=True)
class VerdictRequest:
    """What hangs on a score."""

    thresholds: tuple[float, ...] | None = None
    """Of --thresholds."""
    policy: str | None = None
    """The policy's file."""
    any_model: bool = False
    """Take the policy though it was made for another model."""
    fail_above: float | Literal["policy"] | None = None
    """From this score on the exit status is 3; `HIGHEST_OF_POLICY` is the policy's highest threshold."""
    segments: float | None = None
    """From this score on frames make segments, which have rows in their place."""
    stop_above: float | None = None
    """The first frame with this score ends its file."""
    sorting: Sorting | None = None
    """Which files are moved or copied."""


@dataclass(frozen=True)
class ScanRequest:
    """One scan."""

    inputs: tuple[str, ...]
    """Files, folders, archives, globs; `-` is standard input."""
    from_list: str | None = None
    """A file of further inputs."""
    sources: SourceOptions = SourceOptions()
    extraction: Extraction = Extraction()
    max_seconds: float = 60.0
    """For decoding one picture."""
    load: LoadOptions = LoadOptions()
    """The model and what computes it; thresholds and threads are not settled yet."""
    jobs: int | None = None
    """Pictures decoded and scored at a time; None for one a core."""
    explain: bool = False
    """Whether rows have what parts of the picture add to the score."""
    verdict: VerdictRequest = VerdictRequest()
    output: OutputOptions = OutputOptions()
    """Where rows go; what `resume` holds earlier rows to is not settled yet."""
    cache: CacheOptions | None = None
    """Where scores are kept, for this run and others."""
    watch: WatchOptions | None = None
    """A folder to go on with, in place of `inputs`."""
    quiet: bool = False
    """Nothing on stderr but what ends the run."""
