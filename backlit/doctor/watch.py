"""What the doctor sees of a training while it runs: the loss of every step, and a few looks at the network.

A look evaluates nodes of the step's own graph for one sample of the training rows, node by node with NumPy: activations,
gradients, the updates that the next step would make, and what they would do to the loss. Nothing is written, no random
stream is drawn from, and the training program is not touched, so that the weights are the same bits with and without it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Finding
from ..core.grad import grad, reverse
from ..core.node import FLOATS, Leaf, Node, input_leaf
from ..core.op import literal
from ..core.shapes import M
from ..core.walk import topological
from ..rewrite import stable
from ..rewrite.rule import apply
from ..train.callbacks import Monitor
from .linear import layers_of

ROWS = 128  # of the sample
_NUMBERS = 200_000  # of all values of the forward graph for the sample
_FIRST, _FACTOR = 50, 4  # where the middle is not known, looks at the steps 50, 200, 800 …
_SHARE, _FREE = 0.05, 0.03  # of the time of a training that looks may take, and the seconds that they always may
_LONGER, _SHORTER = (10.0, 100.0), (0.1, 1e-2, 1e-3, 1e-4)  # steps that are tried beside what the optimizer makes
_ROUNDS = 12  # of the power iteration
_FLAT = 0.02  # a bounded activation with a smaller derivative is saturated
_LARGE = 1_000_000  # parameters
_FEW = 100  # steps: a training of fewer is not followed where a look takes long
_MANY, _SOME = 300, 400  # operations: a look at so many takes some 30 ms, a twentieth of so many steps at least
NEVER = 1 << 62


@dataclass(frozen=True)
class Activation:
    """A hidden activation: its derivative as a node, and whether it is bounded on both sides."""

    node: Node
    slope: Node
    layer: str | None
    bounded: bool


@dataclass
class Look:
    """What was seen before step `step` (0, 1, …). Norms are by parameter; `unused` has for each activation which of its
    units have the derivative 0 in every row, `flat` the share of units that are saturated in 90 % of the rows."""

    step: int
    loss: float
    penalty: float
    steady: float = math.nan  # the loss with the dropout masks of the first look, so that two looks can be compared
    tried: dict[float, float] = field(default_factory=dict)  # the loss after a step of so many times its length
    curvature: float | None = None  # the largest; measured where the step is too long for the rows it was made from
    weights: dict[Leaf, float] = field(default_factory=dict)
    gradients: dict[Leaf, float] = field(default_factory=dict)
    moves: dict[Leaf, float] = field(default_factory=dict)
    outweighed: dict[Leaf, float] = field(default_factory=dict)  # gradient of the penalty over that of the data
    unused: dict[Activation, Any] = field(default_factory=dict)
    flat: dict[Activation, float] = field(default_factory=dict)

    @property
    def data(self) -> float:
        """The loss without penalties."""
        return self.loss - self.penalty

    @property
    def overshoot(self) -> float:
        """How many times the loss of the same rows is what it was, after the step that is to come."""
        after = self.tried[1.0]
        return after / self.loss if math.isfinite(after) and self.loss > 0 else math.inf if self.loss > 0 else math.nan

    def ratio(self, kernels: Sequence[Leaf]) -> float:
        """How far the step moves the weights, as a share of their size: the median of the kernels'."""
        sizes = [self.moves[leaf] / self.weights[leaf] for leaf in kernels if self.weights[leaf]]
        return float(np.median(sizes)) if sizes else math.nan


