"""The process: a socket, an event loop, uvicorn, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import math
import resource
import secrets
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from functools import partial
from http import HTTPStatus

import uvicorn
from starlette.routing import BaseRoute

from open_nsfw.errors import UsageError
from open_nsfw.service import clamd_address
from open_nsfw.service.access_log import AccessLog
from open_nsfw.service.admission import Admission
from open_nsfw.service.application import application
from open_nsfw.service.clamd import ClamdServer
from open_nsfw.service.core import Core
from open_nsfw.service.keys import read_keys
from open_nsfw.service.metrics import known_path
from open_nsfw.service.notes import Notes
from open_nsfw.service.options import ServeOptions
from open_nsfw.service.probe import warm_up
from open_nsfw.service.protocol import connection_class
from open_nsfw.service.reload import Reloader
from open_nsfw.service.service import Service

SEND_BUFFER = 128 * 1024  # bytes
SPARE_DESCRIPTORS = 256  # beside those of connections: pipes, temporary files
BACKLOG = 1024  # connections that wait to be accepted
LAST_SECONDS = 1.0  # of the grace, for answers to requests that are cut off
LOOK_SECONDS = 0.05  # between two looks at whether all is answered


def serve(options: ServeOptions, tell: Callable[[str], None], more: Sequence[BaseRoute] = ()) -> None:
    """Serve until SIGTERM or SIGINT; what is under way then is answered. `tell` takes lines for people.

    Raises UsageError for an address, keys or a policy that cannot be used, and SetupError.
    """
    # Until the event loop takes them: a reload that comes too early is one of the files as they are read anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_before_the_start)
    keys = None if options.key_file is None else read_keys(options.key_file)
    listener = _listener(options)
    _raise_descriptor_limit(options.bounds.max_connections + SPARE_DESCRIPTORS)
    with listener, _clamd_listener(options) as clamd:
        core = Core(options.core, options.bounds.wait_seconds)
        with AccessLog() if options.access_log else contextlib.nullcontext() as log:
            service = Service(options, core, Admission(options.bounds), keys, log)
            asyncio.run(_serve(service, listener, clamd, tell, more))


def _end_before_the_start(*_: object) -> None:
    raise SystemExit(0)


def _raise_descriptor_limit(wanted: int) -> None:
    """Let this process open as many files as there may be connections, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listener(options: ServeOptions) -> socket.socket:
    """The bound socket. Raises UsageError."""
    where = f"--host {options.host} --port {options.port}"
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"--host {options.host}: there is no such address ({error.strerror})") from error
    if options.key_file is None and not all(ipaddress.ip_address(each[4][0]).is_loopback for each in found):
        raise UsageError(
            f"--host {options.host} can be reached from other machines, so a key is needed: add --key-file FILE, a file with "
            f"a name and a key a line"
        )
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Of each connection: what the system keeps for a client that does not read is memory, too.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"{where}: cannot be listened on: {error.strerror}; choose another --port") from error
    return listener


@contextlib.contextmanager
def _clamd_listener(options: ServeOptions) -> Generator[socket.socket | None, None, None]:
    """The bound socket for clients of clamd, if they are wanted. Raises UsageError."""
    if options.hosts.clamd is None:
        yield None
        return
    listener = clamd_address.bound(options.hosts.clamd)
    place = listener.getsockname()
    try:
        yield listener
    finally:
        listener.close()
        clamd_address.remove_leftover(place)


async def _serve(
    service: Service,
    listener: socket.socket,
    clamd: socket.socket | None,
    tell: Callable[[str], None],
    more: Sequence[BaseRoute],
) -> None:
    loop = asyncio.get_running_loop()
    async with service.core, contextlib.AsyncExitStack() as doors:
        server = _Server(_config(service, more))
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        reloader = Reloader(service, tell)
        loop.add_signal_handler(signal.SIGHUP, reloader.asked.set)
        _add_gauges(service)
        await warm_up(service.core)
        aside = [asyncio.ensure_future(each) for each in (_end(service, server, ending), reloader.run())]
        for each in aside:
            each.add_done_callback(lambda done: _end_with(server, done))
        tell(f"listening on http://{_address(listener)}")
        if clamd is not None:
            await doors.enter_async_context(ClamdServer(service, clamd))
            tell(f"listening for clients of clamd on {clamd_address.name_of(clamd)}")
        await server.serve(sockets=[listener])
        for each in aside:
            if each.done():
                each.result()  # raises what ended it
            each.cancel()
    tell("stopped")


def _end_with(server: uvicorn.Server, done: asyncio.Future[None]) -> None:
    """Nothing that the service needs ends without a word: the service ends with it."""
    if not done.cancelled() and done.exception() is not None:
        server.should_exit = True


def _add_gauges(service: Service) -> None:
    admission, metrics, log = service.admission, service.core.metrics, service.log
    metrics.gauge("open_nsfw_requests_under_way", "Requests under way.", lambda: admission.requests)
    metrics.gauge("open_nsfw_held_bytes", "Bytes of uploads held.", lambda: admission.held)
    if log is not None:
        metrics.gauge("open_nsfw_log_lines_lost", "Lines of the access log that are not written.", lambda: log.left_out)


def _config(service: Service, more: Sequence[BaseRoute]) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what matters of it is told by us
    bounds = service.options.bounds
    return uvicorn.Config(
        application(service, more),
        http=connection_class(bounds, partial(_note, service)),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(bounds.idle_seconds),  # uvicorn takes whole seconds
        timeout_graceful_shutdown=1,
    )


def _note(service: Service, client: tuple[str, int] | None, status: HTTPStatus) -> None:
    """What came was answered before it was a request: no HTTP, or a head that is too large or too slow."""
    notes = Notes(secrets.token_hex(16))
    notes.status = int(status)
    service.note(known_path("", ()), {"client": client, "method": "", "path": ""}, notes)


async def _end(service: Service, server: uvicorn.Server, ending: asyncio.Event) -> None:
    """When told so, take no further request, answer what is under way, and end the server. What is not answered within the
    grace is answered 503."""
    await ending.wait()
    service.admission.is_stopping = True
    loop = asyncio.get_running_loop()
    grace = service.options.grace
    deadline = loop.time() + max(grace - LAST_SECONDS, grace / 2)
    while service.admission.requests and loop.time() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
    if service.admission.requests:
        await service.core.close()
        await asyncio.sleep(LOOK_SECONDS)
    server.should_exit = True


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, which leaves the signals to us: it would end the process with the signal, not with a status."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take none."""
        yield
