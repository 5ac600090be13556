"""A histogram of scores, as the service's `/metrics` has it in Prometheus' text format -> scores to check a policy on.

    open_nsfw_score_bucket{le="0.05"} 812.0

The service counts between the very edges that its policy keeps, so nothing is lost: each score is as good as any other
between the same two edges.
"""

from __future__ import annotations

import math
import re

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError
from open_nsfw.text import number

BEGIN = "# HELP "
MOST_SCORES = 5_000_000  # that are told one by one; of more, as many in the same proportions
_BUCKET = re.compile(r'open_nsfw_score_bucket\{le="([^"]+)"\} (\S+)')
_MODEL = re.compile(r'open_nsfw_info\{.*model="([0-9a-f]+)".*\} 1\.0')
_FAILED = re.compile(r'open_nsfw_row_errors_total\{code="[^"]*"\} (\S+)')


def is_histogram(path: str) -> bool:
    """Whether a file is in Prometheus' text format."""
    try:
        with open(path, "rb") as file:
            return file.read(len(BEGIN)) == BEGIN.encode()
    except OSError:
        return False


def read_histogram(path: str, policy: Policy) -> tuple[list[float], int, frozenset[str]]:
    """Scores that lie as the histogram says, how many rows had none, and the models.

    Raises UsageError for a file that has no such histogram, or one of another policy.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    ends = [(_number(path, end), _number(path, count)) for end, count in _BUCKET.findall(text)]
    if not ends or ends[-1][0] != math.inf or any(a >= b for (a, _), (b, _) in zip(ends, ends[1:])):
        raise UsageError(f"{path}: has no histogram open_nsfw_score; save what /metrics of the service says")
    wanted = {*policy.scores.get("edges", []), *policy.thresholds} - {0.0, 1.0}
    if not wanted <= {end for end, _ in ends}:
        raise UsageError(f"{path}: was counted for another policy; start the service with --policy {policy.path}")
    failed = sum(_number(path, count) for count in _FAILED.findall(text))
    return _scores(path, ends), int(failed), frozenset(_MODEL.findall(text))


def _scores(path: str, ends: list[tuple[float, float]]) -> list[float]:
    """As many scores in the middle of each bin as it holds."""
    scale = min(1.0, MOST_SCORES / max(ends[-1][1], 1.0))
    scores: list[float] = []
    low, before = 0.0, 0.0
    for end, count in ends:
        if count < before:
            raise UsageError(f"{path}: the counts of its histogram fall")
        scores += [(low + min(end, 1.0)) / 2] * round((count - before) * scale)
        low, before = min(end, 1.0), count
    return scores


def _number(path: str, text: str) -> float:
    value = number(text)
    if math.isnan(value):
        raise UsageError(f"{path}: '{text}' is no number")
    return value
