"""How long `open-nsfw calibrate` takes on scores that are there already, bootstrap, plots and report included.

    python benchmarks/calibrate_speed.py [--scores 100000] [--runs 3]

The scores are simulated: normal logits, a tenth nsfw. Each run is a process of its own, from start to exit.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CHOICES = {
    "--bands": ("--bands", "0.2,0.8"),
    "--max-fpr --min-recall": ("--max-fpr", "0.01", "--min-recall", "0.95"),
    "--review-budget --cost": ("--review-budget", "0.05", "--cost", "fp=1,fn=20"),
}


def write_scores(path: Path, count: int) -> None:
    """CSV with `count` scores and labels."""
    random = np.random.default_rng(1)
    nsfw = random.random(count) < 0.1
    scores = 1 / (1 + np.exp(-random.normal(np.where(nsfw, 2, -3), 1.7)))
    lines = [f"{score!r},{'nsfw' if each else 'sfw'}" for score, each in zip(scores.tolist(), nsfw)]
    path.write_text("\n".join(["score,label", *lines, ""]))


def seconds(labels: Path, options: tuple[str, ...]) -> float:
    """One run of the command."""
    command = [sys.executable, "-m", "open_nsfw", "calibrate", str(labels), *options, "--quiet"]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT)
    return time.monotonic() - started


def main() -> None:
    """Print a line for each choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "scores.csv"
        write_scores(labels, options.scores)
        for name, choice in CHOICES.items():
            times = sorted(seconds(labels, choice) for _ in range(options.runs))
            print(f"{options.scores:,} scores, {name}: {times[len(times) // 2]:.1f} s (median of {options.runs})")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
