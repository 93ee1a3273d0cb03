"""Layers joined into networks: one after another, or as the calls between given inputs and outputs.

A network is a layer itself. What it computes is built anew in each mode: a chain calls its layers in order, a
functional network runs again the calls that lead from its inputs to its outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import arguments
from ..core.errors import ArgumentError, GraphError, NotReadyError, ValueRangeError
from ..core.node import FLOATS, DType, Leaf, Node, input_leaf
from ..core.seed import next_model_seed
from ..core.shapes import M, checked
from ..core.walk import again, topological
from .layer import Layer, Pass, current_pass, floatx, layer_call, put_together, tentative


@arguments.checked
def Input(shape: Any = None, batch_size: Any = None, dtype: DType | None = None, name: str | None = None) -> Leaf:
    """A place for one batch of examples of `shape` (without the batch axis), to call layers on.

    `dtype`: floatx() by default; "int64" for ids. The batch axis is the symbol m, so a fixed `batch_size` is refused.

    >>> import backlit as bl
    >>> bl.Input((400,)).shape
    (m, 400)
    """
    if shape is None or batch_size is not None:
        raise ArgumentError(
            "Input takes the shape of one example.",
            found=f"shape={shape}, batch_size={batch_size}",
            fix="Input(shape=(400,))",
        )
    return input_leaf((M, *checked(shape)), name or "input", dtype or floatx())


class Network(Layer):
    """The base of networks: it gives its layers their places, builds them together, and runs them in a mode."""

    joins = True

    def __init__(self, name: str | None = None, trainable: bool = True):
        super().__init__(name=name, trainable=trainable)
        self.input_leaves: Any = None  # in the structure of the inputs: one leaf, a list or a dict
        self.given_seed: int | None = None

    # ------------------------------------------------------------------ places
    def adopt(self) -> None:
        """Give every layer its seed, position, unique name and the path in its weights' names."""
        if self.seed is None:
            self.seed = self.given_seed if self.given_seed is not None else next_model_seed()
        name_apart(self.layers)
        position = 0
        stack = [(layer, "") for layer in reversed(self.layers)]
        while stack:
            layer, prefix = stack.pop()
            if isinstance(layer, Network) and layer.seed is None:
                layer.seed = self.seed
            name_apart(layer.layers)
            layer.settle(self.seed, position, prefix + layer.name)
            position += 1
            stack += [(part, f"{prefix}{layer.name}/") for part in reversed(layer.layers)]

    def run(self, inputs: tuple[Any, ...]) -> Any:
        """The output nodes in the pass that is being built, without a mark of the network's own."""
        running = current_pass()
        assert running is not None
        out = self._called(inputs, running.training)
        if isinstance(out, Mapping):
            self.output_form: Any = dict.fromkeys(out)
            return list(out.values())
        return list(out) if isinstance(out, tuple) else out

    def build_for(self, inputs: Any) -> Any:
        """Make all weights for input leaves of these shapes, or none; returns the output nodes in inference mode."""
        with tentative(self.everything()):
            self.adopt()  # the seed is kept if the build fails, so that the next one starts from the same weights
            with Pass(training=False):
                out = self.run((inputs,))
            for node in out if isinstance(out, list) else [out]:
                if node.dtype not in FLOATS:
                    raise ArgumentError("the outputs must be floating-point numbers.", found=node.dtype)
        self.adopt()  # layers that made layers while they were built
        self.input_leaves = inputs
        return out


def name_apart(layers: Sequence[Layer]) -> None:
    """Automatic names count up: dense, dense_1; two layers of one given name are refused."""
    given = [layer.given_name for layer in layers if layer.given_name]
    if twice := [name for name, count in Counter(given).items() if count > 1]:
        raise ValueRangeError(f"two layers are called {twice[0]!r}.", fix="give each its own name")
    taken = set(given)
    for layer in layers:
        if layer.given_name:
            continue
        base, number = layer.base_name, 0
        while (name := f"{base}_{number}" if number else base) in taken:
            number += 1
        taken.add(name)
        layer.name = name


class Functional(Network):
    """The calls that lead from `inputs` to `outputs`."""

    def connect(self, inputs: Any, outputs: Any) -> None:
        """Take the calls between the given leaves and nodes; outputs that need other inputs are refused."""
        self.input_form, self.output_form = inputs, outputs
        self.starts, self.ends = ([] if given is None else flat(given) for given in (inputs, outputs))
        if not self.starts or not self.ends:
            what = "output" if self.starts else "input"
            raise ArgumentError(f"a model needs an {what}.", fix="x = Input((4,)); Model(x, Dense(1)(x))")
        known = set(self.starts)
        if len(known) < len(self.starts):
            twice = next(start for start in self.starts if self.starts.count(start) > 1)
            raise ArgumentError(f"the input {twice.name!r} is there twice.", fix="an Input of its own for each part of X")
        for node in (*self.starts, *self.ends):
            if not isinstance(node, Node):
                raise ArgumentError(f"{node!r} is no input or output.", fix="x = Input((4,)); Model(x, Dense(1)(x))")
        self.order = topological(self.ends, lambda node: () if node in known else node.inputs)
        for node in self.order:
            if isinstance(node, Leaf) and node.kind == "input" and node not in known:
                raise GraphError(
                    f"the outputs need the input {node.name!r}, which the model does not have.",
                    expected=", ".join(str(start.name) for start in self.starts),
                    fix="Model(inputs=[...all of them...], outputs=...)",
                )
        self.called = [node.attrs["layer"] for node in self.order if node.op is layer_call]

    def call(self, x: Any, training: bool = False) -> Any:
        """Run the calls again in the pass that is being built."""
        given = flat(x)
        if len(given) != len(self.starts):
            names = ", ".join(str(start.name) for start in self.starts)
            raise ArgumentError(f"{self.name!r} has other inputs.", expected=names, found=f"{len(given)} inputs")
        made: dict[Node, Any] = dict(zip(self.starts, given, strict=True))
        for node in self.order:
            if node in made:
                continue
            inputs = [made[i] for i in node.inputs]
            if node.op is layer_call:
                made[node] = node.attrs["layer"](*put_together(node.attrs["form"], inputs))
            elif node.op.name == "item" and isinstance(inputs[0], list):
                made[node] = inputs[0][node.attrs["place"]]
            else:
                made[node] = again(node, tuple(inputs))
        ends = [made[end] for end in self.ends]
        return ends if len(ends) > 1 or isinstance(self.output_form, (list, tuple, dict)) else ends[0]


def flat(value: Any) -> list[Any]:
    """The parts of a structure: of a list, a dict (by its order), or the value itself."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def chain(layers: Sequence[Layer], x: Any) -> Any:
    """Every layer on the output of the one before."""
    if not layers:
        raise NotReadyError("the model has no layers.", fix="Sequential([Dense(1)])")
    for layer in layers:
        x = layer(x)
    return x
