"""Models from Keras's `.keras` files: chains and functional networks of the layers that both libraries have."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..core import registry
from ..core.errors import BacklitError, FileError, UnknownNameError
from ..core.node import FLOATS
from ..core.op import Op
from ..core.record import given_back, snake
from ..io import keras_file
from ..io.keras_file import Group
from ..layers.layer import Layer, values_follow
from ..layers.network import Input
from ..layers.preprocessing import Normalization
from . import frozen, stored
from .model import Model
from .sequential import Sequential
from .structure import FUNCTIONS, known_as

Held: TypeAlias = list[tuple[Layer, Group]]  # layers, each with what the file holds of its weights
_NETWORKS = ("Sequential", "Functional", "Model")
_ARITHMETIC = {  # what operators between layers become in Keras's file, by its names
    "Add": "add", "Subtract": "subtract", "Multiply": "multiply", "Divide": "divide", "TrueDivide": "divide",
    "Negative": "negative", "Power": "power", "Square": "square", "Sqrt": "sqrt", "Exp": "exp", "Log": "log",
    "Absolute": "absolute", "Tanh": "tanh", "Sigmoid": "sigmoid", "Relu": "relu", "Maximum": "maximum",
    "Minimum": "minimum",
}  # fmt: skip
_COMPILED = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
_WITHOUT_EFFECT = frozenset(["name", "renorm_momentum", "seed"])  # where what they belong to is off


def load(path: Path, custom_objects: Any, compile: bool, notes: list[str]) -> Any:
    """The model in the file, its weights, and loss, optimizer and metrics as far as they are known here, the optimizer
    at its start. `notes` collects what is left out. Raises FileError, which names what this library does not have."""
    said, weights = keras_file.read(path)
    things = known_as(custom_objects or {})
    try:
        with registry.lent(things):
            limit = 2 * path.stat().st_size  # statistics stand in the configuration, as text
            with values_follow(limit), np.errstate(all="ignore"):
                held: Held = []
                model = _network(said, weights, held)
            if model.built:
                _fill(held)
                stored.affordable(frozen.traced(model)[1])
            if compile and said.get("compile_config"):
                _compile(model, said["compile_config"], notes)
    except BacklitError as error:
        fields = {key: text for key, text in error.fields.items() if key != "where"}
        raise FileError(f"{path} holds what this library cannot read: {error.message}", **fields) from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError, RecursionError) as error:
        raise FileError(f"{path} does not describe a model of Keras.", found=str(error).split("\n")[0]) from error
    return model


# ---------------------------------------------------------------------- layers and networks
def _network(said: Mapping[str, Any], weights: Group, held: Held) -> Any:
    """A chain or functional network; `held` collects its layers with their weights."""
    if said["class_name"] not in _NETWORKS:
        raise FileError(
            f"its model is a {said['class_name']!r:.60}, whose code is not in the file.",
            expected="a Sequential or functional model",
        )
    config = said["config"]
    inside = dict(zip((each["config"]["name"] for each in config["layers"]), _groups(config, weights), strict=True))
    make = _functional if "input_layers" in config else _chain
    model: Any = make(config, inside, held)
    model.given_name = model.base_name = model.name = model.path = str(config["name"])
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _groups(config: Mapping[str, Any], weights: Group) -> Iterator[Group]:
    """The weights of each layer in turn: Keras counts the layers of a class, in snake case."""
    inner = weights.inner.get("layers", Group()).inner
    by_name = {group.name: group for group in inner.values() if group.name}
    seen: Counter[str] = Counter()
    for each in config["layers"]:
        kind = snake(each["class_name"])
        counted = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        yield by_name.get(each["config"]["name"]) or inner.get(counted) or Group()


def _chain(config: Mapping[str, Any], inside: Mapping[str, Group], held: Held) -> Sequential:
    model = Sequential()
    start = None
    for each in config["layers"]:
        if each["class_name"] == "InputLayer":
            start = _input(each["config"])
        else:
            model.add(_layer(each, inside[each["config"]["name"]], held))
    if start is not None:
        model.expect(start)
    elif config.get("build_input_shape"):
        model.build(config["build_input_shape"])
    return model


def _layer(said: Mapping[str, Any], weights: Group, held: Held) -> Any:
    if said["class_name"] in _NETWORKS:
        return _network(said, weights, held)
    kind = said["class_name"]
    config = {key: _plain(value) for key, value in said["config"].items()}
    if kind == "Normalization" and config.get("mean") is None:
        mean, variance = weights.arrays[:2]
        config.update(mean=mean.tolist(), variance=variance.tolist())
    if config.get("dtype", "float32") not in FLOATS:
        raise FileError(f"layer {config['name']!r} computes in {config['dtype']!r:.60}.", expected=" or ".join(FLOATS))
    cls = registry.find(f"layer.{kind}")
    if cls is None:
        raise FileError(
            f"there is no layer {kind!r} (of {config['name']!r}).", fix=f"custom_objects={{{kind!r}: {kind}}}"
        )
    layer = cls.from_config(_taken(cls, config))
    layer.trainable = bool(config.get("trainable", True))
    held.append((layer, weights))
    return layer


def _taken(cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that our class takes; another one is refused unless it asks for nothing."""
    known = inspect.signature(cls).parameters
    for key, value in config.items():
        asks = value is not None and value is not False and (key, value) != ("trainable", True)
        if key not in known and asks and key not in _WITHOUT_EFFECT:
            raise FileError(f"{cls.__name__} has no {key} here.", found=f"{key}={value!r:.60}")
    return {key: value for key, value in config.items() if key in known}


