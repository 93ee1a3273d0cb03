"""The same graph under JAX: a whole step is one jitted function of the batch and the state.

The first cut for a CPU: state stays on the device during a run and is written back to the leaves when the run ends.
`jax.numpy` follows NumPy's rules here, with 64-bit numbers switched on for the calls of this engine alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import MissingImportError, NotReadyError
from ..core.node import Leaf, Node
from ..core.scalar import FUNCTIONS
from ..core.shapes import bind
from ..core.walk import Graph, topological
from .base import Array, Program, Result, Run, Source, rows_of
from .planned import prepare


@cache
def _jax() -> Any:
    try:
        import jax
        import jax.numpy
        import jax.scipy.special
    except ImportError:
        raise MissingImportError(
            "the engine xla needs JAX.", fix="pip install 'backlit[jax]', or compile(engine='planned')"
        ) from None
    return jax


@cache
def _functions() -> dict[str, Callable[..., Any]]:
    """The scalar functions of formulas."""
    jax = _jax()
    table = {name: getattr(jax.numpy, name, None) for name in FUNCTIONS}
    return {**table, "erf": jax.scipy.special.erf}


# ---------------------------------------------------------------------- records that are no formulas
def _dilated(jnp: Any, x: Any, *, low: Any, high: Any, interior: Any) -> Any:
    zero = jnp.zeros((), x.dtype)
    return _jax().lax.pad(x, zero, tuple(zip(low, high, interior, strict=True)))


def _scattered(jnp: Any, g: Any, ids: Any, *, axis: int, length: int) -> Any:
    after = g.ndim - axis - ids.ndim
    out = jnp.zeros((*g.shape[:axis], length, *g.shape[g.ndim - after :]), g.dtype)
    return out.at[(slice(None),) * axis + (ids,)].add(g)


def _windows(jnp: Any, x: Any, *, window: Any, strides: Any, dilation: Any) -> Any:
    """The places that each window sees, gathered axis by axis."""
    for axis, (width, stride, gap) in enumerate(zip(window, strides, dilation, strict=True), start=1):
        reach = gap * (width - 1) + 1
        begins = np.arange(0, x.shape[axis] - reach + 1, stride)
        x = jnp.take(x, begins[:, None] + gap * np.arange(width), axis=axis)
        x = jnp.moveaxis(x, axis + 1, -2)
    return x


def _folded(jnp: Any, g: Any, *, places: Any, strides: Any, dilation: Any) -> Any:
    """The transpose of `_windows`, which is linear."""
    window = g.shape[1 + len(places) : -1]

    def seen(x: Any) -> Any:
        return _windows(jnp, x, window=window, strides=strides, dilation=dilation)

    return _jax().linear_transpose(seen, _jax().ShapeDtypeStruct((g.shape[0], *places, g.shape[-1]), g.dtype))(g)[0]


def _reduced(name: str) -> Callable[..., Any]:
    return lambda jnp, x, *, axis=None, keepdims=False: getattr(jnp, name)(x, axis=axis, keepdims=keepdims)


_STRUCTURAL: dict[str, Callable[..., Any]] = {
    "reshape": lambda jnp, x, *, shape: jnp.reshape(x, shape),
    "transpose": lambda jnp, x, *, axes=None: jnp.transpose(x, axes),
    "broadcast_to": lambda jnp, x, *, shape: jnp.broadcast_to(x, shape),
    "concatenate": lambda jnp, values, *, axis=0: jnp.concatenate(values, axis=axis),
    "split": lambda jnp, x, *, sections, axis=0: tuple(jnp.split(x, sections, axis)),
    "slice": lambda jnp, x, *, start, stop, step=None: x[tuple(map(slice, start, stop, step))],
    "dilate": _dilated,
    "flip": lambda jnp, x, *, axis=None: jnp.flip(x, axis),
    # an id that is out of range gives NaN, which shuts the gate; the replay by `reference` then says so
    "gather": lambda jnp, x, ids, *, axis=0: jnp.take(x, ids, axis=axis, mode="fill"),
    "scatter_add": _scattered,
    "windows": _windows,
    "fold": _folded,
    "sum": _reduced("sum"),
    "max": _reduced("max"),
    "min": _reduced("min"),
    "prod": _reduced("prod"),
    "any": _reduced("any"),
    "all": _reduced("all"),
    "argmax": lambda jnp, x, *, axis=None: jnp.argmax(x, axis=axis),
    "argmin": lambda jnp, x, *, axis=None: jnp.argmin(x, axis=axis),
    "size": lambda jnp, x, *, axis=None: np.prod([x.shape[i] for i in axis], dtype=np.float64),
    "matmul": lambda jnp, a, b: jnp.matmul(a, b, precision="highest"),
    "cast": lambda jnp, x, *, dtype: x.astype(dtype),
    "item": lambda jnp, parts, *, place: parts[place],
}


def _called_back(node: Node, inputs: Sequence[Any], attrs: Mapping[str, Any], rows: int | None) -> Any:
    """A structural record that JAX has no word for, such as one of the user's own, runs in NumPy on the host."""
    jax = _jax()
    shapes = [jax.ShapeDtypeStruct(bind(shape, rows), dtype) for shape, dtype in _parts(node)]

    def run(*arrays: Any) -> Any:
        given = [np.asarray(each) for each in arrays]
        out = node.op.ref(given, **attrs) if node.op.variadic else node.op.ref(*given, **attrs)
        parts = out if node.several else (out,)
        return tuple(np.asarray(part, dtype=each.dtype) for part, each in zip(parts, shapes, strict=True))

    out = jax.pure_callback(run, tuple(shapes), *inputs)
    return out if node.several else out[0]


