"""What operators ask: is the process alive (`/healthz`), does it score (`/readyz`), and how much (`/metrics`)?"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from open_nsfw.errors import OpenNsfwError
from open_nsfw.service.metrics import CONTENT_TYPE
from open_nsfw.service.refusals import Refusal
from open_nsfw.service.service import Service, service_of
from open_nsfw.sources.item import Item

FRESH_SECONDS = 5.0  # a score not older than this says that the service scores
PROBE_SECONDS = 5.0  # for a picture of our own to get one
PROBE_SIDE = 8


async def healthz(request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """A picture got its score within the last seconds, or does so now."""
    service = service_of(request)
    if service.admission.is_stopping:
        return JSONResponse({"status": "stopping"}, 503)
    if not is_fresh(service):
        with suppress(asyncio.TimeoutError, Refusal, OpenNsfwError):
            await asyncio.wait_for(_probe(service), PROBE_SECONDS)
    if not is_fresh(service):
        return JSONResponse({"status": "no score within the last seconds"}, 503)
    return JSONResponse({"status": "ready", "model": service.core.model})


def is_fresh(service: Service) -> bool:
    """Whether there was a score within the last seconds."""
    return time.monotonic() - service.core.last_score <= FRESH_SECONDS


async def _probe(service: Service) -> None:
    answers = service.core.answers([Item("probe", data=bitmap(PROBE_SIDE))])
    try:
        async for _ in answers:
            pass
    finally:
        await answers.aclose()


def bitmap(side: int) -> bytes:
    """A grey picture as a BMP file: 24 bits, whose rows must have a multiple of 4 bytes."""
    pixels = bytes([128]) * (3 * side * side)
    size, offset = 54 + len(pixels), 54
    head = b"BM" + size.to_bytes(4, "little") + bytes(4) + offset.to_bytes(4, "little")
    sizes = b"".join(each.to_bytes(4, "little") for each in (40, side, side))
    return head + sizes + b"\x01\x00\x18\x00" + bytes(24) + pixels


async def metrics(request: Request) -> Response:
    """The numbers for Prometheus."""
    service = service_of(request)
    service.key_name(request)
    return Response(service.core.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


ROUTES = [
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
]
