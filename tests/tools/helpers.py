"""What several test modules need: running the command, small nets, planted modules."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.nets import schema as caffe_schema

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "classify_nsfw.py"
MODEL_DEF = ROOT / "nsfw_model" / "deploy.prototxt"
WEIGHTS = ROOT / "nsfw_model" / "resnet_50_1by2_nsfw.caffemodel"
DATA = ROOT / "tests" / "data"
NETS = DATA / "nets"
PICTURE = DATA / "pushed" / "0.500-rocket.jpg"  # in git, so that no other package is needed to have a picture
OTHER_PICTURE = DATA / "pictures" / "rgb.png"

SECONDS = 120  # no single run of the command may take longer, however busy the machine

SUMMARY = re.compile(
    r"classify_nsfw: ([\d,]+) scored \([\d,]+ below 0\.2, [\d,]+ in the middle, [\d,]+ at 0\.8 or above\)"
    r"(?:, [\w, ]+ --(?:fail|move|copy)-above [\d.]+)*"
    r", ([\d,]+) failed(?:; [\d,]+ of them by earlier runs)?(?:; [\d,]+ known by content)?"
    r"; [\d.]+ pictures/s(; [\d,]+ other files passed over)?"
)

FUZZ = os.environ.get("FUZZ")  # how many times as many examples; conftest.py makes them fresh ones then

_SPEC = importlib.util.find_spec("caffe")
HAS_CAFFE = _SPEC is not None and _SPEC.origin is not None
needs_caffe = pytest.mark.skipif(not HAS_CAFFE, reason="pycaffe is not installed in this interpreter")
without_caffe = pytest.mark.skipif(HAS_CAFFE, reason="pycaffe is installed in this interpreter")


def examples(count: int) -> int:
    """How many examples a hypothesis test tries that usually tries `count`."""
    return count * int(FUZZ or 1)


def engines() -> list[str]:
    """The engines that this interpreter has."""
    return ["onnxruntime", "caffe"] if HAS_CAFFE else ["onnxruntime"]


@dataclass(frozen=True)
class Result:
    """What a run of the command left behind."""

    status: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr before the summary, which must be there."""
        *lines, last = self.err.splitlines()
        assert SUMMARY.fullmatch(last), self.err
        return lines

    @property
    def counts(self) -> tuple[int, int]:
        """(scored, failed) by the summary."""
        found = SUMMARY.fullmatch(self.err.splitlines()[-1])
        assert found, self.err
        return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


def run_command(
    *arguments: str | os.PathLike[str],
    cwd: Path = ROOT,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes = b"",
    script: str = str(SCRIPT),
    under: Sequence[str] = (),
) -> Result:
    """`python SCRIPT ARGUMENTS` in a process of its own, started by the command `under`; a variable of `env` that is None
    is taken out."""
    variables: dict[str, str | None] = {**os.environ, **(env or {})}
    kept = {name: value for name, value in variables.items() if value is not None}
    line = [*under, sys.executable, script, *map(os.fspath, arguments)]
    done = subprocess.run(line, cwd=cwd, env=kept, input=stdin, capture_output=True, timeout=SECONDS, check=False)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def score_of(line: str) -> float:
    """The number of a line of the command that carries no path."""
    found = re.fullmatch(r"NSFW score: (\S+)\n", line)
    assert found, line
    assert found[1] == f"{float(found[1]):.12g}"
    return float(found[1])


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, for a while."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def peak_of(code: str, *arguments: str) -> tuple[int, bytes]:
    """KiB at most in memory of a process that runs `code`, and what it printed."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("there is no /proc here to read a process's peak memory from")
    # Not getrusage(), which begins with what the parent had when it forked.
    code += "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, check=True)
    *output, peak = done.stdout.split(b"\n")[:-1]
    return int(peak), b"\n".join(output)


# ------------------------------------------------------------------------------------------------------- small models


def small_net(
    channels: int = 3, height: int = 224, width: int = 224, outputs: int = 2, top: str = "prob", kind: str = "Softmax"
) -> str:
    """A prototxt of a net that is computed in no time: 1 x 1 convolution "c", mean over all pixels "p", `top`."""
    dims = " ".join(f"dim: {side}" for side in (1, channels, height, width))
    convolution = f"convolution_param {{ num_output: {outputs} kernel_size: 1 }}"
    return f"""\
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}
layer {{ name: "c" type: "Convolution" bottom: "data" top: "c" {convolution} }}
layer {{ name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{ name: "last" type: "{kind}" bottom: "p" top: "{top}" }}
"""


def caffemodel(layers: Mapping[str, Sequence[Any]]) -> bytes:
    """A caffemodel's bytes: layer name -> its blobs, as arrays."""
    message = caffe_schema.NetParameter()
    for name, blobs in layers.items():
        layer = message.layer.add(name=name, type="Convolution")
        for values in blobs:
            array = np.asarray(values, dtype="<f4")
            layer.blobs.add(data=[array.tobytes()]).shape.dim.extend(array.shape)
    data: bytes = message.SerializeToString()
    return data


def ones(*shape: int) -> Any:
    """Weights of this shape, small and all alike."""
    return np.full(shape, 0.01, np.float32)


SMALL_WEIGHTS = {"c": [ones(2, 3, 1, 1), ones(2)]}


def write_model(folder: Path, prototxt: str, weights: bytes | None = None) -> list[str]:
    """Put both files into `folder`; the command's options that name them."""
    model_def, pretrained = folder / "net.prototxt", folder / "net.caffemodel"
    model_def.write_text(prototxt)
    pretrained.write_bytes(caffemodel(SMALL_WEIGHTS) if weights is None else weights)
    return ["--model_def", str(model_def), "--pretrained_model", str(pretrained)]


def interrupted(module: str, milliseconds: int, *arguments: object) -> tuple[int, str]:
    """Exit status and stderr of `module.command()`, as the installed command calls it, with a SIGINT so long after its
    first act; what comes before is Python's own start."""
    code = f"import sys, {module} as module; main = module.main; sys.argv[0] = 'command'\n"
    code += "module.main = lambda: (print('.', flush=True), main())[1]\nsys.exit(module.command())"
    line = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    return process.returncode, err


# ----------------------------------------------------------------------------------------------------- planted things


def plant_module(folder: Path, name: str, source: str) -> dict[str, str]:
    """A package `name` in `folder`; the environment in which it is found before any installed one."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(source)
    return {"PYTHONPATH": str(folder)}


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be so large and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def terminal_output(arguments: list[str]) -> str:
    """What a command prints on stderr when that is a terminal."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))  # or there is no room for a bar
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    output = b""
    while True:
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        output += chunk
    os.close(controller)
    process.wait(SECONDS)
    return output.decode()
