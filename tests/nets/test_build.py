"""The network builder: the packaged prototxt, pynetbuilder's figures, the command, and real Caffe as the judge."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.nets.build import PUBLISHED, Cost, command, count, prototxt
from open_nsfw.nets.cost import cost_of
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.nets.residual import ResidualNet
from tests.tools import yahoo_reference

ROOT = Path(__file__).resolve().parents[2]
PACKAGED = ROOT / "nsfw_model" / "deploy.prototxt"
WEIGHTS = ROOT / "nsfw_model" / "resnet_50_1by2_nsfw.caffemodel"
COST_LINE = "5.904576 million parameters, 1068.576768 million multiply-adds\n"

needs_caffe = pytest.mark.skipif(
    importlib.util.find_spec("caffe") is None, reason="pycaffe is not installed in this interpreter"
)


def build_net(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "open_nsfw", "build-net", *arguments]
    settings: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(line, text=True, check=False, **settings)


# --- the packaged file -------------------------------------------------------------------------------------------------


def test_packaged_prototxt_is_what_the_generator_writes() -> None:
    assert PACKAGED.read_bytes() == prototxt(ResidualNet()).encode("ascii")


def test_packaged_prototxt_is_what_its_first_line_says() -> None:
    words = PACKAGED.read_text().split("`")[1].split()
    assert words[:2] == ["open-nsfw", "build-net"]
    done = build_net(*words[2:])
    assert (done.returncode, done.stderr) == (0, COST_LINE)
    assert done.stdout == PACKAGED.read_text()


def test_default_arguments_write_the_packaged_net() -> None:
    assert build_net().stdout == PACKAGED.read_text()


def test_lines_are_no_longer_than_the_houses() -> None:
    assert max(map(len, PACKAGED.read_text().splitlines())) <= 120


# --- what nets cost ----------------------------------------------------------------------------------------------------

PUBLISHED_COSTS = {  # millions, as pynetbuilder published or computed them
    "resnet_50": (25.556032, 3858.026368),
    "resnet_50_1by2": (6.926528, 1069.598720),
    "resnet_77_1by2": (9.447104, 1560.935936),
    "resnet_66_1by2": (5.987200, 915.461824),
    "resnet_68_1by2_4k": (19.559248, 1029.697168),
    "resnet_34": (8.550464, 1370.936192),
    "resnet_36_4k": (21.585936, 1434.303312),
    "resnet_110_cifar": (0.220944, 30.732960),
}
# Every learned value, biases included: AlexNet's as the sum of its layers, VGG's as torchvision counts the same layers,
# SqueezeNet's as its layers have them (its authors round to 1.24 million).
CLASSIC_PARAMETERS = {
    "alexnet": 60_965_224,
    "vgg_16": 138_357_544,
    "vgg_19": 143_667_240,
    "squeezenet_1.0": 1_248_424,
    "squeezenet_1.1": 1_235_496,
}


@pytest.mark.parametrize("name", PUBLISHED_COSTS)
def test_published_nets_cost_what_was_published(name: str) -> None:
    cost = count(PUBLISHED[name])
    assert (cost.parameters / 1e6, cost.multiply_adds / 1e6) == PUBLISHED_COSTS[name]


@pytest.mark.parametrize("name", CLASSIC_PARAMETERS)
def test_classic_nets_have_the_published_parameters(name: str) -> None:
    assert cost_of(parse_prototxt(prototxt(PUBLISHED[name]))).parameters == CLASSIC_PARAMETERS[name]


def test_alexnets_parameters_by_hand() -> None:
    """Weights and biases of each layer: (filters x channels a group x side x side) + filters."""
    convolutions = [(96, 3, 11), (256, 48, 5), (384, 256, 3), (384, 192, 3), (256, 192, 3)]
    total = sum(filters * channels * side**2 + filters for filters, channels, side in convolutions)
    total += sum(outputs * inputs + outputs for outputs, inputs in [(4096, 256 * 6 * 6), (4096, 4096), (1000, 4096)])
    assert total == CLASSIC_PARAMETERS["alexnet"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_nets_are_written_by_name_and_by_their_own_first_line(name: str) -> None:
    by_name = build_net(name)
    assert (by_name.returncode, by_name.stdout) == (0, prototxt(PUBLISHED[name]))
    words = shlex.split(by_name.stdout.partition("`")[2].partition("`")[0])
    assert build_net(*words[2:]).stdout == by_name.stdout


GOLDEN = [  # published by pynetbuilder; the last is the 1by2 with Yahoo's head
    (ResidualNet(filters=256, classes=1000), 25_556_032, 3_858_026_368),
    (ResidualNet(filters=128, classes=1000), 6_926_528, 1_069_598_720),
    (ResidualNet((3, 4, 15, 3), 128, 1000), 9_447_104, 1_560_935_936),
    (ResidualNet(), 5_904_576, 1_068_576_768),
]


@pytest.mark.parametrize(("net", "parameters", "multiply_adds"), GOLDEN)
def test_golden_costs(net: ResidualNet, parameters: int, multiply_adds: int) -> None:
    assert count(net) == Cost(parameters, multiply_adds)


@pytest.mark.parametrize(
    ("blocks", "published"),
    # All learned parameters of torchvision's ResNet-18 and ResNet-34, which have biases in batch norm and head only.
    # Taking away the head's 1000 leaves pynetbuilder's count: its means stand where the others' batch norm biases do.
    [((2, 2, 2, 2), 11_689_512), ((3, 4, 6, 3), 21_797_672)],
)
def test_normal_blocks_cost_what_the_papers_nets_do(blocks: tuple[int, ...], published: int) -> None:
    assert count(ResidualNet(blocks, 64, 1000, "normal")).parameters == published - 1000


# --- names and text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "name", "head"),
    [
        (ResidualNet(), "ResNet_50_1by2_nsfw", "fc_nsfw"),
        (ResidualNet(filters=256, classes=1000), "ResNet_50", "fc1000"),
        (ResidualNet((3, 4, 15, 3), classes=1000), "ResNet_77_1by2", "fc1000"),
        (ResidualNet((2, 2, 2, 2), 64, 1000, "normal"), "ResNet_18", "fc1000"),
        (ResidualNet(filters=96, classes=5, head="fc_drawings"), "ResNet_50_n96", "fc_drawings"),
        (ResidualNet(name="mine"), "mine", "fc_nsfw"),
    ],
)
def test_names(net: ResidualNet, name: str, head: str) -> None:
    text = prototxt(net)
    assert f'\nname: "{name}"\n' in text
    assert f'  name: "{head}" type: "InnerProduct"\n  bottom: "pool" top: "{head}"\n' in text
    assert f'  name: "prob" type: "Softmax"\n  bottom: "{head}" top: "prob"\n' in text


def test_first_line_of_any_net_makes_it_again() -> None:
    net = ResidualNet((1, 2), 20, 7, "normal", 65, "fc_mine", "mine")
    expected = "open-nsfw build-net -b 1 2 -n 20 --classes 7 --kind normal --size 65 --head fc_mine --name mine"
    assert command(net) == expected
    done = build_net(*expected.split()[2:])
    assert done.stdout == prototxt(net)
    assert done.stdout.startswith(f"# Written by `{expected}`. Change it there, not here.\n")


def test_normal_net_begins_with_an_identity_only_where_the_width_stays() -> None:
    assert "stage0_block0_proj_shortcut" not in prototxt(ResidualNet((1, 1), 64, kind="normal"))
    assert "stage1_block0_proj_shortcut" in prototxt(ResidualNet((1, 1), 64, kind="normal"))
    assert "stage0_block0_proj_shortcut" in prototxt(ResidualNet((1, 1), 32, kind="normal"))
    assert "stage0_block0_proj_shortcut" in prototxt(ResidualNet((1, 1), 64, kind="bottleneck"))


# --- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-b 3 0 6 3", "every stage needs at least 1 block, not 3 0 6 3"),
        ("-b -1", "every stage needs at least 1 block, not -1"),
        ("-n 0", "filters must be at least 1, not 0"),
        ("-n 130", "filters of a bottleneck net must be divisible by 4, not 130"),
        ("--classes 0", "classes must be at least 1, not 0"),
        ("--size 2", "the input size must be at least 3, not 2"),
        ("--kind wide", "blocks are normal, bottleneck, inception-trick or inception-trick-bottleneck, not 'wide'"),
        ('--head a"b', "the name of the head holds letters, digits and _ . - only (- and . not first), not 'a\"b'"),
        ("--name .x", "the name of the net holds letters, digits and _ . - only (- and . not first), not '.x'"),
        ("--head prob", "the net would have two layers named prob; give the head another name"),
        ("--head conv_1", "the net would have two layers named conv_1; give the head another name"),
        ("--size 11586", "conv_1 needs a blob of 2147766336 numbers, Caffe holds at most 2147483647"),
        ("--classes 2097152", "fc_wide needs a blob of 2147483648 numbers, Caffe holds at most 2147483647"),
        (
            "resnet_18",
            "there is no net named 'resnet_18'; there are " + ", ".join(PUBLISHED),
        ),
        (
            "SSD-resnet",
            "SSD-resnet: SSD nets need layers that Caffe 1.0 does not have; there are " + ", ".join(PUBLISHED),
        ),
        ("alexnet -b 1", "alexnet is a fixed network: only --classes and --size can be changed"),
        ("alexnet --size 60", "the input size must be at least 67, not 60"),
        ("-b 2001", "at most 1000 blocks in all, not 2001"),
        ("--stem none", "--stem: there is no 'none'; choose from imagenet, cifar"),
        ("--freeze stem", "--freeze needs --train DIR"),
        ("--batch-size 3", "--batch-size needs --train DIR"),
        ("--from x", "--from needs --initialize FILE, the file to write"),
        ("--seed 4", "--seed needs --initialize FILE, whose weights it draws"),
        ("-n x", "-n/--outputs/--filters: a whole number is needed, not 'x'"),
        ("-b", "-b/--blocks: a value is missing; write -b N"),
        ("--class 2", "there is no option --class; did you mean --classes?"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments: str, message: str) -> None:
    extra = ["--head", "fc_wide"] if "2097152" in arguments else []
    done = build_net(*arguments.split(), *extra)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"open-nsfw build-net: error: {message}\n"


def test_library_raises_what_the_command_prints() -> None:
    with pytest.raises(UsageError, match=re.escape("every stage needs at least 1 block, not no stages")):
        ResidualNet(())


def test_help_explains_every_option_and_its_example_runs(tmp_path: Path) -> None:
    done = build_net("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--blocks", "--filters", "--classes", "--kind", "--size", "--head", "--name", "--output", "--train"):
        assert re.search(rf"{option} [A-Z].*\n? +[a-z0-9]", done.stdout), option
    example = re.search(r"examples:\n  open-nsfw build-net (.*) --output \S+\n", done.stdout)
    assert example is not None
    ran = build_net(*example[1].split(), "--output", str(tmp_path / "net"))
    assert ran.returncode == 0
    assert ran.stderr == "25.556032 million parameters, 3858.026368 million multiply-adds\n"


# --- output ------------------------------------------------------------------------------------------------------------


def test_output_file_is_whole_readable_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "net.prototxt"
    target.write_text("older")
    refused = build_net("--output", str(target))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"open-nsfw build-net: error: {target}: exists already; --overwrite replaces it\n"
    assert target.read_text() == "older"
    done = build_net("--output", str(target), "--overwrite", umask=0o022)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", COST_LINE)
    assert target.read_text() == PACKAGED.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [target]


def test_output_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    assert build_net("--output", str(tmp_path / "link")).returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == PACKAGED.read_text()


def test_output_to_a_pipe_does_not_replace_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        try:
            done = build_net("--output", str(pipe), timeout=60)
            assert (done.returncode, done.stderr) == (0, COST_LINE)
            assert stat.S_ISFIFO(pipe.stat().st_mode)
            assert reader.communicate(timeout=60)[0] == PACKAGED.read_text()
        finally:
            reader.kill()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing/net", "No such file or directory"), ("file/net", "Not a directory"), ("folder", "Is a directory")],
)
def test_unwritable_output_is_one_line_and_status_2(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    target = tmp_path / name
    done = build_net("--output", str(target))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"open-nsfw build-net: error: {target}: cannot be written: {reason}\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_standard_output_is_one_line_and_status_2() -> None:
    with open("/dev/full", "w") as full:
        done = build_net(stdout=full)
    assert done.returncode == 2
    assert done.stderr == ("open-nsfw build-net: error: stdout: cannot be written: No space left on device\n")


# --- real Caffe --------------------------------------------------------------------------------------------------------

CAFFE_NETS = [
    ResidualNet(filters=256, classes=1000),
    ResidualNet((1, 1), 64, 10, "normal", 64),
    ResidualNet((2, 1, 1), 24, 3, "normal", 75),
    ResidualNet((1, 2, 1), 20, 3, "bottleneck", 97),
    ResidualNet((1, 1, 1, 1, 1), 8, 1, "bottleneck", 3),
    ResidualNet((1,), 8, 2, "bottleneck", 4),
]


def caffe_net(path: Path, weights: Path | None = None) -> Any:
    os.environ["GLOG_minloglevel"] = "2"
    import caffe

    return caffe.Net(str(path), caffe.TEST, weights=str(weights)) if weights else caffe.Net(str(path), caffe.TEST)


@needs_caffe
@pytest.mark.parametrize("net", CAFFE_NETS, ids=command)
def test_caffe_loads_the_net_and_counts_the_same(tmp_path: Path, net: ResidualNet) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(prototxt(net))
    loaded = caffe_net(path)
    assert loaded.blobs["data"].data.shape == (1, 3, net.size, net.size)
    assert loaded.blobs["prob"].data.shape == (1, net.classes)
    assert loaded.blobs["pool"].data.shape[2:] == (1, 1)
    parameters = multiply_adds = 0
    for name, blobs in loaded.params.items():
        weights = blobs[0].data.size
        # Convolutions carry the name of the blob that leaves them; batch norm and scale work in place.
        pixels = loaded.blobs[name].data[0, 0].size if name.startswith("conv_") else 1
        parameters, multiply_adds = parameters + weights, multiply_adds + weights * pixels
    assert count(net) == Cost(parameters, multiply_adds)


@pytest.fixture(scope="module")
def yahoo_pair() -> tuple[Any, Any]:
    """Real Caffe's net by our prototxt and by Yahoo's, both with Yahoo's weights."""
    assert WEIGHTS.exists(), f"{WEIGHTS.name} is not in nsfw_model/: `pip install -e .` puts it there"
    return caffe_net(PACKAGED, WEIGHTS), caffe_net(yahoo_reference.yahoo_prototxt(), WEIGHTS)


