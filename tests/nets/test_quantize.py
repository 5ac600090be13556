"""The int8 network: its graph, its nearness, its ranges file, its cache."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from open_nsfw.errors import ModelError, UsageError
from open_nsfw.nets import ranges as ranges_file
from open_nsfw.nets.quantize import FloatGraph, quantize, scale_and_zero
from open_nsfw.nets.ranges import Margin, Ranges, TensorRange, read_ranges
from open_nsfw.nets.rounding import rounded_each, weight_scales
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring import int8_engine as quick_engine
from open_nsfw.scoring import margins
from open_nsfw.scoring import measure_ranges as ranges
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.escalation import THRESHOLDS, Margins, escalates
from open_nsfw.scoring.fast import FastClassifier
from open_nsfw.scoring.int8_engine import Int8Engine, float_model, has_vnni, logits, quantized_model
from open_nsfw.scoring.model_files import PACKAGED_SIDE, ModelFiles, find_model_files, known_side
from open_nsfw.scoring.onnx_engine import CONVERTER_VERSION, OnnxRuntimeEngine, import_onnxruntime
from tests.tools.helpers import DATA, MODEL_DEF, NETS, ROOT, WEIGHTS, caffemodel, small_net, write_model

PACKAGED = ROOT / "nsfw_model" / "quantization.json"
PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """The packaged model."""
    return find_model_files(MODEL_DEF, WEIGHTS)


@pytest.fixture(scope="module")
def exact(files: ModelFiles) -> OnnxRuntimeEngine:
    """In float32."""
    return OnnxRuntimeEngine(files, threads=1)


@pytest.fixture(scope="module")
def int8(files: ModelFiles) -> Int8Engine:
    """The engine under test."""
    return Int8Engine(files, threads=1)


def blobs() -> np.ndarray:
    """The pushed pictures as inputs. The ranges saw other files, some from the same photos."""
    return to_blob(np.stack([crop(resized_pixels(path), 224, 224) for path in PUSHED]))


# --------------------------------------------------------------------------------------------------------- the network


def test_logits_are_near_over_the_whole_range(exact: OnnxRuntimeEngine, int8: Int8Engine) -> None:
    """Measured: 0.18 in the median and 0.56 at worst; 99 % of the held-back pictures differ by less than 0.65."""
    blob = blobs()
    difference = np.abs(logits(int8.forward(blob)) - logits(exact.forward(blob)))
    assert difference.max() < 0.65
    assert np.median(difference) < 0.2
    assert difference.max() < int8.ranges.full.logits


def test_batches_and_single_inputs_agree(int8: Int8Engine) -> None:
    """To the last bit: which pictures happened to share a batch must not show in a score."""
    blob = blobs()
    one_by_one = np.concatenate([int8.forward(each[np.newaxis]) for each in blob])
    for size in (2, 3, 4, 18):
        batches = [int8.forward(blob[start : start + size]) for start in range(0, len(blob), size)]
        assert np.array_equal(np.concatenate(batches), one_by_one)
    assert int8.forward(blob[:0]).shape == (0, 2)


def test_onnxruntime_computes_in_integers(files: ModelFiles, tmp_path: Path) -> None:
    """Every convolution and every sum is fused to an integer kernel."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    model = quantized_model(files, *read_ranges(files))
    data = model.read_bytes() if isinstance(model, Path) else model
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(str(tmp_path / "optimized.onnx")).graph.node)
    assert (kinds["QLinearConv"], kinds["QLinearAdd"], kinds["Conv"]) == (53, 16, 0)


def test_what_is_fast_on_which_processor(tmp_path: Path) -> None:
    """Only where the processor says VNNI may ONNX Runtime use the kernels that could overflow."""
    with_it, without = tmp_path / "with", tmp_path / "without"
    with_it.write_text("flags\t\t: fpu avx2 avx512f avx512_vnni\n")
    without.write_text("flags\t\t: fpu avx2 avx512f\n")
    assert has_vnni(with_it)
    assert not has_vnni(without)
    assert not has_vnni(tmp_path / "missing")


