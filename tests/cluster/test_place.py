"""Layers below the head, trained by tasks of a barrier stage, come to what one process comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed in this interpreter")
pytest.importorskip("torch", reason="torch is not installed in this interpreter")

from open_nsfw.cluster.group import interface_of
from open_nsfw.cluster.place import ClusterPlace
from open_nsfw.errors import SetupError
from open_nsfw.training.place import Place
from tests.tools import train_on_cluster
from tests.tools.train_on_cluster import TABLE, make, train

pytestmark = [pytest.mark.spark, pytest.mark.torch]

EPOCHS = 2
NOISE = 2e-6  # of float32, over so many steps; weights are about 0.1


def test_two_tasks_come_to_what_one_process_comes_to(spark: Any, tmp_path: Path) -> None:
    """Weights, velocity, average, losses and logits of each epoch; then the scores by the new weights."""
    make(tmp_path)
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    train(tmp_path, Place(), one, EPOCHS)
    train(tmp_path, ClusterPlace(spark, str(tmp_path / TABLE), "tests", 2), two, EPOCHS)
    with np.load(one) as expected, np.load(two) as found:
        assert found.files == expected.files
        assert len(found["losses"]) == EPOCHS and len(found["logits"]) == EPOCHS + 1
        for name in expected.files:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=NOISE, err_msg=name)
        assert any((found[name] != start).any() for name, start in _start(tmp_path, expected.files))
    np.testing.assert_allclose(np.load(two.with_suffix(".npy")), np.load(one.with_suffix(".npy")), atol=1e-4)


def _start(folder: Path, names: list[str]) -> list[tuple[str, Any]]:
    from open_nsfw.nets.caffemodel import read_caffemodel

    blobs = read_caffemodel(folder / "net.caffemodel")
    parts = [name.split("/", 2) for name in names if name.startswith("weights/")]
    return [("/".join(part), blobs[part[2]][int(part[1])]) for part in parts if "fc" not in part[2]]


def test_what_this_package_says_is_not_tried_again(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that lacks a picture is a fault that a second attempt would have, too: it comes out at once."""
    make(tmp_path)
    names = (tmp_path / "names").read_text().split()
    (tmp_path / "names").write_text("\n".join([*names[:-1], "0" * 64]))
    monkeypatch.setattr(train_on_cluster, "VIEWS", 2)
    place = ClusterPlace(spark, str(tmp_path / TABLE), "tests", 2)
    with pytest.raises(SetupError, match="1 of the pictures to learn from .*are in no task; the table"):
        train(tmp_path, place, tmp_path / "state.npz", 0)


def test_the_interface_of_an_address() -> None:
    """Gloo is told the one that has it; loopback where none has."""
    assert interface_of("127.0.0.1") == interface_of("no.such.host.invalid")
