"""What a graph computes as plain lists, dicts and named arrays, and back: in records of the library only, so that it
needs no code of whoever made it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import BacklitError, GraphError, UnknownNameError
from ..core.node import ARRAY, FLOATS, STRONG, Leaf, Node, array_leaf, inherit, input_leaf
from ..core.op import Op, as_node, cast, literal
from ..core.scalar import Formula
from ..core.shapes import Rows, bind
from ..core.walk import Graph, again, expand, rebuild, topological
from ..ops import BUILT_IN
from ..ops.index import broadcast_to

Array = np.ndarray[Any, Any]
MOST_NUMBERS = 1 << 28  # that all values of one example may hold: a file that claims more is not run
_HELD = {"variable": STRONG, "state": STRONG, "constant": ARRAY, "array": ARRAY}  # leaves that hold an array


@dataclass
class Stored:
    """Nodes in order as dicts, and the arrays met among them by the names under which the dicts refer to them."""

    taken: set[str]  # the names of the weights
    nodes: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    place: dict[Node, int] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)  # records that are not the library's and could not be expanded


# ---------------------------------------------------------------------- writing
def store(inputs: Sequence[Leaf], roots: Sequence[Node], known: Mapping[Leaf, str]) -> tuple[Stored, list[int]]:
    """`roots` as plain data, and their places in it. The leaves in `known` are weights, kept elsewhere by that name.

    Raises GraphError for an attribute that plain data cannot hold.
    """
    out = Stored(set(known.values()))
    roots = in_own_records(roots)
    for node in topological([*inputs, *roots]):
        out.place[node] = len(out.nodes)
        out.nodes.append(_row(node, out, known))
    return out, [out.place[node] for node in roots]


def _row(node: Node, out: Stored, known: Mapping[Leaf, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"op": node.op.name}
    if isinstance(node, Leaf):
        row["name"] = node.name
        if node.array is not None:
            row["tensor"] = known.get(node) or _kept(node, out)
    else:
        row["inputs"] = [out.place[i] for i in node.inputs]
        if node.attrs:
            row["attrs"] = {key: plain(value) for key, value in node.attrs.items()}
        if node.op.name not in BUILT_IN and node.op.name not in out.foreign:
            out.foreign.append(node.op.name)
    return {**row, "shape": plain(node.shape), "dtype": plain(node.dtype)}


def _kept(leaf: Leaf, out: Stored) -> str:
    number = len(out.arrays)
    while (name := f"graph/{number}") in out.taken:
        number += 1
    out.arrays[name] = np.asarray(leaf.array)
    out.taken.add(name)
    return name


def plain(value: Any) -> Any:
    """A shape or attribute as JSON can hold it."""
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Rows):
        return {"rows": value.count}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise GraphError(f"a file cannot hold the attribute {value!r:.60}.", expected="numbers, text, and tuples of them")


# ---------------------------------------------------------------------- in the library's own records
def in_own_records(roots: Sequence[Node]) -> list[Node]:
    """`roots` with all composites and formulas that are not the library's replaced by what they stand for.

    The library's own composites stay: a softmax prints as one, and a loss on it is rewritten as one.
    """
    return rebuild(expand(roots, _to_expand), _formula_apart)


def _to_expand(node: Node) -> bool:
    if node.body is None:
        return False
    holds_graph = any(isinstance(value, Graph) for value in node.attrs.values())  # as `call` does
    return node.op.name not in BUILT_IN or holds_graph


def _formula_apart(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A node of somebody's own formula as the calls that it is made of."""
    if node.op.formula is None or node.op.name in BUILT_IN:
        return again(node, inputs)
    with inherit(node):
        made: Any = node.op.formula.run(_Records(), inputs, node.attrs)
        made = cast(as_node(made), node.dtype)
        return made if made.shape == node.shape else broadcast_to(made, node.shape)


class _Records(dict[str, Any]):
    """For every scalar function the record that is that function alone."""

    def __missing__(self, function: str) -> Any:
        for name in sorted(BUILT_IN):
            found = registry.find(f"op.{name}")
            if isinstance(found, Op) and found.formula is not None and _is_alone(found.formula, function):
                self[function] = partial(_on_numbers, found)
                return self[function]
        raise GraphError(f"there is no record for the scalar function {function}.")


def _on_numbers(record: Op, *operands: Any) -> Node:
    return record.node(*_weighed(operands))


def _is_alone(formula: Formula, function: str) -> bool:
    calls = formula.calls
    if len(calls) != 1 or calls[0].function != function:
        return False
    return [(o.kind, o.which) for o in calls[0].operands] == [("input", k) for k in range(len(formula.inputs))]


def _weighed(operands: Sequence[Any]) -> list[Any]:
    """Numbers in a formula as arrays of the dtype they take there: no rewrite sees numbers in them, and a power stays
    that power to the bit."""
    nodes = [each for each in operands if isinstance(each, Node) and each.dtype != "bool"]
    return [each if isinstance(each, Node) else array_leaf(_as_among(each, nodes)) for each in operands]


