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
from open_nsfw.service.probe import probe
from open_nsfw.service.refusals import Refusal
from open_nsfw.service.service import Service, service_of

FRESH_SECONDS = 5.0  # a score not older than this says that the service scores
PROBE_SECONDS = 5.0  # for a picture of our own to get one


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
            await asyncio.wait_for(_score_now(service), PROBE_SECONDS)
    if not is_fresh(service):
        return JSONResponse({"status": "no score within the last seconds"}, 503)
    return JSONResponse({"status": "ready", "model": service.core.model})


async def _score_now(service: Service) -> None:
    """Have a picture of our own scored: one for all who ask at the same time, who may be strangers and many."""
    async with service.core.probing:
        if not is_fresh(service):
            await probe(service.core)


def is_fresh(service: Service) -> bool:
    """Whether there was a score within the last seconds."""
    return time.monotonic() - service.core.last_score <= FRESH_SECONDS


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
