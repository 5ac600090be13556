"""`open-nsfw calibrate` as a whole: on simulated scores, every number against scikit-learn; then on harmless pictures that
were pushed over the range of scores."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.sample import Sample
from open_nsfw.installing import install_command
from open_nsfw.version import __version__
from tests.tools.helpers import DATA, ROOT
from tests.tools.samples import in_groups, simulate, write_csv

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

# matplotlib for Python 3.9 calls what pyparsing has renamed since.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:matplotlib.*", "ignore:.*deprecated - use:DeprecationWarning"
)

CLOSE = {"rel": 1e-12, "abs": 1e-12}


def calibrated(tmp_path: Path, sample: Sample, *options: str) -> dict[str, Any]:
    """numbers.json of a run of the command on the scores of a sample."""
    labels = write_csv(tmp_path / "labels.csv", sample)
    assert open_nsfw(["calibrate", str(labels), "--resamples", "50", *options]) == 0
    numbers: dict[str, Any] = json.loads((tmp_path / "labels-calibration" / "numbers.json").read_text())
    return numbers


def test_every_number_agrees_with_scikit_learn(tmp_path: Path) -> None:
    """All of numbers.json, on a sample with many ties."""
    sample = simulate(260, 140)
    nsfw, scores = sample.nsfw, sample.scores
    numbers = calibrated(tmp_path, sample, "--max-fpr", "0.05", "--bands", "0.2,0.8", "--policy-from", "bands")
    assert {name: numbers["sample"][name] for name in ("pictures", "sfw", "nsfw", "model")} == {
        **{"pictures": 400, "sfw": 260, "nsfw": 140, "model": None}
    }
    found = numbers["curves"]
    assert found["auc"]["value"] == sklearn_metrics.roc_auc_score(nsfw, scores)
    assert found["average_precision"]["value"] == sklearn_metrics.average_precision_score(nsfw, scores)
    assert found["brier"] == sklearn_metrics.brier_score_loss(nsfw, scores)
    fpr, recall, at = sklearn_metrics.roc_curve(nsfw, scores)
    assert found["roc"]["false_positive_rate"] == fpr.tolist()
    assert found["roc"]["recall"] == recall.tolist()
    assert found["roc"]["threshold"] == [None, *at[1:].tolist()]
    precision, recall, at = sklearn_metrics.precision_recall_curve(nsfw, scores)
    assert (found["pr"]["precision"], found["pr"]["recall"]) == (precision.tolist(), recall.tolist())
    assert found["pr"]["threshold"] == at.tolist()
    assert sorted(table["threshold"] for table in numbers["confusion"])[::2] == [0.2, 0.8]
    for table in numbers["confusion"]:
        flagged = scores >= table["threshold"]
        matrix = sklearn_metrics.confusion_matrix(nsfw, flagged).ravel().tolist()
        names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
        assert [table[name] for name in names] == matrix
        assert table["recall"]["value"] == sklearn_metrics.recall_score(nsfw, flagged)
        assert table["false_positive_rate"]["value"] == 1 - sklearn_metrics.recall_score(~nsfw, ~flagged) or (
            table["false_positive_rate"]["value"] == pytest.approx(sklearn_metrics.recall_score(~nsfw, flagged))
        )
        assert table["precision"]["value"] == sklearn_metrics.precision_score(nsfw, flagged)
        assert table["accuracy"]["value"] == sklearn_metrics.accuracy_score(nsfw, flagged)
    shares, means = calibration_curve(nsfw, scores, n_bins=10)
    assert [each["mean_score"] for each in numbers["reliability"]] == means.tolist()
    assert [each["nsfw"]["value"] for each in numbers["reliability"]] == pytest.approx(shares.tolist(), **CLOSE)
    assert sum(each["nsfw"]["of"] for each in numbers["reliability"]) == 400
    assert (sum(numbers["histogram"]["sfw"]), sum(numbers["histogram"]["nsfw"])) == (260, 140)


def test_the_policy_has_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rates of its bands add up; the summary on stdout names it."""
    sample = simulate(260, 140)
    calibrated(tmp_path, sample, "--bands", "0.2,0.8", "--model-hash", "abc")
    policy = Policy.read(tmp_path / "labels-calibration" / "policy.json")
    assert (policy.thresholds, policy.bands) == ((0.2, 0.8), ("allow", "review", "block"))
    assert (policy.model, policy.chosen_by, policy.prevalence) == ("abc", "--bands 0.2,0.8", None)
    lines = sorted(f"{score!r},{int(nsfw)}\n" for score, nsfw in zip(sample.scores.tolist(), sample.nsfw.tolist()))
    data = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert policy.sample == {"pictures": 400, "sfw": 260, "nsfw": 140, "groups": 400, "sha256": data}
    assert sum(policy.rates["bands"][band]["all"]["count"] for band in policy.bands) == 400
    in_review = int(((sample.scores >= 0.2) & (sample.scores < 0.8)).sum())
    assert policy.rates["bands"]["review"]["all"]["count"] == in_review
    assert sum(policy.scores["sfw"]) == 260
    assert policy.verdict(0.2) == "review"
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{tmp_path}/labels.csv: 400 pictures count: 260 sfw, 140 nsfw"
    assert "policy: allow < 0.2 <= review < 0.8 <= block (by --bands 0.2,0.8)" in out
    assert out[-1] == f"written to {tmp_path}/labels-calibration/: report.html policy.json numbers.json plots/"


