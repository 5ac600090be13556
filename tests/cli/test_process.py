"""What surrounds every command: standard streams that are closed, errors on one line, missing libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw.cli.process import guarded
from open_nsfw.cli.status import Status
from open_nsfw.errors import UsageError
from open_nsfw.installing import broken_library
from tests.tools.helpers import OTHER_PICTURE, PICTURE, ROOT, run_command, small_net, write_model

MISSING = "no/such.jpg"


def shell(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A line of sh, in which "$@" are the arguments."""
    command = ["sh", "-c", line, "sh", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_the_rows_file_is_not_a_closed_stream(closed: str, tmp_path: Path) -> None:
    """What is printed, here and by the processes that decode, does not get among the rows."""
    rows = tmp_path / "rows.jsonl"
    model = write_model(tmp_path, small_net())
    options = [*model, "--engine", "onnxruntime", "--jobs", "2", "--format", "jsonl", "--output", rows]
    done = shell(f'"$@" {closed}', sys.executable, "classify_nsfw.py", *options, PICTURE, MISSING, OTHER_PICTURE)
    assert done.returncode == Status.FAILED
    assert [json.loads(line)["path"] for line in rows.read_text().splitlines()] == [
        *(str(PICTURE), MISSING, str(OTHER_PICTURE))
    ]
    assert ("1 failed" in done.stderr) == ("2>&-" not in closed)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_files_of_verbs_are_not_a_closed_stream(closed: str, tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    line = [sys.executable, "-m", "open_nsfw", "build-net", "-b", "1", "-n", "8", "--output", net]
    assert shell(f'"$@" {closed}', *line).returncode == Status.DONE
    text = net.read_text()
    assert text.startswith("# Written by `open-nsfw build-net ") and "million parameters" not in text


def test_descriptors_below_three_are_taken(tmp_path: Path) -> None:
    """Whatever is opened later has another number, in this process and in those that it starts."""
    code = (
        "import subprocess, sys; from open_nsfw.cli.process import begin; begin()\n"
        'child = \'import os, sys; print(*[os.path.exists(f"/proc/self/fd/{n}") for n in (0, 1, 2)], '
        'open(sys.argv[1]).fileno() > 2, file=open(sys.argv[2], "w"))\'\n'
        "sys.exit(not open(sys.argv[1]).fileno() > 2 or subprocess.call([sys.executable, '-c', child, *sys.argv[1:]]))"
    )
    answer = tmp_path / "answer"
    done = shell('"$@" <&- >&- 2>&-', sys.executable, "-c", code, PICTURE, answer)
    assert (done.returncode, answer.read_text()) == (0, "True True True True\n")


def test_rows_for_a_closed_stdout_are_an_error(tmp_path: Path) -> None:
    """They would be lost in silence."""
    done = shell('"$@" >&-', sys.executable, "classify_nsfw.py", *write_model(tmp_path, small_net()), PICTURE)
    expected = "classify_nsfw: error: stdout: it is closed; name a file with --output\n"
    assert (done.returncode, done.stderr) == (Status.ERROR, expected)


def test_a_closed_stdin_has_its_row(tmp_path: Path) -> None:
    done = shell('"$@" <&-', sys.executable, "classify_nsfw.py", *write_model(tmp_path, small_net()), "-")
    assert (done.returncode, done.stderr) == (Status.FAILED, "classify_nsfw: -: standard input is closed\n")


@pytest.mark.parametrize("command", [["classify_nsfw.py"], ["-m", "open_nsfw"], ["-m", "open_nsfw", "verify"]])
def test_help_for_a_full_disk_is_one_line(command: list[str]) -> None:
    """Not a traceback."""
    done = shell('"$@" > /dev/full', sys.executable, *command, "--help")
    program = "classify_nsfw" if command[0] != "-m" else " ".join(["open-nsfw", *command[2:]])
    expected = f"{program}: error: stdout: cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (Status.ERROR, expected)


# --- errors ---


def test_a_missing_library_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that mends it."""
    error = ModuleNotFoundError("No module named 'numpy'", name="numpy")

    def run() -> int:
        raise error

    assert guarded("open-nsfw verify", [], run) == Status.ERROR
    assert capsys.readouterr().err == f"open-nsfw verify: error: {broken_library(error)}\n"


def test_a_fault_of_this_package_is_no_missing_library() -> None:
    """No command mends it, so it is shown as it is."""

    def run() -> int:
        raise ImportError("cannot import name 'x'", name="open_nsfw.cores")

    with pytest.raises(ImportError, match="^cannot import name 'x'$"):
        guarded("classify_nsfw", [], run)


def test_too_little_memory_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        raise MemoryError

    assert guarded("classify_nsfw", [], run) == Status.ERROR
    assert capsys.readouterr().err.startswith("classify_nsfw: error: there is not enough memory")


@pytest.mark.parametrize("debug", [False, True])
def test_debug_shows_the_traceback_too(debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Of every command, before the line that ends it."""

    def run() -> int:
        raise UsageError("it makes no sense")

    assert guarded("open-nsfw x", ["--debug"] if debug else [], run) == Status.ERROR
    *before, last = capsys.readouterr().err.splitlines()
    assert last == "open-nsfw x: error: it makes no sense"
    assert before[:1] == (["Traceback (most recent call last):"] if debug else [])


def test_a_signal_before_the_scan_listens(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        raise KeyboardInterrupt

    assert guarded("classify_nsfw", [], run) == Status.INTERRUPTED == 130
    assert capsys.readouterr() == ("", "")


BARE = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(','))); "


@pytest.mark.parametrize("library", ["numpy", "onnxruntime"])
def test_the_command_without_its_libraries(library: str) -> None:
    """As with a Python that nothing was installed for."""
    code = f"{BARE}import classify_nsfw; sys.exit(classify_nsfw.command())"
    line = [sys.executable, "-c", code, library, "--engine", "onnxruntime", str(PICTURE)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (Status.ERROR, "")
    assert done.stderr.startswith("classify_nsfw: error: ") and done.stderr.count("\n") == 1
    assert library in done.stderr and (" install " in done.stderr or "/activate" in done.stderr)


@pytest.mark.parametrize("verb", ["verify", "quantize-ranges", "calibrate"])
def test_verbs_without_numpy(verb: str) -> None:
    code = f"{BARE}from open_nsfw import __main__; sys.exit(__main__.command())"
    line = [sys.executable, "-c", code, "numpy", verb, "--help"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (Status.ERROR, "")
    assert done.stderr.startswith(f"open-nsfw {verb}: error: numpy ") and done.stderr.count("\n") == 1


def test_url_as_an_input(tmp_path: Path) -> None:
    """Nothing is fetched; one line says what to do, and the other inputs have their scores."""
    model = write_model(tmp_path, small_net())
    for url in ("https://example.org/a.jpg", "http://example.org/a?b=[c]", "s3://bucket/*.jpg", "file:///a.jpg"):
        result = run_command(*model, url, PICTURE)
        assert result.errors == [
            f"classify_nsfw: {url}: this is a URL, and nothing is downloaded: save it as a file and name that"
        ]
        assert (result.status, result.counts) == (Status.FAILED, (1, 1))


def ended(status: int, before: str = "", line: str = '"$@"') -> subprocess.CompletedProcess[str]:
    """A process that prints something and calls `end`."""
    code = f"import atexit, sys; from open_nsfw.cli.process import end\n{before}\nprint('row'); sys.exit(end({status}))"
    return shell(line, sys.executable, "-c", code)


def test_the_end_of_the_process() -> None:
    """At once, with what was printed and the exit status; nothing that Python does at its own end."""
    done = ended(3, "atexit.register(print, 'taken apart')")
    assert (done.returncode, done.stdout, done.stderr) == (3, "row\n", "")


@pytest.mark.parametrize("before", ["sys.stdout = None", "sys.stderr = None", "sys.stderr.close()"])
def test_the_end_of_the_process_without_a_stream(before: str) -> None:
    """The status counts."""
    assert ended(1, before).returncode == 1


def test_the_end_of_the_process_on_a_full_disk() -> None:
    """Python says so, as of any program, and its status is not one of success."""
    done = ended(0, line='env -u PYTHONUNBUFFERED "$@" >/dev/full')
    assert done.returncode == 120 and "No space left on device" in done.stderr


@pytest.mark.parametrize("nobody", ["2>/dev/full", "2>&1 >/dev/null | true"])
def test_work_goes_on_where_nobody_reads_what_is_told(nobody: str, tmp_path: Path) -> None:
    """Every picture has its row, whether the disk behind stderr is full or its reader has gone; so it is with verbs."""
    rows, status = tmp_path / "rows.jsonl", tmp_path / "status"
    pictures = [*[MISSING] * 20, PICTURE, OTHER_PICTURE]
    options = [*write_model(tmp_path, small_net()), "--engine", "onnxruntime", "--output", rows, "--format", "jsonl"]
    line = f'{{ status=$1; shift; "$@"; echo $? > "$status"; }} {nobody}'
    done = shell(line, status, sys.executable, "classify_nsfw.py", *options, *pictures)
    assert (done.stderr, int(status.read_text())) == ("", Status.FAILED)
    assert len(rows.read_text().splitlines()) == len(pictures)
    done = shell(line, status, sys.executable, "-m", "open_nsfw", "build-net", "--output", tmp_path / "net")
    assert (done.stderr, int(status.read_text())) == ("", Status.DONE)


def test_an_output_where_the_working_folder_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    line = f'cd "{tmp_path}/gone" && rmdir ../gone && "$@"'
    done = shell(line, sys.executable, ROOT / "classify_nsfw.py", PICTURE, "--output", "rows.csv")
    expected = "classify_nsfw: error: rows.csv: cannot be written: No such file or directory\n"
    assert (done.returncode, done.stdout, done.stderr) == (Status.ERROR, "", expected)
