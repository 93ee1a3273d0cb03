"""Networks as plain dicts and back: chains, functional graphs, layers inside layers. Behind files and clones."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, FileError, UnknownNameError
from ..core.node import FLOATS, Leaf, Node, array_leaf, constant, input_leaf
from ..core.op import Op
from ..core.record import Record, is_own, own_name, serialize
from ..core.shapes import M, Rows, show
from ..layers.layer import Layer, layer_call, put_together
from ..layers.network import Functional
from .model import Model
from .sequential import Sequential
from .stored import applied, earlier, plain, unplain


class Own:
    """Somebody's own classes, functions and objects in a description, by the names under which it speaks of them."""

    def __init__(self) -> None:
        self.things: dict[str, Any] = {}

    def lent(self) -> AbstractContextManager[None]:
        """Inside, the things are found by these names."""
        return registry.lent(known_as(self.things))

    def name(self, thing: Any) -> str:
        """The thing's name; a second thing of the same name is name#2."""
        name = base = own_name(thing)
        number = 1
        while self.things.setdefault(name, thing) is not thing:
            number += 1
            name = f"{base}#{number}"
        return name

    def kind(self, thing: Any) -> str:
        """The name of the class of a record."""
        return self.name(type(thing)) if is_own(type(thing)) else type(thing).__name__

    def plain(self, value: Any) -> Any:
        """What `serialize` makes of a value, with these names."""
        if isinstance(value, Record):
            return {"class": self.kind(value), "config": self.config(value)}
        if isinstance(value, Mapping):
            return {key: self.plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value]
        said = serialize(value)
        return {"own": self.name(value)} if isinstance(said, dict) else said

    def config(self, record: Record) -> dict[str, Any]:
        """The record's configuration; where `get_config` left an argument to `serialize`, with these names."""
        config = dict(record.get_config())
        for key, value in record.arguments.items():
            if key in config and config[key] in (serialize(value), own_name(value)):
                config[key] = self.plain(value)
        return config


FUNCTIONS = ("own", "loss function", "metric function")  # what the registry calls functions of somebody's own
_FAMILIES = ("layer", "initializer", "regularizer", "constraint", "loss", "metric", "optimizer", "schedule")


def known_as(things: Any) -> dict[str, Any]:
    """Somebody's own classes and functions, by the names under which the registry is asked for them."""
    if not isinstance(things, Mapping):
        found = repr(things)[:60]
        raise ArgumentError("custom_objects is a dict.", expected="{name: class or function}", found=found)
    known: dict[str, Any] = {}
    for name, thing in things.items():
        if isinstance(thing, type) and issubclass(thing, Record):
            known[f"{thing.family}.{name}"] = thing
        if isinstance(thing, Op):
            known[f"op.{name}"] = thing
        known.update({f"{kind}.{name}": thing for kind in FUNCTIONS})
    return known


def describe(layer: Layer, own: Own | None = None) -> dict[str, Any]:
    """A layer or network: its class, name, configuration, and what it is made of; `own` collects what is no code of
    the library."""
    own = own or Own()
    if "described" in vars(layer):  # code of it is not here
        return {**layer.described, "name": layer.name}
    said = {"class": own.kind(layer), "name": layer.name, "trainable": layer.trainable, "dtype": layer.dtype}
    if isinstance(layer, Sequential):
        return {**said, "input": _leaf(layer.input_leaves), "layers": [describe(each, own) for each in layer.layers]}
    if "order" in vars(layer):
        return {**said, **_functional(layer, own)}  # type: ignore[arg-type]
    return {**said, "config": own.config(layer)}


def network(model: Model) -> dict[str, Any] | None:
    """What `Model.get_config` gives for a chain or functional network."""
    of_layers = isinstance(model, Sequential) or "order" in vars(model) or "described" in vars(model)
    return describe(model) if of_layers else None


