"""`policy check --labelled`: do a policy's error rates still hold, by labels of today?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.calibration.audit import audit, read_audit, text
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.sample import Sample
from open_nsfw.errors import UsageError
from tests.tools.samples import simulate, write_csv

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of 1,000 pictures."""
    folder = tmp_path_factory.mktemp("policy")
    labels = write_csv(folder / "labels.csv", simulate(800, 200, seed=1))
    assert open_nsfw(["calibrate", str(labels), "--resamples", "20", "--quiet", "--model-hash", "m"]) == 0
    return folder / "labels-calibration" / "policy.json"


def moved(sample: Sample, nsfw_by: float) -> Sample:
    """The sample with the logits of its nsfw pictures moved."""
    logits = np.log(sample.scores / (1 - sample.scores)) + np.where(sample.nsfw, nsfw_by, 0.0)
    return Sample(expit(logits), sample.nsfw)


def test_rates_that_hold_and_rates_that_do_not(policy: Path) -> None:
    """A recall that fell is held against the policy, one that rose is not."""
    kept = Policy.read(policy)
    same = audit(kept, simulate(600, 150, seed=2))
    assert same.holds and {each.verdict for each in same.rates} == {"same"}
    assert [(each.about, each.threshold) for each in same.rates] == [
        *(("false_positive_rate", 0.2), ("recall", 0.2), ("false_positive_rate", 0.8), ("recall", 0.8))
    ]
    worse = audit(kept, moved(simulate(600, 150, seed=2), -3.0))
    assert not worse.holds and {each.verdict for each in worse.rates if each.about == "recall"} == {"worse"}
    assert text(worse).endswith("By these labels, the policy errs more than it did: calibrate again, with them.\n")
    better = audit(kept, moved(simulate(600, 150, seed=2), 3.0))
    assert better.holds and "better" in {each.verdict for each in better.rates}


def test_a_film_is_one_picture_or_few(policy: Path, tmp_path: Path) -> None:
    """Frames of one film that all score too high tell as little as one of them; without the column, they would end the policy."""
    sample = simulate(300, 80, seed=3)
    rows = [(score, "nsfw" if nsfw else "sfw", "") for score, nsfw in zip(sample.scores, sample.nsfw)]
    found = {}
    for group in ("film", ""):
        lines = [f"{score},{label},{name}" for score, label, name in [*rows, *[(0.5, "sfw", group)] * 100]]
        (tmp_path / "today.csv").write_text("\n".join(["score,label,group", *lines]))
        kept = Policy.read(policy)
        found[group] = audit(kept, read_audit(str(tmp_path / "today.csv"), LabelNames(), kept, any_model=True))
    assert (found["film"].holds, found[""].holds) == (True, False)
    of_films, of_frames = (found[group].rates[0].now for group in ("film", ""))
    assert of_films.value == of_frames.value and of_films.worth < 100 < of_frames.worth == 400
    assert "label pictures from more sources" in text(found["film"]) and found[""].warning is None


def test_false_alarms_are_rare(policy: Path) -> None:
    """Of 200 days on which nothing changed, hardly any; with weights, too."""
    kept, alarms = Policy.read(policy), 0
    for seed in range(200):
        sample = simulate(300, 80, seed=100 + seed)
        weights = np.where((sample.scores < 0.2) | (sample.scores >= 0.8), 5.0, 1.0)
        random = np.random.default_rng(seed)
        asked = random.random(380) < 1 / weights
        alarms += not audit(kept, Sample(sample.scores[asked], sample.nsfw[asked], weights=weights[asked])).holds
    assert alarms <= 6


def test_one_class_alone_is_compared_too(policy: Path) -> None:
    """An audit of what was blocked may have found no safe picture."""
    sample = simulate(300, 80, seed=5)
    found = audit(Policy.read(policy), Sample(sample.scores[sample.nsfw], sample.nsfw[sample.nsfw]))
    assert {each.about for each in found.rates} == {"recall"} and found.sfw == 0


def test_a_policy_without_rates_is_refused(policy: Path) -> None:
    """As one that was changed by hand."""
    kept = replace(Policy.read(policy), rates={})
    with pytest.raises(UsageError, match="keeps no error rates to compare with; calibrate again"):
        audit(kept, simulate(30, 30))
    for broken in ({"value": "a"}, {"value": 2, "low": 0, "high": 1, "count": 1, "of": 2}, 7, None):
        table = {"threshold": 0.2, "recall": broken, "false_positive_rate": broken}
        with pytest.raises(UsageError, match="keeps no error rates"):
            audit(replace(kept, rates={"thresholds": [table]}), simulate(30, 30))


def test_the_command(policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 where labels tell what scores do not; labels without scores, or of another model, are one line."""
    sample = simulate(600, 150, seed=2)
    today = tmp_path / "today.jsonl"
    today.write_text("".join(json.dumps({"score": score, "model": "m"}) + "\n" for score in sample.scores.tolist()))
    good = write_csv(tmp_path / "good.csv", sample)
    bad = write_csv(tmp_path / "bad.csv", Sample(sample.scores, np.roll(sample.nsfw, 40)))  # the scores are the same
    line = ["policy", "check", str(policy), str(today), "--labelled"]
    assert open_nsfw([*line, str(good)]) == 0
    assert "By these labels, the policy's error rates still hold." in capsys.readouterr().out
    assert open_nsfw([*line, str(bad)]) == 1
    assert "The policy still holds." in (out := capsys.readouterr().out) and "the policy errs more than it did" in out
    assert open_nsfw([*line, str(bad), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["holds"] and {each["verdict"] for each in found["audit"]} >= {"worse"}
    (tmp_path / "paths.csv").write_text("path,label\na.jpg,nsfw\n")
    assert open_nsfw([*line, str(tmp_path / "paths.csv")]) == 2
    assert "has no scores; `open-nsfw review export` writes labels with them" in capsys.readouterr().err
    (tmp_path / "other.csv").write_text("score,label,model\n0.5,nsfw,other\n")
    assert open_nsfw([*line, str(tmp_path / "other.csv")]) == 2
    assert "was made for the model m, this is other" in capsys.readouterr().err
