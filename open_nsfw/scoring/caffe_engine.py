"""pycaffe as an engine: real Caffe, the reference that the others are held to.

Caffe answers a model or a GPU that it cannot use by aborting the process. So whatever may abort is tried in a forked
child first, and what the child says before it dies becomes the error.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from open_nsfw.errors import EngineError, ModelError, UnsupportedLayerError
from open_nsfw.installing import in_image, install_command, libraries
from open_nsfw.pictures.pixels import MEAN_BGR, Pixels
from open_nsfw.scoring.engine import BlobSource, Engine, Float32, output_name
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.text import brief

if TYPE_CHECKING:
    from open_nsfw.nets.net import Net

PROBE_TOLERANCE = 1e-4  # between a picture's outputs in two batches: rounding, with values up to some hundreds
PROBE_SEED = 2016
RAW_SCALE = 255  # caffe.io.load_image gives 0..1, the network reads 0..255

# How a failed CHECK looks in Caffe's log: a severity and date, the place in its sources, and what it has to say.
_FATAL = re.compile(r"^F\d{4,8} .*?\] (.*)$", re.MULTILINE)


def import_caffe() -> Any:
    """The `caffe` module, its log kept to errors. Raises EngineError if it is not there or does not work."""
    # Caffe logs every layer to stderr; the log reads this once, when the library is loaded.
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        caffe = importlib.import_module("caffe")
        importlib.import_module("caffe.io")
    except Exception as error:
        reason = brief(str(error))
        raise EngineError(f"pycaffe cannot be imported ({reason}); {_ways_out()}") from error
    if not hasattr(caffe, "Net"):
        raise EngineError(f"the module caffe found on the path is not pycaffe; {_ways_out()}")
    return caffe


def _ways_out() -> str:
    if sys.version_info < (3, 10) or in_image():
        return f"{install_command('caffe')}, or use --engine onnxruntime"
    return f"in an environment of Python 3.9: pip install {libraries('caffe')}, or use --engine onnxruntime"


class CaffeEngine(Engine):
    """pycaffe, on the CPU or GPU, with the original's `caffe.io.Transformer`."""

    name = "caffe"

    def __init__(self, files: ModelFiles, gpu: int | None = None) -> None:
        caffe = import_caffe()
        self.files, self.model_def, self.model_hash = files, str(files.model_def), files.short_hash
        self.made_from = "" if gpu is None else "gpu"
        known = _checked_net(files)
        arguments = (str(files.model_def), str(files.pretrained_model), caffe.TEST)
        if (why := _last_words(lambda: _choose_device(caffe, gpu))) is not None:
            raise _no_gpu(why)
        if (why := _last_words(lambda: _load_net(caffe, gpu, arguments).forward())) is not None:
            raise _bad_model(files, why)
        if known is None:
            known = _tried_net(lambda: _load_net(caffe, gpu, arguments))
        self._caffe, self._net, self._gpu = caffe, _load_net(caffe, gpu, arguments), gpu
        self._lock = threading.Lock()  # a caffe.Net has one set of blobs for all callers
        inputs = list(self._net.inputs)
        if len(inputs) != 1 and known.input not in inputs:
            raise ModelError(f"{files.model_def}: a net with one input is needed, this one has {len(inputs)}")
        self._input = str(inputs[0] if len(inputs) == 1 else known.input)  # the others are labels, which a loss reads
        self._batch, *shape = self._net.blobs[self._input].data.shape
        self.input_shape = tuple(shape)
        try:
            self.output_name = output_name(*known.outputs(self._net))
        except ModelError as error:
            raise ModelError(f"{files.model_def}: {error}") from error
        self._known, self._labelled = known, len(inputs) > 1
        self._at_once = self.at_once([self.output_name])
        self._transformer = self._make_transformer() if len(shape) == 3 and shape[0] == 3 else None

    def _make_transformer(self) -> Any:
        transformer = self._caffe.io.Transformer({self._input: (1, *self.input_shape)})
        transformer.set_transpose(self._input, (2, 0, 1))
        transformer.set_mean(self._input, np.array(MEAN_BGR))
        transformer.set_raw_scale(self._input, RAW_SCALE)
        transformer.set_channel_swap(self._input, (2, 1, 0))
        return transformer

    def blob_from_pixels(self, pixels: Pixels) -> Float32:
        """uint8 (N, H, W, 3) RGB, 0..255 -> float32 (N, 3, H, W), by scikit-image and Caffe's own Transformer."""
        skimage = importlib.import_module("skimage")
        if self._transformer is None:
            return super().blob_from_pixels(pixels)
        images = [skimage.img_as_float(image).astype(np.float32) for image in pixels]
        return np.stack([self._transformer.preprocess(self._input, image) for image in images])

    def _compute(self, blob: Float32) -> Float32:
        return self.compute_blobs(blob, [self.output_name], self._at_once)[self.output_name]

    def with_blobs(self, names: Sequence[str]) -> BlobSource:
        for name in names:
            if name not in self._net.blobs:
                raise ModelError(f'{self.model_def}: the net makes no blob "{name}"')
        return _CaffeBlobs(self, [self.output_name, *names])

    def at_once(self, names: Sequence[str]) -> int | None:
        """How many inputs are put into a batch of the prototxt's size to compute these blobs; None: a batch is as large as what
        there is to compute."""
        if self._known.takes_any_batch(names) and not self._labelled:  # labels have the prototxt's batch
            return None
        return self._batch if self._known.apart(names) else 1  # each is the first of a batch of its own

    def compute_blobs(self, blob: Float32, names: Sequence[str], at_once: int | None) -> dict[str, Float32]:
        """These blobs of the net for float32 (N, C, H, W), N at least 1: name -> float32 (N, ...). `at_once`: what the method of
        this name gives for them."""
        with self._lock:
            _choose_device(self._caffe, self._gpu)  # which Caffe keeps for each thread
            if at_once is None:
                return self._compute_batch(blob, names)
            batches = [blob[start : start + at_once] for start in range(0, len(blob), at_once)]
            computed = [
                {name: values[: len(batch)] for name, values in self._compute_batch(self._filled(batch), names).items()}
                for batch in batches
            ]
            return {name: np.concatenate([each[name] for each in computed]) for name in names}

    def _filled(self, batch: Float32) -> Float32:
        """The batch with inputs of zeros behind it, up to the size that the net is fixed to."""
        missing = np.zeros((self._batch - len(batch), *self.input_shape), np.float32)
        return np.concatenate([batch, missing])

    def _compute_batch(self, blob: Float32, names: Sequence[str]) -> dict[str, Float32]:
        if self._net.blobs[self._input].data.shape != blob.shape:
            self._net.blobs[self._input].reshape(*blob.shape)
            self._net.reshape()
        self._net.blobs[self._input].data[...] = blob
        self._net.forward()
        return {name: np.atleast_1d(self._net.blobs[name].data).copy() for name in names}  # of a sum over all, too


