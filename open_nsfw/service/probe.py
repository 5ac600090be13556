"""A picture of the service's own, which tells whether it scores."""

from __future__ import annotations

import asyncio

from open_nsfw.service.core import Core
from open_nsfw.sources.item import Item

SIDE = 8  # pixels


async def probe(core: Core) -> None:
    """Have a picture scored. Raises what `Core.answers` raises."""
    answers = core.answers([Item("probe", data=bitmap(SIDE))], is_probe=True)
    try:
        async for _ in answers:
            pass
    finally:
        await answers.aclose()


async def warm_up(core: Core) -> None:
    """Have as many pictures scored as there are jobs: the decoding processes come up, or it is known why they do not."""
    await asyncio.gather(*(probe(core) for _ in range(core.jobs)))


def bitmap(side: int) -> bytes:
    """A grey picture as a BMP file: 24 bits, whose rows must have a multiple of 4 bytes."""
    pixels = bytes([128]) * (3 * side * side)
    size, offset = 54 + len(pixels), 54
    head = b"BM" + size.to_bytes(4, "little") + bytes(4) + offset.to_bytes(4, "little")
    sizes = b"".join(each.to_bytes(4, "little") for each in (40, side, side))
    return head + sizes + b"\x01\x00\x18\x00" + bytes(24) + pixels
