"""The trace of a network: the graph that the next training step differentiates, read layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.arguments import Natural, checked
from ..core.errors import ArgumentError, NotReadyError, ShapeError, ValueRangeError, counted
from ..core.grad import name as named
from ..core.grad import reverse
from ..core.node import Leaf, Node, constant, input_leaf, variable
from ..core.op import literal
from ..core.walk import Graph, topological
from ..layers.layer import Pass
from ..ops.elementwise import mark
from ..ops.reduce import sum as sum_
from ..rewrite import stable
from ..rewrite.rule import Pattern, apply, fired, match, p
from ..train import feed
from .forward import Reader, as_symbol, trains
from .steps import Reading, Worked
from .trace import Trace

_FEW_INPUTS = 8  # of a unit, so that its products are written out one by one
_AGREE = 1e-6  # relative difference from which training's own form of a derivative is shown


class Network(Trace):
    """The trace of a model on a batch: layers are blocks that open into their operations, units show by themselves."""

    blocks = True

    @checked
    def open(self, layer: str) -> Trace:
        """The operations of one layer, each a step of its own, with the same numbers."""
        if layer not in self.layers:
            raise self._no_layer(layer)
        reading = self.reading
        heads = {head for head in reading.heads if reading.layers[head] == layer}
        inside = [node for node in reading.order if reading.owner[node] in heads or _serves(reading, node, heads)]
        inner = Reading(reading.worked, reading.names, inside, own=lambda node: True)
        return Trace(inner, f"the operations of {layer!r}")

    @checked
    def unit(self, layer: str, unit: Natural = 0, example: Natural | None = None) -> Trace:
        """One unit of a dense layer on one example: z = w·x + b, then a = g(z), and the way back through it."""
        if layer not in self.layers:
            raise self._no_layer(layer)
        reading = self.reading
        found = next(_affine(reading, layer), None)
        if found is None:
            raise ValueRangeError(
                f"layer {layer!r} has no units z = w·x + b on rows of numbers.",
                fix=f"t.open({layer!r}) has its operations",
            )
        z, x, w, b = found
        rows, units = np.shape(reading.value(z))
        if unit >= units:
            raise ValueRangeError(f"layer {layer!r} has no unit {unit}.", expected=f"0 … {units - 1}")
        return self._one(layer, (z, x, w, b), unit, _row(example, rows, layer, unit))

    def _one(self, layer: str, nodes: Any, unit: int, row: int) -> Trace:
        reading = self.reading
        z, x, w, b = nodes
        weights, entering = np.asarray(reading.value(w))[:, unit], np.asarray(reading.value(x))[row]
        bias = None if b is None else np.asarray(reading.value(b)).reshape(-1)[unit]
        out = _sum_of_products(weights, entering, bias)
        users = [user for user in reading.readers[z] if reading.layers[user] == layer]
        end, ops = z, reading.operations(users[0]) if len(users) == 1 else []
        if len(ops) == 1 and ops[0].op.kind == "elementwise" and len(ops[0].inputs) == 1:
            out, end = named(ops[0].op.node(out, **ops[0].attrs), "a"), users[0]
        slope = reading.slopes[end] if self.goes_back else None
        seed = 0.0 if slope is None else float(slope[row, unit])
        title = f"unit {unit} of {layer!r}, example {row}"
        return Trace(Reading(Worked(out, {}, seed)), title)


def _serves(reading: Reading, node: Node, heads: set[Node]) -> bool:
    """Whether a record of several outputs belongs to these steps."""
    return node.several and any(reading.owner[user] in heads for user in reading.users[node])


def _affine(reading: Reading, layer: str) -> Iterator[tuple[Node, Node, Node, Node | None]]:
    """The steps Z = X W + b of a layer: (Z, X, W, b), b None where there is none."""
    places = {symbol: node for node, symbol in reading.symbols.items()}
    product = p.matmul("x", "w")
    for head in (each for each in reading.heads if reading.layers[each] == layer and len(each.shape) == 2):
        parts: dict[str, Any] = {}
        formula = reading.symbolic(head)
        if not match(p.add(product, "b"), formula, parts) and not match(product, formula, parts):
            continue
        found = [places.get(parts[key]) if key in parts else None for key in ("x", "w", "b")]
        if found[0] is not None and found[1] is not None and len(found[0].shape) == 2:
            yield head, found[0], found[1], found[2]


def _row(example: int | None, rows: int, layer: str, unit: int) -> int:
    if example is None and rows > 1:
        raise ShapeError(
            f"the trace has {rows} examples: one has to be chosen.",
            expected="one example",
            fix=f"t.unit({layer!r}, {unit}, example=0), or model.trace(X[:1], y[:1])",
        )
    if (example or 0) >= rows:
        raise ValueRangeError(f"the trace has no example {example}.", expected=f"0 … {rows - 1}")
    return example or 0


def _sum_of_products(w: Any, x: Any, b: Any) -> Any:
    """z = w0·x0 + w1·x1 + … + b, few products written out, many as one sum."""
    if len(w) > _FEW_INPUTS:
        z: Any = sum_(variable(w, "w") * constant(x, "x"))
    else:
        digits = [str(k) for k in range(len(w))] if len(w) > 1 else [""]
        terms = [
            variable(each, f"w{k}") * constant(float(value), f"x{k}")
            for each, value, k in zip(w, x, digits, strict=True)
        ]
        z = terms[0]
        for term in terms[1:]:
            z = z + term
    return named(z if b is None else z + variable(float(b), "b"), "z")


# ---------------------------------------------------------------------- the graph of the next step
def network(model: Any, x: Any, y: Any = None) -> Network:
    """What a model computes for a batch, and how it would learn from it: nothing of the model is changed."""
    if not model.built:
        raise NotReadyError("the model has no weights yet.", fix="model.build((n,)) with n columns, or fit it")
    if y is not None and model.asked is None:
        raise NotReadyError("trace with targets needs a compiled model.", fix="model.compile(loss=...) first")
    leaves = [input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in model.inputs]
    learns = y is not None and trains(model)
    with Pass(learns, literal(model.seed or 0, "uint32"), literal(float(model.iterations + 1))) as running:
        outputs = model.forward(leaves)
        penalties = [*model.penalties(), *running.penalties] if y is not None else []
    if y is None:
        given: dict[Node, Any] = dict(zip(leaves, feed.inputs(model, x), strict=True))
        root = _single(outputs)
    else:
        fed = feed.feed(model, x, y)
        targets = _targets(model)
        given = dict(zip([*leaves, *targets], [*fed.x, *fed.y], strict=True))
        root = _cost(model, outputs, targets, penalties)
    worked = Worked(root, given)
    trained = set(model.trainable_weights)
    for leaf in model.weights:
        if leaf in worked.place:
            worked.place[leaf].trainable = leaf in trained
    rows = len(next(iter(given.values())))
    mode = f"as in training step {model.iterations + 1}" if learns else "as it predicts"
    return Network(
        _read(model, worked, leaves, outputs, penalties), f"{model.name!r} on {counted(rows, 'example')}, {mode}"
    )


def _single(outputs: Sequence[Node]) -> Node:
    if len(outputs) > 1:
        raise ArgumentError("without y one output is traced, this model has several.", fix="model.trace(x, y)")
    return outputs[0]


def _targets(model: Any) -> list[Leaf]:
    below = [f"_{as_symbol(head.name)}" if len(model.heads) > 1 else "" for head in model.heads]
    return [
        input_leaf(
            head.loss.target_shape(head.shape),
            ("y" if head.loss.labels else "Y") + end,
            "int64" if head.loss.labels else model.dtype,
        )
        for head, end in zip(model.heads, below, strict=True)
    ]


def _cost(model: Any, outputs: Sequence[Node], targets: Sequence[Leaf], penalties: Sequence[Node]) -> Node:
    """The total loss as training builds it, its parts named."""
    names, total = model.output_names, None
    for head, y in zip(model.heads, targets, strict=True):
        loss = head.loss.cost(y, outputs[names.index(head.name)], None)
        loss = named(loss, f"L_{as_symbol(head.name)}") if len(model.heads) > 1 else loss
        share = loss if head.share == 1 else loss * head.share
        total = share if total is None else total + share
    if penalties:
        extra = penalties[0]
        for each in penalties[1:]:
            extra = extra + each
        total = total + named(extra, "R")
    return mark.node(total, name="J", layer="loss")


def _read(model: Any, worked: Worked, leaves: Any, outputs: Any, penalties: Any) -> Reading:
    """The steps of a network: Z and A of each layer, the parts of the loss; named as in the equations."""
    place = worked.place
    own: dict[Any, Leaf] = {place[leaf]: leaf for leaf in model.weights if leaf in place}
    inputs: list[Any] = [place[leaf] for leaf in leaves if leaf in place]
    reader = Reader(model, Graph([*inputs, *own], [place[node] for node in (*outputs, *penalties)]), own)
    reader.read(len(outputs), len(penalties))
    names = _names(worked, reader)
    steps = {node for node in names if node.inputs}
    chosen = lambda node: node in steps or (node.op.name == "mark" and not _of_layer(node, reader))  # noqa: E731
    reading = Reading(worked, names, own=chosen)
    if worked.differentiable:
        reading.notes.update(_as_trained(worked, reading))
    return reading


def _of_layer(node: Node, reader: Reader) -> bool:
    return node in reader.known


def _names(worked: Worked, reader: Reader) -> dict[Node, str]:
    """Each symbol's name for one node: for a layer's output its marker, for a Z what the activation is applied to."""
    names: dict[Node, str] = {}
    taken: set[Any] = set(reader.pages.inputs)
    lines = {line.symbol: line for line in reader.pages.lines}
    for node in worked.order:
        symbol = reader.known.get(node)
        if symbol is None:
            continue
        if not node.inputs or node.op.random:
            names[node] = str(symbol.name)
        elif node.op.name == "mark" and symbol not in taken:
            taken.add(symbol)
            names[node] = str(symbol.name)
            inner = node.inputs[0]
            line = lines.get(symbol)
            before = line.formula.inputs[0] if line is not None and line.formula.inputs else None
            if inner.op.role == "activation" and isinstance(before, Leaf) and before not in reader.known.values():
                names[inner.inputs[0]] = str(before.name)
    return names


# ---------------------------------------------------------------------- what training rewrites
def _as_trained(worked: Worked, reading: Reading) -> Mapping[Node, str]:
    """Which steps training puts into a safer form, and why; where the derivative differs, that of the safer form."""
    rewritten = fired([worked.root], stable.RULES)
    notes: dict[Node, str] = {}
    hidden: set[Node] = set()
    for rule, node in rewritten:
        head = reading.owner.get(node)
        if head is not None:
            notes.setdefault(head, f"{rule.name} is computed in a form that is exact, because {rule.reason}")
        hidden |= _interior(rule.left, node)
    if rewritten:
        nodes = [
            node
            for node in (*reading.leaves, *reading.heads)
            if node not in hidden and reading.slopes[node] is not None
        ]
        _corrected(worked, reading, nodes, notes)
    return notes


def _interior(pattern: Any, node: Node) -> set[Node]:
    """What a rule swallows: the nodes between the matched one and those that its letters stand for."""
    found: dict[str, Node] = {}
    match(pattern, node, found)
    ends = {found[letter] for letter in _letters(pattern)}
    return set(topological([node], lambda n: () if n in ends else n.inputs)) - ends - {node}


def _letters(pattern: Any) -> Iterator[str]:
    for part in pattern.parts:
        if isinstance(part, Pattern):
            yield from _letters(part)
        elif isinstance(part, str):
            yield part


def _corrected(worked: Worked, reading: Reading, nodes: Sequence[Node], notes: dict[Node, str]) -> None:
    """Derivatives that training computes otherwise than the graph as it is written, put in their place."""
    safe = apply([worked.root, *nodes], stable.RULES)
    found = reverse([safe[0]], [literal(1.0)], safe[1:])
    numbers = worked.values([g for g in found if g is not None])
    for node, g in zip(nodes, found, strict=True):
        if g is None:
            continue
        trained, written = numbers[g], reading.slopes[node]
        size = np.abs(trained).max(initial=0.0)
        with np.errstate(invalid="ignore"):
            close = np.abs(trained - written) <= _AGREE * size
        if not np.all(close):
            reading.slopes[node] = worked.known_slopes[node] = trained
            notes[node] = "training's own derivative, which the graph as it is written would round or lose"


registry.register("view.network", network)
