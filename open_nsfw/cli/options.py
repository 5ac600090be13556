"""Options that several commands have: each is written here once, so that it is spelled, checked and explained alike."""

from __future__ import annotations

import argparse
from typing import Any

from open_nsfw.cli import parsing
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.scan.score_cache_options import CacheOptions
from open_nsfw.scoring.fast import THRESHOLDS
from open_nsfw.scoring.names import ENGINES
from open_nsfw.sources.item import SourceOptions

SUGGESTED = ",".join(f"{threshold:g}" for threshold in THRESHOLDS)  # thresholds, as options take them


def add_debug_option(parser: Any) -> None:
    """--debug"""
    parser.add_argument("--debug", action="store_true", help="also print the traceback of an error")


def add_model_options(parser: Any) -> None:
    """--model_def and --pretrained_model, as Yahoo's command had them."""
    parser.add_argument(
        *("--model_def", "--model-def"),
        type=parsing.file,
        metavar="FILE",
        help="the network, a Caffe deploy prototxt (default: the packaged one)",
    )
    parser.add_argument(
        *("--pretrained_model", "--pretrained-model"),
        type=parsing.file,
        metavar="FILE",
        help="its weights, a caffemodel (default: Yahoo's, packaged)",
    )


def add_blobs_option(parser: Any) -> None:
    """--blobs"""
    parser.add_argument(
        "--blobs",
        type=parsing.names,
        default=("pool",),
        metavar="NAME[,NAME...]",
        help="blobs to write, by the names that the prototxt gives them (default pool)",
    )


def add_engine_option(parser: Any) -> None:
    """--engine"""
    parser.add_argument(
        "--engine",
        default="auto",
        choices=ENGINES,
        help="what computes the scores; auto, the default, is caffe where pycaffe can be imported, else onnxruntime",
    )


def add_gpu_option(parser: Any) -> None:
    """--gpu, whose number may be left out."""
    parser.add_argument(
        "--gpu",
        nargs="?",
        type=parsing.gpu_number,
        const=0,
        metavar="ID",
        help="compute on the GPU of this number (0 if no ID is given)",
    )


def add_hidden_option(parser: Any) -> None:
    """--hidden"""
    parser.add_argument("--hidden", action="store_true", help="also score hidden files in folders")


def add_frame_options(parser: Any) -> None:
    """--frames, --every and --scenes"""
    parser.add_argument(
        "--frames",
        default="first",
        metavar="WHICH",
        help="frames of animations and pages of TIFFs to score: first (default), all, every=N, or max=N, evenly spread",
    )
    parser.add_argument(
        "--every",
        type=parsing.positive,
        metavar="SECONDS",
        help="score a video's frames so many seconds apart (default 1; with --scenes 10, counted from the scene's first)",
    )
    parser.add_argument(
        "--scenes",
        action="store_true",
        help="score the first frame of each scene of a video, rather than frames by the clock alone",
    )


def add_jobs_option(parser: Any) -> None:
    """--jobs"""
    parser.add_argument(
        "--jobs",
        type=parsing.jobs,
        metavar="N",
        help="how many pictures to process at a time (default: one per core)",
    )


def add_ranges_option(parser: Any, goes_with: str) -> None:
    """--ranges. `goes_with`: the options that it is of use with."""
    parser.add_argument(
        "--ranges",
        type=parsing.file,
        metavar="FILE",
        help=f"with {goes_with}: ranges of another model, from `open-nsfw quantize-ranges` (default: the packaged ones)",
    )


def add_cache_options(parser: Any) -> None:
    """--cache and --max-cache"""
    parser.add_argument(
        "--cache",
        type=parsing.file,
        metavar="FILE",
        help="keep scores in FILE by content, and score no content twice; several commands may share it",
    )
    parser.add_argument(
        "--max-cache",
        type=parsing.cache_size,
        metavar="SIZE",
        help="with --cache: how large FILE may become; what was not used for longest goes first (default 1GiB)",
    )


