"""`open-nsfw policy check` as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.__main__ import main as open_nsfw

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

from tests.calibration.test_drift import policy_of, scores

WAY_OUT = "calibrate for this model, or take the policy nevertheless with --policy-for-any-model"


def check(tmp_path: Path, traffic: Any, *options: str, model: str = "m") -> int:
    """The exit status of `open-nsfw policy check` on such traffic."""
    policy_of(400, 400, np.random.default_rng(0)).write(tmp_path / "policy.json")
    lines = [json.dumps({"score": score, "model": model}) for score in traffic]
    (tmp_path / "today.jsonl").write_text("\n".join([*lines, '{"score": null}']))
    return open_nsfw(["policy", "check", str(tmp_path / "policy.json"), str(tmp_path / "today.jsonl"), *options])


def test_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both comparisons, the share, the bands, a sentence."""
    assert check(tmp_path, scores(970, 30, np.random.default_rng(1))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1,000 scores of today against 800 of the sample of 2026-01-02"
    assert lines[1].startswith("as they are: population stability index ")
    assert lines[1].endswith(": another population")
    assert lines[2].startswith("another share of nsfw allowed for: population stability index ")
    assert lines[2].endswith(": no difference that matters")
    assert lines[3].endswith(" today, 50.0% in the sample")
    assert lines[4].startswith("today's pictures: ")
    assert lines[5].startswith("The policy still holds: ")
    assert len(lines) == 6


def test_exit_status_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1 where the policy no longer holds, or nobody can tell."""
    assert check(tmp_path, scores(970, 30, np.random.default_rng(1), shift=2)) == 1
    assert check(tmp_path, scores(40, 10, np.random.default_rng(1))) == 1
    assert capsys.readouterr().out.count("\n") == 12


def test_numbers_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For other programs."""
    assert check(tmp_path, scores(500, 500, np.random.default_rng(1)), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["scores"], found["without"], found["holds"]) == (1000, 1, True)
    assert set(found["fair"]) == {"psi", "statistic", "p_value"}


def test_scores_of_another_model_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless told otherwise."""
    traffic = scores(500, 500, np.random.default_rng(1))
    assert check(tmp_path, traffic, model="other") == 2
    assert capsys.readouterr().err == (
        f"open-nsfw policy: error: {tmp_path}/policy.json: was made for the model m, this is other; {WAY_OUT}\n"
    )
    assert check(tmp_path, traffic, "--policy-for-any-model", model="other") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ACTION is missing; write open-nsfw policy check"),
        (["chek"], "ACTION: there is no 'chek'; choose from check"),
        (["check", "none.json", "x"], "none.json: the policy cannot be read: No such file or directory"),
    ],
)
def test_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit status 2."""
    assert open_nsfw(["policy", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"open-nsfw policy: error: {message}")
    assert err.count("\n") == 1


def test_a_file_without_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is nothing to compare with."""
    assert check(tmp_path, []) == 2
    assert capsys.readouterr().err == f"open-nsfw policy: error: {tmp_path}/today.jsonl: there are no scores in it\n"
