"""Outputs that would take the place of a picture: refused, --overwrite or not."""

from __future__ import annotations

import os
from collections.abc import Iterable

from open_nsfw.errors import UsageError
from open_nsfw.sources.item import STDIN, named_like_picture
from open_nsfw.text import printable


def check_output(path: str | None, inputs: Iterable[str]) -> None:
    """Raises UsageError for a file that is there and is one of the inputs, or has the name of a picture or a video."""
    if path is None or path == STDIN or not os.path.isfile(path):
        return
    if named_like_picture(path) or any(os.path.exists(each) and os.path.samefile(path, each) for each in inputs):
        raise UsageError(
            f"{printable(path)}: is a picture or another input, which is not replaced; name another --output"
        )


def check_output_folder(folder: str, inputs: Iterable[str], endings: tuple[str, ...]) -> None:
    """Raises UsageError for a folder whose files, with these endings, could take the place of inputs, or become inputs."""
    target = os.path.realpath(folder)
    for each in inputs:
        real = os.path.realpath(each)
        if os.path.isdir(real) and os.path.commonpath([real, target]) == real:
            raise UsageError(
                f"{printable(folder)}: lies in the input {printable(each)}; name an --output outside of it"
            )
        if os.path.dirname(real) == target and real.endswith(endings) and os.path.exists(real):
            raise UsageError(
                f"{printable(folder)}: has the input {printable(each)}, which could be replaced; name another --output"
            )
