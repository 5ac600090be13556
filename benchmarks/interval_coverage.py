"""How often do the intervals of `open-nsfw calibrate` cover the truth, and how often are its promises kept?

    python benchmarks/interval_coverage.py [--repetitions 1000] [--grouped]

Scores are drawn from a known population (normal logits of two classes), so that the true rates are known. For each row
the share of repetitions whose interval covers the truth, and the shares that miss it on either side; for limits that the
calibration says are kept, the share of repetitions in which the population keeps them. All at 95 %. About a
quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from open_nsfw.calibration import curves, least_error, thresholds
from open_nsfw.calibration import rates as measure
from open_nsfw.calibration.choices import Costs, Wishes
from open_nsfw.calibration.sample import Sample

CONFIDENCE = 0.95
RESAMPLES = 400
FIXED = 0.5
PREVALENCE = 0.02
COSTS = Costs(1, 20)
FPRS, RECALLS = (0.01, 0.05, 0.1, 0.3), (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Population:
    """Logits of sfw are normal (-mean, 1), of nsfw normal (mean, spread); so many of each are labelled."""

    name: str
    mean: float
    spread: float
    sfw: int
    nsfw: int
    group: int = 1
    """Pictures of one source, of one class; several share `likeness` of the variance of their logits."""
    likeness: float = 0.0

    def draw(self, random: np.random.Generator) -> Sample:
        """A labelled sample."""
        if self.group > 1:
            return self._draw_groups(random)
        logits = np.concatenate(
            (random.normal(-self.mean, 1, self.sfw), random.normal(self.mean, self.spread, self.nsfw))
        )
        return Sample(expit(logits), np.arange(self.sfw + self.nsfw) >= self.sfw)

    def _draw_groups(self, random: np.random.Generator) -> Sample:
        groups = (self.sfw + self.nsfw) // self.group
        number = np.repeat(np.arange(groups), self.group)
        nsfw = number >= self.sfw // self.group
        between = np.sqrt(self.likeness) * random.normal(size=groups)[number]
        noise = between + np.sqrt(1 - self.likeness) * random.normal(size=len(number))
        logits = np.where(nsfw, self.mean + self.spread * noise, -self.mean + noise)
        return Sample(expit(logits), nsfw, number)

    def fpr(self, threshold: float) -> float:
        """The true false-positive rate."""
        return float(norm.sf(logit(threshold), -self.mean, 1))

    def recall(self, threshold: float) -> float:
        """The true recall."""
        return float(norm.sf(logit(threshold), self.mean, self.spread))

    def precision(self, fpr: float, recall: float, share: float | None = None) -> float:
        """The true precision where nsfw pictures are `share` of all, by default as in the sample."""
        share = self.nsfw / (self.sfw + self.nsfw) if share is None else share
        return share * recall / (share * recall + (1 - share) * fpr)

    def recall_at(self, fpr: float) -> float:
        """The true ROC curve."""
        return float(norm.sf(norm.isf(fpr, -self.mean, 1), self.mean, self.spread))

    def fpr_at(self, recall: float) -> float:
        """Its inverse."""
        return float(norm.sf(norm.isf(recall, self.mean, self.spread), -self.mean, 1))

    def auc(self) -> float:
        """The true area under the ROC curve."""
        return float(norm.cdf(2 * self.mean / np.hypot(1, self.spread)))

    def average_precision(self) -> float:
        """The true area under the precision-recall curve."""
        return float(quad(lambda recall: self.precision(self.fpr_at(recall), recall), 1e-9, 1, limit=200)[0])


POPULATIONS = (
    Population("60 + 60, some overlap", 0.9, 1.0, 60, 60),
    Population("60 + 60, little overlap", 2.0, 1.2, 60, 60),
    Population("900 + 100", 1.6, 1.4, 900, 100),
    Population("1,000 + 1,000", 1.6, 1.2, 1000, 1000),
    Population("4,000 + 1,000", 2.2, 1.6, 4000, 1000),
)
GROUPED = (
    Population("60 + 30 films, 10 alike frames each", 1.6, 1.2, 600, 300, 10, 0.6),
    Population("100 + 100 pictures, 5 versions each", 1.6, 1.2, 500, 500, 5, 0.98),
    Population("12 + 6 pictures, 44 versions each", 1.6, 1.2, 528, 264, 44, 0.95),
)
Found = tuple[str, int]  # what was measured; -1: the truth is under the interval, 0 in it, 1 over it


def _against(name: str, truth: float, rate: measure.Rate) -> Found:
    return name, int(truth > rate.high) - int(truth < rate.low)


def _kept(name: str, holds: bool) -> Found:
    return f"promise: {name}", int(not holds)


def repetition(population: Population, seed: int) -> list[Found]:
    """One sample, and where the truth lies for everything measured on it."""
    sample = population.draw(np.random.default_rng(seed))
    return [
        *_curves(population, sample, seed),
        *_fixed(population, sample),
        *_promises(population, sample),
        *_cheapest(population, sample),
    ]


def _curves(population: Population, sample: Sample, seed: int) -> Iterator[Found]:
    found = curves.curves(sample, curves.BootstrapOptions(RESAMPLES, seed, CONFIDENCE))
    yield _against("area under the ROC curve", population.auc(), found.auc)
    yield _against("average precision", population.average_precision(), found.average_precision)
    for name, grid, band, truth in (
        ("ROC band at false-positive rate", FPRS, found.roc_band, population.recall_at),
        (
            "precision band at recall",
            RECALLS,
            found.pr_band,
            lambda recall: population.precision(population.fpr_at(recall), recall),
        ),
    ):
        for at in grid:
            index = int(np.argmin(np.abs(curves.GRID - at)))
            yield _against(f"{name} {at:g}", truth(at), measure.Rate(None, band.low[index], band.high[index]))


def _fixed(population: Population, sample: Sample) -> Iterator[Found]:
    table = measure.confusion(sample, FIXED, CONFIDENCE)
    fpr, recall = population.fpr(FIXED), population.recall(FIXED)
    yield _against("false-positive rate at 0.5", fpr, table.false_positive_rate)
    yield _against("recall at 0.5", recall, table.recall)
    yield _against("precision at 0.5", population.precision(fpr, recall), table.precision)
    elsewhere = measure.confusion(sample, FIXED, CONFIDENCE, PREVALENCE)
    yield _against(
        "precision at 0.5, --prevalence 0.02", population.precision(fpr, recall, PREVALENCE), elsewhere.precision
    )


def _promises(population: Population, sample: Sample) -> Iterator[Found]:
    choices = [
        thresholds.choose(sample, Wishes(**wish))[0]
        for wish in ({"max_fpr": 0.05}, {"min_recall": 0.95}, {"review_budget": 0.1})
    ]
    fpr, recall = population.fpr(choices[0].thresholds[0]), population.recall(choices[1].thresholds[0])
    kept = [choice.promises[0].kept for choice in choices]
    if kept[0]:
        yield _kept("--max-fpr 0.05", fpr <= 0.05)
    if kept[1]:
        yield _kept("--min-recall 0.95", recall >= 0.95)
    yield _against("false-positive rate at --max-fpr's", fpr, choices[0].numbers["false_positive_rate"])
    table = measure.confusion(sample, choices[0].thresholds[0], CONFIDENCE)
    yield _against("recall at --max-fpr's", population.recall(choices[0].thresholds[0]), table.recall)
    yield _against("recall at --min-recall's", recall, choices[1].numbers["recall"])
    low, high = choices[2].thresholds[0], choices[2].thresholds[-1]
    share = sample.share(None)
    review = (1 - share) * (population.fpr(low) - population.fpr(high)) + share * (
        population.recall(low) - population.recall(high)
    )
    if kept[2]:
        yield _kept("--review-budget 0.1", review <= 0.1)
    yield _against("share of review", review, choices[2].numbers["review"])
    error = (1 - share) * population.fpr(high) + share * (1 - population.recall(low))
    yield _against("error outside review", error, choices[2].numbers["error"])


def _cheapest(population: Population, sample: Sample) -> Iterator[Found]:
    wishes = Wishes(cost=COSTS)
    choice = thresholds.choose(sample, wishes)[0]
    share = sample.share(None)
    at = choice.thresholds[0]
    cost = COSTS.false_positive * (1 - share) * population.fpr(at) + COSTS.false_negative * share * (
        1 - population.recall(at)
    )
    yield _against("cost at --cost's", cost, choice.numbers["cost"])
    truth = COSTS.false_positive * (1 - share) * population.fpr(0.2) + COSTS.false_negative * share * (
        1 - population.recall(0.2)
    )
    yield _against("cost at 0.2", truth, least_error.expected_cost(sample, 0.2, COSTS, wishes))


def coverage(
    population: Population, repetitions: int, pool: ProcessPoolExecutor
) -> dict[str, tuple[float, float, float]]:
    """For each name: (covered or kept, truth under the interval, truth over it), as shares."""
    counts: dict[str, list[int]] = {}
    for found in pool.map(repetition, [population] * repetitions, range(repetitions), chunksize=10):
        for name, side in found:
            counts.setdefault(name, [0, 0, 0])[side] += 1
    return {
        name: (inside / (inside + over + under), under / (inside + over + under), over / (inside + over + under))
        for name, (inside, over, under) in counts.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--grouped", action="store_true", help="only the samples in groups")
    options = parser.parse_args()
    repetitions = options.repetitions
    with ProcessPoolExecutor(2) as pool:
        for population in GROUPED if options.grouped else POPULATIONS + GROUPED:
            print(f"\n{population.name} (true area {population.auc():.4f}), {repetitions:,} samples")
            print(f"  {'':42}covered  truth under  truth over")
            for name, (inside, under, over) in coverage(population, repetitions, pool).items():
                sides = "" if name.startswith("promise") else f"{under:11.1%} {over:11.1%}"
                print(f"  {name:42}{inside:7.1%} {sides}", flush=True)


if __name__ == "__main__":
    main()
