"""Layers that cannot learn what they would have to: frozen as they were drawn, or behind an output that never changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..core.node import FLOATS, Leaf, Node
from ..core.shapes import M
from ..core.walk import topological
from ..layers.activation import Activation, Softmax
from ..layers.dense import Dense
from ..layers.layer import Layer
from ..layers.pool import GlobalAveragePooling1D
from ..layers.reshape import Reshape
from ..train.optimizers import Optimizer
from .checks_script import drawn
from .programs import classes, network, points, sparse
from .subject import GraphFacts, Subject

_SHAPING = frozenset(["mark", "cast", "linear", "reshape", "transpose", "windows", "dilate"])
_ENOUGH = 32  # random mixtures: they keep the distances of rows to within √(2 / 32), a quarter
_MOST_LOST = 0.5
_MOST_ROWS = 1000
_ROWS_EACH = 4  # for each number that a line is drawn from
_NOTHING = 1e-6  # of the loss, and of the size of an output
_DRAWS, _FEW = 3, 32  # other weights that are tried, and rows


class FrozenAsDrawn(Check):
    """Layers at the beginning that are frozen with the random weights they were drawn with, and let through few mixtures
    of what enters them: less than half of its variation can be found again behind them.

    Many random features are no fault, and neither are weights that were loaded, set, or trained before.
    """

    rules, phase, needs, rank = (42,), "data", ("x",), "structure"
    argument = "trainable"
    why = "random mixtures fewer than their inputs mix up rows, and no layer behind them can tell these apart again"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How much of what varies is lost in the frozen layers that the data meet first."""
        body = _Body(subject.facts)
        if body.names and body.narrow and (lost := body.lost(subject)) is not None:
            yield {
                "layer": body.names[0],
                "layers": body.names,
                "entering": body.entering,
                "leaving": body.leaving,
                "lost": lost,
            }

    def wrong(self, v: Values) -> bool:
        """More than half."""
        return bool(v["lost"] > _MOST_LOST)

    def message(self, v: Values) -> str:
        """Which layers, and how much they lose."""
        who = f"{_listed(v['layers'])} are" if len(v["layers"]) > 1 else "this layer is"
        left = f"only {v['leaving']} of {v['entering']} numbers leave, and {v['lost']:.0%} of what varies is lost"
        return f"{who} frozen with random weights, never trained and never loaded: {left}."

    def fix(self, v: Values) -> str:
        """Train them, or load them."""
        train = f"trainable=True for {_listed(v['layers'])}, or load the weights first: model.load_weights(path)"
        return f"{train}; random features that are meant to stay need more units than inputs"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Train them."""
        return Repair(layers={name: {"trainable": True} for name in v["layers"]})

    def bad(self) -> tuple[Any, ...]:
        """One random mixture of four features."""
        layers = Dense(1, "tanh", trainable=False), Dense(8, "relu"), Dense(3)
        return network(*layers, loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Many random features."""
        return network(Dense(64, "tanh", trainable=False), Dense(3), loss=sparse()), points(), classes(3)


