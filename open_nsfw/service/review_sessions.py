"""Who may open the review page: a browser with a token that is good for one use, or with a key of the service; then a cookie."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from open_nsfw.review.desk import Session
from open_nsfw.service.refusals import Refusal

COOKIE = "open_nsfw_review"  # its name's beginning
TOKEN = "token"  # the parameter of the address that is printed
MOST_SESSIONS = 1000  # browsers that are remembered; beyond, the one that was here longest ago is forgotten


class Sessions:
    """The browsers that were let in, by the hash of what their cookie holds."""

    def __init__(self, path: str) -> None:
        """`path`: what the cookie is for."""
        self._path = path
        self._lock = threading.Lock()
        self._by_digest: OrderedDict[str, Session] = OrderedDict()

    def find(self, request: Request) -> Session | None:
        """The session of the browser that a request is from."""
        digest = _digest(request.cookies.get(_cookie(request), ""))
        with self._lock:
            session = self._by_digest.get(digest)
            if session is not None:
                self._by_digest.move_to_end(digest)
        return session

    def begin(self, request: Request, response: Response) -> None:
        """Let the browser in that sent this request, and gets this response."""
        secret = secrets.token_urlsafe(32)
        response.set_cookie(_cookie(request), secret, path=self._path, httponly=True, samesite="strict")
        with self._lock:
            self._by_digest[_digest(secret)] = Session(holder=secrets.token_hex(8))
            while len(self._by_digest) > MOST_SESSIONS:
                self._by_digest.popitem(last=False)


class Tokens:
    """Tokens that let in one browser each. When one is used, the next one is told."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """`tell` takes each token once."""
        self._tell = tell
        self._lock = threading.Lock()
        self._token = secrets.token_urlsafe(24)

    def begin(self) -> None:
        """Tell the first one."""
        self._tell(self._token)

    def redeem(self, token: str) -> None:
        """Use a token. Raises Refusal (403) if it is wrong or was used."""
        with self._lock:
            if not hmac.compare_digest(_digest(token), _digest(self._token)):
                raise Refusal(
                    HTTPStatus.FORBIDDEN,
                    "wrong-token",
                    "this address was used, or is wrong; take the last one that was printed",
                )
            self._token = secrets.token_urlsafe(24)
            self._tell(self._token)


def _cookie(request: Request) -> str:
    """The name of the cookie. Browsers send a host's cookies to all of its ports, where another review may be."""
    return f"{COOKIE}_{request.scope['server'][1]}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
