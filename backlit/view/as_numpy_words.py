"""Names, operators and helper functions of a printed NumPy program: what its vectorised and its loop form share."""

from __future__ import annotations

import builtins
import inspect
import itertools
import keyword
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import ValueRangeError
from ..core.node import FLOATS, Leaf, Node, input_leaf
from ..core.scalar import FUNCTIONS
from ..core.shapes import Rows
from ..core.show import number
from ..core.walk import expand, strip_marks, topological

Written = tuple[str, int]  # code, and how tightly it binds: 1 if-else, 5 comparisons, 10 sums, … 100 calls
WIDEST = 100  # characters of a line
_PART = re.compile(r"t\d+")
_FEW = 100  # numbers of a constant that are written out
_INFIX = {
    "add": ("+", 10),
    "subtract": ("-", 10),
    "multiply": ("*", 20),
    "divide": ("/", 20),
    "power": ("**", 40),
    "matmul": ("@", 20),
    "less": ("<", 5),
    "less_equal": ("<=", 5),
    "greater": (">", 5),
    "greater_equal": (">=", 5),
    "equal": ("==", 5),
    "not_equal": ("!=", 5),
}
_OWN = """np math m rng p g t lr i j k x parameters cache gradients state learning_rate weights draws rows seed
initialize forward predict cost backward update train start remember draw outputs order first epoch epochs batch_size
step rate kept name slots new_parameters new_state"""
_TAKEN = frozenset([*keyword.kwlist, *dir(builtins), *_OWN.split()])


