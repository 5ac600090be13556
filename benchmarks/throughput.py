"""Pictures a second, this command against the other packages for the same network, on the same files in the same run.

    python benchmarks/throughput.py [--rounds 5] [--web 200] [--photo 24]
    python benchmarks/throughput.py --memory [--counts 1000 100000]

This command is timed as a whole process, its start included; a peer only by its loop, with its model loaded and a first
picture scored. Each round runs everybody once; a ratio is the median over the rounds of the ratio within the round.
`--memory` shows the peak memory, all processes together, against the number of pictures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import corpus
import machine
import peers

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.2


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--web", type=int, default=200, help="web-sized pictures")
    parser.add_argument("--photo", type=int, default=24, help="12-megapixel pictures")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 100_000])
    options = parser.parse_args()
    print(machine.describe() + f"; load {os.getloadavg()[0]:.1f}\n")
    pictures = peers.FOLDER / "pictures"
    if options.memory:
        return memory_table(corpus.thumbnails(pictures, 200), corpus.photo_pictures(pictures, 8), options.counts)
    sets = {
        "web": corpus.web_pictures(pictures, options.web),
        "photo": corpus.photo_pictures(pictures, options.photo),
    }
    speed_table({name: measure(paths, options.rounds) for name, paths in sets.items()})


def measure(paths: list[Path], rounds: int) -> dict[str, list[float]]:
    """Pictures a second of everybody, by round."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "list")
        listed.write_text("\n".join(map(str, paths)) + "\n")
        contenders = {peer.requirement: peer_run(peer, listed) for peer in peers.PEERS}
        contenders["classify_nsfw"] = our_run(listed)
        for contender in contenders.values():
            contender()  # fills caches, converts the model
        speeds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, contender in contenders.items():
                speeds[name].append(len(paths) / contender())
    return speeds


def peer_run(peer: peers.Peer, listed: Path) -> Callable[[], float]:
    """Seconds of a peer's loop."""
    command = [peers.python(peer), "-c", peer.score_many, str(listed)]
    return lambda: float(machine.run(command).stdout.split()[-1])


def our_command(listed: Path, *options: str) -> list[str]:
    """This command on a list of files."""
    command = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", "--quiet"]
    return [*command, "--format", "jsonl", *options, "--from-list", str(listed)]


def our_run(listed: Path, *options: str) -> Callable[[], float]:
    """Seconds of this command from start to end."""
    return lambda: machine.run(our_command(listed, *options)).wall


def speed_table(measured: dict[str, dict[str, list[float]]]) -> None:
    """Medians, and ratios against the fastest peer of the set."""
    print("| pictures a second | " + " | ".join(f"{name} | ratio" for name in measured) + " |")
    print("|---" * (1 + 2 * len(measured)) + "|")
    fastest = {name: fastest_peer(speeds) for name, speeds in measured.items()}
    for contender in next(iter(measured.values())):
        cells = []
        for name, speeds in measured.items():
            ratio = statistics.median(a / b for a, b in zip(speeds[contender], speeds[fastest[name]]))
            cells += [f"{statistics.median(speeds[contender]):.1f}", f"{ratio:.2f}"]
        print(f"| {contender} | " + " | ".join(cells) + " |")


def fastest_peer(speeds: dict[str, list[float]]) -> str:
    """The peer with the highest median."""
    names = {peer.requirement for peer in peers.PEERS}
    return max((name for name in speeds if name in names), key=lambda name: statistics.median(speeds[name]))


def memory_table(thumbnails: list[Path], photos: list[Path], counts: list[int]) -> None:
    """Peak memory by number of pictures."""
    print("| pictures | kind | peak MiB, all processes |\n|---|---|---|")
    for count in counts:
        print(f"| {count:,} | thumbnails | {peak_memory(thumbnails, count):.0f} |", flush=True)
    print(f"| 200 | 12 megapixels | {peak_memory(photos, 200):.0f} |")


def peak_memory(paths: list[Path], count: int) -> float:
    """MiB, the proportional share of all processes of one run over `count` pictures."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "list")
        listed.write_text("".join(f"{paths[index % len(paths)]}\n" for index in range(count)))
        process = subprocess.Popen(our_command(listed, "--output", str(Path(folder, "rows"))))
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
