"""What `diagnose` tries: the first step of a training, without making it, and whether a few rows can be learnt by heart."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core import registry, seed
from ..core.check import Repair
from ..core.walk import topological
from ..train.batches import RowBatches
from ..train.events import Listeners
from ..train.feed import Feed, class_numbers
from ..train.fitting import FitPlan
from ..train.loop import Job, train
from ..train.progress import History
from ..train.step import make_slots, training_step
from .subject import Arrays, Entering, GraphFacts, Subject
from .watch import Course, Pace, constant_loss, costs

ROWS, STEPS, SECONDS = 16, 300, 3.0
LEARNT = 0.1  # of what a constant prediction costs, above the floor
_PIECE = 20  # steps between two looks at how well the rows are known
_AGAIN = 2  # trials with other first weights, before one counts as failed
_AHEAD = 10  # times as many steps: what would know the rows by then is slow and not unable
_SEARCHED = 2000  # rows that the few are taken from
_ROWS_A_DIRECTION = 2
_WIDE = 0.1
_NUMBERS_A_ROW = 2  # parameters that each number of y needs at least
_SOFT = np.concatenate([[1e-7], np.logspace(-6, -0.31, 40)])  # how much of y is spread over all classes
_NOTHING_LEFT, _WORTH_A_WORD = 1e-9, 1e-3


# ---------------------------------------------------------------------- the first step
def first_look(subject: Subject, batches: Any, plan: FitPlan) -> Course | None:
    """What the doctor sees before the first step of a training, which is not made: its graph is built, looked at and
    thrown away. The subject gets it as its course; None where a training was followed, or has been."""
    model = subject.facts.model
    if subject.course is not None or int(model.iterations):
        return None
    slots = make_slots(model.optimizer, model.trainable_variables)
    step = training_step(model._task(batches.weights), model.optimizer, slots, model.seed or 0, model.constraints())
    program: Any = None  # nothing is run
    course = Course(Job(model, step, program, batches, plan, Listeners()), subject, _nobody, Pace())
    course.look()
    if course.looks:
        subject.course = course
    return course


def _nobody(*phases: str) -> None:
    """Told of what can be judged."""


# ---------------------------------------------------------------------- a few rows by heart
@dataclass(frozen=True)
class Trial:
    """A training on a few rows with its own optimizer, penalties and dropout. `known` has after so many `steps` the loss
    of these rows as a share of what a constant prediction costs, both above the lowest possible loss: 1 for nothing
    learnt, 0 for all. What penalties cost is left out, and what dropout does where predictions are better without it.
    `other`: what was tried beside, with the share that was left then."""

    rows: int
    steps: tuple[int, ...]
    known: tuple[float, ...]
    loss: float  # at the end
    constant: float  # of a constant prediction, or where there is none of the first weights
    floor: float  # the lowest that there is for these y
    refused: int = 0  # steps that were not finite
    other: tuple[tuple[str, Repair, float], ...] = field(default=(), repr=False)

    @property
    def left(self) -> float:
        """The share at the end, where a step could be made."""
        return self.known[-1]

    @property
    def learnt(self) -> bool:
        """Whether a tenth or less was left."""
        return self.left <= LEARNT

    @property
    def slow(self) -> bool:
        """Whether ten times as many steps would do where these do not, at the speed of the second half."""
        half = self.known[len(self.known) // 2]
        if self.learnt or not self.left < half:
            return False
        return self.left * (self.left / half) ** (2 * (_AHEAD - 1)) <= LEARNT

    @property
    def cut(self) -> bool:
        """Whether time was up before the rows were learnt and all steps made."""
        return not self.learnt and self.steps[-1] + self.refused < STEPS

    @property
    def failed(self) -> bool:
        """Whether it shows that the rows cannot be learnt."""
        return not (self.learnt or self.slow or self.cut)

    @property
    def bounded(self) -> str:
        """The lowest possible loss in words, where it is worth a word."""
        return f"{self.floor:.3g}" if abs(self.floor) > _WORTH_A_WORD * abs(self.constant) else ""

    def __str__(self) -> str:
        ends = f"{self.rows} rows alone, {self.steps[-1]} steps: loss {self.loss:.3g}, that of a constant {self.constant:.3g}"
        return f"{ends}{self.bounded and f', the lowest possible {self.bounded}'}: they {self.verdict}"

    @property
    def changed(self) -> tuple[str, Repair, float] | None:
        """The change with which least was left, where that is a tenth, or a quarter of what was left without."""
        most = max(LEARNT, self.left / 4)
        return min((one for one in self.other if one[2] <= most), key=lambda one: one[2], default=None)

    @property
    def verdict(self) -> str:
        """What came of it."""
        if self.learnt:
            return "can be learnt by heart."
        if self.cut:
            return "are not learnt yet, and time was up."
        return "are being learnt, slowly." if self.slow else "cannot be learnt."

    def to_json(self) -> dict[str, Any]:
        """The trial as plain numbers and lists."""
        told = {
            key: getattr(self, key) for key in ("rows", "loss", "constant", "floor", "refused", "learnt", "slow", "cut")
        }
        other = [{"change": said, "left": left} for said, _, left in self.other]
        return {**told, "steps": list(self.steps), "left": list(self.known), "other": other}


def overfitted(case: Any, subject: Subject) -> Trial | None:
    """The trial of a model with its data: on a copy with its first weights, aside of all random streams, for at most so
    many seconds. What fails is tried again with other first weights, then with other rates, without noise and penalties,
    and with more units. None where there are no few rows to learn: y is not known, or the same for all."""
    few = None if subject.y is None else _few(subject)
    if few is None:
        return None
    ends = time.perf_counter() + 2 * SECONDS
    trial = _tried(case, few, Repair(), SECONDS)
    for number in range(1, 1 + _AGAIN):
        if trial is None or not trial.failed:
            return trial
        again = _tried(case, few, Repair(), ends - time.perf_counter(), number)
        trial = trial if again is None or again.failed else again
    other = []
    for said, repair in () if trial is None or not trial.failed else _others(subject):
        found = _tried(case, few, repair, ends - time.perf_counter())
        if found is not None:
            other.append((said, repair, found.left))
    return None if trial is None else replace(trial, other=tuple(other))


def _tried(case: Any, few: Subject, repair: Repair, seconds: float, number: int = 0) -> Trial | None:
    """The training of these rows with a change, as one batch; of any number but 0 with first weights of its own. None
    where time is up."""
    if seconds <= 0:
        return None
    with seed.kept():
        seed.set_seed((case.model.seed or 0) + number)
        model = replace(case, anew=number > 0)._made(repair).model
    model.engine_name = "planned"  # the same numbers, and nothing is compiled
    data = Feed(few.x, few.y, few.w)
    plan = FitPlan(batch=few.rows, epochs=range(STEPS), shuffle=False, skip_nonfinite=True)
    job = model._job(plan, RowBatches(data, few.rows), None)
    model.history = History()  # in which steps that are not finite are counted
    job.watch = meter = _Meter(model, few, time.perf_counter() + seconds)
    lowest = _lowest(few)
    constant = constant_loss(few) or meter.losses[0]
    if not constant - lowest > _NOTHING_LEFT * max(1.0, abs(lowest)):
        return None
    meter.enough = lowest + LEARNT / 2 * (constant - lowest)
    train(job)
    meter.look()
    lowest = min(lowest, *meter.losses)
    known = tuple((loss - lowest) / (constant - lowest) for loss in meter.losses)
    return Trial(few.rows, tuple(meter.steps), known, meter.losses[-1], constant, lowest, meter.refused)


class _Meter:
    """Follows a trial: measures the loss of its rows now and then, and ends it when they are known or time is up."""

    def __init__(self, model: Any, few: Subject, deadline: float):
        self.model, self.few, self.deadline, self.enough = model, few, deadline, -math.inf
        self.facts = GraphFacts(model)
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.due = self.refused = 0
        self.look()

    def note(self, run: Any) -> None:
        """Look where it is time."""
        self.refused += len(run.table) - run.committed
        if self.model.iterations >= self.due:
            self.look()
        if self.losses[-1] <= self.enough or time.perf_counter() > self.deadline:
            self.model.stop_training = True

    def look(self) -> None:
        """Measure, unless it was done at this step."""
        done = int(self.model.iterations)
        if self.steps[-1:] != [done]:
            loss = min(self._cost(self._predicted()), self._cost(self._trained()))
            self.steps.append(done)
            self.losses.append(loss if math.isfinite(loss) else math.inf)
            self.due = done + _PIECE

    def _predicted(self) -> list[Any]:
        outputs = self.model._outputs(self.few.x)
        return [outputs[place] for place in self.facts.places]

    def _trained(self) -> list[Any]:
        """The outputs as training sees them: with dropout, and the means of the batch."""
        feed = dict(zip(self.facts.inputs, self.few.x, strict=True))
        known = registry.lookup("values.reference")(self.facts.outputs, feed)
        return [known[node] for node in self.facts.outputs]

    def _cost(self, outputs: Sequence[Any]) -> float:
        few = self.few
        each = zip(few.heads, few.y, few.w, outputs, strict=True)
        return float(sum(head.head.share * costs(head, y, w, [p])[0] for head, y, w, p in each))

    def let_go(self) -> None:
        """Nothing is held."""


def _lowest(few: Subject) -> float:
    """The lowest loss that there is for these y: of their own values, and where the loss reads probabilities of these
    with more or less of them spread over all classes, since it may smooth them. Where nothing can be told it is 0."""
    total = 0.0
    for head, y, w in zip(few.heads, few.y, few.w, strict=True):
        try:
            found = [cost for cost in costs(head, y, w, _truths(head, y)) if math.isfinite(cost)]
        except Exception:  # outputs that are no estimate of y: a loss of somebody's own
            found = []
        total += head.head.share * min(found, default=0.0)
    return total


def _truths(head: Any, y: Any) -> list[Any]:
    given = np.eye(head.classes)[y.astype(int)] if head.head.loss.labels and head.classes > 1 else y
    given = given.reshape(len(y), *[dim for dim in head.node.shape[1:] if isinstance(dim, int)])
    kind, exclusive = head.reading.kind, head.reading.exclusive
    if kind not in ("probability", "logits"):
        return [given]
    each = 1 / head.classes if exclusive else 0.5
    shares = [np.clip((1 - soft) * given + soft * each, 1e-12, 1 - 1e-12) for soft in _SOFT]
    if kind == "probability":
        return shares
    return [np.log(share) if exclusive else np.log(share / (1 - share)) for share in shares]


def _others(subject: Subject) -> list[tuple[str, Repair]]:
    """What is tried beside: (words, change)."""
    model = subject.facts.model
    rate = float(model.optimizer.learning_rate)
    found = []
    if model.optimizer.schedule is None:
        rates = [float(f"{rate * factor:.2g}") for factor in (0.1, 10)]
        found += [(f"learning_rate={value:g}", Repair(optimizer={"learning_rate": value})) for value in rates]
    if quiet := _quiet(model):
        found.append(("no dropout, noise and penalties", Repair(layers=quiet)))
    if wide := _wider(subject.facts):
        found.append((f"units={next(iter(wide.values()))['units']} in {next(iter(wide))}", Repair(layers=wide)))
    return found


def _quiet(model: Any) -> dict[str, dict[str, Any]]:
    """The arguments of layers that are noise or a penalty, set to none."""
    found: dict[str, dict[str, Any]] = {}
    for layer in model.everything():
        for key, value in layer.arguments.items():
            if key.endswith("_regularizer") and value is not None:
                found.setdefault(layer.name, {})[key] = None
            elif (
                key in ("rate", "stddev", "dropout", "recurrent_dropout") and isinstance(value, (int, float)) and value
            ):
                found.setdefault(layer.name, {})[key] = 0.0
    return found


def _wider(facts: GraphFacts) -> dict[str, dict[str, Any]]:
    """Four times as many units, at least 32, in the narrowest hidden layer."""
    found = narrowest(facts)
    return {} if found is None else {found[0]: {"units": max(32, 4 * found[1])}}


def narrowest(facts: GraphFacts) -> tuple[str, int] | None:
    """The hidden layer with the fewest units, and how many these are."""
    before = set(topological([one.data for one in facts.linear.products]))
    hidden = {one.layer for one in facts.linear.products if one.node in before}
    layers = (layer for layer in facts.model.everything() if layer.name in hidden)
    known = {layer.name: layer.arguments.get("units") for layer in layers}
    counts = {name: count for name, count in known.items() if isinstance(count, int)}
    return min(counts.items(), key=lambda each: each[1], default=None)


# ---------------------------------------------------------------------- which rows
def _few(subject: Subject) -> Subject | None:
    """At most so many rows as a subject of their own: with different x, from all over y, no more than the parameters
    can know."""
    rows = subject.some_rows(_SEARCHED)
    x = [np.asarray(part[rows]) for part in subject.x]
    different = _different(x)
    weighed = [w[rows] for w in subject.w if w is not None]
    heavy = [k for k in different if all(np.any(w[k]) for w in weighed)]
    most = _most(subject)
    if min(len(heavy), most) < 2:
        return None
    labels = class_numbers(np.asarray(subject.y[0][rows[heavy]]))
    taken = rows[np.sort(np.array(heavy)[_spread(labels, most)])]
    few = [[None if part is None else part[taken] for part in each] for each in (subject.x, subject.y, subject.w)]
    return Subject(subject.facts, Arrays(list(map(np.asarray, few[0])), list(map(np.asarray, few[1])), few[2]))


def _spread(y: Any, most: int) -> Any:
    """So many places from all over y: the same number of each value where there are few, else the middles of parts."""
    order = np.argsort(y, kind="stable")
    values, first, counts = np.unique(y[order], return_index=True, return_counts=True)
    if len(values) > most:
        return order[np.unique(((np.arange(most) + 0.5) * len(y) / most).astype(int))]
    turn = np.arange(len(y)) - np.repeat(first, counts)  # the how manieth of its value
    return order[np.argsort(turn, kind="stable")[:most]]


def _different(x: Sequence[Any]) -> list[int]:
    """The first row of each kind."""
    first: dict[bytes, int] = {}
    for k in range(len(x[0])):
        first.setdefault(b"".join(np.ascontiguousarray(part[k]).tobytes() for part in x), k)
    return list(first.values())


def _most(subject: Subject) -> int:
    """How many rows the parameters can know: a linear model one for each direction in which the features vary, a tenth
    as much as in the widest one or more, since 300 steps get nowhere in the others; any other model two, since rows that
    lie closer together are told apart by steep functions only, which take long."""
    numbers = sum(leaf.array.size for leaf in subject.facts.model.trainable_variables)
    asked = sum(math.prod(d for d in head.node.shape[1:] if isinstance(d, int)) for head in subject.heads)
    most = min(ROWS, int(numbers / (_NUMBERS_A_ROW * max(1, asked))))
    if not subject.features:
        return most
    directions = sum(_directions(one) for one in subject.features)
    return min(most, directions * (1 if is_linear(subject.facts) else _ROWS_A_DIRECTION))


def _directions(entering: Entering) -> int:
    varied = entering.std > 0
    if not varied.any():
        return 0
    lengths = np.linalg.svd((entering.values - entering.mean)[:, varied] / entering.std[varied], compute_uv=False)
    return int((lengths > _WIDE * lengths[0]).sum())


def is_linear(facts: GraphFacts) -> bool:
    """Whether no number that a weight is multiplied by depends on the data in any way but linearly."""
    linearity = facts.linear
    before = topological([one.data for one in linearity.products])
    return bool(before) and all(node in linearity.linear for node in before if node in linearity.data and node.inputs)
