"""What a review asks for: the policy, which pictures of it people see, and the labels they choose from.

The store keeps it, so that a later run need not say it again.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, fields, replace

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError
from open_nsfw.review.store import reads, set_setting, setting
from open_nsfw.scoring.fast import THRESHOLDS

DESIGN = "design"  # the name of the setting
MOST_LABELS = 9  # a digit each


@dataclass(frozen=True)
class Design:
    """The design of a review. Raises UsageError for labels that make no choice."""

    policy: Policy = Policy(tuple(map(float, THRESHOLDS)))
    labels: tuple[str, ...] = ("sfw", "nsfw")
    """In the order of their digits."""
    audit_low: float = 0.01
    """The share of the pictures in the lowest band that people look at, chosen at random."""
    audit_high: float = 0.05
    """The same of the highest band."""
    calibration: int = 0
    """About how many pictures are asked for to calibrate on, as many from each stratum of the score."""
    second: float = 0.1
    """The share of the pictures asked for that get a second opinion."""

    def __post_init__(self) -> None:
        if not 2 <= len(self.labels) <= MOST_LABELS or len(set(self.labels)) < len(self.labels):
            raise UsageError(f"--labels: 2 to {MOST_LABELS} different names are needed, not {','.join(self.labels)}")
        if not all(label.isprintable() and label.strip() == label and label for label in self.labels):
            raise UsageError(f"--labels: names are printable words, not {','.join(self.labels)!r}")

    @property
    def undecided(self) -> range:
        """The numbers of the bands that the policy leaves to people: those between the lowest and the highest."""
        return range(1, len(self.policy.bands) - 1)


@dataclass(frozen=True)
class Wishes:
    """What this run says of the design; None: as before."""

    policy: Policy | None = None
    labels: tuple[str, ...] | None = None
    audit_low: float | None = None
    audit_high: float | None = None
    calibration: int | None = None
    second: float | None = None


def design_in(connection: sqlite3.Connection) -> Design:
    """The design that the store keeps; the default of one that is new."""
    text = setting(connection, DESIGN)
    if text is None:
        return Design()
    with reads(f"the setting {DESIGN}"):
        values = json.loads(text)
        return Design(**{**values, "policy": Policy.from_json(values["policy"]), "labels": tuple(values["labels"])})


def settle_design(connection: sqlite3.Connection, wishes: Wishes) -> tuple[Design, bool]:
    """The design as this run wants it, which is kept, and whether it is another than before.

    Raises UsageError if a label that was given to pictures would no longer be there.
    """
    before = design_in(connection)
    said = {each.name: getattr(wishes, each.name) for each in fields(Wishes)}
    design = replace(before, **{name: value for name, value in said.items() if value is not None})
    used = {row[0] for row in connection.execute("SELECT DISTINCT label FROM opinion WHERE label <> ''")}
    if gone := sorted(used - set(design.labels)):
        raise UsageError(f"--labels: pictures of this store are labelled '{gone[0]}', so it must be among the labels")
    values = {each.name: getattr(design, each.name) for each in fields(Design)}
    set_setting(connection, DESIGN, json.dumps({**values, "policy": design.policy.to_json()}))
    return design, design != before or setting(connection, "chosen") is None
