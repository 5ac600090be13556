"""Set-up for all tests: a model cache of their own, quiet Caffe, and the fidelity table at the end of the output."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

os.environ["GLOG_minloglevel"] = "2"  # Caffe logs every layer on load, unless told before the import
# One thread and several differ in the last bits; two are what the golden scores were made with.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
# What a developer has set must not decide what the tests see; test_model_cache.py sets them where they are meant.
for _name in ("OPEN_NSFW_MODEL_DIR", "XDG_CACHE_HOME", "PYTHONWARNINGS"):
    os.environ.pop(_name, None)

_CACHE = tempfile.mkdtemp(prefix="open-nsfw-tests-")
os.environ["OPEN_NSFW_CACHE"] = _CACHE  # inherited by every run of the command: the user's cache is not touched

# A script that runs the tests in the background has Ctrl-C ignored, which every command started here would take over;
# a handler is not taken over.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that no change is held up by what it did not do. `FUZZ=20 pytest` looks for new
# ones, twenty times as many; `--hypothesis-profile default` for new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True)
if not os.environ.get("FUZZ"):
    hypothesis.settings.load_profile("repeatable")

# Libraries that the extra `test` leaves out because they are large: marker -> module. .ci/run installs them and runs these.
_LARGE = {"torch": "torch"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a large library where that is not installed."""
    for marker, module in _LARGE.items():
        if importlib.util.find_spec(module) is None:
            skip = pytest.mark.skip(reason=f"{module} is not installed in this interpreter")
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(skip)


def pytest_unconfigure() -> None:
    """Remove the session's cache."""
    shutil.rmtree(_CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def _logger_of_a_library() -> Iterator[None]:
    """The command gives the package's logger a handler; each test begins with it as a library has it, whether a test before it
    or a fixture of its module ran the command."""
    logger = logging.getLogger("open_nsfw")
    logger.handlers, logger.propagate = [], True
    yield
    logger.handlers, logger.propagate = [], True


@pytest.fixture(scope="session")
def session_cache() -> Path:
    """The model cache that all tests share."""
    return Path(_CACHE)


@pytest.fixture
def fidelity_table(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Call with (engine, against, pictures, worst difference): a row of the table that ends the output.

    It is a property of the test, which comes with its report from whichever process ran it.
    """
    return lambda *row: record_property("fidelity", row)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the fidelity table, which docs/fidelity.md repeats."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = sorted(value for report in reports for name, value in report.user_properties if name == "fidelity")
    if not rows:
        return
    terminalreporter.section("fidelity")
    lines = ["| engine | against | pictures | worst \\|difference\\| |", "|---|---|---|---|"]
    lines += [f"| {engine} | {against} | {count} | {worst:.2g} |" for engine, against, count, worst in rows]
    terminalreporter.write_line("\n".join(lines))
