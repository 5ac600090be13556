"""The page at `/`, where people score pictures by hand. One HTML file, which loads nothing else.

Its Content-Security-Policy allows exactly the style and the script in it, by their hashes, and no address but the service's
own: whatever a file is called or holds, the page runs and fetches nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from open_nsfw.service.service import service_of

FILE = Path(__file__).parent / "static" / "score.html"


async def page(request: Request) -> Response:
    """The page; browsers ask for the key, as the password, where there are keys."""
    service_of(request).key_name(request)
    text = _text()
    return HTMLResponse(text, headers=security_headers(text))


@lru_cache(1)
def _text() -> str:
    return FILE.read_text(encoding="utf-8")


def security_headers(html: str) -> dict[str, str]:
    """What a browser may do for this page and no more."""
    policy = (
        "default-src 'none'",
        f"style-src {_hashes('style', html)}",
        f"script-src {_hashes('script', html)}",
        "img-src blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def _hashes(tag: str, html: str) -> str:
    """The hashes of all elements of a kind, as the policy has them."""
    contents = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in contents]
    return " ".join(f"'sha256-{each}'" for each in digests) or "'none'"


ROUTES = [Route("/", page, methods=["GET"])]