class Words:
    """The names that values have in a program, and the functions that it defines before its own.

    `form` is "vectorised" or "loops"."""

    def __init__(self, form: str = "vectorised"):
        self.form = form
        self.names: dict[Leaf, str] = {}
        self.taken: set[str] = set(_TAKEN)
        self.helpers: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.layer = ""  # the layer that is being written: named in refusals
        self.needs_math = False

    # ------------------------------------------------------------------ names
    def name(self, leaf: Leaf) -> str:
        """The identifier of a symbol: its name, without what Python does not allow.

        A1' is A1_2, relu'(Z1) is relu_prime_Z1."""
        if leaf not in self.names:
            if leaf.array is not None and leaf.kind in ("array", "constant"):
                return self._constant(leaf)
            self.names[leaf] = self._part() if is_part(leaf) else self.fresh(str(leaf.name))
        return self.names[leaf]

    def _part(self) -> str:
        name = next(name for k in itertools.count(1) if (name := f"t{k}") not in self.taken)
        self.taken.add(name)
        return name

    def fresh(self, wish: str) -> str:
        """An identifier that nothing else has."""
        plain = re.sub(r"(\w+)'\((.*)\)", r"\1_prime_\2", wish)
        primes = len(plain) - len(plain.rstrip("'"))
        plain = re.sub(r"\W", "_", plain.rstrip("'"))
        plain = plain if re.match(r"[^\W\d]", plain) else f"_{plain}"
        wish, count = plain + (f"_{primes + 1}" if primes else ""), 1
        while wish in self.taken or wish in self.helpers:
            count += 1
            wish = f"{plain}_{count}"
        self.taken.add(wish)
        return wish

    def forget_parts(self, before: set[str]) -> None:
        """Let the next function begin with t1 again, where `before` did not have it."""
        self.taken = {name for name in self.taken if name in before or not _PART.fullmatch(name)}

    def _constant(self, leaf: Leaf) -> str:
        """An array inside the graph: written out above the functions."""
        if leaf.array.size > _FEW:
            raise self.refusal(
                f"it holds an array of {leaf.array.size} numbers, which are not written out",
                "make the array a weight: self.add_weight(..., trainable=False)",
            )
        name = self.names[leaf] = self.fresh(re.sub(r"\W", "_", str(leaf.name or "C")))
        self.constants[name] = f"{name} = np.array({_numbers(leaf.array.tolist())})"
        return name

    def refusal(self, why: str, fix: str = "") -> ValueRangeError:
        """What cannot be printed, with the layer that is being written."""
        what = "the optimizer" if self.layer == "optimizer" else f"layer {self.layer!r}" if self.layer else "the loss"
        return ValueRangeError(f"{what} cannot be written in NumPy: {why}.", fix=fix)

    # ------------------------------------------------------------------ shapes and numbers
    def shape(self, dims: Sequence[Any]) -> str:
        """A shape as NumPy takes it."""
        return length(dims[0]) if len(dims) == 1 else f"({', '.join(map(length, dims))})"

    # ------------------------------------------------------------------ scalar functions
    def call(self, function: str, *values: Any) -> Written:
        """A scalar function of written values (or numbers)."""
        args = [value if isinstance(value, tuple) else literal(value) for value in values]
        if function in _INFIX:
            return infix(_INFIX[function], *args)
        if function == "negative":
            return f"-{bracketed(args[0], 31)}", 30
        if self.form == "loops" and (special := _OF_ONE.get(function)):
            return special(*args)
        if function == "erf":
            return self._erf(args[0])
        return f"np.{_RENAMED.get(function, function)}({', '.join(code for code, _ in args)})", 100

    def _erf(self, arg: Written) -> Written:
        self.needs_math = True
        if self.form == "loops":
            return f"math.erf({arg[0]})", 100
        name = self._helper("erf", lambda name: f"{name} = np.vectorize(math.erf, otypes=[float])  # NumPy has none")
        return f"{name}({arg[0]})", 100

    @property
    def table(self) -> Mapping[str, Callable[..., Written]]:
        """The scalar functions of formulas, as what writes them."""
        return {name: lambda *args, _name=name: self.call(_name, *args) for name in FUNCTIONS}

    # ------------------------------------------------------------------ elementwise records and activations
    def elementwise(self, node: Node, inputs: Sequence[Written]) -> Written:
        """An elementwise record: an operator or a call of NumPy's, or of a function of its own."""
        formula = node.op.formula
        assert formula is not None
        if node.op.name == "square":
            return infix(_INFIX["power"], inputs[0], ("2", 100))
        of_numpy = len(formula.calls) == 1 and formula.text.startswith(f"{node.op.name}(")
        if node.op.role != "activation" or not formula.calls or of_numpy:
            return formula.run(self.table, inputs, node.attrs)
        given = {key: literal(value) for key, value in node.attrs.items()}
        names = {key: (key, 100) for key in node.attrs}
        code, _ = formula.run(self.table, [("x", 100)], names)
        name = self.helper(node.op.name, ["x", *node.attrs], node.op.doc, [f"return {code}"])
        attrs = [f", {key}={value[0]}" for key, value in given.items()]
        return f"{name}({inputs[0][0]}{''.join(attrs)})", 100

    def helper(self, name: str, arguments: Sequence[str], doc: str, body: Iterable[str]) -> str:
        """The name of a function with this body, defined once."""
        lines = textwrap.indent("\n".join([*doc_lines(doc), *body]), "    ")
        return self._helper(name, lambda at: f"def {at}({', '.join(arguments)}):\n{lines}")

    def brought(self, function: Any) -> str:
        """The name of a function of `as_numpy_helpers` in the program."""
        name, text = function.__name__, inspect.getsource(function).strip()
        return self._helper(name, lambda at: text.replace(f"def {name}(", f"def {at}(", 1))

    def _helper(self, name: str, text: Callable[[str], str]) -> str:
        """What is defined above the functions, under a name that nothing else has: the same text once."""
        plain = re.sub(r"\W", "_", name)
        for count in itertools.count(1):
            at = plain if count == 1 else f"{plain}_{count}"
            if self.helpers.get(at) == text(at):
                return at
            if at not in self.taken and at not in self.helpers:
                self.helpers[at] = text(at)
                return at
        raise AssertionError(name)


