"""The model on its way to the executors: converted once, on the driver, put into one archive, and unpacked by Spark once on
each executor."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from open_nsfw.cluster.options import Work
from open_nsfw.scoring.cache_folder import kept_in
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.model_files import ModelFiles, read_ranges
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.scoring.scorer import Models

if TYPE_CHECKING:
    from open_nsfw.scoring.blobs import BlobClassifier

# Names in the archive. The folder is a cache of converted models, as scoring/cache.py keeps it.
PROTOTXT, WEIGHTS, RANGES, BLOBS, CACHE = "deploy.prototxt", "weights.caffemodel", "ranges.json", "blobs.onnx", "cache"

# (Spark's application, what is in the archive) -> its name there, and the shapes of the blobs
_shipped: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}


def ship(spark: Any, files: ModelFiles, load: LoadOptions, blobs: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Give the executors of this session the model: the name of the archive, and the shape of each blob.

    Raises ModelError for a model that cannot be used, EngineError.
    """
    content = hashlib.sha256(repr((files.digest, load.fast, load.ranges, blobs)).encode()).hexdigest()[:12]
    context = spark.sparkContext
    key = context.applicationId, content
    if key not in _shipped:
        folder, name = Path(tempfile.mkdtemp(prefix="open_nsfw-")), f"open_nsfw_model_{content}"
        atexit.register(shutil.rmtree, folder, ignore_errors=True)  # executors may fetch it as long as the driver lives
        shapes = _fill(folder / "model", files, load, blobs)
        _pack(folder / "model", folder / f"{name}.zip")
        shutil.rmtree(folder / "model")
        context.addArchive(f"{folder / name}.zip#{name}")
        _shipped[key] = name, shapes
    return _shipped[key]


def _fill(folder: Path, files: ModelFiles, load: LoadOptions, blobs: tuple[str, ...]) -> dict[str, Any]:
    """Put into `folder` what an executor loads; the shapes of the blobs."""
    (folder / CACHE).mkdir(parents=True, mode=0o755)
    shutil.copyfile(files.model_def, folder / PROTOTXT)
    shutil.copyfile(files.pretrained_model, folder / WEIGHTS)
    if blobs:
        from open_nsfw.scoring.blobs import BlobEngine, blob_model

        (folder / BLOBS).write_bytes(blob_model(files, blobs))
        return BlobEngine(files, blobs, threads=1, model=folder / BLOBS).shapes
    load_models(load, files)  # what it says of the model is said here, before a task runs
    for name, converted in _converted(files, load):
        (folder / CACHE / name).write_bytes(converted)
    if load.fast:
        (folder / RANGES).write_bytes(read_ranges(files, load.ranges)[1])
    return {}


def _converted(files: ModelFiles, load: LoadOptions) -> Iterator[tuple[str, bytes]]:
    """The converted models that an executor needs, by their names in the cache."""
    from open_nsfw.scoring.cache import float_key, int8_key
    from open_nsfw.scoring.int8_engine import quantized_model
    from open_nsfw.scoring.onnx_engine import converted_model

    # An executor lays it out for its own processor, which may be another one than this.
    found = {float_key(files): converted_model(files)}
    if load.fast:
        ranges, content = read_ranges(files, load.ranges)
        found[int8_key(files, content)] = quantized_model(files, ranges, content)
    for key, model in found.items():
        data = model if isinstance(model, bytes) else model.read_bytes()
        yield f"{key}-{hashlib.sha256(data).hexdigest()}.onnx", data


def _pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:  # not compressed: weights do not get smaller
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))


def unpacked_files(archive: str, digest: str) -> ModelFiles:
    """On an executor: the model's files out of the archive."""
    folder = _unpacked(archive)
    return ModelFiles(folder / PROTOTXT, folder / WEIGHTS, digest)


def _unpacked(archive: str) -> Path:
    from pyspark import SparkFiles

    return Path(SparkFiles.get(archive))


def unpacked_models(work: Work, gpu: int | None) -> Models:
    """On an executor: the models out of the archive. Raises SetupError."""
    folder, files = _unpacked(work.archive), unpacked_files(work.archive, work.digest)
    if work.shapes:
        return Models(_blob_classifier(work, files, folder / BLOBS))
    ranges = os.fspath(folder / RANGES) if work.load.fast else None
    with kept_in(folder / CACHE):
        return load_models(LoadOptions(**{**vars(work.load), "gpu": gpu, "ranges": ranges}), files)


def _blob_classifier(work: Work, files: ModelFiles, model: Path) -> BlobClassifier:
    from open_nsfw.scoring.blobs import BlobClassifier
    from open_nsfw.training.features import PixelClassifier

    kind = PixelClassifier if work.with_pixels else BlobClassifier
    return kind(files, [name for name, _ in work.shapes], work.load.limits, model)
