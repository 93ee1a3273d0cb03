"""The scalar functions of formulas as machine code on vectors: the one table that the compiled engine has for them.

Floating results agree with NumPy to 4 units in the last place; NaN and infinity go the way they go there. What is not in
the table for a kind of number (a power of whole numbers, say) is refused with KeyError and runs in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .ir import BITS, Function, Value, count, number, suffix

Emit = Callable[[Function, Sequence[Value]], Value]

_LIBRARY = {"sin": "sin", "cos": "cos", "tan": "tan", "erf": "erf",
            "arctan": "atan", "power": "pow"}  # fmt: skip
_CONDITIONS = {"less": ("olt", "slt", "ult"), "less_equal": ("ole", "sle", "ule"), "greater": ("ogt", "sgt", "ugt"),
               "greater_equal": ("oge", "sge", "uge"), "equal": ("oeq", "eq", "eq"),
               "not_equal": ("une", "ne", "ne")}  # fmt: skip
_ARITHMETIC = {"add": ("fadd", "add"), "subtract": ("fsub", "sub"), "multiply": ("fmul", "mul")}
_BITWISE = {"bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor", "logical_and": "and", "logical_or": "or"}
_ROUNDING = {"floor": "floor", "ceil": "ceil", "rint": "rint", "sqrt": "sqrt", "absolute": "fabs"}

# Cephes' minimax coefficients for float32.
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
        2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)  # fmt: skip
_TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_ROUNDS = 1.5 * 2.0**23  # float32 of this size count in ones: adding it rounds, and its bits show the whole number


def emit(function: Function, name: str, values: Sequence[Value]) -> Value:
    """Append the scalar function `name` of the formulas' language; KeyError where there is no code for these kinds."""
    first = values[0]
    if name in _CONDITIONS:
        which = 0 if first.floats else 1 + first.unsigned
        return function.compare(_CONDITIONS[name][which], values[0], values[1])
    if name in _ARITHMETIC and first.kind != "i1":
        return function.apply(_ARITHMETIC[name][not first.floats], *values)
    if name in _BITWISE and not first.floats:
        return function.apply(_BITWISE[name], *values)
    if name == "logical_not" and first.kind == "i1":
        return function.apply("xor", first, number(1, "i1", first.lanes))
    if name == "where":
        return function.select(*values)
    return (_FLOATING if first.floats else _WHOLE)[name](function, values)


def known(name: str, dtypes: Sequence[str]) -> bool:
    """Whether there is code for a function of numbers of these dtypes."""
    if name in _CONDITIONS or name in _ARITHMETIC or name == "where" or name.startswith("logical_"):
        return "bool" not in dtypes[1:] or name not in _ARITHMETIC
    floats = any(each.startswith("float") for each in dtypes)
    return name in _FLOATING if floats else name in _WHOLE or name in _BITWISE


def whole(name: str) -> bool:
    """Whether a function of whole numbers is computed in whole numbers."""
    return name in _WHOLE or name in _ARITHMETIC or name in _BITWISE or name == "where"


# ---------------------------------------------------------------------- polynomials
def _like(value: Value, constant: float) -> Value:
    return number(constant, value.kind, value.lanes)


def _horner(f: Function, x: Value, coefficients: Sequence[float]) -> Value:
    total = _like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = f.fma(total, x, _like(x, coefficient))
    return total


def _times_power_of_two(f: Function, x: Value, n: Value) -> Value:
    """x · 2ⁿ in two factors, so that results below the smallest normal number come out right."""
    half = f.apply("ashr", n, _like(n, 1))
    for part in (half, f.apply("sub", n, half)):
        biased = f.apply("shl", f.apply("add", part, _like(n, 127)), _like(n, 23))
        x = f.apply("fmul", x, f.convert("bitcast", biased, "float"))
    return x


def _whole(f: Function, x: Value, kind: str) -> Value:
    """Floats as whole numbers; NaN and what is too large give some number instead of undefined behaviour."""
    if kind not in ("i32", "i64"):  # as NumPy casts: what is too large goes round, and -1.0 becomes the largest number
        return f.convert("trunc", _whole(f, x, "i64"), kind)
    to = Value("", kind, x.lanes)
    return f.call(f"llvm.fptosi.sat.{suffix(to)}.{suffix(x)}", x, like=to)


