"""`open-nsfw serve`: score pictures over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from open_nsfw.cli.process import guarded
from open_nsfw.cli.serve_options import PROGRAM, parse
from open_nsfw.cli.serve_options import parser as parser  # where the help and the documentation look for it
from open_nsfw.cli.status import Status
from open_nsfw.errors import EngineError
from open_nsfw.installing import install_command
from open_nsfw.service.options import ServeOptions

LIBRARIES = ("starlette", "uvicorn", "h11", "python_multipart", "prometheus_client")


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw serve` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def _run(options: ServeOptions) -> int:
    check_installed()
    from open_nsfw.service.server import serve

    if options.review is None:
        serve(options, _tell)
    else:
        from open_nsfw.service.review_server import review_routes

        with review_routes(options, options.review) as routes:
            serve(options, _tell, routes)
    return Status.DONE


def check_installed() -> None:
    """Raises EngineError, with the command that mends it, where a library of the service is not installed."""
    from importlib.util import find_spec

    if not all(map(find_spec, LIBRARIES)):
        raise EngineError(f"the service needs more libraries: {install_command('serve')}")


def _tell(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)
