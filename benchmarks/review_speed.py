"""How long `open-nsfw review` takes with many pictures: to take rows in, to open again, and to move on.

    python benchmarks/review_speed.py [--pictures 100000]

The rows are of one picture under many names, hard links of one file, with hashes that differ; in the worst case, which is
measured, all of them are asked for. `open` is what the command does until it serves: open the store, see that the rows have not
changed, look whether every file is there, and give out the first picture. `move on` is one decision and the next picture, with
what is left, as the page asks for it: the median and the 99th percentile of 300. `processor` is the time on a processor, which
other programs do not lengthen much.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from open_nsfw.calibration.policy import Policy
from open_nsfw.review.design import Wishes
from open_nsfw.review.desk import Desk, Session
from open_nsfw.review.inputs import Rows
from open_nsfw.review.log import Decision
from open_nsfw.review.opening import prepare
from open_nsfw.review.options import DeskOptions
from open_nsfw.review.previews import Previews
from open_nsfw.review.serving import Wanted
from open_nsfw.review.store import Store, open_store
from open_nsfw.rows.lines import json_line
from open_nsfw.rows.row import Row

PICTURE = ROOT / "tests" / "data" / "pushed" / "0.500-rocket.jpg"
ALL = Wishes(policy=Policy((0.0, 1.0), model="m"))
MOVES = 300


def write_rows(folder: Path, pictures: int) -> Path:
    """The rows, and the files that they are about."""
    scores = np.random.default_rng(0).random(pictures)
    shutil.copy(PICTURE, folder / "picture.jpg")
    with open(folder / "rows.jsonl", "wb") as file:
        for number, score in enumerate(scores.tolist()):
            path = folder / f"{number // 1000}" / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            if number % 20_000 == 0:
                shutil.copy(PICTURE, folder / "picture.jpg.new")  # a file system bounds how many links a file has
                os.replace(folder / "picture.jpg.new", folder / "picture.jpg")
            os.link(folder / "picture.jpg", path)
            digest = hashlib.sha256(b"%d" % number).hexdigest()
            file.write(json_line(Row(str(path), score=score, sha256=digest, bytes=PICTURE.stat().st_size, model="m")))
    return folder / "rows.jsonl"


def opened(folder: Path, rows: Path) -> tuple[Store, str]:
    """The store, and how long it took until the first picture was given out."""
    began, processor = time.perf_counter(), time.process_time()
    store = open_store(str(folder / "review.sqlite"), create=True)
    prepare(store, Rows(str(rows), (str(folder),)), ALL)
    previews = Previews()
    desk = Desk(store, previews, None, DeskOptions())
    session = Session("first")
    desk.sit_down(session, "Anna")
    desk.next(session, Wanted())
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    previews.close()
    return store, f"{seconds:.2f} s (processor {processor:.2f} s)"


def moves(store: Store) -> tuple[list[float], list[float]]:
    """Seconds of each decision with what follows it, and seconds on a processor."""
    previews = Previews()
    desk, session = Desk(store, previews, None, DeskOptions(pictures=10 * MOVES)), Session("second")
    times, processor = [], []
    desk.sit_down(session, "Ben")
    (item, *_) = desk.next(session, Wanted(4))["items"]
    for _ in range(MOVES):
        began, busy = time.perf_counter(), time.thread_time()
        desk.decide(session, Decision(item["id"], "label", "nsfw", seconds=1.0))
        (item, *_) = desk.next(session, Wanted(4))["items"]
        times.append(time.perf_counter() - began)
        processor.append(time.thread_time() - busy)
    previews.close()
    return times, processor


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    pictures = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_rows(folder, pictures)
        store, first = opened(folder, rows)
        store.close()
        store, again = opened(folder, rows)
        times, processor = map(np.array, moves(store))
        store.close()
        size = (folder / "review.sqlite").stat().st_size
    print(f"{pictures:,} pictures, all of them asked for; the store has {size / 1e6:.0f} MB")
    print(f"take rows in and give out the first picture: {first}")
    print(f"open again and give out the first picture: {again}")
    for name, values in (("move on", times), ("move on, processor", processor)):
        print(f"{name}: {np.median(values) * 1000:.1f} ms, 99th percentile {np.quantile(values, 0.99) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
