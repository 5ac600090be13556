"""Damaged prototxts and caffemodels, one after the other in one process with limits on its memory and on each one's time.

    python -m tests.tools.fuzz_nets --count 500 --seed 1

Each input is a good file of tests/data/nets with some of its bytes or words changed, doubled, cut or made huge. It is read,
checked, counted and converted. Whatever is not refused by a ModelError is a finding, and so is what takes more than
`SECONDS` or the memory of the process. Prints how many were read and refused; status 1 and the input if there is a finding.
"""

from __future__ import annotations

import argparse
import base64
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.nets.cost import cost_of
from open_nsfw.nets.onnx_graph import convert
from open_nsfw.nets.prototxt import read_prototxt
from open_nsfw.nets.read import read_net
from tests.tools.helpers import NETS

SECONDS = 10  # for one input
MEMORY = 1 << 30  # bytes of address space beyond what the libraries take
WORDS = [
    *(
        b"dim: 0",
        b"dim: -1",
        b"dim: 9223372036854775807",
        b"num_output: 4294967295",
        b"kernel_size: 0",
        b"pad: 4294967295",
    ),
    *(b"stride: 0", b"group: 0", b"axis: -9", b"top_k: 4294967295", b"tiles: -1", b"pyramid_height: 30", b"base: 0"),
    *(
        b"{",
        b"}",
        b'"',
        b"\\",
        b"#",
        b"layer {",
        b"layers {",
        b'bottom: "data"',
        b'top: "data"',
        b"global_pooling: true",
    ),
    *(
        b'name: "' + b"x" * 70_000 + b'"',
        b"dim: 2 " * 5_000,
        b"coeff: nan ",
        b"eps: inf",
        b"num_axes: -2",
        b"offset: 7",
    ),
]


def damaged(content: bytes, dice: random.Random) -> bytes:
    """The content after 1 to 6 changes."""
    for _ in range(dice.choice((1, 1, 1, 2, 6))):
        at, end = sorted(dice.randrange(len(content) + 1) for _ in range(2))
        end = min(end, at + dice.choice((0, 1, 8, 200)))
        piece = dice.choice(
            (b"", dice.choice(WORDS), bytes([dice.randrange(256)]), content[at:end] * dice.choice((2, 50)))
        )
        content = content[:at] + piece + content[end:]
    return content[: dice.randrange(len(content) + 1)] if dice.random() < 0.1 else content


def inputs(count: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """(prototxt, caffemodel), one of them damaged."""
    pairs = [
        (path.read_bytes(), path.with_suffix(".caffemodel").read_bytes()) for path in sorted(NETS.glob("*.prototxt"))
    ]
    dice = random.Random(seed)
    for _ in range(count):
        prototxt, weights = dice.choice(pairs)
        yield (damaged(prototxt, dice), weights) if dice.random() < 0.7 else (prototxt, damaged(weights, dice))


def use(model_def: Path, weights: Path) -> None:
    """All that is done with a stranger's net without running it."""
    cost_of(read_prototxt(model_def, data_layers=True))
    net = read_net(model_def, weights)
    convert(net, net.output_names[-1])


def late(number: int, frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def main() -> int:
    """The command line above."""
    parser = argparse.ArgumentParser(description="Damaged nets under limits of time and memory.")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, late)
    read, refused = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        model_def, weights = Path(folder, "net.prototxt"), Path(folder, "net.caffemodel")
        for number, (prototxt, blobs) in enumerate(inputs(options.count, options.seed)):
            model_def.write_bytes(prototxt)
            weights.write_bytes(blobs)
            signal.alarm(SECONDS)
            try:
                use(model_def, weights)
                read += 1
            except ModelError as error:
                refused += 1
                if len(str(error)) > 2000 or "\n" in str(error):
                    print(f"input {number}: a message of {len(str(error))} characters: {str(error)[:300]}")
                    return 1
            except (Exception, MemoryError) as error:  # noqa: BLE001  the finding
                packed = base64.b64encode(prototxt)[:2000].decode()
                print(f"input {number} of seed {options.seed}: {type(error).__name__}: {str(error)[:300]}\n{packed}")
                return 1
            finally:
                signal.alarm(0)
    print(f"{read} read, {refused} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
