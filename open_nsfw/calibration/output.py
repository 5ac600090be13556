"""What a calibration leaves in its folder: report.html, numbers.json, policy.json and the plots."""

from __future__ import annotations

import json
import os
from typing import Any

from open_nsfw.calibration import findings, plots, report
from open_nsfw.calibration.json_values import json_value
from open_nsfw.calibration.policy_file import check_replaceable, write_policy
from open_nsfw.calibration.request import OutputRequest
from open_nsfw.calibration.result import Calibration
from open_nsfw.errors import OutputError
from open_nsfw.files import check_free, write_whole

POLICY, REPORT, NUMBERS = "policy.json", "report.html", "numbers.json"
MOST_POINTS = 1000  # of a curve in numbers.json


def check_output(request: OutputRequest) -> None:
    """Raises UsageError where writing would replace a policy that somebody changed, or files that are not of an earlier
    calibration: before the work, not after it."""
    if request.overwrite:
        return
    policy = os.path.join(request.folder, POLICY)
    check_replaceable(policy)
    if not os.path.lexists(policy):
        for name in (REPORT, NUMBERS):
            check_free(os.path.join(request.folder, name), overwrite=False)


def write(result: Calibration, request: OutputRequest) -> None:
    """Write everything into the folder. Raises OutputError, and UsageError for a policy that somebody changed."""
    folder = request.folder
    make_folder(os.path.join(folder, "plots"))
    drawing = findings.drawing(result)
    for name in plots.names():
        content = plots.for_file(name, drawing, request.plots)
        write_whole(os.path.join(folder, "plots", f"{name}.{request.plots}"), content)
    write_whole(os.path.join(folder, NUMBERS), json.dumps(numbers(result), indent=1, allow_nan=False) + "\n")
    worst = findings.worst(result, request.worst)
    write_whole(os.path.join(folder, REPORT), report.page(result, drawing, worst, request.thumbnails))
    policy = os.path.join(folder, POLICY)
    if not request.overwrite:
        check_replaceable(policy)  # it may have been changed meanwhile
    write_policy(result.policy, policy)


def make_folder(folder: str) -> None:
    """Raises OutputError if there can be no such folder."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from error


def numbers(result: Calibration) -> dict[str, Any]:
    """The content of numbers.json."""
    sample, found, measured = result.sample, result.scored.found, result.measured
    found_curves = json_value(measured.curves)
    for name in ("roc", "pr"):
        found_curves[name] = _thinned(found_curves[name])
    return {
        "made_by": json_value(result.provenance),
        "sample": {
            **{"pictures": len(sample.nsfw), "sfw": sample.negatives, "nsfw": sample.positives},
            **{"model": result.scored.model, "grouped_by": result.grouping.by, "groups": sample.group_count},
            **{"sfw_worth": sample.class_worth(False), "nsfw_worth": sample.class_worth(True)},
            **{"missing": found.missing, "unreadable": found.unreadable, "duplicates": found.duplicates},
            **{"conflicts": found.conflicts, "passed_over": result.scored.passed_over},
        },
        "warnings": list(result.warnings),
        "confidence": result.wishes.confidence,
        "prevalence": sample.share(result.wishes.prevalence),
        "curves": found_curves,
        "choices": [
            json_value({**vars(choice), "bands": bands}) for choice, bands in zip(result.choices, measured.bands)
        ],
        "confusion": json_value(measured.tables),
        "histogram": json_value(measured.histogram),
        "reliability": json_value(measured.reliability),
    }


def _thinned(curve: dict[str, list[float]]) -> dict[str, list[float]]:
    """A curve of more than `MOST_POINTS` points keeps that many, its ends among them."""
    total = len(curve["recall"])
    if total <= MOST_POINTS:
        return curve
    keep = [round(index * (total - 1) / (MOST_POINTS - 1)) for index in range(MOST_POINTS)]
    return {name: [values[index] for index in keep if index < len(values)] for name, values in curve.items()}