class _CaffeBlobs(BlobSource):
    """Several blobs of an engine's net."""

    def __init__(self, engine: CaffeEngine, names: Sequence[str]) -> None:
        self._engine, self._names, self._at_once = engine, names, engine.at_once(names)

    def blobs(self, blob: Float32) -> dict[str, Float32]:
        return self._engine.compute_blobs(blob, self._names, self._at_once)


def _tried_net(load: Callable[[], Any]) -> _KnownNet:
    """A net that only Caffe knows, tried with a batch of another size."""
    takes_any = _last_words(lambda: _try_another_batch(load())) is None
    return _KnownNet(None, tried=takes_any)


def _try_another_batch(net: Any) -> None:
    """Raises ValueError, or lets Caffe end the process, if a picture's output is not the same in a batch of another size than
    the prototxt's, at another place."""
    output = output_name(list(net.blobs), list(net.outputs))
    count = net.blobs[net.inputs[0]].data.shape[0]
    first, last = _output_at(net, output, count, 0), _output_at(net, output, count + 1, count)
    if not np.allclose(first, last, rtol=PROBE_TOLERANCE, atol=PROBE_TOLERANCE, equal_nan=True):
        raise ValueError("the batch changes the output")


def _output_at(net: Any, output: str, count: int, place: int) -> Float32:
    """The output's row for a seeded picture at this place in a batch of `count`, all others zeros."""
    data = net.blobs[net.inputs[0]]
    data.reshape(count, *data.data.shape[1:])
    net.reshape()
    data.data[...] = 0
    data.data[place] = np.random.default_rng(PROBE_SEED).uniform(-120, 130, data.data.shape[1:])
    net.forward()
    if net.blobs[output].data.shape[:1] != (count,):
        raise ValueError("the output has no row for each picture")
    row: Float32 = net.blobs[output].data[place].copy()
    return row


