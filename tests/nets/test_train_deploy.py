"""train_val.prototxt of a net that was read."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format

from open_nsfw.nets import schema
from open_nsfw.nets.read import read_net
from open_nsfw.nets.train_deploy import train_val
from open_nsfw.nets.training import TrainingOptions
from tests.tools.helpers import MODEL_DEF, NETS, SMALL_WEIGHTS, WEIGHTS, caffemodel, small_net


def test_only_the_trained_layer_learns() -> None:
    """Its rates are Yahoo's; all other layers that hold values have a rate of 0 for each, and batch norm stays."""
    net = read_net(MODEL_DEF, WEIGHTS)
    message = text_format.Parse(train_val(net, {"fc_nsfw"}, TrainingOptions("image-list")), schema.NetParameter())
    rates = {layer.name: [(each.lr_mult, each.decay_mult) for each in layer.param] for layer in message.layer}
    assert rates.pop("fc_nsfw") == [(5, 1), (10, 0)]
    for layer in net.layers:
        if layer.name in rates:
            assert rates[layer.name] == [(0, 0)] * len(layer.blobs)
    assert all(each.batch_norm_param.use_global_stats for each in message.layer if each.type == "BatchNorm")


def test_data_and_loss_take_the_places_of_input_and_softmax() -> None:
    """The rest is the deploy net, in its order."""
    net = read_net(MODEL_DEF, WEIGHTS)
    message = text_format.Parse(train_val(net, {"fc_nsfw"}, TrainingOptions("image-list")), schema.NetParameter())
    types = [layer.type for layer in message.layer]
    assert types[:2] == ["ImageData", "ImageData"]
    assert types[-2:] == ["SoftmaxWithLoss", "Accuracy"]
    inner = [layer.name for layer in net.layers if layer.type not in ("Input", "Softmax")]
    assert [layer.name for layer in message.layer[2:-2]] == inner
    assert message.layer[0].transform_param.crop_size == 224
    assert list(message.layer[-2].bottom) == ["fc_nsfw", "label"]


def test_shared_parameters_stay_shared(tmp_path: Path) -> None:
    """Frozen, with their names: the weights file has a copy in each layer, of which Caffe takes the last."""
    net = read_net(NETS / "shared_weights.prototxt", NETS / "shared_weights.caffemodel")
    message = text_format.Parse(
        train_val(net, {net.layers[-1].name}, TrainingOptions("image-list")), schema.NetParameter()
    )
    shared = [[(each.name, each.lr_mult) for each in layer.param] for layer in message.layer if layer.param]
    assert shared == [[("w", 0), ("b", 0)]] * 2


def test_rules_of_the_deploy_net_do_not_hold_in_training(tmp_path: Path) -> None:
    """Its layers are those of its own state, `deploy`, which the form for training does not have."""
    model_def, weights = tmp_path / "deploy.prototxt", tmp_path / "net.caffemodel"
    text = small_net().replace('top: "c" ', 'top: "c" include { stage: "deploy" } ', 1)
    model_def.write_text('state { stage: "deploy" }\n' + text)
    weights.write_bytes(caffemodel(SMALL_WEIGHTS))
    net = read_net(model_def, weights)
    message = text_format.Parse(train_val(net, {"c"}, TrainingOptions("image-list")), schema.NetParameter())
    assert [layer.name for layer in message.layer if layer.name == "c"] == ["c"]
    assert [layer.name for layer in message.layer if layer.include] == ["data", "data", "accuracy"]
