"""Which nets keep the pictures of a batch apart, and which take batches of any size."""

from __future__ import annotations

import pytest

from open_nsfw.nets.ancestors import ancestors
from open_nsfw.nets.batch import mixing_layer, takes_any_batch
from open_nsfw.nets.cost import cost_of
from open_nsfw.nets.prototxt import parse_prototxt

SHAPE = "dim: {} dim: 3 dim: 4 dim: 4"


def net_of(batch: int, *layers: str) -> str:
    """A prototxt of an input and these layers, each the type, bottoms, a slash, and options; tops are `t1`, `t2`, ..."""
    lines = [f'input: "data" input_shape {{ {SHAPE.format(batch)} }}']
    for number, layer in enumerate(layers, start=1):
        head, _, options = layer.partition(" / ")
        kind, *bottoms = head.split()
        read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms or [f"t{number - 1}" if number > 1 else "data"])
        lines.append(f'layer {{ name: "t{number}" type: "{kind}" {read} top: "t{number}" {options} }}')
    return "\n".join(lines)


def reshape(*dims: int) -> str:
    """A Reshape of everything."""
    return "Reshape / reshape_param { shape { " + " ".join(f"dim: {dim}" for dim in dims) + " } }"


GATE = ["Reduction / reduction_param { axis: 2 }", "Scale data t1 / scale_param { axis: 0 }"]
DENSE = "InnerProduct / inner_product_param { num_output: 2 }"


@pytest.mark.parametrize(
    ("batch", "layers", "mixing", "takes_any"),
    [
        (1, [DENSE, "Softmax"], None, True),
        (4, [DENSE, "Softmax"], None, True),
        (4, [*GATE, DENSE], None, True),
        (4, [reshape(0, -1), DENSE], None, True),
        (4, [reshape(-1, 48), DENSE], None, True),
        (1, [reshape(1, -1), DENSE], None, False),
        (4, [reshape(4, 48), DENSE], None, False),
        (4, [reshape(4, 6, 8), DENSE], None, False),
        (4, [reshape(1, -1), DENSE], "t1", False),
        (4, [DENSE, reshape(2, 4), reshape(4, 2)], "t2", False),
        (3, ["InnerProduct / inner_product_param { num_output: 3 axis: 0 }"], "t1", False),
        (2, ["Scale / scale_param { axis: 0 }", DENSE], "t1", False),
        (1, ["Scale / scale_param { axis: -4 }", DENSE], "t1", False),
        (2, ["Scale / scale_param { axis: 0 num_axes: 0 }", DENSE], None, True),
        (2, ["Bias / bias_param { axis: 0 }", DENSE], "t1", False),
        (2, ["Softmax / softmax_param { axis: 0 }", DENSE], "t1", False),
        (2, ["Flatten / flatten_param { axis: 0 }"], "t1", False),
        (2, ["Concat data data / concat_param { axis: 0 }"], "t1", False),
        # several rows for each picture on the way: one for each channel, or for each pixel of one
        (4, [reshape(-1, 16), "Softmax", reshape(-1, 3, 4, 4), DENSE], None, True),
        (4, [reshape(12, 16), "Softmax", reshape(4, 48), DENSE], None, False),
        (4, ["Flatten / flatten_param { axis: 0 }", "TanH", reshape(-1, 48), DENSE], None, True),
        (1, [reshape(3, 16), "Softmax", reshape(1, 48), DENSE], None, False),
        (4, [reshape(-1, 16), DENSE], "t2", False),
        (4, [reshape(-1, 16), "Softmax / softmax_param { axis: 0 }", reshape(-1, 48), DENSE], "t2", False),
        (4, [reshape(-1, 16), "Scale / scale_param { axis: 0 num_axes: 1 }", reshape(-1, 48), DENSE], "t2", False),
        (4, [reshape(6, -1), reshape(-1, 48), DENSE], "t1", False),
        (4, ["Concat data data / concat_param { axis: 0 }", reshape(4, -1), DENSE], "t1", False),
        # three channels and three pictures: what belongs to the pictures is taken for the channels
        (
            3,
            [reshape(3, 48), "Reduction / reduction_param { axis: 1 }", "Bias data t2 / bias_param { axis: 1 }"],
            "t3",
            False,
        ),
    ],
)
def test_what_a_net_does_with_a_batch(batch: int, layers: list[str], mixing: str | None, takes_any: bool) -> None:
    net = parse_prototxt(net_of(batch, *layers))
    found = mixing_layer(net)
    assert (found and found.name, takes_any_batch(net)) == (mixing, takes_any)


FLAT = "Flatten data / flatten_param { axis: 0 }"


@pytest.mark.parametrize(
    ("layers", "mixing", "takes_any"),
    [
        ([FLAT], None, True),
        ([reshape(-1)], None, True),
        ([reshape(2, -1)], None, False),
        ([reshape(-1, 4)], None, True),
        (["Softmax / softmax_param { axis: 0 }"], None, True),
        (["Scale / scale_param { axis: 0 num_axes: 1 }"], None, False),
        ([FLAT, "InnerProduct / inner_product_param { num_output: 2 axis: 0 }"], None, False),
        (["Concat data data / concat_param { axis: 0 }"], None, True),
    ],
)
def test_what_a_blob_does_not_need_does_not_matter_to_it(
    layers: list[str], mixing: str | None, takes_any: bool
) -> None:
    """But to the size of the batch: Caffe computes all layers."""
    net = parse_prototxt(net_of(4, *layers, DENSE.replace("InnerProduct", "InnerProduct data")))
    *_, score = net.blob_names
    assert (mixing_layer(net, [score]), takes_any_batch(net, [score])) == (mixing, takes_any)


def test_a_layer_in_place_changes_all_views() -> None:
    """A softmax along the batch of one view is behind what reads the other."""
    net = parse_prototxt(
        net_of(
            4, "TanH", reshape(-1, 16), "Softmax t2 / softmax_param { axis: 0 }", DENSE.replace(" /", " t1 /")
        ).replace('top: "t3"', 'top: "t2"')
    )
    found = mixing_layer(net, ["t4"])
    assert found is not None and found.name == "t3"
    assert [sorted(ancestors(net, [blob])) for blob in ("t1", "t2", "t4", "data")] == [
        [0, 1, 2],
        [0, 1, 2],
        [0, 1, 2, 3],
        [],
    ]


@pytest.mark.parametrize("batch", [1, 10])
def test_a_cost_is_that_of_one_picture(batch: int) -> None:
    """Also where the batch is written into a layer."""
    cost = cost_of(parse_prototxt(net_of(batch, "ReLU", reshape(batch, 48), DENSE)))
    assert cost.input == (3, 4, 4)
    assert [layer.output for layer in cost.layers] == [(3, 4, 4), (48,), (2,)]
    assert [layer.activation_bytes for layer in cost.layers] == [4 * 48, 4 * 48, 4 * 2]
    assert (cost.parameters, cost.multiply_adds, cost.peak_bytes) == (98, 48 + 98, 4 * 96)
