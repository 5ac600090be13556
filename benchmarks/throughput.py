"""Pictures a second: this command in each of its ways and other packages for the same network, on the same files in the
same run.

    python benchmarks/throughput.py [--rounds 5] [--web 2000] [--photo 320]

One picture in twenty is near enough to a threshold that the fast mode scores it twice. This command is timed as a whole
process, its start included; a peer only by its loop, with its model loaded and a first picture scored. Each round runs
everybody once; a ratio is the median over the rounds of the ratio to the fastest peer within the round. The last line
says whether the fast mode put a picture on another side of a threshold than the exact one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import contenders
import corpus
import machine
import peers

TWICE = 20  # one picture in so many is scored twice
MORE = 1.6  # so many times the pictures are made to choose from
THRESHOLDS = (0.2, 0.8)


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--web", type=int, default=2000, help="web-sized pictures")
    parser.add_argument("--photo", type=int, default=320, help="12-megapixel pictures")
    options = parser.parse_args()
    print(machine.describe() + f"; load {os.getloadavg()[0]:.1f}\n", flush=True)
    everybody = contenders.contenders()
    made = {"web": corpus.web_pictures, "photo": corpus.photo_pictures}
    measured, sides = {}, []
    for name, count in (("web", options.web), ("photo", options.photo)):
        paths = made[name](peers.FOLDER / "pictures", int(count * MORE))
        chosen = corpus.one_in(TWICE, paths, scored_twice, count)
        measured[name] = measure(everybody, chosen, options.rounds)
        sides.append(f"{name}: {sides_changed(chosen)}")
    speed_table(measured)
    print("\n" + "; ".join(sides))


def measure(everybody: list[contenders.Contender], paths: list[Path], rounds: int) -> dict[str, list[float]]:
    """Pictures a second of everybody, by round."""
    speeds: dict[str, list[float]] = {each.name: [] for each in everybody}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for each in everybody:
                mine = paths[: max(1, round(len(paths) * (each.share if number else 0.02)))]
                speed = len(mine) / each.seconds(listed(folder, mine), len(mine))
                if number:  # before that, caches are filled and models converted
                    speeds[each.name].append(speed)
                    print(f"round {number}: {each.name}: {speed:.1f} pictures/s", file=sys.stderr, flush=True)
    return speeds


def listed(folder: str, paths: list[Path]) -> Path:
    """A file with a path a line."""
    file = Path(folder, "list")
    file.write_text("\n".join(map(str, paths)) + "\n")
    return file


def scored_twice(paths: list[Path]) -> set[Path]:
    """Those that the fast mode scores exactly, too."""
    with tempfile.TemporaryDirectory() as folder:
        return {Path(str(row["path"])) for row in contenders.rows(listed(folder, paths), "--fast") if row["exact"]}


def sides_changed(paths: list[Path]) -> str:
    """How many of the pictures the fast mode puts on another side of a threshold."""
    with tempfile.TemporaryDirectory() as folder:
        file = listed(folder, paths)
        both = [contenders.rows(file), contenders.rows(file, "--fast")]
    sides = [[[row["score"] >= threshold for threshold in THRESHOLDS] for row in rows] for rows in both]
    changed, twice = sum(a != b for a, b in zip(*sides)), sum(bool(row["exact"]) for row in both[1])
    return f"{len(paths)} pictures, {twice} scored twice, {changed} on another side of a threshold"


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
    names = tuple(peer.requirement for peer in peers.PEERS)
    return max((name for name in speeds if name.startswith(names)), key=lambda name: statistics.median(speeds[name]))


if __name__ == "__main__":
    main()
