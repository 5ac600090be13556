"""--gpu without a GPU: the engine that takes batches, with the CPU's provider in CUDA's place, and the real network."""

from __future__ import annotations

from typing import Any

import pytest

from open_nsfw import LoadOptions, load_models
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scoring import onnx_engine
from open_nsfw.scoring.engine import Float32
from open_nsfw.scoring.onnx_engine import GPU_BATCH, OnnxRuntimeEngine
from open_nsfw.sources.item import Item
from tests.tools.helpers import DATA

COUNT = 80  # more than two batches


@pytest.fixture(name="sizes")
def _sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batches that the engine was given."""
    sizes: list[int] = []
    compute = OnnxRuntimeEngine._compute

    def recorded(self: OnnxRuntimeEngine, blob: Float32) -> Float32:
        sizes.append(len(blob))
        return compute(self, blob)

    monkeypatch.setattr(OnnxRuntimeEngine, "_compute", recorded)
    return sizes


def scores(gpu: int | None, jobs: int) -> dict[str, float | None]:
    """Of pushed pictures, whose scores are all over the range, each several times; by name, in the order of the rows."""
    pictures = sorted((DATA / "pushed").glob("*.jpg"))
    items = [Item(str(index), data=pictures[index % len(pictures)].read_bytes()) for index in range(COUNT)]
    with Pipeline(PipelineOptions(jobs)) as pipeline:
        pipeline.use(load_models(LoadOptions(engine="onnxruntime", gpu=gpu)))
        pipeline.start(items)
        return {row.path: row.score for each in pipeline.rows() for row in each}


@pytest.mark.parametrize("jobs", [1, 3])
def test_batches_reach_the_engine_and_rows_keep_their_order(
    jobs: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = scores(None, jobs)
    assert set(sizes) == {1}
    sizes.clear()
    monkeypatch.setattr(onnx_engine, "CUDA", "CPUExecutionProvider")
    in_batches = scores(0, jobs)
    assert list(in_batches) == list(one_by_one) == [str(index) for index in range(COUNT)]
    differences: list[Any] = [abs(in_batches[name] - one_by_one[name]) for name in one_by_one]  # type: ignore[operator]
    assert max(differences) <= 1e-6 and max(one_by_one.values()) > 0.5  # type: ignore[type-var]
    assert sum(sizes) == COUNT and len(sizes) < COUNT and max(sizes) <= GPU_BATCH
