"""`classify_nsfw.py --policy`: a verdict on every row, and the policy's thresholds wherever something hangs on one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw.calibration.policy import Policy
from open_nsfw.scoring.model_files import find_model_files
from tests.tools.helpers import DATA, PICTURE, ROOT

PUSHED = DATA / "pushed"
LOW, MIDDLE, HIGH = (PUSHED / name for name in ("0.050-chelsea.jpg", "0.400-moon.jpg", "0.900-motorcycle_left.jpg"))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command with ONNX Runtime."""
    line = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(name="policy")
def _policy(tmp_path: Path) -> Path:
    """A policy of two thresholds for the packaged model."""
    path = tmp_path / "policy.json"
    Policy((0.3, 0.7), model=find_model_files().short_hash).write(path)
    return path


@pytest.mark.parametrize("fast", [[], ["--fast"]])
def test_every_row_has_a_verdict(policy: Path, fast: list[str]) -> None:
    """By the policy's bands; none for a picture without a score. The summary counts by the same bands."""
    done = run("--policy", policy, "--format", "jsonl", LOW, MIDDLE, "missing.jpg", HIGH, *fast)
    assert [json.loads(line)["verdict"] for line in done.stdout.splitlines()] == ["allow", "review", None, "block"]
    assert "3 scored (1 allow, 1 review, 1 block)" in done.stderr
    assert done.returncode == 1


def test_text_has_the_verdict_behind_the_score(policy: Path) -> None:
    """Also for a single picture."""
    assert run("--policy", policy, HIGH).stdout.endswith(" (block)\n")
    assert f" (allow) {LOW}\n" in run("--policy", policy, LOW, HIGH).stdout


def test_fail_above_without_a_threshold_is_the_policys_highest(policy: Path) -> None:
    """3 only where a picture would be blocked."""
    assert run("--policy", policy, "--fail-above", LOW, HIGH).returncode == 3
    assert run("--policy", policy, LOW, MIDDLE, "--fail-above").returncode == 0


def test_a_policy_for_another_model_is_refused(tmp_path: Path) -> None:
    """In one line that names the way out, which works."""
    path = tmp_path / "policy.json"
    Policy((0.5,), ("allow", "block"), model="000000000000").write(path)
    done = run("--policy", path, PICTURE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"classify_nsfw: error: {path}: was made for the model 000000000000, this is ")
    assert len(done.stderr.splitlines()) == 1
    assert run("--policy", path, "--policy-for-any-model", PICTURE).returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy-for-any-model"], "--policy-for-any-model goes with --policy FILE"),
        (["--fail-above"], "--fail-above without a threshold goes with --policy FILE"),
    ],
)
def test_what_needs_a_policy(options: list[str], message: str) -> None:
    """One line and exit status 2."""
    done = run(PICTURE, *options)
    assert (done.returncode, done.stderr) == (2, f"classify_nsfw: error: {message}\n")
