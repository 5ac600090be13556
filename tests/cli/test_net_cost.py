"""`open-nsfw net-cost`: the table, its sums, and what strangers' nets come to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw.nets.build import prototxt
from open_nsfw.nets.residual import ResidualNet
from open_nsfw.nets.training import TrainingOptions, train_val
from tests.tools.helpers import MODEL_DEF, ROOT, WEIGHTS, caffemodel, examples, ones

SMALL = """\
name: "small"
input: "data" input_shape { dim: 4 dim: 3 dim: 10 dim: 8 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
TABLE = """\
layer   type          output     parameters  multiply-adds  activation bytes
conv    Convolution   5 x 8 x 6         140          6,720               960
relu    ReLU          5 x 8 x 6           0            240                 0
pool    Pooling       5 x 4 x 3           0            240               240
fc      InnerProduct  2                 122            122                 8
prob    Softmax       2                   0              2                 8
in all  5 layers                        262          7,324             2,176

input: 3 x 10 x 8
parameters: 0.000262 million; as pynetbuilder counts 0.000255 million
multiply-adds: 0.007324 million; as pynetbuilder counts 0.006600 million
activations: 0.0 MiB if all are kept, 0.0 MiB at once if each is given back when nothing reads it any more
"""


TWO_OF_ONE_NAME = """\
input: "data" input_shape { dim: [1, 2] }
layer { name: "a" type: "Scale" bottom: "data" top: "x" }
layer { name: "a" type: "Scale" bottom: "x" top: "prob" }
"""


def net_cost(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "open_nsfw", "net-cost", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Path:
    path = tmp_path / "small.prototxt"
    path.write_text(SMALL)
    return path


def test_the_table_by_hand(small: Path) -> None:
    """135 weights and 5 biases at 48 places; a picture of 240 numbers, 960 bytes; and so on."""
    done = net_cost(small)
    assert (done.returncode, done.stdout, done.stderr) == (0, TABLE, "")


def test_markdown_and_json_say_the_same(small: Path) -> None:
    markdown = net_cost(small, "--format", "markdown").stdout
    assert "| conv | Convolution | 5 x 8 x 6 | 140 | 6,720 | 960 |\n" in markdown
    found = json.loads(net_cost(small, "--format", "json").stdout)
    assert (found["parameters"], found["pynetbuilder_multiply_adds"], found["peak_activation_bytes"]) == (
        262,
        6600,
        1920,
    )
    assert [layer["output"] for layer in found["layers"]] == [[5, 8, 6], [5, 8, 6], [5, 4, 3], [2], [2]]


def test_the_packaged_net() -> None:
    found = json.loads(net_cost(MODEL_DEF, "--format", "json").stdout)
    assert (found["pynetbuilder_parameters"], found["pynetbuilder_multiply_adds"]) == (5_904_576, 1_068_576_768)


def test_the_form_for_training_costs_the_same(tmp_path: Path) -> None:
    """Its data layer says how large a picture is; loss and accuracy are no part of the scores."""
    net, costs = ResidualNet((1, 1), 16, 2, "normal", 64), []
    for name, text in (("deploy", prototxt(net)), ("train", train_val(net, TrainingOptions()))):
        path = tmp_path / name
        path.write_text(text)
        costs.append(json.loads(net_cost(path, "--format", "json").stdout))
    deploy, train = costs
    assert deploy["parameters"] == train["parameters"]
    assert deploy["layers"][:-1] == train["layers"]  # but for the softmax


def test_measuring_adds_a_column(small: Path) -> None:
    done = net_cost(small, "--measure")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("activation bytes    ms")
    assert " ms as it is scored; the column ms is of each layer by itself; one thread\n" in done.stdout
    found = json.loads(net_cost(MODEL_DEF, "--measure", "--weights", WEIGHTS, "--format", "json").stdout)
    convolutions = [layer["milliseconds"] for layer in found["layers"] if layer["type"] == "Convolution"]
    assert min(convolutions) > 0 and found["milliseconds"] > 0


def test_weights_that_are_not_used(small: Path, tmp_path: Path) -> None:
    """Are refused, rather than that other ones are measured."""
    done = net_cost(small, "--weights", WEIGHTS)
    assert (done.returncode, done.stderr) == (
        2,
        "open-nsfw net-cost: error: --weights needs --measure, which computes with them\n",
    )
    other = tmp_path / "other.caffemodel"
    other.write_bytes(caffemodel({"nothing": [ones(2, 3, 1, 1)]}))
    done = net_cost(small, "--measure", "--weights", other)
    line = f"open-nsfw net-cost: error: --weights {other}: no layer of it is one of the net's by name and shape\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_a_batch_that_is_written_into_a_layer(small: Path) -> None:
    """Costs and times are those of one picture all the same."""
    flat = (
        'layer { name: "flat" type: "Reshape" bottom: "pool" top: "flat" reshape_param { shape { dim: 4 dim: 60 } } }\n'
    )
    before, fc = SMALL.split('layer { name: "fc"')
    small.write_text(before + flat + 'layer { name: "fc"' + fc.replace('bottom: "pool"', 'bottom: "flat"'))
    done = net_cost(small, "--measure", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["parameters"], found["multiply_adds"]) == (262, 7324) and found["milliseconds"] > 0


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_drawing(tmp_path: Path) -> None:
    pytest.importorskip("graphviz", reason="the package graphviz is not installed")
    target = tmp_path / "net.svg"
    assert net_cost(MODEL_DEF, "--draw", target).returncode == 0
    drawn = target.read_text()
    assert len(re.findall(r"<title>box\d+</title>", drawn)) == 2 + 16 + 3  # stem, blocks, and what makes scores of them
    for text in ("stage0_block0", "stage3_block2", "64 x 112 x 112", "1024 x 7 x 7", "fc_nsfw", "4 Convolution"):
        assert text in drawn, text


def test_without_graphvizs_package(small: Path, tmp_path: Path) -> None:
    (tmp_path / "graphviz.py").write_text("raise ImportError('no graphviz here')")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from open_nsfw.__main__ import main; sys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-c", code, str(tmp_path), "net-cost", str(small), "--draw", "x.svg"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("open-nsfw net-cost: error: --draw needs the package graphviz: ")
    assert done.stderr.endswith("pip install 'graphviz>=0.20'\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a net with one input is needed, this one has 0 (none)"),
        ("layer {", 'not a readable prototxt: 1:7 : Expected "}".'),
        (
            SMALL.replace("kernel_size: 3", "kernel_size: 30"),
            'layer "conv" (Convolution): its input of shape 4 x 3 x 10 x 8 is too small: the output would be 4 x 5 x -19 x -21',
        ),
        (
            'layer { name: "d" type: "Data" top: "data" data_param { source: "x" } }'
            + SMALL.partition("\n")[2].partition("\n")[2],
            'layer "d" (Data): only its data tells how large the pictures are: give it a crop_size in transform_param',
        ),
    ],
)
def test_bad_nets_are_one_line_and_status_2(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_text(text)
    done = net_cost(path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"open-nsfw net-cost: error: {path}: {message}\n")


LAYER = 'layer {{ name: "{name}" type: "{type}" bottom: "data" top: "data" }}\n'
INPUT = 'input: "data" input_shape { dim: 1 dim: 3 dim: 10 dim: 8 }\n'
HUGE = {
    "100,000 layers": (
        INPUT + LAYER.format(name="x", type="ReLU") * 100_000,
        "more than 2,097,152 bytes, which no such file of a published net has",
    ),
    "a type of a megabyte": (
        INPUT + LAYER.format(name="x", type="n" * 1_000_000),
        f'layer "x" has the type {"n" * 57}..., which is not supported; ',
    ),
    "a name of a megabyte": (
        INPUT + LAYER.format(name="n" * 1_000_000, type="ReLU").replace('bottom: "data"', 'bottom: "b"'),
        f'layer "{"n" * 57}..." (ReLU): reads the blob "b", which no layer before it makes',
    ),
    "a layer of many outputs": (
        INPUT
        + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4294967295 '
        "kernel_size: 1 } }",
        'layer "c" (Convolution): a blob around it has more values than a blob of Caffe can have',
    ),
    "a channel that doubles": (
        INPUT
        + "".join(
            f'layer {{ name: "c{n}" type: "Concat" bottom: "{"data" if n == 0 else f"c{n - 1}"}" '
            f'bottom: "{"data" if n == 0 else f"c{n - 1}"}" top: "c{n}" }}\n'
            for n in range(40)
        ),
        'layer "c23" (Concat): a blob around it has more values than a blob of Caffe can have',
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_huge_is_refused_in_one_short_line(name: str, tmp_path: Path) -> None:
    pytest.importorskip("graphviz", reason="the package graphviz is not installed")
    text, message = HUGE[name]
    path = tmp_path / "net"
    path.write_text(text)
    done = net_cost(path, "--draw", tmp_path / "net.svg")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"open-nsfw net-cost: error: {path}: {message}")
    assert len(done.stderr) < 600 and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_nets_under_limits_of_time_and_memory() -> None:
    """Ten seconds and a gibibyte for each; FUZZ=20 tries twenty times as many."""
    line = [
        sys.executable,
        "-m",
        "tests.tools.fuzz_nets",
        "--count",
        str(examples(400)),
        "--seed",
        os.environ.get("FUZZ", "1"),
    ]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " refused\n" in done.stdout


def test_layers_of_one_name_are_counted_but_not_measured(tmp_path: Path) -> None:
    """Caffe would give the second no weights."""
    path = tmp_path / "net.prototxt"
    path.write_text(TWO_OF_ONE_NAME)
    assert net_cost(path).returncode == 0
    done = net_cost(path, "--measure")
    assert (done.returncode, done.stderr) == (
        2,
        f'open-nsfw net-cost: error: {path}: layer "a" (Scale): a layer before it has the same name, so that Caffe copies no '
        "weights into it; give it another name\n",
    )


def test_a_drawing_is_svg_and_named_so(tmp_path: Path) -> None:
    """Not SVG in a file that is called a PNG."""
    done = net_cost(MODEL_DEF, "--draw", tmp_path / "net.png")
    expected = f"open-nsfw net-cost: error: --draw {tmp_path}/net.png: the name must end in .svg\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)
    assert not (tmp_path / "net.png").exists()
