"""What limits a job of very many pictures on Spark: listing, the driver's memory, output files, each measured.

    python benchmarks/cluster_size.py [--counts 10000 100000]

The pictures are thumbnails, each under many names, and the network is one that computes next to nothing: what is left is what
Spark and the files cost. A task's memory is that of its Python worker and of its decoder, by their proportional share, at the
middle and at the end of one task over all pictures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import corpus
import machine
import memory
import peers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from open_nsfw.cluster import inputs
from open_nsfw.cluster.options import ScoreOptions
from open_nsfw.cluster.output import Going
from open_nsfw.cluster.run import JobRequest, run_in
from open_nsfw.cluster.session import SessionOptions, session
from open_nsfw.scoring.options import LoadOptions
from tests.tools.helpers import small_net, write_model
from tests.tools.processes import marked

A_FOLDER = 1000  # names


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    print(machine.describe() + "\n")
    thumbnails = corpus.thumbnails(peers.FOLDER / "pictures", 200)
    print("| pictures | listing | job | pictures/s | files | bytes a row | driver, MiB | again, with --resume |")
    print("|---" * 8 + "|")
    for count in options.counts:
        with tempfile.TemporaryDirectory() as folder:
            one_job(Path(folder), thumbnails, count)


def one_job(folder: Path, thumbnails: list[Path], count: int) -> None:
    """A row of the table."""
    for index in range(count):
        target = folder / "pictures" / f"{index // A_FOLDER:04d}" / f"{index:07d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(thumbnails[index % len(thumbnails)], target)
    (folder / "net").mkdir()
    _, model_def, _, weights = write_model(folder / "net", small_net())
    options = ScoreOptions(load=LoadOptions(model_def, weights))
    request = JobRequest((str(folder / "pictures"),), str(folder / "scores"), options=options)
    listing = [0.0]
    inputs.listing.list_files = timed(inputs.listing.list_files, listing)
    conf = (("spark.executorEnv.OPEN_NSFW_MARK", str(folder)),)
    with session(SessionOptions("benchmark", "local[2]", conf, quiet=True)) as spark, Watch(folder) as watch:
        started = time.perf_counter()
        outcome = run_in(spark, request)
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        run_in(spark, JobRequest(**{**vars(request), "going": Going(resume=True)}))
        again = time.perf_counter() - started
    size = sum(path.stat().st_size for path in (folder / "scores").glob("part-*"))
    print(
        f"| {count:,} | {listing[0]:.1f} s | {seconds:.0f} s | {count / seconds:.0f} | {outcome.files} | {size / count:.0f} "
        f"| {watch.driver:.0f} | {again:.0f} s |\n\nA task, MiB: {watch.early:.0f} early, {watch.late:.0f} late\n",
        flush=True,
    )
    shutil.rmtree(folder / "pictures")


def timed(call: Any, seconds: list[float]) -> Any:
    """`call`, which leaves its time in `seconds`."""

    def run(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            seconds[0] = time.perf_counter() - started

    return run


class Watch:
    """The memory of the driver (Python and JVM, at most) and of the tasks (their mean, early and late)."""

    def __init__(self, mark: Path) -> None:
        self._mark, self._over = mark, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._tasks: list[float] = []
        self.driver = 0.0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def early(self) -> float:
        """In the second tenth of all looks."""
        tenth = max(len(self._tasks) // 10, 1)
        return sum(self._tasks[tenth : 2 * tenth]) / tenth

    @property
    def late(self) -> float:
        """In the last tenth but one."""
        tenth = max(len(self._tasks) // 10, 1)
        return sum(self._tasks[-2 * tenth : -tenth]) / tenth

    def _look(self) -> None:
        java = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_java_child(int(pid))]
        while not self._over.wait(0.5):
            self.driver = max(self.driver, sum(shares([os.getpid(), *java])))
            tasks = shares(marked(self._mark))
            if tasks:
                self._tasks.append(sum(tasks) / 2)  # local[2] runs two at once


def shares(pids: list[int]) -> list[float]:
    """MiB of each process that is still there."""
    found = []
    for pid in pids:
        try:
            found.append(memory.share_of_memory(pid))
        except OSError:
            continue
    return found


def is_java_child(pid: int) -> bool:
    """Whether a process is the JVM that this one has started."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return "(java)" in stat and int(stat.rpartition(")")[2].split()[1]) == os.getpid()


if __name__ == "__main__":
    main()