class Probe:
    """The nodes of a training step that are looked at."""

    def __init__(self, model: Any, step: Any):
        self.columns, self.loss = step.columns, step.graph.outputs[0]
        self.gradients: Mapping[Leaf, Node] = step.gradients
        self.updates = {leaf: step.graph.updates[leaf] for leaf in self.gradients}
        self.order = topological([self.loss])
        self.layers = layers_of(self.order)
        self.owners = {leaf: layer.name for layer in model.everything() for leaf in layer._weights.values()}
        penalties = model.penalties()
        self.penalty: Node = sum(penalties[1:], penalties[0]) if penalties else literal(0.0, "float32")
        below = (node for node in topological([self.penalty]) if isinstance(node, Leaf))
        reached = [leaf for leaf in below if leaf in self.gradients]
        self.penalised = dict(zip(reached, grad(self.penalty, reached), strict=True)) if reached else {}
        self.activations = self._activations()
        self.masks: dict[Node, Any] = {}  # the random numbers of the first look

    @cached_property
    def work(self) -> float:
        """The multiply-adds of the largest product with weights, for a row."""
        products = [(node, i) for node in self.order for i in node.inputs if i in self.gradients and len(i.shape) > 1]
        sizes = [_numbers(node) * math.prod(leaf.shape[:-1]) for node, leaf in products]
        return float(max(sizes, default=0))

    @property
    def kernels(self) -> list[Leaf]:
        """The matrices among the parameters."""
        return [leaf for leaf in self.gradients if len(leaf.shape) > 1]

    @cached_property
    def in_depth(self) -> list[Leaf]:
        """The matrices that data are multiplied by, in the order of the network."""
        inputs = (i for node in self.order for i in node.inputs if isinstance(i, Leaf))
        return [leaf for leaf in inputs if leaf in self.gradients and len(leaf.shape) > 1]

    def layer_of(self, leaf: Leaf) -> str | None:
        """The layer whose weight it is."""
        return self.owners.get(leaf)

    def _activations(self) -> list[Activation]:
        """The activations between two products with trained weights, or behind one and before another layer's."""
        inside = self._between()
        made = [_activation(node, inside[node], self.layers.get(node)) for node in self.order if node in inside]
        return [one for one in made if one is not None]

    def _between(self) -> dict[Node, Node]:
        """Nodes with weights before and behind them, and the one input of theirs that depends on data."""
        data: set[Node] = set(self.columns)
        behind: set[Node] = set()
        before: set[Node] = set()
        weighted = {node for node in self.order if set(node.inputs) & set(self.kernels)}
        for node in self.order:
            if any(i in data for i in node.inputs):
                data.add(node)
            if any(i in behind or i in weighted for i in node.inputs):
                behind.add(node)
        for node in reversed(self.order):
            if node in before or node in weighted:
                before.update(node.inputs)
        found = {}
        for node in self.order:
            given = [i for i in node.inputs if i in data]
            if node in behind and node in before and len(given) == 1:
                found[node] = given[0]
        return found

    def rows(self, most: int) -> int:
        """How many rows are looked at, of so many."""
        wide = sum(map(_numbers, self.order))
        return min(most, ROWS, max(8, _NUMBERS // max(1, wide)))

    def look(self, feed: Mapping[Leaf, Any], number: int) -> Look:
        """What is to be seen for the rows of `feed` and the step of that number."""
        slopes = {one: one.slope for one in self.activations}
        wanted = [self.loss, self.penalty, *self.gradients.values(), *self.penalised.values()]
        known = registry.lookup("values.reference")([*wanted, *slopes.values()], feed)
        seen = Look(number, float(known[self.loss]), float(known[self.penalty]))
        new = self._new(feed, known)
        for leaf, node in self.gradients.items():
            seen.weights[leaf] = _norm(leaf.array)
            seen.gradients[leaf] = _norm(known[node])
            seen.moves[leaf] = _norm(new[leaf] - leaf.array)
            if leaf in self.penalised:
                penalty = known[self.penalised[leaf]]
                seen.outweighed[leaf] = _norm(penalty) / max(_norm(known[node] - penalty), 1e-30)
        for one, slope in slopes.items():
            rows = known[slope].reshape(-1, known[slope].shape[-1])
            seen.unused[one] = ~rows.any(axis=0)
            if one.bounded:
                seen.flat[one] = float(np.mean((np.abs(rows) < _FLAT).mean(axis=0) > 0.9))
        masks: dict[Any, Any] = {node: known[node] for node in self.order if node.op.random}
        self.masks = self.masks or masks
        same: dict[Any, Any] = {**feed, **self.masks}
        steady = registry.lookup("values.reference")([self.loss], same) if masks else known
        seen.steady = float(steady[self.loss])
        self._try(seen, {**feed, **masks}, new)
        return seen

    def _new(self, feed: Mapping[Any, Any], known: Mapping[Node, Any]) -> dict[Leaf, Any]:
        """What the next step would make of every parameter; of large ones one at a time, for the memory that takes."""
        given: dict[Any, Any] = {**feed, **{node: known[node] for node in self.gradients.values()}}
        size, groups = sum(leaf.array.size for leaf in self.updates), [list(self.updates)]
        if size > _LARGE:
            groups = [[leaf] for leaf in self.updates]
        new: dict[Leaf, Any] = {}
        for group in groups:
            found = registry.lookup("values.reference")([self.updates[leaf] for leaf in group], given)
            new.update({leaf: found[self.updates[leaf]] for leaf in group})
        return new

    def _try(self, seen: Look, feed: Mapping[Any, Any], new: Mapping[Leaf, Any]) -> None:
        """The loss of the same rows after the next step, and after longer ones; if it has grown, after shorter ones."""

        def loss(length: float) -> float:
            there = {leaf: leaf.array + length * (value - leaf.array) for leaf, value in new.items()}
            return float(registry.lookup("values.reference")([self.loss], {**feed, **there})[self.loss])

        seen.tried[1.0] = loss(1.0)
        fits = seen.tried[1.0] <= seen.loss
        for length in _LONGER if fits else _SHORTER:
            seen.tried[length] = loss(length)
            if not fits and seen.tried[length] < seen.loss:
                break
        if not fits and seen.overshoot > 2:
            seen.curvature = self._curvature(feed)

    def _curvature(self, feed: Mapping[Any, Any]) -> float | None:
        """The largest eigenvalue of the loss's second derivative, by power iteration."""
        ways = {leaf: input_leaf(leaf.shape, dtype=leaf.dtype) for leaf in self.gradients}
        along = [registry.lookup("op.sum").node(g * ways[leaf]) for leaf, g in self.gradients.items()]
        turned = grad(sum(along[1:], along[0]), list(self.gradients))
        rng = np.random.Generator(np.random.PCG64(0))
        way = [rng.normal(size=leaf.shape) for leaf in self.gradients]
        size = 0.0
        for _ in range(_ROUNDS):
            norm = math.sqrt(sum(_norm(part) ** 2 for part in way))
            if not 0 < norm < math.inf:
                return None
            towards = {leaf: part / norm for leaf, part in zip(ways.values(), way, strict=True)}
            known = registry.lookup("values.reference")(turned, {**feed, **towards})
            before, size = size, math.sqrt(sum(_norm(known[node]) ** 2 for node in turned))
            way = [known[node] for node in turned]
            if abs(size - before) < 0.01 * size:
                break
        return size if math.isfinite(size) and size > 0 else None


def _numbers(node: Node) -> int:
    """How many numbers a row has here."""
    rows = not node.several and node.shape[:1] == (M,)
    return math.prod(dim for dim in node.shape[1:] if isinstance(dim, int)) if rows else 0


def _norm(array: Any) -> float:
    return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))