class _Body:
    """The frozen layers before everything that is trained: `names` of those that are as drawn, empty where others are
    among them that are not."""

    def __init__(self, facts: GraphFacts):
        self.facts = facts
        self.names: list[str] = []
        trained = set(facts.model.trainable_variables)
        owners = {
            leaf: (layer, name)
            for layer in facts.model.everything()
            for name, leaf in layer._weights.items()
            if leaf.kind == "variable" and leaf not in trained
        }
        if not owners:
            return
        behind, ends = _behind(facts, trained)
        frozen = [one for one in facts.trained.products if one.node not in behind]
        if all(leaf in owners and drawn(*owners[leaf]) == (True, True) for one in frozen for leaf in one.weights):
            self.names = _once(one.layer for one in frozen if one.layer)
            self.before = _sources([one.data for one in frozen if one in facts.trained.first])
            self.after = _sources(ends)

    @property
    def entering(self) -> int:
        """How many numbers of an example enter the first of them."""
        return sum(map(_numbers, self.before))

    @property
    def leaving(self) -> int:
        """How many numbers of an example reach what is trained."""
        return sum(map(_numbers, self.after))

    @property
    def narrow(self) -> bool:
        """Whether these are fewer, and few."""
        readable = all(node.dtype in FLOATS and _numbers(node) for node in [*self.before, *self.after])
        return readable and 0 < self.leaving < min(self.entering, _ENOUGH)

    def lost(self, subject: Subject) -> float | None:
        """The share of the variance of the entering numbers, each scaled to 1, that no line through the leaving ones
        explains; None for too few rows."""
        rows = subject.some_rows(self.facts.rows_that_fit(_MOST_ROWS))
        feed = {leaf: np.asarray(part[rows]) for leaf, part in zip(self.facts.inputs, subject.x, strict=True)}
        known = registry.lookup("values.reference")([*self.before, *self.after], feed)
        given, left = (_columns([known[node] for node in nodes]) for nodes in (self.before, self.after))
        free = len(rows) - 1 - left.shape[1]
        if len(rows) < _ROWS_EACH * (self.leaving + 1) or not given.shape[1]:
            return None
        missing = given - left @ np.linalg.lstsq(left, given, rcond=None)[0] if left.shape[1] else given
        return float(np.square(missing).sum() / free / (np.square(given).sum() / (len(rows) - 1)))


def _behind(facts: GraphFacts, trained: set[Leaf]) -> tuple[set[Node], list[Node]]:
    """The nodes that depend on trained weights, and the data that these meet first."""
    behind: set[Node] = set(trained)
    ends: list[Node] = []
    for node in facts.trained.order:
        if any(i in behind for i in node.inputs):
            behind.add(node)
            if node in facts.trained.data:
                ends += [i for i in node.inputs if i in facts.trained.data and i not in behind]
    return behind, ends


def _sources(nodes: Sequence[Node]) -> list[Node]:
    """The nodes before they were given other shapes, each once, of those that have a value for each row."""
    found = []
    for node in nodes:
        while node.op.name in _SHAPING:
            node = node.inputs[0]
        found.append(node)
    return [node for node in _once(found) if not node.several and node.shape[:1] == (M,)]


def _once(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))


def _numbers(node: Node) -> int:
    """How many numbers an example has here; 0 where that is not known."""
    return math.prod(dim if isinstance(dim, int) else 0 for dim in node.shape[1:])


def _columns(parts: Sequence[Any]) -> Any:
    """The columns that vary, with mean 0 and deviation 1."""
    flat = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).astype(np.float64)
    flat = flat[:, (np.ptp(flat, axis=0) > 0) & np.isfinite(flat).all(axis=0)]
    return (flat - flat.mean(axis=0)) / flat.std(axis=0)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


