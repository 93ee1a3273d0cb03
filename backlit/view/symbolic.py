"""The derivative as a formula, by sympy: for graphs of single numbers, from the records' own formulas."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..core.errors import BacklitError, GraphError, NotReadyError
from ..core.node import Leaf, Node, input_leaf
from ..core.shapes import show
from ..core.walk import topological
from ..rewrite import stable
from .steps import Reading, plain


@dataclass(frozen=True)
class Symbolic:
    """dJ/d(name): `formula` as text, `latex`, and its `value` for the numbers of the trace."""

    name: str
    formula: str
    latex: str
    value: float
    expression: Any

    def __str__(self) -> str:
        return f"dJ/d{self.name} = {self.formula} = {plain(self.value)}"

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$$ {self.latex} $$"


def _sympy() -> Any:
    try:
        import sympy
    except ImportError:
        raise NotReadyError(
            "symbolic derivatives are made by sympy, which is not installed.", fix="pip install 'backlit[symbolic]'"
        ) from None
    return sympy


def _table(sympy: Any) -> dict[str, Any]:
    """The scalar functions of formulas in sympy."""
    same = "exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "erf", "sign", "floor"
    return {
        **{name: getattr(sympy, name) for name in same},
        **{name: getattr(operator, name) for name in ("add", "eq")},
        "subtract": operator.sub,
        "multiply": operator.mul,
        "divide": operator.truediv,
        "power": operator.pow,
        "negative": operator.neg,
        "absolute": sympy.Abs,
        "arctan": sympy.atan,
        "ceil": sympy.ceiling,
        "minimum": sympy.Min,
        "maximum": sympy.Max,
        "expm1": lambda x: sympy.exp(x) - 1,
        "log1p": lambda x: sympy.log(1 + x),
        "less": sympy.Lt,
        "less_equal": sympy.Le,
        "greater": sympy.Gt,
        "greater_equal": sympy.Ge,
        "equal": sympy.Eq,
        "not_equal": sympy.Ne,
        "logical_and": sympy.And,
        "logical_or": sympy.Or,
        "logical_not": sympy.Not,
        "where": lambda c, a, b: sympy.Piecewise((a, c), (b, True)),
    }


def symbolic(reading: Reading, node: Node) -> Symbolic:
    """J as a formula of the named leaves and of `node`, differentiated by `node`."""
    sympy = _sympy()
    table, worked = _table(sympy), reading.worked
    name = reading.names[node]
    values: dict[Any, float] = {}
    made: dict[Node, Any] = {}

    def symbol(of: Node) -> Any:
        _check_single(of, reading)
        new = sympy.Symbol(reading.names[of], real=True)
        values[new] = float(worked.known[of])
        return new

    for each in topological(
        [worked.root], lambda n: () if n is node else (n.body,) if n.body is not None else n.inputs
    ):
        made[each] = symbol(each) if each is node else _expression(each, made, table, sympy, symbol, reading)
    slope = sympy.diff(made[worked.root], made[node])
    short = sympy.simplify(slope)
    value = float(short.subs(values).evalf())
    return Symbolic(name, str(short), sympy.latex(short), value, short)


@cache
def _plain_forms() -> dict[Any, Any]:
    """For records that guard against overflow the formula as one would write it: the examples of the stable rules."""
    x = input_leaf((), "x")
    found: dict[Any, Any] = {}
    for rule in stable.RULES:
        try:
            written = rule.example(x)
        except BacklitError:  # a rule about arrays
            continue
        safe = rule.apply(written)
        if safe is not None and safe.op.kind == "elementwise" and safe.inputs == (x,):
            found.setdefault(safe.op, (x, written))
    return found


def _check_single(node: Node, reading: Reading) -> None:
    if node.several or node.shape != ():
        raise GraphError(
            "a symbolic derivative is made of single numbers.",
            found=f"{reading.names.get(node) or node.op.name} of shape {show(node.shape)}",
            fix="in a network one unit: t.unit(layer, 0).symbolic('w0')",
        )


def _expression(node: Node, made: Any, table: Any, sympy: Any, symbol: Any, reading: Reading) -> Any:
    """A node as sympy's expression of its inputs."""
    _check_single(node, reading)
    if isinstance(node, Leaf):
        return symbol(node) if node in reading.names else sympy.nsimplify(node.array.item())
    if node.op.name == "literal":
        return sympy.nsimplify(node.attrs["value"])
    if node.body is not None:
        return made[node.body]
    inputs = [made[i] for i in node.inputs]
    if node.op in _plain_forms() and not node.attrs:
        x, written = _plain_forms()[node.op]
        inner = {x: inputs[0]}
        for each in topological([written]):
            if each is not x:
                inner[each] = _expression(each, inner, table, sympy, symbol, reading)
        return inner[written]
    if node.op.formula is not None:
        attrs = {key: sympy.nsimplify(value) for key, value in node.attrs.items()}
        return node.op.formula.run(table, inputs, attrs)
    if len(inputs) == 1 and node.op.name in ("mark", "cast", "sum", "reshape"):
        return inputs[0]
    raise GraphError(f"sympy has no {node.op.name}.", fix="t.nudge(name) compares with numbers")