def cache_options(values: argparse.Namespace) -> CacheOptions | None:
    """What --cache and --max-cache ask for. Raises UsageError."""
    if values.cache is None:
        if values.max_cache is not None:
            raise UsageError("--max-cache needs --cache FILE")
        return None
    return CacheOptions(values.cache, values.max_cache or CacheOptions.max_bytes)


def add_label_name_options(parser: Any) -> None:
    """--positive and --negative: what the two classes are called."""
    add = parser.add_argument
    add("--positive", default="nsfw", metavar="NAME", help="folder or label of nsfw pictures (default nsfw)")
    add("--negative", default="sfw", metavar="NAME", help="folder or label of sfw pictures (default sfw)")


def add_prevalence_option(parser: Any) -> None:
    """--prevalence"""
    parser.add_argument(
        "--prevalence",
        type=parsing.share,
        metavar="SHARE",
        help="share of nsfw pictures in your traffic (default: as in LABELS)",
    )


def add_confidence_option(parser: Any) -> None:
    """--confidence"""
    parser.add_argument(
        "--confidence",
        type=parsing.share,
        default=0.95,
        metavar="SHARE",
        help="confidence of limits and intervals (default 0.95)",
    )


def add_resamples_option(parser: Any) -> None:
    """--resamples"""
    parser.add_argument(
        "--resamples",
        type=parsing.count,
        default=1000,
        metavar="N",
        help="bootstrap resamples behind the confidence bands of the curves (default 1000)",
    )


def add_thumbnails_option(parser: Any) -> None:
    """--no-thumbnails"""
    parser.add_argument(
        "--no-thumbnails", action="store_true", help="name those pictures in the report, but do not show them"
    )


def add_any_model_option(parser: Any) -> None:
    """--policy-for-any-model"""
    parser.add_argument(
        "--policy-for-any-model", action="store_true", help="use the policy even if it was made for another model"
    )


def add_policy_option(parser: Any) -> None:
    """--policy"""
    parser.add_argument(
        "--policy",
        type=parsing.file,
        metavar="FILE",
        help="add the verdict of this policy, from `open-nsfw calibrate`, to every row",
    )


def add_limit_options(group: Any, sources: SourceOptions, extraction: Extraction, seconds: float) -> None:
    """--max-bytes and the other limits of what one file may cost. Their defaults are those of the arguments; `seconds`: for
    decoding one picture."""
    size, count, positive = parsing.byte_count, parsing.count, parsing.positive
    limits, unpacked, ratio = extraction.limits, sources.max_archive_bytes, sources.max_archive_ratio
    frames, memory = extraction.frames.max_frames, extraction.max_memory
    table = (
        (
            "--max-bytes",
            size,
            limits.max_bytes,
            "SIZE",
            "largest encoded picture, or video that is no file of its own, as 100MB",
        ),
        ("--max-pixels", count, limits.max_pixels, "N", "most pixels of a picture"),
        ("--max-archive-bytes", size, unpacked, "SIZE", "most that unpacking an archive may add"),
        ("--max-archive-ratio", positive, ratio, "R", "largest ratio of unpacked to packed size"),
        ("--max-frames", count, frames, "N", "most frames scored of one file"),
        ("--max-seconds", positive, seconds, "S", "longest time to decode one picture"),
        ("--max-memory", parsing.memory, memory, "SIZE", "most memory that a decoder may use"),
    )
    for name, kind, default, metavar, text in table:
        shown = parsing.size_text(int(default)) if metavar == "SIZE" else f"{default:.12g}"
        group.add_argument(name, type=kind, default=default, metavar=metavar, help=f"{text} (default {shown})")


def add_overwrite_option(parser: Any) -> None:
    """--overwrite"""
    parser.add_argument("--overwrite", action="store_true", help="replace output files that exist")
