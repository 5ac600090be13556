"""How long each phase of `open-nsfw fine-tune` takes, beside the rate of the forward pass alone, and its peak memory.

    python benchmarks/fine_tune_speed.py [--count 1000] [--side 960] [--train head] [--small]

The pictures are made as tests/tools/make_shapes_folder.py makes them, web-sized. The phases are timed where the command calls
them, in a process of its own. --small makes the shapes small, which the head alone does not learn; --train stage3 needs
torch.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from open_nsfw.scoring.blobs import BlobEngine
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.training import fine_tune, output
from open_nsfw.training.request import TuneRequest
from tests.tools.make_shapes_folder import LARGE, SMALL, make

PHASES = {
    "extract": "decoding and features",
    "split": "groups and split",
    "tune_head": "fitting the head",
    "take_steps": "training below the head",
    "compare": "measuring",
    "check_files": "checking the files",
    "measure_ranges": "ranges for the fast mode",
    "write": "writing, report included",
}
FORWARD_PASSES = 30


def timed(call: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """`call`, which leaves its time in `seconds`."""

    def run(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started

    return run


def run_phases(labels: str, folder: str, train: str) -> dict[str, float]:
    """Seconds of each phase of one run."""
    seconds: dict[str, float] = {}
    for name in PHASES:
        module: Any = output if name == "write" else fine_tune
        setattr(module, name, timed(getattr(module, name), name, seconds))
    started = time.perf_counter()
    result = fine_tune.fine_tune(TuneRequest(labels, folder, train, max_fpr=0.05))
    assert not isinstance(result, int)
    output.write(result)
    return {**seconds, "total": time.perf_counter() - started}


def forward_rate() -> float:
    """Pictures a second of the forward pass alone, on all cores."""
    engine = BlobEngine(find_model_files(), ["pool"])
    blob = np.zeros((1, *engine.input_shape), np.float32)
    engine.compute(blob)
    started = time.perf_counter()
    for _ in range(FORWARD_PASSES):
        engine.compute(blob)
    return FORWARD_PASSES / (time.perf_counter() - started)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--side", type=int, default=960)
    parser.add_argument("--train", default="head")
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--phases", nargs=2, metavar=("LABELS", "DIR"), help=argparse.SUPPRESS
    )  # the process of its own
    options = parser.parse_args()
    if options.phases:
        print(json.dumps(run_phases(*options.phases, options.train)))
        return
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, "labelled")
        make(labels, options.count, options.side, kind=SMALL if options.small else LARGE)
        line = [sys.executable, __file__, "--train", options.train, "--phases", str(labels), str(Path(folder, "out"))]
        found = machine.run(line)
    seconds: dict[str, float] = json.loads(found.stdout)
    print(machine.describe() + "\n\n| phase | seconds | pictures a second |\n|---|---|---|")
    for name, words in {**PHASES, "total": "all"}.items():
        print(f"| {words} | {seconds[name]:.1f} | {options.count / seconds[name]:.0f} |")
    print(f"| the forward pass alone | | {forward_rate():.0f} |")
    print(f"\npeak memory of the largest process: {found.peak:.0f} MiB")


if __name__ == "__main__":
    main()
