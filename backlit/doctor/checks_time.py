"""What shows while a network trains: units that are off, gradients that do not arrive, held-out rows that get worse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..core.grad import reverse
from ..core.node import FLOATS, Node
from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.initializers import RandomUniform
from ..layers.lambda_ import Lambda
from ..train.feed import class_numbers
from ..train.optimizers import Optimizer
from . import repairs
from .programs import classes, network, points, sparse, values
from .subject import Subject
from .watch import Course, Look

_DEAD = 0.7  # of a layer's units, in two looks one after the other
_FLAT = 0.5
_STILL = 1e-4  # the published bound of update over weight
SLOW = ("learning_rate_too_low", "plain_steps_too_slow", "stopped_while_improving")
_FADES = 1e-3  # gradient over weight of the first layer, as a share of the last one's
_TRIAL, _LONG_ENOUGH = 10, 100  # steps: of fewer nobody expects anything, or that rare classes are known
_IN_A_ROW = 3  # evaluations of held-out rows that were worse than the best one


class DeadUnits(Check):
    """A layer most of whose units are off for every row of the sample, at two looks in a row: they get no gradient, so
    that nothing can turn them on again."""

    rules, phase, needs = (37, 42), "during", ("course",)
    argument = "activation"
    why = "where the activation's derivative is 0 for every row, the weights before it get no gradient"
    explains = ("never_updated", "cannot_overfit", "too_small", *SLOW)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of dead units of the first layer that has too many, or of the one with the most, and since when."""
        course: Course = subject.course
        looks, known = course.looks, [one for one in course.probe.activations if not one.bounded]
        if known and len(looks) > 1:
            dead = [float((looks[-1].unused[one] & looks[-2].unused[one]).mean()) for one in known]
            place = next((k for k, share in enumerate(dead) if share > _DEAD), int(np.argmax(dead)))
            one = known[place]
            since = _since(looks, lambda look: look.unused[one].mean() > _DEAD)
            yield {
                "layer": one.layer,
                "dead": dead[place],
                "units": len(looks[-1].unused[one]),
                "layers": sum(share > _DEAD for share in dead),
                "from_step": None if since is None else looks[since].step,
                "alive_at_step": None if not since else looks[since - 1].step,
                "activation": one.node.op.name,
                "learning_rate": course.rate,
            }

    def wrong(self, v: Values) -> bool:
        """More than the published 0.7 of them."""
        return bool(v["dead"] > _DEAD)

    def message(self, v: Values) -> str:
        """How many, and which steps killed them."""
        when = "from the first weights on"
        if v["alive_at_step"] is not None:
            when = f"since a step between {v['alive_at_step'] + 1} and {v['from_step']}"
        more = f" (and so in {v['layers'] - 1} more layers)" if v["layers"] > 1 else ""
        return f"{v['dead']:.0%} of {v['units']} {v['activation']} units are never on, {when}: they are dead{more}."

    def fix(self, v: Values) -> str:
        """Another start, or shorter steps."""
        if v["alive_at_step"] is None:
            return "bias_initializer='zeros' and kernel_initializer='he_normal', or activation='leaky_relu'"
        return f"learning_rate={v['learning_rate'] / 10:.1g}, or activation='leaky_relu'"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Another start, or shorter steps."""
        return repairs.alive(v, subject)

    def bad(self) -> tuple[Any, ...]:
        """Negative weights behind a ReLU."""
        hidden = Dense(16, "relu"), Dense(16, "relu", kernel_initializer=RandomUniform(-0.5, -0.05))
        return network(*hidden, Dense(3), loss=sparse()), points(), classes(3), {"epochs": 8}

    def good(self) -> tuple[Any, ...]:
        """Weights of both signs."""
        return (
            network(Dense(16, "relu"), Dense(16, "relu"), Dense(3), loss=sparse()),
            points(),
            classes(3),
            {"epochs": 8},
        )


def _since(looks: list[Look], holds: Any) -> int | None:
    """From which look on it holds for all that follow."""
    since = None
    for place, look in enumerate(looks):
        since = None if not holds(look) else place if since is None else since
    return since


class SaturatedUnits(Check):
    """A layer of bounded activations most of whose units lie in the flat part for nearly every row, before the first step
    or at two looks in a row, while little is learnt."""

    rules, phase, needs = (38, 17), "during", ("course",)
    argument = "kernel_initializer"
    why = "where the activation is flat, the gradient that gets through is next to nothing"
    explains = ("vanishing_gradient", "fading_gradient", "cannot_overfit", "too_small", *SLOW)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of saturated units in the layer with the most, and what is left of a constant's loss."""
        course: Course = subject.course
        known = [one for one in course.probe.activations if one.bounded]
        if known and (len(course.looks) > 1 or not course.steps) and course.constant is not None:
            flat = [min(look.flat[one] for look in course.looks[-2:]) for one in known]
            one = known[int(np.argmax(flat))]
            yield {
                "layer": one.layer,
                "saturated": max(flat),
                "at_the_start": course.looks[0].flat[one],
                "activation": one.node.op.name,
                "left": course.recent / course.constant,
            }

    def wrong(self, v: Values) -> bool:
        """Half of the units, and more than half of the loss."""
        return bool(v["saturated"] > _FLAT and v["left"] > 0.5)

    def message(self, v: Values) -> str:
        """How many, and since when."""
        start = "from the first weights on" if v["at_the_start"] > _FLAT else "after some steps"
        return f"{v['saturated']:.0%} of the {v['activation']} units are saturated in 90 % of the rows, {start}."

    def fix(self, v: Values) -> str:
        """Smaller first weights or steps."""
        if v["at_the_start"] > _FLAT:
            return "kernel_initializer='glorot_uniform', the default, and X scaled by bl.layers.Normalization()"
        return "a smaller learning_rate, or activation='relu'"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Smaller first weights of scaled inputs, where it was so from the start."""
        return repairs.unsaturated(v, subject) if v["at_the_start"] > _FLAT else None

    def bad(self) -> tuple[Any, ...]:
        """A factor before the tanh."""
        layers = [Dense(16), Lambda(_scaled_up), Activation("tanh"), Dense(3)]
        model = network(*layers, loss=sparse(), optimizer=Optimizer.named("adam")(0.003))
        return model, points(), classes(3), {"epochs": 4}

    def good(self) -> tuple[Any, ...]:
        """Without it."""
        return network(Dense(16, "tanh"), Dense(3), loss=sparse()), points(), classes(3), {"epochs": 20}


def _scaled_up(z: Any) -> Any:
    return 400 * z


class VanishingGradient(Check):
    """A deep network whose first weights get less than a thousandth of the last ones' gradient, each as a share of the
    weights' size."""

    rules, phase, needs = (39, 15), "first step", ("course",)
    rank = "structure"
    argument = "activation"
    why = "every layer multiplies the gradient by its weights and slopes; where both are small, nothing arrives below"
    explains = ("fading_gradient",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Gradient over weight of the first and last of three or more layers."""
        course: Course = subject.course
        look = course.looks[0]
        known = [leaf for leaf in course.probe.in_depth if look.weights[leaf] and look.gradients[leaf]]
        if len(known) > 2 and not any(share > _FLAT for share in look.flat.values()):  # that is `SaturatedUnits`
            sizes = [look.gradients[leaf] / look.weights[leaf] for leaf in known]
            yield {
                "layer": course.probe.layer_of(known[0]),
                "share": sizes[0] / sizes[-1],
                "layers": len(known),
                "a_layer": (sizes[0] / sizes[-1]) ** (1 / (len(known) - 1)),
                "falling": float(np.mean(np.diff(np.log(sizes)) > 0)),
            }

    def wrong(self, v: Values) -> bool:
        """Less than a thousandth, and less from layer to layer."""
        return bool(v["share"] < _FADES and v["falling"] > 0.6)

    def message(self, v: Values) -> str:
        """What arrives."""
        each = f"each of {v['layers']} layers lets {v['a_layer']:.2g} of it through"
        return f"{v['share']:.1g} of the last layer's gradient arrives here, for weights of equal size: {each}."

    def fix(self, v: Values) -> str:
        """Activations and first weights that let it through."""
        return "activation='relu' with kernel_initializer='he_normal', or BatchNormalization() between the layers"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """ReLUs."""
        return repairs.relus(subject)

    def bad(self) -> tuple[Any, ...]:
        """Eight sigmoids."""
        layers = [Dense(16, "sigmoid") for _ in range(8)]
        return network(*layers, Dense(3), loss=sparse()), points(), classes(3), {"epochs": 2}

    def good(self) -> tuple[Any, ...]:
        """ReLUs."""
        layers = [Dense(16, "relu", kernel_initializer="he_normal") for _ in range(5)]
        return network(*layers, Dense(3), loss=sparse()), points(), classes(3), {"epochs": 20}


class FadingGradient(Check):
    """A training that has learnt nothing, whose first weights move by less than a ten-thousandth of their size at every
    look, and the last ones at least ten times as much."""

    rules, phase, needs = (39, 15), "after", ("course",)
    rank = "structure"
    argument = "activation"
    why = "the layers between let so little of the gradient through that those below stand still"
    explains = SLOW

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Update over weight of the first and last of three or more layers, and what is left of a constant's loss."""
        course: Course = subject.course
        known = [leaf for leaf in course.probe.in_depth if all(look.weights[leaf] for look in course.looks)]
        if len(known) > 2 and len(course.looks) > 2 and course.constant is not None:
            sizes = [max(look.moves[leaf] / look.weights[leaf] for look in course.looks) for leaf in known]
            yield {
                "layer": course.probe.layer_of(known[0]),
                "first": sizes[0],
                "last": sizes[-1],
                "rising": bool(np.all(np.diff(sizes) > 0)),
                "left": course.recent / course.constant,
                "steps": course.steps,
            }

    def wrong(self, v: Values) -> bool:
        """The published ten-thousandth, and nothing learnt."""
        fades = 0 < v["first"] < _STILL and v["last"] > 10 * v["first"] and v["rising"]
        return bool(fades and v["left"] > 0.95)

    def message(self, v: Values) -> str:
        """How far both went."""
        ends = f"a step moves these weights by {v['first']:.1g} of their size, the last ones by {v['last']:.1g}"
        return f"{ends}: in {v['steps']} steps nothing was learnt."

    def fix(self, v: Values) -> str:
        """Activations and first weights that let it through."""
        return "activation='relu' with kernel_initializer='he_normal', or BatchNormalization() between the layers"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """ReLUs."""
        return repairs.relus(subject)

    def bad(self) -> tuple[Any, ...]:
        """Sigmoids, plain steps."""
        layers = [Dense(16, "sigmoid") for _ in range(4)]
        model = network(*layers, Dense(1, "sigmoid"), loss="mse", optimizer=Optimizer.named("sgd")(0.05))
        return model, points(), classes(2), {"epochs": 10}

    def good(self) -> tuple[Any, ...]:
        """ReLUs."""
        layers = [Dense(16, "relu", kernel_initializer="he_normal") for _ in range(2)]
        adam = Optimizer.named("adam")(0.02)
        model = network(*layers, Dense(1, "sigmoid"), loss="binary_crossentropy", optimizer=adam)
        return model, points(), classes(2), {"epochs": 20}


class NoPathForGradient(Check):
    """Weights that the loss depends on, but only through an operation that has no derivative, such as rounding."""

    rules, phase, needs = (42,), "first step", ("course",)
    rank = "structure"
    grounds = "proof"
    argument = "activation"
    why = "without a derivative there is no direction to change these weights in: they stay as they are"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The trained weights without a path, and the operation where the last one ends."""
        probe = subject.course.probe
        cut = [leaf for leaf in probe.gradients if _no_path(probe.gradients[leaf])]
        stops = _stops(probe.order, set(cut)) if cut else []
        last = stops[-1] if stops else None
        yield {
            "layer": probe.layers.get(last) if last is not None else None,
            "weights": [str(leaf.name) for leaf in cut],
            "of": len(probe.gradients),
            "operation": last.op.name if last is not None else None,
        }

    def wrong(self, v: Values) -> bool:
        """There are such weights."""
        return bool(v["weights"])

    def message(self, v: Values) -> str:
        """Which weights, and what stops the gradient."""
        behind = f"{v['operation']} has no derivative" if v["operation"] else "the loss does not depend on them"
        names = ", ".join(v["weights"][:3]) + (", …" if len(v["weights"]) > 3 else "")
        return f"{behind}: {len(v['weights'])} of {v['of']} trained weights get no gradient ({names})."

    def fix(self, v: Values) -> str:
        """Leave it to the prediction."""
        if v["operation"]:
            return f"no {v['operation']} in the network: an activation='sigmoid' while training, {v['operation']} after predict"
        return "trainable=False for these layers, or use their output"

    def bad(self) -> tuple[Any, ...]:
        """Rounding before the loss."""
        layers = [Dense(8, "relu"), Dense(1, "sigmoid"), Lambda(_rounded, name="decide")]
        return network(*layers, loss="mse"), points(), classes(2), {"epochs": 2}

    def good(self) -> tuple[Any, ...]:
        """Without it."""
        layers = [Dense(8, "relu"), Dense(1, "sigmoid")]
        return network(*layers, loss="binary_crossentropy"), points(), classes(2), {"epochs": 20}


def _rounded(p: Any) -> Any:
    return registry.lookup("op.round").node(p)


def _no_path(gradient: Node) -> bool:
    return gradient.op.name == "mark" and gradient.attrs["name"] == "no path"


def _stops(order: list[Node], leaves: set[Any]) -> list[Node]:
    """The floating nodes that depend on these leaves and have no derivative by what does."""
    on, found = set(leaves), []
    for node in order:
        inputs = [i for i in dict.fromkeys(node.inputs) if i in on]
        if not inputs:
            continue
        on.add(node)
        if node.several or any(i.several or i.dtype not in FLOATS for i in inputs):
            continue
        if node.dtype not in FLOATS or all(
            g is None for g in reverse([node], [registry.lookup("op.ones_like").node(node)], inputs, stop=True)
        ):
            found.append(node)
    return found


class NeverUpdated(Check):
    """Weights whose gradient was exactly 0 for every row, whenever it was looked at."""

    rules, phase, needs = (42,), "after", ("course",)
    rank = "symptom"
    argument = "activation"
    why = "what lies behind these weights has the derivative 0 for every row"
    explains = ("cannot_overfit",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The kernels without a gradient, by layer."""
        course: Course = subject.course
        probe = course.probe
        kernels = [leaf for leaf in probe.kernels if not _no_path(probe.gradients[leaf])]
        dead = any(gone.mean() > _DEAD for gone in course.looks[-1].unused.values())  # `DeadUnits` speaks of these
        if course.steps >= _TRIAL and len(course.looks) > 1 and kernels and not dead:
            still = [leaf for leaf in kernels if not any(look.gradients[leaf] for look in course.looks)]
            yield {
                "layer": probe.layer_of(still[-1]) if still else None,
                "weights": [str(leaf.name) for leaf in still],
                "of": len(kernels),
                "looks": len(course.looks),
                "steps": course.steps,
            }

    def wrong(self, v: Values) -> bool:
        """There are some."""
        return bool(v["weights"])

    def message(self, v: Values) -> str:
        """Which."""
        names = ", ".join(v["weights"][:3])
        return f"in {v['steps']} steps {names} had the gradient 0 at all of {v['looks']} looks, and did not change."

    def fix(self, v: Values) -> str:
        """Where to look."""
        return "look at the activation behind that layer: model.trace(X, y).why"

    def bad(self) -> tuple[Any, ...]:
        """A factor of zero."""
        layers = [Dense(8, "relu"), Lambda(_nothing, name="nothing"), Dense(1)]
        return network(*layers, loss="mse"), points(), values(), {"epochs": 4}

    def good(self) -> tuple[Any, ...]:
        """Without it."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), values(), {"epochs": 20}


def _nothing(z: Any) -> Any:
    return 0.0 * z


# ---------------------------------------------------------------------- from epoch to epoch
class Overfitting(Check):
    """A held-out loss that rises while that of the training falls: at the end three evaluations in a row are above the
    best one, by a tenth of it, by a tenth of what a constant prediction costs, and by three deviations. What callbacks
    stopped early is left alone."""

    rules, phase, needs = (49,), "after", ("history", "course")
    place = "fit"
    argument = "epochs"
    why = "from the best epoch on the network learns the training rows by heart"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The held-out losses: the best one, when, the last ones, and how much they scatter."""
        rows = [row for row in subject.history if "val_loss" in row]
        if len(rows) > _IN_A_ROW + 1 and len(subject.history) >= subject.course.epochs:
            held = np.array([row["val_loss"] for row in rows], dtype=float)
            best = int(held.argmin())
            yield {
                "layer": None,
                "best": float(held[best]),
                "best_epoch": best + 1,
                "least_of_the_last": float(held[-_IN_A_ROW:].min())
                if best < len(held) - _IN_A_ROW
                else float(held[best]),
                "constant": subject.course.constant or 0.0,
                "scatter": float(np.median(np.abs(np.diff(held, 2)))) / math.sqrt(6) * 1.48,
                "train_then": float(rows[best]["loss"]),
                "train": float(rows[-1]["loss"]),
                "epochs": len(held),
            }

    def wrong(self, v: Values) -> bool:
        """It fell at first, and has risen by all three; the training's is lower."""
        risen = v["least_of_the_last"] - v["best"] if v["best_epoch"] > 1 else 0.0
        least = max(0.1 * abs(v["best"]), 0.1 * v["constant"], 3 * v["scatter"])
        return bool(risen > least and v["train"] < v["train_then"])

    def message(self, v: Values) -> str:
        """Best and last."""
        held = f"the held-out loss was best after epoch {v['best_epoch']} ({v['best']:.3g})"
        return f"{held} and is {v['least_of_the_last']:.3g} after {v['epochs']}, while the training's fell to {v['train']:.3g}."

    def fix(self, v: Values) -> str:
        """Stop at the best one."""
        stop = "callbacks=[bl.callbacks.EarlyStopping(patience=5, restore_best_weights=True)]"
        return f"epochs={v['best_epoch']}, or {stop}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """As many epochs as helped."""
        return Repair(fit={"epochs": v["best_epoch"]})

    def bad(self) -> tuple[Any, ...]:
        """Noise learnt by heart."""
        return *self._noise(), {"epochs": 120, "validation_split": 0.4}

    def good(self) -> tuple[Any, ...]:
        """Numbers that follow from X."""
        return (
            network(Dense(8, "relu"), Dense(1), loss="mse"),
            points(),
            values(),
            {"epochs": 20, "validation_split": 0.4},
        )

    def _noise(self) -> tuple[Any, Any, Any]:
        y = values() + 4 * np.random.Generator(np.random.PCG64(2)).normal(size=len(values()))
        return network(Dense(64, "relu"), Dense(1), loss="mse", optimizer=Optimizer.named("adam")(0.02)), points(), y


class Oscillation(Check):
    """A loss that goes up and down from epoch to epoch, far more than the steps within an epoch scatter, while little is
    learnt."""

    rules, phase, needs = (48,), "after", ("history", "course")
    rank = "symptom"
    place = "compile"
    argument = "learning_rate"
    why = "every step crosses the valley and climbs the other side"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The turns of the last epochs' losses, how far they swing, and what the steps' scatter would explain."""
        losses = np.array([row["loss"] for row in subject.history if "loss" in row], dtype=float)[-20:]
        course: Course = subject.course
        steps, each = course.losses, course.per_epoch
        if len(losses) > 9 and course.constant is not None and len(steps) >= each * len(losses):
            falls = np.diff(losses)
            scatter = np.std(steps[-each * len(losses) :].reshape(len(losses), each), axis=1).mean() / math.sqrt(each)
            yield {
                "layer": None,
                "turns": float(np.mean(falls[1:] * falls[:-1] < 0)),
                "swing": float(np.abs(falls).mean() / max(np.abs(losses).mean(), 1e-30)),
                "by_chance": float(scatter / max(np.abs(losses).mean(), 1e-30)),
                "left": float(losses.mean()) / course.constant,
                "learning_rate": course.rate,
            }

    def wrong(self, v: Values) -> bool:
        """More turns than not, a swing of a fifth that is no chance, and half of the loss left."""
        return bool(v["turns"] > 0.5 and v["swing"] > max(0.2, 3 * v["by_chance"]) and v["left"] > 0.5)

    def message(self, v: Values) -> str:
        """How much."""
        return f"the loss swings by {v['swing']:.0%} from epoch to epoch and turns after {v['turns']:.0%} of them."

    def fix(self, v: Values) -> str:
        """Shorter steps."""
        return f"learning_rate={v['learning_rate'] / 5:.1g}, or a larger batch_size"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Shorter steps."""
        return repairs.rate(subject, v["learning_rate"] / 5)

    def bad(self) -> tuple[Any, ...]:
        """One step an epoch, too long."""
        layer = Dense(1, kernel_initializer="ones")
        model = network(layer, loss="mae", optimizer=Optimizer.named("sgd")(2.5))
        return model, points(), values(), {"epochs": 40, "batch_size": 96}

    def good(self) -> tuple[Any, ...]:
        """Shorter ones."""
        model = network(Dense(1), loss="mae", optimizer=Optimizer.named("sgd")(0.3))
        return model, points(), values(), {"epochs": 40, "batch_size": 48}


class MinorityNotRecognised(Check):
    """A class with less than a tenth of the rows of the largest one, most of whose rows are taken for another class after
    five epochs and a hundred steps or more."""

    rules, phase, needs = (25,), "after", ("x", "y", "course")
    place = "fit"
    argument = "class_weight"
    why = "where a class is rare, it costs little to overlook it, and the loss does not tell"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The recall of the rarest class, where classes are imbalanced."""
        trained = subject.course.steps >= max(_LONG_ENOUGH, 5 * subject.course.per_epoch)
        for head in subject.heads if trained else ():
            if not head.of_classes or subject.targets(head).values is None:
                continue
            rows = subject.some_rows(2000)
            labels = class_numbers(np.asarray(subject.y[head.place])[rows]).astype(int)
            found, counts = np.unique(labels, return_counts=True)
            rare = int(counts.argmin())
            if len(found) > 1 and counts[rare] >= 5 and counts[rare] < 0.1 * counts.max():
                said = _answers(subject, head, rows)
                recall = float(np.mean(said[labels == found[rare]] == found[rare]))
                yield {
                    "layer": None,
                    "class": int(found[rare]),
                    "rows": int(counts[rare]),
                    "of": len(rows),
                    "recall": recall,
                    "commonest": float(counts.max() / len(rows)),
                }

    def wrong(self, v: Values) -> bool:
        """Less than half of its rows are recognised."""
        return bool(v["recall"] < 0.5)

    def message(self, v: Values) -> str:
        """How many."""
        rare = f"class {v['class']} has {v['rows']} of {v['of']} training rows"
        return (
            f"{rare}, and {v['recall']:.0%} of them are recognised; the commonest class alone is {v['commonest']:.0%}."
        )

    def fix(self, v: Values) -> str:
        """Weights."""
        return "class_weight='balanced' in fit, and a metric that sees it, such as bl.metrics.Recall()"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Weights by class."""
        return Repair(fit={"class_weight": "balanced"})

    def bad(self) -> tuple[Any, ...]:
        """One row in fourteen, of which X tells nothing."""
        return network(Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), self._rare(), {"epochs": 80}

    def good(self) -> tuple[Any, ...]:
        """Classes of equal size."""
        model = network(Dense(1, "sigmoid"), loss="binary_crossentropy", optimizer=Optimizer.named("adam")(0.1))
        return model, points(), classes(2), {"epochs": 20}

    def _rare(self) -> Any:
        return (np.arange(len(points())) % 14 == 0).astype(int)


def _answers(subject: Subject, head: Any, rows: Any) -> Any:
    model = subject.facts.model
    x = [np.asarray(part[rows]) for part in subject.x]
    out = np.asarray(model._outputs(x)[model.output_names.index(head.head.name)]).reshape(len(rows), -1)
    if out.shape[1] > 1:
        return out.argmax(axis=1)
    return (out[:, 0] > (0.0 if head.reading.kind == "logits" else 0.5)).astype(int)
