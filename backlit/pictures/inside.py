"""What pictures need to know of a network: the values of its layers, a plane through its inputs, the classes of y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core import registry
from ..core.arguments import shown
from ..core.errors import ArgumentError, NotReadyError, ShapeError, UnknownNameError, ValueRangeError, did_you_mean
from ..core.node import Leaf, Node, input_leaf
from ..core.shapes import show
from ..core.walk import topological
from ..layers.layer import Pass
from ..train import door, feed
from ..view.outputs import Output, ends, outputs

SIDE = 121  # places along each side of a map


def ready(model: Any) -> Any:
    """A model that has weights."""
    if not hasattr(model, "input_leaves") or not hasattr(model, "predict"):
        raise ArgumentError(f"{shown(model)} is no model.", expected="a Sequential or a Model")
    if not model.built:
        raise NotReadyError("the model has no weights yet.", fix="model.build((n,)) with n columns, or fit it")
    return model


# ---------------------------------------------------------------------- the values of layers
@dataclass(frozen=True)
class Layered:
    """One layer in the graph: its weighted sum (what the activation is applied to) and its output."""

    name: str
    z: Node
    a: Node
    activation: str  # "" for none
    before: Node | None  # the output of the layer that it reads, None where it reads an input


class Inside:
    """The graph of a model in inference mode, layer by layer, on inputs of its own."""

    def __init__(self, model: Any):
        self.model = ready(model)
        self.leaves = [input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in model.inputs]
        with Pass(False):
            self.ends = model.forward(self.leaves)
        self.layers: dict[str, Layered] = {}
        for node in topological(self.ends):
            if node.op.name == "mark" and node.attrs.get("layer"):
                self.layers.setdefault(node.attrs["name"], self._layer(node))

    def _layer(self, node: Node) -> Layered:
        inner = node.inputs[0]
        while inner.op.name in ("linear", "cast"):
            inner = inner.inputs[0]
        bends = inner.op.role == "activation" and len(inner.inputs) == 1
        z = inner.inputs[0] if bends else node
        before = [
            n for n in topological([node], lambda n: () if n is not node and _output(n) else n.inputs) if _output(n)
        ]
        before = [n for n in before if n is not node]
        return Layered(node.attrs["name"], z, node, inner.op.name if bends else "", before[0] if before else None)

    def named(self, layer: Any) -> Layered:
        """The layer of that name, or of a layer object."""
        name = getattr(layer, "name", layer)
        if name not in self.layers:
            raise UnknownNameError(
                f"there is no layer {name!r}.",
                expected=", ".join(self.layers),
                fix=did_you_mean(str(name), self.layers),
            )
        return self.layers[name]

    def with_units(self) -> list[Layered]:
        """The layers whose output is one row of units an example."""
        weighty = {layer.name for layer in self.model.everything() if layer.weights}
        found = [each for each in self.layers.values() if len(each.a.shape) == 2]
        return [each for each in found if each.name in weighty and _affine(each)] or found

    def chosen(self, layer: Any) -> Layered:
        """The layer that was asked for; for None the first one with units."""
        first = self.with_units()[:1]
        return first[0] if layer is None and first else self.named(layer)

    def values(self, nodes: Sequence[Node], x: Any) -> list[Any]:
        """The values of nodes for inputs that were made ready."""
        known = registry.lookup("values.reference")(nodes, dict(zip(self.leaves, x, strict=True)))
        return [np.asarray(known[node], np.float64) for node in nodes]

    def from_middle(self, nodes: Sequence[Node], middle: Node, given: Any) -> list[Any]:
        """The values of nodes where the node `middle` has given values; nothing else of the inputs may be needed."""
        below = topological(nodes, lambda node: () if node is middle else node.inputs)
        if any(isinstance(node, Leaf) and node.kind == "input" for node in below):
            raise ValueRangeError(
                "this layer reads more than the layer before it.", fix='space="inputs" maps it over the model\'s inputs'
            )
        known = registry.lookup("values.reference")(nodes, {middle: given})
        return [np.asarray(known[node], np.float64) for node in nodes]


def _output(node: Node) -> bool:
    return node.op.name == "mark" and bool(node.attrs.get("layer"))


def _affine(each: Layered) -> bool:
    """Whether it computes sums of products, as a dense layer does."""
    below = topological([each.a], lambda node: () if node is each.before else node.inputs)
    return any(node.op.name == "matmul" for node in below)


# ---------------------------------------------------------------------- data
def rows_of(model: Any, x: Any) -> list[Any]:
    """X as the model takes it, refused where `predict` would refuse it."""
    return [np.asarray(part[:]) for part in ready(model).ready(x)]


def reading(model: Any) -> Output:
    """What the only output of a model means."""
    found = outputs(ready(model), ends(model), "")
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise ArgumentError(
            "this picture is of one output.", found=f"the outputs {names}", fix="bl.Model(model.inputs, one_output)"
        )
    return found[0]


@dataclass(frozen=True)
class Decision:
    """How the outputs of a classifier are read: its classes' names, and the class and its probability of each output."""

    names: tuple[str, ...]
    link: str  # "sigmoid", "softmax" or "" for scores
    logits: bool

    def of(self, out: Any) -> tuple[Any, Any]:
        """(class, how probable it is or, for scores, 1) for outputs (m, k)."""
        out = np.asarray(out, np.float64)
        if self.logits and self.link:
            out = np.asarray(registry.lookup(f"op.{self.link}")(out))
        if out.shape[1] > 1:
            return out.argmax(axis=1), out.max(axis=1) if self.link else np.ones(len(out))
        p = out[:, 0]
        if not self.link:
            return (p > 0).astype(int), np.ones(len(p))
        return (p > 0.5).astype(int), np.where(p > 0.5, p, 1 - p)


