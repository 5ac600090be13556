"""Going through sources in the current folder, as tests look at what comes of it."""

from __future__ import annotations

import os
from typing import Any

from open_nsfw.sources.item import Item, SourceOptions
from open_nsfw.sources.walk import Sources
from tests.tools.archive_samples import JPEG

COUNT = (
    "import sys; from open_nsfw.sources.item import SourceOptions; from open_nsfw.sources.walk import Sources; "
    "print(sum(1 for _ in Sources(sys.argv[1:])))"
)


def scan(*arguments: str, **options: Any) -> list[Item]:
    return list(Sources(arguments, SourceOptions(**options)))


def paths(*arguments: str, **options: Any) -> list[str]:
    items = scan(*arguments, **options)
    assert all(item.error is None and item.data is None and item.member is None for item in items)
    return [item.path for item in items]


def write(name: str | bytes, data: bytes = JPEG) -> None:
    folder = os.path.dirname(name)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(name, "wb") as file:
        file.write(data)


def errors(items: list[Item]) -> list[tuple[str, str | None, str, str]]:
    return [(item.path, item.member, item.error.code, str(item.error)) for item in items if item.error]
