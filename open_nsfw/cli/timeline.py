"""`open-nsfw timeline INPUT... --output FILE`: the scores of videos over time, as one HTML file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    SUGGESTED,
    add_debug_option,
    add_engine_option,
    add_frame_options,
    add_gpu_option,
    add_jobs_option,
    add_model_options,
    add_overwrite_option,
)
from open_nsfw.cli.outputs import check_output, files_of
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import SIGNALS, Status, ended_by
from open_nsfw.cores import default_jobs
from open_nsfw.files import check_free, check_writable, write_whole
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.progress import Progress
from open_nsfw.scan.decoders import Decoders
from open_nsfw.scan.run import Interruption, count_ahead
from open_nsfw.scoring.fast import THRESHOLDS, parse_thresholds
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.walk import Sources
from open_nsfw.text import printable
from open_nsfw.timeline.films import Film, watch
from open_nsfw.timeline.page import page

PROGRAM = "open-nsfw timeline"

DESCRIPTION = """\
Write one HTML file with the scores of videos over time, the stretches that score high, and the frames at their peaks,
blurred until they are clicked."""

EXAMPLE = f"""\
examples:
  {PROGRAM} clip.mp4 --output timeline.html
  {PROGRAM} loop.gif --frames all --output loop.html

exit status: 0 every video is in the file whole, 1 a video, or a part of one, could not be read, or there is none, 2 the
command line, the model or the output is at fault, {SIGNALS}"""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    inputs: list[str]
    output: str
    thresholds: tuple[float, ...] = THRESHOLDS
    frames: FrameChoice = FrameChoice()
    thumbnails: bool = True
    load: LoadOptions = LoadOptions()
    jobs: int | None = None
    overwrite: bool = False
    quiet: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw timeline` with these arguments; gives the exit status."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    return Request(
        values.inputs,
        values.output,
        parse_thresholds(values.thresholds),
        FrameChoice.parse(values.frames, values.every, scenes=values.scenes),
        not values.no_thumbnails,
        LoadOptions(values.model_def, values.pretrained_model, values.engine, values.gpu, threads=1),
        values.jobs,
        values.overwrite,
        values.quiet,
    )


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(prog=PROGRAM, description=DESCRIPTION, epilog=EXAMPLE)
    add = result.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="videos, folders or archives of them, and animations with --frames all",
    )
    add("--output", required=True, type=parsing.file, metavar="FILE", help="the HTML file to write")
    add(
        "--thresholds",
        default=SUGGESTED,
        metavar="T,T",
        help=f"scores that are drawn as lines; stretches at or above the highest are listed (default {SUGGESTED})",
    )
    add("--no-thumbnails", action="store_true", help="show no pictures of the peaks")
    add_frame_options(result)
    add_model_options(result)
    add_engine_option(result)
    add_gpu_option(result)
    add_jobs_option(result)
    add_overwrite_option(result)
    add("--quiet", action="store_true", help="print no lines, no failures and no progress bar")
    add_debug_option(result)
    return result


def _run(request: Request) -> int:
    check_output(request.output, [*request.inputs, *files_of(request.load)])
    check_free(request.output, request.overwrite)
    check_writable(request.output)
    classifier, films = load_models(request.load).exact, list[Film]()
    with (
        Progress(partial(count_ahead, request.inputs), shown=not request.quiet) as progress,
        Decoders(Extraction(frames=request.frames), request.jobs or default_jobs()) as decoders,
        Interruption(decoders.stop) as interruption,
    ):
        for film in watch(Sources(request.inputs), classifier, decoders):
            films.append(film)
            for error in () if request.quiet else film.errors:
                progress.say(f"{PROGRAM}: {film.name}: {error}")
            progress.advance()
    if interruption.signal is not None:
        print(f"{PROGRAM}: stopped; nothing was written", file=sys.stderr)
        return ended_by(interruption.signal)
    tracks = sum(len(film.tracks) for film in films)
    title = f"Scores over time: {', '.join(map(printable, request.inputs))}"
    write_whole(request.output, page(films, title, request.thresholds, request.thumbnails))
    if not request.quiet:
        print_text(f"{tracks:,} video{'' if tracks == 1 else 's'} in {printable(request.output)}\n")
        if not tracks and any(film.is_still for film in films):
            print(f"{PROGRAM}: only pictures, in which no time passes; animations need --frames all", file=sys.stderr)
    return Status.FAILED if not tracks or any(film.errors for film in films) else Status.DONE