def _plain(value: Any) -> Any:
    """A value of Keras's configuration as ours: records as {"class", "config"}, dtypes by name. Code is refused."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name")
    if kind is None:
        return {key: _plain(item) for key, item in value.items()}
    if kind == "__lambda__":
        raise FileError(
            "it holds Python code, which is never run from a file.",
            fix="write the function as a layer of your own in Keras, and pass the same here in custom_objects",
        )
    if kind == "function":
        return {"own": value["config"]}
    if kind == "DTypePolicy":
        return value["config"]["name"]
    if kind in ("__numpy__", "__tensor__"):
        return value["config"]["value"]
    return {"class": kind, "config": {key: _plain(item) for key, item in value["config"].items()}}


# ---------------------------------------------------------------------- functional networks
def _input(config: Mapping[str, Any]) -> Any:
    shape = config["batch_shape"] if "batch_shape" in config else config["batch_input_shape"]
    dtype = _plain(config.get("dtype", "float32"))
    return Input(
        shape=shape[1:], dtype="int64" if str(dtype).startswith(("int", "uint")) else dtype, name=config["name"]
    )


def _functional(config: Mapping[str, Any], inside: Mapping[str, Group], held: Held) -> Model:
    calls = _Calls(config, inside, held)
    return Model(calls.ends(config["input_layers"]), calls.ends(config["output_layers"]))


class _Calls:
    """The calls of layers on one another: each is made when what it reads has been made."""

    def __init__(self, config: Mapping[str, Any], inside: Mapping[str, Group], held: Held):
        self.held = held
        self.said = {each["config"]["name"]: each for each in config["layers"]}
        self.inside = inside
        self.layers: dict[str, Any] = {}
        self.made: dict[tuple[str, int], Any] = {}

    def ends(self, said: Any) -> Any:
        """Inputs or outputs of the network, in Keras's structure: one, a list or a dict of [layer, call, place]."""
        if isinstance(said, dict):
            return {key: self.tensor(each) for key, each in said.items()}
        return self.tensor(said) if isinstance(said[0], str) else [self.tensor(each) for each in said]

    def tensor(self, history: Any) -> Any:
        """What [layer, call, place] is."""
        name, number, place = history
        self.make((str(name), int(number)))
        out = self.made[str(name), int(number)]
        return out[int(place)] if isinstance(out, list) else out

    def make(self, wanted: tuple[str, int]) -> None:
        """Make a call and all that it needs; a circle of calls is refused."""
        stack, open_ = [wanted], set()
        while stack:
            call = stack[-1]
            missing = [] if call in self.made else [each for each in self.needs(call) if each not in self.made]
            if not missing:
                if call not in self.made:
                    self.made[call] = self.result(call)
                stack.pop()
                continue
            if call in open_:
                raise FileError(f"layer {call[0]!r} needs its own output.")
            open_.add(call)
            stack += missing

    def node(self, call: tuple[str, int]) -> Any:
        """What the file says of a call."""
        if call[0] not in self.said:
            raise FileError(f"there is no layer {call[0]!r:.60} in it.")
        return self.said[call[0]]["inbound_nodes"][call[1]]

    def needs(self, call: tuple[str, int]) -> list[tuple[str, int]]:
        """The calls whose results a call reads."""
        if self.said.get(call[0], {}).get("class_name") == "InputLayer":
            return []
        return [(str(name), int(number)) for name, number, _ in _histories(self.node(call)["args"])]

    def result(self, call: tuple[str, int]) -> Any:
        """The output of a call whose inputs have been made."""
        said = self.said[call[0]]
        if said["class_name"] == "InputLayer":
            return _input(said["config"])
        node = self.node(call)
        if given := [key for key, value in node.get("kwargs", {}).items() if value not in (None, False)]:
            raise FileError(f"layer {call[0]!r} is called with {given[0]}, which is not known here.")
        args = [self.read(each) for each in node["args"]]
        if str(said.get("module", "")).startswith("keras.") and ".ops" in said["module"]:
            return _operation(said, args)
        if call[0] not in self.layers:
            self.layers[call[0]] = _layer(said, self.inside[call[0]], self.held)
        return self.layers[call[0]](*args)

    def read(self, value: Any) -> Any:
        """An argument of a call."""
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            return self.tensor(value["config"]["keras_history"])
        if isinstance(value, dict) and "class_name" not in value:
            return {key: self.read(item) for key, item in value.items()}
        return _plain(value)


