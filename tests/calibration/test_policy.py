"""The policy file: what it says, what it refuses, and that reading it costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.calibration.policy import BANDS, PREPROCESSING, Policy
from open_nsfw.errors import OutputError, UsageError
from tests.tools.helpers import ROOT

MODEL = "de89bb9f9e6f"
WAY_OUT = "calibrate for this model, or take the policy nevertheless with --policy-for-any-model"


def make(**values: Any) -> Policy:
    """A policy of the usual kind."""
    return Policy(**{"thresholds": (0.2, 0.8), "model": MODEL, **values})


def refusal(content: str | bytes) -> str:
    """What is said about a file with this content."""
    with pytest.raises(UsageError) as caught:
        Policy.from_json(content, "p.json")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def text(**values: Any) -> str:
    """A file's text with these values."""
    return json.dumps({"open_nsfw_policy": 1, "thresholds": [0.5], "bands": ["a", "b"], **values})


def test_verdict_changes_at_the_threshold_itself() -> None:
    """At or over counts as the band above."""
    policy = make()
    found = [policy.verdict(score) for score in (0.0, 0.19999999, 0.2, 0.5, 0.79999999, 0.8, 1.0)]
    assert found == ["allow", "allow", "review", "review", "review", "block", "block"]


def test_no_score_has_no_verdict() -> None:
    """NaN compares with nothing, and must not be allowed for that."""
    with pytest.raises(ValueError, match=r"^NaN has no verdict$"):
        make().verdict(float("nan"))


