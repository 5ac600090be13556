"""The options of classify_nsfw.py, and how its command line is read."""

from __future__ import annotations

import argparse
import os
import re
from typing import Any, NoReturn

from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.scoring.names import ENGINES, PRECISIONS
from open_nsfw.version import __version__

COMMAND = "classify_nsfw"
POLICY, POLICY_WORD = -1.0, "policy"  # stand for the policy's highest threshold
MOST_JOBS = 1024  # each is a thread and a process
LEAST_MEMORY = 256 * 1024**2  # bytes; with less, Python and Pillow alone would not fit

DESCRIPTION = """\
Print the probability, 0 to 1, that a picture is pornographic, by Yahoo's open_nsfw network.
Below 0.2 a picture is likely safe, above 0.8 likely not; the middle is for a policy or a person."""

EXAMPLES = """\
examples:
  classify_nsfw upload.jpg
  classify_nsfw photos/ upload.zip clip.mp4 --format jsonl --output scores.jsonl
  find . -name '*.jpg' -print0 | classify_nsfw --from-list - --format csv

exit status: 0 all scored, 1 some inputs have no score, 2 the command, the model or the output is at fault,
3 a score is at or above --fail-above, 130 or 143 ended by SIGINT or SIGTERM; with --resume, 1 and 3 are about all rows
in FILE"""


_UNKNOWN, _CHOICE = "unrecognized arguments: ", "invalid choice: "  # how messages of argparse begin

_WORDS = (  # argparse's and ours
    ("ignored explicit argument", "it takes no value, not"),
    ("with argument", "with"),
    ("invalid int value:", "a whole number is needed, not"),
    ("invalid float value:", "a number is needed, not"),
)


class OneLineParser(argparse.ArgumentParser):
    """Says in one line what is wrong and what to do; argparse itself puts its usage in front, and is short of the rest."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(self._helpful(message))

    def _helpful(self, message: str) -> str:
        """argparse's message for people."""
        if message.startswith(_UNKNOWN):
            return self._unknown(message[len(_UNKNOWN) :].partition(" ")[0])
        name, _, problem = message.replace("argument ", "", 1).partition(": ")
        action = next((each for each in self._actions if name in ("/".join(each.option_strings), each.metavar)), None)
        if action is None:
            return message
        if problem.startswith("expected "):
            return f"{name}: a value is missing; write {action.option_strings[0]} {_value(action)}"
        if problem.startswith(_CHOICE):
            given = problem[len(_CHOICE) :].partition(" (choose from ")[0]
            return f"{name}: there is no {given}; choose from {', '.join(action.choices or ())}"
        for theirs, ours in _WORDS:
            problem = problem.replace(theirs, ours)
        return f"{name}: {problem}"

    def _unknown(self, argument: str) -> str:
        if not argument.startswith("-"):
            return f"'{argument}' is one argument too many; see {self.prog} --help"
        if os.path.lexists(argument):
            return f"there is no option {argument}; the file of that name must come after `--`"
        from difflib import get_close_matches

        option = argument.partition("=")[0]
        known = [name for action in self._actions for name in action.option_strings]
        near = get_close_matches(option, known, 1, 0.8)
        hint = f"did you mean {near[0]}?" if near else f"see {self.prog} --help"
        return f"there is no option {option}; {hint}"


def _value(action: argparse.Action) -> str:
    """What is to follow the option."""
    if action.choices is not None:
        return "|".join(action.choices)
    return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar or ())


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = OneLineParser(
        prog=COMMAND, description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="a picture, folder, archive, video or glob; `-` reads a picture on stdin",
    )
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    result.add_argument("--debug", action="store_true", help="show the traceback of an error")
    _add_model_options(result.add_argument_group("model and engine"))
    _add_fast_options(result.add_argument_group("fast mode"))
    _add_source_options(result.add_argument_group("what is scored"))
    _add_output_options(result.add_argument_group("what comes out"))
    _add_verdict_options(result.add_argument_group("what is done about a score"))
    _add_limit_options(result.add_argument_group("limits, against hostile files"))
    return result


def _add_model_options(group: Any) -> None:
    group.add_argument(
        "--model_def", "--model-def", type=_file, metavar="FILE", help="deploy prototxt (default: the packaged one)"
    )
    group.add_argument(
        "--pretrained_model", "--pretrained-model", type=_file, metavar="FILE", help="caffemodel (default: Yahoo's)"
    )
    group.add_argument(
        "--engine",
        default="auto",
        choices=ENGINES,
        help="what computes: pycaffe, ONNX Runtime, OpenVINO, or (auto, the default) pycaffe where it can be imported",
    )
    group.add_argument(
        "--gpu", nargs="?", type=_gpu_number, const=0, metavar="ID", help="compute on this GPU (0 if no ID is given)"
    )
    group.add_argument(
        "--precision",
        default="float32",
        choices=PRECISIONS,
        help="with --engine openvino: bfloat16 and int8 are faster and not exact (default float32)",
    )
    group.add_argument(
        "--jobs", type=_jobs, metavar="N", help="pictures decoded and scored at a time (default: one a core)"
    )


def _add_fast_options(group: Any) -> None:
    group.add_argument(
        "--fast",
        action="store_true",
        help="score quickly, and exactly only what comes near a threshold: same decisions",
    )
    group.add_argument(
        "--thresholds",
        metavar="T,T",
        help="with --fast: the scores that decisions hang on (default 0.2,0.8, or the policy's)",
    )
    group.add_argument(
        "--ranges",
        type=_file,
        metavar="FILE",
        help="with --fast: what the model's int8 net needs to know (open-nsfw quantize-ranges)",
    )


