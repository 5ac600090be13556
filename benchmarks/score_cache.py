"""What the cache of scores saves where it knows the pictures, and what it costs where it does not.

    python benchmarks/score_cache.py [--pictures 400] [--pairs 5]

Whole commands in three ways, in turn: without a cache, with one that is empty, with one that knows all pictures. A second
table is of the file: bytes an entry, and what an entry takes to be kept and found.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import corpus
import machine
import peers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from open_nsfw.rows.row import Row
from open_nsfw.scan.facts import Facts
from open_nsfw.scan.facts_json import to_bytes
from open_nsfw.scan.score_cache import ScoreCache

ENTRIES = 200_000
ENOUGH = 1 << 34  # bytes: nothing is removed


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    print(machine.describe() + "\n")
    paths = corpus.web_pictures(peers.FOLDER / "pictures", options.pictures)
    with tempfile.TemporaryDirectory() as folder:
        commands(paths, Path(folder), options.pairs)
        entries(str(Path(folder, "large")))


def commands(paths: list[Path], folder: Path, count: int) -> None:
    """The first table."""
    names, cache = folder / "list", folder / "cache"
    names.write_text("".join(f"{path}\n" for path in paths))
    command = [sys.executable, str(ROOT / "classify_nsfw.py"), "--from-list", str(names), "--quiet"]
    command += ["--engine", "onnxruntime", "--format", "jsonl", "--output", os.devnull]

    def empty() -> machine.Run:
        cache.unlink(missing_ok=True)
        return machine.run([*command, "--cache", str(cache)])

    misses = machine.pairs(count, lambda: machine.run(command), empty)
    hits = machine.pairs(count, lambda: machine.run(command), lambda: machine.run([*command, "--cache", str(cache)]))
    print("| web-sized pictures | pictures/s | ratio |\n|---|---|---|")
    ways = {
        "without a cache": ([plain for plain, _ in misses], 1.0),
        "with an empty one": ([run for _, run in misses], machine.median_ratio(misses, "wall")),
        "with one that knows them": ([run for _, run in hits], machine.median_ratio(hits, "wall")),
    }
    for name, (runs, ratio) in ways.items():
        print(f"| {name} | {len(paths) / machine.median(runs, 'wall'):,.1f} | {ratio:.2f} |")


def entries(path: str) -> None:
    """The second table."""
    row = Row("", score=0.0123456789012, exact=True, width=1280, height=960, format="JPEG")
    value = to_bytes(Facts((row,), None, True))
    context = os.urandom(16)
    keys = [os.urandom(32) for _ in range(ENTRIES)]
    with ScoreCache(path, ENOUGH) as cache:
        keep = _seconds(lambda key: cache.put(key, context, value), keys)
        find = _seconds(lambda key: cache.get(key, context), keys)
        miss = _seconds(lambda key: cache.get(key, context), [os.urandom(32) for _ in range(ENTRIES)])
    print(f"\n{ENTRIES:,} entries: {os.path.getsize(path) / ENTRIES:.0f} bytes each, in microseconds each:")
    print(f"to keep {keep * 1e6:.0f}, to find {find * 1e6:.0f}, to find that it is not there {miss * 1e6:.0f}")


def _seconds(work: object, keys: list[bytes]) -> float:
    """Of one call."""
    assert callable(work)
    started = time.perf_counter()
    for key in keys:
        work(key)
    return (time.perf_counter() - started) / len(keys)


if __name__ == "__main__":
    main()