@needs_caffe
def test_layers_are_yahoos(yahoo_pair: tuple[Any, Any]) -> None:
    ours, yahoos = yahoo_pair
    assert list(ours._layer_names) == list(yahoos._layer_names)
    assert [layer.type for layer in ours.layers] == [layer.type for layer in yahoos.layers]
    assert [(name, blob.data.shape) for name, blob in ours.blobs.items()] == [
        (name, blob.data.shape) for name, blob in yahoos.blobs.items()
    ]


@needs_caffe
def test_every_weight_was_loaded(yahoo_pair: tuple[Any, Any]) -> None:
    ours, yahoos = yahoo_pair
    assert list(ours.params) == list(yahoos.params)
    for name, blobs in ours.params.items():
        assert len(blobs) == len(yahoos.params[name])
        for index, blob in enumerate(blobs):
            expected = yahoos.params[name][index].data
            assert blob.data.tobytes() == expected.tobytes(), f"blob {index} of {name}"
        assert blobs[0].data.any(), f"{name} is all zero, so it was never loaded"


@needs_caffe
@pytest.mark.parametrize("seed", range(6))
def test_prob_is_bit_equal_to_yahoos(yahoo_pair: tuple[Any, Any], seed: int) -> None:
    import numpy as np

    # Uniform noise over the range of a BGR picture less its mean; odd seeds have blocks, which reach other features.
    coarse = np.random.default_rng(seed).uniform(-123, 151, (1, 3, 224, 224) if seed % 2 == 0 else (1, 3, 14, 14))
    blob = (coarse if seed % 2 == 0 else coarse.repeat(16, 2).repeat(16, 3)).astype(np.float32)
    probabilities = []
    for net in yahoo_pair:
        net.blobs["data"].data[...] = blob
        probabilities.append(net.forward()["prob"].copy())
    assert probabilities[0].shape == (1, 2)
    assert 0 < probabilities[0][0, 1] < 1
    assert probabilities[0].tobytes() == probabilities[1].tobytes()


# --- the reference itself ----------------------------------------------------------------------------------------------


def test_reference_of_another_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(yahoo_reference.FOLDER_VARIABLE, str(tmp_path))
    path = tmp_path / yahoo_reference.FILE_NAME
    path.write_bytes(b"other")
    found = hashlib.sha256(b"other").hexdigest()
    message = f"{path} is not Yahoo's prototxt: its SHA-256 is {found}, not {yahoo_reference.SHA256}"
    with pytest.raises(yahoo_reference.ReferenceUnavailable, match=re.escape(message)):
        yahoo_reference.yahoo_prototxt()
