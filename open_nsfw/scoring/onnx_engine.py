"""ONNX Runtime as an engine: the caffemodel, converted once and kept in the user's cache, computes Caffe's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from open_nsfw.errors import EngineError, ModelError
from open_nsfw.installing import libraries, pip_command
from open_nsfw.pictures.pixels import MEAN_BGR
from open_nsfw.scoring import layout
from open_nsfw.scoring.cache import cached, float_key, laid_out_key
from open_nsfw.scoring.engine import BlobSource, Engine, Float32, output_name
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.onnx_runtime import (
    CPU,
    CUDA,
    Provider,
    import_onnxruntime,
    open_session,
    run_session,
)
from open_nsfw.scoring.processor import features, name_of

if TYPE_CHECKING:
    from open_nsfw.nets.net import Net

GPU_BATCH = 32  # inputs that a GPU takes at once; on a CPU batches gain nothing

# Between the folded and the unfolded graph, before a last softmax, relative to the largest value there. Rounding is
# worth 4e-7 with Yahoo's net; weights of one layer that are 5 % off are worth 0.01 and more.
PROBE_TOLERANCE = 1e-3
PROBE_SEED = 2016


class OnnxRuntimeEngine(Engine):
    """ONNX Runtime on the converted model."""

    name = "onnxruntime"
    concurrent = True

    def __init__(self, files: ModelFiles, gpu: int | None = None, threads: int | None = None) -> None:
        _providers(gpu)  # raises EngineError before the net is converted
        self.files, self.model_def, self.model_hash = files, str(files.model_def), files.short_hash
        self.made_from = "" if gpu is None else "gpu"
        self.concurrent, self.batch_size = (True, 1) if gpu is None else (False, GPU_BATCH)
        self._gpu, self._threads = gpu, threads
        self._session = _open(_model(files, gpu), gpu, threads)
        (model_input,), (model_output,) = self._session.get_inputs(), self._session.get_outputs()
        self._input = model_input.name
        self.input_shape = tuple(model_input.shape[1:])
        self.output_name = model_output.name[len("output_") :]

    def _compute(self, blob: Float32) -> Float32:
        return run_session(self._session, {self._input: blob})[0]

    def with_blobs(self, names: Sequence[str]) -> BlobSource:
        model = _model(self.files, self._gpu, names)
        return OnnxBlobs(_open(model, self._gpu, self._threads))


class OnnxBlobs(BlobSource):
    """A session on a converted model of several outputs."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._names = [output.name[len("output_") :] for output in session.get_outputs()]

    def blobs(self, blob: Float32) -> dict[str, Float32]:
        return dict(zip(self._names, run_session(self._session, {self._input: blob})))


def _providers(gpu: int | None) -> tuple[Provider, ...]:
    if gpu is None:
        return (CPU,)
    if CUDA not in import_onnxruntime().get_available_providers():
        pip = pip_command()
        raise EngineError(
            "--gpu: this ONNX Runtime has no CUDA; put the GPU build in its place: "
            f"{pip} uninstall --yes onnxruntime && {pip} install --force-reinstall {libraries('gpu')}"
        )
    return ((CUDA, {"device_id": gpu, "use_tf32": 0}),)  # TF32 would cost the score its digits


def _open(model: Path | bytes, gpu: int | None, threads: int | None) -> Any:
    session = open_session(model, threads, _providers(gpu))
    if gpu is not None and session.get_providers()[0] != CUDA:  # it leaves out what does not start
        raise EngineError(f"--gpu {gpu}: CUDA could not be started; see `nvidia-smi` for the driver")
    return session


def _model(files: ModelFiles, gpu: int | None, blobs: Sequence[str] = ()) -> Path | bytes:
    return laid_out_model(files, blobs) if gpu is None else converted_model(files, blobs)


def converted_model(files: ModelFiles, blobs: Sequence[str] = ()) -> Path | bytes:
    """The net as an ONNX model, from the cache or converted now: a path, or the bytes where there is no place to keep
    it. It gives its output, and behind that the `blobs`."""
    return cached(float_key(files, blobs), ".onnx", lambda: _convert(files, blobs))


def laid_out_model(files: ModelFiles, blobs: Sequence[str] = ()) -> Path | bytes:
    """The net as ONNX Runtime lays it out for this processor, or as it was converted where that cannot be kept, which loads
    more slowly and computes the same."""
    key = laid_out_key(files, import_onnxruntime().__version__, name_of(features()), blobs)
    found = layout.find_kept(key)
    if found is not None:
        return found
    converted = converted_model(files, blobs)
    return layout.keep(key, converted) if isinstance(converted, Path) else converted


def _convert(files: ModelFiles, blobs: Sequence[str]) -> bytes:
    """Convert, and check the result: read back, its folded weights must compute what the unfolded layers compute."""
    from open_nsfw.nets import onnx_graph
    from open_nsfw.nets.onnx_nodes import input_tensor
    from open_nsfw.nets.read import read_net

    net = read_net(files.model_def, files.pretrained_model)
    try:
        output = output_name(net.blob_names, net.output_names)
        checked = before_softmax(net, output)
        converted = onnx_graph.convert_blobs(net, [output, *blobs], fold=True)
        folded, plain = onnx_graph.convert(net, checked), onnx_graph.convert(net, checked, fold=False)
    except ModelError as error:
        raise type(error)(f"{files.model_def}: {error}") from error
    probe = {input_tensor(net.input_name): _probe(net.input_shape)}
    ours, reference = (run_session(open_session(model), probe)[0] for model in (folded, plain))
    largest = float(np.max(np.abs(reference), initial=0, where=np.isfinite(reference)))
    if not np.allclose(ours, reference, rtol=0, atol=PROBE_TOLERANCE * largest, equal_nan=True):
        raise ModelError(
            f"{files.model_def}: the converted net does not compute what the layers do "
            f"(off by {np.nanmax(np.abs(ours - reference)):.2g}); please report this net"
        )
    return converted


def before_softmax(net: Net, output: str) -> str:
    """The blob from which a last Softmax layer makes `output`, or `output` itself: a softmax hides what is off before
    it."""
    last = [layer for layer in net.layers if output in layer.tops][-1]
    return last.bottoms[0] if last.type == "Softmax" and last.bottoms[0] not in (output, net.input_name) else output


def _probe(input_shape: tuple[int, ...]) -> Float32:
    """One deterministic input in the range of mean-subtracted pixels."""
    random = np.random.default_rng(PROBE_SEED)
    values = random.integers(0, 256, (1, *input_shape[1:])) - float(np.mean(MEAN_BGR))
    return values.astype(np.float32)
