"""The course's rules of thumb: one record each, with where the library keeps it and what it says of a given model.

What is a mistake is found by a check of the doctor, whose name the record has, or refused at the door. What is left is
advice: a sentence with the model's own numbers, or nothing where the rule does not apply or too little is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import counted
from ..layers import catalogue
from .known import Known
from .words import listed

MOST = 6  # lines of advice in a text
_FEW = 1000  # rows below which features made by hand may decide
_WIDE = 256  # units of a single hidden layer from which two narrow ones are worth a try
_NARROW = 64
_FALLING = 0.02  # of the loss in the last epoch: there is more to be had
_SHORT = 4  # epochs that say nothing of a course
_RECURRENT = ("SimpleRNN", "LSTM", "GRU")


@dataclass(frozen=True)
class Said:
    """What a rule says of a model: `text`, and whether there is something to do or to know (`advice`), or the rule is
    kept as it is."""

    text: str
    advice: bool = False


@dataclass(frozen=True)
class Rule:
    """A rule of thumb. `number`: that of the course's list; `checks`: those of the doctor that see it broken; `kept`: where
    else the library keeps it; `says`: what it says of a model, None for nothing."""

    number: str
    rule: str
    checks: tuple[str, ...]
    kept: str
    says: Callable[[Known], Said | None] | None


RULES: dict[str, Rule] = {}
_Says = Callable[[Known], Said | None]


def _rule(number: str, rule: str, *checks: str, kept: str = "") -> Callable[[_Says], _Says]:
    """Keep what follows as the words of a rule."""

    def keep(says: _Says) -> _Says:
        RULES[number] = Rule(number, rule, checks, kept, says)
        return says

    return keep


def _silent(number: str, rule: str, *checks: str, kept: str = "") -> None:
    """Keep a rule that a model gives no occasion to speak of."""
    RULES[number] = Rule(number, rule, checks, kept, None)


def advise(known: Known) -> list[dict[str, Any]]:
    """What every rule that applies says of a model: what is to be done first, in the order of the rules."""
    found = [(rule, said) for rule in RULES.values() if rule.says is not None and (said := rule.says(known))]
    return [
        {
            "number": rule.number,
            "rule": rule.rule,
            "advice": said.advice,
            "says": said.text,
            "checks": list(rule.checks),
        }
        for rule, said in sorted(found, key=lambda pair: not pair[1].advice)
    ]


# ---------------------------------------------------------------------- the output
@_rule(
    "C296",
    "For yes and no: one sigmoid unit and the binary cross-entropy.",
    "output_is_no_probability",
    "bounded_logits",
    "constant_output",
    "distance_on_yes_and_no",
    "squared_error_on_yes_and_no",
)
def _yes_or_no(known: Known) -> Said | None:
    out = known.out
    if out is None or out.link != "sigmoid" or out.shape[-1] != 1 or out.doubt:
        return None
    return Said(f"yes or no: 1 sigmoid unit{f', {type(out.loss).__name__}' if out.loss else ''}.")


@_rule("C297", "For numbers of either sign: a linear output.", "target_out_of_reach")
def _either_sign(known: Known) -> Said | None:
    if known.out is None or known.out.kind != "values" or (known.target and known.target[0] >= 0):
        return None
    last = known.out.last
    if known.target is None:
        cut = f"the outputs end at 0 ({last}): where what is predicted can be negative, leave the {last} out."
        return Said(cut, advice=True) if last == "relu" else None
    y = f"y is {known.target[0]:.4g} … {known.target[1]:.4g}"
    if last in ("relu", "softplus", "sigmoid"):
        return Said(f"{y}, but {last} is never negative: no activation at the end.", advice=True)
    return Said(f"{y}: an output of either sign is right.")


@_rule("C298", "For numbers that are never negative: a ReLU (or a softplus) at the end.", "negative_predictions")
def _never_negative(known: Known) -> Said | None:
    if known.out is None or known.out.kind != "values":
        return None
    last = known.out.last
    if last in ("relu", "softplus", "sigmoid", "exponential"):
        return Said(f"the output is never negative ({last}).") if known.target and known.target[0] >= 0 else None
    if known.target is None:
        words = "the output can be any number: where what is predicted is never negative, as a price, put"
        return Said(f"{words} Activation('relu') behind the last layer.", advice=True) if not last else None
    low, high, spread = known.target
    if not 0 <= low < spread:
        return None
    return Said(
        f"y is never negative ({low:.4g} … {high:.4g}): Activation('softplus') or ('relu') behind the last layer.",
        advice=True,
    )


@_rule(
    "C299",
    "For one class of n: n outputs, a softmax and the sparse cross-entropy; the labels are 0 … n-1.",
    "regression_on_labels",
    "shares_that_do_not_compete",
    "unused_outputs",
    "constant_loss",
    kept="the door refuses labels out of range",
)
def _one_of_several(known: Known) -> Said | None:
    out = known.out
    if out is None or out.link != "softmax":
        return None
    return Said(f"one class of {out.shape[-1]}: {out.shape[-1]} outputs, labels 0 … {out.shape[-1] - 1}.")


def _labels(known: Known) -> int:
    """How many labels the single output decides on, each by itself; 0 where it does something else."""
    out = known.out
    several = out is not None and out.link == "sigmoid" and isinstance(out.shape[-1], int)
    return out.shape[-1] if several and out is not None and out.shape[-1] > 1 else 0


@_rule(
    "C300",
    "For several labels at once: a sigmoid each and the binary cross-entropy, never a softmax.",
    "several_labels_of_one",
)
def _several_labels(known: Known) -> Said | None:
    count = _labels(known)
    return Said(f"{count} labels, each with a sigmoid of its own.") if count else None


# ---------------------------------------------------------------------- inside
@_rule("C301", "Hidden layers: ReLU unless there is a reason.")
def _relu_by_default(known: Known) -> Said | None:
    names = [each.name for each in known.hidden]
    return Said("relu inside, the default.") if names and set(names) == {"relu"} else None


@_rule("C302", "Hidden layers are never linear: several would be no more than one.", "linear_layers_collapse")
def _never_linear(known: Known) -> Said | None:
    if not known.collapsed:
        return None
    layers = len(known.widths) + 1
    return Said(f"{layers} layers without an activation between compute what 1 does: Dense(…, 'relu').", advice=True)


@_rule("C303", "A sigmoid belongs to a binary output; inside, tanh is better.", "sigmoid_inside", "vanishing_gradient")
def _sigmoid_inside(known: Known) -> Said | None:
    inside = [each for each in known.hidden if each.name == "sigmoid"]
    if not inside:
        return None
    where = listed(list(dict.fromkeys(each.layer for each in inside if each.layer)), 4) or "the network"
    return Said(f"sigmoid inside ({where}): relu or tanh learn faster.", advice=True)


@_rule("C304", "tanh inside and a sigmoid at the end are a good pair.", kept="no check objects")
def _good_pair(known: Known) -> Said | None:
    names = {each.name for each in known.hidden}
    pair = names == {"tanh"} and known.out is not None and known.out.link == "sigmoid"
    return Said("tanh inside and a sigmoid at the end: a good pair.") if pair else None


@_rule("C305", "ReLU or leaky ReLU: either will do.", kept="no check objects")
def _either_relu(known: Known) -> Said | None:
    names = {each.name for each in known.hidden} & {"relu", "leaky_relu"}
    other = {"relu": "leaky_relu", "leaky_relu": "relu"}
    return (
        Said(f"{name} inside; {other[name]} would do as well.") if len(names) == 1 and (name := names.pop()) else None
    )


# ---------------------------------------------------------------------- logits
@_rule(
    "C306",
    "A linear output and from_logits=True rather than softmax or sigmoid in the network.",
    "bounded_logits",
    "output_is_no_probability",
    kept="training puts softmax or sigmoid before the loss into the same safe form",
)
def _logits_in_the_loss(known: Known) -> Said | None:
    out = known.out
    if out is None or not out.link or out.loss is None:
        return None
    if out.doubt:
        what = f"from_logits={bool(out.loss.from_logits)} does not fit the last layer ({out.last or 'linear'})"
        return Said(f"{what}: see 'careful' under output.", advice=True)
    if out.kind == "logits":
        return Said(f"the loss takes logits and applies the {out.link} itself.")
    return Said(f"{out.last} in the network: training takes the safe form of logits all the same.")


@_rule("C307", "After a training on logits, turn them into probabilities before reading them.")
def _logits_are_no_probabilities(known: Known) -> Said | None:
    if known.out is None or known.out.kind != "logits" or known.out.doubt:
        return None
    return Said(
        "predict gives logits, not probabilities: predict_probabilities(X) gives these, or "
        f"bl.nn.{known.out.link} of the logits.",
        advice=True,
    )


# ---------------------------------------------------------------------- training
@_rule("C308", "The optimizer to begin with: Adam at 0.001, then other rates.", "plain_steps_too_slow")
def _adam_first(known: Known) -> Said | None:
    optimizer = known.optimizer
    if optimizer is None:
        return None
    name, rate = type(optimizer).__name__, known.rate
    if name == "SGD" and not getattr(optimizer, "momentum", 0):
        return Said(f"plain steps (SGD, rate {rate:g}): Adam(0.001) is the usual first choice.", advice=True)
    return Said(f"{name} at {rate:g}; worth a try: {rate / 3:.1g} and {rate * 3:.1g}.") if "Adam" in name else None


@_rule(
    "C309",
    "Steps that agree: raise the learning rate; steps that go to and fro: lower it.",
    "oscillation",
    "learning_rate_too_low",
    "stopped_while_improving",
    "steps_too_long",
)
def _to_and_fro(known: Known) -> Said | None:
    j = np.array(known.losses)
    if len(j) < _SHORT or not np.isfinite(j).all():
        return None
    if turns := _turns(j):
        text = f"the loss went to and fro {turns} times in {len(j)} epochs: a lower rate than {known.rate:g}."
        return Said(text, advice=True)
    if _risen(j):
        return None
    moves = np.diff(j)
    last = float(-moves[-1] / max(abs(j[-2]), 1e-300))
    if (moves < 0).all() and last > _FALLING and known.dev_improves:
        text = f"the loss fell in every epoch, by {last:.1%} in the last: more epochs, or a higher rate than {known.rate:g}."
        return Said(text, advice=True)
    return Said(f"the loss went from {j[0]:.3g} to {j[-1]:.3g} in {len(j)} epochs.")


def _turns(j: Any) -> int:
    """How often a loss turned, if it did so more often than not and by a fifth of its size; else 0."""
    moves = np.diff(j)
    turns = int((moves[1:] * moves[:-1] < 0).sum())
    return turns if turns > len(moves) / 2 and np.abs(moves).mean() > 0.2 * np.abs(j).mean() else 0


def _risen(j: Any) -> bool:
    """Whether a loss ended well above its start, or above its smallest value by half of the way it had come."""
    return bool(j[-1] > j[0] or j[-1] - j.min() > 0.5 * (j[0] - j.min()))


@_rule(
    "C310", "The cost must go down; if it rises, the learning rate is too high.", "loss_grows", "first_step_explodes"
)
def _must_go_down(known: Known) -> Said | None:
    j = np.array(known.losses)
    if len(j) < _SHORT or not np.isfinite(j).all() or _turns(j) or not _risen(j):
        return None
    best = int(j.argmin())
    text = f"the loss rose from {j[best]:.3g} (epoch {best + 1}) to {j[-1]:.3g} (epoch {len(j)})"
    return Said(f"{text}: {known.rate:g} is too high a rate, try {known.rate / 10:g}.", advice=True)


@_rule("C311", "Never start a hidden layer at zero; biases and logistic regression may.", "equal_units")
def _not_from_zero(known: Known) -> Said | None:
    layer = None if known.trained else known.equal_start
    if layer is None:
        return None
    return Said(f"the weights of {layer.name} are all equal, and so its units stay equal: draw them.", advice=True)


@_rule(
    "C312",
    "Small first weights, by the width of the layer.",
    "first_weights_of_wrong_size",
    "biases_outweigh_inputs",
    "vanishing_gradient",
)
def _small_at_first(known: Known) -> Said | None:
    if known.trained or not known.passing:
        return None
    slopes = ", ".join(f"{each.layer or each.activation} {each.slope:.2f}" for each in known.passing[:6])
    weak = min(each.slope for each in known.passing) < 0.05
    return Said(f"mean derivative of the activations at the start: {slopes}.", advice=weak)


@_rule("C313", "Saturated units and dead ones learn slowly or not at all.", "saturated_units", "dead_units")
def _units_that_learn_nothing(known: Known) -> Said | None:
    if not known.trained or not known.passing:
        return None
    dead = [each for each in known.passing if each.dead]
    flat = [each for each in known.passing if each.flat > 0.5 and not each.dead]
    parts = [
        f"{each.dead} of {each.units} units of {each.layer or each.activation} pass nothing on for any row"
        for each in dead
    ]
    parts += [f"{each.flat:.0%} of the values of {each.layer or each.activation} are saturated" for each in flat]
    return Said(f"{listed(parts, 4)}.", advice=True) if parts else Said("no unit is dead, no layer saturated.")


# ---------------------------------------------------------------------- arrays
@_rule("C314", "Look at the shapes first.", kept="model.shapes(x=X, y=y); the door refuses what does not fit")
def _shapes_first(known: Known) -> Said | None:
    if known.trained or not known.model.built:
        return None
    return Said("before the first fit: print(model.shapes(x=X, y=y)) marks what does not fit.", advice=True)


_silent(
    "C315",
    "Arrays of rank 1 hide what they mean: reshape, or keepdims.",
    kept="the door reads (m,) as (m, 1), in X as in y, and refuses (1, m); so no loss broadcasts (m,) with (m, 1)",
)
_silent(
    "C316",
    "Vectorise: only the loop over the steps remains.",
    kept="model.as_numpy(form='loops') and form='vectorised' compute the same; the lab vectorise times them",
)


@_rule("C317", "No squared error for logistic regression.", "squared_error_on_yes_and_no", "distance_on_yes_and_no")
def _no_squared_error(known: Known) -> Said | None:
    out = known.out
    if out is None or out.kind != "values" or out.last != "sigmoid" or out.loss is None:
        return None
    if known.y is not None and not np.isin(known.y, (0, 1)).all():
        return None
    if known.y is None:
        return Said("a sigmoid compared as a number: for yes and no, 'binary_crossentropy' learns faster.", advice=True)
    return Said(f"y is 0 or 1: 'binary_crossentropy' learns faster than {type(out.loss).__name__}.", advice=True)


# ---------------------------------------------------------------------- which network
def _lacking() -> str:
    """What is said of recurrent networks, by what there is."""
    there = [name for name in _RECURRENT if name in catalogue.__all__]
    return f"{listed(there)}, or Conv1D" if there else "of recurrent layers there are none here, Conv1D is"


@_rule("C318", "Tables: dense layers; pictures: convolutions; sequences: recurrent ones; mixtures: both.")
def _family(known: Known) -> Said | None:
    if known.picture:
        return Said("pictures: a convolutional network.") if known.filters else None
    if len(known.form) == 2:
        told = "dense layers see every step by itself" if not known.filters else "Conv1D sees neighbouring steps"
        steps = f"{known.form[0]} steps of {counted(known.form[1], 'number')}"
        return Said(f"sequences ({steps}): {told}; {_lacking()}.", advice=not known.filters)
    table = len(known.form) == 1 and bool(known.sized)
    return Said(f"{counted(known.form[0], 'feature')} a row: dense layers are usual.") if table else None


@_rule("C319", "Convolutions where neighbours belong together or the rows are few.", "channels_first")
def _neighbours(known: Known) -> Said | None:
    size = " × ".join(map(str, known.picture))
    if not known.picture or not known.sized:
        return None
    if known.filters:
        return Said(f"pictures of {size}: the filters share their weights over all places.")
    return Said(f"pictures of {size}: Conv2D needs fewer weights and rows than Dense, which knows no neighbours.", True)


@_rule("C320", "Few rows: features made by hand decide, and an SVM may win; many rows: a large network.")
def _few_rows(known: Known) -> Said | None:
    if not 0 < known.rows < _FEW:
        return Said(f"{known.rows:,} rows: a larger network may gain.") if known.rows else None
    return Said(f"{known.rows:,} training rows are few: features made by hand, or an SVM, may do as well.", advice=True)


@_rule("C321", "Begin with no hidden layer, then one, two, …, judged on dev rows.")
def _depth_by_depth(known: Known) -> Said | None:
    test, linear = known.score("test"), known.score("baseline", "linear")
    key = "r2" if "r2" in test else "accuracy"
    own, other = test.get(key), linear.get(key)
    if len(known.sized) == 1 and not known.filters:
        return Said("no hidden layer: the place to begin. Next 1, then 2, judged on dev rows.", advice=True)
    if not isinstance(own, float) or not isinstance(other, float):
        return None
    if other >= own:
        text = f"a linear model does as well on the test rows ({other:.3f}, this one {own:.3f})"
        return Said(f"{text}: fewer hidden layers, or none.", advice=True)
    return Said(f"the hidden layers pay: {own:.3f} on the test rows, {other:.3f} without.")


@_rule("C322", "Deep and narrow rather than shallow and wide.")
def _deep_and_narrow(known: Known) -> Said | None:
    widths = known.widths
    if not widths or not known.form:
        return None
    if len(widths) > 1:
        return Said(f"{len(widths)} hidden layers, at most {max(widths)} units wide.")
    if widths[0] < _WIDE:
        return None
    features, out = known.form[-1], known.sized[-1].units
    now = (features + 1) * widths[0] + (widths[0] + 1) * out
    then = (features + 1) * _NARROW + (_NARROW + 1) * _NARROW + (_NARROW + 1) * out
    return Said(
        f"1 hidden layer of {widths[0]:,} units, {now:,} parameters: 2 of {_NARROW} have {then:,} and can do as much.",
        advice=True,
    )


@_rule("C323", "Many rows in a step rather than one.", "odd_batch_size")
def _batches(known: Known) -> Said | None:
    epochs, steps = known.model.epochs_done, known.model.iterations
    if not (known.rows and epochs and steps):
        return None
    batch = -(-known.rows * epochs // steps)
    if batch > 1:
        return Said(f"about {batch} rows a step.")
    return Said("1 row a step: 32 are steadier and faster.", advice=True)


@_rule("C324", "Several labels that belong together: one network for all of them.")
def _one_network(known: Known) -> Said | None:
    count = _labels(known)
    return Said(f"one network decides on {count} labels and shares what it has learnt of x.") if count else None


_silent(
    "C325",
    "No chain of binary classifiers for several classes.",
    kept="cannot be seen in one model; a softmax is what `backlit fit` makes of more than two classes",
)


@_rule("C326", "Choose the hyper-parameters anew from time to time.", kept="the file keeps data, settings and scores")
def _anew(known: Known) -> Said | None:
    if not (known.trained and known.rows and known.optimizer):
        return None
    return Said(f"the rate {known.rate:g} was chosen for {known.rows:,} rows: choose again when data change.")


@_rule("C327", "No choice of an activation is final: try and compare.", kept="no check objects to a kind of activation")
def _try_others(known: Known) -> Said | None:
    used = list(dict.fromkeys(each.name for each in known.hidden))
    others = [name for name in ("relu", "tanh", "leaky_relu", "silu") if name not in used][:2]
    return Said(f"{listed(used)} inside: {listed(others)} are worth a try on the same dev rows.") if used else None


@_rule(
    "C328",
    "Use the library, and know what is inside.",
    kept="model.trace, .equations, .shapes, .as_numpy and .source; the labs",
)
def _open_the_box(known: Known) -> Said | None:
    ready = known.model.built and known.model.asked is not None
    return Said("model.trace(X[:1], y[:1]) shows every value and every derivative.") if ready else None


@_rule(
    "C329",
    "dX need not be computed.",
    kept="the derivatives of the graph are those by weights; equations() ends at dW1",
)
def _no_gradient_of_x(known: Known) -> Said | None:
    ready = known.model.built and known.model.asked is not None
    return Said("the way back ends at the first weights: dX is not computed.") if ready else None


def lines(said: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(number, sentence) of what is told in a text: the advice, and how many rules are kept."""
    told = [each for each in said if each["advice"]]
    yield from ((each["number"], each["says"]) for each in told[:MOST])
    more, kept = len(told[MOST:]), len(said) - len(told)
    parts = [f"{more} more" if more else "", f"{counted(kept, 'rule')} of thumb kept" if kept else ""]
    if not said:
        yield "", "no rule of thumb says anything of what is known of this model"
    elif any(parts):
        yield "", f"{listed([part for part in parts if part])}: .to_json()['advice'], --json"
