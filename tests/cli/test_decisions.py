"""What hangs on a score: one set of thresholds for the summary, the column `above`, the fast mode and the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.calibration.policy import Policy
from open_nsfw.cli.classify_options import parse
from open_nsfw.cli.decisions import Decisions, decide
from open_nsfw.errors import UsageError


@pytest.fixture(name="policy")
def _policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.json"
    Policy((0.3, 0.7)).write(path)
    return str(path)


def decisions(*options: str) -> Decisions:
    """Those of a command line."""
    return decide(parse(["a.jpg", *options]).verdict)


def test_without_options() -> None:
    """The bands that the network's authors suggest."""
    found = decisions()
    assert (found.above, found.thresholds, found.fail_above, found.policy) == (0.8, (0.2, 0.8), None, None)
    assert found.bands.thresholds == (0.2, 0.8)


@pytest.mark.parametrize(
    ("options", "above", "thresholds"),
    [
        ("--fast --thresholds 0.1,0.6", 0.6, (0.1, 0.6)),
        ("--fail-above 0.5", 0.5, (0.2, 0.8, 0.5)),
        ("--fail-above 0.9 --move-above 0.4 x", 0.4, (0.2, 0.8, 0.9, 0.4)),
        ("--copy-above 95% x", 0.95, (0.2, 0.8, 0.95)),
        ("--fast --thresholds 0.1,0.6 --fail-above 0.9", 0.9, (0.1, 0.6, 0.9)),
    ],
)
def test_options(options: str, above: float, thresholds: tuple[float, ...]) -> None:
    """`above` is the lowest score that something is done about; the fast mode minds all of them."""
    found = decisions(*options.split())
    assert (found.above, found.thresholds) == (above, thresholds)


def test_a_policy(policy: str) -> None:
    """Has thresholds and bands, and a threshold for --fail-above."""
    found = decisions("--policy", policy)
    assert (found.above, found.thresholds, found.fail_above) == (0.7, (0.3, 0.7), None)
    assert found.bands.names == ("allow", "review", "block")
    assert decisions("--policy", policy, "--fail-above").fail_above == 0.7
    assert decisions("--policy", policy, "--fail-above", "0.6").thresholds == (0.3, 0.7, 0.6)
    assert decisions("--policy", policy, "--fast", "--thresholds", "0.5").thresholds == (0.5, 0.3, 0.7)


def test_a_policy_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"^none\.json: the policy cannot be read: No such file or directory$"):
        decisions("--policy", "none.json")


def test_a_request_cannot_be_changed() -> None:
    """It is what the command line said, whoever reads it."""
    request = parse(["a.jpg", "--fail-above", "0.5"])
    for part in (request, request.verdict, request.output, request.load, request.sources, request.extraction):
        with pytest.raises(AttributeError):
            part.policy = "x"  # type: ignore[union-attr,misc]
