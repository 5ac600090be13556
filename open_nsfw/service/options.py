"""The options of the service. Standard library only: the command line is read before a web framework is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.review.options import DeskOptions, OpeningOptions
from open_nsfw.scan.score_cache_options import CacheOptions
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import SourceOptions

MIB = 1024 * 1024


@dataclass(frozen=True)
class CoreOptions:
    """What scores, and what one upload may cost."""

    load: LoadOptions = LoadOptions()
    """The model and what computes it; thresholds and threads are settled by the policy and the core."""
    policy: str | None = None
    """The policy's file."""
    any_model: bool = False
    """Take the policy though it was made for another model."""
    jobs: int | None = None
    """Pictures decoded and scored at a time; None for one a core."""
    extraction: Extraction = Extraction(Limits(32 * MIB), FrameChoice(max_frames=1000))
    max_seconds: float = 10.0
    """For decoding one picture."""
    sources: SourceOptions = SourceOptions(limits=Limits(32 * MIB), max_archive_bytes=1024 * MIB)
    """What archives may cost."""
    cache: CacheOptions | None = None
    """Where scores are kept."""


@dataclass(frozen=True)
class Bounds:
    """How much the service takes at one time, and for how long."""

    max_requests: int = 256
    """Requests that are read, waiting or being scored; the next one is answered 503."""
    max_requests_per_key: int = 128
    """Of one key; the next one is answered 429."""
    max_held: int = 512 * MIB
    """Bytes of uploads held at one time, in memory or in temporary files; what does not fit is answered 503."""
    max_body: int = 128 * MIB
    """Bytes of one request's body."""
    max_parts: int = 256
    """Pictures of one multipart or JSON body."""
    max_connections: int = 4096
    """Open connections; one more is closed at once."""
    header_seconds: float = 10.0
    """From a connection's first byte, or from its start, to the end of a request's head."""
    body_seconds: float = 60.0
    """From the end of the head to the end of the body."""
    write_seconds: float = 30.0
    """For a client to take what was sent to it."""
    wait_seconds: float = 30.0
    """For a request's first picture to have its turn; then it is answered 503."""
    idle_seconds: float = 30.0
    """Between two requests on one connection."""


@dataclass(frozen=True)
class HostOptions:
    """What hosts are told that have an interface of their own."""

    undecided_blocks: bool = True
    """Whether those that know only two answers get the worse one for what is undecided."""
    clamd: str | None = None
    """Where clamd's clients are listened for: HOST:PORT, or the path of a Unix socket."""
    others_block: bool = True
    """Whether clamd's clients get the worse answer for files that are no pictures, films or archives of them."""


@dataclass(frozen=True)
class ServeOptions:
    """The whole service."""

    host: str = "127.0.0.1"
    port: int = 8080
    key_file: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    """Names that a request's Host header may have, beside the loopback's and `host`; with keys and none of these, any."""
    grace: float = 30.0
    """Seconds that requests under way have when the service is told to end."""
    access_log: bool = True
    """Whether a line of JSON for each request is written to standard output."""
    core: CoreOptions = CoreOptions()
    bounds: Bounds = Bounds()
    review: str | None = None
    """The store of a review, whose page is there, too, for those who have a key."""
    opening: OpeningOptions = OpeningOptions()
    """How that store is made ready."""
    desk: DeskOptions = DeskOptions()
    """How its pictures are given out."""
    hosts: HostOptions = HostOptions()
