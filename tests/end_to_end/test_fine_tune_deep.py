"""`open-nsfw fine-tune` below the head, with torch: a small net with stages, whose training takes seconds."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.nets.caffemodel import read_caffemodel
from open_nsfw.nets.prototxt import read_prototxt
from open_nsfw.training.stages import find_part
from tests.tools.helpers import ROOT
from tests.tools.processes import killed_at_change
from tests.tools.tuning_net import make_tinted, write_net

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

SECONDS = 900  # of a training that hangs; on two idle cores the longest takes a minute or two
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning:matplotlib.*")]

COUNT = 120
OPTIONS = ["--resamples", "50", "--max-fpr", "0.1", "--no-thumbnails", "--keep-anyway"]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures."""
    folder = tmp_path_factory.mktemp("labelled")
    make_tinted(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that name its files."""
    return write_net(tmp_path_factory.mktemp("net"))


def run(labelled: Path, out: Path, *options: str) -> tuple[int, list[str]]:
    """(exit status, lines on stderr) of a run in a process of its own."""
    line = [sys.executable, "-m", "open_nsfw", "fine-tune", str(labelled), "--output", str(out), *OPTIONS, *options]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode, done.stderr.splitlines()


@pytest.fixture(scope="module")
def tuned(labelled: Path, net: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of stage 3 that was not disturbed."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    status, lines = run(labelled, out, *net, "--train", "stage3", "--tensorboard", str(out.parent / "board"))
    assert status == 0, lines
    (out.parent / "lines.txt").write_text("\n".join(lines))
    return out


def sha256(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def numbers(out: Path) -> dict[str, object]:
    """training.json."""
    found: dict[str, object] = json.loads((out / "training.json").read_text())
    return found


def test_what_learns_and_what_stays(tuned: Path, net: list[str]) -> None:
    """Convolutions and scales of stage 3 and the head; batch norm and all below have the bytes that they had."""
    old, new = read_caffemodel(net[3]), read_caffemodel(tuned / "tuned.caffemodel")
    trained = find_part(read_prototxt(net[1]), "stage3").trained
    for name, blobs in old.items():
        equal = all(before.tobytes() == after.tobytes() for before, after in zip(blobs, new[name]))
        assert equal == (name not in trained or not blobs), name
    found = numbers(tuned)
    assert found["trained"]["layers"] == list(trained)  # type: ignore[index]
    assert found["agreement"][0]["largest"] <= 1e-5  # type: ignore[index]


def test_the_files_for_caffe_have_the_same_settings(tuned: Path) -> None:
    """Rates, batch, steps: what this run did is what `caffe train` is told."""
    deep = numbers(tuned)["deep"]
    solver = (tuned / "solver.prototxt").read_text()
    settings = deep["solver"]  # type: ignore[index]
    assert settings["steps"] == deep["best"] * 3  # type: ignore[index]
    for name in ("base_lr", "momentum", "weight_decay"):
        assert f"\n{name}: {settings[name]:g} " in solver
    assert f"\nmax_iter: {settings['steps']} " in solver
    assert '\nlr_policy: "fixed" ' in solver
    text = (tuned / "train_val.prototxt").read_text()
    assert text.count(f"batch_size: {deep['batch']} ") == 2  # type: ignore[index]
    layers = dict(part.split('"', 2)[1:] for part in text.split("layer {\n  name: ")[1:])
    assert layers["conv_stage3_block0_branch2a"].count(" lr_mult: 1.0") == 1
    assert layers["conv_stage2_block0_branch2a"].count(" lr_mult: 0.0") == 2  # weights and bias
    assert " lr_mult: 5.0" in layers["fc_nsfw"] and " lr_mult: 10.0" in layers["fc_nsfw"]
    assert "use_global_stats: true" in layers["bn_stage3_block0_branch2a"]


def test_what_is_told(tuned: Path) -> None:
    """An estimate before the start, a line an epoch, and the same for TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first, before, *lines = (tuned.parent / "lines.txt").read_text().splitlines()
    assert first.startswith("stage3: ") and "a second: at most " in first
    assert before.startswith("stage3, before: loss 0.") and before.endswith("(before)")
    epochs = numbers(tuned)["deep"]["epochs"]  # type: ignore[index]
    assert len(lines) == len(epochs) - 1
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"stage3, epoch {number}: loss {epochs[number]['learnt']:.4f} learnt, ")
        assert f"{epochs[number]['held_out']:.4f} held out; AUC {epochs[number]['auc']['value']:.3f} (" in line
    board = EventAccumulator(str(tuned.parent / "board"))
    board.Reload()
    assert [each.step for each in board.Scalars("stage3/loss/held out")] == list(range(len(epochs)))
    assert board.Scalars("stage3/AUC")[-1].value == pytest.approx(epochs[-1]["auc"]["value"])


