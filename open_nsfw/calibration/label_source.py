"""LABELS, wherever they are -> Labels."""

from __future__ import annotations

import os

from open_nsfw.calibration.label_file import read_label_file
from open_nsfw.calibration.label_folder import read_label_folder
from open_nsfw.calibration.labels import LabelNames, Labels


def read_labels(path: str, names: LabelNames) -> Labels:
    """The labels in the folder or file `path`. Raises UsageError with the line at fault."""
    return (read_label_folder if os.path.isdir(path) else read_label_file)(path, names)
