"""Everybody whose speed throughput.py compares: this command in each of its ways, other packages, and what the machine
could do at best.

Each is something that takes a list of picture files and says how many seconds it took. What cannot run here is named
with the reason.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import machine
import peers

from open_nsfw.nets import build as build_net

MATRIX = 3072  # rows and columns of the product that shows the machine's arithmetic
CAFFE_PYTHON = "3.9"  # the only one that has a pycaffe to install
QUICK_ALONE = "1"  # a threshold that no quick score comes near: nothing is scored twice


@dataclass(frozen=True)
class Contender:
    """One row of the table."""

    name: str
    seconds: Callable[[Path, int], float]
    """Of a list of pictures (a file with a path a line, how many there are)."""
    share: float = 1.0
    """Of the pictures that it gets: the slowest would take minutes for all."""


def contenders() -> list[Contender]:
    """Everybody who can run here; says on stderr who cannot."""
    found = [Contender(f"{peer.requirement}, its loop", peer_seconds(peer), 0.5) for peer in peers.PEERS]
    found += [Contender(f"{peer.requirement}, whole process", peer_process(peer), 0.5) for peer in peers.PEERS]
    found += [
        Contender("classify_nsfw", ours()),
        Contender("classify_nsfw --fast", ours("--fast")),
        Contender("the quick score alone", ours("--fast", "--thresholds", QUICK_ALONE)),
        Contender("int8 alone, decoded in full, one at a time", ingredient("int8")),
        Contender("JPEG at reduced size alone, network in float32", ingredient("reduced")),
    ]
    if importlib.util.find_spec("openvino"):
        for precision in ("float32", "bfloat16", "int8"):
            name = f"classify_nsfw --engine openvino --precision {precision}"
            found.append(Contender(name, ours("--precision", precision, engine="openvino")))
    else:
        absent("--engine openvino", "OpenVINO is not installed: pip install 'openvino>=2024.0'")
    caffe = caffe_python()
    if caffe is not None:
        name = "classify_nsfw --engine caffe (real pycaffe), its start apart"
        found.append(Contender(name, without_start(engine="caffe", python=caffe), 0.5))
    if has_gpu():
        found.append(Contender("classify_nsfw --gpu", ours("--gpu")))
    else:
        absent("--gpu", "not measured: ONNX Runtime finds no CUDA here")
    return [*found, Contender("the network's sums alone, in a matrix product, float32", matrix_product)]


def absent(name: str, reason: str) -> None:
    """Say who does not run, among the results."""
    print(f"{name}: {reason}")


def command(listed: Path, *options: str, engine: str = "onnxruntime", python: str = sys.executable) -> list[str]:
    """This command on a list of files."""
    start = [python, str(ROOT / "classify_nsfw.py"), "--engine", engine, "--quiet", "--format", "jsonl"]
    return [*start, *options, "--from-list", str(listed)]


def ours(*options: str, engine: str = "onnxruntime", python: str = sys.executable) -> Callable[[Path, int], float]:
    """This command, the whole process."""
    return lambda listed, count: machine.run(command(listed, *options, engine=engine, python=python)).wall


def without_start(*options: str, engine: str, python: str) -> Callable[[Path, int], float]:
    """This command without what one picture takes it, start and all: libraries that take a second to load."""

    def seconds(listed: Path, count: int) -> float:
        one = listed.with_name("one")
        one.write_text(listed.read_text().splitlines()[0] + "\n")
        both = [machine.run(command(file, *options, engine=engine, python=python)).wall for file in (one, listed)]
        return (both[1] - both[0]) * count / (count - 1)

    return seconds


def rows(listed: Path, *options: str) -> list[dict[str, object]]:
    """What this command says of the pictures."""
    return [json.loads(line) for line in machine.run(command(listed, *options)).stdout.splitlines()]


def ingredient(name: str) -> Callable[[Path, int], float]:
    """One half of the fast mode by itself, the whole process."""
    script = str(Path(__file__).with_name("ingredient.py"))
    return lambda listed, count: machine.run([sys.executable, script, name, str(listed)]).wall


def peer_seconds(peer: peers.Peer) -> Callable[[Path, int], float]:
    """Another package's loop, with its model loaded."""
    start = [peers.python(peer), "-c", peer.score_many]
    return lambda listed, count: float(machine.run([*start, str(listed)]).stdout.split()[-1])


def peer_process(peer: peers.Peer) -> Callable[[Path, int], float]:
    """Another package as a whole process: start, model, and the same loop."""
    start = [peers.python(peer), "-c", peer.score_many]
    return lambda listed, count: machine.run([*start, str(listed)]).wall


def matrix_product(listed: Path, count: int) -> float:
    """Seconds that the multiply-adds of `count` pictures take in one large float32 product on all cores."""
    a, b = np.random.default_rng(0).random((2, MATRIX, MATRIX), dtype=np.float32)
    a @ b
    start = time.perf_counter()
    a @ b
    return (time.perf_counter() - start) * count * build_net.count(build_net.ResidualNet()).multiply_adds / MATRIX**3


def caffe_python() -> str | None:
    """A Python with this package and real pycaffe, installed once beside the peers."""
    interpreter = peers.FOLDER / "caffe" / "bin" / "python"
    if not interpreter.exists():
        found = subprocess.run([ROOT / ".ci" / "find-python", CAFFE_PYTHON], capture_output=True, text=True)
        if found.returncode != 0:
            absent("--engine caffe", f"not measured: there is no Python {CAFFE_PYTHON} here")
            return None
        print("installing real Caffe ...", file=sys.stderr)
        subprocess.run([found.stdout.strip(), "-m", "venv", str(interpreter.parent.parent)], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", f"{ROOT}[caffe]"], check=True)
    return str(interpreter)


def has_gpu() -> bool:
    """Whether ONNX Runtime could compute on one."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
