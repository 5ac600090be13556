"""One rule for all commands: a file that has something in it is never replaced unless --overwrite is given."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import classify_nsfw
from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.calibration.policy import Policy
from tests.tools.helpers import MODEL_DEF, PICTURE, small_net, write_model
from tests.tools.review import new_store, rows_of
from tests.tools.samples import simulate, write_csv

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

RESUME = "exists already; --resume goes on with it, --overwrite starts anew"
REPLACE = "exists already; --overwrite replaces it"
WRITERS = {
    "out.csv": (f"classify_nsfw {PICTURE} --format csv --output out.csv", RESUME),
    "net.prototxt": ("open-nsfw build-net -b 1 -n 8 --output net.prototxt", REPLACE),
    "ranges.json": ("open-nsfw quantize-ranges . --output ranges.json", REPLACE),
    "plot.svg": (f"open-nsfw verify {PICTURE} --against onnxruntime --engine onnxruntime --plot plot.svg", REPLACE),
}
if shutil.which("dot") and find_spec("graphviz"):
    WRITERS["net.svg"] = (f"open-nsfw net-cost {MODEL_DEF} --draw net.svg", REPLACE)


def run(line: str) -> int:
    """A command in this process; its exit status."""
    command, *arguments = line.split()
    return classify_nsfw.main(arguments) if command == "classify_nsfw" else open_nsfw(arguments)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_with_something_in_it_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before any work, whoever wrote it."""
    line, message = WRITERS[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("somebody's")
    command = " ".join(line.split()[: 1 + line.startswith("open-nsfw")])
    assert run(line) == 2
    path = str(tmp_path / name) if name == "out.csv" else name
    assert capsys.readouterr() == ("", f"{command}: error: {path}: {message}\n")
    assert (tmp_path / name).read_text() == "somebody's"


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"ranges.json"}))  # which takes hundreds of pictures to make
@pytest.mark.parametrize("content", ["", "somebody's"])
def test_what_may_be_replaced(name: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file has nothing to lose; any other with --overwrite."""
    line, _ = WRITERS[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(content)
    if line.startswith("classify_nsfw"):
        line += " " + " ".join(write_model(tmp_path, small_net()))
    assert run(line + (" --overwrite" if content else "")) == 0
    assert len((tmp_path / name).read_text()) > len("somebody's")


def test_devices_are_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    """They keep nothing."""
    for line, _ in (WRITERS["net.prototxt"], WRITERS["net.prototxt"]):
        assert run(line.replace("net.prototxt", os.devnull)) == 0
    assert "error" not in capsys.readouterr().err


# --- calibrate, which people run again and again ---


@pytest.fixture(name="labels")
def _labels(tmp_path: Path) -> Path:
    """Labelled scores."""
    return write_csv(tmp_path / "labels.csv", simulate(60, 60))


def calibrate(labels: Path, *options: str) -> int:
    """A run on them; its exit status."""
    return open_nsfw(["calibrate", str(labels), "--resamples", "20", "--quiet", *options])


def test_calibrate_replaces_what_it_wrote_itself(labels: Path) -> None:
    """It can be made again at any time; other thresholds are tried on the same labels."""
    policy = labels.parent / "labels-calibration" / "policy.json"
    assert calibrate(labels, "--bands", "0.3,0.7") == 0
    before = policy.read_text()
    assert calibrate(labels, "--bands", "0.4,0.6") == 0
    assert policy.read_text() != before


def test_calibrate_keeps_a_policy_that_was_changed_by_hand(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all is written then; --overwrite replaces it."""
    folder = labels.parent / "labels-calibration"
    assert calibrate(labels, "--bands", "0.3,0.7") == 0
    changed = (folder / "policy.json").read_text().replace("0.7", "0.75", 1)
    (folder / "policy.json").write_text(changed)
    before = (folder / "report.html").read_bytes()
    assert calibrate(labels, "--bands", "0.4,0.6") == 2
    assert capsys.readouterr().err == (
        f"open-nsfw calibrate: error: {folder}/policy.json: it was changed since calibrate wrote it, so it is left as it "
        "is; choose another --output, or --overwrite it\n"
    )
    assert (folder / "policy.json").read_text() == changed
    assert (folder / "report.html").read_bytes() == before
    assert calibrate(labels, "--bands", "0.4,0.6", "--overwrite") == 0
    assert (folder / "policy.json").read_text() != changed


@pytest.mark.parametrize("name", ["report.html", "numbers.json"])
def test_calibrate_keeps_the_files_of_others(name: str, labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a policy is not of an earlier calibration."""
    folder = labels.parent / "mine"
    folder.mkdir()
    (folder / name).write_text("somebody's")
    assert calibrate(labels, "--output", str(folder)) == 2
    assert capsys.readouterr().err == f"open-nsfw calibrate: error: {folder}/{name}: {REPLACE}\n"
    assert [path.name for path in folder.iterdir()] == [name]
    assert calibrate(labels, "--output", str(folder), "--overwrite") == 0


@pytest.mark.parametrize(
    "line",
    [
        "classify_nsfw x.jpg --format csv --output x.jpg",
        "classify_nsfw folder --format csv --output folder/x.jpg",
        "classify_nsfw x.zip --format jsonl --output x.zip",
        "classify_nsfw --from-list list --format jsonl --output list",
        "open-nsfw timeline x.jpg --output x.jpg",
        "open-nsfw timeline folder --output folder/x.jpg",
        "open-nsfw features x.jpg --output x.jpg",
    ],
)
def test_an_output_never_replaces_an_input(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor anything else that is named like a picture; --overwrite is meant for outputs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("x.jpg", "folder/x.jpg", "x.zip"):
        shutil.copy(PICTURE, name)
    (tmp_path / "list").write_text("x.jpg\n")
    output = Path(line.split()[-1])
    before = output.read_bytes()
    assert run(f"{line} --overwrite") == 2
    command = " ".join(line.split()[: 1 + line.startswith("open-nsfw")])
    what = "is a picture or another input, which is not replaced; name another --output"
    assert capsys.readouterr() == ("", f"{command}: error: {output}: {what}\n")
    assert output.read_bytes() == before


WHAT = "is a picture or another input, which is not replaced; name another --output"
READ = {
    "policy.json": ("classify_nsfw x.jpg --format csv --policy policy.json --output policy.json", WHAT),
    "net.prototxt": ("open-nsfw features x.jpg --model-def net.prototxt --output net.prototxt", WHAT),
    "net.caffemodel": ("open-nsfw quantize-ranges . --pretrained-model net.caffemodel --output net.caffemodel", WHAT),
    "start.caffemodel": (
        "open-nsfw build-net -b 1 -n 8 --from start.caffemodel --initialize start.caffemodel",
        "is an input, which is not replaced; name another --initialize",
    ),
    "x.png": ("open-nsfw verify x.png --plot x.png", "is an input, which is not replaced; name another --plot"),
    "review.sqlite": ("open-nsfw review export review.sqlite --output review.sqlite", WHAT),
}


@pytest.mark.parametrize("name", READ)
def test_an_output_never_replaces_another_file_that_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a policy, weights, or the store of all that people decided."""
    monkeypatch.chdir(tmp_path)
    line, message = READ[name]
    write_model(tmp_path, small_net())
    Policy((0.2, 0.8)).write(tmp_path / "policy.json")
    shutil.copy(PICTURE, "x.jpg")
    shutil.copy(PICTURE, "x.png")
    shutil.copy("net.caffemodel", "start.caffemodel")
    new_store(tmp_path, rows_of([0.5], tmp_path)).close()
    before = (tmp_path / name).read_bytes()
    assert run(f"{line} --overwrite") == 2
    assert capsys.readouterr().err.endswith(f": error: {name}: {message}\n")
    assert (tmp_path / name).read_bytes() == before
