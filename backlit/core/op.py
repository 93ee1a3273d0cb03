"""Records of operations. A record says everything the library knows of an op; walks and engines do the rest.

Three kinds: `elementwise` (a formula of scalar functions), `composite` (a definition in other records: shape,
derivative and every engine follow from it) and `structural` (a NumPy function, a shape rule, a derivative).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import registry
from .arguments import checked, shown
from .errors import ArgumentError, BacklitError, DTypeError, GraphError, ValueRangeError, did_you_mean
from .node import ARRAY, FLOATS, INTEGERS, LITERAL, STRONG, Node, array_leaf, checked_dtype, intern
from .scalar import BOOLEAN, FUNCTIONS, Formula, parse
from .shapes import M, Rule, Shape, broadcast, show

REQUIRED: Any = inspect.Parameter.empty
# What NumPy and Python raise for values that an op cannot use.
UNUSABLE = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, MemoryError)
_NUMPY = {name: getattr(np, name, None) for name in FUNCTIONS}
_MEANT: set[Any] = set()  # (record, dtypes of its inputs) that were tried
Interval = tuple[float, float]
EVERYTHING: Interval = (-np.inf, np.inf)


# ---------------------------------------------------------------------- probes: sample inputs that travel with a record
@dataclass(frozen=True)
class Sampler:
    """Numbers to try a record with: `draw(rng, shape)` gives an array."""

    draw: Callable[[np.random.Generator, tuple[int, ...]], Any]
    low: float = -3.0
    high: float = 3.0
    dtype: str = "float64"


def uniform(low: float, high: float) -> Sampler:
    """Numbers evenly from [low, high)."""
    return Sampler(lambda rng, shape: rng.uniform(low, high, shape), low, high)


def normal(mean: float, std: float) -> Sampler:
    """Numbers from a normal distribution."""
    return Sampler(lambda rng, shape: rng.normal(mean, std, shape), mean - 3 * std, mean + 3 * std)


def distinct(low: float, high: float) -> Sampler:
    """Numbers far enough from one another that the largest stays the largest under a small change."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        count = int(np.prod(shape))
        return rng.permutation(np.linspace(low, high, count + 2)[1:-1]).reshape(shape)

    return Sampler(draw, low, high)


def integers(low: int, high: int, dtype: str = "int64") -> Sampler:
    """Whole numbers low … high-1."""
    return Sampler(lambda rng, shape: rng.integers(low, high, shape).astype(dtype), low, high, dtype)


def truths() -> Sampler:
    """True and False."""
    return Sampler(lambda rng, shape: rng.random(shape) < 0.5, 0, 1, "bool")


