"""The options of `open-nsfw calibrate`, and what their values must be."""

from __future__ import annotations

import argparse
from typing import Any

from open_nsfw.calibration.choices import Costs
from open_nsfw.calibration.groups import WAYS
from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    add_confidence_option,
    add_debug_option,
    add_engine_option,
    add_gpu_option,
    add_jobs_option,
    add_label_name_options,
    add_model_options,
    add_prevalence_option,
    add_resamples_option,
    add_thumbnails_option,
)
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.status import SIGNALS
from open_nsfw.text import number, number_or_percentage

PROGRAM = "open-nsfw calibrate"
FAMILIES = ("promises", "cost", "review-budget", "bands")

DESCRIPTION = """\
Choose thresholds on your own labelled pictures. LABELS is a folder with the folders sfw/ and nsfw/, or CSV or JSON
lines with the columns path and label (relative paths start at the file's folder) or score and label (no pictures are
needed), and group where pictures are not independent. Writes report.html, numbers.json, policy.json and plots into a
folder; the scores of pictures are kept for the next run."""

EXAMPLES = f"""\
examples:
  open-nsfw calibrate labelled/
  open-nsfw calibrate labelled/ --max-fpr 0.01 --min-recall 0.95
  open-nsfw calibrate scores.csv --review-budget 0.05 --cost fp=1,fn=20 --policy-from review-budget
  classify_nsfw photos/ --policy labelled-calibration/policy.json

exit status: 0 done, 1 everything is written, but the labelled pictures do not support a limit that was asked for, 2 the
command line, the labels, the model or the output is at fault, {SIGNALS}"""


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(prog=PROGRAM, description=DESCRIPTION, epilog=EXAMPLES)
    result.add_argument("labels", type=parsing.file, metavar="LABELS", help="a folder, CSV or JSON lines")
    add_debug_option(result)
    _add_threshold_options(result.add_argument_group("how thresholds are chosen (default: --bands 0.2,0.8)"))
    _add_label_options(result.add_argument_group("labels and scores"))
    _add_report_options(result.add_argument_group("what comes out"))
    return result


def _add_threshold_options(group: Any) -> None:
    add = group.add_argument
    add("--max-fpr", type=parsing.share, metavar="SHARE", help="block at most this share of sfw pictures")
    add("--min-recall", type=parsing.share, metavar="SHARE", help="find at least this share of nsfw pictures")
    add(
        "--cost",
        type=_costs,
        metavar="fp=X,fn=Y",
        help="cost of a blocked sfw picture and of a missed nsfw picture; choose the lowest total",
    )
    add(
        "--review-budget",
        type=parsing.share,
        metavar="SHARE",
        help="leave at most this share of all pictures to people, with the fewest errors (or lowest --cost) in the rest",
    )
    add("--bands", type=_bands, metavar="T[,T...]", help="use these thresholds")
    add(
        "--policy-from",
        choices=FAMILIES,
        metavar="CHOICE",
        help="which of several ways gives the policy its thresholds: " + ", ".join(FAMILIES),
    )
    add(
        "--band-names",
        metavar="NAME,...",
        help="names of the bands from low scores to high (default allow,review,block, or allow,block)",
    )
    add_prevalence_option(group)
    add_confidence_option(group)
    add("--as-measured", action="store_true", help="apply limits to the rates as measured, without allowing for chance")


def _add_label_options(group: Any) -> None:
    add = group.add_argument
    add_label_name_options(group)
    add("--model-hash", metavar="HASH", help="model that gave the scores in LABELS, as the column model names it")
    add_model_options(group)
    add_engine_option(group)
    add_gpu_option(group)
    add_jobs_option(group)
    add(
        "--scores",
        type=parsing.file,
        metavar="FILE",
        help="where the pictures' scores are kept for the next run (default: LABELS.scores.jsonl)",
    )
    add(
        "--group-by",
        choices=WAYS,
        default="auto",
        help="which pictures are not independent, so that intervals allow for it: those with one value in the column group of "
        "LABELS; in one folder below sfw/ or nsfw/, such as the frames of a film; that look alike (content); or none. auto, "
        "the default, is column where LABELS has it, else content where pictures are scored",
    )
    add(
        "--overwrite",
        action="store_true",
        help="score all pictures again, and also replace results that were changed by hand",
    )


def _add_report_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--output",
        type=parsing.file,
        metavar="FOLDER",
        help="folder to write into (default: LABELS-calibration)",
    )
    add("--plots", default="svg", choices=["svg", "png"], help="format of the files in plots/ (default svg)")
    add(
        "--worst",
        type=parsing.whole,
        default=12,
        metavar="N",
        help="how many of the worst errors in each class the report shows (default 12)",
    )
    add_thumbnails_option(group)
    add_resamples_option(group)
    add("--seed", type=parsing.whole, default=0, metavar="N", help="seed of the bootstrap's random numbers (default 0)")
    add("--quiet", action="store_true", help="print no progress bar and no summary")


# --- values of options ---


def _bands(text: str) -> tuple[float, ...]:
    values = tuple(number_or_percentage(each) for each in text.split(","))
    rising = all(low < high for low, high in zip(values, values[1:]))
    if not rising or not all(0 <= each <= 1 for each in values):
        raise argparse.ArgumentTypeError(f"rising numbers from 0 to 1 with commas between are needed, not '{text}'")
    return values


def _costs(text: str) -> Costs:
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        values[name.strip()] = number(value)
    if set(values) != {"fp", "fn"} or not all(0 < each < float("inf") for each in values.values()):
        raise argparse.ArgumentTypeError(f"fp=X,fn=Y with numbers above 0 is needed, not '{text}'")
    return Costs(values["fp"], values["fn"])