_RENAMED = {"absolute": "abs"}
_OF_ONE: dict[str, Callable[..., Written]] = {  # of single numbers
    "absolute": lambda x: (f"abs({x[0]})", 100),
    "maximum": lambda a, b: (f"max({a[0]}, {b[0]})", 100),
    "minimum": lambda a, b: (f"min({a[0]}, {b[0]})", 100),
    "where": lambda c, a, b: (f"{bracketed(a, 2)} if {bracketed(c, 2)} else {bracketed(b, 2)}", 1),
    "logical_and": lambda a, b: (f"{bracketed(a, 4)} and {bracketed(b, 4)}", 3),
    "logical_or": lambda a, b: (f"{bracketed(a, 4)} or {bracketed(b, 4)}", 2),
    "logical_not": lambda x: (f"not {bracketed(x, 4)}", 4),
}


def part_of(formula: Node) -> Leaf:
    """A symbol for a part of a formula. It is called t1, t2, … where it is written first."""
    return input_leaf(formula.shape, "t1", formula.dtype)


def is_part(leaf: Leaf) -> bool:
    """Whether a symbol is one for a part of a formula."""
    return _PART.fullmatch(str(leaf.name)) is not None


def literal(value: Any) -> Written:
    """A number as code."""
    if isinstance(value, float) and not np.isfinite(value):
        return ("np.nan", 100) if np.isnan(value) else ("np.inf", 100) if value > 0 else ("-np.inf", 30)
    written = number(value)
    return written, 30 if written.startswith("-") else 100


def _numbers(value: Any) -> str:
    return f"[{', '.join(map(_numbers, value))}]" if isinstance(value, list) else literal(value)[0]


def bracketed(written: Written, least: int) -> str:
    """The code, in brackets where it binds less tightly than `least`."""
    code, level = written
    return code if level >= least else f"({code})"


def infix(operator: tuple[str, int], a: Written, b: Written) -> Written:
    """An operator between two values."""
    sign, level = operator
    loose = level in (10, 20)  # a - b - c reads from the left
    left = bracketed(a, level if loose else level + 1)
    right = bracketed(b, max(31, level + 1) if b[0].startswith("-") else level + 1)
    return f"{left} {sign} {right}", level


def length(dim: Any) -> str:
    """A length: m, 5 * m or a number."""
    if isinstance(dim, Rows):
        return "m" if dim.count == 1 else f"{dim.count} * m"
    return str(dim)


def doc_lines(doc: str) -> list[str]:
    """A docstring, folded where it is long."""
    doc = doc.replace("\\", "\\\\").replace('"""', "'''")
    if len(doc) <= WIDEST - 14:
        return [f'"""{doc}"""']
    return [*textwrap.wrap(f'"""{doc}', WIDEST - 8), '"""']


def one_line(text: str) -> str:
    """A text as it may stand in a comment."""
    return " ".join(text.split())


def along(axis: Any, rank: int, last: bool = False) -> str:
    """An axis attribute as NumPy takes it: nothing for all axes, a number or a tuple; with `last`, -1 for the last."""
    axes = (
        tuple(range(rank)) if axis is None else tuple(a % rank for a in (axis if isinstance(axis, tuple) else (axis,)))
    )
    if axes == tuple(range(rank)):
        return ""
    if len(axes) == 1:
        return f"axis={-1 if last and axes[0] == rank - 1 else axes[0]}"
    return f"axis={axes}"


def by_element(node: Node) -> bool:
    """Whether a composite is a function of each number by itself."""
    inner = topological(expand(strip_marks([node.body])))
    return all(
        each.op.kind == "elementwise" or each.op.name in ("literal", "cast") or each in node.inputs for each in inner
    )


def is_cast_truth(node: Node) -> bool:
    """Whether a node is truths taken for numbers."""
    return node.op.name == "cast" and node.inputs[0].dtype == "bool" and node.dtype in FLOATS
