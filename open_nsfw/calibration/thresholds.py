"""What the user asked for -> thresholds. A score at or over a threshold counts as nsfw.

promises        a false-positive rate or a recall is promised
least_error     errors have a cost, which is made least
review_budget   a share of the pictures is left to people, with the fewest errors outside
bands           the thresholds are given
"""

from __future__ import annotations

from open_nsfw.calibration.choices import Choice, Wishes
from open_nsfw.calibration.least_error import cheapest
from open_nsfw.calibration.promises import keep_promises
from open_nsfw.calibration.review_budget import within_budget
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.words import number


def choose(sample: Sample, wishes: Wishes) -> list[Choice]:
    """A choice for every wish; those for a false-positive rate and a recall make one.

    Raises UsageError where there can be none.
    """
    choices = []
    if wishes.max_fpr is not None or wishes.min_recall is not None:
        choices.append(keep_promises(sample, wishes))
    if wishes.cost is not None:
        choices.append(cheapest(sample, wishes.cost, wishes))
    if wishes.review_budget is not None:
        choices.append(within_budget(sample, wishes.review_budget, wishes))
    if wishes.bands is not None:
        choices.append(Choice("bands", "--bands " + ",".join(map(number, wishes.bands)), wishes.bands))
    return choices
