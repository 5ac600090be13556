"""Where the model's two files are, what identifies them, and the cache of converted models.

A converted model is kept as `<key>-<sha256 of the file's content>.onnx`: the key says what it was made from (both model
files and the converter's version), the second half that the bytes are whole. It is written under a temporary name and
renamed, so two processes may write at once, and a file that is cut short or altered is never used.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from open_nsfw.errors import ModelError

logger = logging.getLogger("open_nsfw")

PROTOTXT = "deploy.prototxt"
WEIGHTS = "resnet_50_1by2_nsfw.caffemodel"
PACKAGED_SIDE = 224
MODEL_DIR_VARIABLE = "OPEN_NSFW_MODEL_DIR"
CACHE_VARIABLE = "OPEN_NSFW_CACHE"
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
    digest = hashlib.sha256(_sha256(prototxt).digest() + _sha256(weights).digest()).hexdigest()
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
        f"{folders[1] / name}: the packaged model is not there; `pip install .` in the checkout puts it there, "
        f"or name a folder that has it in {MODEL_DIR_VARIABLE}"
    )


def _sha256(path: Path) -> hashlib._Hash:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest


# -------------------------------------------------------------------------------------------------------------- cache


def cache_dir() -> Path:
    """Where converted models are kept: $OPEN_NSFW_CACHE, or `open_nsfw` in the user's cache folder of the platform."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join("~", "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join("~", "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return Path(os.path.expanduser(base)) / "open_nsfw"


def cached(key: str, suffix: str, make: Callable[[], bytes]) -> Path | bytes:
    """The cached file for `key`, made and kept if there is none that is whole.

    Gives its path, or the bytes themselves where they cannot be kept (a read-only folder, a full disk); the log then
    has a warning that says so, since each run pays for the making.
    """
    folder = cache_dir()
    try:
        found = _find_whole(folder, key, suffix)
    except OSError:  # a name that is too long, a folder that is none: keeping says what it is
        found = None
    if found is not None:
        return found
    data = make()
    try:
        if str(folder).startswith("~"):  # a user without a home folder, as in containers
            raise FileNotFoundError(errno.ENOENT, "there is no home folder")
        return _keep(folder, f"{key}-{hashlib.sha256(data).hexdigest()}{suffix}", data)
    except OSError as error:
        logger.warning(
            "the converted model cannot be kept in %s (%s), so every run makes it anew; name a writable folder in %s",
            folder,
            error.strerror or error,
            CACHE_VARIABLE,
        )
        return data


def _find_whole(folder: Path, key: str, suffix: str) -> Path | None:
    for path in sorted(folder.glob(f"{key}-*{suffix}")):
        try:
            if _sha256(path).hexdigest() == path.name[len(key) + 1 : -len(suffix)]:
                return path
        except ModelError:
            continue  # not readable, or gone since: as good as not there
    return None


def _keep(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would shut other users out of a shared cache
        os.replace(temporary, folder / name)
    except BaseException:
        os.unlink(temporary)
        raise
    return folder / name
