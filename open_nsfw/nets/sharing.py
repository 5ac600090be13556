"""Parameters that layers share: blobs whose `param` has the same name are one blob, by the rules of Caffe's net.cpp."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import Blob, Layer, Net, Shape, count_values, quoted, shape_text
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.shapes import infer, same_shape


@dataclass(frozen=True)
class _Holder:
    """A blob of a layer with a name of its own."""

    index: int
    """Of the layer in its net."""
    number: int
    """Of the blob in its layer."""
    spec: Any
    """The ParamSpec message."""


def check_not_shared(net: Net, names: Collection[str]) -> None:
    """Raises ModelError if a layer of these names shares a parameter: trained, each layer would get one of its own."""
    for name, holders in _shared(net).items():
        for holder in holders:
            if net.layers[holder.index].name in names:
                others = [net.layers[other.index].name for other in holders if other is not holder]
                raise net.layers[holder.index].error(
                    f"it shares the parameter {quoted(name)} with layer {quoted(others[0])}; shared parameters cannot be trained"
                )


def with_shared_blobs(net: Net, order: Sequence[str]) -> Net:
    """The net whose layers all have the values that their shared blobs end up with when Caffe copies the weights of layers
    in this order of their names. Raises ModelError for blobs that cannot be shared."""
    shared = _shared(net)
    if not shared:
        return net
    needed = [shapes.blobs for shapes in infer(net)]
    blobs: list[list[Blob | None]] = [
        list(layer.blobs or [None] * len(shapes)) for layer, shapes in zip(net.layers, needed)
    ]
    places = {name: place for place, name in enumerate(order)}
    _check_named(net, needed, places)
    for name, holders in shared.items():
        _check(net.layers, name, holders, needed)
        holders = sorted(holders, key=lambda holder: (places.get(net.layers[holder.index].name, -1), holder.number))
        values = [blobs[holder.index][holder.number] for holder in holders if _fits(holder, blobs, needed)]
        last = next((each for each in reversed(values) if each is not None), None)
        for holder in holders:
            if last is not None and _fits(holder, blobs, needed):
                blobs[holder.index][holder.number] = last.reshape(needed[holder.index][holder.number])
    return replace(net, layers=tuple(map(_with_blobs, net.layers, blobs)))


def _check_named(net: Net, needed: Sequence[tuple[Shape, ...]], named: Collection[str]) -> None:
    """Raises ModelError for a layer that the weights file names, but gives no blobs, though all that it needs may be shared."""
    first = {layer.name: index for index, layer in reversed(list(enumerate(net.layers)))}
    for index, (layer, shapes) in enumerate(zip(net.layers, needed)):
        if shapes and not layer.blobs and layer.name in named and first[layer.name] == index:
            raise layer.error(f"{len(shapes)} weight blobs are needed, the file has 0")


def _shared(net: Net) -> dict[str, list[_Holder]]:
    """The named parameters that more than one blob has."""
    found: dict[str, list[_Holder]] = {}
    for index, layer in enumerate(net.layers):
        for number, spec in enumerate(layer.param.param):
            if spec.name:
                found.setdefault(spec.name, []).append(_Holder(index, number, spec))
    return {name: holders for name, holders in found.items() if len(holders) > 1}


def _check(layers: Sequence[Layer], name: str, holders: list[_Holder], needed: list[tuple[Shape, ...]]) -> None:
    """Raises ModelError for blobs that Caffe would not make one of: `holders` in the order of the layers."""
    first = needed[holders[0].index][holders[0].number]
    for holder in holders[1:]:
        shape = needed[holder.index][holder.number]
        alike = shape == first
        if enum_name(holder.spec, "share_mode") == "PERMISSIVE":
            alike = count_values(shape) == count_values(first)
        if not alike:
            raise layers[holder.index].error(
                f"it shares the parameter {quoted(name)}, of shape {shape_text(first)}, but needs {shape_text(shape)}"
            )
    for field in ("lr_mult", "decay_mult"):
        if len({getattr(holder.spec, field) for holder in holders if holder.spec.HasField(field)}) > 1:
            raise ModelError(f"the layers that share the parameter {quoted(name)} have different values of {field}")


def _fits(holder: _Holder, blobs: list[list[Blob | None]], needed: list[tuple[Shape, ...]]) -> bool:
    """Whether the layer has as many blobs as it needs, and this one has the shape; what does not fit is told later."""
    own, shapes = blobs[holder.index], needed[holder.index]
    blob = own[holder.number] if len(own) == len(shapes) else None
    return len(own) == len(shapes) and (blob is None or same_shape(blob.shape, shapes[holder.number]))


def _with_blobs(layer: Layer, blobs: list[Blob | None]) -> Layer:
    complete = tuple(blob for blob in blobs if blob is not None)
    return replace(layer, blobs=complete if len(complete) == len(blobs) else ())
