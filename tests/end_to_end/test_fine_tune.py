"""`open-nsfw fine-tune`, from labelled pictures to files, in processes of its own. No picture in it is explicit: a made-up
definition calls discs nsfw and rectangles sfw."""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.calibration.policy import Policy
from open_nsfw.installing import install_command
from open_nsfw.nets.caffemodel import read_caffemodel
from open_nsfw.nets.replace_blobs import replace_blobs
from open_nsfw.scoring.load import load_model
from tests.tools.helpers import (
    HAS_CAFFE,
    MODEL_DEF,
    PICTURE,
    ROOT,
    SECONDS,
    WEIGHTS,
    caffemodel,
    needs_caffe,
    write_model,
)
from tests.tools.make_shapes_folder import make
from tests.tools.processes import killed_at_change

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:matplotlib.*")

COUNT = 120
OPTIONS = ["--quiet", "--resamples", "50", "--max-fpr", "0.1", "--no-thumbnails", "--train", "head"]
FILES = {
    *(
        "deploy.prototxt",
        "policy.json",
        "ranges.json",
        "report.html",
        "solver.prototxt",
        "test.txt",
        "train.txt",
        "train_val.prototxt",
    ),
    *("training.json", "tuned.caffemodel", "work"),
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures."""
    folder = tmp_path_factory.mktemp("labelled")
    make(folder, COUNT, side=128)
    return folder


@pytest.fixture(scope="module")
def tuned(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was not disturbed."""
    folder = tmp_path_factory.mktemp("tuned") / "out"
    assert open_nsfw(["fine-tune", str(labelled), "--output", str(folder), *OPTIONS]) == 0
    return folder


def sha256(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def failed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The line of a run that ends with status 2."""
    assert open_nsfw(["fine-tune", *map(str, arguments), *OPTIONS]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line, end = captured.err.split("\n")
    assert end == ""
    return line


# --- what a run leaves ---


def test_files(tuned: Path) -> None:
    """All of them, nothing half-written, and the features for the next run."""
    assert {path.name for path in tuned.iterdir()} == FILES
    assert {path.name for path in (tuned / "work").iterdir()} == {"features.f32", "scores.jsonl"}
    assert (tuned / "deploy.prototxt").read_bytes() == MODEL_DEF.read_bytes()


def test_only_the_head_has_changed(tuned: Path) -> None:
    """All other layers have the bytes that they had."""
    old, new = read_caffemodel(WEIGHTS), read_caffemodel(tuned / "tuned.caffemodel")
    assert list(old) == list(new)
    for name, blobs in old.items():
        equal = all(before.tobytes() == after.tobytes() for before, after in zip(blobs, new[name]))
        assert equal == (name != "fc_nsfw")


def test_it_has_learnt(tuned: Path, labelled: Path) -> None:
    """The files score the pictures by the new definition, on any engine; the old ones did not."""
    numbers = json.loads((tuned / "training.json").read_text())
    assert numbers["better"]
    measures = numbers["measures"]
    assert measures["auc"]["before"]["value"] < 0.8 < 0.95 < measures["auc"]["after"]["value"]
    model = load_model(tuned / "deploy.prototxt", tuned / "tuned.caffemodel")
    assert model.engine.name == ("caffe" if HAS_CAFFE else "onnxruntime")
    for name in ("sfw", "nsfw"):
        scores = np.array([model.score(path) for path in sorted((labelled / name).iterdir())[:10]])
        assert ((scores > 0.5) == (name == "nsfw")).mean() > 0.8


def test_engines_agree(tuned: Path) -> None:
    """Real Caffe among them, where it is: on all test pictures."""
    agreement = json.loads((tuned / "training.json").read_text())["agreement"]
    assert [each["engine"] for each in agreement] == ["onnxruntime", *(["caffe"] if HAS_CAFFE else [])]
    for each in agreement:
        assert each["pictures"] == COUNT // 5
        assert each["largest"] <= 1e-5


def test_policy(tuned: Path) -> None:
    """For the new model."""
    policy = Policy.read(tuned / "policy.json")
    assert policy.model == json.loads((tuned / "training.json").read_text())["tuned"]["model"]
    assert policy.chosen_by == "--max-fpr 0.1"
    assert policy.sample["pictures"] == COUNT * 4 // 5


def test_the_fast_mode_takes_the_ranges(tuned: Path, labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are the new model's; with them the fast mode decides as the exact one does."""
    files = ["--model_def", str(tuned / "deploy.prototxt"), "--pretrained_model", str(tuned / "tuned.caffemodel")]
    fast = ["--fast", "--ranges", str(tuned / "ranges.json"), "--engine", "onnxruntime"]
    assert open_nsfw(["verify", str(labelled / "nsfw"), *fast, *files, "--thresholds", "0.5"]) == 0
    margin = json.loads((tuned / "training.json").read_text())["ranges"]["full"]
    assert margin["pictures"] == COUNT * 4 // 5 // 2
    assert 0 < margin["logits"] < 2


def test_report(tuned: Path) -> None:
    """One file that loads nothing, with each id once."""
    page = (tuned / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/", "")
    assert "<script" not in page
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    for title in (
        "Before and after",
        "Decisions that changed",
        "Would more labels help?",
        "How to get this model again",
    ):
        assert f">{title}<" in page


def test_labels_in_doubt_do_not_hang_on_the_prevalence(tuned: Path, labelled: Path, tmp_path: Path) -> None:
    """That of the traffic lowers all scores; a label is in doubt if the picture looks like those of the other one."""
    out = tmp_path / "out"
    shutil.copytree(tuned, out)
    line = ["fine-tune", str(labelled), "--output", str(out), *OPTIONS, "--resume", "--prevalence", "0.0001"]
    assert open_nsfw([*line, "--keep-anyway"]) == 0
    pages = [(folder / "report.html").read_text() for folder in (tuned, out)]
    plain, rare = (page.partition("Labels to look at again")[2].partition("<section")[0] for page in pages)
    assert rare == plain


def test_weights_of_labels(tuned: Path, labelled: Path, tmp_path: Path) -> None:
    """As `open-nsfw review export` writes them: of every ten sfw pictures one was labelled. Prior and numbers are of all."""
    from sklearn import metrics

    out = tmp_path / "out"
    lines = [f"{path},{path.parent.name},{20 if path.parent.name == 'sfw' else 2}" for path in labelled.glob("*/*.jpg")]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,weight", *lines, ""]))
    assert open_nsfw(["fine-tune", str(tmp_path / "labels.csv"), "--output", str(out), *OPTIONS]) == 0
    numbers, plain = (json.loads((folder / "training.json").read_text()) for folder in (out, tuned))
    assert numbers["labels"]["share_of_nsfw"] == pytest.approx(1 / 11)
    assert plain["labels"]["share_of_nsfw"] == 0.5
    assert numbers["labels"]["sha256"] != plain["labels"]["sha256"]
    rows = [json.loads(line) for line in (out / "work" / "scores.jsonl").read_text().splitlines()]
    tested = [row for row in rows if row["sha256"] in numbers["split"]["test"]]
    nsfw = np.array([Path(row["path"]).parent.name == "nsfw" for row in tested])
    scores, weights = np.array([row["score"] for row in tested]), np.where(nsfw, 1.0, 10.0)
    expected = metrics.log_loss(nsfw, scores, sample_weight=weights)
    assert numbers["measures"]["log_loss"]["before"]["value"] == pytest.approx(expected, abs=1e-9)


def test_every_number_is_that_of_scikit_learn(tuned: Path, labelled: Path) -> None:
    """Called directly on scores of the test pictures: what training.json says, and what the report shows of it."""
    from sklearn import metrics

    paths, labels = zip(*(line.rsplit(" ", 1) for line in (tuned / "test.txt").read_text().splitlines()))
    nsfw = np.array(labels) == "1"
    report = (tuned / "report.html").read_text()
    measures = json.loads((tuned / "training.json").read_text())["measures"]
    models = {"before": (MODEL_DEF, WEIGHTS), "after": (tuned / "deploy.prototxt", tuned / "tuned.caffemodel")}
    shown: dict[str, list[float]] = {}
    for side, files in models.items():
        scores = np.array([float(load_model(*files, engine="onnxruntime").score(path)) for path in paths])
        fpr, recall, _ = metrics.roc_curve(nsfw, scores, drop_intermediate=False)
        found = {
            "auc": metrics.roc_auc_score(nsfw, scores),
            "recall": recall[fpr <= 0.1].max(),
            "log_loss": metrics.log_loss(nsfw, scores),
            "brier": metrics.brier_score_loss(nsfw, scores),
        }
        for name, value in found.items():
            assert measures[name][side]["value"] == pytest.approx(value, abs=1e-5), name
            shown.setdefault(name, []).append(measures[name][side]["value"])
        precision = metrics.average_precision_score(nsfw, scores)
        assert f"average precision {precision:.3f}" in report
        assert f"mean score of sfw and nsfw pictures {scores[~nsfw].mean():.2f}" in report or side == "after"
    for before, after in shown.values():
        assert after - before == pytest.approx(
            next(each["difference"]["value"] for each in measures.values() if each["before"]["value"] == before)
        )
    for name in ("auc", "recall", "log_loss"):
        assert f"{shown[name][0]:.3f} \u2192 {shown[name][1]:.3f}" in report


def test_a_disk_that_fills_up(labelled: Path, tmp_path: Path) -> None:
    """One line, nothing half-written."""
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "from open_nsfw.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "out"
    line = [sys.executable, "-c", limited, "fine-tune", str(labelled), "--output", str(out), *OPTIONS]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    what = f"{out / 'work' / 'features.f32'}: cannot be written: File too large"
    assert (done.returncode, done.stderr) == (2, f"open-nsfw fine-tune: error: {what}\n")
    assert [path.name for path in out.iterdir()] == ["work"]


def test_without_torch(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies below the head cannot be trained: one line with a command, or the word that this Python is too old."""
    monkeypatch.setitem(sys.modules, "torch", None)
    line = ["fine-tune", str(labelled), "--output", str(tmp_path / "out"), "--train", "stage3"]
    assert open_nsfw(line) == 2
    way = install_command("train") if sys.version_info >= (3, 10) else "it needs Python 3.10 or newer"
    what = f"torch is needed to train more than the head: {way}"
    assert capsys.readouterr().err == f"open-nsfw fine-tune: error: {what}\n"
    assert not (tmp_path / "out").exists()


def test_lists_for_caffe(tuned: Path) -> None:
    """Every picture, in the list of its side, with its label."""
    numbers = json.loads((tuned / "training.json").read_text())
    sides = {}
    for name in ("train", "test"):
        for line in (tuned / f"{name}.txt").read_text().splitlines():
            path, _, label = line.rpartition(" ")
            assert Path(path).parent.name == ("nsfw" if label == "1" else "sfw")
            sides[sha256(Path(path))] = name
    assert len(sides) == COUNT
    assert {digest for digest, side in sides.items() if side == "test"} == set(numbers["split"]["test"])


@needs_caffe
def test_caffe_trains_from_the_files(tuned: Path, tmp_path: Path) -> None:
    """A step of real Caffe, on a small batch to save time: only the head moves."""
    caffe = importlib.import_module("caffe")
    for name in ("train.txt", "test.txt"):
        shutil.copy(tuned / name, tmp_path)
    text = (tuned / "train_val.prototxt").read_text()
    (tmp_path / "train_val.prototxt").write_text(text.replace("batch_size: 32", "batch_size: 2"))
    text = (tuned / "solver.prototxt").read_text()
    assert "\ntest_iter: 1 " in text  # as many batches as there are test pictures
    (tmp_path / "solver.prototxt").write_text(text.replace("test_initialization: true", "test_initialization: false"))
    before = Path.cwd()
    os.chdir(tmp_path)  # Caffe takes paths from there
    try:
        solver = caffe.SGDSolver("solver.prototxt")
    finally:
        os.chdir(before)
    solver.net.copy_from(str(tuned / "tuned.caffemodel"))
    old = {name: [blob.data.copy() for blob in blobs] for name, blobs in solver.net.params.items()}
    solver.step(1)
    for name, blobs in solver.net.params.items():
        moved = any((blob.data != values).any() for blob, values in zip(blobs, old[name]))
        assert moved == (name == "fc_nsfw"), name


def test_another_residual_net(labelled: Path, tmp_path: Path) -> None:
    """As build-net writes it, small, with random weights, whose scores tell nothing of the labels. A limit that no score
    keeps makes an infinite threshold; the files can be read all the same."""
    net = ["-b", "1", "1", "1", "1", "-n", "16", "-m", "normal", "--size", "64"]
    files = [str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")]
    assert open_nsfw(["build-net", *net, "--output", files[0], "--initialize", files[1]]) == 0
    options = ["--model_def", files[0], "--pretrained_model", files[1], "--keep-anyway", "--max-fpr", "0.0001"]
    out = tmp_path / "out"
    assert open_nsfw(["fine-tune", str(labelled), "--output", str(out), *OPTIONS, *options]) == 0
    assert {path.name for path in out.iterdir()} == FILES
    numbers = json.loads((out / "training.json").read_text(), parse_constant=pytest.fail)
    assert numbers["agreement"][0]["largest"] <= 1e-5
    assert numbers["split"]["groups"] > COUNT // 2


def test_files_that_compute_something_else_are_not_kept(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the weights written wrongly, the run would end with an error and leave no model."""

    def wrong(data: bytes, new: dict[str, Any]) -> bytes:
        return replace_blobs(data, {name: (weights, bias + [0, 1]) for name, (weights, bias) in new.items()})

    monkeypatch.setattr("open_nsfw.training.fine_tune.replace_blobs", wrong)
    line = failed(capsys, labelled, "--output", tmp_path / "out")
    assert "candidate.caffemodel: onnxruntime computes other scores from it than training did (off by " in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["work"]
    assert {path.name for path in (tmp_path / "out" / "work").iterdir()} == {"features.f32", "scores.jsonl"}


# --- the same again ---


@pytest.mark.once
def test_same_seed_same_file(tuned: Path, labelled: Path, tmp_path: Path) -> None:
    """From the pictures, and from the features that are kept."""
    again = tmp_path / "again"
    for option in ([], ["--resume"]):
        assert open_nsfw(["fine-tune", str(labelled), "--output", str(again), *OPTIONS, *option]) == 0
        assert sha256(again / "tuned.caffemodel") == sha256(tuned / "tuned.caffemodel")


@pytest.mark.once
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(seed: int, tuned: Path, labelled: Path, tmp_path: Path) -> None:
    """Again and again; what --resume ends with is what an undisturbed run has."""
    out = tmp_path / "out"
    line = [sys.executable, "-m", "open_nsfw", "fine-tune", str(labelled), "--output", str(out), *OPTIONS, "--resume"]
    choice = random.Random(seed)
    for round_ in range(4):
        assert killed_at_change(line, out, choice.randint(1, 20)) or round_, "the first one cannot have ended before"
        assert not (out / "report.html").exists() or (out / "tuned.caffemodel").exists()
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sha256(out / "tuned.caffemodel") == sha256(tuned / "tuned.caffemodel")
    assert {path.name for path in out.iterdir()} == FILES


# --- not better ---


def by_chance(labelled: Path, file: Path) -> Path:
    """Labels that nothing in the pictures tells."""
    choice = random.Random(0)
    pictures = sorted(labelled.glob("*/*.jpg"))
    lines = [f"{path},{choice.choice(['sfw', 'nsfw'])}" for path in pictures]
    file.write_text("\n".join(["path,label", *lines, ""]))
    return file


@pytest.mark.once
def test_not_better(labelled: Path, tmp_path: Path) -> None:
    """Status 1, and the names say it; with --keep-anyway they do not, and what was named so is gone."""
    labels, out = by_chance(labelled, tmp_path / "labels.csv"), tmp_path / "out"
    assert open_nsfw(["fine-tune", str(labels), "--output", str(out), *OPTIONS]) == 1
    names = {path.name for path in out.iterdir()}
    assert {"tuned-not-better.caffemodel", "policy-not-better.json", "ranges-not-better.json"} <= names
    assert not {"tuned.caffemodel", "policy.json", "ranges.json"} & names
    assert "The new model is not better" in (out / "report.html").read_text()
    assert open_nsfw(["fine-tune", str(labels), "--output", str(out), *OPTIONS, "--resume", "--keep-anyway"]) == 0
    assert {path.name for path in out.iterdir()} == FILES


# --- bad input ---


def test_too_few_pictures(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one class, or of none of it."""
    folder = tmp_path / "few"
    shutil.copytree(labelled, folder)
    for path in sorted((folder / "nsfw").iterdir())[19:]:
        path.unlink()
    needed = "at least 20 of each label are needed"
    line = failed(capsys, folder, "--output", tmp_path / "out")
    assert line == f"open-nsfw fine-tune: error: {folder}: 19 pictures labelled 'nsfw' can be used; {needed}"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"work"}
    for path in (folder / "nsfw").iterdir():
        path.unlink()
    line = failed(capsys, folder, "--output", tmp_path / "out2")
    assert line == f"open-nsfw fine-tune: error: {folder}: no pictures labelled 'nsfw' can be used; {needed}"


@pytest.mark.once
def test_pictures_that_do_not_count(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is named, with the reason, and costs nothing else."""
    folder = tmp_path / "odd"
    shutil.copytree(labelled, folder)
    (folder / "sfw" / "both.jpg").write_bytes(PICTURE.read_bytes())
    (folder / "nsfw" / "both.jpg").write_bytes(PICTURE.read_bytes())
    (folder / "sfw" / "broken.jpg").write_bytes(b"no picture")
    assert open_nsfw(["fine-tune", str(folder), "--output", str(tmp_path / "out"), *OPTIONS]) == 0
    lines = capsys.readouterr().err.splitlines()
    both = f"{folder}/nsfw/both.jpg (nsfw) = {folder}/sfw/both.jpg (sfw)"
    assert lines[1] == f"open-nsfw fine-tune: {both}: the same picture under both labels; left out"
    assert lines[0].startswith(f"open-nsfw fine-tune: {folder}/sfw/broken.jpg: ")
    assert len(lines) == 2


def test_labels_of_this_very_model(tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They teach nothing."""
    rows = [json.loads(line) for line in (tuned / "work" / "scores.jsonl").read_text().splitlines()]
    middle = sorted(row["score"] for row in rows)[COUNT // 2]
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((row["path"], int(row["score"] >= middle)) for row in rows)])
    line = failed(capsys, tmp_path / "labels.csv", "--output", tmp_path / "out")
    assert line.startswith(f"open-nsfw fine-tune: error: {tmp_path}/labels.csv: every nsfw picture scores ")
    assert line.endswith(
        "such labels teach it nothing. If they come from its scores, have people label the pictures; if people gave them, label "
        "pictures that it gets wrong"
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--seed", "4294967296"], "--seed: a whole number from 0 to 4294967295 is needed, not '4294967296'"),
        (["--group-by", "column"], "--group-by column: LABELS has no column group"),
        (["--gpu"], "--gpu and --tensorboard are for layers below the head; leave them out with --train head"),
        (
            ["--tensorboard", "b"],
            "--gpu and --tensorboard are for layers below the head; leave them out with --train head",
        ),
    ],
)
def test_options_that_cannot_be(
    options: list[str], what: str, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, before anything is decoded or written."""
    assert failed(capsys, labelled, "--output", tmp_path / "out", *options) == f"open-nsfw fine-tune: error: {what}"
    assert not (tmp_path / "out").exists()


def test_scores_in_place_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The head cannot be learnt from them."""
    (tmp_path / "labels.csv").write_text("score,label\n0.5,1\n")
    what = "has scores; fine-tuning needs the pictures: give the columns path and label alone"
    line = failed(capsys, tmp_path / "labels.csv", "--output", tmp_path / "out")
    assert line == f"open-nsfw fine-tune: error: {tmp_path}/labels.csv: {what}"


def test_weights_that_are_not_finite(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, before anything is decoded or written."""
    weights: dict[str, Any] = {name: list(blobs) for name, blobs in read_caffemodel(WEIGHTS).items() if blobs}
    weights["fc_nsfw"] = [np.full((2, 1024), np.nan), weights["fc_nsfw"][1]]
    options = write_model(tmp_path, MODEL_DEF.read_text(), caffemodel(weights))
    line = failed(capsys, labelled, "--output", tmp_path / "out", *options)
    what = 'layer "fc_nsfw" (InnerProduct) has weights that are not finite numbers'
    assert line == f"open-nsfw fine-tune: error: {tmp_path}/net.caffemodel: {what}"
    assert not (tmp_path / "out").exists()


def test_output_with_something_in_it(
    labelled: Path, tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another folder, a run that ended, one that did not."""
    (tmp_path / "mine.txt").write_text("mine")
    what = "is not empty, and no run of fine-tune has begun there; name another --output"
    line = failed(capsys, labelled, "--output", tmp_path, "--overwrite")
    assert line == f"open-nsfw fine-tune: error: {tmp_path}: {what}"
    ways = "--resume goes on with its pictures, --overwrite begins anew"
    line = failed(capsys, labelled, "--output", tuned)
    assert line == f"open-nsfw fine-tune: error: {tuned}: has a finished run; {ways}"
    theirs = tmp_path / "theirs" / "work" / "all" / "thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    for option in ("--resume", "--overwrite"):
        line = failed(capsys, labelled, "--output", tmp_path / "theirs", option)
        assert line == f"open-nsfw fine-tune: error: {tmp_path / 'theirs'}: {what}"
    assert theirs.read_text() == "mine"
    line = failed(capsys, labelled, "--output", tuned, "--resume", "--overwrite")
    assert line == "open-nsfw fine-tune: error: --resume and --overwrite cannot be combined"
    (tmp_path / "begun" / "work").mkdir(parents=True)
    line = failed(capsys, labelled, "--output", tmp_path / "begun")
    assert line == f"open-nsfw fine-tune: error: {tmp_path / 'begun'}: has a run that did not end; {ways}"