def from_config(kind: Any, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
    """See `Model.from_config`."""
    with registry.lent(known_as(custom_objects or {})):
        if "class" not in config:
            return super(Model, kind).from_config(config)
        model = restore(config)
    if not isinstance(model, kind):
        raise ArgumentError(f"this configuration is not of a {kind.__name__}.", found=repr(model))
    return model


def restore(said: Mapping[str, Any]) -> Layer:
    """The layer or network that `describe` described, with weights of its own.

    Raises UnknownNameError for a class or function that is not defined here, and for a class of somebody's own that
    does not take what it was described by.
    """
    kind = Layer.named(said["class"])
    try:
        if "nodes" in said:
            layer = _restored(said, kind)
        elif "layers" in said:
            layer = _restored_chain(said, kind)
        else:
            layer = kind.from_config(_with_records(said["config"]) if is_own(kind) else said["config"])
    except UnknownNameError:
        raise
    except Exception as error:
        if not is_own(kind):
            raise
        raise UnknownNameError(
            f"{said['class']} cannot be made from what the file says of it.", name=said["class"], found=str(error)
        ) from error
    if said["dtype"] not in FLOATS:
        raise FileError(f"a layer does not compute in {said['dtype']!r}.")
    for part in layer.everything() if "config" in said else [layer]:  # parts of a network know their own
        part.dtype = said["dtype"]
    layer.given_name = layer.base_name = layer.name = layer.path = str(said["name"])
    if not said["trainable"]:
        layer.trainable = False
    return layer


def unknown(said: Any) -> list[str]:
    """The names of classes and functions in a description that are not defined here."""
    known = {name.partition(".")[2] for name in registry.names()}
    found: dict[str, None] = {}
    stack = [said]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += reversed(value.values())
            name = value.get("class", "")
            if isinstance(name, str) and name and name not in known and registry.find(f"layer.{name}") is None:
                found[name] = None
            if set(value) == {"own"} and registry.find(f"own.{value['own']}") is None:
                found[str(value["own"])] = None
        elif isinstance(value, list):
            stack += reversed(value)
    return list(found)


def _with_records(value: Any) -> Any:
    """The arguments of somebody's own class, with the records that it was given: it need not read descriptions."""
    if isinstance(value, list):
        return [_with_records(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"class", "config"}:
        return {key: _with_records(item) for key, item in value.items()}
    for family in _FAMILIES:
        if (kind := registry.find(f"{family}.{value['class']}")) is not None:
            return kind.from_config(_with_records(value["config"]) if is_own(kind) else value["config"])
    raise UnknownNameError(f"{value['class']!r} is not known here.", name=value["class"])


def _restored_chain(said: Mapping[str, Any], kind: type) -> Sequential:
    model: Sequential = kind()
    for each in said["layers"]:
        model.add(restore(each))
    if said["input"] is not None:
        model.expect(_made_leaf(said["input"]))
    return model


# ---------------------------------------------------------------------- functional graphs
def _functional(model: Functional, own: Own) -> dict[str, Any]:
    place = {node: index for index, node in enumerate(model.order)}
    known = {id(layer): layer.name for layer in model.layers}
    rows = []
    for node in model.order:
        if isinstance(node, Leaf):
            weight = node.kind in ("variable", "state")
            rows.append({"weight": True} if weight else _leaf(node))
        elif node.op is layer_call:
            count = len(node.inputs) - len(node.attrs["layer"].weights)
            called = {"layer": known[id(node.attrs["layer"])], "form": plain(node.attrs["form"])}
            rows.append({**called, "inputs": [place[i] for i in node.inputs[:count]]})
        else:
            attrs = {key: plain(value) for key, value in node.attrs.items()}
            rows.append({"op": node.op.name, "inputs": [place[i] for i in node.inputs], "attrs": attrs})
    ends = {"inputs": _form(model.input_form, place), "outputs": _form(model.output_form, place)}
    return {**ends, "nodes": rows, "layers": [describe(layer, own) for layer in model.layers]}


def _restored(said: Mapping[str, Any], kind: type) -> Model:
    layers = {each["name"]: restore(each) for each in said["layers"]}
    made: list[Any] = []
    for row in said["nodes"]:
        made.append(None if "weight" in row else _made(row, made, layers))
    return kind(_formed(said["inputs"], made), _formed(said["outputs"], made))


def _made(row: Mapping[str, Any], made: list[Any], layers: Mapping[str, Layer]) -> Any:
    if "kind" in row:
        return _made_leaf(row)
    if "layer" in row:
        inputs = [earlier(place, made) for place in row["inputs"]]
        return layers[row["layer"]](*put_together(unplain(row["form"]), inputs))
    return applied(registry.lookup(f"op.{row['op']}"), row, made)


def _leaf(leaf: Any) -> Any:
    if leaf is None:
        return None
    said = {"kind": leaf.kind, "shape": plain(leaf.shape), "dtype": leaf.dtype, "name": leaf.name}
    return said if leaf.array is None else {**said, "value": leaf.array.tolist()}


def _made_leaf(said: Mapping[str, Any]) -> Leaf:
    if said["kind"] == "input":
        shape = unplain(said["shape"])
        if any(isinstance(dim, Rows) and dim != M for dim in shape):
            raise FileError("an input has one row an example.", found=show(shape))
        return input_leaf(shape, said["name"], said["dtype"])
    value = np.array(said["value"], dtype=said["dtype"])
    return constant(value, said["name"]) if said["kind"] == "constant" else array_leaf(value)


def _form(value: Any, place: Mapping[Node, int]) -> Any:
    if isinstance(value, Mapping):
        return {key: place[node] for key, node in value.items()}
    return [place[node] for node in value] if isinstance(value, (list, tuple)) else place[value]


def _formed(said: Any, made: list[Any]) -> Any:
    if isinstance(said, dict):
        return {key: earlier(place, made) for key, place in said.items()}
    return [earlier(place, made) for place in said] if isinstance(said, list) else earlier(said, made)


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
    own = Own()
    said = describe(model, own)
    with own.lent():
        clone: Any = restore(said)
    if model.built and not clone.built:
        clone.build_on(restore_inputs(describe_inputs(model.input_leaves)))
    return clone


registry.register("io.network", network)
registry.register("io.from_config", from_config)
