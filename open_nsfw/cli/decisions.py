"""What hangs on a score in one scan: the bands of the summary, what counts as high, the fast mode's thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from open_nsfw.cli.reporter import Bands
from open_nsfw.cli.request import HIGHEST_OF_POLICY, VerdictRequest
from open_nsfw.scoring.fast import THRESHOLDS

if TYPE_CHECKING:
    from open_nsfw.calibration.policy import Policy


@dataclass(frozen=True)
class Decisions:
    """The thresholds of one scan, and what each is for."""

    bands: Bands
    """The policy's, or those between the thresholds asked for."""
    fail_above: float | None
    """From this score on the exit status is 3."""
    above: float
    """The summary row of a file with several frames counts those that score at least this: the lowest score that something
    is done about, or the highest threshold of the bands where nothing is; with segments their threshold."""
    thresholds: tuple[float, ...]
    """The fast mode scores exactly what comes near one of them."""
    policy: Policy | None


def decide(request: VerdictRequest) -> Decisions:
    """The decisions that a request asks for. Raises UsageError if its policy cannot be used."""
    policy = _policy(request)
    if request.fail_above == HIGHEST_OF_POLICY:
        fail_above = None if policy is None else policy.thresholds[-1]
    else:
        fail_above = request.fail_above
    acted_on = [fail_above] if fail_above is not None else []
    if request.sorting is not None:
        acted_on.append(request.sorting.threshold)
    acted_on += [each for each in (request.segments, request.stop_above) if each is not None]
    bands = _bands(request, policy)
    above = min(acted_on, default=bands.thresholds[-1]) if request.segments is None else request.segments
    asked = (*(request.thresholds or ()), *(() if policy is None else policy.thresholds)) or THRESHOLDS
    return Decisions(bands, fail_above, above, (*asked, *acted_on), policy)


def _policy(request: VerdictRequest) -> Policy | None:
    if request.policy is None:
        return None
    from open_nsfw.calibration.policy import Policy  # most runs have none

    return Policy.read(request.policy)


def _bands(request: VerdictRequest, policy: Policy | None) -> Bands:
    if policy is not None:
        return Bands(policy.thresholds, policy.bands)
    return Bands.between(request.thresholds or THRESHOLDS)