def decision(model: Any) -> Decision:
    """How a model decides between classes; refused where its outputs are no classes."""
    found = reading(model)
    units = found.shape[-1] if len(found.shape) == 2 else 0
    link = found.link or (found.last if found.last in ("sigmoid", "softmax") else "")
    classes = units > 1 or link == "sigmoid" or (found.loss is not None and found.loss.signs)
    if found.loss is not None and not (found.loss.probabilities or found.loss.signs):
        classes = False
    if not units or not classes:
        raise ValueRangeError(
            "the outputs of this model are no classes.",
            found=f"{found.kind} of shape {show(found.shape)}",
            fix="bl.plot.curve(model, X, y) draws what a regression has fitted",
        )
    if link == "sigmoid" and units > 1:
        raise ValueRangeError(
            f"each of the {units} outputs is a label of its own.",
            fix="bl.plot.units(model, X, layer=...) has a map for each of them",
        )
    names = model.classes or tuple(map(str, range(max(units, 2))))
    return Decision(tuple(map(str, names)), link, found.kind in ("logits", "scores") or found.link != link)


def labels(model: Any, x: Any, y: Any, count: int) -> Any:
    """The class of each row (m,) as whole numbers, from numbers, names, one-hot rows or signs."""
    rows = len(rows_of(model, x)[0])
    if model.asked is not None and len(model.heads) == 1:
        numbers = feed.class_numbers(np.asarray(feed.feed(model, x, y).y[0][:]))
    else:
        numbers = feed.class_numbers(np.asarray(door.array_of(y, "y")))
    numbers = np.asarray(numbers, np.float64)
    if numbers.min(initial=0) == -1:
        numbers = (numbers + 1) / 2
    if len(numbers) != rows:
        raise ShapeError("X and y have different numbers of examples.", found=f"X {rows}, y {len(numbers)}")
    whole = numbers.astype(int)
    if (whole != numbers).any() or (whole < 0).any() or (whole >= count).any():
        raise ValueRangeError(f"y must name the {count} classes.", expected=f"whole numbers 0..{count - 1}")
    return whole


# ---------------------------------------------------------------------- a plane through the inputs
@dataclass(frozen=True)
class Plane:
    """A grid over two columns; the others are held at their middle values. `points` are the data, (m, 2)."""

    names: tuple[str, str]
    along: Any
    up: Any
    points: Any
    held: str = ""
    rows: Any = field(default=None, repr=False)  # the grid as rows of all columns

    def shaped(self, values: Any) -> Any:
        """Values of the grid's rows as (up, along, …)."""
        return np.asarray(values).reshape(len(self.up), len(self.along), *np.shape(values)[1:])


def plane(array: Any, columns: Any, names: Sequence[str], what: str, whole: bool = False) -> Plane:
    """The plane of two columns of (m, n) numbers, with room around the data."""
    if array.ndim != 2 or array.shape[1] < 2:
        raise ShapeError(
            f"a map needs two {what}.",
            found=f"{what} of shape {show(('m', *array.shape[1:]))}".replace("'", ""),
            fix="bl.plot.curve(model, X, y) draws a model of one input" if array.ndim == 2 else "",
        )
    wide = array.shape[1]
    pair = tuple(columns) if isinstance(columns, (list, tuple)) else (columns,)
    places = [names.index(each) if isinstance(each, str) and each in names else each for each in pair]
    if len(places) != 2 or not all(isinstance(k, (int, np.integer)) and 0 <= k < wide for k in places):
        raise ValueRangeError(
            f"columns must be two of the {wide} {what}.", found=shown(columns), fix=f"columns=(0, {min(1, wide - 1)})"
        )
    pair = (int(places[0]), int(places[1]))
    points = np.asarray(array[:, pair], np.float64)
    sides = []
    for k in (0, 1):
        low, high = float(points[:, k].min()), float(points[:, k].max())
        room = 0.08 * (high - low) or 1.0
        sides.append(np.linspace(low - room if low < 0 or not whole else max(0.0, low - room), high + room, SIDE))
    rows = np.tile(np.median(array, axis=0), (SIDE * SIDE, 1)).astype(array.dtype)
    rows[:, pair[0]], rows[:, pair[1]] = np.tile(sides[0], SIDE), np.repeat(sides[1], SIDE)
    held = held_at(wide - 2, what)
    return Plane((names[pair[0]], names[pair[1]]), sides[0], sides[1], points, held, rows)


def held_at(others: int, what: str) -> str:
    """What became of the inputs that a picture does not show, in a sentence."""
    if others == 1:
        return f"The other one of the {what} is held at its median."
    return f"The other {others} {what} are held at their medians." if others > 0 else ""


def input_names(model: Any, x: Any, wide: int) -> list[str]:
    """The names of the columns of X: those the model knows, those of a table, or x0, x1, …"""
    known = getattr(getattr(model, "columns", None), "encoded", None) or getattr(x, "columns", None)
    names = [str(each) for each in known] if known is not None and len(known) == wide else []
    return names or [f"x{place}" for place in range(wide)]


def input_plane(model: Any, x: Any, columns: Any) -> tuple[Plane, list[Any]]:
    """(the plane over two inputs, X as the model takes it)."""
    rows = rows_of(model, x)
    if len(rows) > 1:
        raise ArgumentError("a map is of one input.", found=f"{len(rows)} inputs")
    array = rows[0]
    names = input_names(model, x, array.shape[-1])
    return plane(array, columns, names, "inputs"), rows