@dataclass(frozen=True)
class Case:
    """One way to call a record: shapes of its inputs (m allowed) and its attributes."""

    shapes: tuple[Shape, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """Samplers, one an input (the last one serves the rest), and the cases to try."""

    samplers: tuple[Sampler, ...]
    cases: tuple[Case, ...]

    def sampler(self, place: int) -> Sampler:
        """The sampler for the input at `place`."""
        return self.samplers[min(place, len(self.samplers) - 1)]


def case(*shapes: Shape, **attrs: Any) -> Case:
    """A `Case` from shapes and attributes."""
    return Case(shapes, attrs)


# ---------------------------------------------------------------------- the record
@dataclass(frozen=True, eq=False, kw_only=True)
class Op:
    """What the library knows of one operation. Call it on arrays to get arrays, on nodes to get a node."""

    name: str
    kind: str  # "elementwise", "composite", "structural" or "leaf"
    doc: str = ""
    inputs: tuple[str, ...] = ()
    variadic: bool = False  # one argument: a sequence of inputs
    attrs: Mapping[str, Any] = field(default_factory=dict)  # name -> default or REQUIRED
    shape: Callable[..., Any] | None = (
        None  # (name, shapes, attrs) -> shape, or several for a record with several outputs
    )
    several: bool = False
    dtype: str = (
        "same"  # "same": of the joined inputs; "float"; "wide"; or a dtype; or "attr" for an attribute called dtype
    )
    joined: tuple[int, ...] | None = None  # the inputs that must agree in dtype; None: all
    places: tuple[int, ...] = ()  # the inputs that must be whole numbers, because they say where or how often
    settle: Callable[..., Mapping[str, Any]] | None = None  # (shapes, attrs) -> attributes in their one normal form
    formula: Formula | None = None
    ref: Callable[..., Any] | None = None
    define: Callable[..., Any] | None = None
    vjp: Callable[..., Sequence[Any]] | None = None  # (g, y, *inputs, **attrs) -> gradients, graphs themselves
    text: str | Callable[..., str] | None = None  # "{a} + {b}"; None: name(a, b)
    tex: str | None = None
    level: int = 100  # how tightly the printed form binds: 10 sums, 20 products, 30 signs, 40 powers, 100 calls
    range: Interval | Callable[..., Interval] | None = None
    domain: str | None = None  # a formula that is true where the op is defined
    kinks: str | None = None  # a formula that is zero where the op is not differentiable
    monotone: bool = False
    random: bool = False
    holds_leaves: bool = False  # a composite whose definition knows its variables: walks that change leaves look inside
    role: str = ""  # "activation": may be named as the activation of a layer
    probe: Probe | None = None

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        rule = f"\n\nShapes: {self.shape.text}" if isinstance(self.shape, Rule) else ""
        formula = f"\n\nFormula: {self.formula.text}" if self.formula else ""
        return f"{self.signature}: {self.doc}{formula}{rule}"

    @property
    def signature(self) -> str:
        """The call as text: ``softmax(x, axis=-1)``."""
        named = [key if value is REQUIRED else f"{key}={value!r}" for key, value in self.attrs.items()]
        return f"{self.name}({', '.join([*self.inputs, *named])})"

    def __repr__(self) -> str:
        return f"<op {self.signature}>"

    def __reduce__(self) -> Any:
        return registry.lookup, (f"op.{self.name}",)

    def __deepcopy__(self, memo: Any) -> Op:
        return self

    # ------------------------------------------------------------------ calling
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs, attrs = self._bind(args, kwargs)
        node = self._applied(inputs, attrs)
        if any(isinstance(value, Node) for value in inputs):
            return node
        return registry.lookup("engine.reference").value(node)

    def node(self, *args: Any, **kwargs: Any) -> Node:
        """The node of this record on these inputs, also where none of them is a node."""
        return self._applied(*self._bind(args, kwargs))

    def _applied(self, given: Sequence[Any], attrs: dict[str, Any]) -> Node:
        inputs = [as_node(value) for value in given]
        if self.dtype != "part" and any(node.several for node in inputs):
            raise GraphError(f"{self.name} takes single values, not several at once.", fix="pick one: parts[0]")
        inputs = self._join(inputs, attrs)
        try:
            if self.settle:
                attrs = dict(self.settle([node.shape for node in inputs], attrs))
            return intern(self, tuple(inputs), attrs)
        except BacklitError:
            raise
        except UNUSABLE as error:
            raise self.refusal(error, [show(node.shape) for node in inputs], attrs) from error

    def refusal(self, error: Exception, inputs: Sequence[str], attrs: Mapping[str, Any]) -> BacklitError:
        """What Python or NumPy says of inputs (as text) and attributes that it cannot use, as an error of ours."""
        kind = ArgumentError if isinstance(error, TypeError) else ValueRangeError
        told = str(error).rstrip(".") or type(error).__name__
        found = ", ".join([*inputs, *(f"{key}={shown(value)}" for key, value in attrs.items())])
        return kind(f"{self.name}: {told}.", expected=self.signature, found=found)

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        names = [*self.inputs, *self.attrs]
        unknown = [key for key in kwargs if key not in names]
        if unknown or len(args) > len(names):
            fix = did_you_mean(unknown[0], names) if unknown else ""
            raise ArgumentError(f"{self.name} got {unknown or 'too many arguments'}.", expected=self.signature, fix=fix)
        given = dict(zip(names, args, strict=False))
        if twice := set(given) & set(kwargs):
            raise ArgumentError(f"{self.name} got {sorted(twice)} twice.", expected=self.signature)
        given.update(kwargs)
        missing = [key for key in names if key not in given and self.attrs.get(key, REQUIRED) is REQUIRED]
        if missing:
            raise ArgumentError(f"{self.name} needs {', '.join(missing)}.", expected=self.signature)
        if self.variadic and not isinstance(given[self.inputs[0]], Iterable):
            found = shown(given[self.inputs[0]])
            raise ArgumentError(f"{self.name} takes a list of values.", expected=self.signature, found=found)
        inputs = list(given[self.inputs[0]]) if self.variadic else [given[key] for key in self.inputs]
        chosen = {key: given.get(key, default) for key, default in self.attrs.items()}
        plain = {key: (checked_dtype if key == "dtype" else _plain)(value) for key, value in chosen.items()}
        for key, value in plain.items() if self.formula else ():
            if not isinstance(value, (int, float)):
                raise ArgumentError(f"{self.name}: {key} must be a number, found {shown(value)}.")
        return inputs, plain

    def _join(self, nodes: list[Node], attrs: Mapping[str, Any]) -> list[Node]:
        """Cast the inputs that must agree to their common dtype."""
        places = [i for i in (range(len(nodes)) if self.joined is None else self.joined) if i < len(nodes)]
        if not places or self.dtype in ("attr", "part"):
            return nodes
        target = common_dtype([nodes[i] for i in places], self.name)
        if target not in FLOATS and (self.dtype == "float" or (self.formula and any(map(_fraction, attrs.values())))):
            target = "float64"
        if self.dtype == "wide" and target not in FLOATS:
            target = "int64"
        for i in places:
            nodes[i] = cast(nodes[i], target)
        return nodes

    # ------------------------------------------------------------------ what a node of this record is
    def infer(self, node: Node) -> None:
        """Fill in shape, dtype, weakness and, for a composite, its body."""
        node.body = None
        self._check_dtypes(node)
        shapes = [i.shape for i in node.inputs]
        if self.define is not None:
            body = self.define(*([node.inputs] if self.variadic else node.inputs), **node.attrs)
            parts = tuple(map(as_node, body)) if isinstance(body, (tuple, list)) else (as_node(body),)
            several = isinstance(body, (tuple, list))  # a definition may give several outputs
            node.body = parts if several else parts[0]
            node.shape = tuple(part.shape for part in parts) if several else parts[0].shape
            node.dtype = tuple(part.dtype for part in parts) if several else parts[0].dtype
            node.weak = min(part.weak for part in parts)
            self._check_closed(node)
            return
        assert self.shape is not None
        node.shape = self.shape(self.name, shapes, node.attrs)
        joined = node.inputs if self.joined is None else [node.inputs[i] for i in self.joined]
        node.weak = min((i.weak for i in joined if i.dtype in FLOATS), default=LITERAL) if joined else LITERAL
        if self.dtype in ("same", "float", "wide"):
            dtype = joined[0].dtype if joined else "float64"
            if dtype not in FLOATS:
                node.weak = min(i.weak for i in joined)
        elif self.dtype == "part":
            dtype, node.weak = node.inputs[0].dtype[node.attrs["place"]], node.inputs[0].weak
        else:
            dtype = node.attrs["dtype"] if self.dtype == "attr" else self.dtype
            chosen = dtype != _OF_NUMBERS[type(node.attrs["value"])] if self is _literal else True
            node.weak = min(node.weak, ARRAY) if chosen else node.weak
        node.dtype = (dtype,) * len(node.shape) if self.several else dtype

    def _check_dtypes(self, node: Node) -> None:
        """Refuse places that are no whole numbers, and dtypes for which the formula has no meaning."""
        for each in (node.inputs[place] for place in self.places):
            if each.dtype not in INTEGERS:
                raise DTypeError(
                    f"{self.name} looks up places, which are whole numbers.",
                    found=repr(each),
                    fix="bl.ops.cast(ids, 'int64')",
                )
        dtypes = tuple(i.dtype for i in node.inputs)
        if self.formula is None or (self, dtypes) in _MEANT or all(dtype in FLOATS for dtype in dtypes):
            return
        try:
            self.formula.run(_NUMPY, [np.zeros(0, dtype) for dtype in dtypes], node.attrs)  # on no numbers at all
        except TypeError:
            raise DTypeError(
                f"{self.name} has no meaning for {' and '.join(dict.fromkeys(dtypes))}.",
                found=" and ".join(map(repr, node.inputs)),
                fix="cast first: bl.ops.cast(x, 'int64'), or 'float64'",
            ) from None
        _MEANT.add((self, dtypes))

    def _check_closed(self, node: Node) -> None:
        """Refuse a definition that reads a variable which is no input: derivatives by it would be lost."""
        below = registry.lookup("walk.topological")
        parts = node.body if node.several else [node.body]
        for leaf in below(parts, lambda part: () if part in node.inputs else part.inputs):
            if leaf.op.kind == "leaf" and leaf.kind in ("variable", "input", "state") and leaf not in node.inputs:
                raise GraphError(
                    f"the definition of {self.name} reads {leaf!r}, which is not among its inputs.",
                    why="derivatives and engines see a record's inputs only",
                    fix="make it an input of the record and pass it",
                )


def _fraction(value: Any) -> bool:
    """Whether an attribute is such that a formula makes fractions of whole numbers with it."""
    return type(value) is float and not value.is_integer()


def _plain(value: Any) -> Any:
    """An attribute as something hashable: lists and arrays become tuples, NumPy numbers Python numbers."""
    if isinstance(value, Node):
        raise ArgumentError(
            "an attribute must be known when the graph is built.", found=repr(value), fix="pass a number: node.value"
        )
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


# ---------------------------------------------------------------------- values that are no nodes yet
def as_node(value: Any) -> Node:
    """A node for a Python number (a literal), a list or an array (an array leaf); nodes pass through."""
    if isinstance(value, Node):
        return value
    if isinstance(value, (bool, int, float, np.generic)):
        return literal(value.item() if isinstance(value, np.generic) else value)
    return array_leaf(value)


_OF_NUMBERS = {bool: "bool", int: "int64", float: "float64"}


def literal(value: Any, dtype: str | None = None) -> Node:
    """A number written in an expression; it takes the dtype of what it is joined with."""
    if dtype is None:
        dtype = _OF_NUMBERS[type(value)]
    kind = float if dtype in FLOATS else bool if dtype == "bool" else int
    if kind is int and not -(1 << 63) <= value < 1 << 63:
        raise DTypeError(f"{value} does not fit into int64.", fix="write it as a float")
    return intern(_literal, (), {"value": kind(value), "dtype": dtype})


def cast(node: Node, dtype: str) -> Node:
    """`node` in another dtype; a literal is written anew."""
    if node.dtype == dtype:
        return node
    if node.op is _literal:
        value = node.attrs["value"]
        if dtype in INTEGERS and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            raise DTypeError(f"{value} does not fit into {dtype}.", fix="cast the other value to a wider dtype first")
        return literal(value, dtype)
    return intern(registry.lookup("op.cast"), (node,), {"dtype": checked_dtype(dtype)})


def common_dtype(nodes: Sequence[Node], what: str) -> str:
    """The dtype that joined inputs share: floats before whole numbers before bools; of floats the firmest, of whole
    numbers one that holds them all, literals aside."""
    floats = [node for node in nodes if node.dtype in FLOATS]
    nodes = floats or [node for node in nodes if node.dtype != "bool"] or nodes
    level = min(node.weak for node in nodes)
    dtypes = {node.dtype for node in nodes if node.weak == level or (not floats and node.weak < LITERAL)}
    if len(dtypes) == 1:
        return dtypes.pop()  # type: ignore[no-any-return]
    if floats and level == STRONG:
        raise DTypeError(
            f"{what} joins float32 and float64.",
            expected="one float dtype in a graph",
            found=" and ".join(sorted({repr(node) for node in floats})),
            why="the result would silently lose or pretend precision",
            fix="bl.ops.cast one of them, or make the variables with one dtype",
        )
    return np.result_type(*dtypes).name


# ---------------------------------------------------------------------- making records
def _put(op: Op, aliases: Sequence[str] = ()) -> Op:
    for name in (op.name, *aliases):
        registry.register(f"op.{name}", op)
    return op


def _made(**known: Any) -> Op:
    for key in known:
        if key not in Op.__dataclass_fields__:
            fields = ", ".join(Op.__dataclass_fields__)
            fix = did_you_mean(key, Op.__dataclass_fields__)
            raise ArgumentError(f"a record says nothing of {key!r}.", expected=fields, fix=fix)
    return Op(**known)


def _same_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    return broadcast(shapes, name)


_ONE = (case((2, 3)), case(()), case((M, 3)), case((1, 4)))
_TWO = (
    case((2, 3), (2, 3)),
    case((3, 1), (1, 4)),
    case((), (2, 3)),
    case((2, 3), (3,)),
    case((M, 3), (3,)),
    case((M, 1), (M, 2)),
)
_THREE = (case((2, 3), (2, 3), (2, 3)), case((2, 1), (3,), ()), case((M, 3), (1, 3), (M, 1)))
_USUAL = {1: _ONE, 2: _TWO, 3: _THREE}


@checked
def elementwise(
    name: str,
    py: str,
    *,
    attrs: Mapping[str, Any] | None = None,
    probe: Any = None,
    aliases: Sequence[str] = (),
    **known: Any,
) -> Op:
    """A record that works element by element: `py` is its formula, inputs broadcast as in NumPy.

    `probe` is a sampler or several; the cases cover broadcasting both ways, single numbers and the batch axis.
    """
    formula = parse(py, tuple(attrs or ()))
    samplers = probe if isinstance(probe, tuple) else (probe or uniform(-3, 3),)
    cases = [Case(usual.shapes, known.get("attrs", {})) for usual in _USUAL[len(formula.inputs)]]
    cases += [Case(cases[0].shapes, other) for other in known.pop("also", ())]
    if formula.result.kind == "call" and formula.calls[-1].function in BOOLEAN:
        known.setdefault("dtype", "bool")
    elif formula.calls and any(call.function in _FLOATING for call in formula.calls):
        known.setdefault("dtype", "float")
    op = _made(
        name=name,
        kind="elementwise",
        inputs=formula.inputs,
        attrs=attrs or {},
        formula=formula,
        shape=_same_shape,
        probe=Probe(samplers, tuple(cases)),
        **known,
    )
    return _put(op, aliases)


_FLOATING = frozenset(["divide", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "erf", "arctan"])


@checked
def structural(name: str, *, ref: Callable[..., Any], shape: Any, aliases: Sequence[str] = (), **known: Any) -> Op:
    """A record given by a NumPy function `ref` of arrays and keyword attributes, with a shape rule or function."""
    inputs, attrs, variadic = _arguments(ref)
    rule = Rule(shape) if isinstance(shape, str) else shape
    op = _made(
        name=name, kind="structural", inputs=inputs, attrs=attrs, variadic=variadic, ref=ref, shape=rule, **known
    )
    return _put(op, aliases)


@checked
def composite(name: str, *, define: Callable[..., Any], aliases: Sequence[str] = (), **known: Any) -> Op:
    """A record given by its definition in other records; shape, derivative and every engine follow."""
    inputs, attrs, variadic = _arguments(define)
    op = _made(name=name, kind="composite", inputs=inputs, attrs=attrs, variadic=variadic, define=define, **known)
    return _put(op, aliases)


def _arguments(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any], bool]:
    """Parameters without a default are inputs, the others and the keyword-only ones attributes; a first parameter
    called `values` is a sequence of inputs."""
    inputs, attrs = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY or parameter.default is not REQUIRED:
            attrs[parameter.name] = parameter.default
        else:
            inputs.append(parameter.name)
    return tuple(inputs), attrs, inputs[:1] == ["values"]


def leaf(name: str, doc: str) -> Op:
    """The record of a kind of leaf."""
    return _put(Op(name=name, kind="leaf", doc=doc))


def _literal_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    return ()


_literal = structural(
    "literal",
    ref=lambda *, value, dtype: np.asarray(value, dtype),
    shape=_literal_shape,
    dtype="attr",
    doc="A number written in an expression.",
)
for _kind, _doc in {
    "variable": "A value that can be assigned and differentiated by.",
    "constant": "A named value that never changes.",
    "input": "A value that is fed when the graph runs.",
    "state": "A value that a program carries from step to step.",
    "array": "An array met in an expression.",
}.items():
    leaf(_kind, _doc)