def test_without_a_wish_the_authors_bands_are_measured(tmp_path: Path) -> None:
    """0.2 and 0.8."""
    numbers = calibrated(tmp_path, simulate(60, 60))
    assert [choice["option"] for choice in numbers["choices"]] == ["--bands 0.2,0.8"]


def test_numbers_do_not_change_from_run_to_run(tmp_path: Path) -> None:
    """The bootstrap has its seed."""
    labels = write_csv(tmp_path / "labels.csv", simulate(60, 60))
    contents = []
    for _ in range(2):
        options = ["--output", str(tmp_path / "out"), "--resamples", "50", "--quiet"]
        assert open_nsfw(["calibrate", str(labels), *options]) == 0
        paths = sorted(each for each in (tmp_path / "out").rglob("*") if each.is_file())
        contents.append({each.name: each.read_bytes() for each in paths})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {
        *("report.html", "policy.json", "numbers.json"),
        *("roc.svg", "precision-recall.svg", "histogram.svg", "reliability.svg"),
    }


def test_curves_of_many_points_are_thinned(tmp_path: Path) -> None:
    """Their ends stay."""
    numbers = calibrated(tmp_path, simulate(3000, 3000, decimals=12))
    found = numbers["curves"]
    assert {key: len(values) for key, values in found["pr"].items()} == {
        "precision": 1000,
        "recall": 1000,
        "threshold": 999,
    }
    assert len({len(values) for values in found["roc"].values()}) == 1
    assert len(found["roc"]["recall"]) <= 1000
    for name in ("roc", "pr"):
        assert {found[name]["recall"][0], found[name]["recall"][-1]} == {0.0, 1.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-fpr", "2"], "--max-fpr: a number between 0 and 1 is needed, not '2'"),
        (["--min-recall", "1"], "--min-recall: a number between 0 and 1 is needed, not '1'"),
        (["--cost", "fp=1"], "--cost: fp=X,fn=Y with numbers above 0 is needed, not 'fp=1'"),
        (["--cost", "fp=1,fn=x"], "--cost: fp=X,fn=Y with numbers above 0 is needed, not 'fp=1,fn=x'"),
        (["--cost", "fp=1,fn=1_0"], "--cost: fp=X,fn=Y with numbers above 0 is needed, not 'fp=1,fn=1_0'"),
        (["--cost", "fp=1,fn=nan"], "--cost: fp=X,fn=Y with numbers above 0 is needed, not 'fp=1,fn=nan'"),
        (
            ["--bands", "0.8,0.2"],
            "--bands: rising numbers from 0 to 1 with commas between are needed, not '0.8,0.2'",
        ),
        (["--bands", "nan"], "--bands: rising numbers from 0 to 1 with commas between are needed, not 'nan'"),
        (["--worst", "-1"], "--worst: a whole number is needed, 0 or above, not '-1'"),
        (["--bands", "0.5", "--cost", "fp=1,fn=1"], "which thresholds are the policy's? --policy-from cost or bands"),
        (["--policy-from", "cost"], "--policy-from cost: was not asked for; there is bands"),
        (["--bands", "0.2,0.5,0.8"], "3 thresholds part 4 bands: name them with --band-names"),
        (["--band-names", "a,b"], 'the policy: 2 thresholds part 3 bands of different names, not ["a", "b"]'),
        (["--positive", "sfw"], "--positive and --negative are both 'sfw'; two labels are needed"),
        (["--resamples"], "--resamples: a value is missing; write --resamples N"),
        (["--what"], "there is no option --what; see open-nsfw calibrate --help"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, exit status 2."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    assert open_nsfw(["calibrate", str(labels), "--resamples", "20", *options]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"open-nsfw calibrate: error: {message}\n")
    assert not (tmp_path / "labels-calibration").exists()


def test_a_promise_that_is_not_kept_is_told_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr even with --quiet, in the policy, in the exit status; all is written nevertheless."""
    labels = write_csv(tmp_path / "labels.csv", simulate(50, 40))
    line = ["calibrate", str(labels), "--resamples", "20", "--max-fpr", "0.01", "--min-recall", "0.9"]
    warning = (
        "the sample is too small to support a false-positive rate of at most 1 %: even without an error among its 50 "
        "pictures of that class the true one may be 5.8 %; it takes at least 299 of them"
    )
    assert open_nsfw([*line, "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"open-nsfw calibrate: warning: --max-fpr 0.01 --min-recall 0.9: {warning}\n"
    policy = Policy.read(tmp_path / "labels-calibration" / "policy.json")
    fpr, recall = policy.promises
    assert (fpr["about"], fpr["limit"], fpr["kept"], fpr["warning"]) == ("false_positive_rate", 0.01, False, warning)
    assert fpr["bound"] == pytest.approx(0.058155, abs=1e-6)
    assert (recall["about"], recall["limit"], recall["kept"]) == ("recall", 0.9, True)
    assert recall["bound"] >= 0.9
    assert "warning" not in recall
    numbers = json.loads((tmp_path / "labels-calibration" / "numbers.json").read_text())
    assert [each["kept"] for each in numbers["choices"][0]["promises"]] == [False, True]
    assert open_nsfw([*line, "--as-measured"]) == 0  # which asks for no more than the sample's own rates
    assert capsys.readouterr().err == ""


def test_a_policy_that_was_changed_by_hand_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is done before that is said; one that calibrate wrote is replaced, whatever its layout."""
    labels = write_csv(tmp_path / "labels.csv", simulate(60, 60))
    line = ["calibrate", str(labels), "--resamples", "20", "--quiet"]
    path, report = (tmp_path / "labels-calibration" / name for name in ("policy.json", "report.html"))
    assert open_nsfw(line) == 0
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert open_nsfw([*line, "--bands", "0.3,0.8"]) == 0
    edited = path.read_text().replace("[0.3, 0.8]", "[0.35, 0.8]")
    path.write_text(edited)
    report.unlink()
    assert open_nsfw(line) == 2
    assert capsys.readouterr().err == (
        f"open-nsfw calibrate: error: {path}: it was changed since calibrate wrote it, so it is left as it is; choose "
        "another --output, or --overwrite it\n"
    )
    assert path.read_text() == edited
    assert not report.exists()
    assert open_nsfw([*line, "--output", str(tmp_path / "other")]) == 0
    assert open_nsfw([*line, "--overwrite"]) == 0
    assert Policy.read(path).thresholds == (0.2, 0.8)


def test_the_run_says_how_to_get_it_again(tmp_path: Path) -> None:
    """Version, engine, model, command, seed and the hash of the data, in numbers.json."""
    lines = ["score,label,model,engine", *(f"0.{digit},{digit % 2},abc,onnxruntime" for digit in range(1, 9))]
    (tmp_path / "my labels.csv").write_text("\n".join(lines))
    line = ["calibrate", str(tmp_path / "my labels.csv"), "--seed", "7", "--resamples", "20", "--quiet"]
    assert open_nsfw(line) == 0
    numbers = json.loads((tmp_path / "my labels-calibration" / "numbers.json").read_text())
    assert numbers["made_by"] == {
        "command": f"open-nsfw calibrate '{tmp_path}/my labels.csv' --seed 7 --resamples 20 --quiet",
        "version": __version__,
        "engine": "onnxruntime",
        "model": "abc",
        "seed": 7,
        "data_sha256": hashlib.sha256("".join(f"0.{n},{n % 2}\n" for n in range(1, 9)).encode()).hexdigest(),
    }


def test_a_column_of_groups_widens_the_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says that many rows come from few groups."""
    sample = in_groups(18, 44, 0.95)
    assert sample.groups is not None
    rows = zip(sample.scores.tolist(), sample.nsfw.tolist(), sample.groups.tolist())
    lines = [f"{score!r},{int(nsfw)},film {group}" for score, nsfw, group in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["score,label,group", *lines]))
    found = {}
    for way in ("auto", "none"):
        options = ["--output", str(tmp_path / way), "--resamples", "50", "--group-by", way]
        assert open_nsfw(["calibrate", str(tmp_path / "labels.csv"), *options]) == 0
        found[way] = json.loads((tmp_path / way / "numbers.json").read_text())
    grouped, alone = found["auto"], found["none"]
    assert (grouped["sample"]["grouped_by"], grouped["sample"]["groups"]) == ("column", 18)
    assert 5 < grouped["sample"]["sfw_worth"] < 15
    assert (alone["sample"]["grouped_by"], alone["sample"]["sfw_worth"], alone["warnings"]) == (
        "none",
        sample.negatives,
        [],
    )
    assert grouped["curves"]["auc"]["value"] == alone["curves"]["auc"]["value"]
    for name in ("auc", "average_precision"):
        first, second = (each["curves"][name] for each in (grouped, alone))
        assert first["high"] - first["low"] > 1.5 * (second["high"] - second["low"])
    for table, other in zip(grouped["confusion"], alone["confusion"]):
        rate, narrow = table["false_positive_rate"], other["false_positive_rate"]
        assert (rate["count"], rate["of"]) == (narrow["count"], narrow["of"])
        assert rate["high"] - rate["low"] > 3 * (narrow["high"] - narrow["low"])
    (warning,) = grouped["warnings"]
    assert warning.startswith(f"the {len(lines):,} pictures come from 18 groups (by the column group): ")
    assert f"warning: {warning}" in capsys.readouterr().out.splitlines()


def test_groups_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Are not made up."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    assert open_nsfw(["calibrate", str(labels), "--group-by", "column"]) == 2
    assert capsys.readouterr().err == "open-nsfw calibrate: error: --group-by column: LABELS has no column group\n"


@pytest.mark.parametrize("option", ["--engine onnxruntime", "--gpu 0", "--model_def x", "--pretrained_model x"])
def test_options_of_scoring_where_nothing_is_scored(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Are refused: the scores come from elsewhere."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    assert open_nsfw(["calibrate", str(labels), *option.split()]) == 2
    why = "LABELS has scores, so nothing is scored; leave the column score out to have that"
    assert capsys.readouterr().err == f"open-nsfw calibrate: error: {option.split()[0]}: {why}\n"


def test_costs_within_a_budget_need_no_more_words(tmp_path: Path) -> None:
    """The policy is the budget's then."""
    calibrated(tmp_path, simulate(200, 200), "--review-budget", "0.1", "--cost", "fp=1,fn=5")
    assert Policy.read(tmp_path / "labels-calibration" / "policy.json").chosen_by == "--review-budget 0.1"


def test_a_class_without_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is named."""
    (tmp_path / "labels.csv").write_text("score,label\n0.5,nsfw\n")
    assert open_nsfw(["calibrate", str(tmp_path / "labels.csv")]) == 2
    assert capsys.readouterr().err == (
        f"open-nsfw calibrate: error: {tmp_path}/labels.csv: no picture labelled 'sfw' has a score; both labels are needed\n"
    )


def test_scores_of_several_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cannot make one policy; nor can rows of another model than the one that is named."""
    labels = tmp_path / "labels.csv"
    labels.write_text("score,label,model\n0.5,nsfw,a\n0.1,sfw,b\n")
    assert open_nsfw(["calibrate", str(labels)]) == 2
    labels.write_text("score,label,model\n0.5,nsfw,a\n0.1,sfw,a\n")
    assert open_nsfw(["calibrate", str(labels), "--model-hash", "c"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "open-nsfw calibrate: error: the scores are of several models (a, b); calibrate for one",
        f"open-nsfw calibrate: error: --model-hash c: the rows of {labels} are of a",
    ]


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Because a file has its name."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    (tmp_path / "out").write_text("")
    assert open_nsfw(["calibrate", str(labels), "--resamples", "20", "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"open-nsfw calibrate: error: {tmp_path}/out/plots: cannot be made: ")


@pytest.mark.parametrize("library", ["sklearn", "matplotlib"])
def test_a_missing_library_is_answered_with_the_command(library: str, tmp_path: Path) -> None:
    """One line, and nothing was scored for nothing."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    code = (
        f"import sys; sys.modules[{library!r}] = None; "
        "from open_nsfw.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", code, "calibrate", str(labels)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"open-nsfw calibrate: error: {library} is not installed: {install_command('policy')}\n")


def test_every_option_has_its_sentence() -> None:
    """In the help."""
    from open_nsfw.cli.calibrate_options import parser

    assert [action.option_strings for action in parser()._actions if not action.help] == []


GOLDEN = {each["name"]: each["score"] for each in json.loads((DATA / "golden_scores.json").read_text())["pictures"]}


PUSHED = sorted((DATA / "pushed").glob("*.jpg"))
GROUPS = len({path.stem.partition("-")[2] for path in PUSHED})  # originals, each pushed to several scores


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A folder with the pushed pictures: those from 0.5 on are labelled nsfw."""
    folder = tmp_path / "labelled"
    for path in PUSHED:
        target = folder / ("nsfw" if float(path.name[:5]) >= 0.5 else "sfw")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


def calibrate_folder(folder: Path, *options: str) -> dict[str, Any]:
    """numbers.json of a run on pictures."""
    assert open_nsfw(["calibrate", str(folder), "--resamples", "20", "--worst", "0", *options]) == 0
    output = folder.with_name(f"{folder.stem}-calibration")
    numbers: dict[str, Any] = json.loads((output / "numbers.json").read_text())
    return numbers


def test_pictures_get_the_scores_of_the_command(labelled: Path) -> None:
    """Through the same pipeline, kept as its rows are."""
    numbers = calibrate_folder(labelled)
    assert (numbers["sample"]["sfw"], numbers["sample"]["nsfw"]) == (8, 10)
    assert numbers["curves"]["auc"]["value"] == 1
    rows = [json.loads(line) for line in (labelled.parent / "labelled.scores.jsonl").read_text().splitlines()]
    assert len(rows) == 18
    for row in rows:
        assert row["score"] == pytest.approx(GOLDEN["pushed/" + os.path.basename(row["path"])], abs=1e-4)
    policy = Policy.read(labelled.parent / "labelled-calibration" / "policy.json")
    assert policy.model == numbers["sample"]["model"] == rows[0]["model"]


def test_pictures_that_look_alike_are_one_group(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """18 pictures that a few originals were pushed to; nothing is decoded again for a second run."""
    sample = calibrate_folder(labelled)["sample"]
    assert (sample["grouped_by"], sample["groups"]) == ("content", GROUPS)
    assert sample["sfw_worth"] < 8
    assert "groups (by content)" in capsys.readouterr().out
    kept = labelled.parent / "labelled.scores.looks.json"
    before = kept.stat().st_mtime_ns
    assert calibrate_folder(labelled, "--max-fpr", "0.5")["sample"]["groups"] == GROUPS
    assert kept.stat().st_mtime_ns == before
    sample = calibrate_folder(labelled, "--group-by", "none")["sample"]
    assert (sample["grouped_by"], sample["groups"], sample["sfw_worth"]) == ("none", 18, 8)


def test_folders_below_a_class_are_groups_if_wanted(labelled: Path) -> None:
    """The frames of a film; what lies in the class's own folder stands for itself."""
    for film, names in (("a", PUSHED[:2]), ("b", PUSHED[2:5])):
        (labelled / "sfw" / film).mkdir()
        for path in names:
            (labelled / "sfw" / path.name).rename(labelled / "sfw" / film / path.name)
    sample = calibrate_folder(labelled, "--group-by", "folder")["sample"]
    assert (sample["grouped_by"], sample["groups"], sample["sfw"]) == ("folder", 15, 8)


def test_a_second_run_scores_only_what_is_new(labelled: Path) -> None:
    """And forgets what has gone."""
    calibrate_folder(labelled)
    scores = labelled.parent / "labelled.scores.jsonl"
    before = scores.read_bytes()
    calibrate_folder(labelled, "--max-fpr", "0.5")
    assert scores.read_bytes() == before
    shutil.copy(DATA / "pictures" / "rgb.png", labelled / "sfw")
    (labelled / "sfw" / "0.050-chelsea.jpg").unlink()
    numbers = calibrate_folder(labelled)
    assert scores.read_bytes().startswith(before)
    assert len(scores.read_bytes().splitlines()) == 19
    assert numbers["sample"]["sfw"] == 8
    calibrate_folder(labelled, "--overwrite")
    assert len(scores.read_bytes().splitlines()) == 18


def test_what_does_not_count_is_named(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, unreadable, the same content again, the same under both labels."""
    sfw, nsfw = labelled / "sfw", labelled / "nsfw"
    shutil.copy(sfw / "0.050-chelsea.jpg", sfw / "again.jpg")
    shutil.copy(sfw / "0.100-coffee.jpg", nsfw / "both.jpg")
    (sfw / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    (sfw / "gone.jpg").symlink_to("nowhere.jpg")
    (nsfw / "notes.txt").write_text("notes")
    sample = calibrate_folder(labelled)["sample"]
    assert (sample["sfw"], sample["nsfw"], sample["passed_over"]) == (7, 10, 1)
    assert sample["missing"] == [f"{sfw}/gone.jpg"]
    assert [name for name, _ in sample["unreadable"]] == [f"{sfw}/broken.jpg"]
    assert sample["duplicates"] == [[f"{sfw}/again.jpg", f"{sfw}/0.050-chelsea.jpg"]]
    assert sample["conflicts"] == [[f"{nsfw}/both.jpg (nsfw)", f"{sfw}/0.100-coffee.jpg (sfw)"]]
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{labelled}: 17 pictures count: 7 sfw, 10 nsfw; from {GROUPS} groups (by content); 1 missing; 1 unreadable; "
        "1 counted already (same content); 2 left out for having both labels; 1 other files passed over"
    )
    shutil.copy(PUSHED[0], sfw / "broken.jpg")  # mended, it is tried again
    assert calibrate_folder(labelled)["sample"]["unreadable"] == []


def test_a_file_of_paths(labelled: Path) -> None:
    """Each line counts by the same rules; a path listed twice is scored once."""
    lines = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in sorted(labelled.glob("*/*.jpg"))]
    (labelled / "labels.csv").write_text("\n".join(["path,label", *lines, lines[0], "none.jpg,sfw", "none.jpg,sfw"]))
    numbers = calibrate_folder(labelled / "labels.csv")
    sample = numbers["sample"]
    assert (sample["sfw"], sample["nsfw"]) == (8, 10)
    assert sample["missing"] == [f"{labelled}/none.jpg"]
    assert len(sample["duplicates"]) == 1
    assert len((labelled / "labels.scores.jsonl").read_text().splitlines()) == 19


def test_a_file_of_paths_with_an_archive(labelled: Path) -> None:
    """Its members have its label."""
    shutil.make_archive(str(labelled / "more"), "zip", labelled, "sfw")
    lines = ["more.zip,sfw", *(f"nsfw/{path.name},nsfw" for path in (labelled / "nsfw").iterdir())]
    (labelled / "labels.csv").write_text("\n".join(["path,label", *lines]))
    numbers = calibrate_folder(labelled / "labels.csv")
    assert (numbers["sample"]["sfw"], numbers["sample"]["nsfw"]) == (8, 10)


def test_a_file_of_paths_and_members(labelled: Path) -> None:
    """Each line labels one picture of an archive; the others have no label."""
    shutil.make_archive(str(labelled / "all"), "zip", labelled)
    names = [f"{path.parent.name}/{path.name}" for path in sorted(labelled.glob("*/*.jpg"))]
    left_out = {names[0]}
    lines = [f"all.zip,{name},{name.partition('/')[0]}" for name in names if name not in left_out]
    (labelled / "labels.csv").write_text("\n".join(["path,member,label", *lines, "all.zip,none.jpg,sfw"]))
    sample = calibrate_folder(labelled / "labels.csv")["sample"]
    assert (sample["sfw"], sample["nsfw"]) == (8 - 1 * names[0].startswith("sfw"), 10 - 1 * names[0].startswith("nsfw"))
    assert sample["missing"] == [f"{labelled}/all.zip!none.jpg"]


@pytest.mark.once
def test_a_signal_ends_it_and_the_next_run_goes_on(labelled: Path) -> None:
    """With the scores that are there."""
    for number in range(15):
        for path in list((labelled / "sfw").glob("0*.jpg")):
            os.link(path, labelled / "sfw" / f"{number}-{path.name}")
    line = [sys.executable, "-m", "open_nsfw", "calibrate", str(labelled), "--resamples", "20", "--worst", "0"]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    scores = labelled.parent / "labelled.scores.jsonl"
    deadline = time.monotonic() + 60
    while not (scores.exists() and scores.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "open-nsfw calibrate: stopped; run it again to go on where it was\n"
    before = scores.read_bytes()
    assert 0 < len(before.splitlines()) < 120
    assert not (labelled.parent / "labelled-calibration").exists()
    calibrate_folder(labelled)
    assert scores.read_bytes().startswith(before)
