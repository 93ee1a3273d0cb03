"""Nodes of the one graph: immutable, interned, never evaluated by themselves.

Two nodes with the same record, the same inputs and the same attributes are one object. Leaves (variables, constants,
inputs, state, streams, arrays) have identity and are never merged, whatever their values.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeAlias

import numpy as np

from . import arguments, registry
from .errors import ArgumentError, DTypeError, GraphError, NotReadyError, ShapeError, UnknownNameError
from .shapes import Shape, checked, show

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
DTYPES = (*FLOATS, *INTEGERS, "bool")
STRONG, ARRAY, LITERAL = 0, 1, 2  # how firmly a value holds its dtype: variables; arrays and constants; Python numbers
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PYTHON = os.path.dirname(os.__file__) + os.sep, "<frozen"
_MOST_LINES = 4

_interned: weakref.WeakValueDictionary[Any, Node] = weakref.WeakValueDictionary()
_lock = threading.RLock()
_origin = threading.local()


def _unlock() -> None:
    """In the child of a fork: the thread that held the lock stayed with the parent."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


class Node:
    """One value of a graph: a record applied to other nodes.

    `shape` is a tuple of whole numbers and multiples of m, `dtype` a name such as "float32"; a record with several
    outputs has tuples of them, and `node[k]` picks one. `where` holds the first lines of the user's code that made it;
    it takes no part in identity. `==` is identity: `bl.ops.equal` compares values.
    """

    __slots__ = ("__weakref__", "attrs", "body", "dtype", "inputs", "op", "shape", "weak", "where")
    op: Any
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    shape: Any
    dtype: Any
    weak: int
    body: Any  # what a composite record stands for
    where: tuple[tuple[str, int], ...]

    # ------------------------------------------------------------------ what a node knows
    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def value(self) -> Any:
        """The value for the variables' current values: a NumPy scalar or array. Nothing is cached."""
        return registry.lookup("engine.reference").value(self)

    @property
    def name(self) -> str | None:
        """The name given by `bl.name` or to the leaf, else None."""
        return self.attrs.get("name") if self.op.name == "mark" else None

    def __repr__(self) -> str:
        called = f" {self.name!r}" if self.name else ""
        if self.several:
            return f"<{self.op.name}{called} {len(self.shape)} outputs>"
        return f"<{self.op.name}{called} shape={show(self.shape)} {self.dtype}>"

    def __str__(self) -> str:
        return registry.lookup("show.text")(self)  # type: ignore[no-any-return]

    def to_latex(self) -> str:
        """The formula in LaTeX."""
        return registry.lookup("show.latex")(self)  # type: ignore[no-any-return]

    def to_json(self) -> dict[str, Any]:
        """The graph as plain lists and dicts: nodes in order, inputs by place."""
        return registry.lookup("show.json")([self])  # type: ignore[no-any-return]

    def _repr_latex_(self) -> str:
        return f"$$ {self.to_latex()} $$"

    @property
    def several(self) -> bool:
        """Whether the record has several outputs, picked by `item`."""
        return type(self.dtype) is tuple

    # ------------------------------------------------------------------ what Python must not do with a node
    def __bool__(self) -> bool:
        raise GraphError(
            "a node has no truth value: it is not evaluated yet.",
            found=repr(self),
            fix="use bl.ops.where(condition, a, b) inside a graph, or node.value outside",
        )

    def __iter__(self) -> Iterator[Node]:
        return (self[place] for place in range(len(self)))

    def __len__(self) -> int:
        length = len(self.shape) if self.several else self.shape[0] if self.shape else None
        if not isinstance(length, int):
            raise GraphError(
                f"{self!r} has no fixed length.", fix="take node.value, or bl.ops.size(x, axis) inside a graph"
            )
        return length

    def __float__(self) -> float:
        return float(self._single("float"))

    def __int__(self) -> int:
        return int(self._single("int"))

    def _single(self, kind: str) -> Any:
        if self.several or self.shape:
            raise ArgumentError(f"{self!r} is no single number.", fix=f"{kind}(node.value[...]), or reduce it first")
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.value, dtype=dtype)

    # ------------------------------------------------------------------ NumPy functions and operators find the record
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        return _record_of(ufunc)(*inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _record_of(func)(*args, **kwargs)

    def __add__(self, other: Any) -> Node:
        return _call("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return _call("add", other, self)

    def __sub__(self, other: Any) -> Node:
        return _call("subtract", self, other)

    def __rsub__(self, other: Any) -> Node:
        return _call("subtract", other, self)

    def __mul__(self, other: Any) -> Node:
        return _call("multiply", self, other)

    def __rmul__(self, other: Any) -> Node:
        return _call("multiply", other, self)

    def __truediv__(self, other: Any) -> Node:
        return _call("divide", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return _call("divide", other, self)

    def __pow__(self, other: Any) -> Node:
        return _call("power", self, other)

    def __rpow__(self, other: Any) -> Node:
        return _call("power", other, self)

    def __matmul__(self, other: Any) -> Node:
        return _call("dot", self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return _call("dot", other, self)

    def __lt__(self, other: Any) -> Node:
        return _call("less", self, other)

    def __le__(self, other: Any) -> Node:
        return _call("less_equal", self, other)

    def __gt__(self, other: Any) -> Node:
        return _call("greater", self, other)

    def __ge__(self, other: Any) -> Node:
        return _call("greater_equal", self, other)

    def __neg__(self) -> Node:
        return _call("negative", self)

    def __abs__(self) -> Node:
        return _call("absolute", self)

    def reshape(self, *shape: Any) -> Node:
        """The same numbers under another shape."""
        return _call("reshape", self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Node:
        """The axes in another order, by default reversed."""
        return _call("transpose", self, (axes[0] if len(axes) == 1 else axes) or None)

    @arguments.checked
    def sum(self, axis: Any = None, keepdims: bool = False) -> Node:
        """The sum over `axis` (None: all axes)."""
        return _call("sum", self, axis, keepdims)

    @arguments.checked
    def mean(self, axis: Any = None, keepdims: bool = False) -> Node:
        """The mean over `axis` (None: all axes)."""
        return _call("mean", self, axis, keepdims)

    @arguments.checked
    def max(self, axis: Any = None, keepdims: bool = False) -> Node:
        """The largest over `axis` (None: all axes)."""
        return _call("max", self, axis, keepdims)

    @arguments.checked
    def min(self, axis: Any = None, keepdims: bool = False) -> Node:
        """The smallest over `axis` (None: all axes)."""
        return _call("min", self, axis, keepdims)

    @arguments.checked
    def argmax(self, axis: Any = None) -> Node:
        """The place of the largest along `axis` (None: among all in row-major order)."""
        return _call("argmax", self, axis)

    @arguments.checked
    def clip(self, low: Any, high: Any) -> Node:
        """The value held between `low` and `high`."""
        return _call("clip", self, low, high)

    @arguments.checked
    def dot(self, other: Any) -> Node:
        """The product as np.dot means it."""
        return _call("dot", self, other)

    @arguments.checked
    def astype(self, dtype: DType) -> Node:
        """The value in another dtype."""
        return _call("astype", self, dtype)

    def __getitem__(self, key: Any) -> Node:
        return registry.lookup("op.getitem")(self, key)  # type: ignore[no-any-return]

    def __pos__(self) -> Node:
        return self

    @property
    def T(self) -> Node:
        """The transpose: axes in reverse order."""
        return registry.lookup("op.transpose")(self)  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        return unflatten_one, (flatten([self]),)


def _record_of(function: Any) -> Any:
    """The record that stands for a NumPy function; `@` on arrays is np.matmul and means what `dot` does."""
    try:
        return registry.lookup("op.dot" if function is np.matmul else f"op.{function.__name__}")
    except UnknownNameError:
        raise UnknownNameError(
            f"there is no record for np.{function.__name__}.", fix="write it with bl.ops, or take node.value"
        ) from None


def _call(name: str, *args: Any, **kwargs: Any) -> Node:
    return registry.lookup(f"op.{name}")(*args, **kwargs)  # type: ignore[no-any-return]


class Leaf(Node):
    """A node with identity: a variable, constant, input, state, stream or array. Its value lives in one slot."""

    __slots__ = ("_name", "array", "kind", "trainable")

    def __init__(self, kind: str, array: Any, *, name: str | None, shape: Shape, dtype: str, weak: int):
        if name is not None and not isinstance(name, str):
            raise ArgumentError("a name is text.", found=repr(name))
        self.op = registry.lookup(f"op.{kind}")
        self.inputs, self.attrs, self.body, self.where = (), {}, None, here()
        self.kind, self.array, self._name, self.trainable = kind, array, name, kind == "variable"
        self.shape, self.dtype, self.weak = shape, dtype, weak

    @property
    def name(self) -> str | None:
        """The leaf's name, or None."""
        return self._name

    @arguments.checked
    def rename(self, name: str) -> None:
        """Give the leaf another name; names take no part in identity."""
        self._name = name

    @arguments.checked
    def assign(self, value: Any) -> Leaf:
        """Give a variable or state another value of the same shape; its dtype is kept. Returns the variable.

        Raises GraphError for a constant, ShapeError for another shape, DTypeError for floats in a variable of integers.
        """
        if self.kind not in ("variable", "state"):
            raise GraphError(f"{self!r} cannot be assigned.", expected="a variable", fix="make it with bl.variable")
        new = self.fitting(value)
        if new.shape != self.shape:
            raise ShapeError(
                f"{self.name or 'the variable'} keeps its shape.",
                expected=f"shape {show(self.shape)}",
                found=f"shape {show(new.shape)}",
                fix="reshape the value, or make a new variable",
            )
        self.array[...] = new
        return self

    def fitting(self, value: Any) -> np.ndarray[Any, Any]:
        """`value` as an array that this leaf's dtype can hold: no fractions among whole numbers, none out of range."""
        array = as_array(value)
        if not _holds(self.dtype, array):
            raise DTypeError(
                f"{self.name or 'the ' + self.kind} holds {self.dtype}.",
                expected=f"values that {self.dtype} can hold",
                found=array.dtype.name,
                why="the cast would silently change the values",
                fix=f"pass value.astype({self.dtype!r}) if that is meant",
            )
        return array

    def __reduce__(self) -> Any:
        return _make_leaf, (self.kind, self.array, self._name, self.shape, self.dtype, self.weak, self.trainable)

    def read(self) -> Any:
        """The array in the slot, not a copy; NotReadyError for an input."""
        if self.array is None:
            raise NotReadyError(
                f"the input {self.name!r} has no value of its own.",
                fix="feed it: f = bl.compile(outputs, inputs=[...]); f(array)",
            )
        return self.array


def _make_leaf(kind: str, array: Any, name: str | None, shape: Shape, dtype: str, weak: int, trainable: bool) -> Leaf:
    node = Leaf(kind, array, name=name, shape=shape, dtype=dtype, weak=weak)
    node.trainable = trainable
    return node


# ---------------------------------------------------------------------- making leaves
def as_array(value: Any) -> np.ndarray[Any, Any]:
    """`value` as an array of a dtype we have; text, objects and ragged lists are refused."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ArgumentError("a ragged list is no array.", expected="rows of equal length") from None
    if array.dtype.name in DTYPES:
        return array
    if array.dtype.kind in "iu":
        if array.size and array.max() > np.iinfo("int64").max:
            raise DTypeError(f"{array.max()} does not fit into int64.", fix="pass value.astype('float64')")
        return array.astype("int64")
    if array.dtype.kind == "f":
        return array.astype("float32" if array.dtype.itemsize < 4 else "float64")
    raise ArgumentError(
        f"{type(value).__name__} is no array of numbers.", expected="numbers or bools", found=repr(value)[:60]
    )


def _floating(value: Any, dtype: str | None) -> np.ndarray[Any, Any]:
    """Python numbers and lists become float64; arrays keep their dtype unless another is asked for."""
    array = as_array(value)
    if dtype is None and not hasattr(value, "dtype") and array.dtype.kind == "i":
        dtype = "float64"
    return np.array(array, dtype=checked_dtype(dtype) if dtype else None, order="C")


def _holds(dtype: str, array: np.ndarray[Any, Any]) -> bool:
    if array.dtype.kind in "iu" and dtype in INTEGERS and array.size:
        return bool(np.iinfo(dtype).min <= array.min() and array.max() <= np.iinfo(dtype).max)
    return np.can_cast(array.dtype, dtype, "same_kind")


def checked_dtype(dtype: Any) -> str:
    """The name of `dtype`; DTypeError where we do not have it."""
    try:
        name = np.dtype(dtype).name if isinstance(dtype, (type, np.dtype)) else dtype
    except TypeError:
        name = repr(dtype)
    if not isinstance(name, str) or name not in DTYPES:
        raise DTypeError(f"there is no dtype {name!r} here.", expected=", ".join(DTYPES))
    return name


DType: TypeAlias = Annotated[Any, checked_dtype]


@arguments.checked
def variable(value: Any, name: str | None = None, dtype: DType | None = None, trainable: bool = True) -> Leaf:
    """A value that can be assigned and differentiated by.

    Python numbers and lists are float64; an array keeps its dtype. The array is copied. A variable may hold NaN or
    infinity: what such a number does can be looked at. The weights of layers may not (`set_weights`).

    >>> import backlit as bl
    >>> w = bl.variable(2.0, name="w")
    >>> float(((w * -2 + 8 - 2) ** 2 / 2).value)
    2.0
    """
    array = _floating(value, dtype)
    leaf = Leaf("variable", array, name=name, shape=array.shape, dtype=array.dtype.name, weak=STRONG)
    leaf.trainable = trainable
    return leaf


@arguments.checked
def constant(value: Any, name: str | None = None, dtype: DType | None = None) -> Leaf:
    """A named value that never changes. It takes the float dtype of what it is joined with.

    >>> import backlit as bl
    >>> float((bl.constant(3) * 2).value)
    6.0
    """
    array = _floating(value, dtype)
    array.flags.writeable = False
    return Leaf("constant", array, name=name, shape=array.shape, dtype=array.dtype.name, weak=ARRAY)


def array_leaf(value: Any) -> Leaf:
    """An array met in an expression, held by a private copy."""
    if isinstance(value, (list, tuple)) and any(isinstance(part, Node) for part in value):
        raise ArgumentError(
            "a list of nodes is no array: its values are not known yet.", fix="join them: bl.ops.stack([a, b])"
        )
    array = np.array(as_array(value))
    array.flags.writeable = False
    return Leaf("array", array, name=None, shape=array.shape, dtype=array.dtype.name, weak=ARRAY)


def state(value: Any, name: str, dtype: str | None = None) -> Leaf:
    """A value that a program reads and writes but that is no parameter: a slot, a sum, a moving mean."""
    array = _floating(value, dtype)
    return Leaf("state", array, name=name, shape=array.shape, dtype=array.dtype.name, weak=STRONG)


@arguments.checked
def input_leaf(shape: Any, name: str | None = None, dtype: DType = "float64", weak: int = STRONG) -> Leaf:
    """A place that is fed when the graph runs; `backlit.core.shapes.M` is the axis of the examples."""
    return Leaf("input", None, name=name, shape=checked(shape), dtype=checked_dtype(dtype), weak=weak)


# ---------------------------------------------------------------------- interning
def intern(op: Any, inputs: tuple[Node, ...], attrs: Mapping[str, Any]) -> Node:
    """The one node of this record, these inputs and these attributes, with the caller's line added to its origins."""
    key = (op, tuple(map(id, inputs)), tuple((name, _bits(attrs[name])) for name in sorted(attrs)))
    with _lock:
        node = _interned.get(key)
        if node is None:
            node = Node()
            node.op, node.inputs, node.attrs, node.where = op, inputs, dict(attrs), here()
            op.infer(node)
            _interned[key] = node
        elif len(node.where) < _MOST_LINES:
            node.where += tuple(line for line in here() if line not in node.where)[: _MOST_LINES - len(node.where)]
    return node


def _bits(value: Any) -> Any:
    """A key that tells apart what == does not: 1, 1.0, True, 0.0 and -0.0 are five keys."""
    if type(value) is float:
        return "float", value.hex()
    if type(value) is tuple:
        return tuple(map(_bits, value))
    by_identity: Any = object.__eq__
    if type(value).__eq__ is by_identity:  # the node holds it: a layer in a key would stay for good
        return type(value), id(value)
    return type(value), value


# ---------------------------------------------------------------------- origins
def here() -> tuple[tuple[str, int], ...]:
    """The nearest line outside this package, or the inherited lines inside `inherit`. A line of the user's comes before
    one of an installed package that he calls, such as a pipeline of scikit-learn's."""
    inherited = getattr(_origin, "lines", None)
    if inherited is not None:
        return inherited  # type: ignore[no-any-return]
    frame: Any = sys._getframe(2)
    near: tuple[tuple[str, int], ...] = ()
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE):
            if not file.startswith(_PYTHON) and "site-packages" not in file:
                return ((file, frame.f_lineno),)
            near = near or ((file, frame.f_lineno),)
        frame = frame.f_back
    return near


def warn(message: str, category: type[Warning]) -> None:
    """A warning that points at the user's own line, however many of our own stand in between."""
    file, line = (*here(), ("backlit", 0))[0]
    warnings.warn_explicit(message, category, file, line)


def spoken(line: tuple[str, int]) -> str:
    """An origin as people read it: ``digits.py:14  model.fit(X, y, epochs=40)``."""
    file, number = line
    return f"{os.path.basename(file)}:{number}  {linecache.getline(file, number).strip()}".strip()


@contextmanager
def inherit(node: Node) -> Iterator[None]:
    """Nodes made inside come from the lines of `node`: for derivatives and rewrites."""
    before = getattr(_origin, "lines", None)
    _origin.lines = node.where
    try:
        yield
    finally:
        _origin.lines = before


# ---------------------------------------------------------------------- the flat list behind pickle and deepcopy
def flatten(outputs: Sequence[Node]) -> list[Any]:
    """All nodes below `outputs` in topological order: a leaf as itself, else (record, places of inputs, attributes)."""
    order = registry.lookup("walk.topological")(outputs)
    place = {node: index for index, node in enumerate(order)}
    rows: list[Any] = [
        node if isinstance(node, Leaf) else (node.op, tuple(place[i] for i in node.inputs), dict(node.attrs))
        for node in order
    ]
    return [*rows, tuple(place[node] for node in outputs)]


def unflatten(rows: list[Any]) -> list[Node]:
    """The nodes that `flatten` wrote."""
    made: list[Node] = []
    for row in rows[:-1]:
        made.append(row if isinstance(row, Leaf) else intern(row[0], tuple(made[i] for i in row[1]), row[2]))
    return [made[index] for index in rows[-1]]


def unflatten_one(rows: list[Any]) -> Node:
    """The single node that `flatten` wrote."""
    return unflatten(rows)[0]
