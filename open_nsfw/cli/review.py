"""`open-nsfw review`: people decide about pictures; `open-nsfw review export` and `report` make something of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from open_nsfw.calibration.json_values import json_value
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.libraries import check_installed
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.scored import ScoringOptions
from open_nsfw.cli.outputs import check_output
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.review_options import PROGRAM, desk_options, export_parser, report_parser
from open_nsfw.cli.review_options import parser as parser  # where the help and the documentation look for it
from open_nsfw.cli.serve import check_installed as check_service_installed
from open_nsfw.cli.status import Status, ended_by
from open_nsfw.review import export as exporting
from open_nsfw.review.design import Wishes
from open_nsfw.review.export import ExportRequest
from open_nsfw.review.inputs import rows_at
from open_nsfw.review.opening import prepare, told
from open_nsfw.review.options import DeskOptions, OpeningOptions
from open_nsfw.review.report import report, text
from open_nsfw.review.store import open_store
from open_nsfw.scoring.options import LoadOptions

ACTION_PARSERS: dict[str, Callable[[], OneLineParser]] = {"export": export_parser, "report": report_parser}


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    input: str | None
    store: str
    port: int
    wishes: Wishes
    opening: OpeningOptions
    desk: DeskOptions
    scoring: ScoringOptions
    quiet: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw review` with these arguments; gives the exit status."""
    action = argv[0] if argv and argv[0] in ACTION_PARSERS else None
    if action is None:
        return guarded(PROGRAM, argv, lambda: _run(parse(argv)))
    run = _export if action == "export" else _report
    return guarded(f"{PROGRAM} {action}", argv, lambda: run(ACTION_PARSERS[action]().parse_args(argv[1:])))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    low, high = values.audit or (None, None)
    policy = None if values.policy is None else Policy.read(values.policy)
    return Request(
        input=values.input,
        store=values.store,
        port=values.port,
        wishes=Wishes(policy, values.labels, low, high, values.calibration, values.second),
        opening=OpeningOptions(
            values.together, tuple(values.find), values.policy_for_any_model, values.jobs, values.quiet
        ),
        desk=desk_options(values),
        scoring=_scoring(values),
        quiet=values.quiet,
    )


def _scoring(values: argparse.Namespace) -> ScoringOptions:
    return ScoringOptions(
        scores_file=os.path.splitext(values.store)[0] + ".scores.jsonl",
        model_def=values.model_def,
        pretrained_model=values.pretrained_model,
        engine=values.engine,
        gpu=values.gpu,
        jobs=values.jobs,
        quiet=values.quiet,
    )


def _run(request: Request) -> int:
    check_service_installed()
    if request.opening.together:
        check_installed()
    with open_store(request.store, create=request.input is not None) as store:
        rows = None if request.input is None else rows_at(request.input, request.scoring)
        if isinstance(rows, int):
            _tell("stopped; run it again to go on where it was")
            return ended_by(rows)
        opened = prepare(store, rows, request.wishes, request.opening)
        if not request.quiet:
            for line in told(opened):
                _tell(line)
        from open_nsfw.service.review_server import desk_for, serve_review

        scoring = request.scoring
        load = LoadOptions(scoring.model_def, scoring.pretrained_model, scoring.engine, scoring.gpu)
        with desk_for(store, load, request.desk) as desk:
            serve_review(desk, request.port, _tell)
    return Status.DONE


def _export(values: argparse.Namespace) -> int:
    request = ExportRequest(values.output, LabelNames(values.positive, values.negative), values.use, values.overwrite)
    check_output(request.output, [values.store])
    with open_store(values.store) as store:
        exported = exporting.export(store, request)
    for line in exporting.told(exported, request):
        print_text(line + "\n")
    return Status.DONE


def _report(values: argparse.Namespace) -> int:
    check_installed()
    with open_store(values.store) as store:
        found = report(store, LabelNames(values.positive, values.negative), values.confidence)
    if values.json:
        print_text(json.dumps(json_value(found), indent=1, allow_nan=False) + "\n")
    else:
        print_text(text(found, values.confidence))
    return Status.DONE


def _tell(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)
