"""`Service`: what every route works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request
from starlette.types import Scope

from open_nsfw.service.access_log import AccessLog
from open_nsfw.service.admission import Admission, Ticket
from open_nsfw.service.core import Core
from open_nsfw.service.keys import Keys, key_in
from open_nsfw.service.notes import Notes, notes_of
from open_nsfw.service.options import ServeOptions
from open_nsfw.service.refusals import key_needed


@dataclass
class Service:
    """The parts of a running service. A route finds it with `service_of`."""

    options: ServeOptions
    core: Core
    admission: Admission
    keys: Keys | None = None
    """Who may use it; None: everybody who reaches it."""
    log: AccessLog | None = None

    def key_name(self, request: Request) -> str:
        """The name of the key that a request has; empty where none is needed. Raises Refusal (401)."""
        if self.keys is None:
            return ""
        name = self.keys.name_of(key_in(request.headers.get("authorization", "")))
        if name is None:
            raise key_needed()
        notes_of(request).key = name
        return name

    def admit(self, request: Request) -> Ticket:
        """Let a request in that is going to be scored; a context manager around all of its work. Raises Refusal: 401, 429 or
        503."""
        return self.admission.enter(self.key_name(request))

    def note(self, label: str, scope: Scope, notes: Notes) -> None:
        """A request is over: tell metrics and log. `label`: what the metrics call it by."""
        self.core.metrics.add_request(label, notes.status, notes.seconds)
        if self.log is not None:
            self.log.add(scope, notes)


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    return cast(Service, request.app)
