"""`classify_nsfw.py --policy`: a verdict on every row, and the policy's thresholds wherever something hangs on one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw.calibration.policy import Policy
from open_nsfw.scoring.model_files import find_model_files
from tests.tools.helpers import DATA, PICTURE, ROOT

PUSHED = DATA / "pushed"
LOW, MIDDLE, HIGH = (
    PUSHED / name for name in ("0.050-chelsea.jpg", "0.400-clock_motion.jpg", "0.900-hubble_deep_field.jpg")
)


def run(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command with ONNX Runtime."""
    line = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


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
        (["--policy-for-any-model"], "--policy-for-any-model needs --policy FILE"),
        (["--fail-above"], "--fail-above without a threshold needs --policy FILE"),
    ],
)
def test_what_needs_a_policy(options: list[str], message: str) -> None:
    """One line and exit status 2."""
    done = run(PICTURE, *options)
    assert (done.returncode, done.stderr) == (2, f"classify_nsfw: error: {message}\n")


# --- what the summary and the column `above` count ---

SUMMARY_OF_THREE = "classify_nsfw: 3 scored (1 below 0.2, 1 in the middle, 1 at 0.8 or above)"


@pytest.mark.parametrize(("threshold", "count", "status"), [("0.3", 2, 3), ("30%", 2, 3), ("0.95", 0, 0), ("0", 3, 3)])
def test_the_summary_counts_what_the_exit_status_is_about(threshold: str, count: int, status: int) -> None:
    """Status 3 never stands beside a count of 0."""
    done = run(LOW, MIDDLE, HIGH, "--fail-above", threshold)
    shown = {"30%": "0.3"}.get(threshold, threshold)
    assert done.returncode == status
    assert done.stderr.startswith(f"{SUMMARY_OF_THREE}, {count} at or above --fail-above {shown}, 0 failed; ")


def test_the_summary_counts_by_the_policys_threshold(policy: Path) -> None:
    """Where --fail-above leaves it to the policy."""
    done = run(LOW, MIDDLE, HIGH, "--policy", policy, "--fail-above")
    assert done.returncode == 3
    assert "3 scored (1 allow, 1 review, 1 block), 1 at or above --fail-above 0.7, 0 failed; " in done.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--copy-above", "0.3", "out"], "2 files copied by --copy-above 0.3"),
        (["--copy-above", "80%", "out"], "1 file copied by --copy-above 0.8"),
        (["--move-above", "0.95", "out"], "0 files moved by --move-above 0.95"),
        (["--move-above", "0.3", "out"], "2 files moved by --move-above 0.3"),
        (["--move-above", "0.3", "out", "--dry-run"], "2 files would be moved by --move-above 0.3"),
    ],
)
def test_the_summary_counts_files_moved_and_copied(options: list[str], text: str, tmp_path: Path) -> None:
    for path in (LOW, MIDDLE, HIGH):
        shutil.copy(path, tmp_path)
    done = run(".", *options, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith(f"{SUMMARY_OF_THREE}, {text}, 0 failed; ")


def test_a_resumed_run_counts_the_files_of_all_runs(tmp_path: Path) -> None:
    """As the rest of its summary does."""
    for path in (LOW, MIDDLE, HIGH):
        shutil.copy(path, tmp_path)
    options = [".", "--format", "csv", "--output", tmp_path / "rows.csv", "--move-above", "0.3", tmp_path / "out"]
    assert "2 files moved by --move-above 0.3" in run(*options, cwd=tmp_path).stderr
    done = run(*options, "--resume", cwd=tmp_path)
    assert f"{SUMMARY_OF_THREE}, 2 files moved by --move-above 0.3, 0 failed; 3 of them by earlier runs" in done.stderr


@pytest.mark.parametrize(
    ("options", "above"),
    [
        ([], 0),
        (["--fail-above", "0.002"], 2),
        (["--copy-above", "0.5", "out", "--fail-above", "0.2%"], 2),
        (["--copy-above", "0.0001", "out", "--dry-run"], 3),
        (["--fast", "--thresholds", "0.5,0.9", "--fail-above", "0.002"], 2),
    ],
)
def test_above_counts_the_frames_that_something_is_done_about(options: list[str], above: int, tmp_path: Path) -> None:
    """The lowest score with a consequence; without one the highest threshold of the bands. The frames score 0.0044, 0.0043
    and 0.0010."""
    animation = DATA / "pictures" / "animated.gif"
    done = run(animation, "--frames", "all", "--format", "jsonl", *options, cwd=tmp_path)
    assert [json.loads(line)["above"] for line in done.stdout.splitlines()] == [None, None, None, above]
    assert done.returncode == (3 if "--fail-above" in options else 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--fail-above 80", "--fail-above: a score from 0 to 1 is needed, not '80'"),
        ("--fail-above 0,8", "--fail-above: a score from 0 to 1 is needed, not '0,8'"),
        ("--fail-above=0_8", "--fail-above: a score from 0 to 1 is needed, not '0_8'"),
        ("--fail-above=high", "--fail-above: a score from 0 to 1 is needed, not 'high'"),
        ("--move-above 120% out", "--move-above: a score from 0 to 1 is needed, not '120%'"),
        ("--max-memory 1EB", "--max-memory: a number of bytes is needed, as 1073741824, 1GiB or 1.5GB, not '1EB'"),
        ("--max-memory 1MB", "--max-memory: a decoder needs at least 256MiB, not '1MB'"),
    ],
)
def test_values_that_are_not_understood(line: str, message: str) -> None:
    """One line that says what to write."""
    done = run(PICTURE, *line.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"classify_nsfw: error: {message}\n")


def test_sizes_with_units() -> None:
    """As people write them."""
    done = run(PICTURE, "--max-memory", "1GB", "--max-bytes", "512MiB", "--max-archive-bytes", "1.5 TB")
    assert (done.returncode, done.stderr) == (0, "")
    done = run(PICTURE, "--max-bytes", "1kB")
    expected = f"classify_nsfw: {PICTURE}: more than the limit of 1,000 bytes (--max-bytes)\n"
    assert (done.returncode, done.stderr) == (1, expected)
