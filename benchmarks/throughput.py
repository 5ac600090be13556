"""Pictures a second: this command in each of its ways and other packages for the same network, on the same files in the
same run.

    python benchmarks/throughput.py [--rounds 3] [--sets web photo phone] [--web 400] [--photo 60] [--phone 40]

One picture in twenty is near enough to a threshold that the fast mode scores it twice. This command is timed as a whole
process, its start included; a peer by its loop alone, with its model loaded and a first picture scored, and as a whole
process, too. Peers and pycaffe get the first half of the pictures; pycaffe's start, of more than a second, is taken off. Each
round runs everybody once; figures are medians over the rounds, with the lowest and highest; a ratio is the median of the
ratios to the fastest peer's loop within the round. The last lines say what the pictures are, and whether the fast mode put
one on another side of a threshold than the exact one.
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=corpus.MADE, default=list(corpus.MADE))
    parser.add_argument("--web", type=int, default=400, help="web-sized pictures")
    parser.add_argument("--photo", type=int, default=60, help="12-megapixel pictures")
    parser.add_argument("--phone", type=int, default=40, help="12-megapixel pictures with grain in every pixel")
    options = parser.parse_args()
    print(machine.describe() + f"; load {os.getloadavg()[0]:.1f}\n", flush=True)
    everybody = contenders.contenders()
    measured, remarks = {}, []
    for name in options.sets:
        count = vars(options)[name]
        paths = corpus.MADE[name](peers.FOLDER / "pictures", int(count * MORE))
        chosen = corpus.one_in(TWICE, paths, scored_twice, count)
        measured[name] = measure(everybody, chosen, options.rounds)
        remarks.append(f"{name}: {corpus.described(chosen)}; {sides_changed(chosen)}")
    speed_table(measured)
    print("\n" + "\n".join(remarks))


def measure(everybody: list[contenders.Contender], paths: list[Path], rounds: int) -> dict[str, list[float]]:
    """Pictures a second of everybody, by round."""
    speeds: dict[str, list[float]] = {each.name: [] for each in everybody}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for each in everybody:
                mine = paths[: max(2, round(len(paths) * (each.share if number else 0.02)))]
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
    """Medians with the lowest and highest, and ratios to the fastest peer's loop."""
    print("| pictures a second | " + " | ".join(f"{name} | ratio" for name in measured) + " |")
    print("|---" * (1 + 2 * len(measured)) + "|")
    fastest = {name: fastest_peer(speeds) for name, speeds in measured.items()}
    for contender in next(iter(measured.values())):
        cells = []
        for name, speeds in measured.items():
            ratio = statistics.median(a / b for a, b in zip(speeds[contender], speeds[fastest[name]]))
            mine = speeds[contender]
            cells += [f"{statistics.median(mine):.1f} ({min(mine):.1f} to {max(mine):.1f})", f"{ratio:.2f}"]
        print(f"| {contender} | " + " | ".join(cells) + " |")


def fastest_peer(speeds: dict[str, list[float]]) -> str:
    """The peer whose loop has the highest median."""
    loops = [name for name in speeds if name.endswith("its loop")]
    return max(loops, key=lambda name: statistics.median(speeds[name]))


if __name__ == "__main__":
    main()
