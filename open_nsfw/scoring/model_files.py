"""Where the model's files are, and what identifies them."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from open_nsfw.errors import ModelError
from open_nsfw.installing import pip_command
from open_nsfw.scoring.hashes import content_sha256

if TYPE_CHECKING:
    from open_nsfw.nets.ranges import Ranges

logger = logging.getLogger("open_nsfw")

PROTOTXT = "deploy.prototxt"
WEIGHTS = "resnet_50_1by2_nsfw.caffemodel"
RANGES = "quantization.json"
YAHOO_WEIGHTS = f"nsfw_model/{WEIGHTS}"  # as Yahoo's README names them, relative to a checkout
PACKAGED_SIDE = 224
MODEL_DIR_VARIABLE = "OPEN_NSFW_MODEL_DIR"
HASH_DIGITS = 12  # of the model's hash that rows and policies carry
MOST_RANGES_BYTES = 16 * 1024**2  # a hundred times what the packaged net's ranges take


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

    One path gives the packaged weights though nothing is there: exactly `nsfw_model/resnet_50_1by2_nsfw.caffemodel`, so
    that Yahoo's command line works in a checkout, which has no weights until they are built. The log says so.
    """
    prototxt = Path(model_def) if model_def is not None else packaged_file(PROTOTXT)
    weights = _weights(pretrained_model)
    both = bytes.fromhex(content_sha256(prototxt) + content_sha256(weights))
    return ModelFiles(prototxt, weights, hashlib.sha256(both).hexdigest())


def _weights(given: str | os.PathLike[str] | None) -> Path:
    if given is None:
        return packaged_file(WEIGHTS)
    if os.fspath(given) != YAHOO_WEIGHTS or os.path.lexists(given):
        return Path(given)
    packaged = packaged_file(WEIGHTS)
    logger.warning("%s does not exist; the packaged weights are used (%s)", given, packaged)
    return packaged


def read_ranges(files: ModelFiles, path: str | os.PathLike[str] | None = None) -> tuple[Ranges, bytes]:
    """The ranges of the int8 net for a model, and the bytes of their file; None stands for the packaged file.

    Raises ModelError if the file is missing, damaged, or was made for another model.
    """
    from open_nsfw.nets import ranges  # only the fast mode needs it

    source = Path(path) if path is not None else packaged_file(RANGES)
    try:
        with open(source, "rb") as file:
            content = file.read(MOST_RANGES_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{source}: cannot be read: {error.strerror or error}; {ranges.REMEDY}") from error
    if len(content) > MOST_RANGES_BYTES:
        raise ModelError(f"{source}: not a ranges file (more than {MOST_RANGES_BYTES:,} bytes); {ranges.REMEDY}")
    found = ranges.parse(content, str(source))
    if found.model != files.digest:
        raise ModelError(
            f"{source}: these ranges are of the model {found.model[:HASH_DIGITS]}, not of {files.short_hash} "
            f"({files.pretrained_model}); {ranges.REMEDY}"
        )
    return found, content


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