def test_the_report_has_it(tuned: Path) -> None:
    """Learning curves and the steps, and each id once."""
    page = (tuned / "report.html").read_text()
    for title in ("Steps", "Learning curves", "Labels to look at again"):
        assert f">{title}<" in page
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_nothing_large_is_left(tuned: Path) -> None:
    """Of what a run computes; the pictures stay for the next one."""
    assert {path.name for path in (tuned / "work").iterdir()} == {"features.f32", "pixels.u8", "scores.jsonl"}


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(seed: int, tuned: Path, labelled: Path, net: list[str], tmp_path: Path) -> None:
    """Again and again, in the middle of epochs and of files that are written; --resume ends with the same file. With another
    number of threads, too."""
    out, choice = tmp_path / "out", random.Random(seed)
    command = [sys.executable, "-m", "open_nsfw", "fine-tune", str(labelled), "--output", str(out), *OPTIONS, *net]
    command += ["--train", "stage3", "--resume", "--quiet", "--jobs", str(1 + seed)]
    kills = [killed_at_change(command, out, choice.randint(1, 40)) for _ in range(5)]
    assert kills[0], "the first one cannot have ended before"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sha256(out / "tuned.caffemodel") == sha256(tuned / "tuned.caffemodel")


def test_weights_that_grow_without_end(labelled: Path, net: list[str], tmp_path: Path) -> None:
    """Of all layers of this net, from the pictures themselves: what was best before is used, and no weight in the file is not a
    number."""
    status, lines = run(labelled, tmp_path / "out", *net, "--train", "all")
    assert status == 0, lines
    weights = read_caffemodel(tmp_path / "out" / "tuned.caffemodel")
    assert all(np.isfinite(blob).all() for blobs in weights.values() for blob in blobs)


def test_time_is_over(labelled: Path, net: list[str], tmp_path: Path) -> None:
    """Before an epoch has ended: the head is what was learnt, and it is said why."""
    status, _ = run(labelled, tmp_path / "out", *net, "--train", "all", "--time-limit", "0.001")
    assert status == 0
    found = numbers(tmp_path / "out")
    assert found["trained"]["layers"] == ["fc_nsfw"]  # type: ignore[index]
    assert found["steps"][-1]["why"] == "the time was over before an epoch"  # type: ignore[index]


def test_a_stage_that_is_not_there(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, before anything is decoded."""
    options = write_net(tmp_path, stages=2)
    out = tmp_path / "out"
    assert open_nsfw(["fine-tune", str(labelled), "--output", str(out), *options, "--train", "stage3"]) == 2
    what = "the net has no stage3 to train: its stages are stage0, stage1; --train head and --train all work with it"
    assert capsys.readouterr().err == f"open-nsfw fine-tune: error: {what}\n"
    assert not out.exists()


def test_no_such_gpu(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, no silent fall back."""
    out = str(tmp_path / "out")
    assert open_nsfw(["fine-tune", str(labelled), "--output", out, "--train", "stage3", "--gpu", "99"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("open-nsfw fine-tune: error: torch finds ")
    assert line.endswith("leave --gpu out to use the processor\n")


def test_a_disk_that_fills_up(labelled: Path, net: list[str], tmp_path: Path) -> None:
    """While pictures are kept: one line, no model; with room, --resume goes on."""
    out = tmp_path / "out"
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000)); "
        "from open_nsfw.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["fine-tune", str(labelled), "--output", str(out), *OPTIONS, *net, "--train", "stage3", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2
    pixels = out / "work" / "pixels.u8"
    assert done.stderr == f"open-nsfw fine-tune: error: {pixels}: cannot be written: File too large\n"
    assert [path.name for path in out.iterdir()] == ["work"]
    assert run(labelled, out, *net, "--train", "stage3", "--resume")[0] == 0


def begin(labelled: Path, net: list[str], out: Path) -> Path:
    """Start a run of stage 3 and kill it when the first fold has a state, whose file this gives."""
    command = [sys.executable, "-m", "open_nsfw", "fine-tune", str(labelled), "--output", str(out), *OPTIONS, *net]
    fold = out / "work" / "stage3" / "fold0.npz"
    with subprocess.Popen([*command, "--train", "stage3", "--quiet"], cwd=ROOT, start_new_session=True) as process:
        while not fold.exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    return fold


def test_a_damaged_checkpoint(tuned: Path, labelled: Path, net: list[str], tmp_path: Path) -> None:
    """Is named; nothing goes on from it in silence, and --overwrite begins anew, as the line says."""
    out = tmp_path / "out"
    fold = begin(labelled, net, out)
    content = bytearray(fold.read_bytes())
    content[len(content) // 2] ^= 255
    fold.write_bytes(content)
    status, lines = run(labelled, out, *net, "--train", "stage3", "--resume")
    assert status == 2
    assert lines[-1].startswith(f"open-nsfw fine-tune: error: {fold}: is damaged (")
    assert lines[-1].endswith("); --overwrite begins anew")
    status, lines = run(labelled, out, *net, "--train", "stage3", "--overwrite")
    assert status == 0, lines
    assert sha256(out / "tuned.caffemodel") == sha256(tuned / "tuned.caffemodel")


def test_another_seed_after_a_kill(labelled: Path, net: list[str], tmp_path: Path) -> None:
    """Other views are drawn, with which the training begins anew; the pictures are kept."""
    out = tmp_path / "out"
    begin(labelled, net, out)
    scores = (out / "work" / "scores.jsonl").stat().st_mtime_ns
    status, lines = run(labelled, out, *net, "--train", "stage3", "--resume", "--seed", "1")
    assert status == 0, lines
    assert (out / "work" / "scores.jsonl").stat().st_mtime_ns == scores
