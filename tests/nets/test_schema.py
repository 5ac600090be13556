"""The schema of Caffe's files against the caffe_pb2 of a real Caffe."""

from __future__ import annotations

from typing import Any

import pytest

from open_nsfw.nets import schema as caffe_schema
from tests.tools.helpers import needs_caffe

MESSAGES = sorted(name for name in caffe_schema._CLASSES if name != "BlobValues")
BYTES = 12  # protobuf's number for the type
# Packed floats are bytes on the wire, which NumPy reads at once; BlobValues has the real types.
AS_BYTES = {"data", "diff", "double_data", "double_diff"}

OF_THIS_BUILD = {"REVERSE"}  # what kendryte-caffe has beyond Caffe 1.0
FIELDS_OF_THIS_BUILD = {
    "LayerParameter": {
        "continuation_indicator_param",
        "ctc_loss_param",
        "labelsequence_accuracy_param",
        "permute_param",
        "reverse_param",
        "swish_param",
    },
    "V0LayerParameter": {"axis"},
    "V1LayerParameter": {"reverse_param"},
}


def real(name: str) -> Any:
    """Real Caffe's descriptor of a message."""
    from caffe.proto import caffe_pb2

    return getattr(caffe_pb2, name).DESCRIPTOR


def values_of(enum: Any) -> dict[str, int]:
    return {value.name: value.number for value in enum.values}


def compare(name: str, ours: Any, theirs: Any) -> None:
    """One field of a message; `name` is how a failure calls it."""
    assert ours.number == theirs.number, name
    assert ours.label == theirs.label, name
    if ours.type == BYTES and ours.name in AS_BYTES and ours.containing_type.name == "BlobProto":
        assert theirs.GetOptions().packed, name
    else:
        assert ours.type == theirs.type, name
        assert ours.GetOptions().packed == theirs.GetOptions().packed, name
    if ours.message_type is not None:
        assert ours.message_type.name == theirs.message_type.name, name
    if ours.enum_type is not None:
        added = {key: value for key, value in values_of(theirs.enum_type).items() if key in OF_THIS_BUILD}
        assert {**values_of(ours.enum_type), **added} == values_of(theirs.enum_type), name
    if not (ours.type == BYTES or ours.message_type or ours.label == ours.LABEL_REPEATED):
        assert ours.default_value == theirs.default_value, name
        assert ours.has_default_value == theirs.has_default_value or not ours.default_value, name


@needs_caffe
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_is_real_caffes(name: str) -> None:
    theirs = real(name).fields_by_name
    ours = caffe_schema._CLASSES[name].DESCRIPTOR.fields
    assert len(ours) > 0
    for field in ours:
        assert field.name in theirs, f"Caffe has no {name}.{field.name}"
        compare(f"{name}.{field.name}", field, theirs[field.name])


@needs_caffe
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_blob_values_are_blob_protos_own_types() -> None:
    theirs = real("BlobProto").fields_by_name
    for field in caffe_schema.BlobValues.DESCRIPTOR.fields:
        compare(f"BlobValues.{field.name}", field, theirs[field.name])


@needs_caffe
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", MESSAGES)
def test_no_field_is_left_out(name: str) -> None:
    """A field that Caffe knows and the schema does not would be an error in a prototxt that Caffe takes."""
    ours = caffe_schema._CLASSES[name].DESCRIPTOR.fields_by_name
    assert set(real(name).fields_by_name) - set(ours) == FIELDS_OF_THIS_BUILD.get(name, set())


def test_the_schema_has_a_package_of_its_own() -> None:
    """Two messages of one name in one descriptor pool would clash with pycaffe's."""
    assert {cls.DESCRIPTOR.file.package for cls in caffe_schema._CLASSES.values()} == {"open_nsfw_caffe"}


def test_the_settings_of_layers_that_are_not_computed() -> None:
    """Their numbers, written out: this runs everywhere."""
    new, old = (
        {field.name: field.number for field in caffe_schema._CLASSES[name].DESCRIPTOR.fields}
        for name in ("LayerParameter", "V1LayerParameter")
    )
    both = {"contrastive_loss": (105, 40), "hdf5_data": (112, 13), "hdf5_output": (113, 14), "hinge_loss": (114, 29)}
    both.update({"infogain_loss": (116, 16), "window_data": (129, 20)})
    assert {name: (new[f"{name}_param"], old[f"{name}_param"]) for name in both} == both
    newest = {"python": 130, "embed": 137, "parameter": 145, "recurrent": 146}
    assert {name: new[f"{name}_param"] for name in newest} == newest


def test_defaults_without_caffe() -> None:
    """A few that decide scores, written out: this runs everywhere."""
    layer = caffe_schema.LayerParameter()
    assert layer.batch_norm_param.eps == pytest.approx(1e-5)
    assert (layer.lrn_param.local_size, layer.lrn_param.beta, layer.lrn_param.k) == (5, 0.75, 1)
    assert caffe_schema.enum_name(layer.pooling_param, "pool") == "MAX"
    assert caffe_schema.enum_name(layer.pooling_param, "round_mode") == "CEIL"
    assert caffe_schema.enum_name(layer.eltwise_param, "operation") == "SUM"
    assert layer.convolution_param.bias_term and layer.inner_product_param.bias_term
    assert not layer.scale_param.bias_term
    assert layer.convolution_param.group == 1 and layer.concat_param.axis == 1 and layer.softmax_param.axis == 1