def _as_among(number: Any, nodes: Sequence[Node]) -> Any:
    for node in nodes:
        if not isinstance(number, bool) and (node.dtype in FLOATS or isinstance(number, int)):
            return np.asarray(number, node.dtype)
    return np.asarray(number)


# ---------------------------------------------------------------------- reading
def read(rows: Any, weights: Mapping[str, Leaf], arrays: Mapping[str, Array]) -> list[Node]:
    """The nodes that `store` wrote, over these weights. Nothing is believed: records, inputs, attributes, shapes and
    dtypes must be possible and agree. Raises GraphError, or what Python raises for lists and dicts of another form."""
    made: list[Node] = []
    for row in rows:
        node = _leaf(row, weights, arrays) if row["op"] in (*_HELD, "input") else _known(row, made)
        if (plain(node.shape), plain(node.dtype)) != (row["shape"], row["dtype"]):
            raise GraphError(
                f"the graph contradicts itself at {node!r}.", found=f"{row['shape']!r:.60} {row['dtype']!r:.60}"
            )
        made.append(node)
    return made


def _leaf(row: Mapping[str, Any], weights: Mapping[str, Leaf], arrays: Mapping[str, Array]) -> Leaf:
    kind, name = row["op"], row["name"]
    if kind == "input":
        return input_leaf(unplain(row["shape"]), name, row["dtype"])
    if row["tensor"] in weights:
        leaf = weights[row["tensor"]]
        if leaf.kind != kind:
            raise GraphError(f"{row['tensor']!r} is no {kind}.", found=leaf.kind)
        return leaf
    array = arrays[row["tensor"]]
    return Leaf(kind, array, name=name, shape=array.shape, dtype=array.dtype.name, weak=_HELD[kind])


def _known(row: Mapping[str, Any], made: Sequence[Node]) -> Node:
    record = registry.find(f"op.{row['op']}")
    if (
        not isinstance(record, Op)
        or record.kind == "leaf"
        or (row["op"] not in BUILT_IN and record.kind != "structural")
    ):
        raise UnknownNameError(f"there is no op {row['op']!r:.60}.", expected="a record of this library")
    return applied(record, row, made)


def applied(record: Op, row: Mapping[str, Any], made: Sequence[Any]) -> Node:
    """`record` on the inputs and with the attributes that `row` tells."""
    attrs = {str(key): unplain(value) for key, value in row.get("attrs", {}).items()}
    inputs = [earlier(place, made) for place in row["inputs"]]
    for key, value in attrs.items():
        if type(record.attrs.get(key)) is bool and type(value) is not bool:
            raise GraphError(f"{key} of {record.name} is True or False.", found=f"{value!r:.60}")
    if record.name == "literal":
        np.asarray(attrs["value"], attrs["dtype"])  # refuses a number that the dtype cannot hold
        return literal(attrs["value"], attrs["dtype"])
    return record.node(inputs, **attrs) if record.variadic else record.node(*inputs, **attrs)


def earlier(place: Any, made: Sequence[Any]) -> Any:
    """What was made before at that place."""
    if type(place) is not int or not 0 <= place < len(made):
        raise GraphError("an input must come before what reads it.", found=f"{place!r:.60}")
    return made[place]


def unplain(value: Any) -> Any:
    """The shape or attribute that `plain` wrote."""
    if isinstance(value, list):
        return tuple(map(unplain, value))
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "rows" and type(inner) is int and inner > 0:
        return Rows(inner)
    if kind == "float" and inner in ("inf", "-inf", "nan"):
        return float(inner)
    raise GraphError("a graph cannot hold this attribute.", found=f"{value!r:.60}")


def captured(rows: Sequence[Mapping[str, Any]], weights: Mapping[str, Any]) -> set[str]:
    """The names of the arrays in stored nodes that are no weights."""
    return {row["tensor"] for row in rows if "tensor" in row} - set(weights)


def try_out(inputs: Sequence[Leaf], roots: Sequence[Node]) -> None:
    """Run a graph that nobody has run before on one example of zeros: what Python or NumPy raise, not what the library
    refuses to look up, says that it cannot be run."""
    with suppress(BacklitError):
        feed = {leaf: np.zeros(bind(leaf.shape, 1), leaf.dtype) for leaf in inputs}
        registry.lookup("values.reference")(roots, feed)


def affordable(roots: Sequence[Node]) -> None:
    """Refuse a graph whose values for one example would hold more numbers than any honest one does."""
    total = 0
    for node in topological(expand(roots)):
        for shape in node.shape if node.several else (node.shape,):
            total += math.prod(dim.count if isinstance(dim, Rows) else dim for dim in shape)
    if total > MOST_NUMBERS:
        raise GraphError(f"one example would need {total:,} numbers.", expected=f"at most {MOST_NUMBERS:,}")
