"""Networks as plain dicts and back: chains, functional graphs, layers inside layers. Behind files and clones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import BacklitError, FileError
from ..core.node import FLOATS, Leaf, Node, array_leaf, constant, input_leaf
from ..core.record import Record
from ..core.shapes import M, Rows
from ..layers.layer import Layer, layer_call, put_together
from ..layers.network import Functional
from .model import Model
from .sequential import Sequential


def describe(layer: Layer) -> dict[str, Any]:
    """A layer or network: its class, name, configuration, and what it is made of."""
    said = {"class": type(layer).__name__, "name": layer.name, "trainable": layer.trainable, "dtype": layer.dtype}
    if isinstance(layer, Sequential):
        return {**said, "input": _leaf(layer.input_leaves), "layers": [describe(each) for each in layer.layers]}
    if isinstance(layer, Functional) and hasattr(layer, "order"):
        return {**said, **_functional(layer)}
    return {**said, "config": _config(layer)}


def _config(layer: Layer) -> dict[str, Any]:
    """The configuration, refused where it would not bring the layer back: a function known by no name, say."""
    found = [key for key, value in vars(layer).items() if callable(value) and not isinstance(value, (Record, type))]
    try:
        copy = type(layer).from_config(layer.get_config())
        lost = [key for key in found if vars(copy).get(key) is not vars(layer)[key]]
    except BacklitError:
        lost = found or ["configuration"]
    if lost:
        raise FileError(
            f"layer {layer.name!r} ({type(layer).__name__}) cannot be saved: the file could not bring it back.",
            found=f"its {lost[0]} is known by no name",
            fix="use a name such as 'relu', or write the function as a layer class of its own",
        )
    return layer.get_config()


def restore(said: Mapping[str, Any]) -> Layer:
    """The layer or network that `describe` described, with weights of its own."""
    kind = Layer.named(said["class"])
    if "nodes" in said:
        layer = _restored(said, kind)
    elif "layers" in said:
        layer = _restored_chain(said, kind)
    else:
        layer = kind(**said["config"])
    if said["dtype"] not in FLOATS:
        raise FileError(f"a layer does not compute in {said['dtype']!r}.")
    for part in layer.everything() if "config" in said else [layer]:  # parts of a network know their own
        part.dtype = said["dtype"]
    layer.given_name = layer.base_name = layer.name = layer.path = str(said["name"])
    if not said["trainable"]:
        layer.trainable = False
    return layer


def _restored_chain(said: Mapping[str, Any], kind: type) -> Sequential:
    model: Sequential = kind()
    for each in said["layers"]:
        model.add(restore(each))
    if said["input"] is not None:
        model.expect(_made_leaf(said["input"]))
    return model


# ---------------------------------------------------------------------- functional graphs
def _functional(model: Functional) -> dict[str, Any]:
    place = {node: index for index, node in enumerate(model.order)}
    known = {id(layer): layer.name for layer in model.layers}
    rows = []
    for node in model.order:
        if isinstance(node, Leaf):
            weight = node.kind in ("variable", "state")
            rows.append({"weight": True} if weight else _leaf(node))
        elif node.op is layer_call:
            count = len(node.inputs) - len(node.attrs["layer"].weights)
            called = {"layer": known[id(node.attrs["layer"])], "form": _plain(node.attrs["form"])}
            rows.append({**called, "inputs": [place[i] for i in node.inputs[:count]]})
        else:
            attrs = {key: _plain(value) for key, value in node.attrs.items()}
            rows.append({"op": node.op.name, "inputs": [place[i] for i in node.inputs], "attrs": attrs})
    ends = {"inputs": _form(model.input_form, place), "outputs": _form(model.output_form, place)}
    return {**ends, "nodes": rows, "layers": [describe(layer) for layer in model.layers]}


def _restored(said: Mapping[str, Any], kind: type) -> Model:
    layers = {each["name"]: restore(each) for each in said["layers"]}
    made: list[Any] = []
    for row in said["nodes"]:
        made.append(None if "weight" in row else _made(row, made, layers))
    return kind(_formed(said["inputs"], made), _formed(said["outputs"], made))


def _made(row: Mapping[str, Any], made: list[Any], layers: Mapping[str, Layer]) -> Any:
    if "kind" in row:
        return _made_leaf(row)
    inputs = [made[index] for index in row["inputs"]]
    if "layer" in row:
        return layers[row["layer"]](*put_together(_unplain(row["form"]), inputs))
    record = registry.lookup(f"op.{row['op']}")
    attrs = {key: _unplain(value) for key, value in row["attrs"].items()}
    return record.node(inputs, **attrs) if record.variadic else record.node(*inputs, **attrs)


def _leaf(leaf: Any) -> Any:
    if leaf is None:
        return None
    said = {"kind": leaf.kind, "shape": _plain(leaf.shape), "dtype": leaf.dtype, "name": leaf.name}
    return said if leaf.array is None else {**said, "value": leaf.array.tolist()}


def _made_leaf(said: Mapping[str, Any]) -> Leaf:
    if said["kind"] == "input":
        return input_leaf(_unplain(said["shape"]), said["name"], said["dtype"])
    value = np.array(said["value"], dtype=said["dtype"])
    return constant(value, said["name"]) if said["kind"] == "constant" else array_leaf(value)


def _form(value: Any, place: Mapping[Node, int]) -> Any:
    if isinstance(value, Mapping):
        return {key: place[node] for key, node in value.items()}
    return [place[node] for node in value] if isinstance(value, (list, tuple)) else place[value]


def _formed(said: Any, made: list[Any]) -> Any:
    if isinstance(said, dict):
        return {key: made[index] for key, index in said.items()}
    return [made[index] for index in said] if isinstance(said, list) else made[said]


def _plain(value: Any) -> Any:
    if isinstance(value, Rows):
        return {"rows": value.count}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        return M * value["rows"]
    return tuple(map(_unplain, value)) if isinstance(value, list) else value


def describe_inputs(leaves: Any) -> Any:
    """The input leaves of a built model, in their structure."""
    if isinstance(leaves, Mapping):
        return {"dict": {key: _leaf(leaf) for key, leaf in leaves.items()}}
    return [_leaf(leaf) for leaf in leaves] if isinstance(leaves, (list, tuple)) else _leaf(leaves)


def restore_inputs(said: Any) -> Any:
    """New input leaves in the structure that `describe_inputs` described."""
    if isinstance(said, list):
        return [_made_leaf(each) for each in said]
    return {key: _made_leaf(leaf) for key, leaf in said["dict"].items()} if "dict" in said else _made_leaf(said)


def clone_model(model: Any) -> Any:
    """A new model of the same structure, uncompiled, with new layers and freshly drawn weights.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2)])
    >>> bl.clone_model(model).count_params()
    8
    """
    clone: Any = restore(describe(model))
    if model.built and not clone.built:
        clone.build_on(restore_inputs(describe_inputs(model.input_leaves)))
    return clone