def _exp(f: Function, values: Sequence[Value]) -> Value:
    x = values[0]
    if x.kind == "double":
        return f.each_lane("exp", x)
    inside = f.intrinsic("minimum", f.intrinsic("maximum", x, _like(x, -104.0)), _like(x, 89.0))
    shifted = f.fma(inside, _like(x, 1 / math.log(2)), _like(x, _ROUNDS))
    n = f.apply("fsub", shifted, _like(x, _ROUNDS))
    r = f.fma(n, _like(x, -_LN2_HIGH), inside)
    r = f.fma(n, _like(x, -_LN2_LOW), r)
    tail = f.fma(_horner(f, r, _EXP), f.apply("fmul", r, r), f.apply("fadd", r, _like(x, 1.0)))
    bits = f.convert("bitcast", shifted, "i32")
    return _times_power_of_two(f, tail, f.apply("sub", bits, f.convert("bitcast", _like(x, _ROUNDS), "i32")))


def _log(f: Function, values: Sequence[Value]) -> Value:
    x = values[0]
    if x.kind == "double":
        return f.each_lane("log", x)
    tiny = f.compare("olt", x, _like(x, 2.0**-126))
    scaled = f.select(tiny, f.apply("fmul", x, _like(x, 2.0**23)), x)
    bits = f.convert("bitcast", scaled, "i32")
    exponent = f.apply("sub", f.apply("lshr", bits, _like(bits, 23)), _like(bits, 126))
    fraction = f.apply("or", f.apply("and", bits, _like(bits, 0x7FFFFF)), _like(bits, 0x3F000000))
    m, e = f.convert("bitcast", fraction, "float"), f.convert("sitofp", exponent, "float")
    e = f.select(tiny, f.apply("fsub", e, _like(x, 23.0)), e)
    low = f.compare("olt", m, _like(x, math.sqrt(0.5)))
    e = f.select(low, f.apply("fsub", e, _like(x, 1.0)), e)
    m = f.apply("fsub", f.select(low, f.apply("fadd", m, m), m), _like(x, 1.0))
    square = f.apply("fmul", m, m)
    y = f.apply("fmul", f.apply("fmul", _horner(f, m, _LOG), square), m)
    y = f.fma(e, _like(x, _LN2_LOW), y)
    y = f.fma(square, _like(x, -0.5), y)
    y = f.fma(e, _like(x, _LN2_HIGH), f.apply("fadd", m, y))
    y = f.select(f.compare("oeq", x, _like(x, math.inf)), x, y)
    y = f.select(f.compare("oeq", x, _like(x, 0.0)), _like(x, -math.inf), y)
    return f.select(f.compare("uge", x, _like(x, 0.0)), f.select(f.compare("uno", x, x), x, y), _like(x, math.nan))


def _tanh(f: Function, values: Sequence[Value]) -> Value:
    """1 - 2/(e²ˣ + 1) away from 0, an odd polynomial near it."""
    x = values[0]
    if x.kind == "double":
        return f.each_lane("tanh", x)
    size = f.intrinsic("fabs", x)
    grown = f.apply("fadd", _exp(f, [f.apply("fadd", size, size)]), _like(x, 1.0))
    far = f.apply("fsub", _like(x, 1.0), f.apply("fdiv", _like(x, 2.0), grown))
    square = f.apply("fmul", x, x)
    near = f.fma(f.apply("fmul", _horner(f, square, _TANH), square), size, size)
    return f.intrinsic("copysign", f.select(f.compare("olt", size, _like(x, 0.625)), near, far), x)


def _log1p(f: Function, values: Sequence[Value]) -> Value:
    """log(u) · x / (u - 1) with u = 1 + x as it is rounded: the errors of both factors cancel (Kahan)."""
    x = values[0]
    if x.kind == "double":
        return f.each_lane("log1p", x)
    u = f.apply("fadd", x, _like(x, 1.0))
    ratio = f.apply("fdiv", x, f.apply("fsub", u, _like(x, 1.0)))
    y = f.apply("fmul", _log(f, [u]), ratio)
    as_it_is = f.apply("or", f.compare("oeq", u, _like(x, 1.0)), f.compare("oeq", u, _like(x, math.inf)))
    return f.select(as_it_is, x, y)


def _expm1(f: Function, values: Sequence[Value]) -> Value:
    """(u - 1) · x / log(u) with u = exp(x) as it is rounded."""
    x = values[0]
    if x.kind == "double":
        return f.each_lane("expm1", x)
    u = _exp(f, [x])
    less = f.apply("fsub", u, _like(x, 1.0))
    y = f.apply("fmul", less, f.apply("fdiv", x, _log(f, [u])))
    y = f.select(f.compare("oeq", u, _like(x, 1.0)), x, y)
    plain = f.apply("or", f.compare("oeq", less, _like(x, -1.0)), f.compare("oeq", u, _like(x, math.inf)))
    return f.select(plain, less, y)