# ------------------------------------------------------------------------------------------------------------ building


def test_weights_and_scales_by_hand() -> None:
    """Literal values: a channel's largest weight is 127 steps, a zero channel gives no division by zero."""
    weights = np.array([[1.27, -0.635, 0.004], [0, 0, 0]], np.float32)
    scales = weight_scales(weights)
    rounded = rounded_each(weights, scales)
    assert rounded.tolist() == [[127, -64, 0], [0, 0, 0]] or rounded.tolist() == [[127, -63, 0], [0, 0, 0]]
    assert scales[0] == pytest.approx(0.01)
    assert scale_and_zero(0, 255) == (np.float32(1), 0)
    assert scale_and_zero(-127.5, 127.5) == (np.float32(1), 128)
    assert scale_and_zero(5, 10)[1] == 0  # 0 is always among the levels
    assert scale_and_zero(0, 0)[0] > 0


def test_balancing_changes_no_result(files: ModelFiles, exact: OnnxRuntimeEngine) -> None:
    """Factors come out again: the balanced float32 network computes the same."""
    graph = FloatGraph(float_model(files))
    groups = graph.groups()
    assert len(groups) == 37  # the stem, 4 stages, and two inside each of 16 blocks
    random = np.random.default_rng(1)
    factors = {
        group.name: tuple(random.uniform(0.2, 5, len(graph.values[group.producers[0].input[1]]))) for group in groups
    }
    balanced = graph.balanced(factors)
    session = quick_engine.int8_session(balanced.serialized(balanced.values), 1)
    blob = blobs()[:4]
    assert np.abs(session.run(None, {"data": blob})[0] - exact.forward(blob)).max() < 1e-5


MARGIN = Margin(1.0, 1, 0.1, 0.2, 0.3, 0.4, "worst.jpg", 1, 0.3)


def make_ranges(model: bytes, digest: str = "") -> Ranges:
    """Ranges of any float32 model, measured on noise."""
    graph = FloatGraph(model)
    if not graph.points:  # a net without convolutions stays as it is
        return Ranges(digest, CONVERTER_VERSION, MARGIN, None, {}, {})
    session = quick_engine.int8_session(graph.with_outputs(ranges.computed_points(graph)), 1)
    shape = session.get_inputs()[0].shape[1:]
    blob = np.random.default_rng(0).normal(0, 1, (8, *shape)).astype(np.float32)
    tensors = {}
    for name, values in ranges.point_values(graph, session, blob).items():
        mean = values.mean(axis=(0, *range(2, values.ndim)))
        tensors[name] = TensorRange(float(values.min()), float(values.max()), tuple(map(float, mean)))
    return Ranges(digest, CONVERTER_VERSION, MARGIN, None, tensors, {})


@pytest.mark.parametrize("prototxt", sorted(NETS.glob("*.prototxt")), ids=lambda path: path.stem)
def test_nets_of_every_layer_can_be_quantized(prototxt: Path) -> None:
    """Whatever the structure, the int8 model is valid, and not far from the float32 one."""
    model = float_model(find_model_files(prototxt, prototxt.with_suffix(".caffemodel")))
    quantized = quantize(model, make_ranges(model))
    sessions = [quick_engine.int8_session(each, 1) for each in (model, quantized)]
    name, shape = sessions[0].get_inputs()[0].name, sessions[0].get_inputs()[0].shape[1:]
    blob = np.random.default_rng(0).normal(0, 1, (8, *shape)).astype(np.float32)
    expected, got = (session.run(None, {name: blob})[0] for session in sessions)
    assert expected.shape == got.shape
    if np.isfinite(expected).all():
        spread = float(expected.max() - expected.min())
        assert np.abs(expected - got).max() <= 0.15 * spread + 1e-6


