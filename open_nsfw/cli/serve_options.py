"""The options of `open-nsfw serve`, and how its command line becomes `ServeOptions`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    add_any_model_option,
    add_cache_options,
    add_debug_option,
    add_engine_option,
    add_frame_options,
    add_gpu_option,
    add_jobs_option,
    add_limit_options,
    add_model_options,
    add_policy_option,
    add_ranges_option,
    cache_options,
)
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.review_options import add_page_options, desk_options
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.review.options import OpeningOptions
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.service.options import Bounds, CoreOptions, HostOptions, ServeOptions
from open_nsfw.sources.item import SourceOptions

PROGRAM = "open-nsfw serve"
EXAMPLE = f"""\
examples:
  {PROGRAM}
  {PROGRAM} --policy policy.json --fast --port 9000

  curl --data-binary @upload.jpg http://127.0.0.1:8080/v1/score

exit status: 0 ended by SIGTERM or Ctrl-C, 2 the command line, the keys, the policy, the model or the address is at
fault"""
ALLOW, BLOCK = "allow", "block"
OF_THE_PAGE = ("blind", "together", "session_pictures", "session_minutes", "lease_minutes")  # of --review


def parser() -> OneLineParser:
    """The options of the verb."""
    result = OneLineParser(
        prog=PROGRAM,
        description="Score pictures over HTTP, with the rows, limits and verdicts of `classify_nsfw`.",
        epilog=EXAMPLE,
    )
    add_debug_option(result)
    _add_address_options(result.add_argument_group("address and keys"))
    model = result.add_argument_group("model and engine")
    add_model_options(model)
    add_engine_option(model)
    add_gpu_option(model)
    add_jobs_option(model)
    model.add_argument("--fast", action="store_true", help="score faster with the same decisions")
    add_ranges_option(model, "--fast")
    policy = result.add_argument_group("what comes out")
    add_policy_option(policy)
    add_any_model_option(policy)
    add_frame_options(policy)
    add_cache_options(policy)
    policy.add_argument("--hash", action="store_true", help="add the SHA-256 of each file to its row")
    _add_host_options(result.add_argument_group("hosts with an interface of their own"))
    _add_load_options(result.add_argument_group("load"))
    defaults = CoreOptions()
    limits = result.add_argument_group("limits, against hostile files")
    add_limit_options(limits, defaults.sources, defaults.extraction, defaults.max_seconds)
    review = result.add_argument_group("a review for a team")
    review.add_argument(
        "--review",
        type=parsing.file,
        metavar="STORE",
        help="also serve the page of `open-nsfw review` at /review/, for those who have a key (as password in browsers)",
    )
    add_page_options(review)
    return result


def _add_address_options(group: Any) -> None:
    defaults, add = ServeOptions(), group.add_argument
    add(
        "--host",
        default=defaults.host,
        metavar="HOST",
        help="address to listen on; another than the loopback needs keys",
    )
    add("--port", type=parsing.port, default=defaults.port, metavar="N", help="port; 0 takes a free one (default 8080)")
    add("--key-file", type=parsing.file, metavar="FILE", help="who may use it: a name and a key a line")
    add(
        "--allow-host",
        type=_host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which clients may call the service, beside the loopback's; can be given several times",
    )
    add(
        "--grace",
        type=parsing.positive,
        default=defaults.grace,
        metavar="S",
        help="on SIGTERM, seconds for requests that are under way (default 30)",
    )
    add("--no-access-log", action="store_true", help="write no line of JSON for each request to standard output")


def _add_host_options(group: Any) -> None:
    group.add_argument(
        "--undecided",
        default=BLOCK,
        choices=(ALLOW, BLOCK),
        help="what pict-rs and clamd's clients, which know only two answers, get for what is undecided (default block)",
    )
    group.add_argument(
        "--clamd",
        type=parsing.file,
        metavar="ADDRESS",
        help="also answer clients of clamd, at HOST:PORT of the loopback or at the path of a Unix socket",
    )
    group.add_argument(
        "--clamd-others",
        default=BLOCK,
        choices=(ALLOW, BLOCK),
        help="what clamd's clients get for files that are no pictures, films or archives of them (default block)",
    )


def _add_load_options(group: Any) -> None:
    bounds, count, size, seconds = Bounds(), parsing.count, parsing.byte_count, parsing.positive
    table = (
        ("--max-requests", count, bounds.max_requests, "N", "requests under way; one more is answered 503"),
        (
            "--max-requests-per-key",
            count,
            bounds.max_requests_per_key,
            "N",
            "requests of one key under way; one more is answered 429",
        ),
        ("--max-held", size, bounds.max_held, "SIZE", "bytes of all uploads under way; more is answered 503"),
        ("--max-body", size, bounds.max_body, "SIZE", "bytes of one request; more is answered 413"),
        ("--max-parts", count, bounds.max_parts, "N", "pictures of one multipart or JSON request"),
        ("--max-connections", count, bounds.max_connections, "N", "open connections; one more is closed"),
        ("--header-seconds", seconds, bounds.header_seconds, "S", "for the head of a request"),
        ("--body-seconds", seconds, bounds.body_seconds, "S", "for the body of a request"),
        ("--write-seconds", seconds, bounds.write_seconds, "S", "for a client to take an answer"),
        (
            "--wait-seconds",
            seconds,
            bounds.wait_seconds,
            "S",
            "for a request to have its turn; then it is answered 503",
        ),
        ("--idle-seconds", seconds, bounds.idle_seconds, "S", "between two requests on one connection"),
    )
    for name, kind, default, metavar, text in table:
        shown = parsing.size_text(int(default)) if metavar == "SIZE" else f"{default:g}"
        group.add_argument(name, type=kind, default=default, metavar=metavar, help=f"{text} (default {shown})")


def _host_name(text: str) -> str:
    if not text or not set(text).isdisjoint("/@ "):
        raise argparse.ArgumentTypeError(f"a name as in nsfw.example is needed, no address of a page, not '{text}'")
    return text


def parse(argv: Sequence[str]) -> ServeOptions:
    """The options that a command line gives. Raises UsageError."""
    known = parser()
    values = known.parse_args(argv)
    for option, given, other, is_there in (
        ("--ranges", values.ranges, "--fast", values.fast),
        ("--clamd-others allow", values.clamd_others == ALLOW, "--clamd ADDRESS", values.clamd),
        ("--policy-for-any-model", values.policy_for_any_model, "--policy FILE", values.policy),
        ("--review", values.review, "--key-file FILE", values.key_file),
        *(
            (
                f"--{name.replace('_', '-')}",
                getattr(values, name) != known.get_default(name),
                "--review STORE",
                values.review,
            )
            for name in OF_THE_PAGE
        ),
    ):
        if given and not is_there:
            raise UsageError(f"{option} needs {other}")
    return ServeOptions(
        values.host,
        values.port,
        values.key_file,
        tuple(values.allow_host),
        values.grace,
        not values.no_access_log,
        _core_options(values),
        Bounds(**{name: getattr(values, name) for name in Bounds.__dataclass_fields__}),
        values.review,
        OpeningOptions(together=values.together, jobs=values.jobs, quiet=True),
        desk_options(values),
        HostOptions(values.undecided == BLOCK, values.clamd, values.clamd_others == BLOCK),
    )


def _core_options(values: argparse.Namespace) -> CoreOptions:
    limits = Limits(values.max_bytes, values.max_pixels)
    frames = FrameChoice.parse(values.frames, values.every, values.max_frames, values.scenes)
    load = LoadOptions(
        values.model_def,
        values.pretrained_model,
        values.engine,
        values.gpu,
        fast=values.fast,
        ranges=values.ranges,
    )
    return CoreOptions(
        load,
        values.policy,
        values.policy_for_any_model,
        values.jobs,
        Extraction(limits, frames, hash=values.hash, max_memory=values.max_memory),
        values.max_seconds,
        SourceOptions(
            limits=limits, max_archive_bytes=values.max_archive_bytes, max_archive_ratio=values.max_archive_ratio
        ),
        cache_options(values),
    )
