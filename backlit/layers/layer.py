"""What a layer is: a configuration, weights that are made when its input shape is known, and `call`, which builds
nodes."""

from __future__ import annotations

import inspect
import math
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from ..core import arguments, registry
from ..core.errors import (
    ArgumentError,
    DataError,
    MissingAttributeError,
    NotReadyError,
    ShapeError,
    ValueRangeError,
    did_you_mean,
    not_written,
    room_for,
)
from ..core.node import FLOATS, STRONG, Leaf, Node, as_array, input_leaf
from ..core.op import as_node, cast, composite
from ..core.record import Record, snake
from ..core.seed import next_draw, next_model_seed
from ..core.shapes import M, Rows, Shape, checked, show
from ..ops.elementwise import mark
from ..ops.random import bernoulli
from .constraints import Constraint, ConstraintLike
from .initializers import Initializer, InitializerLike
from .regularizers import Regularizer, RegularizerLike

_running = threading.local()
_OURS = __name__.rpartition(".")[0]  # backlit.layers
STREAMS = 16  # kept for the weights of one layer, and as many for its calls
_CALLS = 1 << 20  # where the streams of layer calls begin


class Pass:
    """One building of the graph: in which mode, what it writes into state, which penalties it adds."""

    def __init__(self, training: bool, seed: Node | None = None, step: Node | None = None):
        self.training, self.seed, self.step = training, seed, step
        self.writes: dict[Leaf, Node] = {}
        self.calls: Counter[Layer] = Counter()
        self.penalties: list[Node] = []  # what layers add to the loss, beside the penalties on their weights

    def read(self, leaf: Leaf) -> Node:
        """The state as it stands in this pass: what was last written, so that a layer used twice goes on from
        itself."""
        return self.writes.get(leaf, leaf)

    def write(self, leaf: Leaf, new: Node) -> None:
        """What the state shall be after the step."""
        self.writes[leaf] = cast(new, leaf.dtype)

    def __enter__(self) -> Pass:
        self._before = getattr(_running, "current", None)
        _running.current = self
        return self

    def __exit__(self, *exc: Any) -> None:
        _running.current = self._before


@contextmanager
def values_follow(limit: int) -> Iterator[None]:
    """Weights that are made inside get their values afterwards, from a file: none are drawn now. Together they take at
    most `limit` bytes, what the file holds: ShapeError before memory is taken for more."""
    _running.promised = limit
    try:
        yield
    finally:
        _running.promised = None


def _promised(name: str, shape: Shape, dtype: str) -> bool:
    """Whether the values of a weight follow; it must fit into what is left of them."""
    left = getattr(_running, "promised", None)
    if left is None:
        return False
    _running.promised = left - math.prod(shape) * np.dtype(dtype).itemsize
    if _running.promised < 0:
        raise ShapeError(f"the weights are larger than the values that follow for them: {name!r} {show(shape)}.")
    return True


def current_pass() -> Pass | None:
    """The pass that is being built in this thread, or None outside of any."""
    return getattr(_running, "current", None)


_floatx = {"dtype": "float32"}


@arguments.checked
def floatx() -> str:
    """The dtype of new layers and models: "float32" unless set otherwise."""
    return _floatx["dtype"]


@arguments.checked
def set_floatx(dtype: str) -> None:
    """Make new layers and models "float32" or "float64"."""
    _floatx["dtype"] = _checked_float(dtype)


def _checked_float(dtype: str) -> str:
    if dtype not in FLOATS:
        raise ValueRangeError(f"layers do not compute in {dtype!r}.", expected="'float32' or 'float64'")
    return dtype


