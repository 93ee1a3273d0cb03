"""What an engine runs for one training step of a model, line by line with the layer it came from, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, NotReadyError
from ..core.node import Leaf, Node
from ..core.shapes import Rows
from ..core.walk import topological
from ..train.feed import feed

_BATCH = 32


@dataclass(frozen=True)
class Line:
    """One line: the layer it came from, what runs, the bytes it writes, who runs it; times where it was profiled."""

    layer: str
    text: str
    bytes: int
    how: str
    seconds: float = 0.0
    gflops: float = 0.0  # of products, a second


class Source:
    """What runs for one training step; `str` is the text, `lines` has one `Line` each."""

    def __init__(self, model: Any, batch_size: int | None):
        step, program = _trained(model, "source")
        rows = batch_size or _BATCH
        listing = program.listing(rows)
        layers = _layers(model, step, program, [line.nodes for line in listing])
        self.head = f"{model.name}: one training step of {rows} examples by the engine {_engine(program)!r}"
        self.lines = [
            Line(layer, line.words, line.bytes, line.how) for layer, line in zip(layers, listing, strict=True)
        ]

    def __str__(self) -> str:
        rows = [(line.layer, line.text, _size(line.bytes), line.how) for line in self.lines]
        return "\n".join([self.head, "", *_table(("layer", "what runs", "writes", "by"), rows, "<<><")])

    __repr__ = __str__


class Profile:
    """How long each part of a training step takes; `str` is a table by layer, `lines` has one `Line` each."""

    def __init__(self, model: Any, x: Any, y: Any, batch_size: int | None):
        step, program = _trained(model, "profile")
        fed = _batch(model, step, x, y, batch_size or _BATCH)
        told = program.profile(fed)
        layers = _layers(model, step, program, [line.nodes for line, _ in told])
        rows = len(next(iter(fed.values())))
        self.head = f"{model.name}: one training step of {rows} examples by the engine {_engine(program)!r}"
        self.peak = _peak()
        self.lines = [
            Line(layer, line.words, line.bytes, line.how, seconds, 2e-9 * line.work / seconds)
            for layer, (line, seconds) in zip(layers, told, strict=True)
        ]

    @property
    def seconds(self) -> float:
        """All lines together."""
        return sum(line.seconds for line in self.lines)

    def __str__(self) -> str:
        rows = []
        for layer in dict.fromkeys(line.layer for line in self.lines):
            own = [line for line in self.lines if line.layer == layer]
            rows.append(self._row(layer, f"{len(own)} line{'s' * (len(own) > 1)}", own))
            rows += [self._row("", line.text, [line]) for line in sorted(own, key=lambda e: -e.seconds)[:4]]
        rows.append(self._row("all", "", self.lines))
        head = ("layer", "what runs", "µs", "share", "writes", "of peak")
        peak = (
            f"peak: {self.peak:.0f} GFLOP/s, one large product of float32 matrices in NumPy's BLAS on this machine now"
        )
        return "\n".join([self.head, "", *_table(head, rows, "<<>>>>"), "", peak])

    __repr__ = __str__

    def _row(self, layer: str, text: str, lines: Sequence[Line]) -> tuple[str, ...]:
        seconds = sum(line.seconds for line in lines)
        speed = sum(line.gflops * line.seconds for line in lines) / max(seconds, 1e-12)
        share = f"{100 * seconds / max(self.seconds, 1e-12):.0f} %"
        of_peak = f"{100 * speed / self.peak:.0f} %" if speed else ""
        return layer, text, f"{1e6 * seconds:.1f}", share, _size(sum(line.bytes for line in lines)), of_peak


def _trained(model: Any, call: str) -> tuple[Any, Any]:
    """The training step and its program."""
    model.need_compiled(call)
    if not model.built:
        raise NotReadyError("the model has no weights yet.", fix="model.build((n,)) with n columns, or fit it")
    step, program = model.step("train", (None,) * len(model.heads))
    if not hasattr(program, "listing"):
        raise ArgumentError(
            f"{call}() cannot look into the engine {model.engine_name!r}.",
            expected="reference, planned, compiled",
            fix="compile(engine='planned')",
        )
    return step, program


def _engine(program: Any) -> str:
    return type(program).__name__.removesuffix("Program").lower()


def _batch(model: Any, step: Any, x: Any, y: Any, rows: int) -> dict[Leaf, Any]:
    """The first rows of the data, as the step takes them; refused at the door where `fit` would refuse them."""
    columns = feed(model, x, y).take(slice(0, rows)).columns
    batch = {leaf: np.asarray(column, leaf.dtype) for leaf, column in zip(step.columns, columns, strict=True)}
    return {
        **batch,
        step.rate: model.optimizer.learning_rates(model.iterations, 1)[0],
        step.number: model.iterations + 1,
    }


def _peak() -> float:
    """GFLOP/s of a large product now."""
    a = np.ones((1024, 1024), np.float32)
    out, shortest = np.empty_like(a), float("inf")
    for _ in range(5):
        began = time.perf_counter()
        np.matmul(a, a, out)
        shortest = min(shortest, time.perf_counter() - began)
    return 2e-9 * 1024**3 / shortest


# ---------------------------------------------------------------------- which layer a node came from
def _layers(model: Any, step: Any, program: Any, groups: Sequence[Sequence[Node]]) -> list[str]:
    found = _Origins(model, step, program)
    return [found.of(nodes) for nodes in groups]


class _Origins:
    """Forward nodes belong to the first layer whose value needs them; the others to the layer whose update alone they
    serve, to the layer whose values or weights they read, or to the loss."""

    def __init__(self, model: Any, step: Any, program: Any):
        graph = step.graph
        marks = [node for node in graph.nodes if node.op.name == "mark" and node.attrs.get("layer")]
        became = program.prepared([*marks, *graph.roots])
        roots = became[len(marks) :]
        owners = _owners(model)
        self.forward: dict[Node, str] = {leaf: owners.get(leaf, "step") for leaf in graph.updates}
        for mark, node in zip(marks, became, strict=False):
            for below in topological([node], _below):
                self.forward.setdefault(below, mark.attrs["layer"])
        self.loss = set(topological(roots[:1], _below))
        self.serves: dict[Node, set[str]] = {}
        for leaf, root in zip(graph.updates, roots[len(graph.outputs) :], strict=False):
            for below in topological([root], _below):
                self.serves.setdefault(below, set()).add(owners.get(leaf, "step"))
        self.backward: set[Node] = set(step.columns[len(model.inputs) :])  # what depends on the targets
        for node in topological(roots, _below):
            if any(below in self.backward for below in _below(node)):
                self.backward.add(node)

    def of(self, nodes: Sequence[Node]) -> str:
        """The layer of one line."""
        told = [self.one(node) for node in nodes]
        return max(set(told), key=told.count) if told else "commit"

    def one(self, node: Node) -> str:
        while node not in self.forward:
            serves = self.serves.get(node, set()) - {"step"}
            if node in self.loss or not serves:
                return "loss" if node in self.loss else "step"
            if len(serves) == 1 and node in self.backward and not _has_rows(node):  # a gradient, or what updates by it
                return next(iter(serves))
            below = [i for i in _below(node) if not _constant(i)]
            read = [i for i in below if i not in self.backward]
            if not below:
                return "step"
            node = (read or below)[-1 if read else 0]
        return self.forward[node]


def _below(node: Node) -> Sequence[Node]:
    bodies = () if node.body is None else node.body if node.several else (node.body,)
    return (*node.inputs, *bodies)


def _has_rows(node: Node) -> bool:
    return type(node.shape) is tuple and any(isinstance(dim, Rows) for dim in node.shape)


def _constant(node: Node) -> bool:
    return not node.inputs and not (isinstance(node, Leaf) and node.kind in ("variable", "state", "input"))


def _owners(model: Any) -> dict[Leaf, str]:
    """The layer of each weight, and of the optimizer's slots of each."""
    found = {leaf: layer.name for layer in model.layers for leaf in layer.weights}
    for parameter, slots in model.slots().items():
        found.update(dict.fromkeys(slots.values(), found.get(parameter, "step")))
    return found


# ---------------------------------------------------------------------- text
def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    wide = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    return [
        "  ".join(f"{c:{s}{w}}" for c, s, w in zip(row, sides, wide, strict=True)).rstrip() for row in (head, *rows)
    ]


registry.register("view.source", Source)
registry.register("view.profile", Profile)
