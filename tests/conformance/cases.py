"""Every record, every case of its probe, with and without several examples: what the battery is made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import backlit.ops
from backlit.core import registry
from backlit.core.grad import grad
from backlit.core.node import FLOATS, Leaf, Node, input_leaf
from backlit.core.op import Case, Op, cast
from backlit.core.scalar import parse
from backlit.core.shapes import M, Rows, bind
from backlit.core.walk import Graph, expand, items, topological
from backlit.engines.base import Result, engine
from backlit.engines.reference import values
from backlit.engines.scalars import TABLE

ENGINES = ("reference", "planned", "compiled", "xla")  # a new engine: its name here, and the whole suite runs on it
ROWS = (1, 5)
ops = backlit.ops


@cache
def records() -> tuple[Op, ...]:
    """Every record but the leaves, once, whatever its aliases."""
    named = [registry.lookup(name) for name in registry.names("op.")]
    return tuple(dict.fromkeys(op for op in named if isinstance(op, Op) and op.kind != "leaf"))


def probed() -> list[Op]:
    """The records that carry samples."""
    return [op for op in records() if op.probe is not None]


def has_rows(value: Any) -> bool:
    """Whether a shape or an attribute mentions m."""
    return isinstance(value, Rows) or (type(value) is tuple and any(map(has_rows, value)))


# ---------------------------------------------------------------------- one record on one of its cases
@dataclass(frozen=True)
class Instance:
    """A record, one case of its probe, and the number of examples where the case mentions m."""

    op: Op
    case: Case
    rows: int | None

    def __str__(self) -> str:
        attrs = "".join(f", {key}={value}" for key, value in self.case.attrs.items())
        return f"{self.op.name}({', '.join(map(str, self.case.shapes))}{attrs}) with m = {self.rows}"

    @property
    def floats(self) -> list[int]:
        """The places of the inputs that one can differentiate by."""
        return [i for i in range(len(self.case.shapes)) if self.op.probe.sampler(i).dtype in FLOATS]

    def draw(self, seed: int = 0) -> list[np.ndarray]:
        """Values for the inputs, where the record is differentiable."""
        rng = np.random.default_rng([seed, *self.op.name.encode()])
        for _ in range(1000):
            arrays = [
                np.asarray(self.op.probe.sampler(place).draw(rng, bind(shape, self.rows)))
                for place, shape in enumerate(self.case.shapes)
            ]
            if not self.floats or (distance := said(self, "kinks", arrays)) is None or np.abs(distance).min() > 1e-2:
                return arrays
        raise AssertionError(f"{self}: every draw lies on a kink")

    def build(self, dtype: str = "float64") -> Built:
        """The record on fresh inputs of that float dtype."""
        leaves = [
            input_leaf(shape, f"x{place}", dtype if place in self.floats else self.op.probe.sampler(place).dtype)
            for place, shape in enumerate(self.case.shapes)
        ]
        given = (leaves,) if self.op.variadic else leaves
        node = self.op.node(*given, **self.case.attrs)
        return Built(leaves, node, items(node) if node.several else [node], self.rows)


def instances(op: Op) -> Iterator[Instance]:
    """All cases of a record's probe."""
    for case in op.probe.cases:
        mentions = has_rows(case.shapes) or any(map(has_rows, case.attrs.values()))
        for rows in ROWS if mentions else (None,):
            yield Instance(op, case, rows)


def said(instance: Instance, formula: str, arrays: Sequence[np.ndarray]) -> Any:
    """The record's own formula of that name (its domain, its kinks) on `arrays`; None where it has none."""
    text = getattr(instance.op, formula)
    if text is None:
        return None
    parsed = parse(text, tuple(instance.op.attrs))
    by_name = dict(zip(instance.op.inputs, arrays, strict=True))
    attrs = {**instance.op.attrs, **instance.case.attrs}
    return parsed.run(TABLE, [by_name[name] for name in parsed.inputs], attrs)


ANCHOR = input_leaf((M,), "anchor")  # tells the engines m where no input of a record does


