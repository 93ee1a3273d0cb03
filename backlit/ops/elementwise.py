"""Arithmetic, comparisons, rounding and the scalar functions. The formula of each is what every engine runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.node import FLOATS
from ..core.op import Op, Probe, case, elementwise, integers, structural, truths, uniform
from ..core.shapes import M

INF = np.inf


def hull(*values: float) -> tuple[float, float]:
    """The smallest interval that holds the values, and still does when they are rounded to float32."""
    with np.errstate(all="ignore"):
        both = [*map(float, values), *(float(np.float32(value)) for value in values)]
    return min(both), max(both)


def _ends(function: Any) -> Any:
    """The range of a function that is monotone in each input: its values at the ends."""

    def interval(*ranges: tuple[float, float]) -> tuple[float, float]:
        corners: list[tuple[float, ...]] = [()]
        for low, high in ranges:
            corners = [(*corner, end) for corner in corners for end in (low, high)]
        with np.errstate(all="ignore"):
            values = [float(function(*corner)) for corner in corners]
        if any(np.isnan(values)):
            return (-INF, INF)
        return hull(*values)

    return interval


def _product(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return hull(*(0.0 if 0 in (x, y) else x * y for x in a for y in b))


def _quotient(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    if b[0] <= 0 <= b[1]:
        return (-INF, INF)
    return _product(a, (1 / b[1], 1 / b[0]))


# ---------------------------------------------------------------------- arithmetic
add: Op = elementwise(
    "add",
    "a + b",
    vjp=lambda g, y, a, b: [g, g],
    text="{a+} + {b}",
    tex="{a+} + {b}",
    level=10,
    range=_ends(np.add),
    doc="The sum of two values.",
)
subtract: Op = elementwise(
    "subtract",
    "a - b",
    vjp=lambda g, y, a, b: [g, -g],
    text="{a+} - {b}",
    tex="{a+} - {b}",
    level=10,
    range=_ends(np.subtract),
    doc="The difference a - b.",
)
multiply: Op = elementwise(
    "multiply",
    "a * b",
    vjp=lambda g, y, a, b: [g * b, g * a],
    text="{a+} * {b}",
    tex=r"{a+} \, {b}",
    level=20,
    range=_product,
    doc="The product, element by element (the matrix product is `matmul`).",
)
divide: Op = elementwise(
    "divide",
    "a / b",
    vjp=lambda g, y, a, b: [g / b, -(g * y) / b],
    text="{a+} / {b}",
    tex=r"\frac{{a:}}{{b:}}",
    level=20,
    range=_quotient,
    domain="not_equal(b, 0)",
    probe=(uniform(-3, 3), uniform(0.5, 3)),
    aliases=("true_divide",),
    doc="The quotient a / b, always floating.",
)
negative: Op = elementwise(
    "negative",
    "-x",
    vjp=lambda g, y, x: [-g],
    text="-{x}",
    tex="-{x}",
    level=30,
    range=lambda x: (-x[1], -x[0]),
    doc="The value with the other sign.",
)
power: Op = elementwise(
    "power",
    "a ** b",
    vjp=lambda g, y, a, b: [_power_base(g, a, b), g * y * log(a)],
    text="{a} ** {b}",
    tex="{a}^{{b:}}",
    level=40,
    domain="logical_or(a > 0, floor(b) == b)",
    probe=(uniform(0.3, 3), uniform(-2, 2)),
    aliases=("pow",),
    doc="a to the power b. A negative a needs a whole b.",
)


def _power_base(g: Any, a: Any, b: Any) -> Any:
    """b a^(b-1), written without 0/0 for the whole powers people use."""
    if b.op.name == "literal":
        exponent = b.attrs["value"]
        if exponent == 0:
            return None
        return g if exponent == 1 else g * exponent * (a if exponent == 2 else a ** (exponent - 1))
    return g * b * a ** (b - 1)


square: Op = elementwise(
    "square",
    "x * x",
    vjp=lambda g, y, x: [g * 2 * x],
    text="{x} ** 2",
    tex="{x}^2",
    level=40,
    range=lambda x: hull(0.0 if x[0] <= 0 <= x[1] else min(x[0] * x[0], x[1] * x[1]), max(x[0] * x[0], x[1] * x[1])),
    doc="x times x.",
)
absolute: Op = elementwise(
    "absolute",
    "absolute(x)",
    vjp=lambda g, y, x: [g * sign(x)],
    tex=r"\left|{x:}\right|",
    kinks="x",
    aliases=("abs",),
    range=lambda x: (0.0 if x[0] <= 0 <= x[1] else min(map(abs, x)), max(map(abs, x))),
    doc="The value without its sign.",
)
sign: Op = elementwise("sign", "sign(x)", vjp=lambda g, y, x: [None], range=(-1, 1), kinks="x", doc="-1, 0 or 1.")

# ---------------------------------------------------------------------- the exp and log family
exp: Op = elementwise(
    "exp",
    "exp(x)",
    vjp=lambda g, y, x: [g * y],
    tex="e^{{x:}}",
    level=40,
    range=_ends(np.exp),
    monotone=True,
    role="activation",
    aliases=("exponential",),
    doc="e to the power x.",
)
expm1: Op = elementwise(
    "expm1",
    "expm1(x)",
    vjp=lambda g, y, x: [g * (y + 1)],
    tex="e^{{x:}} - 1",
    level=10,
    range=_ends(np.expm1),
    monotone=True,
    doc="exp(x) - 1, accurate near 0.",
)
log: Op = elementwise(
    "log",
    "log(x)",
    vjp=lambda g, y, x: [g / x],
    tex=r"\log {x}",
    level=25,
    domain="x > 0",
    monotone=True,
    range=lambda x: (float(np.log(x[0])) if x[0] > 0 else -INF, float(np.log(x[1])) if x[1] > 0 else INF),
    probe=uniform(0.2, 4),
    doc="The natural logarithm.",
)
log1p: Op = elementwise(
    "log1p",
    "log1p(x)",
    vjp=lambda g, y, x: [g / (1 + x)],
    tex=r"\log\left(1 + {x:}\right)",
    level=25,
    domain="x > -1",
    monotone=True,
    range=lambda x: (float(np.log1p(x[0])) if x[0] > -1 else -INF, float(np.log1p(x[1])) if x[1] > -1 else INF),
    probe=uniform(-0.8, 3),
    doc="log(1 + x), accurate near 0.",
)
sqrt: Op = elementwise(
    "sqrt",
    "sqrt(x)",
    vjp=lambda g, y, x: [g * 0.5 / y],
    tex=r"\sqrt{{x:}}",
    domain="x >= 0",
    kinks="x",
    monotone=True,
    range=lambda x: (float(np.sqrt(max(x[0], 0))), float(np.sqrt(max(x[1], 0)))),
    probe=uniform(0.2, 4),
    doc="The square root.",
)
sin: Op = elementwise(
    "sin", "sin(x)", vjp=lambda g, y, x: [g * cos(x)], tex=r"\sin {x}", level=25, range=(-1, 1), doc="The sine."
)
cos: Op = elementwise(
    "cos", "cos(x)", vjp=lambda g, y, x: [-g * sin(x)], tex=r"\cos {x}", level=25, range=(-1, 1), doc="The cosine."
)
tan: Op = elementwise(
    "tan",
    "tan(x)",
    vjp=lambda g, y, x: [g * (1 + y * y)],
    tex=r"\tan {x}",
    level=25,
    probe=uniform(-1.2, 1.2),
    doc="The tangent.",
)
arctan: Op = elementwise(
    "arctan",
    "arctan(x)",
    vjp=lambda g, y, x: [g / (1 + x * x)],
    tex=r"\arctan {x}",
    level=25,
    range=_ends(np.arctan),
    monotone=True,
    doc="The inverse tangent, in radians.",
)
tanh: Op = elementwise(
    "tanh",
    "tanh(x)",
    vjp=lambda g, y, x: [g * (1 - y * y)],
    tex=r"\tanh {x}",
    level=25,
    range=_ends(np.tanh),
    monotone=True,
    role="activation",
    doc="The hyperbolic tangent: squashes any number into (-1, 1), zero-centred.",
)
erf: Op = elementwise(
    "erf",
    "erf(x)",
    vjp=lambda g, y, x: [g * 1.1283791670955126 * exp(-x * x)],
    tex=r"\operatorname{erf}\left({x:}\right)",
    range=(-1, 1),
    monotone=True,
    doc="The error function 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
)

# ---------------------------------------------------------------------- order
maximum: Op = elementwise(
    "maximum",
    "maximum(a, b)",
    vjp=lambda g, y, a, b: _split(g, a, b, a > b),
    tex=r"\max\left({a:}, {b:}\right)",
    kinks="a - b",
    range=lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    doc="The larger one; at equality each gets half of the derivative.",
)
minimum: Op = elementwise(
    "minimum",
    "minimum(a, b)",
    vjp=lambda g, y, a, b: _split(g, a, b, a < b),
    tex=r"\min\left({a:}, {b:}\right)",
    kinks="a - b",
    range=lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    doc="The smaller one; at equality each gets half of the derivative.",
)


def _split(g: Any, a: Any, b: Any, first: Any) -> list[Any]:
    share = where(equal(a, b), 0.5, cast(first, a.dtype))
    return [g * share, g * (1 - share)]


clip: Op = elementwise(
    "clip",
    "minimum(maximum(x, low), high)",
    attrs={"low": 0.0, "high": 1.0},
    also=[{"low": -1.5, "high": 2.0}],
    vjp=lambda g, y, x, low, high: [where(logical_and(greater_equal(x, low), less_equal(x, high)), g, 0.0)],
    kinks="(x - low) * (x - high)",
    range=lambda x, low, high: (min(max(x[0], low), high), min(max(x[1], low), high)),
    monotone=True,
    doc="x held between low and high; outside, the derivative is 0.",
)


def _compare(name: str, symbol: str, tex: str, probe: Any = None) -> Any:
    return elementwise(
        name,
        f"a {symbol} b",
        text=f"{{a}} {symbol} {{b}}",
        tex=f"{{a}} {tex} {{b}}",
        level=5,
        range=(0, 1),
        kinks="a - b",
        probe=probe,
        doc=f"Whether a {symbol} b, element by element.",
    )


less: Op = _compare("less", "<", "<")
less_equal: Op = _compare("less_equal", "<=", r"\le")
greater: Op = _compare("greater", ">", ">")
greater_equal: Op = _compare("greater_equal", ">=", r"\ge")
equal: Op = _compare("equal", "==", "=", integers(0, 3))  # `==` on nodes is identity
not_equal: Op = _compare("not_equal", "!=", r"\ne", integers(0, 3))

# ---------------------------------------------------------------------- truth and choice
logical_and: Op = elementwise(
    "logical_and", "logical_and(a, b)", probe=truths(), range=(0, 1), doc="Whether both are true."
)
logical_or: Op = elementwise(
    "logical_or", "logical_or(a, b)", probe=truths(), range=(0, 1), doc="Whether one of both is true."
)
logical_not: Op = elementwise(
    "logical_not", "logical_not(x)", probe=truths(), range=(0, 1), doc="Whether it is not true."
)
isfinite: Op = elementwise("isfinite", "isfinite(x)", range=(0, 1), doc="Whether it is neither infinite nor NaN.")
where: Op = elementwise(
    "where",
    "where(c, x, y)",
    vjp=lambda g, out, c, x, y: [None, where(c, g, 0.0), where(c, 0.0, g)],
    joined=(1, 2),
    probe=(truths(), uniform(-3, 3)),
    range=lambda c, x, y: (min(x[0], y[0]), max(x[1], y[1])),
    tex=r"\begin{cases}{x:} & {c:} \\ {y:} & \text{else}\end{cases}",
    doc="x where c is true, else y.",
)

# ---------------------------------------------------------------------- rounding: derivative 0 wherever there is one
floor: Op = elementwise(
    "floor",
    "floor(x)",
    vjp=lambda g, y, x: [None],
    kinks="sin(3.141592653589793 * x)",
    range=_ends(np.floor),
    monotone=True,
    tex=r"\lfloor {x:} \rfloor",
    doc="The largest whole number not above x.",
)
ceil: Op = elementwise(
    "ceil",
    "ceil(x)",
    vjp=lambda g, y, x: [None],
    kinks="sin(3.141592653589793 * x)",
    range=_ends(np.ceil),
    monotone=True,
    tex=r"\lceil {x:} \rceil",
    doc="The smallest whole number not below x.",
)
rint: Op = elementwise(
    "round",
    "rint(x)",
    vjp=lambda g, y, x: [None],
    kinks="cos(3.141592653589793 * x)",
    range=_ends(np.rint),
    monotone=True,
    aliases=("rint",),
    doc="The nearest whole number, halves to the even one.",
)

# ---------------------------------------------------------------------- whole numbers: what random bits are made of
_WORDS = integers(0, 2**31, "uint32")
bitwise_and: Op = elementwise("bitwise_and", "bitwise_and(a, b)", probe=_WORDS, doc="The bits set in both.")
bitwise_or: Op = elementwise("bitwise_or", "bitwise_or(a, b)", probe=_WORDS, doc="The bits set in one of both.")
bitwise_xor: Op = elementwise("bitwise_xor", "bitwise_xor(a, b)", probe=_WORDS, doc="The bits that differ.")
_SHIFTS = (_WORDS, integers(0, 31, "uint32"))
left_shift: Op = elementwise("left_shift", "left_shift(a, b)", probe=_SHIFTS, doc="a times 2^b, upper bits dropped.")
right_shift: Op = elementwise(
    "right_shift", "right_shift(a, b)", probe=_SHIFTS, doc="a divided by 2^b, lower bits dropped."
)


# ---------------------------------------------------------------------- dtype and name
def _cast_range(x: tuple[float, float], dtype: str) -> tuple[float, float]:
    if dtype == "bool":
        return (0, 1)
    if dtype in FLOATS:
        return hull(*x)
    info, ends = np.iinfo(dtype), (float(np.trunc(x[0])), float(np.trunc(x[1])))
    return ends if info.min <= ends[0] and ends[1] <= info.max else (info.min, info.max)


cast: Op = structural(
    "cast",
    ref=lambda x, *, dtype: x.astype(dtype),
    shape=lambda name, shapes, attrs: shapes[0],
    dtype="attr",
    vjp=lambda g, y, x, dtype: [g],
    text="{x:}",
    tex="{x:}",
    range=_cast_range,
    aliases=("astype",),
    probe=Probe(
        (uniform(-3, 3),), (case((2, 3), dtype="float32"), case((M, 2), dtype="int64"), case((), dtype="bool"))
    ),
    doc="The value in another dtype.",
)
mark: Op = structural(
    "mark",
    ref=lambda x, *, name, layer="", call=0: x,
    shape=lambda name, shapes, attrs: shapes[0],
    range=lambda x, **_: x,
    vjp=lambda g, y, x, **_: [g],
    probe=Probe((uniform(-3, 3),), (case((2, 3), name="c"), case((M, 3), name="c"))),
    doc="The value itself, under a name (`bl.name`) or as the output of a layer call.",
)


def _settle_item(shapes: Sequence[Any], attrs: Mapping[str, Any]) -> dict[str, Any]:
    several = bool(shapes[0]) and isinstance(shapes[0][0], tuple)
    if not several or attrs["place"] not in range(-len(shapes[0]), len(shapes[0])):
        raise ShapeError(
            f"there is no output {attrs['place']}.",
            expected=f"0 … {len(shapes[0]) - 1}" if several else "a record with several outputs",
        )
    return {"place": attrs["place"] % len(shapes[0])}


item: Op = structural(
    "item",
    ref=lambda parts, *, place: parts[place],
    settle=_settle_item,
    shape=lambda name, shapes, attrs: shapes[0][attrs["place"]],
    dtype="part",
    doc="One output of a record that has several.",
)
