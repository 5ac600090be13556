"""What a hundred million pictures cost on a cluster: hours and dollars, from pictures a second and core.

    python benchmarks/cluster_cost.py [--pictures 100000000] [--exact 60.0] [--fast 81.5] [--machine NAME,CORES,DOLLARS ...]

`--exact` and `--fast` are pictures a second on one core: by default half of what Spark does on two cores of an AMD EPYC
(benchmarks/cluster.py, docs/cluster.md). A machine is its name, the cores that score, and what an hour of it costs you. The
prices below are examples of the order that large providers ask for machines on demand; put in your own. A core of such a
machine is two hardware threads, which share an arithmetic unit.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

EXACT, FAST = 60.0, 81.5  # web-sized pictures a second and core: half of 119.9 and 163.0
MACHINES = ("16 threads,8,0.68", "64 threads,32,2.72", "192 threads,96,8.16")


@dataclass(frozen=True)
class Machine:
    """A kind of machine."""

    name: str
    cores: float
    dollars: float
    """An hour."""

    @classmethod
    def parse(cls, text: str) -> Machine:
        """From `NAME,CORES,DOLLARS`."""
        name, cores, dollars = text.rsplit(",", 2)
        return cls(name, float(cores), float(dollars))


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=float, default=1e8)
    parser.add_argument("--exact", type=float, default=EXACT)
    parser.add_argument("--fast", type=float, default=FAST)
    parser.add_argument("--machine", nargs="+", type=Machine.parse, default=[Machine.parse(each) for each in MACHINES])
    options = parser.parse_args()
    print(table(options.pictures, {"exact": options.exact, "fast": options.fast}, options.machine))


def table(pictures: float, rates: dict[str, float], machines: list[Machine]) -> str:
    """Hours of one machine, machines for one day, and dollars, for each way to score."""
    lines = [
        "| machine | cores | way | pictures/s | machine hours | machines for a day | dollars |",
        "|---|---|---|---|---|---|---|",
    ]
    for machine in machines:
        for way, rate in rates.items():
            speed = rate * machine.cores
            hours = pictures / speed / 3600
            cost = hours * machine.dollars
            lines.append(
                f"| {machine.name} | {machine.cores:g} | {way} | {speed:,.0f} | {hours:,.0f} | {hours / 24:.1f} | {cost:,.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
