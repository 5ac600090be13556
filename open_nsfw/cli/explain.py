"""`open-nsfw explain IMAGE... --output DIR`: heat maps of what each part of a picture adds to its score."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    add_debug_option,
    add_engine_option,
    add_frame_options,
    add_gpu_option,
    add_jobs_option,
    add_model_options,
    add_overwrite_option,
)
from open_nsfw.cli.outputs import check_output_folder
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import SIGNALS, Status, ended_by
from open_nsfw.cores import default_jobs
from open_nsfw.errors import OutputError, UsageError
from open_nsfw.files import write_whole
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.pixels import as_array
from open_nsfw.progress import Progress
from open_nsfw.rows.row import Row, label
from open_nsfw.scan.decoders import Decoders
from open_nsfw.scan.explaining import Explained, ExplainOptions, as_json, explain_items
from open_nsfw.scan.run import Interruption, count_ahead
from open_nsfw.scoring.explanation import Explainer, Explanation
from open_nsfw.scoring.heat_map import GROUNDS, heat_map
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import STDIN
from open_nsfw.sources.walk import Sources
from open_nsfw.text import printable

PROGRAM = "open-nsfw explain"
BLURRED = ".blurred"  # ends the name of a blurred picture
LONGEST_STEM = 200  # bytes of the name of a file that is written, which may have 255 with number and ending

DESCRIPTION = """\
Write for each picture a heat map of what its parts add to the score (PNG), and the numbers (JSON); of a video, those of
its highest frame."""

EXAMPLE = f"""\
example:
  {PROGRAM} photos/ --output why

