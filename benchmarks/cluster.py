"""Pictures a second on Spark: two cores of this machine against classify_nsfw in the same run, and two workers against one.

    python benchmarks/cluster.py [--rounds 3] [--web 2000] [--scaling 4800]

The start of the session is not counted, nor a first job of a few pictures that starts Spark's Python workers; all of every
other job is: listing, tasks, and the count of rows at the end. classify_nsfw is timed as a whole process. A ratio is the median
over the rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import contenders
import corpus
import machine
import peers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from open_nsfw.cluster.options import ScoreOptions
from open_nsfw.cluster.run import JobRequest, run_in
from open_nsfw.cluster.session import SessionOptions, session
from open_nsfw.scoring.options import LoadOptions
from tests.tools.spark_cluster import cluster

FIRST = 16  # pictures of the job that starts the Python workers
WAYS = {"exact": [], "fast": ["--fast"]}


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--web", type=int, default=2000, help="web-sized pictures for local[2]")
    parser.add_argument("--scaling", type=int, default=4800, help="web-sized pictures for one and two workers")
    options = parser.parse_args()
    print(machine.describe() + f"; load {os.getloadavg()[0]:.1f}\n", flush=True)
    pictures = corpus.web_pictures(peers.FOLDER / "pictures", max(options.web, options.scaling))
    with tempfile.TemporaryDirectory() as folder:
        if options.web:
            against_the_command(Path(folder), pictures[: options.web], options.rounds)
        if options.scaling:
            one_and_two_workers(Path(folder), pictures[: options.scaling], options.rounds)


def linked(folder: Path, name: str, pictures: list[Path]) -> Path:
    """A folder with these pictures."""
    target = folder / name
    target.mkdir()
    for path in pictures:
        os.link(path, target / path.name)
    return target


def seconds(spark: Any, pictures: Path, folder: Path, fast: bool = False) -> float:
    """Of a job on a folder."""
    target = folder / "scores"
    started = time.perf_counter()
    run_in(spark, JobRequest((str(pictures),), str(target), options=ScoreOptions(load=LoadOptions(fast=fast))))
    passed = time.perf_counter() - started
    shutil.rmtree(target)
    return passed


def against_the_command(folder: Path, pictures: list[Path], rounds: int) -> None:
    """`local[2]` and classify_nsfw, in turn."""
    many, few = linked(folder, "many", pictures), linked(folder, "few", pictures[:FIRST])
    (folder / "list").write_text("".join(f"{path}\n" for path in sorted(many.iterdir())))
    print("| pictures a second | classify_nsfw | local[2] | ratio |\n|---|---|---|---|")
    with session(SessionOptions("benchmark", "local[2]", quiet=True)) as spark:
        for way, options in WAYS.items():
            seconds(spark, few, folder, way == "fast")
            machine.run(contenders.command(folder / "list", *options))
            pairs = []
            for _ in range(rounds):
                alone = machine.run(contenders.command(folder / "list", *options)).wall
                pairs.append((alone, seconds(spark, many, folder, way == "fast")))
            count = len(pictures)
            speeds = [statistics.median(count / each for each in column) for column in zip(*pairs)]
            ratio = statistics.median(alone / ours for alone, ours in pairs)
            print(f"| {way} | {speeds[0]:.1f} | {speeds[1]:.1f} | {ratio:.2f} |", flush=True)


def one_and_two_workers(folder: Path, pictures: list[Path], rounds: int) -> None:
    """Standalone clusters of one and of two workers with a core each, in turn."""
    many, few = linked(folder, "some", pictures), linked(folder, "first", pictures[:FIRST])
    found: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for workers in found:
            with cluster(folder / f"cluster-{number}-{workers}", workers) as one:
                with session(SessionOptions("benchmark", one.url, quiet=True)) as spark:
                    seconds(spark, few, folder)
                    found[workers].append(seconds(spark, many, folder))
    ratio = statistics.median(one / two for one, two in zip(found[1], found[2]))
    speeds = [statistics.median(len(pictures) / each for each in found[workers]) for workers in found]
    print(f"\none worker {speeds[0]:.1f} pictures/s, two workers {speeds[1]:.1f}: {ratio:.2f} times")


if __name__ == "__main__":
    main()