class Layer(Record):
    """The base of all layers. A layer of your own has `build(shape)`, which makes weights, and `call(x, training)`.

    >>> import backlit as bl, numpy as np
    >>> class Scale(bl.layers.Layer):
    ...     def build(self, shape):
    ...         self.factor = self.add_weight("factor", (shape[-1],), "ones")
    ...     def call(self, x, training=False):
    ...         return x * self.factor
    >>> Scale()(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0]]
    """

    family = "layer"
    joins: ClassVar[bool] = False  # whether it takes several inputs at once; one's own layers may, whatever it says

    @arguments.checked
    def __init__(self, name: str | None = None, trainable: bool = True, dtype: str | None = None):
        self.given_name, self._trainable = name, trainable
        self.dtype = floatx() if dtype is None else _checked_float(dtype)
        self.base_name = name or snake(type(self).__name__)
        self.name = self.path = self.base_name
        self.seed: int | None = None
        self.position = 0
        self.owned = False  # whether a model has given it its place
        self._parts: dict[str, list[Layer]]
        self.forget()

    def __setattr__(self, name: str, value: Any) -> None:
        found = _layers_in(value) if name != "arguments" else []
        if found or name in self.__dict__.get("_parts", ()):
            self.__dict__.setdefault("_parts", {})[name] = found
        super().__setattr__(name, value)

    # ------------------------------------------------------------------ to be written by a layer
    def build(self, shape: Shape) -> None:
        """Make the weights for inputs of `shape`, whose first axis is m."""

    def call(self, x: Any, training: bool = False) -> Any:
        """Build the nodes of the output."""
        raise not_written(self, "call(self, x, training=False)")

    # ------------------------------------------------------------------ parts, names and places
    @property
    def layers(self) -> list[Layer]:
        """The layers that this one is made of: those held by its attributes, in the order they were set."""
        return list(dict.fromkeys(layer for part in self.__dict__.get("_parts", {}).values() for layer in part))

    def everything(self) -> list[Layer]:
        """This layer and all layers below it, each once, parents first."""
        found: dict[Layer, None] = {self: None}
        for layer in self.layers:
            found.update(dict.fromkeys(layer.everything()))
        return list(found)

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets all layers below, too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.everything():
            layer._trainable = bool(value)

    def settle(self, seed: int, position: int, path: str) -> None:
        """Take a place in a model: it decides the first values of weights, the streams of draws and the weights' names.

        Values that are no longer those of the start are kept.
        """
        if not self.owned:
            follow = getattr(_running, "promised", None) is not None
            fresh = [] if follow else [name for name in self._weights if self._is_fresh(name)]
            self.owned, self.seed, self.position = True, seed, position
            for name in fresh:
                self._weights[name].assign(self._first_values(name))
        self.path = path
        for name, leaf in self._weights.items():
            leaf.rename(f"{path}/{name}")

    def _first_values(self, name: str) -> Any:
        initializer, number = self._initial[name]
        return initializer.sample(self._weights[name].shape, self.seed or 0, self.position * STREAMS + number)

    def _is_fresh(self, name: str) -> bool:
        values = np.asarray(self._first_values(name), dtype=self.dtype)
        return self.seed is None and bool(np.array_equal(self._weights[name].array, values))

    # ------------------------------------------------------------------ what every layer has
    def forget(self) -> None:
        """Go back to the state before `build`."""
        self.built = False
        self.input_shape: Any = ()
        self.output_shape: Any = None
        self._weights: dict[str, Leaf] = {}
        self._initial: dict[str, tuple[Initializer, int]] = {}
        self._regularizers: dict[str, Regularizer] = {}
        self._constraints: dict[str, Any] = {}

    @arguments.checked
    def add_weight(
        self,
        name: str | None = None,
        shape: Sequence[Any] = (),
        initializer: InitializerLike = "glorot_uniform",
        trainable: bool = True,
        regularizer: RegularizerLike | None = None,
        constraint: ConstraintLike | None = None,
    ) -> Leaf:
        """Make a weight in `build`. Its first values depend on the model's seed and the layer's position alone.

        Without a `name` it is called by its number: weight_0, weight_1, … Raises ArgumentError for a name twice.
        """
        name = f"weight_{len(self._weights)}" if name is None else name
        if name in self._weights:
            raise ArgumentError(
                f"layer {self.name!r} ({type(self).__name__}) has a weight {name!r} already.",
                why="the second would take the place of the first, which is then neither trained nor saved",
                fix="give each weight a name of its own",
            )
        if any(isinstance(dim, Rows) for dim in shape):
            raise ShapeError(
                "a weight has a fixed shape, whatever the number of examples.",
                expected="whole numbers",
                found=f"{name!r} of shape {show(tuple(shape))}",
                fix="x.reshape(-1, 1) makes one feature of a vector",
            )
        fixed = checked(shape)
        kind, full = "variable" if trainable else "state", f"{self.path}/{name}"
        follows = _promised(full, fixed, self.dtype)
        with room_for(f"the weight {full!r} {show(fixed)}", fix="fewer units, or smaller inputs"):
            leaf = Leaf(kind, np.zeros(fixed, self.dtype), name=full, shape=fixed, dtype=self.dtype, weak=STRONG)
            leaf.trainable = trainable
            self._weights[name] = leaf
            self._initial[name] = Initializer.get(initializer), len(self._weights)
            if not follows:
                leaf.assign(self._first_values(name))
        if regularizer is not None:
            self._regularizers[name] = Regularizer.get(regularizer)
        if constraint is not None:
            self._constraints[name] = Constraint.get(constraint)
        return leaf

    def ensure_built(self, shape: Any) -> None:
        """Build once; a later input of another shape is refused."""
        if not self.built:
            self.build(shape)
            self.built, self.input_shape = True, shape
        elif self._weights and isinstance(shape, tuple) and shape[1:] != self.input_shape[1:]:
            raise ShapeError(
                f"layer {self.name!r} ({type(self).__name__}) was built for another input.",
                expected=f"shape {show(self.input_shape)}",
                found=f"shape {show(shape)}",
                fix="feed what it was built for, or make a new layer",
            )

    @arguments.checked
    def __call__(self, *inputs: Any, training: bool = False) -> Any:
        """On arrays arrays; on nodes nodes: in a pass the output's, outside of one a node that stands for the call."""
        form, values = taken_apart(inputs)
        if not values:
            raise ArgumentError(f"layer {self.name!r} is called on nothing.", fix="layer(x)")
        if not any(isinstance(value, Node) for value in values):
            return self._on_arrays(form, values, training)
        nodes = list(map(as_node, values))
        running = current_pass()
        if running is not None:
            return self._in(running, form, nodes)
        if not self.built:
            with Pass(training=False):
                self(*put_together(form, nodes))  # makes the weights, which are inputs of the call
        self._called_before = number = self.__dict__.get("_called_before", -1) + 1
        made = layer_call.node([*nodes, *self.weights], layer=self, number=number, form=form)
        self._last_call = (put_together(form, nodes), list(made) if made.several else made)
        return made

    def _in(self, running: Pass, form: Any, nodes: list[Node]) -> Any:
        """The marked output nodes in a pass."""
        number = running.calls[self]
        running.calls[self] += 1
        given = put_together(form, nodes)
        if form != (None,) and not self.joins and type(self).__module__.startswith(_OURS):
            raise ArgumentError(
                f"layer {self.name!r} ({type(self).__name__}) takes one input.",
                found=f"{len(nodes)} inputs",
                fix="join them first: bl.layers.Concatenate()([a, b])",
            )
        try:
            with tentative(self.everything()):
                self.ensure_built(shapes_of(given[0] if len(given) == 1 else list(given)))
                out = self._called(given, running.training)
        except ShapeError as error:
            raise self._misfit(error, nodes) from None
        name = self.name if number == 0 else f"{self.name}:{number}"
        if isinstance(out, (tuple, list)):
            self.output_shape = [part.shape for part in out]
            return [mark.node(o, name=f"{name}.{k}", layer=self.name, call=number) for k, o in enumerate(out)]
        self.output_shape = out.shape
        return mark.node(out, name=name, layer=self.name, call=number)

    def _called(self, given: tuple[Any, ...], training: bool) -> Any:
        """`call`, with `training` where it takes it."""
        call: Any = self.call
        takes_it = "training" in inspect.signature(call).parameters
        return call(*given, training=training) if takes_it else call(*given)

    def _misfit(self, error: ShapeError, nodes: Sequence[Node]) -> ShapeError:
        shapes = " and ".join(show(node.shape) for node in nodes)
        place = f"layer {self.name!r} ({type(self).__name__}) on an input of {shapes}"
        return ShapeError(error.message, **{**error.fields, "where": place})

    def _on_arrays(self, form: Any, values: Sequence[Any], training: bool) -> Any:
        arrays = list(map(as_array, values))
        leaves = [input_leaf((M, *a.shape[1:]), dtype=self._dtype_of(a)) for a in arrays]
        if self.seed is None:
            self.seed = next_model_seed()
        with Pass(training):
            out = self(*put_together(form, leaves))
        roots = out if isinstance(out, list) else [out]
        known = registry.lookup("values.reference")(
            roots, dict(zip(leaves, arrays, strict=True))
        )  # engines stand above
        results = [np.array(known[root]) for root in roots]
        return results if isinstance(out, list) else results[0]

    def _dtype_of(self, array: Any) -> str:
        return self.dtype if array.dtype.kind == "f" else str(array.dtype)

    @property
    def input(self) -> Any:
        """What the layer was last called on in a functional or built sequential model: a node, or a list of nodes."""
        return self._call_made()[0][0]

    @property
    def output(self) -> Any:
        """The node of the layer's last call, to make another model of: ``Model(model.inputs, layer.output)``."""
        return self._call_made()[1]

    def _call_made(self) -> Any:
        made = self.__dict__.get("_last_call")
        if made is None:
            raise NotReadyError(f"layer {self.name!r} has not been called on an Input.", fix="build the model first")
        return made

    # ------------------------------------------------------------------ weights
    @property
    def weights(self) -> list[Leaf]:
        """All weights, in the order they were made."""
        return list(dict.fromkeys(leaf for layer in self.everything() for leaf in layer._weights.values()))

    @property
    def trainable_weights(self) -> list[Leaf]:
        """The weights that training changes."""
        return list(
            dict.fromkeys(
                leaf
                for layer in self.everything()
                for leaf in layer._weights.values()
                if leaf.kind == "variable" and layer.trainable
            )
        )

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Leaf]:
        """The weights that training leaves to the layers themselves, or that are frozen."""
        trained = set(self.trainable_weights)
        return [leaf for leaf in self.weights if leaf not in trained]

    def named_weights(self) -> dict[str, Leaf]:
        """Weights by their names below this layer: ``{"kernel": …, "bias": …}``, ``{"dense/kernel": …}``."""
        found = dict(self._weights)
        for layer in self.layers:
            found.update({f"{layer.name}/{name}": leaf for name, leaf in layer.named_weights().items()})
        return found

    def get_weights(self) -> list[Any]:
        """Copies of the weights' values."""
        return [np.array(leaf.array) for leaf in self.weights]

    @arguments.checked
    def set_weights(self, values: Sequence[Any]) -> None:
        """Give every weight a value; all of them or, where one does not fit, none.

        Raises ShapeError for other shapes, DataError for NaN or infinity.
        """
        arrays = [as_array(value) for value in values]
        shapes, wanted = [a.shape for a in arrays], [leaf.shape for leaf in self.weights]
        if shapes != wanted:
            raise ShapeError(
                f"these are not the weights of {self.name!r}.",
                expected=f"shapes {wanted}",
                found=f"shapes {shapes}",
            )
        fitting = [leaf.fitting(array) for leaf, array in zip(self.weights, arrays, strict=True)]
        if wrong := [leaf.name for leaf, array in zip(self.weights, fitting, strict=True) if not np.isfinite(array).all()]:
            raise DataError(
                f"weights are finite numbers; these of {', '.join(map(str, wrong))} are not all finite.",
                why="no training could go on from them",
            )
        for leaf, array in zip(self.weights, fitting, strict=True):
            leaf.assign(array)

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        if not self.built:
            raise NotReadyError(f"layer {self.name!r} has no weights yet.", fix="call it, or fit the model, first")
        return sum(leaf.array.size for leaf in self.weights)

    def keep_mask(self, shape: Shape, p: float) -> Node:
        """Bits that are True with probability p, of this call and this training step: the same on every engine."""
        running = current_pass()
        if running is None or running.seed is None or running.step is None:  # no training step: a draw like any other
            seed, stream = next_draw()
            return bernoulli.node(seed, 0, shape=shape, stream=stream, p=p)
        stream = _CALLS + self.position * STREAMS + running.calls[self] - 1
        return bernoulli.node(running.seed, running.step, shape=shape, stream=stream, p=p)

    def add_loss(self, penalty: Any) -> None:
        """Add a number, computed in `call`, to the loss of the pass that is being built."""
        running = current_pass()
        if running is not None:
            running.penalties.append(cast(as_node(penalty), self.dtype))

    def penalties(self) -> list[Node]:
        """What the regularizers of this layer and those below add to the loss."""
        return [
            cast(regularizer(layer._weights[name]), layer.dtype)
            for layer in self.everything()
            for name, regularizer in layer._regularizers.items()
        ]

    def constraints(self) -> dict[Leaf, Any]:
        """What brings a weight back after an update, for the weights that have a constraint."""
        return {
            layer._weights[name]: constraint
            for layer in self.everything()
            for name, constraint in layer._constraints.items()
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "arguments":
            raise AttributeError(name)
        if "base_name" not in vars(self):
            raise MissingAttributeError(
                f"{type(self).__name__}.__init__ has not called that of its base.", fix="super().__init__() as its first line"
            )
        if hasattr(type(self), name):  # a property that needs what `build` makes
            raise MissingAttributeError(
                f"{self.name!r} has no {name} before it is built.", fix="build it, or call it on data"
            )
        raise MissingAttributeError(
            f"{type(self).__name__} has no attribute {name!r}.", fix=did_you_mean(name, dir(self))
        )


# ---------------------------------------------------------------------- structures of inputs
def taken_apart(inputs: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """(form, values) of the inputs of a call: one value, a list, a dict, or several arguments of these kinds."""
    forms: list[Any] = []
    values: list[Any] = []
    for each in inputs:
        if isinstance(each, dict):
            forms.append(tuple(each))
            values += each.values()
        elif isinstance(each, (tuple, list)) and any(isinstance(item, (Node, np.ndarray)) for item in each):
            forms.append(len(each))
            values += each
        else:
            forms.append(None)
            values.append(each)
    return tuple(forms), values


def put_together(form: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    """The inputs that `taken_apart` took apart."""
    rest, out = list(values), []
    for each in form:
        count = 1 if each is None else each if isinstance(each, int) else len(each)
        part, rest = rest[:count], rest[count:]
        out.append(part[0] if each is None else part if isinstance(each, int) else dict(zip(each, part, strict=True)))
    return tuple(out)


def shapes_of(value: Any) -> Any:
    """The shapes of a structure of nodes, in the same structure."""
    if isinstance(value, dict):
        return {key: shapes_of(part) for key, part in value.items()}
    return [shapes_of(part) for part in value] if isinstance(value, list) else value.shape


def _layers_in(value: Any) -> list[Layer]:
    if isinstance(value, Layer):
        return [value]
    if isinstance(value, (list, tuple)):
        return [layer for item in value for layer in _layers_in(item)]
    return [layer for item in value.values() for layer in _layers_in(item)] if isinstance(value, dict) else []


def _symbolic(values: Sequence[Node], *, layer: Layer, number: int, form: Any) -> Any:
    """The definition of a layer's call outside a pass: what it computes in inference mode."""
    with Pass(training=False):
        return layer(*put_together(form, values))


def _call_text(node: Node, given: Sequence[str]) -> str:
    layer = node.attrs["layer"]
    return f"{layer.name}({', '.join(given[: len(given) - len(layer.weights)])})"


layer_call = composite(
    "layer_call",
    define=_symbolic,
    holds_leaves=True,
    text=_call_text,
    doc="The call of a layer, run again in each mode by the model that holds it.",
)


@contextmanager
def tentative(layers: Sequence[Layer]) -> Iterator[None]:
    """Layers that are built inside are as unbuilt as before if what follows fails."""
    unbuilt = [layer for layer in layers if not layer.built]
    try:
        yield
    except BaseException:
        for layer in unbuilt:
            layer.forget()
        raise