def _histories(value: Any) -> Iterator[Any]:
    """Every [layer, call, place] in the arguments of a call."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, dict) and each.get("class_name") == "__keras_tensor__":
            yield each["config"]["keras_history"]
        elif isinstance(each, (list, dict)):
            stack += each if isinstance(each, list) else each.values()


def _operation(said: Mapping[str, Any], args: list[Any]) -> Any:
    """Arithmetic between layers."""
    kind = said["class_name"]
    record = registry.find(f"op.{_ARITHMETIC.get(kind)}")
    if not isinstance(record, Op) or set(said["config"]) - {"name", "trainable", "dtype"}:
        raise FileError(f"there is no operation {kind!r} here (of {said['config'].get('name')!r}).")
    return record.node(*args)


# ---------------------------------------------------------------------- weights and training
def _fill(held: Held) -> None:
    """Give every weight its value; FileError, before any is given, where one does not fit."""
    values = [pair for layer, weights in held for pair in _values(layer, weights)]
    for leaf, array in values:
        if leaf.shape != array.shape or not np.isfinite(array).all():
            raise FileError(
                f"its values for {leaf.name!r} do not fit.",
                expected=f"finite numbers of shape {leaf.shape}",
                found=f"shape {array.shape}",
            )
    for leaf, array in values:
        leaf.array[...] = array


def _values(layer: Layer, weights: Group) -> list[tuple[Any, Any]]:
    leaves = layer._weights
    if isinstance(layer, Normalization):  # its statistics are in its configuration by now
        return [(leaf, np.asarray(layer._first_values(name))) for name, leaf in leaves.items()]
    if len(leaves) != len(weights.arrays):
        found = f"{len(weights.arrays)} arrays"
        raise FileError(f"layer {layer.name!r} has other weights here.", expected=", ".join(leaves), found=found)
    return list(zip(leaves.values(), weights.arrays, strict=True))


def _compile(model: Any, said: Mapping[str, Any], notes: list[str]) -> None:
    """Compile as in Keras, as far as it is known here."""
    try:
        given = {key: given_back(_known(_plain(said.get(key))), FUNCTIONS) for key in _COMPILED}
        model.compile(**given)
    except (BacklitError, LookupError, TypeError, ValueError, AttributeError) as error:
        told = error.message if isinstance(error, BacklitError) else str(error)
        notes.append(f"{told} The model predicts; compile it again to train.")


def _known(value: Any) -> Any:
    """Records with the arguments that ours take; what asks for something that ours cannot is refused."""
    if isinstance(value, list):
        return [_known(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"class", "config"}:
        return {key: _known(item) for key, item in value.items()}
    kinds = [registry.find(f"{family}.{value['class']}") for family in ("optimizer", "loss", "metric", "schedule")]
    cls = next((kind for kind in kinds if kind is not None), None)
    if cls is None:
        raise UnknownNameError(f"there is no {value['class']!r}.", name=value["class"])
    config = {key: _known(item) for key, item in value["config"].items()}
    if isinstance(config.get("learning_rate"), float):
        config["learning_rate"] = float(str(np.float32(config["learning_rate"])))  # Keras keeps 0.01 in 32 bits
    return {"class": value["class"], "config": _taken(cls, config)}
