"""Arrays in a file that a kill at any moment leaves whole, as it was before or after: what training goes on from."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import UsageError
from open_nsfw.files import write_whole

Arrays = dict[str, NDArray[Any]]


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """NumPy's npz, uncompressed. Raises OutputError, as for a full disk."""
    content = io.BytesIO()
    np.savez(content, **dict[str, Any](arrays))
    write_whole(path, content.getvalue())


def load(path: Path) -> Arrays | None:
    """The arrays; None if there is no such file. Raises UsageError for one that is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: is damaged ({error}); --overwrite begins anew") from error
