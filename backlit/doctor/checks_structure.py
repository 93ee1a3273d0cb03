"""Whether layers, windows and first weights can do what they are there for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..core.node import Node
from ..layers.conv import Conv2D
from ..layers.dense import Dense
from ..layers.pool import GlobalAveragePooling2D, MaxPooling2D
from ..layers.reshape import Flatten
from .linear import Product
from .programs import ROWS, classes, network, points, sparse
from .subject import Subject

_SHAPING = frozenset(["mark", "cast", "linear", "reshape", "transpose"])
_MOST_LEFT_OUT = 1 / 3


class LinearLayersCollapse(Check):
    """Two or more layers with weights and nothing nonlinear between them: together they are one layer.

    A run that passes a layer narrower than its input and its output is no fault: it is a product of low rank, such as a
    linear autoencoder.
    """

    rules, severity = (13,), "warning"
    argument = "activation"
    why = "a linear function of a linear function is a linear function, however many units lie between"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The runs of products between which all operations are linear."""
        model = subject.facts.model
        trained = set(model.trainable_variables)
        kinds = {layer.name: layer for layer in model.everything()}
        for run in subject.facts.linear.chains:
            if any(leaf not in trained for one in run for leaf in one.weights):
                continue  # a frozen layer is there for what it has learnt elsewhere
            run = list({one.layer: one for one in run}.values())  # a shared layer is called twice and named once
            last, inner = run[-1], run[:-1]
            narrow = any(one.width < min(one.fan_in, last.width) for one in inner)
            yield {
                "layer": inner[0].layer,
                "layers": [one.layer for one in run],
                "widths": [run[0].fan_in, *(one.width for one in run)],
                "dense": isinstance(kinds.get(inner[0].layer), Dense),
                "narrow": narrow,
                "weights": sum(leaf.array.size for one in run for leaf in one.weights),
            }

    def wrong(self, v: Values) -> bool:
        """No layer between is a bottleneck."""
        return not v["narrow"]

    def message(self, v: Values) -> str:
        """Which layers, and what they amount to."""
        names = v["layers"]
        listed = f"{', '.join(map(str, names[:-1]))} and {names[-1]}"
        return f"{listed} have no activation between them: together they are one linear layer."

    def fix(self, v: Values) -> str:
        """An activation for all but the last of them."""
        *hidden, last = v["layers"]
        what = "activation='relu'" if v["dense"] else "an activation"
        return f"{what} in {' and '.join(hidden)} ({last}, the last of them, stays as it is)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A ReLU between them."""
        return Repair(layers={name: {"activation": "relu"} for name in v["layers"][:-1]})

    def bad(self) -> tuple[Any, ...]:
        """A hidden layer without an activation."""
        return network(Dense(8), Dense(3), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """With one."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)


class EqualUnits(Check):
    """A layer whose units start with equal weights and get equal gradients: they stay equal for ever."""

    rules, phase, needs, severity = (16,), "data", ("x", "y"), "error"
    argument = "kernel_initializer"
    explains = ("first_weights_of_wrong_size",)
    why = "equal units get equal gradients, so that the layer is worth one unit, or none where the gradient is 0"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """For every matrix of weights whose columns are equal: whether the columns of its gradient are, too."""
        products = [(one, leaf) for one in subject.facts.trained.products for leaf in one.weights]
        equal = [(one, leaf) for one, leaf in products if leaf.array.ndim > 1 and _columns_equal(leaf.array)]
        slopes = subject.facts.gradient([leaf for _, leaf in equal], subject) if equal else []
        stuck = [one for (one, _), slope in zip(equal, slopes, strict=True) if _columns_equal(slope)]
        first = stuck[0] if stuck else products[0][0] if products else None
        if first is not None:
            kernel = next(leaf for one, leaf in products if one is first)
            yield {
                "layer": first.layer,
                "stuck": [one.layer for one in stuck],
                "units": first.width,
                "weights": float(kernel.array.flat[0]),
            }

    def wrong(self, v: Values) -> bool:
        """There is such a layer."""
        return bool(v["stuck"])

    def message(self, v: Values) -> str:
        """Which layers."""
        more = f", and so do those of {', '.join(v['stuck'][1:])}" if len(v["stuck"]) > 1 else ""
        return f"all {v['units']} units start with equal weights and equal gradients, and stay equal{more}."

    def fix(self, v: Values) -> str:
        """A random start."""
        return (
            "kernel_initializer='glorot_uniform', the default, or 'he_normal' before a ReLU; zeros are right for biases"
        )

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The usual start."""
        return Repair(layers={name: {"kernel_initializer": "glorot_uniform"} for name in v["stuck"]})

    def bad(self) -> tuple[Any, ...]:
        """A network of zeros."""
        layers = Dense(8, "relu", kernel_initializer="zeros"), Dense(3, kernel_initializer="zeros")
        return network(*layers, loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Zeros in the last layer alone, which are no fault."""
        return network(Dense(8, "relu"), Dense(3, kernel_initializer="zeros"), loss=sparse()), points(), classes(3)


def _columns_equal(array: Any) -> bool:
    """Whether all columns are equal, of at least two."""
    flat = np.asarray(array).reshape(-1, array.shape[-1])
    if flat.shape[1] < 2 or not np.isfinite(flat).all():
        return False
    near = 1e-6 * max(flat.max(), -flat.min())
    return all(bool(np.abs(part - part[:, :1]).max() <= near) for part in (flat[:8], flat))


# ---------------------------------------------------------------------- windows
class WeightsOnPadding(Check):
    """A window larger than the map that it slides over, so that most of its weights only ever see the zeros around it, as
    those of 3 × 3 on one point do, all but the middle one. It follows from the shapes."""

    rules, severity = (57,), "warning"
    argument = "kernel_size"
    why = "weights that are only ever multiplied by zeros are never trained and change nothing"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """For each window with weights how many of its places meet data somewhere."""
        for product in subject.facts.linear.products:
            node = _windows_of(product)
            filled = None if node is None else _filled(node.inputs[0])
            if node is not None and filled is not None:
                window = list(node.attrs["window"])
                seen = [len(_met(node, axis, mask)) for axis, mask in enumerate(filled)]
                yield {
                    "layer": product.layer,
                    "window": window,
                    "map": [int(mask.sum()) for mask in filled],
                    "seen": seen,
                    "useless": 1 - float(np.prod(seen) / np.prod(window)),
                }

    def wrong(self, v: Values) -> bool:
        """More than half of the weights."""
        return bool(v["useless"] > 0.5)

    def message(self, v: Values) -> str:
        """Which window on which map."""
        sizes = f"a window of {_by(v['window'])} on a map of {_by(v['map'])}"
        return f"{sizes}: {v['useless']:.0%} of the weights only ever see padding."

    def fix(self, v: Values) -> str:
        """A window that fits, or a larger map."""
        return (
            f"kernel_size={v['seen'][0] if len(set(v['seen'])) == 1 else tuple(v['seen'])}, or less pooling before it"
        )

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The middle alone, which computes the same, where nothing else meets data."""
        return Repair(layers={v["layer"]: {"kernel_size": 1}}) if set(v["seen"]) == {1} else None

    def bad(self) -> tuple[Any, ...]:
        """3 × 3 on the one point that pooling has left."""
        return _pictures(Conv2D(4, 3, padding="same", activation="relu"), 8)

    def good(self) -> tuple[Any, ...]:
        """On 4 × 4."""
        return _pictures(Conv2D(4, 3, padding="same", activation="relu"), 2)


def _pictures(second: Any, pooled: int) -> tuple[Any, ...]:
    first = Conv2D(4, 3, padding="same", activation="relu"), MaxPooling2D(pooled)
    rng = np.random.Generator(np.random.PCG64(2))
    x = rng.normal(size=(ROWS, 8, 8, 1)) + classes(3).reshape(-1, 1, 1, 1)
    return network(*first, second, GlobalAveragePooling2D(), Dense(3), loss=sparse()), x, classes(3)


def _by(sizes: list[int]) -> str:
    return " × ".join(map(str, sizes)) if len(sizes) > 1 else str(sizes[0])


def _windows_of(product: Product) -> Node | None:
    """The windows that the weights slide over the data in, if they do."""
    node = product.data
    while node.op.name in _SHAPING:
        node = node.inputs[0]
    return node if node.op.name == "windows" else None


def _filled(node: Node) -> list[Any] | None:
    """For each axis of a map which of its places hold data, not padding; None where its size is not known."""
    if node.op.name in ("mark", "cast", "linear"):
        return _filled(node.inputs[0])
    if not all(isinstance(size, int) for size in node.shape[1:-1]):
        return None
    inner = _filled(node.inputs[0]) if node.op.name == "dilate" else None
    if inner is None:
        return [np.ones(size, dtype=bool) for size in node.shape[1:-1]]
    found = []
    for axis, mask in enumerate(inner, 1):
        wide = np.zeros(node.shape[axis], dtype=bool)
        start, gap = node.attrs["low"][axis], node.attrs["interior"][axis] + 1
        wide[start : start + gap * (len(mask) - 1) + 1 : gap] = mask
        found.append(wide)
    return found


def _met(node: Node, axis: int, mask: Any) -> Any:
    """The places of the window along this axis that meet data at one of the positions of the window."""
    return np.flatnonzero(mask[_reached(node, axis)].any(axis=0))


def _reached(node: Node, axis: int) -> Any:
    """Which place of the map each place of the window is at: (positions, places)."""
    stride, gap = node.attrs["strides"][axis], node.attrs["dilation"][axis]
    starts = stride * np.arange(node.shape[1 + axis])
    return starts[:, np.newaxis] + gap * np.arange(node.attrs["window"][axis])


class PlacesLeftOut(Check):
    """Windows that do not reach more than a third of the map, since it is no multiple of their stride: 2 × 2 on 3 × 3."""

    rules, severity = (57,), "note"
    argument = "padding"
    why = "what no window reaches has no influence; the smaller the map, the larger its share"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """For windows that lie side by side or overlap, the share of the data that no one reaches."""
        facts = subject.facts
        for node in facts.linear.order:
            if node.op.name == "windows" and all(
                map(_closed, *(node.attrs[key] for key in ("window", "strides", "dilation")))
            ):
                filled = _filled(node.inputs[0])
                if filled is not None:
                    reached = [np.isin(np.flatnonzero(mask), _reached(node, k)).mean() for k, mask in enumerate(filled)]
                    yield {
                        "layer": facts.linear.layers.get(node),
                        "window": list(node.attrs["window"]),
                        "map": [int(mask.sum()) for mask in filled],
                        "left_out": 1 - float(np.prod(reached)),
                    }

    def wrong(self, v: Values) -> bool:
        """More than a third."""
        return bool(v["left_out"] > _MOST_LEFT_OUT)

    def message(self, v: Values) -> str:
        """Which window on which map."""
        return f"windows of {_by(v['window'])} leave out {v['left_out']:.0%} of a map of {_by(v['map'])}."

    def fix(self, v: Values) -> str:
        """Windows over the edge."""
        return "padding='same', or a map whose size is a multiple of the stride"

    def bad(self) -> tuple[Any, ...]:
        """2 × 2 on 3 × 3."""
        return self._pooled("valid")

    def good(self) -> tuple[Any, ...]:
        """Windows over the edge."""
        return self._pooled("same")

    def _pooled(self, padding: str) -> tuple[Any, ...]:
        layers = Conv2D(4, 2, activation="relu"), MaxPooling2D(2, padding=padding), Flatten(), Dense(3)
        rng = np.random.Generator(np.random.PCG64(2))
        x = rng.normal(size=(ROWS, 4, 4, 1)) + classes(3).reshape(-1, 1, 1, 1)
        return network(*layers, loss=sparse()), x, classes(3)


def _closed(window: int, stride: int, gap: int) -> bool:
    """Whether nothing is left out between two windows, as a stride that is longer than the window does on purpose."""
    return gap * (window - 1) + 1 >= stride
