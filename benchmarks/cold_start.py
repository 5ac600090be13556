"""From the start of the process to the score of one picture, against the other packages for the same network doing the
same, each in its own environment.

    python benchmarks/cold_start.py [--pairs 15] [--picture FILE]

Everybody runs once in each round; prints medians with the lowest and highest, and ratios to the fastest peer within the
round. All score a JPEG as people upload them; the converted model is in the cache, and a line shows what the first run of
all costs, which converts it. A second table says where the time of this command goes.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import peers

ROOT = Path(__file__).resolve().parent.parent
OURS = "classify_nsfw"
FIGURES = {"wall": "wall s", "cpu": "processor s", "peak": "peak MiB"}
SETTLE_SECONDS = 3  # the hash of a file is remembered once nothing has been written to it for 2 seconds (hashes.py)
Runs = dict[str, list[machine.Run]]


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--picture", default=str(ROOT / "tests" / "data" / "pictures" / "baseline.jpg"))
    options = parser.parse_args()
    compileall.compile_dir(ROOT / "open_nsfw", quiet=1)  # as pip does with what it installs
    commands = {peer.requirement: [peers.python(peer), "-c", peer.score_one, options.picture] for peer in peers.PEERS}
    rest = ["--engine", "onnxruntime", options.picture]
    commands[OURS] = [sys.executable, str(ROOT / "classify_nsfw.py"), *rest]
    print(f"{machine.describe()}; load {os.getloadavg()[0]:.1f}; {options.pairs} rounds, medians (lowest to highest)\n")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["OPEN_NSFW_CACHE"] = cache
        first = machine.run(commands[OURS])
        time.sleep(SETTLE_SECONDS)
        runs = rounds(commands, options.pairs)
        report(runs, first)
        phases = [where_time_goes(rest) for _ in range(options.pairs)]
        print_phases(phases)


def rounds(commands: dict[str, list[str]], count: int) -> Runs:
    """Everybody in turn, after one uncounted round, so that a machine that speeds up or slows down does so for all."""
    found: Runs = {name: [] for name in commands}
    for number in range(count + 1):
        for name, command in commands.items():
            run = machine.run(command)
            if number:
                found[name].append(run)
    return found


def report(runs: Runs, first: machine.Run) -> None:
    """Print the table of everybody."""
    fastest = min((name for name in runs if name != OURS), key=lambda name: machine.median(runs[name], "wall"))
    print(f"| start to score, one picture | {' | '.join(FIGURES.values())} |\n|---|---|---|---|")
    for name, each in runs.items():
        print(f"| {name} | " + " | ".join(spread([getattr(run, figure) for run in each]) for figure in FIGURES) + " |")
    pairs = list(zip(runs[OURS], runs[fastest]))
    ratios = " | ".join(f"{machine.median_ratio(pairs, figure):.2f}" for figure in FIGURES)
    print(f"| ratio to {fastest} | {ratios} |")
    more = first.wall - machine.median(runs[OURS], "wall")
    print(f"\nThe first run of all, which converts the model: {first.wall:.2f} s, {more:.2f} s more than the next.\n")


def spread(values: list[float]) -> str:
    """`0.14 (0.13 to 0.17)`, whole numbers from 10 on."""
    digits = 0 if min(values) >= 10 else 3
    low, middle, high = (f"{each:.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def where_time_goes(arguments: list[str]) -> dict[str, float]:
    """One run: milliseconds from its start to each station, in their order."""
    script = str(Path(__file__).with_name("start_phases.py"))
    start = time.monotonic()
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=True)
    end = time.monotonic()
    reached = {
        **json.loads(done.stderr.splitlines()[-1]),
        "process ended (by Python's own end, which the command spares)": end,
    }
    return {name: 1000 * (at - start) for name, at in sorted(reached.items(), key=lambda entry: entry[1])}


def print_phases(runs: list[dict[str, float]]) -> None:
    """Print the medians, each with what it took since the station before."""
    print("| station | ms since the start | ms since the one before |\n|---|---|---|")
    middle = {name: statistics.median(run[name] for run in runs if name in run) for name in runs[0]}
    before = 0.0
    for name, at in sorted(middle.items(), key=lambda entry: entry[1]):
        print(f"| {name} | {at:.0f} | {at - before:.0f} |")
        before = at


if __name__ == "__main__":
    main()