@dataclass(frozen=True)
class Built:
    """Input leaves, the node on them and its outputs."""

    leaves: list[Leaf]
    node: Node
    outputs: list[Node]
    rows: int | None

    def feed(self, arrays: Sequence[np.ndarray]) -> dict[Leaf, np.ndarray]:
        """Values for the leaves."""
        known = dict(zip(self.leaves, self.typed(arrays), strict=True))
        return known if self.rows is None else {**known, ANCHOR: np.zeros(self.rows)}

    def typed(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The arrays in the dtypes of the inputs."""
        return [np.asarray(array, leaf.dtype) for array, leaf in zip(arrays, self.leaves, strict=True)]

    def run(self, name: str, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs on the engine of that name."""
        return run(name, self.outputs, self.feed(arrays)).outputs


def run(name: str, outputs: Sequence[Node], feed: dict[Leaf, np.ndarray]) -> Result:
    """`outputs` on the engine of that name."""
    return engine(name).compile(Graph(list(feed), outputs)).evaluate(feed)


# ---------------------------------------------------------------------- comparing
def largest(arrays: Any) -> float:
    """The largest absolute value of all floating arrays; tuples are the values of records with several outputs."""
    flat = [part for a in arrays for part in (a if isinstance(a, tuple) else (a,))]
    return max((float(np.abs(a).max()) for a in flat if np.size(a) and np.asarray(a).dtype.kind == "f"), default=0.0)


def intermediates(roots: Sequence[Node], feed: dict[Leaf, np.ndarray]) -> dict[Node, Any]:
    """Every value that `reference` meets on the way, definitions included."""
    return values(roots, feed)


def is_exact(outputs: Sequence[Node]) -> bool:
    """Whether only whole numbers and correctly rounded functions lead to the outputs: the same bits everywhere."""
    nodes = topological(expand(outputs))
    return all(call.function in _ROUNDED for n in nodes if n.op.formula for call in n.op.formula.calls)


_ROUNDED = set(TABLE) - {"exp", "expm1", "log", "log1p", "sin", "cos", "tan", "tanh", "erf", "arctan", "power"}


# ---------------------------------------------------------------------- derivatives
def on_kink(known: dict[Node, Any], near: float = 0.0) -> bool:
    """Whether a value lies where a record on the way says that it has no derivative."""
    for node in known:
        if node.op.kinks is not None and not node.op.variadic:
            parsed = parse(node.op.kinks, tuple(node.op.attrs))
            by_name = {name: known[i] for name, i in zip(node.op.inputs, node.inputs, strict=True) if i in known}
            distance = parsed.run(TABLE, [by_name[name] for name in parsed.inputs], node.attrs)
            if np.size(distance) and np.abs(distance).min() <= near:
                return True
    return False


def projection(outputs: Sequence[Node], rows: int | None, rng: np.random.Generator) -> tuple[Node, dict[Leaf, Any]]:
    """sum(random array * output) over all outputs, as one number, and values for the random arrays."""
    total, feed = None, {}
    for output in outputs:
        weights = input_leaf(output.shape, "weights")
        feed[weights] = rng.normal(size=bind(output.shape, rows))
        part = ops.sum(cast(output, "float64") * weights)
        total = part if total is None else total + part
    return total, feed


def no_path(gradient: Node) -> bool:
    """Whether a gradient says that there is nothing to differentiate."""
    return gradient.op.name == "mark" and gradient.attrs["name"] == "no path"


def gradients(cost: Node, leaves: Sequence[Leaf]) -> list[Node]:
    """The gradient for each leaf."""
    return grad(cost, list(leaves))


def difference(cost: Node, feed: dict[Leaf, Any], leaf: Leaf, eps: float = 1e-5) -> np.ndarray:
    """The central difference of `cost` for every number of `leaf`, by the definition of every record."""
    array = np.array(feed[leaf], dtype=np.float64)
    changed = {**feed, leaf: array}
    slope = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        kept = array[place]
        step = eps * max(1.0, abs(kept))
        array[place] = kept + step
        above = values([cost], changed)[cost]
        array[place] = kept - step
        below = values([cost], changed)[cost]
        array[place] = kept
        slope[place] = (above - below) / (2 * step)
    return slope
