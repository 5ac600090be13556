"""Damaged prototxts and caffemodels: read as a net, or refused with a ModelError of one line, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from open_nsfw.errors import ModelError
from open_nsfw.nets.read import read_net
from tests.tools.helpers import NETS, examples

PROTOTXT = (NETS / "reshaping.prototxt").read_bytes()
WEIGHTS = (NETS / "reshaping.caffemodel").read_bytes()
WORDS = [
    b"dim: 0",
    b"dim: -1",
    b"axis: -9",
    b"num_output: 0",
    b"stride: 0",
    b"kernel_size: 99",
    b"group: 0",
    b"{",
    b"}",
]
MODEST = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])

edits = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 60), st.one_of(st.binary(max_size=8), st.sampled_from(WORDS))),
    max_size=4,
)


def edited(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The data with some stretches replaced."""
    for start, length, replacement in changes:
        start %= len(data) + 1
        data = data[:start] + replacement + data[start + length :]
    return data


def read(prototxt: bytes, weights: bytes) -> None:
    """Read the net; a refusal must be one line."""
    with tempfile.TemporaryDirectory() as folder:
        model_def, pretrained_model = Path(folder, "deploy.prototxt"), Path(folder, "net.caffemodel")
        model_def.write_bytes(prototxt)
        pretrained_model.write_bytes(weights)
        try:
            read_net(model_def, pretrained_model)
        except ModelError as error:
            assert len(str(error).splitlines()) == 1, str(error)


@MODEST
@given(changes=edits)
@example(changes=[(0, 5000, b"")])
@example(changes=[(118, 0, b"\\\x00"), (0, 0, b"0")])  # an escape that protobuf's Python part warns about
def test_damaged_prototxt(changes: list[tuple[int, int, bytes]]) -> None:
    """Bytes lost, added, replaced, and values that no layer can have."""
    read(edited(PROTOTXT, changes), WEIGHTS)


@MODEST
@given(changes=edits)
@example(changes=[(0, 5000, b"")])
def test_damaged_caffemodel(changes: list[tuple[int, int, bytes]]) -> None:
    """The same in the wire format."""
    read(PROTOTXT, edited(WEIGHTS, changes))


@MODEST
@given(length=st.integers(0, len(WEIGHTS) - 1))
def test_truncated_caffemodel(length: int) -> None:
    """Cut anywhere."""
    read(PROTOTXT, WEIGHTS[:length])
