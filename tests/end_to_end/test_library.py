"""The library in five lines: every kind of input gives one score, and failures are told."""

from __future__ import annotations

import asyncio
import copy
import io
import math
import os
import pickle
import pydoc
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import open_nsfw
from open_nsfw import Classifier, InputError, Limits, ModelError, Score, load_engine, load_model
from tests.tools.helpers import (
    MODEL_DEF,
    OTHER_PICTURE,
    PICTURE,
    ROOT,
    WEIGHTS,
    caffemodel,
    engines,
    ones,
    png_header,
    run_command,
    small_net,
    write_model,
)

SCORE = 0.4993993342  # of PICTURE, by real Caffe


class NothingToRead:
    """A file in the way of asynchronous or non-blocking ones, whose read() gives something else than bytes."""

    def read(self, size: int) -> None:
        """Nothing."""


@pytest.fixture(scope="module", params=engines())
def model(request: pytest.FixtureRequest) -> Classifier:
    return load_model(engine=request.param)


# --- score ------------------------------------------------------------------------------------------------------------


def test_every_kind_of_input_gives_the_same_bits(model: Classifier) -> None:
    data = PICTURE.read_bytes()
    with Image.open(PICTURE) as image, open(PICTURE, "rb") as file:
        sources = {
            "path": PICTURE,
            "str": str(PICTURE),
            "bytes": data,
            "bytearray": bytearray(data),
            "memoryview": memoryview(data),
            "BytesIO": io.BytesIO(data),
            "file": file,
            "Pillow image": image,
            "array": np.asarray(image.convert("RGB")),
            "array with negative strides": np.asarray(image.convert("RGB"))[::-1][::-1],
            "Fortran array": np.asfortranarray(np.asarray(image.convert("RGB"))),
        }
        scores = {name: model.score(source) for name, source in sources.items()}
    assert set(scores.values()) == {scores["path"]}
    assert scores["path"] == pytest.approx(SCORE, abs=1e-5)


def test_the_command_gives_the_librarys_score(model: Classifier) -> None:
    assert run_command("--engine", model.engine.name, PICTURE).out == f"NSFW score: {model.score(PICTURE):.12g}\n"


def test_a_score_is_a_float(model: Classifier) -> None:
    score = model.score(PICTURE)
    assert isinstance(score, float) and isinstance(score, Score)
    assert score.error is None
    assert 0 <= score <= 1 and f"{score:.3f}" == "0.499"
    assert type(score + 0) is float


