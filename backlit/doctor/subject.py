"""What a check may look at: the graph of a compiled model, its losses and metrics, the data, the run.

Everything is worked out when first asked for. `GraphFacts` holds what the model alone says; it is kept until the next
`compile`. Nothing here draws from a random stream of the user's or changes a leaf.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import BacklitError
from ..core.grad import grad, reverse
from ..core.node import Leaf, Node, input_leaf
from ..core.op import cast, literal
from ..core.shapes import M, bind
from ..core.walk import topological
from ..layers.layer import Pass
from ..rewrite import stable
from ..rewrite.rule import apply
from ..train.heads import Head
from ..train.losses import LossFunctionWrapper
from .linear import Linearity, Product, layers_of
from .ranges import Bounds, bounds_of, plain
from .reading import Reading, loss_graph, reading
from .start import First, Start, Wiring

MOST_ROWS = 2000  # looked at where a sample will do
_MOST_NUMBERS = 100_000
_MOST_COMPUTED = 1_000_000  # numbers in a pass through the whole graph
_TRIAL_ROWS = 64
_MANY = 5_000_000  # of more targets a sample gives the extremes, too
_OURS = __name__.partition(".")[0] + "."
_LISTED = 64  # more distinct values than these are not counted
_MOST_KEYED = 100_000  # rows that are compared with one another
_PIECE = 1 << 13  # rows that are brought into numbers together: nothing of X is copied as a whole


def evenly(count: int, most: int) -> Any:
    """At most so many of the places 0 … count - 1, evenly over all."""
    return np.arange(count) if count <= most else np.unique(np.linspace(0, count - 1, most).astype(np.int64))


def keys(parts: Sequence[Any], step: int = 1) -> Any:
    """One number a row, or every `step`-th row, equal for equal rows and hardly ever for others: a fixed random projection
    of at most 16 columns of every input."""
    total = np.zeros(-(-len(parts[0]) // step))
    for part in parts:
        flat = part if part.ndim == 2 else np.reshape(part, (len(part), -1))
        columns = evenly(flat.shape[1], 16)
        weights = np.random.Generator(np.random.PCG64(7)).uniform(1, 2, len(columns))
        for begin in range(0, len(total), _PIECE):
            some = np.asarray(flat[begin * step : (begin + _PIECE) * step : step, columns])
            for column, weight in zip(some.T, weights, strict=True):  # a product of matrices rounds a row by its place
                total[begin : begin + _PIECE] += column * weight
    return total


# ---------------------------------------------------------------------- the model alone
class GraphFacts:
    """The forward graph of a built and compiled model, as training runs it, and what follows from it."""

    def __init__(self, model: Any):
        self.model = model
        self.inputs = [input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in model.inputs]
        names = model.output_names
        self.places = places = [names.index(head.name) for head in model.heads]
        with Pass(True, literal(0, "uint32"), literal(1.0, "float64")) as running:
            outputs = model.forward(self.inputs)
        self.written = [outputs[place] for place in places]  # as the user wrote it, one output a head
        self.outputs = apply(self.written, stable.RULES)
        self.moving = frozenset(running.writes)
        self.heads = [HeadFacts(self, place) for place in range(len(places))]
        self.start: tuple[First, ...] | None = None
        self.entering: dict[Node, Entering] = {}  # what entered each first product when it was looked at last

    @cached_property
    def bounds(self) -> dict[Node, Bounds]:
        """The bounds of every node, for any data."""
        return bounds_of(self.outputs, moving=self.moving)

    @cached_property
    def layer_names(self) -> dict[Node, str]:
        """The innermost layer of every node."""
        return layers_of(topological(self.outputs))

    @cached_property
    def layer_names_written(self) -> dict[Node, str]:
        """The innermost layer of every node of the graph as it was written."""
        return layers_of(topological(self.written))

    @cached_property
    def linear(self) -> Linearity:
        """What is linear in the data when the model predicts."""
        if self.steady:
            return Linearity(self.written)
        with Pass(False):
            outputs = self.model.forward(self.inputs)
        return Linearity([outputs[place] for place in self.places])

    @property
    def steady(self) -> bool:
        """Whether the model predicts with the graph that is trained: of our own layers those know the difference that draw
        numbers or write states; of other people's nothing is known."""
        ours = all(type(layer).__module__.startswith(_OURS) for layer in self.model.everything())
        return ours and not self.moving and not any(node.op.random for node in topological(self.written))

    @cached_property
    def trained(self) -> Linearity:
        """What is linear in the data while it is trained: the same graph, where no layer knows the difference."""
        known = self.linear
        return known if known.given == self.written else Linearity(self.written, judged=known.judged)

    @cached_property
    def wiring(self) -> Wiring:
        """What lies between the products of the graph that is trained."""
        return Wiring(self.trained, set(self.model.trainable_variables))

    @cached_property
    def trial(self) -> list[Any]:
        """The outputs of the heads for a few rows of standard normal numbers, drawn aside of all streams; NaN where the
        model does not take such numbers."""
        rng = np.random.Generator(np.random.PCG64(0))
        rows = self.rows_that_fit(_TRIAL_ROWS)
        feed: dict[Leaf, Any] = {}
        for leaf in self.inputs:
            shape = bind(leaf.shape, rows)
            floating = leaf.dtype in ("float32", "float64")
            feed[leaf] = (rng.normal(size=shape) if floating else rng.integers(0, 2, shape)).astype(leaf.dtype)
        try:
            known = registry.lookup("values.reference")(self.outputs, feed)
        except BacklitError:  # such as ids that an embedding does not have
            return [np.full(bind(node.shape, rows), np.nan) for node in self.outputs]
        return [known[node] for node in self.outputs]

    def rows_that_fit(self, most: int) -> int:
        """How many rows to run through the whole graph, where an example is large: fewer, but at least 8."""
        return max(8, min(most, _MOST_COMPUTED // self.numbers_a_row))

    @cached_property
    def numbers_a_row(self) -> int:
        """How many numbers are computed of an example, about."""
        nodes = topological(self.outputs)
        return max(1, sum(math.prod(bind(node.shape, 1)) for node in nodes if not node.several))

    def layer_made_at(self, name: str | None) -> tuple[tuple[str, int], ...]:
        """The user's line that made the layer of that name."""
        found = [layer for layer in self.model.everything() if layer.name == name]
        return found[0].made_at if found else ()

    def gradient(self, weights: list[Leaf], subject: Subject) -> list[Any]:
        """The gradient of the loss by these weights on a sample of the data."""
        targets = [
            input_leaf(one.head.loss.target_shape(one.head.shape), "y", "int64" if one.head.loss.labels else one.dtype)
            for one in self.heads
        ]
        total: Any = literal(0.0, "float64")
        for one, y, p in zip(self.heads, targets, self.written, strict=True):
            total = total + cast(one.head.loss.cost(y, p, None), "float64")
        (total,) = apply([total], stable.RULES)
        slopes = grad(total, weights)
        rows, columns = subject.some_rows(self.rows_that_fit(256)), [*subject.x, *subject.y]
        feed = {leaf: np.asarray(part[rows]) for leaf, part in zip([*self.inputs, *targets], columns, strict=True)}
        known = registry.lookup("values.reference")(slopes, feed)
        return [known[slope] for slope in slopes]


@dataclass
class HeadFacts:
    """One output and what it is trained for."""

    facts: GraphFacts
    place: int

    @property
    def head(self) -> Head:
        """The head as `compile` made it."""
        return self.facts.model.heads[self.place]

    @property
    def node(self) -> Node:
        """The output, with hand-written softmax and sigmoid as records."""
        return self.facts.outputs[self.place]

    @property
    def dtype(self) -> str:
        """The dtype of the output."""
        return str(self.node.dtype)

    @cached_property
    def layer(self) -> str:
        """The layer that makes the output."""
        return self.facts.layer_names.get(plain(self.node), self.head.name)

    @cached_property
    def loss_graph(self) -> tuple[Node, Leaf, Leaf]:
        """(cost, y, p) of the loss alone."""
        return loss_graph(self.head.loss, self.head.shape, self.dtype)

    @cached_property
    def each(self) -> tuple[Node, Leaf, Leaf] | None:
        """(the loss of every example, y, p), or None where the loss gives none that belongs to one example."""
        loss, (_, y, p) = self.head.loss, self.loss_graph
        if isinstance(loss, LossFunctionWrapper) and loss.labels:
            return None
        (cost,) = apply([loss.per_example(y, p)], stable.RULES)
        return (cost, y, p) if cost.shape[:1] == (M,) else None

    @cached_property
    def reading(self) -> Reading:
        """What the loss takes the output for."""
        return reading(*self.loss_graph)

    @property
    def bare(self) -> bool:
        """Whether the output is a product with weights that is only shifted afterwards, by trained numbers."""
        return self.facts.linear.bare(self.facts.linear.roots[self.place])

    @property
    def loss(self) -> str:
        """The name of the loss."""
        loss = self.head.loss
        return str(loss.name if isinstance(loss, LossFunctionWrapper) else type(loss).__name__)

    @property
    def of_classes(self) -> bool:
        """Whether the loss is for labels, each example having one."""
        return self.reading.kind in ("logits", "probability") and (self.reading.exclusive or self.classes == 1)

    @cached_property
    def classes(self) -> int:
        """How many outputs an example has along the loss's axis."""
        size = self.node.shape[self.head.loss.axis] if len(self.node.shape) > 1 else 1
        return size if isinstance(size, int) else 1

    @cached_property
    def bounds(self) -> Bounds:
        """Between which numbers the output lies, from the graph; where that leaves it open, outputs that are shares of 1
        for every trial row are taken for such."""
        found = self.facts.bounds[self.node]
        return found if found.tight or found.total or not self._shares() else Bounds(0.0, 1.0, total=(self._axis, 1.0))

    @property
    def _axis(self) -> int:
        return int(self.head.loss.axis) % len(self.node.shape)

    def _shares(self) -> bool:
        out = self.facts.trial[self.place]
        return self.sums_to_one and np.ptp(out) > 0 and bool((out >= 0).all() and (out <= 1 + 1e-6).all())

    @cached_property
    def sums_to_one(self) -> bool:
        """Whether the outputs of every trial row have the sum 1."""
        out = self.facts.trial[self.place]
        return self.classes > 1 and bool(np.allclose(out.sum(axis=self._axis), 1, atol=1e-4))

    def leaves(self, low: float, high: float) -> bool:
        """Whether the output leaves [low, high]: by its bounds, where they are tight, or else for a trial row."""
        if self.bounds.inside(low, high):
            return False
        out = self.facts.trial[self.place] if not self.bounds.tight else None
        return out is None or bool((out < low - 1e-6).any() or (out > high + 1e-6).any())

    @cached_property
    def counting(self) -> list[str]:
        """The names of its metrics that have no derivative by the output: they count hits."""
        return [name for name, metric in {**self.head.metrics, **self.head.weighted}.items() if self.counts(metric)]

    def counts(self, metric: Any) -> bool:
        """Whether the metric has no derivative by the output."""
        dtype = "int64" if self.head.loss.labels else self.dtype
        y = input_leaf(self.head.loss.target_shape(self.head.shape), "y", dtype)
        p = input_leaf(self.head.shape, "p", self.dtype)
        parts = list(metric.states(y, p, None).values())
        return reverse(parts, [literal(1.0, part.dtype) if not part.shape else part for part in parts], [p])[0] is None


# ---------------------------------------------------------------------- with data
@dataclass(frozen=True)
class Arrays:
    """The arrays of a training or of held-out rows: one an input, one a head; and the weights of each head, or None.
    `whole`: these are all rows, and not the first batch of a stream."""

    x: list[Any]
    y: Any  # None where it was refused
    w: list[Any]
    whole: bool = True


@dataclass(frozen=True)
class Targets:
    """The numbers of one y, as far as a sample shows them; the extremes are those of all. `values`: the distinct ones, or
    None where they are many; `whole`: no fractions."""

    low: float
    high: float
    mean: float
    std: float
    whole: bool
    values: tuple[float, ...] | None
    one_hot: bool


@dataclass
class Entering:
    """The numbers that enter a first product, for a sample of the rows: one column a feature."""

    product: Product
    given: Any

    @cached_property
    def values(self) -> Any:
        """The numbers in float64, one row for each sum."""
        return np.asarray(self.given, dtype=np.float64).reshape(-1, self.product.fan_in)

    @cached_property
    def largest(self) -> float:
        """The largest size of a number."""
        return float(max(self.values.max(), -self.values.min()))

    @cached_property
    def mean(self) -> Any:
        """The mean of every feature."""
        return self.values.mean(axis=0)

    @cached_property
    def std(self) -> Any:
        """The standard deviation of every feature."""
        squares = np.einsum("ij,ij->j", self.values, self.values) / len(self.values)
        return np.sqrt(np.maximum(squares - self.mean**2, 0.0))

    def varies(self, columns: Any) -> Any:
        """Which of these features have their commonest value in less than 95 % of the rows: a pixel at the margin, that
        is nearly always 0, has a deviation that says nothing."""
        most = [np.unique(self.values[:, column], return_counts=True)[1].max() for column in columns]
        return np.array(most) < 0.95 * len(self.values)


class Subject:
    """What is examined: the facts of a model, and, as far as they are given, x and y (one array an input or head),
    the held-out data, the settings of `fit`, and the logged numbers of a training."""

    def __init__(
        self,
        facts: GraphFacts,
        data: Arrays | None = None,
        validation: Arrays | None = None,
        settings: Mapping[str, Any] | None = None,
        history: list[dict[str, Any]] | None = None,
    ):
        self.facts = facts
        self.x: Any = None if data is None else data.x
        self.y: Any = None if data is None else data.y
        self.w: Any = None if data is None else data.w
        self.whole = True if data is not None and data.whole else None
        self.validation: Any = validation if validation is not None and validation.whole else None
        self.settings: Any = settings
        self.history: Any = history
        self.course: Any = None  # what was seen of a training while it ran
        self.trial: Any = None  # what came of learning a few rows by heart
        self._targets: dict[int, Targets] = {}
        self._features: list[Entering] | None = None

    def has(self, need: str) -> bool:
        """Whether "x", "y", all rows of them ("whole"), "validation", "settings", "history", "course" or "trial" is there."""
        return getattr(self, need) is not None

    def only(self, needs: tuple[str, ...]) -> Subject:
        """The same subject without the data that are not named."""
        bare = Subject(self.facts)
        bare.w = self.w
        for need in needs:
            setattr(bare, need, getattr(self, need))
        return bare

    @property
    def start(self) -> tuple[First, ...]:
        """How each product with weights started, as long as that is known: before the first step, or kept from then."""
        if self.facts.start is None and int(self.facts.model.iterations) == 0:
            self.facts.start = Start(self).layers
        return self.facts.start or ()

    @property
    def heads(self) -> list[HeadFacts]:
        """The outputs that are trained."""
        return self.facts.heads

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return len(self.x[0])

    def some_rows(self, most: int) -> Any:
        """At most so many row numbers, evenly over all."""
        return evenly(self.rows, most)

    @cached_property
    def keys(self) -> Any:
        """One number a row that is the same for equal rows; of very many rows only for some, at steps that do not keep
        time with every second, third or fifth row, as held-out rows are often taken."""
        least = -(-self.rows // _MOST_KEYED)
        return keys(self.x, next(step for step in count(least) if math.gcd(step, 30) == 1))

    def targets(self, head: HeadFacts) -> Targets:
        """The numbers of the y of that head."""
        if head.place not in self._targets:
            self._targets[head.place] = _targets(self.counted(head))
        return self._targets[head.place]

    def counted(self, head: HeadFacts) -> Any:
        """The targets of that head whose weight is not 0: what is masked may hold anything."""
        y, w = np.asarray(self.y[head.place]), self.w[head.place]
        return y if w is None or w.all() or not w.any() else y[w != 0]

    @property
    def features(self) -> list[Entering]:
        """What enters each product with weights that the data reach first; without what trained variables have already
        acted on."""
        if self._features is None:
            self._features = [
                self._entering(product)
                for product in self.facts.trained.first
                if not any(isinstance(leaf, Leaf) and leaf.kind == "variable" for leaf in topological([product.data]))
            ]
        return self._features

    def _entering(self, product: Product) -> Entering:
        wide = max(1, math.prod(bind(product.data.shape, 1)))
        rows = self.some_rows(max(16, min(MOST_ROWS, _MOST_NUMBERS // wide)))
        feed = dict(zip(self.facts.inputs, (np.asarray(part[rows]) for part in self.x), strict=True))
        node, known = plain(product.data), self.facts.entering
        if not isinstance(node, Leaf):
            return Entering(product, registry.lookup("values.reference")([node], feed)[node])
        before = known.get(product.node)
        if before is None or not np.array_equal(before.given, feed[node]):
            known[product.node] = before = Entering(product, feed[node])  # the next `fit` may have the same rows
        return before


def _targets(y: Any) -> Targets:
    some = y[evenly(len(y), MOST_ROWS)].astype(np.float64)
    every = y if y.size <= _MANY else some
    values = np.unique(some)
    rows = some.reshape(-1, some.shape[-1]) if some.ndim > 1 else some.reshape(-1, 1)
    zeros_and_ones = bool(np.isin(values, (0, 1)).all())
    return Targets(
        low=float(every.min()),
        high=float(every.max()),
        mean=float(some.mean()),
        std=float(some.std()),
        whole=bool((values == np.floor(values)).all()),
        values=tuple(values.tolist()) if len(values) <= _LISTED else None,
        one_hot=rows.shape[1] > 1 and zeros_and_ones and bool((rows.sum(axis=1) == 1).all()),
    )