exit status: 0 every input is explained, 1 an input has no score or a part of it could not be read, 2 the command
line, the model or the output is at fault, {SIGNALS}"""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    inputs: list[str]
    output: str
    ground: str = GROUNDS[0]
    occlusion: bool = False
    blur_below: float | None = None
    frames: FrameChoice = FrameChoice()
    load: LoadOptions = LoadOptions()
    jobs: int | None = None
    overwrite: bool = False
    quiet: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw explain` with these arguments; gives the exit status."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    return Request(
        values.inputs,
        values.output,
        values.ground,
        values.occlusion,
        values.blur_below,
        FrameChoice.parse(values.frames, values.every, scenes=values.scenes),
        LoadOptions(values.model_def, values.pretrained_model, values.engine, values.gpu, threads=1),
        values.jobs,
        values.overwrite,
        values.quiet,
    )


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EXAMPLE,
    )
    add = result.add_argument
    add("inputs", nargs="+", metavar="IMAGE", help="files, folders, archives or videos, as classify_nsfw takes them")
    add("--output", required=True, type=parsing.file, metavar="DIR", help="the folder to write to")
    add(
        "--ground",
        choices=GROUNDS,
        default=GROUNDS[0],
        help="the picture below the colours: grey (default), colour, or blurred",
    )
    add(
        "--occlusion",
        action="store_true",
        help="for nets that have no exact explanation: cover 49 squares in turn, and show what each takes from the logit",
    )
    add(
        "--blur-below",
        type=parsing.score,
        metavar="T",
        help="also write each picture with as many cells blurred, highest first, as bring its true score below T",
    )
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
    _check_folder(request)
    check_output_folder(request.output, request.inputs, (".png", ".json"))
    explainer = Explainer(load_models(request.load).exact, request.occlusion)
    _make_folder(request)
    jobs, failed = request.jobs or default_jobs(), 0
    folder = _Folder(request, explainer)
    options = ExplainOptions(folder.draw, request.blur_below)
    with (
        Progress(partial(count_ahead, request.inputs), shown=not request.quiet) as progress,
        Decoders(Extraction(frames=request.frames, whole=request.blur_below is not None), jobs) as decoders,
        Interruption(decoders.stop) as interruption,
    ):
        for found in explain_items(Sources(request.inputs), explainer, decoders, options):
            problems = _problems(found, request)
            failed += bool(problems)
            lines = [] if found.explanation is None else folder.write(found)
            if not request.quiet:
                for problem in problems:
                    progress.say(f"{PROGRAM}: {_label(found)}: {problem}")
                print_text("".join(f"{line}\n" for line in lines))
            progress.advance()
    if interruption.signal is not None:
        print(f"{PROGRAM}: stopped; what was written is whole", file=sys.stderr)
        return ended_by(interruption.signal)
    return Status.FAILED if failed else Status.DONE


def _problems(found: Explained, request: Request) -> list[str]:
    """What could not be done about an item, in words."""
    problems = [] if found.error is None else [str(found.error)]
    if request.blur_below is None or found.explanation is None or found.explanation.score < request.blur_below:
        return problems
    if found.blurred is None:
        problems.append("frames of videos and animations are not blurred")
    elif not found.blurred.is_below:
        problems.append(
            f"cannot be brought below {request.blur_below:g}: with all {len(found.blurred.cells)} cells blurred it scores "
            f"{found.blurred.score:.6g}; no blurred picture is written"
        )
    return problems


def _check_folder(request: Request) -> None:
    """Raises UsageError for a folder with something in it, unless its files may be replaced, and for what is no folder."""
    if os.path.exists(request.output) and not os.path.isdir(request.output):
        raise UsageError(f"{printable(request.output)}: is no folder; name another --output")
    if os.path.isdir(request.output) and os.listdir(request.output) and not request.overwrite:
        raise UsageError(f"{printable(request.output)}: is not empty; --overwrite replaces files of the same names")


def _make_folder(request: Request) -> None:
    try:
        os.makedirs(request.output, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{printable(request.output)}: cannot be made: {error.strerror or error}") from error


class _Folder:
    """The files that are written, each under a name of its own."""

    def __init__(self, request: Request, explainer: Explainer) -> None:
        self._request, self._engine = request, explainer.engine
        self._names: set[str] = set()

    def draw(self, picture: Picture, explanation: Explanation) -> bytes:
        """The heat map of a picture."""
        input_size = self._engine.input_shape[1], self._engine.input_shape[2]
        return heat_map(
            as_array(picture), explanation, (picture.width, picture.height), input_size, self._request.ground
        )

    def write(self, found: Explained) -> list[str]:
        """Write the heat map, its numbers and the blurred picture; the lines that say so."""
        assert found.explanation is not None and found.drawn is not None
        base = Path(self._request.output, self._free_name(found))
        write_whole(f"{base}.png", found.drawn)
        write_whole(f"{base}.json", json.dumps(as_json(found, self._engine), allow_nan=False) + "\n")
        lines = [f"NSFW score: {found.explanation.score:.12g} {_label(found)}: {printable(f'{base}.png')}"]
        blurred = f"{base}{BLURRED}.png"
        with suppress(FileNotFoundError):
            os.unlink(blurred)  # of an earlier run, whose threshold was another
        if found.blurred is not None and found.blurred.file is not None:
            write_whole(blurred, found.blurred.file)
            cells = ", ".join(f"{row + 1}/{column + 1}" for row, column in found.blurred.cells)
            words = (
                f"with {len(found.blurred.cells)} of {found.explanation.cells.size} cells blurred, row/column {cells}"
            )
            lines.append(f"NSFW score: {found.blurred.score:.12g} {words}: {printable(blurred)}")
        return lines

    def _free_name(self, found: Explained) -> str:
        """The picture's own name without its ending, numbered where another picture of the run has it."""
        stem = _stem(found.path if found.member is None else found.member)
        name, number = stem, 1
        while not self._names.isdisjoint((name, f"{name}{BLURRED}")):
            number += 1
            name = f"{stem}-{number}"
        self._names |= {name, f"{name}{BLURRED}"}
        return name


def _stem(name: str) -> str:
    """A name of a file or of a member of an archive, which may be anything, without its folders and its ending."""
    if name == STDIN:
        return "stdin"
    stem = os.path.splitext(name.replace("\\", "/").rpartition("/")[2])[0].lstrip(".")
    stem = "".join(letter if letter.isprintable() else "_" for letter in stem)
    while len(stem.encode("utf-8")) > LONGEST_STEM:
        stem = stem[:-1]
    return stem or "picture"


def _label(found: Explained) -> str:
    """The item's name for people, with the frame that is shown."""
    picture = found.picture
    if picture is None:
        return label(Row(found.path, found.member))
    return label(Row(found.path, found.member, frame=picture.frame, seconds=picture.seconds, track=picture.track))