# ---------------------------------------------------------------------- an output that nothing changes
class SaysOneThing(Check):
    """An output that is the same for all rows, with these weights and with any others: shares along an axis that are then
    averaged along it. No weight has a gradient, but for rounding."""

    rules, phase, needs, rank = (1, 45), "first step", ("x", "course"), "structure"
    argument = "axis"
    explains = (
        "cannot_overfit",
        "loss_stands_still",
        "never_updated",
        "shares_that_do_not_compete",
        "vanishing_gradient",
    )
    why = "what no weight changes has no gradient, so nothing can be learnt"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The largest gradient, and where there is none the outputs of some rows with these and with other weights."""
        course, facts = subject.course, subject.facts
        if not course.looks or not course.looks[0].gradients or not math.isfinite(course.looks[0].loss):
            return
        look = course.looks[0]
        of_data = [
            leaf for leaf in look.gradients if look.outweighed.get(leaf, 0.0) * _NOTHING < 1
        ]  # others: a penalty's
        gradient = max((look.gradients[leaf] for leaf in of_data), default=0.0)
        still = gradient <= _NOTHING * abs(look.loss)
        value = _only_answer(subject) if still and not _proved(facts) else None
        axis = _odd_axis(facts) if value is not None else None
        yield {
            "layer": facts.heads[-1].layer if axis is None else axis[0],
            "gradient": gradient,
            "loss": look.loss,
            "answer": value,
            "rows": min(_FEW, subject.rows),
            "axis": None if axis is None else axis[1],
        }

    def wrong(self, v: Values) -> bool:
        """There is none, and they are one."""
        return v["answer"] is not None

    def message(self, v: Values) -> str:
        """What it says, and why."""
        said = f"the output is {v['answer']:.3g} for all {v['rows']} rows, whatever the weights are, and none has a gradient"
        return f"{said}: the softmax runs along axis {v['axis']}, not along the units." if v["axis"] else f"{said}."

    def fix(self, v: Values) -> str:
        """The axis."""
        if v["axis"]:
            return f"Softmax(axis=-1) in {v['layer']}: shares of the units, not of the times or places"
        return "look for an axis: a softmax or a normalization along times or places, and then a sum or mean over these"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The axis of a layer for it."""
        found = [one for one in subject.facts.model.everything() if one.name == v["layer"] and isinstance(one, Softmax)]
        return Repair(layers={v["layer"]: {"axis": -1}}) if v["axis"] and found else None

    def bad(self) -> tuple[Any, ...]:
        """Shares of the times, whose mean is one over their number."""
        return self._averaged(Softmax(axis=1))

    def good(self) -> tuple[Any, ...]:
        """A probability for each time and label."""
        return self._averaged(Activation("sigmoid"))

    def _averaged(self, last: Layer) -> tuple[Any, ...]:
        layers = Reshape((4, 1)), Dense(8, "relu"), Dense(2), last, GlobalAveragePooling1D()
        mean = points().mean(axis=1)
        labels = np.stack([mean > 0, mean < 0.2], axis=1).astype(float)
        adam = Optimizer.named("adam")(0.05)
        return network(*layers, loss="binary_crossentropy", optimizer=adam), points(), labels, {"epochs": 30}


def _proved(facts: GraphFacts) -> bool:
    """Whether the bounds of an output leave one number, or it reads no input: `ConstantOutput` and `OutputWithoutInput`
    speak of these."""
    linear = facts.linear
    known = (one.bounds.low == one.bounds.high or linear.roots[one.place] not in linear.data for one in facts.heads)
    return any(known)


def _only_answer(subject: Subject) -> float | None:
    """The first number of the outputs, where these are the same for rows that differ, also with other weights."""
    facts = subject.facts
    rows = subject.some_rows(min(_FEW, facts.rows_that_fit(_FEW)))
    feed: dict[Leaf, Any] = {leaf: np.asarray(part[rows]) for leaf, part in zip(facts.inputs, subject.x, strict=True)}
    if not any((part != part[:1]).any() for part in feed.values()):
        return None
    rng = np.random.Generator(np.random.PCG64(0))
    first: list[Any] = []
    for number in range(1 + _DRAWS):
        others = {leaf: _another(leaf, rng) for leaf in facts.model.trainable_variables} if number else {}
        known = registry.lookup("values.reference")(facts.outputs, {**feed, **others})
        outputs = [np.asarray(known[node], dtype=np.float64) for node in facts.outputs]
        first = first or [out[:1] for out in outputs]
        if not all(_same(out, one) for out, one in zip(outputs, first, strict=True)):
            return None
    return float(first[0].flat[0])


def _another(leaf: Leaf, rng: Any) -> Any:
    """Other values of usual size."""
    wide = math.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 1
    return rng.normal(scale=1 / math.sqrt(max(1, wide)), size=leaf.shape).astype(leaf.dtype)


def _same(out: Any, one: Any) -> bool:
    """Whether all rows are that one but for rounding; nothing is known of outputs that are not finite."""
    return bool(np.isfinite(out).all() and np.abs(out - one).max() <= _NOTHING * max(np.abs(one).max(), 1e-30))


def _odd_axis(facts: GraphFacts) -> tuple[str, int] | None:
    """The last softmax along another axis than that of the units: its layer, and the axis."""
    found = None
    for node in topological(facts.outputs):
        if node.op.name in ("softmax", "log_softmax") and isinstance(axis := node.attrs.get("axis", -1), int):
            place = axis % len(node.shape)
            name = facts.layer_names.get(node)
            if 0 < place < len(node.shape) - 1 and name is not None:
                found = name, place
    return found