def test_ranges_that_do_not_fit(files: ModelFiles) -> None:
    """A tensor missing, a mean or factor of another size: one line that says which and what to do."""
    known, _ = read_ranges(files)
    model = float_model(files)
    name = next(iter(known.tensors))
    tensors = {each: value for each, value in known.tensors.items() if each != name}
    with pytest.raises(ModelError, match=f'^the ranges have no tensor "{name}"; make ranges for this model: '):
        quantize(model, replace(known, tensors=tensors))
    short = {**known.tensors, name: replace(known.tensors[name], mean=(0.0,))}
    with pytest.raises(ModelError, match=f'^the ranges have 1 values for the tensor "{name}" of 3 channels; '):
        quantize(model, replace(known, tensors=short))
    group = next(iter(known.factors))
    with pytest.raises(ModelError, match=f'^the ranges have 2 values for the tensor "{group}" of '):
        quantize(model, replace(known, factors={group: (1.0, 1.0)}))


def test_a_network_that_is_far_off_is_not_used(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of nonsense, or a processor that computes int8 wrongly, are noticed when the model is made."""
    known, _ = read_ranges(files)
    wrong = {name: replace(value, high=value.high / 20) for name, value in known.tensors.items()}
    with pytest.raises(ModelError) as error:
        quantized_model(files, replace(known, tensors=wrong), b"nonsense")
    assert str(error.value).startswith(
        f"{files.pretrained_model}: the int8 net that the ranges in {known.source} make of it is off by "
    )
    assert str(error.value).endswith("do without --fast, or make ranges of other pictures (open-nsfw quantize-ranges)")
    monkeypatch.setattr(quick_engine, "CONVERTER_VERSION", CONVERTER_VERSION + 1)
    with pytest.raises(
        ModelError, match=r"quantization\.json: the ranges are of version 1 of the converter, this is version 2; "
    ):
        quantized_model(files, known, b"another version")


def test_the_cache_is_keyed_by_the_ranges(files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ranges file is another model; the same one is not made twice, nor is onnx imported for it."""
    made: list[Ranges] = []
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path))
    monkeypatch.setattr(quick_engine, "quantized", lambda files, known: made.append(known) or b"model")
    known, content = read_ranges(files)
    first = quantized_model(files, known, content)
    assert isinstance(first, Path) and first.read_bytes() == b"model"
    assert quantized_model(files, known, content) == first
    assert quantized_model(files, known, content + b" ") != first
    assert len(made) == 2


# ----------------------------------------------------------------------------------------------------- the ranges file


def test_the_packaged_ranges(files: ModelFiles) -> None:
    """For the packaged model, small, and with its margin's evidence."""
    known, content = read_ranges(files)
    assert content == PACKAGED.read_bytes()
    assert len(content) < 200_000
    assert known.model == files.digest
    assert known.reduced is not None
    for margin, largest in ((known.full, 2.0), (known.reduced, 2.0)):
        assert margin.pictures >= 400 and margin.near >= 200
        assert 0 < margin.median < margin.p99 < margin.p99_9 <= margin.worst
        assert margin.reach < margin.logits < largest
    assert set(known.tensors) == set(FloatGraph(float_model(files)).points)


def test_written_and_read_back(files: ModelFiles, tmp_path: Path) -> None:
    """Nothing is lost."""
    known, content = read_ranges(files)
    assert known.to_json().encode() == content
    (tmp_path / "again.json").write_text(known.to_json())
    assert read_ranges(files, tmp_path / "again.json")[0] == known


