"""A service of the command, started for a test, and what speaks to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.tools.helpers import ROOT, SECONDS

KEY = "a-key-of-the-tests-0123456789"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    content: bytes

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of JSON."""
        return [json.loads(line) for line in self.content.splitlines()]

    @property
    def json(self) -> Any:
        """The whole content."""
        return json.loads(self.content)

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of a refusal."""
        return self.status, self.json["error"]["code"]


class Running:
    """A service that was started."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, seconds: float = SECONDS
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        finally:
            connection.close()

    def score(self, picture: bytes, query: str = "", headers: dict[str, str] | None = None) -> Answer:
        """`POST /v1/score` of one file."""
        return self.ask("POST", "/v1/score" + query, picture, headers)

    def metric(self, name: str, headers: dict[str, str] | None = None) -> float:
        """The number of a metric: its name, and its labels if it has some."""
        lines = self.ask("GET", "/metrics", headers=headers).content.decode().splitlines()
        return next(float(line[len(name) :]) for line in lines if line.startswith(name + " "))

    def under_way(self, headers: dict[str, str] | None = None) -> float:
        """How many requests are answered just now, clamd's streams with them; the one that asks for this number is none."""
        return self.metric("open_nsfw_requests_under_way", headers)

    def connect(self, seconds: float = 30) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def raw(self, request: bytes, seconds: float = 30) -> bytes:
        """All that comes back for these bytes until the connection is closed."""
        with self.connect(seconds) as connection:
            connection.sendall(request)
            return received(connection)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes, or ends the connection."""
    content = b""
    try:
        while piece := connection.recv(65536):
            content += piece
    except ConnectionResetError:
        pass
    return content


@contextmanager
def serving(folder: Path, *options: str | os.PathLike[str], env: dict[str, str] | None = None) -> Iterator[Running]:
    """`open-nsfw serve` on a free port of the loopback, until the end of the block. Its output is in `folder`."""
    log = folder / "service.log"
    line = [sys.executable, "-m", "open_nsfw", "serve", "--port", "0", *map(os.fspath, options)]
    with open(log, "w") as output:
        process = subprocess.Popen(
            line, cwd=ROOT, stdout=output, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        found = re.fullmatch(r"open-nsfw serve: listening on http://127\.0\.0\.1:(\d+)\n", first)
        assert found, first + process.stderr.read()
        yield Running(process, int(found[1]), log)
    finally:
        process.kill()
        process.wait(SECONDS)
        process.stderr.close()


def multipart(parts: list[tuple[str, bytes]], boundary: str = "BOUNDARY") -> tuple[bytes, dict[str, str]]:
    """A body and its header: (file name, content) of each part."""
    pieces = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in parts
    ]
    body = b"".join(pieces) + f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
