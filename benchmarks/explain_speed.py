"""What an explanation costs beside the plain score: pictures a second of each, and ratios.

    python benchmarks/explain_speed.py [--count 300] [--pairs 5]

Whole runs of the command with and without --explain, and of `open-nsfw explain`, which draws, on the same web-sized pictures in
turn; a ratio is the median over the pairs. Then single pictures in the library: the score, the explanation, occlusion, and
blurring until the score is below 0.2.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import corpus
import machine

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import open_nsfw
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.scan.blurring import blur_below

PUSHED = sorted((ROOT / "tests" / "data" / "pushed").glob("*.jpg"))
HIGH = [path for path in PUSHED if float(path.name[:5]) > 0.2]
ENGINE = ("--engine", "onnxruntime")


def whole_runs(folder: Path, count: int, pairs: int) -> None:
    """A table of the commands."""
    corpus.web_pictures(folder / "pictures", count)
    program = [sys.executable, str(ROOT / "classify_nsfw.py"), str(folder / "pictures"), *ENGINE, "--format", "jsonl"]
    explained = [
        sys.executable,
        "-m",
        "open_nsfw",
        "explain",
        str(folder / "pictures"),
        *ENGINE,
        "--quiet",
        "--overwrite",
    ]
    ways = {
        "`classify_nsfw`": [*program, "--quiet"],
        "`classify_nsfw --explain`": [*program, "--quiet", "--explain"],
        "`open-nsfw explain`": [*explained, "--output", str(folder / "why")],
    }
    plain = ways["`classify_nsfw`"]
    print(
        "| whole runs | pictures a second | time to the plain run's | processor time to the plain run's |\n|---|---|---|---|"
    )
    for name, command in ways.items():
        measured = machine.pairs(pairs, lambda command=command: machine.run(command), lambda: machine.run(plain))
        rate = count / machine.median([first for first, _ in measured], "wall")
        wall, cpu = (machine.median_ratio(measured, figure) for figure in ("wall", "cpu"))
        print(f"| {name} | {rate:.1f} | {wall:.2f} | {cpu:.2f} |", flush=True)


def seconds(work: Callable[[Path], object], paths: list[Path]) -> float:
    """The median over some pictures of the processor time that each takes in this process."""
    taken = []
    for path in paths:
        started = time.process_time()
        work(path)
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def single_pictures() -> None:
    """A table of the library's functions."""
    model = open_nsfw.load_model(engine="onnxruntime")
    exact, occluding = open_nsfw.Explainer(model), open_nsfw.Explainer(model, occlusion=True)
    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(whole=True), 60.0, watchdog)
    steps: list[int] = []

    def blur(path: Path) -> None:
        (picture,) = (found for found in worker.decode(str(path)) if isinstance(found, Picture))
        steps.append(len(blur_below(picture, exact.explain(path), exact, 0.2).cells))

    ways = {
        "score": (model.score, PUSHED),
        "explanation": (exact.explain, PUSHED),
        "occlusion, 50 passes": (occluding.explain, PUSHED[:5]),
        "blurring until the score is below 0.2": (blur, HIGH),
    }
    print(f"\n| one picture of {SIDE} x {SIDE} | processor time to the score's |\n|---|---|")
    plain = seconds(model.score, [*PUSHED, *PUSHED][1:])
    for name, (work, paths) in ways.items():
        work(paths[0])
        taken = seconds(work, paths) / plain
        note = f", {statistics.median(steps):g} cells in the median" if steps else ""
        print(f"| {name}{note} | {taken:.1f} |", flush=True)
    worker.close()
    watchdog.close()


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    print(machine.describe() + "\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        whole_runs(Path(folder), options.count, options.pairs)
    single_pictures()


if __name__ == "__main__":
    main()
