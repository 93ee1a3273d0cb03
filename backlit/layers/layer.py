"""What a layer is: a configuration, weights that are made when its input shape is known, and `call`, which builds
nodes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import MissingAttributeError, NotReadyError, ShapeError, ValueRangeError, did_you_mean
from ..core.node import FLOATS, STRONG, Leaf, Node, as_array, input_leaf
from ..core.op import cast
from ..core.record import Record, snake
from ..core.seed import next_draw, next_model_seed
from ..core.shapes import Dim, M, Rows, Shape, checked, show
from ..ops.elementwise import mark
from ..ops.random import bernoulli
from .initializers import Initializer
from .regularizers import Regularizer

_running = threading.local()
STREAMS = 16  # kept for the weights of one layer, and as many for its calls
_CALLS = 1 << 20  # where the streams of layer calls begin


class Pass:
    """One building of the graph: in which mode, what it writes into state, which penalties it adds."""

    def __init__(self, training: bool, seed: Node | None = None, step: Node | None = None):
        self.training, self.seed, self.step = training, seed, step
        self.writes: dict[Leaf, Node] = {}
        self.calls: Counter[Layer] = Counter()

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


def current_pass() -> Pass:
    """The pass that is being built in this thread; outside of any, one for inference."""
    return getattr(_running, "current", None) or Pass(training=False)


class Input(Record):
    """The shape of one example, without the batch axis: ``Input(shape=(400,))``, or ``Input((400,))``."""

    family = "layer"

    def __init__(self, shape: Sequence[int], dtype: str | None = None, name: str | None = None):
        self.shape = checked(shape)
        self.dtype, self.name = floatx() if dtype is None else _checked_float(dtype), name or "input"


_floatx = {"dtype": "float32"}


def floatx() -> str:
    """The dtype of new layers and models: "float32" unless set otherwise."""
    return _floatx["dtype"]


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

    def __init__(self, name: str | None = None, trainable: bool = True, dtype: str | None = None):
        self.given_name, self.trainable = name, trainable
        self.dtype = floatx() if dtype is None else _checked_float(dtype)
        self.name = name or snake(type(self).__name__)
        self.seed: int | None = None
        self.position = 0
        self.forget()

    # ------------------------------------------------------------------ to be written by a layer
    def build(self, shape: Shape) -> None:
        """Make the weights for inputs of `shape`, whose first axis is m."""

    def call(self, x: Any, training: bool = False) -> Any:
        """Build the nodes of the output."""
        raise NotImplementedError(f"{type(self).__name__}.call")

    # ------------------------------------------------------------------ what every layer has
    def forget(self) -> None:
        """Go back to the state before `build`."""
        self.built = False
        self.input_shape: Shape = ()
        self.output_shape: Shape | None = None
        self._weights: dict[str, Leaf] = {}
        self._regularizers: dict[str, Regularizer] = {}

    def add_weight(
        self,
        name: str,
        shape: Sequence[Dim],
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        regularizer: Any = None,
    ) -> Leaf:
        """Make a weight in `build`. Its first values depend on the model's seed and the layer's position alone."""
        if any(isinstance(dim, Rows) for dim in shape):
            raise ShapeError(
                "a weight has a fixed shape, whatever the number of examples.",
                expected="whole numbers",
                found=f"{name!r} of shape {show(tuple(shape))}",
                fix="x.reshape(-1, 1) makes one feature of a vector",
            )
        if self.seed is None:
            self.seed = next_model_seed()
        stream = self.position * STREAMS + len(self._weights) + 1
        values = Initializer.get(initializer).sample(checked(shape), self.seed, stream)
        leaf = Leaf(
            "variable" if trainable else "state",
            np.array(values, dtype=self.dtype),
            name=f"{self.name}/{name}",
            shape=checked(shape),
            dtype=self.dtype,
            weak=STRONG,
        )
        leaf.trainable = trainable
        self._weights[name] = leaf
        if regularizer is not None:
            self._regularizers[name] = Regularizer.get(regularizer)
        return leaf

    def ensure_built(self, shape: Shape) -> None:
        """Build once; a later input of another shape is refused."""
        if not self.built:
            self.build(shape)
            self.built, self.input_shape = True, shape
        elif self._weights and shape[1:] != self.input_shape[1:]:
            raise ShapeError(
                f"layer {self.name!r} ({type(self).__name__}) was built for another input.",
                expected=f"shape {show(self.input_shape)}",
                found=f"shape {show(shape)}",
                fix="feed what it was built for, or make a new layer",
            )

    def __call__(self, x: Any, training: bool = False) -> Any:
        if not isinstance(x, Node):
            return self._on_arrays(x, training)
        running = current_pass()
        number = running.calls[self]
        running.calls[self] += 1
        try:
            with tentative([self]):
                self.ensure_built(x.shape)
                out = self.call(x, training=running.training)
        except ShapeError as error:
            raise self._misfit(error, x) from None
        self.output_shape = out.shape
        return mark.node(out, name=self.name if number == 0 else f"{self.name}:{number}", layer=self.name, call=number)

    def _misfit(self, error: ShapeError, x: Node) -> ShapeError:
        fields = {
            **error.fields,
            "where": f"layer {self.name!r} ({type(self).__name__}) on an input of {show(x.shape)}",
        }
        return ShapeError(error.message, **fields)

    def _on_arrays(self, x: Any, training: bool) -> Any:
        array = as_array(x)
        leaf = input_leaf((M, *array.shape[1:]), dtype=self.dtype)
        with Pass(training):
            out = self(leaf)
        values = registry.lookup("engine.values")([out], {leaf: array})  # engines stand above layers: asked for by name
        return np.array(values[out])

    # ------------------------------------------------------------------ weights
    @property
    def weights(self) -> list[Leaf]:
        """All weights, in the order they were made."""
        return list(self._weights.values())

    @property
    def trainable_weights(self) -> list[Leaf]:
        """The weights that training changes."""
        return [leaf for leaf in self.weights if leaf.kind == "variable" and self.trainable]

    def named_weights(self) -> dict[str, Leaf]:
        """Weights by their short names: ``{"kernel": …, "bias": …}``."""
        return dict(self._weights)

    def get_weights(self) -> list[Any]:
        """Copies of the weights' values."""
        return [np.array(leaf.array) for leaf in self.weights]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Give every weight a value; all of them or, where one does not fit, none."""
        arrays = [as_array(value) for value in values]
        shapes, wanted = [a.shape for a in arrays], [leaf.shape for leaf in self.weights]
        if shapes != wanted:
            raise ShapeError(
                f"these are not the weights of layer {self.name!r}.",
                expected=f"shapes {wanted}",
                found=f"shapes {shapes}",
            )
        for leaf, array in zip(self.weights, arrays, strict=True):
            leaf.assign(array)

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        if not self.built:
            raise NotReadyError(f"layer {self.name!r} has no weights yet.", fix="call it, or fit the model, first")
        return sum(leaf.array.size for leaf in self.weights)

    def keep_mask(self, shape: Shape, p: float) -> Node:
        """Bits that are True with probability p, of this call and this training step: the same on every engine."""
        running = current_pass()
        if running.seed is None or running.step is None:  # no training step: a draw like any other
            seed, stream = next_draw()
            return bernoulli.node(seed, 0, shape=shape, stream=stream, p=p)
        stream = _CALLS + self.position * STREAMS + running.calls[self] - 1
        return bernoulli.node(running.seed, running.step, shape=shape, stream=stream, p=p)

    def penalties(self) -> list[Node]:
        """What the regularizers add to the loss."""
        return [cast(regularizer(self._weights[name]), self.dtype) for name, regularizer in self._regularizers.items()]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "arguments":
            raise AttributeError(name)
        raise MissingAttributeError(
            f"{type(self).__name__} has no attribute {name!r}.", fix=did_you_mean(name, dir(self))
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