def _add_source_options(group: Any) -> None:
    group.add_argument(
        "--from-list",
        type=_file,
        metavar="FILE",
        help="score the paths in FILE too, one a line or NUL-separated; `-` is stdin",
    )
    group.add_argument("--hidden", action="store_true", help="in folders, take hidden files as well")
    group.add_argument(
        "--frames",
        default="first",
        metavar="WHICH",
        help="of animations and multi-page TIFFs: first (default), all, every=N, or max=N spread evenly",
    )
    group.add_argument(
        "--every",
        type=_positive,
        default=1.0,
        metavar="SECONDS",
        help="of videos: one frame in so many seconds (default 1)",
    )


def _add_output_options(group: Any) -> None:
    group.add_argument(
        "--format", default="text", choices=["text", "jsonl", "csv", "parquet"], help="of the rows (default text)"
    )
    group.add_argument("--output", type=_file, metavar="FILE", help="write the rows to FILE instead of stdout")
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on where an earlier run stopped in writing FILE; summary and exit status are of the whole FILE",
    )
    group.add_argument("--retry-failed", action="store_true", help="with --resume: score again what has an error")
    group.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    group.add_argument("--hash", action="store_true", help="put the SHA-256 of each file into its row")
    group.add_argument(
        "--quiet", action="store_true", help="nothing on stderr but what ends the run: no failures, bar, summary"
    )


def _add_verdict_options(group: Any) -> None:
    group.add_argument(
        "--policy", type=_file, metavar="FILE", help="put the verdict of this policy (open-nsfw calibrate) on every row"
    )
    group.add_argument(
        "--policy-for-any-model", action="store_true", help="take the policy though it was made for another model"
    )
    group.add_argument(
        "--fail-above",
        nargs="?",
        type=_threshold,
        const=POLICY,
        metavar="T",
        help="exit with 3 if any score is T or more; without T, the highest threshold of the policy",
    )
    sorting = group.add_mutually_exclusive_group()
    sorting.add_argument(
        "--move-above", nargs=2, metavar=("T", "DIR"), help="move files that score T or more into DIR, folders kept"
    )
    sorting.add_argument(
        "--copy-above", nargs=2, metavar=("T", "DIR"), help="copy files that score T or more into DIR, folders kept"
    )
    group.add_argument("--dry-run", action="store_true", help="with these: only say what would be moved or copied")


def _add_limit_options(group: Any) -> None:
    limits, extraction = Limits(), Extraction()
    table = (
        ("--max-bytes", _bytes, limits.max_bytes, "N", "of one encoded picture (default 512 MiB)"),
        ("--max-pixels", _count, limits.max_pixels, "N", "width times height (default 178956970)"),
        ("--max-archive-bytes", _bytes, 64 * 1024**3, "N", "that unpacking one archive may add (default 64 GiB)"),
        ("--max-archive-ratio", _positive, 200.0, "R", "unpacked to packed size in an archive (default 200)"),
        ("--max-frames", _count, FrameChoice().max_frames, "N", "scored of one file (default 100000)"),
        ("--max-seconds", _positive, 60.0, "S", "to decode one picture (default 60)"),
        ("--max-memory", _memory, extraction.max_memory, "N", "bytes a decoder may use (default 3 GiB)"),
    )
    for name, kind, default, metavar, text in table:
        group.add_argument(name, type=kind, default=default, metavar=metavar, help=text)


def _file(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the name of a file is needed, not ''")
    return text


def _gpu_number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"the number of a GPU is needed, 0 or above, not '{text}'")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is needed, not '{text}'")
    return int(text)


def _jobs(text: str) -> int:
    if (value := _count(text)) > MOST_JOBS:
        raise argparse.ArgumentTypeError(f"at most {MOST_JOBS} jobs, not '{text}'")
    return value


def _bytes(text: str) -> int:
    try:
        return _count(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"a number of bytes is needed, as {1024**3} for 1 GiB, not '{text}'") from None


def _memory(text: str) -> int:
    if (value := _bytes(text)) < LEAST_MEMORY:
        raise argparse.ArgumentTypeError(f"a decoder needs at least {LEAST_MEMORY} bytes, not '{text}'")
    return value


def _threshold(text: str) -> float:
    return POLICY if text == POLICY_WORD else share(text)


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a score from 0 to 1 is needed, not '{text}'")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not '{text}'")
    return value


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, which may stand anywhere among the inputs; what follows `--` is an input, whatever it looks like."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser().parse_intermixed_args(_with_values(arguments[:end]))
    options.inputs += arguments[end + 1 :]
    return options


def _with_values(arguments: list[str]) -> list[str]:
    """`--gpu picture.jpg` means GPU 0 and a picture; argparse alone would take the picture for the number. Likewise
    `--fail-above picture.jpg`, which leaves the threshold to the policy."""
    result = list(arguments)
    for index, following in enumerate([*arguments[1:], ""]):
        if arguments[index : index + 1] == ["--gpu"] and not re.fullmatch("-?[0-9]+", following):
            result[index] = "--gpu=0"
        if arguments[index : index + 1] == ["--fail-above"] and not re.fullmatch("[-+.0-9e]+", following):
            result[index] = f"--fail-above={POLICY_WORD}"
    return result