def _parts(node: Node) -> list[tuple[Any, Any]]:
    return list(zip(node.shape, node.dtype, strict=True)) if node.several else [(node.shape, node.dtype)]


def _value(node: Node, known: Mapping[Node, Any], rows: int | None) -> Any:
    jnp = _jax().numpy
    inputs = [known[i] for i in node.inputs]
    if node.op.formula is not None:
        out = jnp.asarray(node.op.formula.run(_functions(), inputs, node.attrs))
        return jnp.broadcast_to(out, bind(node.shape, rows)).astype(node.dtype)
    attrs = {key: bind(value, rows) for key, value in node.attrs.items()}
    if not node.inputs:  # a number, or whole numbers in order: known before anything runs
        return np.asarray(node.op.ref(**attrs), dtype=node.dtype)
    function = _STRUCTURAL.get(node.op.name)
    if function is None:
        return _called_back(node, inputs, attrs, rows)
    out = function(jnp, inputs, **attrs) if node.op.variadic else function(jnp, *inputs, **attrs)
    return out if node.several else jnp.asarray(out).astype(node.dtype)


# ---------------------------------------------------------------------- programs
class XlaProgram:
    """A graph as a jitted function; JAX keeps one compiled form for each number of rows."""

    def __init__(self, graph: Graph):
        self.graph = prepare(graph)
        gate = () if self.graph.gate is None else (self.graph.gate,)
        self.order = topological((*gate, *self.graph.outputs, *self.graph.updates.values()))
        self.held = [n for n in self.order if isinstance(n, Leaf) and n not in self.graph.inputs]
        self.written = list(self.graph.updates)
        self.lock = threading.Lock()  # of what a run writes into the slots
        self.step = _jax().jit(self._step, static_argnums=2)

    def _step(self, fed: Sequence[Any], held: Sequence[Any], rows: int | None) -> tuple[list[Any], list[Any], Any]:
        known: dict[Node, Any] = dict(zip(self.graph.inputs, fed, strict=True))
        known.update(zip(self.held, held, strict=True))
        for node in self.order:
            if node not in known:
                known[node] = _value(node, known, rows)
        is_open = True if self.graph.gate is None else known[self.graph.gate]
        return (
            [known[node] for node in self.graph.outputs],
            [known[node] for node in self.graph.updates.values()],
            is_open,
        )

    def _state(self) -> list[Any]:
        return [leaf.read() for leaf in self.held]

    def _commit(self, new: Sequence[Any]) -> None:
        with self.lock:
            for leaf, value in zip(self.written, new, strict=True):
                leaf.array[...] = np.asarray(value)

    def evaluate(self, feed: Mapping[Leaf, Any]) -> Result:
        """Outputs for the fed inputs, copied out; the updates are committed if the gate is open."""
        missing = [leaf.name for leaf in self.graph.inputs if leaf not in feed]
        if missing:
            raise NotReadyError(f"the inputs {missing} are not fed.", fix="give a value for every input")
        rows = rows_of(feed)
        fed = [np.asarray(feed[leaf]).astype(leaf.dtype, copy=False) for leaf in self.graph.inputs]
        with _jax().enable_x64(True):
            outputs, new, is_open = self.step(fed, self._state(), rows)
            if is_open := bool(is_open):
                self._commit(new)
            return Result([np.array(value) for value in outputs], is_open)

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """`count` steps, stopped at the first whose gate is shut; the state is on the device in between."""
        columns = [leaf for leaf in self.graph.inputs if leaf not in scalars]
        table, done = np.zeros((count, len(self.graph.outputs))), 0
        held: dict[Leaf, Any] = dict(zip(self.held, self._state(), strict=True))
        last: list[Any] = []
        with _jax().enable_x64(True):
            for place in range(count):
                rows = source.rows(start + place)
                buffers = {leaf: np.empty(bind(leaf.shape, rows), leaf.dtype) for leaf in columns}
                source.fill(start + place, list(buffers.values()))
                numbers = {leaf: np.asarray(vector[place], leaf.dtype) for leaf, vector in scalars.items()}
                fed = [{**buffers, **numbers}[leaf] for leaf in self.graph.inputs]
                outputs, new, is_open = self.step(fed, list(held.values()), rows)
                table[place] = outputs
                if not is_open:
                    break
                last, done = new, place + 1
                held.update((leaf, value) for leaf, value in zip(self.written, new, strict=True) if leaf in held)
            if done:
                self._commit(last)
        return Run(table[: done + 1] if done < count else table, done)


class Xla:
    """The graph under `jax.jit`."""

    name = "xla"

    def compile(self, graph: Graph) -> Program:
        """Expand and tidy the graph; JAX traces it when the number of rows is known."""
        return XlaProgram(graph)


registry.register("engine.xla", Xla())
