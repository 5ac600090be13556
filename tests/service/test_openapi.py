"""`/openapi.json` says what the routes do: schemathesis asks them for what it says, and for what it excludes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from starlette.routing import Route

from open_nsfw.service.application import ROUTES
from open_nsfw.service.openapi import document
from tests.tools.service import Running


def test_every_route_is_described(service: Running) -> None:
    """With its methods."""
    said = service.ask("GET", "/openapi.json").json["paths"]
    for route in ROUTES:
        assert isinstance(route, Route)
        methods = {each.lower() for each in (route.methods or set()) - {"HEAD"}}
        assert set(said[route.path]) == methods
        assert all(said[route.path][method]["summary"] for method in methods)
    assert set(said) == {*(route.path for route in ROUTES if isinstance(route, Route)), "/openapi.json", "/docs"}


def test_a_route_that_nothing_is_written_of_has_its_docstring() -> None:
    """And its parameters."""

    async def endpoint(request: object) -> None:
        """Give one thing. More of it."""

    (said,) = document([Route("/things/{name}", endpoint)])["paths"].values()
    assert said["get"]["summary"] == "Give one thing" and said["get"]["parameters"][0]["name"] == "name"


@pytest.mark.parametrize("path", ["/v1/score", "/v1/detect-images", "/api/v1/vision/nsfw"])
@pytest.mark.parametrize("headers", [{}, {"Host": "nsfw.example"}, {"Origin": "http://nsfw.example"}])
def test_refusals_have_the_form_that_is_described(path: str, headers: dict[str, str], service: Running) -> None:
    """Also those that come before the route: a host's form where the host's interface refuses, else the service's."""
    content = service.ask("GET", "/openapi.json").json
    described = content["paths"][path]["post"]["responses"]["default"]["content"]["application/json"]["schema"]
    answer = service.ask("POST", path, b"{}", {"Content-Type": "application/json", **headers})
    assert answer.status in (400, 403, 415, 421)
    jsonschema.validate(answer.json, {**described, "components": content["components"]})


@pytest.mark.skipif(
    sys.version_info < (3, 10),
    reason="the schemathesis of Python 3.9 takes every body for one that is against `binary`",
)
def test_schemathesis_finds_no_difference(service: Running, tmp_path: Path) -> None:
    """Status codes, content types, schemas, and refusals of what is not allowed. That all it sends is accepted cannot be
    asked for: a multipart body without a part fits any schema."""
    line = [str(Path(sys.executable).with_name("st")), "run", f"http://127.0.0.1:{service.port}/openapi.json"]
    own = "^/(v1/(score|detect-images|pict-rs)|api/v1/vision/nsfw|healthz|readyz|metrics|openapi.json|docs)?$"
    options = ["--max-examples", "15", "--seed", "1", "--include-path-regex", own]
    options += ["--exclude-checks", "positive_data_acceptance"]
    done = subprocess.run([*line, *options], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