def _activation(node: Node, given: Node, layer: str | None) -> Activation | None:
    op = node.op
    if op.formula is None or not (op.role == "activation" or op.kinks) or node.shape != given.shape:
        return None
    if len(node.shape) < 2 or node.shape[0] != M or node.dtype not in FLOATS:
        return None
    ones = registry.lookup("op.ones_like").node(node)
    (slope,) = reverse([node], [ones], [given], stop=True)
    if slope is None or slope is ones:
        return None
    ends = op.range(*[(-math.inf, math.inf)] * len(node.inputs), **node.attrs) if callable(op.range) else op.range
    return Activation(node, slope, layer, ends is not None and all(map(math.isfinite, ends)))


# ---------------------------------------------------------------------- one training
@dataclass
class Pace:
    """What following a model has cost since it was compiled, in seconds: in all, the last time, and a step without it."""

    used: float = 0.0
    last: float = 0.0
    step: float = 0.0

    def free(self, steps: int | None) -> float:
        """The seconds that may be used for a training of so many steps; 0 where less than it takes is left."""
        left = max(_FREE - self.used, _SHARE * self.step * (steps or 0))
        return left if left > self.last else 0.0


def follow(job: Any, subject: Any, tell: Callable[..., None], pace: Pace, spent: float = 0.0) -> Course:
    """Follow a training from before its first step on; `tell` is called with the phases that can be judged then. `spent`
    are the seconds that the checks before it took: they count among those that are free."""
    job.watch = course = Course(job, subject, tell, pace, spent)
    try:
        if course.worth_it:
            subject.course = course
            course.look()
    except Exception as error:  # a graph that we cannot read is trained as it is
        course.problem = f"{type(error).__name__}: {error}"
    if not course.looks:
        subject.course, course.due = None, NEVER
    return course


