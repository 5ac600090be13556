"""The process of `open-nsfw review`: one desk on loopback, for browsers with a token."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Generator, Iterator

import uvicorn
from starlette.routing import BaseRoute, Router

from open_nsfw.errors import UsageError
from open_nsfw.review.design import Wishes
from open_nsfw.review.desk import Desk
from open_nsfw.review.explaining import HeatMaps
from open_nsfw.review.opening import prepare
from open_nsfw.review.options import DeskOptions
from open_nsfw.review.previews import Previews
from open_nsfw.review.store import Store, open_store
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.service.guard import LOOPBACK_NAMES, Guard
from open_nsfw.service.options import Bounds, ServeOptions
from open_nsfw.service.protocol import connection_class
from open_nsfw.service.review import PREFIX, Review
from open_nsfw.service.review_sessions import TOKEN, Tokens

HOST = "127.0.0.1"
JOBS = 2  # pictures that are decoded for the page at a time
END_SECONDS = 3  # for answers under way when the process is told to end


@contextlib.contextmanager
def desk_for(store: Store, load: LoadOptions, options: DeskOptions) -> Iterator[Desk]:
    """A desk with all that belongs to it. `load`: the model behind heat maps."""
    previews = Previews(JOBS)
    desk = Desk(store, previews, HeatMaps(load), options)
    try:
        yield desk
    finally:
        previews.close()
        desk.close()


def serve_review(desk: Desk, port: int, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `tell` takes lines for people, the addresses among them. Raises UsageError for a port
    that cannot be had."""
    with _listener(port) as listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}{PREFIX}/?{TOKEN}="
        told: list[str] = []

        def tell_token(token: str) -> None:
            tell(f"{'for another browser' if told else 'open'} {address}{token}")
            told.append(token)

        asyncio.run(_serve(desk, Tokens(tell_token), listener))
    tell("stopped; every decision is in the store")


@contextlib.contextmanager
def review_routes(options: ServeOptions, path: str) -> Iterator[list[BaseRoute]]:
    """The page of the store at `path` as routes of the service, whose keys let people in. Raises UsageError, OutputError."""
    with open_store(path) as store:
        prepare(store, None, Wishes(), options.opening)
        with desk_for(store, options.core.load, options.desk) as desk:
            yield Review(desk, None).routes()


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UsageError(f"--port {port}: cannot be listened on: {error.strerror}; choose another one") from error
    return listener


async def _serve(desk: Desk, tokens: Tokens, listener: socket.socket) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what matters of it is told by us
    app = Guard(Router(Review(desk, tokens).routes(), redirect_slashes=False), None, frozenset(LOOPBACK_NAMES))
    config = uvicorn.Config(
        app,
        http=connection_class(Bounds()),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=END_SECONDS,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    tokens.begin()
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, which leaves the signals to us: it would end the process with the signal, not with a status."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take none."""
        yield