def test_a_pillow_image_is_left_as_it_was(model: Classifier) -> None:
    with Image.open(OTHER_PICTURE) as image:
        image.load()
        before = image.mode, image.size, image.tobytes(), dict(image.info)
        first, second = model.score(image), model.score(image)
        assert (image.mode, image.size, image.tobytes(), dict(image.info)) == before
    assert first == second == model.score(OTHER_PICTURE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I", "F", "HSV"])
def test_a_pillow_image_of_any_mode(model: Classifier, mode: str) -> None:
    with Image.open(PICTURE) as image:
        converted = image.convert("L").convert(mode) if mode in ("I", "F") else image.convert("RGB").convert(mode)
    assert model.score(converted) == model.score(converted.convert("RGB"))


def test_a_file_is_read_from_where_it_stands(model: Classifier) -> None:
    file = io.BytesIO(b"12345" + PICTURE.read_bytes())
    file.seek(5)
    assert model.score(file) == model.score(PICTURE)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "a path, bytes, a binary file, a Pillow image or a uint8 array is needed, not NoneType"),
        (3, "a path, bytes, a binary file, a Pillow image or a uint8 array is needed, not int"),
        ([1, 2], "a path, bytes, a binary file, a Pillow image or a uint8 array is needed, not list"),
        (np.zeros((8, 8, 3)), "an array of dtype uint8 (0..255) is needed, this one is float64"),
        (np.zeros((8, 8, 3), bool), "an array of dtype uint8 (0..255) is needed, this one is bool"),
        (io.StringIO("text"), "a binary file is needed, this one gives text; open it with mode 'rb'"),
        (NothingToRead(), "a binary file is needed, whose read() gives bytes; this one gives NoneType"),
    ],
)
def test_type_errors(model: Classifier, source: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        model.score(source)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (8, 8, 1), (1, 8, 8, 3), (0, 8, 3), (8, 0, 3), (3,), ()])
def test_value_errors(model: Classifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as caught:
        model.score(np.zeros(shape, np.uint8))
    assert str(caught.value) == f"an RGB array of shape (H, W, 3) is needed, this one is {shape}"


BAD = {
    "not-found": ("no/such.jpg", "there is no such file"),
    "is-a-directory": (ROOT, "this is a folder, not a picture"),
    "empty": (b"", "the file is empty"),
    "too-many-pixels": (
        png_header(60000, 60000),
        "60000 x 60000 pixels, more than the limit of 178,956,970 (--max-pixels)",
    ),
    "not-a-picture": (
        b"hello",
        "not a picture in a format that is read (JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, or HEIF with its extra); "
        "it looks like text",
    ),
}


@pytest.mark.parametrize("code", BAD)
def test_input_errors(model: Classifier, code: str) -> None:
    source, message = BAD[code]
    with pytest.raises(InputError) as caught:
        model.score(source)
    assert (caught.value.code, caught.value.reason) == (code, message)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_limits_are_kept() -> None:
    tight = load_model(engine="onnxruntime", limits=Limits(max_pixels=256 * 256, max_bytes=PICTURE.stat().st_size))
    assert tight.score(PICTURE) == pytest.approx(SCORE, abs=1e-5)
    for limits, code in (
        (Limits(max_pixels=256 * 256 - 1), "too-many-pixels"),
        (Limits(max_bytes=1000), "too-many-bytes"),
    ):
        tight.limits = limits
        for source in (PICTURE, PICTURE.read_bytes(), io.BytesIO(PICTURE.read_bytes())):
            with pytest.raises(InputError) as caught:
                tight.score(source)
            assert caught.value.code == code


def test_limits_may_be_wider_than_pillows() -> None:
    """Past its own limit Pillow would refuse; what is asked for here is that the file's data is looked at."""
    wide = load_model(engine="onnxruntime", limits=Limits(max_pixels=10**9))
    with pytest.raises(InputError) as caught:
        wide.score(png_header(16000, 16000))
    assert caught.value.code == "truncated"


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_no_warning_within_the_limits() -> None:
    with pytest.raises(InputError) as caught:
        load_model(engine="onnxruntime").score(png_header(13000, 13000))
    assert caught.value.code == "truncated"


# --- scores -----------------------------------------------------------------------------------------------------------


def test_scores_streams(model: Classifier) -> None:
    taken: list[int] = []

    def many() -> Iterator[Path]:
        for _ in range(50):
            taken.append(1)
            yield PICTURE

    stream = model.scores(many())
    assert taken == []  # nothing is read before it is asked for
    assert next(stream) == model.score(PICTURE)
    assert len(taken) <= 4
    stream.close()  # type: ignore[attr-defined]


def test_a_bad_picture_costs_no_other_its_score(model: Classifier) -> None:
    first, bad, last = model.scores([PICTURE, "no/such.jpg", OTHER_PICTURE])
    assert (first, last) == (model.score(PICTURE), model.score(OTHER_PICTURE))
    assert first.error is None and last.error is None
    assert math.isnan(bad)
    assert bad.error is not None
    assert (bad.error.code, str(bad.error)) == ("not-found", "no/such.jpg: there is no such file")


def test_scores_of_nothing(model: Classifier) -> None:
    assert list(model.scores([])) == []


def test_what_is_no_picture_at_all_is_the_callers_mistake(model: Classifier) -> None:
    with pytest.raises(TypeError):
        list(model.scores([3]))  # type: ignore[list-item]


def test_scores_travel_between_processes() -> None:
    error = InputError("truncated", "it ends early")
    score = pickle.loads(pickle.dumps(Score(float("nan"), error)))
    assert math.isnan(score) and score.error.code == "truncated" and str(score.error) == "it ends early"
    assert pickle.loads(pickle.dumps(Score(0.25))) == 0.25


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_explained_scores_travel_with_their_explanation(protocol: int) -> None:
    score = open_nsfw.Explainer(load_model(engine="onnxruntime")).score(PICTURE)
    for copied in (pickle.loads(pickle.dumps(score, protocol)), copy.copy(score), copy.deepcopy(score)):
        assert type(copied) is type(score) and copied == score and copied.error is None
        assert np.array_equal(copied.explanation.cells, score.explanation.cells)  # type: ignore[attr-defined]


@pytest.mark.parametrize("threads", [0, -1, 10**6])
def test_threads_that_make_no_sense(threads: int) -> None:
    """A million would be started, one after the other."""
    with pytest.raises(open_nsfw.UsageError) as caught:
        load_model(threads=threads)
    assert str(caught.value) == f"{threads} threads: 1 to 1024 are needed, or None for one a core"


@pytest.mark.parametrize(
    "picture", ["a.jpg", b"data", bytearray(b"x"), Path("a.jpg"), io.BytesIO(b"x"), np.zeros((8, 8, 3), np.uint8), 3]
)
def test_one_picture_in_place_of_several(model: Classifier, picture: object) -> None:
    """Told at once: a string would be scored letter by letter."""
    with pytest.raises(TypeError) as caught:
        model.scores(picture)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"several pictures are needed, not one {type(picture).__name__}; use score(), or put it into a list"
    )


