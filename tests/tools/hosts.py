"""Hosts as they speak to the service, each by its own published source, and what they make of the answers.

misskey      packages of misskey-dev/sensitive-detector: a part a picture; the classes decide
photoprism   internal/ai/vision and internal/ai/nsfw: data URLs; a number, if there is one, outranks the status
pict-rs      external validation: the upload as it is; any status but 2xx keeps it out
clamd        Nextcloud's files_antivirus: nINSTREAM, chunks, one line back
"""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
from collections.abc import Sequence
from typing import Any

from tests.tools.service import Answer, Running

BOUNDARY = "----formdata-undici-0123456789"
PHOTOPRISM_THRESHOLD = 0.75  # of remote services, unless the operator names another


def misskey_ask(
    service: Running, parts: Sequence[tuple[str | None, bytes]], headers: dict[str, str] | None = None
) -> Answer:
    """(media type, content) of each picture, as FormData sends files; None for a text field."""
    pieces = []
    for number, (media_type, content) in enumerate(parts):
        name = f'name="image{number}"'
        if media_type is not None:
            name += f'; filename="frame{number}.png"\r\nContent-Type: {media_type}'
        pieces.append(
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode("latin-1") + content + b"\r\n"
        )
    body = b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()
    given = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    return service.ask("POST", "/v1/detect-images", body, given)


def misskey_is_sensitive(result: dict[str, Any], threshold: float) -> bool | None:
    """What Misskey makes of one result; None where it knows nothing."""
    if not result["success"]:
        return None
    found = {each["className"]: each["probability"] for each in result["predictions"]}
    return any(found.get(name, 0) > threshold for name in ("Porn", "Hentai", "Sexy"))


def photoprism_ask(service: Running, images: Sequence[bytes], headers: dict[str, str] | None = None) -> Answer:
    """A request as PhotoPrism's client makes it."""
    urls = ["data:image/jpeg;base64," + base64.b64encode(image).decode() for image in images]
    body = {"id": "b0a1", "model": "nsfw", "version": "latest", "suffix": "", "stream": False, "images": urls}
    given = {"Content-Type": "application/json", **(headers or {})}
    return service.ask("POST", "/api/v1/vision/nsfw", json.dumps(body), given)


def photoprism_decides(result: dict[str, Any], threshold: float = PHOTOPRISM_THRESHOLD) -> str:
    """`Result.Decide` of 2026: a score that was set comes first, then classes, and then the status."""
    score = result.get("score")
    if score is None and any(result[name] > 0 for name in ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")):
        score = max(result[name] for name in ("Porn", "Sexy", "Hentai"))
    if score is not None:
        return "unsafe" if score >= threshold else "safe"
    return str(result["status"]) if result["status"] in ("safe", "unsafe") else "unavailable"


def photoprism_of_old_decides(result: dict[str, Any], threshold: float = 0.98) -> str:
    """Releases before that know the classes alone."""
    if result["Neutral"] > 0.25:
        return "safe"
    return "unsafe" if max(result[name] for name in ("Porn", "Sexy", "Hentai")) > threshold else "safe"


def pictrs_lets_in(service: Running, upload: bytes, media_type: str, headers: dict[str, str] | None = None) -> bool:
    """Whether pict-rs would keep an upload."""
    answer = service.ask("POST", "/v1/pict-rs", upload, {"Content-Type": media_type, **(headers or {})})
    return 200 <= answer.status < 300


class Clamd:
    """A client of clamd."""

    def __init__(self, address: str) -> None:
        """`address`: as the service told it."""
        if address.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(address)
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(60)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Clamd:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)

    def stream(self, content: bytes, piece: int = 8192) -> None:
        """A stream as files_antivirus writes it."""
        self.send(b"nINSTREAM\n")
        for start in range(0, len(content), piece):
            chunk = content[start : start + piece]
            self.send(struct.pack(">I", len(chunk)) + chunk)
        self.send(struct.pack(">I", 0))

    def rest(self) -> bytes:
        """All that comes until the connection is closed."""
        return self.file.read()


def clamd_scan(address: str, content: bytes) -> str:
    """What files_antivirus makes of a file: `clean`, the name of what was found, or `unchecked`."""
    with Clamd(address) as client:
        client.stream(content)
        line = client.file.readline().decode()
    if found := re.search(r".*: (.*) FOUND$", line.strip()):
        return found[1]
    return "clean" if line.rstrip("\n").endswith(": OK") else "unchecked"
