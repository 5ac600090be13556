"""The command line of `open-nsfw spark`: what is wrong with it is one line, before Spark starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.cluster import session
from open_nsfw.installing import install_command

SCORE = ["spark", "score", "photos", "--output", "scores"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["spark"], "open-nsfw spark: error: ACTION is missing; write open-nsfw spark score|features|fine-tune"),
        ([*SCORE, "--conf", "spark.x"], "--conf: a property is needed, as spark.executor.memory=4g, not 'spark.x'"),
        ([*SCORE, "--retry-failed"], "--retry-failed needs --resume"),
        ([*SCORE, "--resume", "--overwrite"], "--resume and --overwrite cannot be combined"),
        ([*SCORE, "--thresholds", "0.5"], "--thresholds needs --fast"),
        ([*SCORE, "--policy-for-any-model"], "--policy-for-any-model needs --policy FILE"),
        ([*SCORE, "--policy", "absent.json"], "absent.json: "),
        (["spark", "score", "photos"], "--output is missing; write open-nsfw spark score INPUT --output DIR"),
        (
            ["spark", "features", "a", "--output", "b", "--blobs", "pool,"],
            "names of blobs with commas between are needed",
        ),
        (
            ["spark", "fine-tune", "a", "--output", "b", "--workers", "0"],
            "--workers: a whole number above 0 is needed, not '0'",
        ),
    ],
)
def test_wrong_command_lines(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and what to write."""
    assert open_nsfw(arguments) == 2
    line, end = capsys.readouterr().err.split("\n")
    assert message in line and end == ""


@pytest.mark.parametrize("library", ["pyspark", "pandas", "pyarrow"])
def test_a_missing_library(
    library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Is named with the command that installs it, and nothing is written."""
    monkeypatch.setattr(session, "find_spec", lambda name: None if name == library else object())
    target = tmp_path / "scores"
    assert open_nsfw(["spark", "score", "photos", "--output", str(target)]) == 2
    command = install_command("spark")
    assert capsys.readouterr().err == f"open-nsfw spark score: error: {library} is not installed: {command}\n"
    assert "'pyspark>=4.0' 'pandas>=2.2,<3' 'pyarrow>=18'" in command
    assert not target.exists()
