"""Many pictures from Python, through the pipeline."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from open_nsfw import LoadOptions, load_model, load_models, scan_rows, score_batch
from open_nsfw.errors import UsageError
from open_nsfw.scoring.classifier import Classifier
from tests.tools.helpers import DATA, OTHER_PICTURE, PICTURE, ROOT

PUSHED = sorted((DATA / "pushed").glob("*.jpg"))
ANIMATED = DATA / "pictures" / "animated.gif"


@pytest.fixture(scope="module", name="model")
def _model() -> Classifier:
    """The packaged model, as it is best for several pictures at a time."""
    return load_model(engine="onnxruntime", threads=1)


def test_a_batch_has_the_scores_of_single_pictures(model: Classifier) -> None:
    """In order, as a NumPy array; paths, strings and bytes alike."""
    pictures = [*PUSHED, str(OTHER_PICTURE), PICTURE.read_bytes()]
    scores = score_batch(pictures, model, jobs=3)
    assert (scores.dtype, scores.shape) == (np.float64, (20,))
    assert scores.tolist() == [float(model.score(picture)) for picture in pictures]


def test_what_has_no_score_is_nan(model: Classifier) -> None:
    """And costs no other picture its score."""
    scores = score_batch([PICTURE, "no/such.jpg", b"text", PICTURE], model)
    assert np.isnan(scores).tolist() == [False, True, True, False]
    assert score_batch([], model).shape == (0,)


def test_a_batch_is_a_stream(model: Classifier) -> None:
    """A generator is read while pictures are scored, in another thread."""
    threads: set[str] = set()

    def many() -> Iterator[bytes]:
        for _ in range(5):
            threads.add(threading.current_thread().name)
            yield PICTURE.read_bytes()

    assert len(score_batch(many(), model)) == 5
    assert threads == {"reader"}


@pytest.mark.parametrize("picture", [str(PICTURE), PICTURE, b"data", np.zeros((8, 8, 3), np.uint8), io.BytesIO(b"x")])
def test_one_picture_in_place_of_many(picture: object, model: Classifier) -> None:
    """A string is no list of letters."""
    with pytest.raises(TypeError) as error:
        score_batch(picture, model)  # type: ignore[arg-type]
    assert str(error.value) == (
        f"several pictures are needed, not one {type(picture).__name__}; use score(), or put it into a list"
    )


def test_what_is_no_file(model: Classifier) -> None:
    """Decoded pictures have nothing to decode; they are for `Classifier.scores`."""
    with pytest.raises(TypeError) as error:
        score_batch([PICTURE, Image.new("RGB", (8, 8))], model)  # type: ignore[list-item]
    assert str(error.value) == "a path or the bytes of a picture file is needed, not Image"


def test_rows(model: Classifier, tmp_path: Path) -> None:
    """As the command writes them: folders, archives and animations; one that has no score says why."""
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.write(PICTURE, "a.jpg")
        archive.writestr("b.jpg", b"text")
    (tmp_path / "c.gif").write_bytes(ANIMATED.read_bytes())
    rows = list(scan_rows(tmp_path, model, frames="max=2"))
    assert [(row.member, row.kind) for row in rows] == [
        *((None, kind) for kind in ("frame", "frame", "summary")),
        *((name, "picture") for name in ("a.jpg", "b.jpg")),
    ]
    of_archive = {row.member: row for row in rows if row.member is not None}
    assert of_archive["a.jpg"].score == model.score(PICTURE)
    assert of_archive["b.jpg"].score is None
    assert str(of_archive["b.jpg"].error).startswith("not-a-picture: ")
    assert [row.path for row in scan_rows([PICTURE, str(OTHER_PICTURE)], model)] == [str(PICTURE), str(OTHER_PICTURE)]


def test_the_fast_mode() -> None:
    """From models that have it; decisions are those of the exact scores."""
    models = load_models(LoadOptions(engine="onnxruntime", threads=1, fast=True))
    exact = {row.path: row.score for row in scan_rows(DATA / "pushed", models.exact)}
    rows = list(scan_rows(DATA / "pushed", models))
    assert {row.exact for row in rows} == {True, False}
    for row in rows:
        before = exact[row.path]
        assert row.score is not None and before is not None
        assert [row.score >= each for each in (0.2, 0.8)] == [before >= each for each in (0.2, 0.8)]


def test_limits_are_those_of_the_model() -> None:
    """What is too large for one is too large for the other."""
    from open_nsfw import Limits

    small = load_model(engine="onnxruntime", threads=1, limits=Limits(max_bytes=1000))
    (row,) = scan_rows(PICTURE, small)
    assert str(row.error).startswith("too-many-bytes: ")


def test_a_request_that_makes_no_sense() -> None:
    """Told at once, before anything is loaded."""
    with pytest.raises(UsageError):
        scan_rows(PICTURE, frames="some")


def test_leaving_early_ends_the_threads(model: Classifier) -> None:
    """Whoever breaks out of the loop leaves nothing running."""
    before = threading.active_count()
    rows = scan_rows(DATA / "pushed", model)
    assert not math.isnan(next(rows).score or math.nan)
    rows.close()  # type: ignore[attr-defined]
    del rows
    assert threading.active_count() == before


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_below_one(jobs: int, model: Classifier) -> None:
    """Without any, it would wait for ever."""
    for call in (score_batch, scan_rows):
        with pytest.raises(UsageError) as caught:
            call([PICTURE], model, jobs)  # type: ignore[operator]
        assert str(caught.value) == f"{jobs} jobs: at least 1 is needed, or None for one a core"


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_seconds_that_no_frames_are_apart(seconds: float, model: Classifier) -> None:
    with pytest.raises(UsageError) as caught:
        scan_rows(PICTURE, model, every_seconds=seconds)
    assert str(caught.value) == f"every {seconds} seconds: a number above 0 is needed"


def test_arrays_of_paths_are_several_pictures(model: Classifier) -> None:
    """As a column of a table has them."""
    for kind in (str, object):
        paths = np.array([str(PICTURE), str(OTHER_PICTURE)], dtype=kind)
        assert score_batch(paths, model).tolist() == [float(model.score(path)) for path in paths]


@pytest.mark.parametrize("inputs", [b"photos", io.BytesIO(b"x"), 3])
def test_what_names_no_inputs(inputs: object, model: Classifier) -> None:
    """Told at once."""
    with pytest.raises(TypeError, match="^several pictures are needed, not one "):
        scan_rows(inputs, model)  # type: ignore[arg-type]


def test_names_as_bytes(model: Classifier) -> None:
    with pytest.raises(TypeError) as caught:
        list(scan_rows([b"a.jpg"], model))  # type: ignore[list-item]
    assert str(caught.value) == "a path is needed as text, not as bytes; os.fsdecode makes it text"


def program(code: str) -> subprocess.CompletedProcess[str]:
    """A program that has the folder of pushed pictures in its arguments, which are 18."""
    quiet = ["-W", "ignore:This process:DeprecationWarning"]  # Python 3.12 and newer warn of every fork beside threads
    line = [sys.executable, *quiet, "-c", "import sys, os, open_nsfw\n" + code, str(DATA / "pushed")]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_program_may_end_before_its_rows() -> None:
    """Threads that are stopped inside ONNX Runtime would abort it."""
    held = "rows = open_nsfw.scan_rows([sys.argv[1]] * 3)\nprint(next(rows).error)"
    in_a_thread = (
        "import threading, time\nbegun = threading.Event()\n"
        "def work():\n    for row in open_nsfw.scan_rows([sys.argv[1]] * 3): begun.set()\n"
        "threading.Thread(target=work, daemon=True).start()\nbegun.wait()\nprint(None)"
    )
    for code in (held, in_a_thread):
        done = program(code)
        assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


def test_the_end_of_a_fork_leaves_rows_alone() -> None:
    """The decoding processes are its parent's."""
    done = program(
        "rows = open_nsfw.scan_rows([sys.argv[1]] * 3)\nnext(rows)\nchild = os.fork()\n"
        "if child == 0: sys.exit(5)\n"
        "print(os.WEXITSTATUS(os.waitpid(child, 0)[1]), [row.error for row in rows] == [None] * 53)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "5 True\n", "")


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_a_program_without_standard_streams(closed: tuple[int, ...], tmp_path: Path) -> None:
    """As some servers are started: the descriptors of pipes are those of the streams then."""
    done = program(
        f"for number in {closed}: os.close(number)\n"
        f"scores = open_nsfw.score_batch([sys.argv[1] + '/0.950-chelsea.jpg'])\n"
        f"open({str(tmp_path / 'scores')!r}, 'w').write(str(scores.round(2).tolist()))"
    )
    assert (tmp_path / "scores").read_text() == "[0.95]", done.stderr
