"""The small language in which an elementwise record says what it computes.

A formula such as ``"where(x > 0, x, slope*x)"`` is parsed once into single calls of about forty scalar functions. Every
engine has one table for these functions and nothing else to know about elementwise records. Nothing is ever pasted or
evaluated as code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from .errors import GraphError, did_you_mean

# name: number of arguments
FUNCTIONS = {
    **dict.fromkeys(
        ["add", "subtract", "multiply", "divide", "power", "minimum", "maximum", "floor_divide", "remainder"], 2
    ),
    **dict.fromkeys(["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"], 2),
    **dict.fromkeys(
        ["logical_and", "logical_or", "bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"], 2
    ),
    **dict.fromkeys(
        [
            "negative",
            "absolute",
            "sign",
            "exp",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "sin",
            "cos",
            "tan",
            "tanh",
            "erf",
            "arctan",
        ],
        1,
    ),
    **dict.fromkeys(["floor", "ceil", "rint", "isfinite", "logical_not"], 1),
    "where": 3,
}
BOOLEAN = frozenset(
    [
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "equal",
        "not_equal",
        "logical_and",
        "logical_or",
        "logical_not",
        "isfinite",
    ]
)
_BINARY = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power"}
_COMPARE = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}


@dataclass(frozen=True)
class Operand:
    """What a call reads: an input by place, an earlier call by place, an attribute by name, or a number."""

    kind: str  # "input", "call", "attr", "number"
    which: Any


@dataclass(frozen=True)
class Call:
    function: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Formula:
    """A parsed formula: the names of its inputs in order of appearance, and calls in the order to make them."""

    text: str
    inputs: tuple[str, ...]
    calls: tuple[Call, ...]
    result: Operand

    def run(self, table: Mapping[str, Any], inputs: Collection[Any], attrs: Mapping[str, Any]) -> Any:
        """Evaluate with the functions of `table` (a NumPy ufunc table, records that build nodes, …)."""
        return self.read(lambda place, call, operands: table[call.function](*operands), inputs, attrs)

    def read(
        self,
        make: Callable[[int, Call, list[Any]], Any],
        inputs: Collection[Any],
        attrs: Mapping[str, Any],
        number: Callable[[Any], Any] = lambda value: value,
    ) -> Any:
        """Go through the calls in order; returns what stands for the result.

        `make(place, call, operands)` gives what stands for a call, `number(value)` what stands for a number or attribute.
        """
        values = list(inputs)
        made: list[Any] = []

        def operand(each: Operand) -> Any:
            match each.kind:
                case "input":
                    return values[each.which]
                case "call":
                    return made[each.which]
                case "attr":
                    return number(attrs[each.which])
            return number(each.which)

        for place, call in enumerate(self.calls):
            made.append(make(place, call, [operand(each) for each in call.operands]))
        return operand(self.result)


@cache
def parse(text: str, attrs: tuple[str, ...] = ()) -> Formula:
    """Parse `text`; names in `attrs` are attributes, all others inputs.

    >>> parse("where(x > 0, x, slope*x)", ("slope",)).calls[0].function
    'greater'
    """
    parser = _Parser(text, attrs)
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        raise GraphError("this is no formula.", expected="such as 'where(x > 0, x, slope*x)'", found=text) from error
    result = parser.visit(tree.body)
    return Formula(text, tuple(parser.inputs), tuple(parser.calls), result)


class _Parser:
    def __init__(self, text: str, attrs: tuple[str, ...]):
        self.text, self.attrs = text, attrs
        self.inputs: list[str] = []
        self.calls: list[Call] = []
        self.known: dict[Call, int] = {}

    def visit(self, node: ast.expr) -> Operand:
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return Operand("number", number)
            case ast.Name(id=name):
                return self.name(name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self.call(_BINARY[type(op)], left, right)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return Operand("number", -number)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.call("negative", operand)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return self.call(_COMPARE[type(op)], left, right)
            case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
                return self.call(function, *args)
        raise GraphError(f"a formula cannot contain {ast.unparse(node)!r}.", found=self.text)

    def name(self, name: str) -> Operand:
        if name in self.attrs:
            return Operand("attr", name)
        if name not in self.inputs:
            self.inputs.append(name)
        return Operand("input", self.inputs.index(name))

    def call(self, function: str, *args: ast.expr) -> Operand:
        if FUNCTIONS.get(function) != len(args):
            fix = did_you_mean(function, FUNCTIONS) or f"the functions are {', '.join(FUNCTIONS)}"
            raise GraphError(f"no scalar function {function} with {len(args)} arguments.", found=self.text, fix=fix)
        call = Call(function, tuple(self.visit(arg) for arg in args))
        if call not in self.known:
            self.known[call] = len(self.calls)
            self.calls.append(call)
        return Operand("call", self.known[call])
