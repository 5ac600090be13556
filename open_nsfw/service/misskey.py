"""Misskey: the interface of its sensitive-detector, `POST /v1/detect-images`.

Pictures come as the parts of a multipart body, and each has its result, in order: the probabilities of classes, by which
Misskey decides, or why there are none. A net of two classes knows `Porn` and `Neutral`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from open_nsfw.errors import OpenNsfwError
from open_nsfw.service.body import media_type
from open_nsfw.service.multipart import Part, multipart_parts
from open_nsfw.service.outcomes import Outcome, outcomes_for
from open_nsfw.service.refusals import Refusal
from open_nsfw.service.service import Service, service_of

PATH = "/v1/detect-images"
MEDIA_TYPES = ("image/png", "image/jpeg", "image/gif", "image/bmp")

UNREADABLE, FAILED, UNAVAILABLE = "IMAGE_DECODE_FAILED", "DETECTION_FAILED", "MODEL_UNAVAILABLE"
TOO_LARGE, INVALID, MEDIA_TYPE = "REQUEST_TOO_LARGE", "INVALID_REQUEST", "UNSUPPORTED_MEDIA_TYPE"
# By the codes of rows; any other says that the picture cannot be read.
_CODES = {
    **dict.fromkeys(("too-many-bytes", "too-many-pixels", "too-many-frames"), TOO_LARGE),
    **dict.fromkeys(("timeout", "out-of-memory", "decoder-crashed", "not-finite"), FAILED),
    "empty": INVALID,
}
# By status, for a request as a whole.
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: INVALID,
    HTTPStatus.REQUEST_TIMEOUT: INVALID,
    HTTPStatus.UNAUTHORIZED: "AUTHENTICATION_REQUIRED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: MEDIA_TYPE,
    HTTPStatus.SERVICE_UNAVAILABLE: UNAVAILABLE,
}


async def detect_images(request: Request) -> Response:
    """One request. Raises Refusal, whose body is Misskey's."""
    try:
        return JSONResponse({"success": True, "result": {"results": await _results(request)}})
    except Refusal as refusal:
        refusal.body = failure(_REFUSALS.get(refusal.status, FAILED), refusal.message)
        raise


async def _results(request: Request) -> list[dict[str, Any]]:
    service = service_of(request)
    with service.admit(request) as ticket:
        if media_type(request) != "multipart/form-data":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", "the body must be multipart/form-data")
        parts = await multipart_parts(request, ticket, service.options.bounds, service.options.core.extraction.limits)
        problems = [problem_of(part) for part in parts]
        for part, problem in zip(parts, problems):
            if problem is not None:
                part.item.close()
        wanted = [part for part, problem in zip(parts, problems) if problem is None]
        found = iter(await _scored(request, service, wanted))
        return [next(found) if problem is None else problem for problem in problems]


async def _scored(request: Request, service: Service, parts: list[Part]) -> list[dict[str, Any]]:
    try:
        return [result(each) for each in await outcomes_for(request, service, [part.item for part in parts])]
    except OpenNsfwError as error:  # the engine, or no decoding process comes up
        return [failure(UNAVAILABLE, str(error)) for _ in parts]


def problem_of(part: Part) -> dict[str, Any] | None:
    """Why a part is not looked at, if it is not."""
    if not part.is_file:
        return failure(INVALID, "part is not a file")
    if part.media_type not in MEDIA_TYPES:
        return failure(MEDIA_TYPE, f"unsupported content-type: {part.media_type or '(none)'}")
    return None


def result(outcome: Outcome) -> dict[str, Any]:
    """The result of one part. One that was scored in part has none: its highest score is unknown."""
    if outcome.score is None or outcome.code:
        return failure(_CODES.get(outcome.code, UNREADABLE), outcome.reason)
    classes = {"Porn": outcome.score, "Neutral": 1 - outcome.score}
    ranked = sorted(classes.items(), key=lambda each: -each[1])
    return {"success": True, "predictions": [{"className": name, "probability": value} for name, value in ranked]}


def failure(code: str, message: str) -> dict[str, Any]:
    """Of one part, or of the whole request."""
    return {"success": False, "error": {"code": code, "message": message}}


ROUTES = [Route(PATH, detect_images, methods=["POST"])]
