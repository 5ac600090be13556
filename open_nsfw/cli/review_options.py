"""The options of `open-nsfw review` and of its actions, and what their values must be."""

from __future__ import annotations

import argparse
import os
from typing import Any

from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    add_any_model_option,
    add_confidence_option,
    add_debug_option,
    add_engine_option,
    add_gpu_option,
    add_jobs_option,
    add_label_name_options,
    add_model_options,
    add_overwrite_option,
)
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.review.options import DeskOptions
from open_nsfw.text import number_or_percentage, printable

PROGRAM = "open-nsfw review"
STORE = "review.sqlite"
USES = ("calibrate", "fine-tune")
PORT = 8086

DESCRIPTION = """\
Let people decide about pictures: what a policy leaves to them, a random audit of what was decided automatically, and a
sample to calibrate on. Opens a page on this machine alone, at the address that is printed. INPUT is a file of rows that
`classify_nsfw --output` wrote (.jsonl, .csv, .parquet), or a folder, whose pictures are scored now; without it, what
the store has already. Every decision is in the store at once, in a log that is only added to.
`open-nsfw review export STORE` writes the labels; `open-nsfw review report STORE` tells error rates, workload and
agreement."""

EXAMPLES = f"""\
examples:
  {PROGRAM} rows.jsonl --policy policy.json
  {PROGRAM} photos/ --store photos.sqlite --audit 0.02,0.1 --second 0.2
  {PROGRAM} export photos.sqlite --output decided.csv --overwrite
  {PROGRAM} report photos.sqlite

exit status: 0 the page was ended by SIGTERM or Ctrl-C, 2 the command line, the input, the store, the policy or the
model is at fault, 130 or 143 the scoring of a folder was ended by SIGINT or SIGTERM"""

EXPORT_EXAMPLES = f"""\
examples:
  {PROGRAM} export photos.sqlite --output decided.csv --overwrite
  {PROGRAM} export photos.sqlite --for fine-tune --output pictures.csv

exit status: 0 done, 2 the command line or the store is at fault, or there is nothing to export"""

REPORT_EXAMPLES = f"""\
example:
  {PROGRAM} report photos.sqlite

exit status: 0 done, 2 the command line or the store is at fault"""


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(prog=PROGRAM, description=DESCRIPTION, epilog=EXAMPLES)
    add = result.add_argument
    add("input", nargs="?", type=parsing.file, metavar="INPUT", help="rows, or a folder (default: what the store has)")
    add(
        "--store",
        type=parsing.file,
        default=STORE,
        metavar="FILE",
        help=f"the store, made if it is not there (default {STORE})",
    )
    add(
        "--port",
        type=parsing.port,
        default=PORT,
        metavar="N",
        help=f"port of the page; 0 for any that is free (default {PORT})",
    )
    add(
        "--quiet", action="store_true", help="print no progress bar and no summary; the address is printed all the same"
    )
    add_debug_option(result)
    _add_asking_options(result.add_argument_group("what people are asked; kept in the store for the next run"))
    add_page_options(result.add_argument_group("the page"))
    files = result.add_argument_group("files and scores")
    files.add_argument(
        "--find",
        action="append",
        default=[],
        type=_folder,
        metavar="FOLDER",
        help="look there for files that moved, by content",
    )
    add_model_options(files)
    add_engine_option(files)
    add_gpu_option(files)
    add_jobs_option(files)
    return result


def _add_asking_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--policy",
        type=parsing.file,
        metavar="FILE",
        help="policy of `open-nsfw calibrate`; people decide all bands but its lowest and highest (default: 0.2 to 0.8)",
    )
    add_any_model_option(group)
    add("--labels", type=_names, metavar="NAME,...", help="what people choose from, a digit each (default sfw,nsfw)")
    add(
        "--audit",
        type=_shares,
        metavar="LOW[,HIGH]",
        help="share of the pictures in the lowest and in the highest band that people look at, chosen by a hash of their content "
        "(default 0.01,0.05)",
    )
    add(
        "--calibration",
        type=parsing.whole,
        metavar="N",
        help="ask for about N pictures to calibrate on, as many from each of ten strata of the score (default 0)",
    )
    add(
        "--second",
        type=_whole_share,
        metavar="SHARE",
        help="share of them that get a second opinion, unseen (default 0.1)",
    )


def add_page_options(group: Any) -> None:
    """Those of the page, which `open-nsfw serve` has too."""
    add = group.add_argument
    add("--blind", action="store_true", help="hide scores, and what tells of them, until there is a decision")
    add("--together", action="store_true", help="show pictures that look alike once, and decide them together")
    add(
        "--session-pictures",
        type=parsing.count,
        default=200,
        metavar="N",
        help="a person's session ends after so many decisions (default 200)",
    )
    add(
        "--session-minutes",
        type=parsing.positive,
        default=45.0,
        metavar="M",
        help="and after so many minutes (default 45)",
    )
    add(
        "--lease-minutes",
        type=parsing.positive,
        default=5.0,
        metavar="M",
        help="so long a picture is kept for the one who has it (default 5)",
    )


def desk_options(values: argparse.Namespace) -> DeskOptions:
    """The options of the page that a command line gives."""
    return DeskOptions(values.blind, values.session_pictures, values.session_minutes, values.lease_minutes * 60)


def export_parser() -> OneLineParser:
    """The options of `open-nsfw review export`."""
    result = OneLineParser(
        prog=f"{PROGRAM} export",
        description="Write what people decided as labels, with a weight for each: how many pictures it stands for.",
        epilog=EXPORT_EXAMPLES,
    )
    add = result.add_argument
    add("store", type=parsing.file, metavar="STORE", help="the store of a review")
    add("--output", type=parsing.file, default="labels.csv", metavar="FILE", help="CSV to write (default labels.csv)")
    add(
        "--for",
        dest="use",
        choices=USES,
        default="calibrate",
        help="with scores for calibrate (the default), or paths for fine-tune",
    )
    add_label_name_options(result)
    add_overwrite_option(result)
    add_debug_option(result)
    return result


def report_parser() -> OneLineParser:
    """The options of `open-nsfw review report`."""
    result = OneLineParser(
        prog=f"{PROGRAM} report",
        description="Error rates of the automatic decisions from the audit, workload, time a decision, and agreement.",
        epilog=REPORT_EXAMPLES,
    )
    result.add_argument("store", type=parsing.file, metavar="STORE", help="the store of a review")
    result.add_argument("--json", action="store_true", help="print the result as JSON")
    add_label_name_options(result)
    add_confidence_option(result)
    add_debug_option(result)
    return result


# --- values of options ---


def _folder(text: str) -> str:
    """A folder that is there."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"there is no folder {printable(text)}")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _whole_share(text: str) -> float:
    """A share, 0 and 1 among them."""
    value = number_or_percentage(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a share from 0 to 1 is needed, not '{text}'")
    return value


def _shares(text: str) -> tuple[float, float]:
    """Two shares, or one for both."""
    values = [_whole_share(each) for each in text.split(",")]
    if len(values) > 2:
        raise argparse.ArgumentTypeError(f"one share or two with a comma between are needed, not '{text}'")
    return values[0], values[-1]
