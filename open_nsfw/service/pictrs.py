"""pict-rs, the picture store of Lemmy: its external validation. The body of a POST is an upload as it came; 200 lets it in, and
any other status keeps it out."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from open_nsfw.service.decisions import Decision
from open_nsfw.service.outcomes import Outcome, outcomes_for
from open_nsfw.service.service import service_of
from open_nsfw.service.uploads import raw_item

PATH = "/v1/pict-rs"


async def validate(request: Request) -> Response:
    """One upload. Raises Refusal, which keeps it out, too."""
    service = service_of(request)
    options = service.options
    with service.admit(request) as ticket:
        item = await raw_item(request, ticket, options.bounds, options.core.extraction.limits)
        (outcome,) = await outcomes_for(request, service, [item])
    status, content = answer(outcome, options.hosts.undecided_blocks)
    return JSONResponse(content, status)


def answer(outcome: Outcome, undecided_blocks: bool) -> tuple[HTTPStatus, dict[str, object]]:
    """200 or 406, and for whoever reads it, why."""
    is_blocked = outcome.decision is Decision.BLOCKED or (undecided_blocks and outcome.decision is Decision.UNDECIDED)
    status = HTTPStatus.NOT_ACCEPTABLE if is_blocked else HTTPStatus.OK
    error = f"{outcome.code}: {outcome.reason}" if outcome.code else None
    return status, {"decision": outcome.decision.value, "score": outcome.score, "error": error}


ROUTES = [Route(PATH, validate, methods=["POST"])]
