"""Peak memory, all processes of a run together, against the number of pictures.

python benchmarks/memory.py [--counts 1000 100000] [--fast]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import contenders
import corpus
import machine
import peers

SAMPLE_SECONDS = 0.2


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--fast", action="store_true", help="in the fast mode, which holds two networks")
    options = parser.parse_args()
    print(machine.describe() + "\n")
    pictures = peers.FOLDER / "pictures"
    memory_table(
        corpus.thumbnails(pictures, 200), corpus.photo_pictures(pictures, 8), options.counts, ["--fast"] * options.fast
    )


def memory_table(thumbnails: list[Path], photos: list[Path], counts: list[int], ways: list[str]) -> None:
    """Peak memory by number of pictures."""
    print("| pictures | kind | peak MiB, all processes |\n|---|---|---|")
    for count in counts:
        print(f"| {count:,} | thumbnails | {peak_memory(thumbnails, count, ways):.0f} |", flush=True)
    print(f"| 200 | 12 megapixels | {peak_memory(photos, 200, ways):.0f} |")


def peak_memory(paths: list[Path], count: int, ways: list[str]) -> float:
    """MiB, the proportional share of all processes of one run over `count` pictures."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "list")
        listed.write_text("".join(f"{paths[index % len(paths)]}\n" for index in range(count)))
        process = subprocess.Popen(contenders.command(listed, *ways, "--output", str(Path(folder, "rows"))))
        peak = [0.0]
        watcher = threading.Thread(target=watch, args=(process, peak))
        watcher.start()
        if process.wait() != 0:
            raise SystemExit(f"the command failed with {process.returncode}")
        watcher.join()
    return peak[0]


def watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    """Keep the highest sum of what the process and its children hold."""
    while process.poll() is None:
        try:  # each thread has children of its own
            lists = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
            found = [process.pid, *map(int, " ".join(lists).split())]
            peak[0] = max(peak[0], sum(share_of_memory(each) for each in found))
        except (OSError, ValueError):
            pass  # gone between two looks
        time.sleep(SAMPLE_SECONDS)


def share_of_memory(pid: int) -> float:
    """A process's proportional set size in MiB: shared pages count in parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