def test_any_number_of_bands() -> None:
    """Also two and four."""
    assert make(thresholds=(0.5,), bands=("allow", "block")).verdict(0.5) == "block"
    four = make(thresholds=(0.0, 0.5, 1.0), bands=("never", "b", "c", "d"))
    assert [four.verdict(score) for score in (0.0, 0.5, 0.9999, 1.0)] == ["b", "c", "c", "d"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every field comes back."""
    policy = make(
        bands=("gut", "prüfen", "weg"),
        chosen_by="--bands 0.2,0.8",
        made="2026-01-02",
        confidence=0.9,
        prevalence=0.03,
        sample={"pictures": 3, "sfw": 2, "nsfw": 1},
        rates={"thresholds": [{"threshold": 0.2}]},
        scores={"edges": [0.5], "sfw": [2, 0], "nsfw": [0, 1]},
    )
    path = tmp_path / "policy.json"
    policy.write(path)
    assert Policy.read(path) == policy
    assert Policy.read(str(path)).path == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["policy.json"]


def test_a_person_can_write_one() -> None:
    """Three values are enough, and whole numbers are numbers."""
    policy = Policy.from_json('{"open_nsfw_policy": 1, "thresholds": [0, 1], "bands": ["a", "b", "c"]}')
    assert policy.thresholds == (0.0, 1.0)
    assert policy.model is None
    assert Policy.from_json('{"open_nsfw_policy": 1, "thresholds": [0.2, 0.8]}').bands == BANDS


def test_the_file_is_small_and_in_lines() -> None:
    """One line for what is short, and none longer than a screen."""
    lines = make(rates={"thresholds": [{"threshold": 0.2, "recall": {"value": 0.5}}] * 9}).to_json().splitlines()
    assert lines[:4] == [
        "{",
        '  "open_nsfw_policy": 1,',
        '  "thresholds": [0.2, 0.8],',
        '  "bands": ["allow", "review", "block"],',
    ]
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "p.json: is no policy: Expecting value: line 1 column 1 (char 0)"),
        ("[1]", 'p.json: is no policy: it has no "open_nsfw_policy"'),
        ("{}", 'p.json: is no policy: it has no "open_nsfw_policy"'),
        (text(open_nsfw_policy=2), "p.json: is a policy of version 2, this program knows version 1"),
        (text(treshold=1), 'p.json: "treshold" means nothing in a policy'),
        ('{"open_nsfw_policy": 1}', "p.json: has no thresholds"),
        (text(thresholds=0.5), 'p.json: "thresholds" cannot be 0.5'),
        (text(thresholds=[]), "p.json: thresholds are numbers from 0 to 1, at least one, not []"),
        (text(thresholds=[1.5]), "p.json: thresholds are numbers from 0 to 1, at least one, not [1.5]"),
        (text(thresholds=["0.5"]), 'p.json: thresholds are numbers from 0 to 1, at least one, not ["0.5"]'),
        (text(thresholds=[True]), "p.json: thresholds are numbers from 0 to 1, at least one, not [true]"),
        (text(thresholds=[float("nan")]), "p.json: is no policy: NaN is no finite number"),
        (
            text(thresholds=[0.8, 0.2], bands=["a", "b", "c"]),
            "p.json: thresholds must rise, not [0.8, 0.2]",
        ),
        (text(bands=["a"]), 'p.json: 1 thresholds part 2 bands of different names, not ["a"]'),
        (text(bands=["a", "a"]), 'p.json: 1 thresholds part 2 bands of different names, not ["a", "a"]'),
        (text(bands=["a", ""]), 'p.json: names of bands are printable words of at most 60 letters, not ["a", ""]'),
        (
            text(bands=["a", "b\n"]),
            'p.json: names of bands are printable words of at most 60 letters, not ["a", "b\\n"]',
        ),
        (text(bands=["a", 1]), 'p.json: names of bands are printable words of at most 60 letters, not ["a", 1]'),
        (
            text(bands=["a", "b" * 61]),
            f"""p.json: names of bands are printable words of at most 60 letters, not ["a", "{"b" * 61}"]""",
        ),
        (text(made="2026\x1b[31m"), 'p.json: "made" has letters that cannot be printed: "2026\\u001b[31m"'),
        (text(model="\u202ea"), 'p.json: "model" has letters that cannot be printed: "\\u202ea"'),
        (text(confidence=float("inf")), "p.json: is no policy: Infinity is no finite number"),
        (text().replace("[0.5]", "[1e999]"), "p.json: is no policy: 1e999 is no finite number"),
        (text(scores={"sfw": [10**400]}), "p.json: is no policy: it has a number of 401 digits"),
        (text(model=7), 'p.json: "model" cannot be 7'),
        (text(confidence=None), 'p.json: "confidence" cannot be null'),
        (text(scores=[]), 'p.json: "scores" cannot be []'),
    ],
)
def test_what_is_no_policy_is_refused(content: str, message: str) -> None:
    """In one line that says what is wrong."""
    assert refusal(content) == message


def test_bytes_that_are_no_text_and_files_without_end_are_refused() -> None:
    """Whatever is named by mistake."""
    assert refusal(b"\xff\xfe\xfd").startswith("p.json: is no policy: ")
    assert refusal(b'{"open_nsfw_policy": 1, "x": "' + b"a" * (1 << 20)).startswith("p.json: is no policy: it has no")
    assert refusal("[" * 100_000).startswith("p.json: is no policy: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Named with the system's reason."""
    path = tmp_path / "none.json"
    with pytest.raises(UsageError) as caught:
        Policy.read(path)
    assert str(caught.value) == f"{path}: the policy cannot be read: No such file or directory"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """An OutputError, and nothing half written."""
    with pytest.raises(OutputError) as caught:
        make().write(tmp_path / "none" / "policy.json")
    assert str(caught.value) == f"{tmp_path}/none/policy.json: cannot be written: No such file or directory"


def test_another_model_is_refused() -> None:
    """Its scores mean something else."""
    make().check_model(MODEL)
    for policy, message in (
        (make(), f"the policy: was made for the model {MODEL}, this is 000000000000; {WAY_OUT}"),
        (make(model=None), f"the policy: does not say which model it was made for; {WAY_OUT}"),
        (
            make(model="000000000000", preprocessing="another"),
            f"the policy: was made for another preprocessing (another); {WAY_OUT}",
        ),
    ):
        with pytest.raises(UsageError) as caught:
            policy.check_model("000000000000")
        assert str(caught.value) == message
    assert make().preprocessing == PREPROCESSING


def test_importing_it_is_cheap() -> None:
    """The command reads a policy on every run."""
    code = "import sys; from open_nsfw.calibration import policy; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"numpy", "PIL", "sklearn", "scipy", "matplotlib", "onnxruntime", "tqdm"}.isdisjoint(found.split())