def _load_net(caffe: Any, gpu: int | None, arguments: tuple[str, str, int]) -> Any:
    _choose_device(caffe, gpu)
    return caffe.Net(*arguments)


def _choose_device(caffe: Any, gpu: int | None) -> None:
    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(gpu)
        caffe.set_mode_gpu()


@dataclass(frozen=True)
class _KnownNet:
    """What is known of a net besides what Caffe says."""

    net: Net | None
    """As this package reads it; None for one that only Caffe knows."""
    tried: bool = False
    """Whether such a net gave a picture the same output in a batch of another size."""

    @property
    def input(self) -> str | None:
        """The name of the input for the pictures."""
        return None if self.net is None else self.net.input_name

    def outputs(self, net: Any) -> tuple[list[str], list[str]]:
        """All blobs that layers make, and those among them that are outputs: for Caffe, what a loss or Silence reads is none."""
        if self.net is None:
            return list(net.blobs), list(net.outputs)
        return self.net.blob_names, self.net.output_names

    def takes_any_batch(self, blobs: Sequence[str]) -> bool:
        """Whether the batch may have another size than the prototxt states."""
        from open_nsfw.nets.batch import takes_any_batch

        return self.tried if self.net is None else takes_any_batch(self.net, blobs)

    def apart(self, blobs: Sequence[str]) -> bool:
        """Whether each picture of a batch has a row of its own in each of these blobs."""
        from open_nsfw.nets.batch import mixing_layer

        return self.tried if self.net is None else mixing_layer(self.net, blobs) is None


def _checked_net(files: ModelFiles) -> _KnownNet | None:
    """The net after a check of the two files with this package's own reader, whose messages say more than Caffe's; None for
    one that only Caffe knows."""
    from open_nsfw.nets.read import read_net

    try:
        return _KnownNet(read_net(files.model_def, files.pretrained_model))
    except UnsupportedLayerError:
        return None  # Caffe knows more layers; the trial load judges


def _last_words(action: Callable[[], Any]) -> str | None:
    """Run `action` in a forked child: None if it ends well, otherwise the child's last words."""
    with tempfile.TemporaryFile() as log:
        if sys.stderr is not None:
            sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _run_in_child(action, log.fileno())
        _, status = os.waitpid(child, 0)
        if status == 0:
            return None
        log.seek(0)
        text = log.read().decode("utf-8", errors="replace")
    reasons = _FATAL.findall(text) or text.strip().splitlines()[-1:] or [f"it ended with status {status}"]
    return brief(reasons[0])


def _run_in_child(action: Callable[[], Any], log: int) -> None:
    """Never returns: the child leaves without flushing or cleaning up what belongs to its parent."""
    status = 1
    faulthandler.disable()  # the end of this process is no crash to be reported
    try:
        os.dup2(log, 2)
        action()
        status = 0
    except Exception as error:  # noqa: BLE001  the parent raises it
        os.write(2, str(error).encode())
    finally:
        os._exit(status)


def _no_gpu(why: str) -> Exception:
    return EngineError(
        f"--gpu: this Caffe cannot use a GPU ({why}); leave --gpu out, or install a Caffe built with CUDA"
    )


def _bad_model(files: ModelFiles, why: str) -> Exception:
    return ModelError(f"{files.model_def} with {files.pretrained_model}: Caffe cannot use them ({why})")
