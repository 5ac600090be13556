"""Outputs that would take the place of an input or of a picture: refused, --overwrite or not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Union

from open_nsfw.errors import UsageError
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import STDIN, named_like_picture
from open_nsfw.text import printable

Name = Union[str, "os.PathLike[str]", None]


def check_output(path: str | None, inputs: Iterable[Name]) -> None:
    """Raises UsageError for a file that is there and is one of the inputs, or has the name of a picture or a video. An input
    that is None was not given."""
    if path is None or path == STDIN or not os.path.isfile(path):
        return
    if named_like_picture(path) or _is_one_of(path, inputs):
        raise UsageError(
            f"{printable(path)}: is a picture or another input, which is not replaced; name another --output"
        )


def check_not_an_input(path: str, inputs: Iterable[Name], option: str) -> None:
    """Raises UsageError for a file that is there and is one of the inputs. `option`: the one that names it, whose files may
    be pictures themselves."""
    if os.path.isfile(path) and _is_one_of(path, inputs):
        raise UsageError(f"{printable(path)}: is an input, which is not replaced; name another {option}")


def files_of(load: LoadOptions) -> tuple[Name, ...]:
    """The files that a model is loaded from, None for those that are packaged."""
    return load.model_def, load.pretrained_model, load.ranges


def _is_one_of(path: str, inputs: Iterable[Name]) -> bool:
    return any(each is not None and os.path.exists(each) and os.path.samefile(path, each) for each in inputs)


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