def test_errors_name_the_file(model: Classifier, tmp_path: Path) -> None:
    """Where a file was named; the code and the reason stand by themselves, too. They travel between processes."""
    path = tmp_path / "text\n.jpg"
    path.write_text("no picture")
    for source in (path, str(path)):
        with pytest.raises(InputError) as caught:
            model.score(source)
        error = pickle.loads(pickle.dumps(caught.value))
        assert (error.code, error.path) == ("not-a-picture", str(path))
        assert error.reason.startswith("not a picture in a format that is read (")
        assert str(error) == str(caught.value) == f"{tmp_path}/text\\n.jpg: {error.reason}"
    with pytest.raises(InputError) as caught:
        model.score(b"text")
    assert caught.value.path is None and str(caught.value) == caught.value.reason


def test_several_threads_may_use_one_model(model: Classifier) -> None:
    """Each picture gets its own score, whatever other threads score at the same time."""
    pictures = sorted(PICTURE.parent.glob("*.jpg")) * 2
    alone = [model.score(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(model.score, pictures)) == alone
        halves = list(pool.map(lambda part: list(model.scores(part)), (pictures[:18], pictures[18:])))
    assert halves == [alone[:18], alone[18:]]


def test_an_event_loop_goes_on_while_a_picture_is_scored(model: Classifier) -> None:
    """As docs/library.md has it."""

    async def scores() -> list[Score]:
        return list(await asyncio.gather(*(asyncio.to_thread(model.score, each) for each in (PICTURE, OTHER_PICTURE))))

    assert asyncio.run(scores()) == [model.score(PICTURE), model.score(OTHER_PICTURE)]


# --- models that give no score ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", engines())
def test_load_engine_takes_nets_that_a_classifier_does_not(name: str, tmp_path: Path) -> None:
    _, model_def, _, weights = write_model(tmp_path, small_net(top="score"))
    assert load_engine(model_def, weights, engine=name).output_name == "score"
    with pytest.raises(ModelError) as caught:
        load_model(model_def, weights, engine=name)
    assert 'the net makes no blob "prob" to read the score from; its output is "score"' in str(caught.value)


@pytest.mark.parametrize("name", engines())
def test_more_classes_than_two(name: str, tmp_path: Path) -> None:
    weights = caffemodel({"c": [ones(5, 3, 1, 1) * 0, np.arange(5.0)]})
    _, model_def, _, path = write_model(tmp_path, small_net(outputs=5), weights)
    expected = np.exp(np.arange(5.0)) / np.exp(np.arange(5.0)).sum()
    assert load_model(model_def, path, engine=name).score(PICTURE) == pytest.approx(expected[1], abs=1e-6)


def test_model_files_by_name_are_the_packaged_ones() -> None:
    assert load_model(MODEL_DEF, WEIGHTS).engine.model_hash == load_model().engine.model_hash


# --- the package ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", open_nsfw.__all__)
def test_public_names(name: str) -> None:
    assert getattr(open_nsfw, name) is not None


def test_type_checkers_know_the_api(tmp_path: Path) -> None:
    """All kinds of pictures are taken, and a name that is not there is an error, not anything."""
    code = tmp_path / "caller.py"
    code.write_text(
        "import io\nimport pathlib\nimport open_nsfw\nmodel = open_nsfw.load_model()\n"
        "model.scores(['a.jpg'])\nmodel.score(bytearray(1))\nmodel.score(memoryview(b'1'))\nmodel.score(io.BytesIO(b'1'))\n"
        "open_nsfw.score_batch([bytearray(1), pathlib.Path('a.jpg'), 'a.jpg'], model)\n"
        "error: type[Exception] = open_nsfw.UsageError\n"
        "open_nsfw.nonesuch\n"
    )
    line = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path), str(code)]
    environ = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if "caller.py" in line]
    assert errors == ['caller.py:11: error: Module has no attribute "nonesuch"  [attr-defined]'], done.stdout


def test_no_other_name() -> None:
    with pytest.raises(AttributeError) as caught:
        open_nsfw.nonesuch  # noqa: B018
    assert str(caught.value) == "module 'open_nsfw' has no attribute 'nonesuch'"
    assert "score" not in dir(open_nsfw)


def test_dir_and_help_show_the_api() -> None:
    """Though nothing of it is imported before it is asked for."""
    assert set(open_nsfw.__all__) <= set(dir(open_nsfw))
    assert all(name in open_nsfw.__all__ or name.startswith("__") for name in dir(open_nsfw))
    # Newer Pythons break long lines behind brackets.
    text = re.sub(r"\(\s+", "(", pydoc.plain(pydoc.render_doc(open_nsfw)))
    for shown in (
        "class Classifier(",
        "class InputError(",
        "load_model(model_def:",
        "score_batch(pictures:",
        "scan_rows(",
    ):
        assert shown in text


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, open_nsfw\n"
        "heavy = {'numpy', 'onnxruntime', 'onnx', 'PIL', 'google.protobuf', 'caffe', 'skimage'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "open_nsfw.load_model, open_nsfw.Limits\n"
        "print(sorted(heavy & set(sys.modules) - {'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
