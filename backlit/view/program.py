"""A graph of single numbers as a short list of calls of scalar functions, which any language can run."""

from __future__ import annotations

from typing import Any

from ..core.node import Leaf, Node
from ..core.walk import topological
from .steps import Reading

_SAME = ("mark", "cast", "sum", "reshape", "broadcast_to", "squeeze", "expand_dims")  # of a single number: itself


def program(reading: Reading) -> dict[str, Any] | None:
    """{"code": rows, "at": {name: row}, "root": row} where every value is one number, else None.

    A row is ["in", number] or [function, row, …], the functions those of the records' formulas, and "same".
    """
    worked = reading.worked
    code: list[list[Any]] = []
    at: dict[Node, int] = {}
    for node in topological(
        [worked.root], lambda n: n.inputs if n.body is None else (n.body,) if not n.several else ()
    ):
        if node.several or node.shape != ():
            return None
        rows = _rows(node, at, len(code), worked.known[node])
        if rows is None:
            return None
        code += rows
        at[node] = len(code) - 1
    names = {name: at[node] for node, name in reading.names.items() if node in at}
    return {"code": code, "at": names, "root": at[worked.root]}


def _rows(node: Node, at: dict[Node, int], start: int, value: Any) -> list[list[Any]] | None:
    """The calls of one node, the last of which is its value."""
    if isinstance(node, Leaf) or not node.inputs or node.op.name == "size":
        return [["in", float(value)]]
    if node.body is not None:
        return [["same", at[node.body]]]
    if node.op.formula is None:
        return [["same", at[node.inputs[0]]]] if node.op.name in _SAME else None
    rows: list[list[Any]] = []
    calls: list[int] = []

    def number(value: Any) -> int:
        rows.append(["in", float(value)])
        return start + len(rows) - 1

    for call in node.op.formula.calls:
        places = []
        for operand in call.operands:
            kinds = {"input": lambda w: at[node.inputs[w]], "call": calls.__getitem__}
            reads = kinds.get(operand.kind)
            value = node.attrs[operand.which] if operand.kind == "attr" else operand.which
            places.append(number(value) if reads is None else reads(operand.which))
        rows.append([call.function, *places])
        calls.append(start + len(rows) - 1)
    if node.op.formula.result.kind == "input":
        rows.append(["same", at[node.inputs[node.op.formula.result.which]]])
    return rows
