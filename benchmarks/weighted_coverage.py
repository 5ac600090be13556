"""Labels that people were asked for by uncertainty: do the intervals of `open-nsfw calibrate` cover the truth with their weights,
and without them?

    python benchmarks/weighted_coverage.py [--repetitions 1000]

Traffic is drawn from a known population (normal logits of two classes, 2 % and 10 % nsfw). People label what
`open-nsfw review` asks for: everything between 0.2 and 0.8, a random share of the rest, and some of each stratum. For each rate
the share of repetitions whose 95 % interval covers the truth, with the weights and without, and the mean of what is measured.
For limits, the share of repetitions in which the population keeps a limit that the calibration says is kept. About ten minutes on
two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from open_nsfw.calibration import curves, rates, thresholds
from open_nsfw.calibration.choices import Wishes
from open_nsfw.calibration.sample import Sample
from open_nsfw.review.design import Design
from open_nsfw.review.sampling import probabilities

CONFIDENCE, RESAMPLES = 0.95, 100
MAX_FPR, MIN_RECALL = 0.05, 0.8
DESIGN = Design(audit_low=0.02, audit_high=0.1, calibration=400)


@dataclass(frozen=True)
class Traffic:
    """Logits of sfw are normal (-mean, 1.5), of nsfw normal (mean, 1.5)."""

    pictures: int
    share: float
    mean: float = 3.0
    spread: float = 1.5

    def truth(self, measure: str) -> float:
        """The true value of what `measured` measures."""
        if measure == "area under the ROC curve":
            return float(norm.cdf(2 * self.mean / (self.spread * np.sqrt(2))))
        what, _, at = measure.partition(" at ")
        cut = logit(float(at))
        fpr, recall = norm.sf(cut, -self.mean, self.spread), norm.sf(cut, self.mean, self.spread)
        precision = self.share * recall / (self.share * recall + (1 - self.share) * fpr)
        return float({"false-positive rate": fpr, "recall": recall, "precision": precision}[what])

    def labelled(self, random: np.random.Generator) -> Sample:
        """The pictures that people are asked for, with their weights."""
        nsfw = random.random(self.pictures) < self.share
        scores = expit(np.where(nsfw, self.mean, -self.mean) + self.spread * random.normal(size=self.pictures))
        probability, _ = probabilities(DESIGN, scores, np.zeros(len(scores)), np.full(len(scores), -1))
        asked = random.random(self.pictures) < probability
        return Sample(scores[asked], nsfw[asked], weights=1 / probability[asked])


def measured(sample: Sample) -> Iterator[tuple[str, rates.Rate]]:
    """The rates of a sample, by name."""
    for threshold in (0.1, 0.5, 0.9):
        table = rates.confusion(sample, threshold, CONFIDENCE)
        yield f"false-positive rate at {threshold}", table.false_positive_rate
        yield f"recall at {threshold}", table.recall
        yield f"precision at {threshold}", table.precision
    yield "area under the ROC curve", curves.curves(sample, curves.BootstrapOptions(RESAMPLES, 0, CONFIDENCE)).auc


def promised(sample: Sample, traffic: Traffic) -> Iterator[tuple[str, tuple[bool, bool]]]:
    """For each limit (whether it is said to be kept, whether the population keeps it)."""
    for name, wishes in (
        (f"--max-fpr {MAX_FPR}", Wishes(max_fpr=MAX_FPR)),
        (f"--min-recall {MIN_RECALL}", Wishes(min_recall=MIN_RECALL)),
    ):
        (choice,) = thresholds.choose(sample, wishes)
        about, at = choice.promises[0], choice.thresholds[0]
        kept = (
            traffic.truth(f"false-positive rate at {at}") <= MAX_FPR
            if about.about == "false_positive_rate"
            else traffic.truth(f"recall at {at}") >= MIN_RECALL
        )
        yield name, (about.kept, kept)


def repetition(traffic: Traffic, seed: int) -> dict[str, dict[str, tuple[float, float]]]:
    """With weights and without: name -> (covered or kept, value or said to be kept)."""
    sample = traffic.labelled(np.random.default_rng(seed))
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for way, each in (("weighted", sample), ("unweighted", Sample(sample.scores, sample.nsfw))):
        found[way] = {
            name: (float(rate.low <= traffic.truth(name) <= rate.high), rate.value or 0.0)
            for name, rate in measured(each)
        }
        found[way] |= {name: (float(kept), float(said)) for name, (said, kept) in promised(each, traffic)}
        found[way]["pictures"] = (1.0, float(len(each.scores)))
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    repetitions = parser.parse_args().repetitions
    with ProcessPoolExecutor() as pool:
        for traffic in (Traffic(20_000, 0.1), Traffic(50_000, 0.02)):
            results = list(pool.map(repetition, [traffic] * repetitions, range(repetitions), chunksize=8))
            _print(traffic, results)


def _print(traffic: Traffic, results: list[dict[str, dict[str, tuple[float, float]]]]) -> None:
    labelled = np.mean([each["weighted"]["pictures"][1] for each in results])
    print(
        f"\n{traffic.pictures:,} pictures, {traffic.share:.0%} nsfw; {labelled:,.0f} of them labelled; {len(results)} repetitions"
    )
    print("| | truth | weighted: mean | covers | unweighted: mean | covers |\n|---|---|---|---|---|---|")
    names = [name for name in results[0]["weighted"] if not name.startswith("--") and name != "pictures"]
    for name in names:
        cells = []
        for way in ("weighted", "unweighted"):
            covers, values = zip(*(each[way][name] for each in results))
            cells += [f"{np.mean(values):.4f}", f"{np.mean(covers):.1%}"]
        print(f"| {name} | {traffic.truth(name):.4f} | {' | '.join(cells)} |")
    print("| limit | weighted: said to be kept | of those, kept | unweighted: said to be kept | of those, kept |")
    print("|---|---|---|---|---|")
    for name in (name for name in results[0]["weighted"] if name.startswith("--")):
        cells = []
        for way in ("weighted", "unweighted"):
            said = [each[way][name][0] for each in results if each[way][name][1]]
            cells += [f"{len(said) / len(results):.1%}", f"{np.mean(said):.1%}" if said else "-"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
