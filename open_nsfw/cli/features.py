"""`open-nsfw features INPUT... --blobs NAMES --output FILE`: blobs of the network for many pictures, as Parquet."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    add_blobs_option,
    add_debug_option,
    add_jobs_option,
    add_model_options,
    add_overwrite_option,
)
from open_nsfw.cli.outputs import check_output
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import SIGNALS, Status, ended_by
from open_nsfw.cores import default_jobs
from open_nsfw.errors import OutputError, SetupError
from open_nsfw.files import check_free, check_writable
from open_nsfw.installing import install_command
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.progress import Progress
from open_nsfw.scan.feature_table import write_features
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.run import count_ahead
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.sources.walk import Sources

PROGRAM = "open-nsfw features"

EXAMPLE = f"""\
example:
  {PROGRAM} photos/ --blobs pool,prob --output features.parquet

exit status: 0 all pictures have their blobs, 1 some have an error in their row instead, 2 the command line,
the model or the output is at fault, {SIGNALS}"""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    inputs: list[str]
    blobs: tuple[str, ...]
    output: str
    model_def: str | None = None
    pretrained_model: str | None = None
    jobs: int | None = None
    overwrite: bool = False
    quiet: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw features` with these arguments; gives the exit status."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    return Request(**{name: value for name, value in vars(parser().parse_args(argv)).items() if name != "debug"})


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM,
        description="Write blobs of the network for many pictures as a Parquet table: a row for each picture and frame.",
        epilog=EXAMPLE,
    )
    add = result.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="files, folders, archives or videos, as classify_nsfw takes them")
    add_blobs_option(result)
    add("--output", required=True, type=parsing.file, metavar="FILE", help="the Parquet file to write")
    add_model_options(result)
    add_jobs_option(result)
    add_overwrite_option(result)
    add("--quiet", action="store_true", help="print no progress bar and no summary")
    add_debug_option(result)
    return result


def _run(request: Request) -> int:
    if find_spec("pyarrow") is None:
        raise SetupError(f"pyarrow is not installed: {install_command('parquet')}")
    check_output(request.output, [*request.inputs, request.model_def, request.pretrained_model])
    check_free(request.output, request.overwrite)
    check_writable(request.output)
    files = find_model_files(request.model_def, request.pretrained_model)
    options = PipelineOptions(request.jobs or default_jobs(), Extraction(hash=True))
    with Progress(partial(count_ahead, request.inputs), shown=not request.quiet) as progress:
        try:
            sources = Sources(request.inputs)
            counts = write_features(
                sources, files, request.blobs, request.output, options, progress.say, progress.advance
            )
        except OSError as error:
            raise OutputError(f"{request.output}: cannot be written: {error.strerror or error}") from error
    if counts.ended_by is not None:
        print(f"{PROGRAM}: stopped; nothing was written", file=sys.stderr)
        return ended_by(counts.ended_by)
    if not request.quiet:
        print_text(
            f"{counts.rows - counts.failed:,} pictures with {', '.join(request.blobs)}, {counts.failed:,} failed\n"
        )
    return Status.FAILED if counts.failed else Status.DONE
