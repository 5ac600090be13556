"""`open-nsfw policy check POLICY SCORES`: does a policy still hold for today's scores?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from open_nsfw.calibration.audit import Audit, audit, read_audit
from open_nsfw.calibration.audit import text as audit_text
from open_nsfw.calibration.drift import Drift, compare, text
from open_nsfw.calibration.json_values import json_value
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.libraries import check_installed
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.score_histogram import is_histogram, read_histogram
from open_nsfw.calibration.scores_file import Scores, read_scores
from open_nsfw.cli import parsing
from open_nsfw.cli.options import add_any_model_option, add_debug_option, add_label_name_options
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status
from open_nsfw.errors import UsageError

PROGRAM = "open-nsfw policy"
EXAMPLE = """\
examples:
  classify_nsfw today/ --format jsonl --output today.jsonl
  open-nsfw policy check policy.json today.jsonl
  open-nsfw policy check policy.json today.jsonl --labelled decided.csv

exit status: 0 the policy still holds, 1 it may not hold, or there are too few scores to tell, 2 the command line or a
file is at fault"""


@dataclass(frozen=True)
class Request:
    """Which scores a policy is checked on, and how the result is told."""

    policy: str
    scores: str
    json: bool = False
    any_model: bool = False
    labels: str | None = None
    """A file of labels of today."""
    names: LabelNames = LabelNames()


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw policy` with these arguments; gives the exit status."""
    return guarded(PROGRAM, argv, lambda: _check(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    names = LabelNames(values.positive, values.negative)
    return Request(values.policy, values.scores, values.json, values.policy_for_any_model, values.labelled, names)


def _check(request: Request) -> int:
    policy = Policy.read(request.policy)
    found = _read(request.scores, policy)
    if not found.scores:
        raise UsageError(f"{request.scores}: there are no scores in it")
    if not request.any_model:
        for model in sorted(found.models):
            policy.check_model(model)
    check_installed()
    drift = compare(policy, found.scores, found.without)
    audited = None
    if request.labels is not None:
        audited = audit(policy, read_audit(request.labels, request.names, policy, request.any_model))
    if request.json:
        print_text(_json(drift, audited))
    else:
        print_text(text(policy, drift) + ("" if audited is None else audit_text(audited)))
    return Status.DONE if drift.holds and (audited is None or audited.holds) else Status.FAILED


def _read(path: str, policy: Policy) -> Scores:
    return Scores(*read_histogram(path, policy)) if is_histogram(path) else read_scores(path)


def _json(drift: Drift, audited: Audit | None) -> str:
    found = {**json_value(drift), "plain_verdict": drift.plain.verdict, "fair_verdict": drift.fair.verdict}
    found["holds"] = drift.holds and (audited is None or audited.holds)
    if audited is not None:
        found["audit"] = [{**json_value(each), "verdict": each.verdict} for each in audited.rates]
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def parser() -> OneLineParser:
    """The options of `open-nsfw policy`."""
    result = OneLineParser(prog=PROGRAM, description="Check a policy.", epilog=EXAMPLE)
    actions = result.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=OneLineParser)
    check = actions.add_parser(
        "check",
        help="compare today's scores with those that the policy was chosen on",
        description="Compare today's scores with those that the policy was chosen on: does it still hold?",
        epilog=EXAMPLE,
    )
    check.add_argument("policy", type=parsing.file, metavar="POLICY", help="policy file, from `open-nsfw calibrate`")
    check.add_argument(
        "scores",
        type=parsing.file,
        metavar="SCORES",
        help="today's rows, from `classify_nsfw`, or other CSV, JSON lines or Parquet with a column score; or what /metrics of "
        "`open-nsfw serve` says, saved",
    )
    check.add_argument(
        "--labelled",
        type=parsing.file,
        metavar="LABELS",
        help="labels of today with scores, from `open-nsfw review export`: also compare error rates with the policy's",
    )
    add_label_name_options(check)
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    add_any_model_option(check)
    add_debug_option(check)
    return result
