"""The application factory: routes, one behind the other, around one `Service`."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from open_nsfw.service import misskey, page, photoprism, pictrs, score, state
from open_nsfw.service.guard import LOOPBACK_NAMES, Guard, without_port
from open_nsfw.service.openapi import routes_of_document
from open_nsfw.service.options import ServeOptions
from open_nsfw.service.service import Service

ROUTES: tuple[BaseRoute, ...] = (
    Route(score.PATH, score.Score(), methods=["POST"]),
    *state.ROUTES,
    *page.ROUTES,
    *misskey.ROUTES,
    *photoprism.ROUTES,
    *pictrs.ROUTES,
)
"""What the service always has."""


def application(service: Service, more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """The ASGI application of a service, with further routes behind its own. A route raises Refusal for a request that it
    does not serve."""
    routes = [*ROUTES, *more]
    router = Router([*routes, *routes_of_document(routes)], redirect_slashes=False)
    return Guard(router, service, _allowed_hosts(service.options))


def _allowed_hosts(options: ServeOptions) -> frozenset[str] | None:
    """The names in Host headers; any where keys keep strangers out and nothing else is asked for: a page whose name was made
    to lead here has no key."""
    if options.key_file is not None and not options.allowed_hosts:
        return None
    own = f"[{options.host}]" if ":" in options.host else options.host
    return frozenset(without_port(name.lower()) for name in (*LOOPBACK_NAMES, own, *options.allowed_hosts))
