"""Where the model's two files are, and what identifies them."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.installing import pip_command

logger = logging.getLogger("open_nsfw")

PROTOTXT = "deploy.prototxt"
WEIGHTS = "resnet_50_1by2_nsfw.caffemodel"
PACKAGED_SIDE = 224
MODEL_DIR_VARIABLE = "OPEN_NSFW_MODEL_DIR"
HASH_DIGITS = 12  # of the model's hash that rows and policies carry
CHUNK = 1 << 20


@dataclass(frozen=True)
class ModelFiles:
    """A prototxt and a caffemodel, by path and by content."""

    model_def: Path
    pretrained_model: Path
    digest: str
    """SHA-256 over the SHA-256 of both contents, hexadecimal."""

    @property
    def short_hash(self) -> str:
        """What rows, caches and policies call this model."""
        return self.digest[:HASH_DIGITS]


def find_model_files(
    model_def: str | os.PathLike[str] | None = None, pretrained_model: str | os.PathLike[str] | None = None
) -> ModelFiles:
    """The files to use; None stands for the packaged one. Raises ModelError for a file that is not there or not
    readable.

    A weights path that does not exist but has the packaged file's name gives the packaged file, with a warning in the
    log: Yahoo's command line names `nsfw_model/...` in whatever folder it is run.
    """
    prototxt = Path(model_def) if model_def is not None else packaged_file(PROTOTXT)
    weights = Path(pretrained_model) if pretrained_model is not None else packaged_file(WEIGHTS)
    if not os.path.exists(weights) and weights.name == WEIGHTS:
        packaged = packaged_file(WEIGHTS)
        logger.warning("%s does not exist; the packaged weights are used (%s)", weights, packaged)
        weights = packaged
    digest = hashlib.sha256(file_sha256(prototxt).digest() + file_sha256(weights).digest()).hexdigest()
    return ModelFiles(prototxt, weights, digest)


def known_side(model_def: str | os.PathLike[str] | None) -> int | None:
    """Pixels a side that the net reads, where that is known without reading its prototxt: of the packaged one."""
    return PACKAGED_SIDE if model_def is None and not os.environ.get(MODEL_DIR_VARIABLE) else None


def packaged_file(name: str) -> Path:
    """The packaged model file `name`: beside the installed package, in the checkout, or where OPEN_NSFW_MODEL_DIR says."""
    package = Path(__file__).resolve().parents[1]
    folders = [package / "model", package.parent / "nsfw_model"]
    if os.environ.get(MODEL_DIR_VARIABLE):
        folders.append(Path(os.environ[MODEL_DIR_VARIABLE]))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"{folders[1] / name}: the packaged model is not there; `{pip_command()} install .` in the checkout puts it there, "
        f"or name a folder that has it in {MODEL_DIR_VARIABLE}"
    )


def file_sha256(path: Path) -> hashlib._Hash:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest


# -------------------------------------------------------------------------------------------------------------- cache
