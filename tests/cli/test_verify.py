"""`open-nsfw verify`."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
import zipfile
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from open_nsfw.cli import verify
from open_nsfw.installing import install_command
from open_nsfw.scan.compare import Comparison, Pair
from open_nsfw.scoring.model_files import find_model_files, read_ranges
from tests.tools.helpers import DATA, MODEL_DEF, NETS, PICTURE, WEIGHTS, png_header

PUSHED = str(DATA / "pushed")
VERIFY = [
    sys.executable,
    "-m",
    "open_nsfw",
    "verify",
    "--against",
    "onnxruntime",
    "--engine",
    "onnxruntime",
    str(PICTURE),
]
NUMBER = r"[\d.e+-]+"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str], str]:
    """(exit status, the lines on stdout by name, stderr) of the verb."""
    status = verify.main(["--against", "onnxruntime", *arguments])
    out, err = capsys.readouterr()
    return status, {line[:16].strip(): line[17:] for line in out.splitlines()}, err


def test_the_engine_against_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """No difference at all; every line has its form."""
    files = find_model_files(MODEL_DEF, WEIGHTS)
    status, lines, err = run(capsys, PUSHED, "--engine", "onnxruntime")
    assert (status, err) == (0, "")
    assert list(lines) == [
        *("reference", "compared", "pictures", "score difference", "logit difference"),
        *("threshold 0.2", "threshold 0.8", "verdict"),
    ]
    assert lines["reference"] == f"onnxruntime, model {files.short_hash}"
    assert lines["compared"] == "onnxruntime"
    assert lines["pictures"] == "18 compared, 0 unreadable"
    assert re.fullmatch(r"worst 0 \(.*\.jpg\), 99th percentile 0", lines["score difference"])
    assert lines["threshold 0.2"] == lines["threshold 0.8"] == "0 pictures change sides"
    assert lines["verdict"] == "passed"


def test_the_fast_mode_decides_as_the_exact_one(capsys: pytest.CaptureFixture[str]) -> None:
    """On pictures pushed over the whole range, with scores right beside both thresholds."""
    margins = read_ranges(find_model_files(MODEL_DEF, WEIGHTS))[0].margins_for((0.2, 0.8))
    named = f"margin {margins.full:g} logits, {margins.reduced:g} for JPEG decoded at reduced size"
    status, lines, _ = run(capsys, PUSHED, "--fast", "--engine", "onnxruntime")
    assert status == 0
    assert lines["compared"] == f"onnxruntime-int8 and onnxruntime, {named}"
    assert 10 <= int(lines["scored twice"]) < 18
    assert lines["threshold 0.2"] == lines["threshold 0.8"] == "0 pictures change sides"
    assert lines["verdict"] == "passed"


def test_int8_alone_moves_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the second score some of the pictures beside a threshold fall on its other side: named, and exit 1."""
    status, lines, _ = run(capsys, PUSHED, "--precision", "int8", "--engine", "onnxruntime")
    assert status == 1
    moved = [line for name, line in lines.items() if name.startswith("threshold")]
    assert any(re.search(rf"sides: .*/0\.\d+-\w+\.jpg {NUMBER} -> {NUMBER}", line) for line in moved)
    assert re.fullmatch(r"failed: \d+ pictures? changes? sides of a threshold", lines["verdict"])


def test_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    """A difference beyond it fails, whatever the thresholds."""
    status, lines, _ = run(
        capsys, PUSHED, "--precision", "int8", "--engine", "onnxruntime", "--tolerance", "0.001", "--thresholds", "1"
    )
    assert status == 1
    assert re.fullmatch(
        rf"failed: the worst score difference, {NUMBER}, is over the tolerance of 0\.001", lines["verdict"]
    )
    status, lines, _ = run(
        capsys, PUSHED, "--precision", "int8", "--engine", "onnxruntime", "--tolerance", "0.3", "--thresholds", "1"
    )
    assert (status, lines["verdict"]) == (0, "passed")


