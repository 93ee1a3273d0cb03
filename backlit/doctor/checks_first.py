"""What the loss is before anything is learnt, and what it would be if the network said nothing of its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..layers.dense import Dense
from ..layers.initializers import Constant
from .programs import network, points, values
from .ranges import plain
from .start import ROWS
from .subject import MOST_ROWS, HeadFacts, Subject
from .watch import costs

_OF_CLASSES, _OF_NUMBERS = 1.5, 5.0  # published: times the loss of class shares, times the variance
_VARIED = 3.0  # times the loss of class shares: logits of usual first weights, of size 1 to 1.5, stay below that
_SLACK = 1e-4
_WRITTEN = 10  # more numbers than these are not written down, but how they are found
_BACK: dict[str, Callable[[Any], Any]] = {  # from what an activation gives to what goes into it
    "sigmoid": lambda p: np.log(p / (1 - p)),
    "softmax": np.log,
    "tanh": np.arctanh,
    "relu": lambda p: np.where(p > 0, p, np.nan),
}


class LossAtStart(Check):
    """A loss of the first weights far above that of the best constant answer, with what the gap is made of: outputs that
    vary though nothing is known yet, or a last bias that is not where the targets are.

    Most networks recover in a few steps, so this is worth knowing rather than a fault.
    """

    rules, phase, needs, severity = (19, 18), "data", ("x", "y"), "note"
    rank = "symptom"
    argument = "bias_initializer"
    why = "the first steps only unlearn what the first weights say, or find what is common to all rows"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The loss of every head with its first weights, for outputs of 0 or equal shares, and for the best constant."""
        facts = subject.facts
        heads = [head for head in subject.heads if head.head.loss.reduction not in ("sum", "none", None)]
        if int(facts.model.iterations) or not heads:
            return
        rows = subject.some_rows(facts.rows_that_fit(ROWS))
        feed = {leaf: np.asarray(part[rows]) for leaf, part in zip(facts.inputs, subject.x, strict=True)}
        known = registry.lookup("values.reference")([head.node for head in heads], feed)
        for head in heads:
            found = _compared(subject, head, rows, known[head.node])
            if found is not None:
                yield found

    def wrong(self, v: Values) -> bool:
        """1.5 times that of a constant where the bias makes the gap, 3 times where the weights do; 5 times for numbers."""
        most = _OF_NUMBERS if v["of_numbers"] else _OF_CLASSES if v["by_bias"] >= v["by_weights"] else _VARIED
        return math.isfinite(v["loss"]) and bool(v["loss"] > most * v["constant"])

    def message(self, v: Values) -> str:
        """Both losses, and what the gap is made of."""
        gap = f"the loss starts at {v['loss']:.3g}; a constant answer costs {v['constant']:.3g}"
        if v["by_bias"] >= v["by_weights"]:
            centre = "the mean of y" if v["of_numbers"] else "the shares of the classes"
            return f"{gap}: most of the gap is there because the last bias is not at {centre}."
        sizes = "answers far from equal shares" if v["shares"] else f"outputs of size {v['outputs']:.2g}"
        return f"{gap}: most of the gap is there because the first weights make {sizes}."

    def fix(self, v: Values) -> str:
        """The bias as code, or smaller first weights."""
        if v["by_bias"] < v["by_weights"]:
            return "X scaled by bl.layers.Normalization(), or a smaller kernel_initializer in the last layer"
        if v["bias"] is None:
            scaled = "y scaled to mean 0 and deviation 1, which is undone after predict"
            return scaled if v["of_numbers"] else "a last layer with a bias that starts at ln(share) of each class"
        return f"bias_initializer=bl.initializers.Constant({_written(v['bias'])}) in {v['biased']}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The bias, where it is that."""
        if v["by_bias"] < v["by_weights"] or v["bias"] is None:
            return None
        value = v["bias"][0] if len(set(v["bias"])) == 1 else v["bias"]
        return Repair(layers={v["biased"]: {"bias_initializer": Constant(value)}})

    def bad(self) -> tuple[Any, ...]:
        """Numbers far from 0."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), values() - 9

    def good(self) -> tuple[Any, ...]:
        """Numbers around 0."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), values()


def _compared(subject: Subject, head: HeadFacts, rows: Any, given: Any) -> Values | None:
    """The three losses of that head on these rows; None where a constant is no yardstick."""
    y, w = subject.y[head.place], subject.w[head.place]
    known = subject.some_rows(MOST_ROWS)
    answers = _answers(head, np.asarray(y[known]), None if w is None else np.asarray(w[known]))
    if answers is None:
        return None
    best, nothing = answers
    shares = head.reading.kind == "probability"
    if shares and (given.min() < -_SLACK or given.max() > 1 + _SLACK):
        return None  # the loss says nothing of what is no probability
    weights = None if w is None else np.asarray(w[rows])
    loss, constant, silent = costs(head, np.asarray(y[rows]), weights, [given, best, nothing])
    if not 0 < constant < math.inf:
        return None
    layer, bias = _bias(subject, head, best)
    return {
        "layer": head.layer,
        "loss": loss,
        "constant": constant,
        "of_nothing": silent,
        "by_weights": loss - silent,
        "by_bias": silent - constant,
        "outputs": float(np.sqrt(np.mean(np.square(given, dtype=np.float64)))),
        "of_numbers": head.reading.kind == "number",
        "shares": shares,
        "biased": layer,
        "bias": bias,
    }


def _answers(head: HeadFacts, y: Any, w: Any) -> tuple[Any, Any] | None:
    """The best constant answer, and that of a network which says nothing; None where there is no such answer."""
    kind, count = head.reading.kind, head.classes
    if kind not in ("logits", "probability", "number") or (w is not None and (w.ndim > 1 or not w.any())):
        return None
    labels = head.head.loss.labels and count > 1
    target = np.eye(count)[y.reshape(-1).astype(int).clip(0, count - 1)] if labels else y
    mean = np.average(np.asarray(target, dtype=np.float64), axis=0, weights=w if len(target) == len(y) else None)
    if kind == "number":
        return mean, np.zeros_like(mean)
    share = np.clip(mean, 0.5 / len(target), 1 - 0.5 / len(target))  # a class that a sample lacks is not impossible
    shared = head.reading.exclusive and count > 1
    if kind == "probability":
        return share, np.full_like(share, 1 / count if shared else 0.5)
    return np.log(share) if shared else np.log(share / (1 - share)), np.zeros_like(share)


def _bias(subject: Subject, head: HeadFacts, best: Any) -> tuple[str | None, list[float] | None]:
    """The layer whose bias makes that answer, and its value; None where something else follows the layer."""
    linear = subject.facts.linear
    root = plain(linear.roots[head.place])
    back = _BACK.get(root.op.name)
    end = root if back is None else root.inputs[0]
    made = [one for one in linear.products if one.layer == linear.layers.get(plain(end))]
    if not linear.bare(end) or not made or np.ndim(best) != 1:
        return None, None
    with np.errstate(all="ignore"):
        value = best if back is None else back(best)
    layer = next((each for each in subject.facts.model.everything() if each.name == made[-1].layer), None)
    if (
        layer is None
        or not layer.arguments.get("use_bias")
        or len(value) != made[-1].width
        or not np.isfinite(value).all()
    ):
        return None, None
    return layer.name, [float(f"{each:.3g}") for each in value]


def _written(bias: list[float]) -> str:
    if len(set(bias)) == 1:
        return f"{bias[0]:g}"
    if len(bias) <= _WRITTEN:
        return f"[{', '.join(f'{each:g}' for each in bias)}]"
    return "np.log(np.bincount(y) / len(y))"