def _changed(**changes: Any) -> str:
    return json.dumps({**json.loads(PACKAGED.read_text()), **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a ranges file (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("[]", "not a ranges file (list indices must be integers or slices, not str)"),
        ("{}", "not a ranges file (no 'format')"),
        (_changed(format=2), "not a ranges file (format 2; this release reads 1)"),
        (_changed(full={**asdict(MARGIN), "logits": -1}), "not a ranges file (-1 is no possible value)"),
        (_changed(reduced={**asdict(MARGIN), "worst": float("nan")}), "not a ranges file (nan is no possible value)"),
        (_changed(full={**asdict(MARGIN), "reach": 10**400}), "not a ranges file (a number is too large)"),
        (_changed(full={**asdict(MARGIN), "reach": True}), "not a ranges file (true is not a number)"),
        (_changed(model=3), "not a ranges file (model or converter is not what it should be)"),
        (_changed(converter=1.5), "not a ranges file (model or converter is not what it should be)"),
        (
            _changed(tensors={"x": {"low": -1e300, "high": 1.0, "mean": []}}),
            "not a ranges file (-1e+300 is no possible value)",
        ),
        (
            _changed(tensors={"x": {"low": -1.0, "high": 1.0, "mean": "123"}}),
            'not a ranges file ("1" is not a number)',
        ),
        ("[" * 100_000, "not a ranges file (it is nested too deeply)"),
        (_changed(full=None), "not a ranges file (no margin)"),
        (_changed(factors={"x": [0]}), "not a ranges file (0 is no possible value)"),
    ],
)
def test_broken_ranges_files(files: ModelFiles, tmp_path: Path, content: str, message: str) -> None:
    """One line: which file, what is wrong, what to do."""
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(ModelError) as error:
        read_ranges(files, path)
    if sys.version_info >= (3, 13) and content == "{":
        message = message.replace("Expecting property name enclosed in double quotes", "Expecting property name")
        assert str(error.value).startswith(f"{path}: not a ranges file (Expecting property name")
        return
    assert str(error.value) == f"{path}: {message}; {ranges_file.REMEDY}"


def test_missing_ranges_and_another_models(files: ModelFiles, tmp_path: Path) -> None:
    """A model of one's own has no packaged ranges."""
    with pytest.raises(ModelError) as error:
        read_ranges(files, tmp_path / "none.json")
    assert (
        str(error.value) == f"{tmp_path / 'none.json'}: cannot be read: No such file or directory; {ranges_file.REMEDY}"
    )
    other = find_model_files(NETS / "convolution.prototxt", NETS / "convolution.caffemodel")
    with pytest.raises(ModelError) as error:
        Int8Engine(other)
    assert str(error.value) == (
        f"{PACKAGED}: these ranges are of the model {files.digest[:12]}, not of {other.short_hash} "
        f"({other.pretrained_model}); {ranges_file.REMEDY}"
    )


def test_margins_hold_where_they_were_measured(files: ModelFiles) -> None:
    """A threshold beyond 0.02 or 0.98 gets the worst difference of all pictures, with the same headroom."""
    known = make_ranges(float_model(files))
    assert known.margins_for((0.02, 0.98)) == Margins(1.0, float("inf"))
    far = replace(known, full=replace(MARGIN, worst=2.0), reduced=replace(MARGIN, logits=3.0))
    assert far.margins_for((0.5,)) == Margins(1.0, 3.0)
    assert far.margins_for((0.01, 0.5)) == Margins(2.5, 3.0)
    assert far.margins_for((0.981,)) == Margins(2.5, 3.0)


# ---------------------------------------------------------------------------------------------------- quantize-ranges


@pytest.mark.parametrize(
    ("exact", "quick", "reach"),
    [
        (-1.0, -1.5, 0.5),  # any threshold between them
        (-9.95, -13.2, 0.0),  # far below every threshold of 0.02 to 0.98
        (-3.0, -6.0, 3.0),
        (-5.0, -3.0, ranges_file.NEAR - 3.0),  # the lowest threshold is nearer to the quick score than the exact one is
        (5.0, -5.0, ranges_file.NEAR + 5.0),
        (4.5, 9.0, 0.0),
    ],
)
def test_what_can_be_decided_wrongly(exact: float, quick: float, reach: float) -> None:
    """By hand."""
    assert margins.Difference("", exact, quick, False).reach == pytest.approx(reach)


def test_margins_by_kind(files: ModelFiles) -> None:
    """JPEG decoded at reduced size have a margin of their own; too few of them give none, too few others an error."""
    known = make_ranges(float_model(files))
    full = [margins.Difference(f"{index}.jpg", 0.0, index / 100, False) for index in range(20)]
    reduced = [margins.Difference(f"{index}.jpg", 0.0, -index / 10, True) for index in range(20)]
    both = margins.with_margins(known, full + reduced)
    assert both.reduced is not None
    assert (both.full.reach, both.full.logits, both.full.worst_picture) == (0.19, 0.24, "19.jpg")
    assert (both.reduced.reach, both.reduced.logits, both.reduced.pictures) == (1.9, 2.38, 20)
    assert margins.with_margins(known, full + reduced[:19]).reduced is None
    with pytest.raises(UsageError) as error:
        margins.with_margins(known, full[:19] + reduced)
    assert str(error.value) == ("19 pictures to measure the margin on that are not large JPEG; at least 20 are needed")


def test_ranges_of_a_folder(files: ModelFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verb, on the packaged model: half of the folder for the ranges, half for the margin, and the file is used."""
    folder, output = tmp_path / "pictures", tmp_path / "ranges.json"
    folder.mkdir()
    for index, path in enumerate(sorted((DATA / "held_back").glob("*.jpg"))[:60]):
        (folder / f"{index:03}.jpg").write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    assert ranges.main([str(folder), "--output", str(output)]) == 0
    out, err = capsys.readouterr()
    known, _ = read_ranges(files, output)
    assert out == margins.describe(known) + "\n"
    assert out.startswith(f"decoded in full: margin {known.full.logits:g} logits; over 26 held-back pictures (")
    assert out.splitlines()[1] == (
        "JPEG decoded at reduced size: no margin, for want of 20 such pictures; all are scored exactly"
    )
    assert f"{folder / 'broken.jpg'} is left out: a damaged JPEG file" in err
    assert known.full.reach < known.full.logits
    assert known.reduced is None
    assert Int8Engine(files, 1, output).ranges == known


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FOLDER"], "the following arguments are required: --output"),
        (["FOLDER/none", "--output", "x"], "FOLDER/none: a folder of pictures is needed"),
        (["FOLDER", "--output", "x"], "FOLDER: too few pictures to measure on (1); at least 40 are needed"),
        (
            ["FOLDER", "--held-back", "FOLDER", "--output", "x"],
            "FOLDER: too few pictures to measure on (1); at least 20 are needed",
        ),
        (["FOLDER", "--output", "FOLDER/no/x"], "FOLDER/no/x: cannot be written: No such file or directory"),
    ],
)
def test_ranges_that_cannot_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit status 2 and one line."""
    (tmp_path / "one.jpg").write_bytes(PUSHED[0].read_bytes())
    status = ranges.main([each.replace("FOLDER", str(tmp_path)) for each in arguments])
    assert status == 2
    expected = f"open-nsfw quantize-ranges: error: {message}".replace("FOLDER", str(tmp_path))
    assert capsys.readouterr().err.splitlines()[-1] == expected


def test_where_no_picture_is_near_a_threshold_the_worst_difference_counts(files: ModelFiles) -> None:
    """None of them can be on the wrong side of anything, which proves nothing."""
    far = [margins.Difference(f"{index}.jpg", -9.0 - index, -9.5 - index, False) for index in range(30)]
    near = [margins.Difference(f"near-{index}.jpg", 0.0, 0.1, False) for index in range(20)]
    assert margins.margin(far + near[:19]).logits == pytest.approx(0.63)
    assert margins.margin(far + near).logits == pytest.approx(0.13)


def test_safe_pictures_alone_are_told(
    exact: OnnxRuntimeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usual folder has none near a threshold. The margin is not 0 for that."""
    classifier = Classifier(exact)
    safe = [path for path in sorted((DATA / "held_back").iterdir()) if classifier.score(path.read_bytes()) < 0.015]
    for path in safe:
        with Image.open(path) as image:
            image.resize((300, 300)).save(tmp_path / f"{path.stem}.png")
    output = tmp_path / "ranges.json"
    assert ranges.main([str(tmp_path), "--output", str(output)]) == 0
    assert "open-nsfw quantize-ranges: only 0 of the held-back pictures have scores of 0.02 to 0.98; " in (
        capsys.readouterr().err
    )
    full = read_ranges(find_model_files(), output)[0].full
    assert full.near == 0 and full.reach == full.worst < full.logits


def test_the_same_content_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies say no more than one picture, and must not be on both sides."""
    for index in range(40):
        (tmp_path / f"{index:02}.jpg").write_bytes(PUSHED[0].read_bytes())
    assert ranges.main([str(tmp_path), "--output", str(tmp_path / "ranges.json")]) == 2
    *left_out, last = capsys.readouterr().err.splitlines()
    assert left_out[0] == (
        f"open-nsfw quantize-ranges: {tmp_path / '02.jpg'} is left out: another picture has the same content"
    )
    assert (
        last
        == f"open-nsfw quantize-ranges: error: {tmp_path}: too few pictures to measure on (1); at least 20 are needed"
    )


@pytest.mark.parametrize(
    ("net", "weights", "message"),
    [
        (small_net(channels=1), np.zeros((2, 1, 1, 1)), "a net that reads pictures of 3 channels is needed"),
        (small_net(height=300, width=300), np.zeros((2, 3, 1, 1)), "the net reads (300, 300) pixels"),
        (small_net(), np.full((2, 3, 1, 1), np.nan), "has values that are not finite"),
    ],
)
def test_nets_that_have_no_ranges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], net: str, weights: np.ndarray, message: str
) -> None:
    """One line and exit status 2."""
    model = write_model(tmp_path, net, caffemodel({"c": [weights.astype(np.float32), np.zeros(2)]}))
    assert ranges.main([str(DATA / "held_back"), "--output", str(tmp_path / "x"), *map(str, model)]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x").exists()


def test_held_back_pictures_are_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a link leads to the same folder."""
    (tmp_path / "pictures").mkdir()
    for index in range(20):
        (tmp_path / "pictures" / f"{index:02}.jpg").write_bytes(PUSHED[0].read_bytes())
    (tmp_path / "others").symlink_to("pictures")
    output = tmp_path / "x"
    arguments = [str(tmp_path / "pictures"), "--held-back", str(tmp_path / "others"), "--output", str(output)]
    assert ranges.main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"open-nsfw quantize-ranges: error: {tmp_path / 'pictures' / '00.jpg'} is in both folders; "
        "--held-back needs other pictures"
    )
    assert not output.exists()


# ----------------------------------------------------------------------------------------------------- fast classifier


def test_the_side_that_is_known_beforehand(int8: Int8Engine) -> None:
    """Decoding begins before the packaged model is loaded."""
    assert int8.input_shape[1:] == (PACKAGED_SIDE, PACKAGED_SIDE)
    assert known_side(None) == PACKAGED_SIDE
    assert known_side(MODEL_DEF) is None


def test_decisions_are_the_exact_ones(exact: OnnxRuntimeEngine, int8: Int8Engine) -> None:
    """Scored twice exactly where the quick score is near a threshold; then, and on every side, the exact answer."""
    margins = int8.ranges.margins_for(THRESHOLDS)
    fast = FastClassifier(Classifier(int8), Classifier(exact), margins)
    twice = 0
    for path in PUSHED:
        data = path.read_bytes()
        reference, (quick_score, reduced) = fast.exact.score(data), fast.quick_score(data)
        score, is_exact = fast.score(data)
        assert is_exact == escalates(quick_score, THRESHOLDS, margins.of(reduced))
        assert score == (reference if is_exact else quick_score)
        assert [score >= threshold for threshold in THRESHOLDS] == [reference >= each for each in THRESHOLDS]
        twice += is_exact
    assert 10 <= twice < len(PUSHED)
