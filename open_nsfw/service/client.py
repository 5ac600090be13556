"""A client that goes away before it has its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from open_nsfw.service.refusals import ClientGone


@asynccontextmanager
async def while_connected(request: Request) -> AsyncIterator[None]:
    """Ends the block with ClientGone when the client closes its connection: what waits for its turn costs nothing then. The
    body must have been read."""
    main = asyncio.current_task()
    assert main is not None
    watcher = asyncio.ensure_future(_end_with_client(request, main))
    try:
        yield
    except asyncio.CancelledError:
        if watcher.done() and not watcher.cancelled():
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()


async def _end_with_client(request: Request, main: asyncio.Task[object]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    main.cancel()