def test_unreadable_pictures_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """They do not fail the comparison: both ways refuse them alike."""
    (tmp_path / "a.jpg").write_bytes((DATA / "pushed" / "0.500-rocket.jpg").read_bytes())
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff broken")
    status, lines, err = run(capsys, str(tmp_path), str(tmp_path / "none.jpg"), "--engine", "onnxruntime")
    assert status == 0
    assert lines["pictures"] == "1 compared, 2 unreadable"
    assert lines["verdict"] == "passed; 2 pictures could not be compared"
    assert err.splitlines()[0].startswith(f"open-nsfw verify: {tmp_path / 'b.jpg'}: a damaged JPEG file")
    assert err.splitlines()[1] == f"open-nsfw verify: {tmp_path / 'none.jpg'}: there is no such file"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "IMAGES is missing; write open-nsfw verify IMAGES"),
        (["/nowhere.jpg"], "no picture could be compared"),
        ([PUSHED, "--tolerance", "2"], "--tolerance: a score from 0 to 1 is needed, not '2'"),
        ([PUSHED, "--tolerance", "nan"], "--tolerance: a score from 0 to 1 is needed, not 'nan'"),
        ([PUSHED, "--thresholds", "2"], '--thresholds "2": scores from 0 to 1 are needed, separated by commas'),
        (
            [PUSHED, "--engine", "onnxruntime", "--precision", "bfloat16"],
            "--precision bfloat16: the engine onnxruntime has none; --engine openvino does",
        ),
        (
            [PUSHED, "--fast", "--precision", "int8"],
            "--fast and --precision cannot be combined: the fast mode has its own precisions",
        ),
        ([PUSHED, "--fast", "--ranges", "/none.json"], "--ranges /none.json: there is no such file"),
        ([PUSHED, "--fast", "--ranges", "n" * 300], f"--ranges {'n' * 300}: there is no such file"),
        ([PUSHED, "--ranges", "x.json"], "--ranges needs --fast or --precision int8"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """Exit status 2 and one line."""
    assert verify.main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"open-nsfw verify: error: {message}"


def test_a_model_without_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    """The fast mode of another net says how to get ranges."""
    model = ["--model_def", str(NETS / "convolution.prototxt")]
    model += ["--pretrained_model", str(NETS / "convolution.caffemodel")]
    assert verify.main([PUSHED, "--against", "onnxruntime", "--engine", "onnxruntime", "--fast", *model]) == 2
    assert "make ranges for this model: open-nsfw quantize-ranges FOLDER --output FILE" in capsys.readouterr().err


def test_plot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A PNG; what cannot be drawn or written is told at once."""
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed in this interpreter")
    path = tmp_path / "plot.png"
    assert run(capsys, PUSHED, "--fast", "--engine", "onnxruntime", "--plot", str(path))[0] == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    for name, reason in (
        ("plot.nothing", "the name must end in .png, .svg or .pdf"),
        ("plot", "the name must end in .png, .svg or .pdf"),
        ("no/plot.svg", "No such file"),
    ):
        status, lines, err = run(capsys, PUSHED, "--engine", "onnxruntime", "--plot", str(tmp_path / name))
        assert (status, lines) == (2, {}), "before the pictures are compared"
        assert f"{tmp_path / name}: " in err and reason in err


def test_plot_without_matplotlib(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The pip command that mends it."""
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = run(capsys, PUSHED, "--engine", "onnxruntime", "--plot", "x.png")
    assert (status, err.splitlines()[-1]) == (
        2,
        f"open-nsfw verify: error: --plot needs matplotlib: {install_command('policy')}",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout() -> None:
    """One line and exit status 2, as of the command that scores."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(VERIFY, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "open-nsfw verify: error: stdout: cannot be written: No space left on device\n"


def test_into_any_text_stream() -> None:
    """As a notebook has one in stdout's place."""
    stream = io.StringIO()
    with redirect_stdout(stream):
        assert verify.main(VERIFY[4:]) == 0
    assert stream.getvalue().endswith("verdict          passed\n")


def test_without_stderr() -> None:
    """A script may close it; the verdict stays."""
    done = subprocess.run(shlex.join(VERIFY) + " 2>&-", shell=True, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.endswith("verdict          passed\n")


def test_a_name_that_stdout_has_no_letters_for(tmp_path: Path) -> None:
    """It is escaped; the comparison is not lost."""
    (tmp_path / "m\u00e9.jpg").write_bytes(PICTURE.read_bytes())
    command = [*VERIFY[:-1], str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, encoding="ascii", check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert rf"worst 0 ({tmp_path}/m\xe9.jpg)" in done.stdout


def test_failures_by_hand() -> None:
    """On literal scores: the worst difference comes first, then sides, then what only one way can score."""
    near, far = Pair("near", 0.799998, 0.800002), Pair("far", 0.79, 0.81)
    assert verify.failure(Comparison((near,)), 1e-5, (0.8,)) is None  # as near as exact engines promise
    assert verify.failure(Comparison((near, far)), 1.0, (0.8,)) == "1 picture changes sides of a threshold"
    assert verify.failure(Comparison((near, far)), 0.01, (0.8,)) == (
        "the worst score difference, 0.02, is over the tolerance of 0.01"
    )
    one_sided = Comparison((near,), one_sided=("x", "y"))
    assert verify.failure(one_sided, 1.0, ()) == "2 pictures have a score in one way only"


@pytest.mark.parametrize("stdin", ["-", "/dev/stdin"])
def test_archives_animations_and_stdin(stdin: str, tmp_path: Path) -> None:
    """Whatever the command scores is compared, standard input too, though it can be read once only."""
    packed = tmp_path / "some.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(PICTURE, "a.jpg")
        archive.write(PICTURE, "b.jpg")
    command = [*VERIFY[:-1], str(packed), stdin, str(DATA / "pictures" / "animated.gif"), "--fast"]
    with open(PICTURE, "rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines() == [] and done.returncode == 0
    assert "pictures         4 compared, 0 unreadable\n" in done.stdout
    assert "scored twice     3\n" in done.stdout


def test_limits_and_isolation(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Those of the command: a picture over a limit is unreadable, and no more."""
    (tmp_path / "a.jpg").write_bytes(PICTURE.read_bytes())
    (tmp_path / "b.png").write_bytes(png_header(60000, 60000))
    status, lines, err = run(capsys, str(tmp_path), "--engine", "onnxruntime", "--fast")
    assert (status, lines["pictures"]) == (0, "1 compared, 1 unreadable")
    assert err == (
        f"open-nsfw verify: {tmp_path / 'b.png'}: 60000 x 60000 pixels, more than the limit of 178,956,970 (--max-pixels)\n"
    )