class Course:
    """One training as the doctor followed it."""

    def __init__(self, job: Any, subject: Any, tell: Callable[..., None], pace: Pace, spent: float = 0.0):
        self.pace, self.before = pace, spent
        self.model, self.step, self.subject, self.tell = job.model, job.step, subject, tell
        self.epochs, self.known = len(job.plan.epochs), job.batches.steps  # steps of an epoch, None for some streams
        monitors = (each for each in job.listeners.callbacks if isinstance(each, Monitor) and each.mode != "auto")
        self.monitors = [(type(each).__name__, each.monitor, each.mode) for each in monitors]
        self.looks: list[Look] = []
        self.table: list[Any] = []  # loss and gradient norm of the steps of every run
        self.first = int(self.model.iterations)
        self.due = self.first
        self.began, self.worked = time.perf_counter(), time.process_time()  # the less of both is the training's
        self.spent, self.cost = spent, 0.0  # of this thread's own time
        self.problem = self.short = ""  # why it was not followed to its end, or not at all

    @cached_property
    def probe(self) -> Probe:
        """What is looked at."""
        return Probe(self.model, self.step)

    @cached_property
    def feed(self) -> dict[Leaf, Any]:
        """A sample of the training rows: of a stream, of its first batch."""
        data = self.subject
        rows = data.some_rows(self.rows)
        columns = [*data.x, *data.y, *(w for w in data.w if w is not None)]
        return {leaf: np.asarray(part[rows]) for leaf, part in zip(self.step.columns, columns, strict=True)}

    @cached_property
    def rows(self) -> int:
        """How many rows the sample has."""
        return self.probe.rows(self.subject.rows)

    @cached_property
    def total(self) -> int | None:
        """How many steps the training is to have, if that is known."""
        return None if self.known is None else int(self.known) * self.epochs

    @cached_property
    def free(self) -> float:
        """The seconds that looks may take, however short the training is."""
        return self.pace.free(self.total)

    @property
    def worth_it(self) -> bool:
        """Whether looks take little of the training: one takes as long as a few steps, or next to nothing. A model that is
        trained again and again for short whiles is followed the first time."""
        if self.free <= 0:
            return False
        large = sum(leaf.array.size for leaf in self.model.trainable_variables) > _LARGE
        many = len(self.subject.facts.trained.order) > _MANY
        least = max(_FEW * large, _SOME * many)
        if self.total is not None and self.total < least:
            self.short = f"of {self.total} steps a look at so large a network would take more than a twentieth"
        return not self.short

    def note(self, run: Any) -> None:
        """Keep the losses of a run of steps, and look where it is time."""
        self.table.append(np.array(run.table[: run.committed, :2]))
        if self.model.iterations >= self.due:
            self.look()

    def look(self) -> None:
        """Look now, and say when the next time is; a mistake of ours is noted and ends the looks, not the training."""
        done = int(self.model.iterations) - self.first
        began = time.thread_time()
        try:
            if self._affordable(done):
                feed = self._now()
                with np.errstate(all="ignore"), registry.lookup("threads.blas")(self.probe.work * self.rows):
                    ready = time.thread_time()
                    self.looks.append(self.probe.look(feed, done))
                self.cost = time.thread_time() - ready
            self.due = self.first + self._next(done)
            self.tell("during" if done else "first step")
        except Exception as error:
            self.problem, self.due = f"{type(error).__name__}: {error}", NEVER
        self.spent += time.thread_time() - began

    def _affordable(self, done: int) -> bool:
        """Whether the time of the training allows another look. The first ones, the middle and the end come before the
        others, which are only taken where they cost next to nothing."""
        share = _SHARE * min(time.perf_counter() - self.began, time.process_time() - self.worked)
        if self.total is None or done in (0, _FIRST, self.total // 2) or done >= self.total:
            left = 1 if self.total is not None and done >= self.total else 2
            return not self.looks or self.spent + left * self.cost <= max(self.free, share)
        return self.spent + 4 * self.cost <= share

    def _next(self, done: int) -> int:
        """The step of the next look: 50, 200, 800 …, and the middle."""
        step = _FIRST
        while step <= done:
            step *= _FACTOR
        if self.total is None:
            return step
        middle = max(1, self.total // 2)
        if done < middle:
            return step if step < middle / 2 else middle
        return NEVER

    def _now(self) -> dict[Leaf, Any]:
        """The sample with the rate and the number of the next step."""
        done = self.model.iterations
        rate = self.model.optimizer.learning_rates(done, 1)[0]
        return {**self.feed, self.step.rate: rate, self.step.number: float(done + 1)}

    def finish(self) -> None:
        """The last look, after the last step."""
        if self.looks and not self.problem and self.looks[-1].step < self.steps:
            self.look()
        self.due = NEVER
        if self.steps:
            self.pace.step = max(0.0, time.perf_counter() - self.began - (self.spent - self.before)) / self.steps

    def let_go(self) -> None:
        """Keep no data of the training, which is over: it has ended, or was ended. What it took is written down."""
        if self.looks and self.tell is not _nothing:
            self.pace.used, self.pace.last = self.pace.used + self.spent, self.spent
            with suppress(Exception):
                self.constant  # noqa: B018
            self.probe.masks.clear()
        self.subject, self.tell = None, _nothing
        self.__dict__.pop("feed", None)

    @property
    def notes(self) -> list[Finding]:
        """Where the training could not be followed to its end, a note that says so."""
        steps, fix = self.looks[-1].step if self.looks else 0, "none: a mistake of backlit's own"
        message = f"this training was followed for {steps} steps only: {self.problem}."
        if self.short:
            message, fix = f"this training was not followed: {self.short}.", "more epochs"
        told = [Finding(check="watching", severity="note", message=message, fix=fix)]
        return told if self.problem or self.short else []

    # ------------------------------------------------------------------ what checks read
    @property
    def steps(self) -> int:
        """How many steps were committed."""
        return sum(map(len, self.table))

    @property
    def losses(self) -> Any:
        """The loss of every step."""
        if len(self.table) > 1:
            self.table = [np.concatenate(self.table)]
        return self.table[0][:, 0] if self.table else np.zeros(0)

    @property
    def norms(self) -> Any:
        """The norm of the gradient of every step, before anything is clipped."""
        return self.table[0][:, 1] if len(self.losses) else np.zeros(0)

    @property
    def per_epoch(self) -> int:
        """The steps of an epoch, 100 where that is not known."""
        return int(self.known or 100)

    @property
    def recent(self) -> float:
        """The loss without penalties in the last epoch, at least ten steps, or in the last third of fewer; before the first
        one that of the sample."""
        losses = self.losses
        if not len(losses):
            return self.looks[-1].data
        return float(np.mean(losses[-self._lately :])) - self.looks[-1].penalty

    @property
    def _lately(self) -> int:
        return max(1, min(max(10, self.per_epoch), -(-self.steps // 3)))

    @property
    def lowest(self) -> float:
        """The lowest mean loss of as many steps as `recent` has."""
        losses = self.losses
        count = self._lately
        sums = np.cumsum(np.concatenate([[0.0], losses]))
        return float(np.min(sums[count:] - sums[:-count]) / count) if len(losses) else math.inf

    @cached_property
    def constant(self) -> float | None:
        """What a constant prediction costs, at best."""
        return constant_loss(self.subject)

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self.model.optimizer.learning_rate)


def _nothing(*phases: str) -> None:
    """For a training that is over."""


# ---------------------------------------------------------------------- a yardstick
def constant_loss(subject: Any) -> float | None:
    """What the best of a few constant predictions costs on the training rows, penalties aside: class shares, means,
    medians, zeros. None where the loss is not a mean over the rows, or may be negative."""
    total = 0.0
    for head in subject.heads:
        if head.head.loss.reduction in ("sum", "none", None):
            return None
        rows = subject.some_rows(2000)
        y, w = np.asarray(subject.y[head.place][rows]), subject.w[head.place]
        total += head.head.share * min(_costs(head, y, None if w is None else np.asarray(w[rows])))
    return total if 0 < total < math.inf else None


def _costs(head: Any, y: Any, w: Any) -> list[float]:
    return [cost for cost in costs(head, y, w, _constants(head, y, w)) if math.isfinite(cost)] or [math.inf]


def costs(head: Any, y: Any, w: Any, answers: Sequence[Any]) -> list[float]:
    """The loss of these rows for each of the answers: an array (rows, …), or what stands for all rows."""
    cost, target, output = head.loss_graph
    feed: dict[Leaf, Any] = {target: y}
    if w is not None:
        weight = input_leaf((M, *w.shape[1:]), "w", head.dtype)
        (cost,) = apply([head.head.loss.cost(target, output, weight)], stable.RULES)
        feed[weight] = w
    found = []
    for value in answers:
        p = np.broadcast_to(value, (len(y), *output.shape[1:]))
        found.append(float(registry.lookup("values.reference")([cost], {**feed, output: p})[cost]))
    return found


def _constants(head: Any, y: Any, w: Any) -> list[Any]:
    given = np.eye(head.classes)[y.reshape(-1).astype(int)] if head.head.loss.labels and head.classes > 1 else y
    weights = None if w is None or w.ndim > 1 or not w.any() else w
    mean = np.average(np.asarray(given, dtype=np.float64), axis=0, weights=weights)
    share = np.clip(mean, 1e-6, 1 - 1e-6)
    if head.reading.kind == "probability":
        return [mean]
    if head.reading.kind == "logits":
        return [np.log(share), np.log(share / (1 - share))]
    return [mean, np.median(given, axis=0), np.zeros_like(mean)]
