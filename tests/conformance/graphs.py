"""Random graphs drawn from the records: shared parts, views, several outputs, leaves with and without the batch axis.

A record is applied as its probe says: any value drawn so far is brought to the shape and the interval of one of the
probe's inputs. So a new record takes part without a line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from backlit.core.errors import ShapeError
from backlit.core.grad import grad
from backlit.core.node import FLOATS, Leaf, Node, constant, input_leaf, variable
from backlit.core.op import Op, Sampler, cast
from backlit.core.shapes import M, Rows, Shape, bind, broadcast, size
from backlit.core.walk import items
from backlit.engines.reference import values
from tests.conformance.cases import Instance, instances, no_path, ops, probed, projection

BOUND = 8.0  # larger numbers are squashed before the next record
SHAPES: list[Shape] = [(), (3,), (1,), (2, 3), (2, 2), (3, 1), (2, 1, 3), (M,), (M, 3), (M, 2, 2), (2, M)]


@dataclass
class Drawn:
    """A random graph: what is fed, what can be assigned, every value drawn on the way and the outputs among them."""

    inputs: list[Leaf]
    variables: list[Leaf]
    pool: list[Node]
    outputs: list[Node] = field(default_factory=list)

    @property
    def leaves(self) -> list[Leaf]:
        """What one can differentiate by."""
        return self.inputs + self.variables

    def feed(self, rows: int, seed: int = 0) -> dict[Leaf, Any]:
        """Values for the inputs."""
        rng = np.random.default_rng([rows, seed])
        return {leaf: rng.uniform(-2, 2, bind(leaf.shape, rows)) for leaf in self.inputs}

    @property
    def cost(self) -> Node:
        """One smooth number that depends on all floating outputs."""
        parts = [ops.sum(ops.tanh(cast(node, "float64"))) for node in self.outputs if node.dtype in FLOATS]
        total = ops.sum(self.inputs[0]) * 0.5
        for part in parts:
            total = total + part
        return total


SEEDS = st.integers(0, 2**16 - 1)  # of a wider range hypothesis mostly draws small numbers


@st.composite
def graphs(draw: Any, most: int = 20) -> Drawn:
    """Up to `most` records applied to random values; with what brings these to shape some 30 nodes.

    Each record has its own random numbers, so that a failing graph shrinks to the records that matter.
    """
    rng = np.random.default_rng(draw(SEEDS))
    shapes = [(M, 2), (2, 2), (2, 2), *draw(st.lists(st.sampled_from(SHAPES), max_size=3))]
    made = [_leaf(shape, place, rng) for place, shape in enumerate(shapes)]
    drawn = Drawn([i for i in made if i.kind == "input"], [v for v in made if v.kind == "variable"], list(made))
    drawn.pool.append(constant(rng.uniform(-2, 2, 3)))
    pencil = _Pencil(drawn)
    for place in range(draw(st.integers(1, most))):
        pencil.apply(np.random.default_rng([place, draw(SEEDS)]))  # hypothesis likes to draw one number again and again
    last = drawn.pool[-2 * len(shapes) :]
    drawn.outputs = [drawn.pool[-1], *(last[place] for place in rng.integers(0, len(last), rng.integers(0, 5)))]
    return drawn


def _leaf(shape: Shape, place: int, rng: np.random.Generator) -> Leaf:
    if any(isinstance(dim, Rows) for dim in shape):
        return input_leaf(shape, f"x{place}")
    return variable(rng.uniform(-2, 2, shape), f"w{place}")


class _Pencil:
    """Applies records to what is in the pool. It knows the values for three examples, so that it can bound them."""

    def __init__(self, drawn: Drawn):
        self.drawn = drawn
        self.known: dict[Any, Any] = dict(drawn.feed(3))

    def value(self, node: Node) -> Any:
        if node not in self.known:
            self.known[node] = values([node], self.known)[node]
        return self.known[node]

    def apply(self, rng: np.random.Generator) -> None:
        records = probed() if rng.random() < 0.2 else _smooth()
        op = records[rng.integers(len(records))]
        case = op.probe.cases[rng.integers(len(op.probe.cases))]
        shapes = case.shapes
        recent = self.drawn.pool[-5:] if rng.random() < 0.7 else self.drawn.pool
        given = [recent[rng.integers(len(recent))] for _ in shapes]
        if op.kind == "elementwise" and rng.random() < 0.5 and _broadcast(given):
            shapes = tuple(node.shape for node in given)  # as they are
        inputs = [
            self.squashed(fitted(node, shape), op.probe.sampler(place), op.domain is not None)
            for place, (node, shape) in enumerate(zip(given, shapes, strict=True))
        ]
        node = op.node(*([inputs] if op.variadic else inputs), **case.attrs)
        self.drawn.pool += items(node) if node.several else [node]

    def squashed(self, node: Node, sampler: Sampler, always: bool) -> Node:
        """`node` as numbers that the record was made for."""
        if sampler.dtype == "bool":
            return ops.greater(node, 0.0)
        if sampler.dtype not in FLOATS:
            return _whole(node, sampler)
        if not always and np.abs(self.value(node)).max(initial=0) <= BOUND:
            return node
        return sampler.low + (sampler.high - sampler.low) * ops.sigmoid(node)


@cache
def _smooth() -> list[Op]:
    """The records that something can be differentiated through."""
    return [op for op in probed() if any(not no_path(slope) for slope in _slopes(next(instances(op))))]


def _slopes(instance: Instance) -> list[Node]:
    built = instance.build()
    cost, _ = projection(built.outputs, instance.rows, np.random.default_rng(0))
    return grad(cost, [built.leaves[place] for place in instance.floats])


def _whole(node: Node, sampler: Sampler) -> Node:
    count = int(min(16, sampler.high - sampler.low))
    step = int(sampler.high - sampler.low) // count
    place = ops.minimum(count * ops.sigmoid(node), count - 0.5)
    return cast(place, sampler.dtype) * step + int(sampler.low)


def _broadcast(given: Sequence[Node]) -> bool:
    try:
        broadcast([node.shape for node in given])
    except ShapeError:
        return False
    return True


# ---------------------------------------------------------------------- bringing any value to any shape
def fitted(node: Node, shape: Shape) -> Node:
    """`node` in float64 and in `shape`: reduced over m, cut, repeated, reshaped, transposed as need be."""
    node = cast(node, "float64")
    wanted = [axis for axis, dim in enumerate(shape) if isinstance(dim, Rows)]
    have = [axis for axis, dim in enumerate(node.shape) if isinstance(dim, Rows)]
    if have and (not wanted or node.shape[have[0]] != M or len(have) > 1):
        node, have = ops.mean(node, axis=tuple(have)), []
    if node.shape == shape:
        return node
    if not have:
        flat = tuple(1 if isinstance(dim, Rows) else dim for dim in shape)
        return (
            ops.broadcast_to(_resized(node, flat), shape)
            if _widens(node.shape, shape) is None
            else (ops.broadcast_to(node, shape))
        )
    first = ops.transpose(node, [have[0], *(axis for axis in range(node.ndim) if axis != have[0])])
    rest = tuple(dim for dim in shape if not isinstance(dim, Rows))
    flat = ops.reshape(first, (M, int(size(first.shape[1:]))))
    full = ops.reshape(_columns(flat, int(size(rest))), (M, *rest))
    order = list(range(1, len(shape)))
    order.insert(wanted[0], 0)
    return ops.transpose(full, order)


def _widens(shape: Shape, wider: Shape) -> Shape | None:
    try:
        return wider if broadcast([shape, wider]) == wider else None
    except ShapeError:
        return None


def _resized(node: Node, shape: Shape) -> Node:
    flat = ops.reshape(node, (1, int(size(node.shape))))
    return ops.reshape(_columns(flat, int(size(shape))), shape)


def _columns(flat: Node, count: int) -> Node:
    """A matrix with its columns cut or repeated to `count` of them."""
    have = flat.shape[1]
    if have < count:
        flat = ops.concatenate([flat] * -(-count // have), axis=1)
    return flat if flat.shape[1] == count else flat[:, flat.shape[1] - count :]


def near(got: Any, wanted: Any, tolerance: float) -> bool:
    """Whether two arrays have one dtype and shape and are equal: whole numbers exactly, floats to the tolerance."""
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return False
    if got.dtype.kind != "f":
        return bool(np.array_equal(got, wanted))
    with np.errstate(invalid="ignore"):
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (np.abs(got - wanted) <= tolerance)
    return bool(np.all(same))
