"""Simulated samples of labelled scores, and what any threshold does to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from open_nsfw.calibration.sample import Sample


def simulate(sfw: int, nsfw: int, seed: int = 0, decimals: int = 2) -> Sample:
    """Scores of two overlapping classes, rounded so that many are equal."""
    random = np.random.default_rng(seed)
    logits = np.concatenate((random.normal(-1.5, 1, sfw), random.normal(1.5, 1.3, nsfw)))
    order = random.permutation(sfw + nsfw)
    scores = np.round(1 / (1 + np.exp(-logits)), decimals)
    return Sample(scores[order], (np.arange(sfw + nsfw) >= sfw)[order])


def in_groups(groups: int, size: int, likeness: float, seed: int = 0, nsfw_groups: int | None = None) -> Sample:
    """So many groups of on average `size` pictures, each of one class; `likeness` is the share of the logits' variance
    within a class that lies between the groups. The first groups are sfw; logits are normal (-1.5, 1) and (1.5, 1)."""
    random = np.random.default_rng(seed)
    sizes = 1 + random.poisson(size - 1, groups)
    number = np.repeat(np.arange(groups), sizes)
    nsfw = number >= groups - (groups // 2 if nsfw_groups is None else nsfw_groups)
    between = np.sqrt(likeness) * random.normal(size=groups)[number]
    logits = np.where(nsfw, 1.5, -1.5) + between + np.sqrt(1 - likeness) * random.normal(size=len(number))
    return Sample(1 / (1 + np.exp(-logits)), nsfw, number)


def write_csv(path: Path, sample: Sample) -> Path:
    """`score,label` of a sample."""
    lines = [f"{score!r},{'nsfw' if nsfw else 'sfw'}" for score, nsfw in zip(sample.scores.tolist(), sample.nsfw)]
    path.write_text("\n".join(["score,label", *lines, ""]))
    return path


def all_thresholds(sample: Sample) -> list[float]:
    """One for every way to part the sample."""
    levels = np.unique(sample.scores)
    return [0.0, *((levels[1:] + levels[:-1]) / 2), float((levels[-1] + 1) / 2)]


def fpr_of(sample: Sample, threshold: float) -> float:
    """On the sample."""
    return float((sample.scores[~sample.nsfw] >= threshold).mean())


def recall_of(sample: Sample, threshold: float) -> float:
    """On the sample."""
    return float((sample.scores[sample.nsfw] >= threshold).mean())
