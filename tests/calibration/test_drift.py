"""Whether a policy still has ground under it: the two comparisons, the verdict, the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

from scipy.stats import chi2_contingency

from open_nsfw.calibration import drift
from open_nsfw.calibration.rates import Sample

WAY_OUT = "calibrate for this model, or take the policy nevertheless with --policy-for-any-model"


def scores(sfw: int, nsfw: int, random: np.random.Generator, shift: float = 0.0) -> Any:
    """Scores of so many pictures of either class, sfw first; `shift` moves the sfw ones up."""
    logits = np.concatenate((random.normal(-2 + shift, 1, sfw), random.normal(1.5, 1.3, nsfw)))
    return 1 / (1 + np.exp(-logits))


def policy_of(sfw: int, nsfw: int, random: np.random.Generator) -> Policy:
    """A policy that was chosen on such a sample."""
    sample = Sample(scores(sfw, nsfw, random), np.arange(sfw + nsfw) >= sfw)
    return Policy((0.2, 0.8), model="m", made="2026-01-02", scores=drift.score_bins(sample))


def compared(sfw: int, nsfw: int, shift: float = 0.0, seed: int = 0) -> drift.Drift:
    """Such traffic against a sample of 400 sfw and 400 nsfw."""
    random = np.random.default_rng(seed)
    return drift.compare(policy_of(400, 400, random), scores(sfw, nsfw, random, shift).tolist())


def test_the_index_is_that_of_the_formula() -> None:
    """Sum of (a - e) ln(a / e); the same rows have none, in any number."""
    expected, actual = np.array([10.0, 20, 70]), np.array([30.0, 30, 40])
    e, a = expected / 100, actual / 100
    assert drift.psi(expected, actual) == pytest.approx(float(np.sum((a - e) * np.log(a / e))), rel=1e-12)
    assert drift.psi(expected, 3 * expected) == pytest.approx(0, abs=1e-15)
    assert 0 < drift.psi(np.array([0.0, 100]), np.array([50.0, 50])) < 10


def test_the_plain_test_is_scipys() -> None:
    """On bins that hold enough for it."""
    first, second = np.array([30.0, 40, 50]), np.array([50.0, 40, 20])
    expected = chi2_contingency(np.array([first, second]))
    assert drift.homogeneity(first, second) == (expected.statistic, expected.pvalue)
    sparse = np.array([30.0, 40, 49, 1]), np.array([50.0, 40, 19, 1])
    merged = chi2_contingency(np.array([first, second]))
    assert drift.homogeneity(*sparse) == (merged.statistic, merged.pvalue)
    assert drift.homogeneity(np.array([9.0, 0]), np.array([5.0, 0])) == (0.0, 1.0)


def test_neighbours_go_together_until_there_is_enough() -> None:
    """Also at the end."""
    assert drift._groups(np.array([9.0, 1, 2, 3, 9, 1])).tolist() == [0, 1, 1, 1, 2, 2]
    assert drift._groups(np.array([1.0, 1])).tolist() == [0, 0]


def test_bins_hold_the_sample() -> None:
    """About as much in each, both classes counting the same."""
    random = np.random.default_rng(0)
    kept = policy_of(9000, 1000, random).scores
    assert (len(kept["edges"]), sum(kept["sfw"]), sum(kept["nsfw"])) == (9, 9000, 1000)
    shares = (np.array(kept["sfw"]) / 9000 + np.array(kept["nsfw"]) / 1000) / 2
    assert np.all(np.abs(shares - 0.1) < 0.01)


def test_a_sample_of_few_scores_has_few_bins() -> None:
    """Equal edges are one edge."""
    kept = drift.score_bins(Sample(np.array([0.5] * 20 + [0.9] * 5), np.arange(25) >= 20))
    assert (sum(kept["sfw"]), sum(kept["nsfw"])) == (20, 5)
    assert kept["edges"] == sorted(set(kept["edges"]))


def test_the_same_traffic_holds() -> None:
    """Nothing happened."""
    found = compared(500, 500)
    assert (found.plain.verdict, found.fair.verdict, found.holds) == ("stable", "stable", True)
    assert drift.conclusion(found) == "The policy still has ground under it."
    assert sum(found.bands.values()) == pytest.approx(1)


def test_another_share_of_nsfw_is_no_drift_of_the_rates() -> None:
    """A labelled sample is half nsfw, traffic hardly ever."""
    found = compared(2900, 100)
    assert (found.plain.verdict, found.fair.verdict, found.holds) == ("another", "stable", True)
    assert found.nsfw_share == pytest.approx(100 / 3000, abs=0.015)
    assert found.sample_share == 0.5
    assert drift.conclusion(found).startswith(
        "The policy still has ground under it: the share of nsfw pictures is another"
    )


def test_other_pictures_take_the_ground_away() -> None:
    """Safe pictures that score higher than they did are no matter of shares."""
    found = compared(2900, 100, shift=1.5)
    assert (found.fair.verdict, found.holds) == ("another", False)
    assert drift.conclusion(found).startswith("The policy has no ground under it any more: ")
    slight = compared(4000, 400, shift=0.35)
    assert (slight.fair.verdict, slight.holds) == ("moved", False)
    assert drift.conclusion(slight).startswith("The ground under the policy has moved: ")


def test_too_few_scores_tell_nothing() -> None:
    """Not that all is well either."""
    found = compared(50, 49)
    assert (found.enough, found.holds) == (False, False)
    assert drift.conclusion(found) == "Too few scores to tell: 99, and it takes 100 at least."
    assert compared(50, 50).enough


def test_p_values_are_those_of_chance_where_nothing_changed() -> None:
    """5 of 100 under 0.05, whatever the share of nsfw is today and however many there are; 3 standard errors allowed."""
    for sfw, nsfw in ((600, 600), (1140, 60), (30_000, 1000)):
        values = np.array([compared(sfw, nsfw, seed=seed).fair.p_value for seed in range(200)])
        for level in (0.01, 0.05, 0.2):
            assert np.mean(values < level) < level + 3 * np.sqrt(level * (1 - level) / 200)
        assert np.mean(values < 0.5) > 0.3
    values = np.array([compared(600, 600, seed=seed).plain.p_value for seed in range(200)])
    assert np.mean(values < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(values < 0.5) > 0.3


def test_a_policy_without_a_distribution_cannot_be_checked() -> None:
    """Somebody wrote it by hand."""
    for kept in (
        {},
        {"edges": [0.5], "sfw": [1, 2], "nsfw": [1]},
        {"edges": [0.5], "sfw": [0, 0], "nsfw": [1, 1]},
        {"edges": ["a"], "sfw": [1, 1], "nsfw": [1, 1]},
        {"edges": [0.5, 0.4], "sfw": [1, 1, 1], "nsfw": [1, 1, 1]},
        {"edges": [0.5], "sfw": [1, -1], "nsfw": [1, 1]},
    ):
        with pytest.raises(UsageError) as caught:
            drift.compare(Policy((0.2, 0.8), scores=kept), [0.5])
        assert str(caught.value) == "the policy: keeps no distribution of scores to compare with; calibrate again"


# --- the command ---


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
    assert lines[5].startswith("The policy still has ground under it: ")
    assert len(lines) == 6


def test_exit_status_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1 where the ground has gone, or nobody can tell."""
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
        ([], "the following arguments are required: ACTION"),
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
    assert capsys.readouterr().err == f"open-nsfw policy: error: {tmp_path}/today.jsonl: has no score in it\n"