# ---------------------------------------------------------------------- the rest
def _library(name: str) -> Emit:
    return lambda f, values: f.each_lane(name + ("f" if values[0].kind == "float" else ""), *values)


def _further(f: Function, name: str, condition: str, a: Value, b: Value) -> Value:
    """The larger or smaller one, or NaN; that 0 is above -0 is nothing that formulas ask for, and dear on x86."""
    if f.make.family != "x86" or not (a.text.startswith("%") and b.text.startswith("%")):
        return f.intrinsic(name, a, b)
    return f.select(f.compare("uno", a, a), a, f.select(f.compare(condition, a, b), a, b))


def _float_sign(f: Function, values: Sequence[Value]) -> Value:
    x = values[0]
    one = f.intrinsic("copysign", _like(x, 1.0), x)
    return f.select(f.compare("one", x, _like(x, 0.0)), one, f.apply("fadd", x, _like(x, 0.0)))


def _shifted(instruction: str) -> Emit:
    """A shift; by as many bits as there are, or more, nothing is left but the sign."""

    def shift(f: Function, values: Sequence[Value]) -> Value:
        x, by = values
        arithmetic = instruction == "shr" and not x.unsigned
        name = "ashr" if arithmetic else "lshr" if instruction == "shr" else "shl"
        most = _like(by, BITS[x.kind] - 1)
        inside = f.compare("ule", by, most)
        moved = f.apply(name, x, f.select(inside, by, most))
        return moved if arithmetic else f.select(inside, moved, _like(x, 0))

    return shift


def _extreme(name: str) -> Emit:
    return lambda f, values: f.intrinsic(("u" if values[0].unsigned else "s") + name, *values)


def _finite(f: Function, values: Sequence[Value]) -> Value:
    return f.compare("olt", f.intrinsic("fabs", values[0]), _like(values[0], math.inf))


_FLOATING: dict[str, Emit] = {
    "divide": lambda f, v: f.apply("fdiv", *v),
    "minimum": lambda f, v: _further(f, "minimum", "olt", *v),
    "maximum": lambda f, v: _further(f, "maximum", "ogt", *v),
    "negative": lambda f, v: f.value(f"fneg {v[0]}", v[0].kind, v[0].lanes),
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "expm1": _expm1,
    "log1p": _log1p,
    "sign": _float_sign,
    "isfinite": _finite,
    **{name: _library(called) for name, called in _LIBRARY.items()},
    **{name: lambda f, v, called=called: f.intrinsic(called, *v) for name, called in _ROUNDING.items()},  # type: ignore[misc]
}
_WHOLE: dict[str, Emit] = {
    "minimum": _extreme("min"),
    "maximum": _extreme("max"),
    "left_shift": _shifted("shl"),
    "right_shift": _shifted("shr"),
    "negative": lambda f, v: f.apply("sub", _like(v[0], 0), v[0]),
    "absolute": lambda f, v: v[0] if v[0].unsigned else f.intrinsic("smax", v[0], f.apply("sub", _like(v[0], 0), v[0])),
    "isfinite": lambda f, v: number(1, "i1", v[0].lanes),
}


def converted(f: Function, value: Value, kind: str) -> Value:
    """The numbers as another kind, as NumPy casts them; "i1" asks whether they differ from 0."""
    if value.kind == kind:
        return value
    wide = BITS[kind] > BITS[value.kind]
    if kind == "i1":
        return f.compare("une" if value.floats else "ne", value, _like(value, 0))
    if kind in ("float", "double"):
        if value.floats:
            return f.convert("fpext" if wide else "fptrunc", value, kind)
        return f.convert("uitofp" if value.kind == "i1" or value.unsigned else "sitofp", value, kind)
    if value.floats:
        return _whole(f, value, kind)
    if BITS[kind] == BITS[value.kind]:
        return Value(value.text, kind, value.lanes)
    unsigned = value.kind == "i1" or value.unsigned
    return f.convert(("zext" if unsigned else "sext") if wide else "trunc", value, kind)


def reduced(f: Function, name: str, vector: Value) -> Value:
    """All lanes joined: "add", "maximum", "minimum" or "multiply"."""
    lanes = vector.lanes
    while lanes > 1:
        lanes //= 2
        swapped = ", ".join(f"i32 {(lane + lanes) % vector.lanes}" for lane in range(vector.lanes))
        other = f.value(
            f"shufflevector {vector}, {vector}, <{vector.lanes} x i32> <{swapped}>", vector.kind, vector.lanes
        )
        vector = emit(f, name, [vector, other])
    return f.value(f"extractelement {vector}, {count(0)}", vector.kind)
