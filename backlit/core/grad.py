"""Reverse mode: the derivative of a graph is a graph, so it prints, is rewritten, and is differentiated again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from . import registry
from .arguments import checked
from .errors import ArgumentError, GraphError
from .node import FLOATS, Leaf, Node, inherit
from .op import Op, cast, literal
from .shapes import show
from .walk import items, topological


@checked
def grad(J: Node, wrt: Any) -> Any:
    """dJ/dwrt as a node of the shape of `wrt`; a list of nodes for a list. J must be a single number.

    A node that J does not depend on has the gradient 0, marked "no path". Raises GraphError where J is not a scalar.

    >>> import backlit as bl
    >>> w = bl.variable(3.0, name="w")
    >>> slope = bl.grad(w ** 2, w)
    >>> float(slope.value), float(bl.grad(slope, w).value)
    (6.0, 2.0)
    """
    targets = list(wrt) if isinstance(wrt, Iterable) and not isinstance(wrt, Node) else [wrt]
    for node in (J, *targets):
        if not isinstance(node, Node):
            raise ArgumentError("grad differentiates nodes by nodes.", found=repr(node), fix="make it with bl.variable")
        if not node.several and node.dtype not in FLOATS and node is not J:
            raise GraphError(
                "there is no derivative by whole numbers or bools.",
                found=repr(node),
                fix="make the variable floating: bl.variable(value, dtype='float64')",
            )
    if J.shape != () or J.dtype not in FLOATS:
        raise GraphError(
            "grad needs a cost that is one floating-point number.",
            expected="shape ()",
            found=f"shape {show(J.shape)} {J.dtype}",
            fix="bl.grad(bl.ops.sum(J), w), or the mean",
        )
    found = reverse([J], [literal(1.0, J.dtype)], targets)
    gradients = [_no_path(target) if g is None else g for target, g in zip(targets, found, strict=True)]
    return gradients[0] if isinstance(wrt, Node) else gradients


def _no_path(target: Node) -> Node:
    return name(_of_shape(literal(0.0, target.dtype if target.dtype in FLOATS else "float64"), target.shape), "no path")


@checked
def name(node: Node, text: str) -> Node:
    """`node` under a name: the same value, a step of its own in prints and traces.

    >>> import backlit as bl
    >>> w = bl.variable(2.0, name="w")
    >>> print(bl.name(w * 3, "c") + 1)
    c = w * 3
    c + 1
    """
    return registry.lookup("op.mark").node(node, name=text)  # type: ignore[no-any-return]


def reverse(
    outputs: Sequence[Node], seeds: Sequence[Node], targets: Sequence[Node], stop: bool = False
) -> list[Node | None]:
    """The vector-Jacobian product: seeds · d outputs / d targets, None where there is no path.

    Whole numbers and bools have no derivative: no path leads through them.

    With `stop`, the targets count as independent of one another: partial derivatives.
    """
    stops = set(targets) if stop else set()
    order = topological(outputs, lambda node: () if node in stops else node.inputs)
    reaches = set(targets)
    for node in order:
        if any(i in reaches for i in node.inputs) and (node.several or node.dtype in FLOATS):
            reaches.add(node)
    arrived: dict[Node, list[Node]] = defaultdict(list)
    parts: dict[Node, dict[int, list[Node]]] = defaultdict(lambda: defaultdict(list))
    for output, seed in zip(outputs, seeds, strict=True):
        arrived[output].append(seed)
    for node in reversed(order):
        if node in stops or node not in reaches or not (node in arrived or node in parts):
            continue
        with inherit(node):
            if node.op.name == "item":
                parts[node.inputs[0]][node.attrs["place"]].append(_total(arrived[node]))
                continue
            g = _several(node, parts[node]) if node.several else _total(arrived[node])
            for i, contribution in zip(node.inputs, _vjp(node, g), strict=True):
                if contribution is not None and i in reaches:
                    arrived[i].append(_like(contribution, i))
    return [_total(arrived[target]) if target in arrived else None for target in targets]


def _vjp(node: Node, g: Any) -> Sequence[Node | None]:
    if node.op.vjp is not None:
        given: Sequence[Node | None] = node.op.vjp(
            g, node, *([node.inputs] if node.op.variadic else node.inputs), **node.attrs
        )
        if len(given) != len(node.inputs):
            raise GraphError(
                f"the derivative of {node.op.name} is of {len(given)} inputs.", expected=f"{len(node.inputs)} gradients"
            )
        return given
    if node.body is None:
        return [None] * len(node.inputs)
    bodies = list(node.body) if node.several else [node.body]
    distinct = list(dict.fromkeys(node.inputs))
    found = reverse(bodies, g if node.several else [g], distinct, stop=True)
    partial = dict(zip(distinct, found, strict=True))
    return [partial.pop(i, None) for i in node.inputs]


def _several(node: Node, arrived: dict[int, list[Node]]) -> list[Node]:
    zero = [literal(0.0, dtype) for dtype in node.dtype]
    return [
        _total(arrived[place]) if place in arrived else _of_shape(zero[place], part.shape)
        for place, part in enumerate(items(node))
    ]


def _total(parts: list[Node]) -> Node:
    add: Op = registry.lookup("op.add")
    total = parts[0]
    for part in parts[1:]:
        total = add.node(total, part)
    parts[:] = [total]
    return total


def _like(g: Any, node: Node) -> Node:
    """A contribution brought to the shape and dtype of its node: here broadcasting is undone, once for all."""
    if g.shape != node.shape:
        g = _sum_to(g, node.shape)
        g = _of_shape(g, node.shape)
    return cast(g, node.dtype)


def _sum_to(g: Node, shape: Any) -> Node:
    extra = len(g.shape) - len(shape)
    axes = [*range(extra)] + [
        axis + extra for axis, dim in enumerate(shape) if extra >= 0 and dim == 1 and g.shape[axis + extra] != 1
    ]
    if extra < 0 or not axes:
        return g
    summed: Node = registry.lookup("op.sum").node(g, axis=tuple(axes), keepdims=True)
    return registry.lookup("op.reshape").node(summed, shape=summed.shape[extra:]) if extra else summed


def _of_shape(g: Node, shape: Any) -> Node:
    return g if g.shape == shape else registry.lookup("op.broadcast_to").node(g, shape=shape)


def variables(J: Node) -> list[Leaf]:
    """The trainable variables under J, in order of first use."""
    return [node for node in topological([J]) if isinstance(node, Leaf) and node.kind == "variable" and node.trainable]
