"""What a host is told about a row: `allowed`, `blocked` or `undecided`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from open_nsfw.calibration.policy import Policy
from open_nsfw.rows.row import Row
from open_nsfw.scoring.fast import THRESHOLDS


class Decision(str, Enum):
    """What is to be done with a picture."""

    ALLOWED = "allowed"
    """The score lies in the lowest band."""
    BLOCKED = "blocked"
    """The score lies in the highest band."""
    UNDECIDED = "undecided"
    """For a person: the score lies in between, or there is none."""


@dataclass(frozen=True)
class Judge:
    """The policy that requests are answered by; without one, the thresholds that the network's authors suggest."""

    policy: Policy | None = None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Between the bands, rising."""
        return THRESHOLDS if self.policy is None else self.policy.thresholds

    def decision(self, score: float | None) -> Decision:
        """By a score alone; `undecided` without one."""
        if score is None:
            return Decision.UNDECIDED
        if score >= self.thresholds[-1]:
            return Decision.BLOCKED
        return Decision.ALLOWED if score < self.thresholds[0] else Decision.UNDECIDED


class ItemDecisions:
    """The decisions on the rows of one file, in their order."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._has_failed = False

    def of(self, row: Row) -> Decision:
        """The decision on the next row. A summary is no clearance where a frame of the file could not be scored."""
        decision = self._judge.decision(row.score if row.error is None else None)
        if row.kind == "frame":
            self._has_failed = self._has_failed or row.score is None
        elif row.kind == "summary" and self._has_failed and decision is Decision.ALLOWED:
            return Decision.UNDECIDED
        return decision
