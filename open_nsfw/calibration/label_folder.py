"""Labels from a folder with one folder for each class."""

from __future__ import annotations

import os

from open_nsfw.calibration.labels import LabelNames, Labels
from open_nsfw.errors import UsageError


def read_label_folder(path: str, names: LabelNames) -> Labels:
    """The two folders in `path`. Raises UsageError if one is missing."""
    folders = {os.path.join(path, names.negative): False, os.path.join(path, names.positive): True}
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(
                f"{path}: has no folder '{os.path.basename(folder)}'; safe pictures are expected in "
                f"'{names.negative}', the others in '{names.positive}' (--negative NAME, --positive NAME)"
            )
    return Labels(folders=folders)
