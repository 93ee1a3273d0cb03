"""Making the fixes of a report that a program can make, and trying them: the same short training with and without."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from ..core import registry, seed
from ..core.check import Finding, Repair
from ..core.errors import NotReadyError, ValueRangeError
from ..core.node import input_leaf
from ..core.record import serialize
from ..layers.activation import Activation
from ..layers.network import flat
from ..layers.preprocessing import Normalization
from ..train.batches import Opened, is_stream
from ..train.events import Callback
from ..train.fitting import Given
from ..train.model import Model
from ..train.sequential import Sequential
from ..train.structure import Own, describe, describe_inputs, restore, restore_inputs
from .ear import EAR
from .proof import Curve, Proof, names_classes, score
from .repairs import NORMALIZATION
from .subject import evenly

_POINTS, _MOST_STEPS = 20, 50  # of a curve; of a piece of it, so that the clock is looked at
_ROWS = 500  # that are scored
_BATCH = 32  # rows of a step, where nothing is said
_ROUNDS = 3  # of mending what shows only when something else is mended
_MOST_BATCHES, _ENOUGH_ROWS, _ENOUGH_NUMBERS = 64, 2000, 20_000_000  # of a stream, and of X in them
_MOST_ADAPTED = 10_000_000  # numbers that a Normalization is adapted to


def repair_of(model: Any, make: Callable[[], Repair | None]) -> Repair | None:
    """What `make` would change, if that can be done to this model."""
    try:
        repair = make()
        return repair if repair is not None and _possible(model, repair) else None
    except Exception:  # a report must not end because a fix cannot be worked out
        return None


def _possible(model: Any, repair: Repair) -> bool:
    said = describe(model)
    chain, whole = isinstance(model, Sequential), "layers" in said
    layers = {each["name"]: each for each in _all_layers(said)}
    named = all(name in layers and _takes(model, layers[name], args) for name, args in repair.layers.items())
    placed = chain or not (repair.dropped or repair.behind)
    ends = (repair.front is None and repair.back is None) or (whole and len(model.inputs) == len(model.outputs) == 1)
    return named and placed and ends


def _all_layers(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for each in said.get("layers", ()) for part in (each, *_all_layers(each))]


def _takes(model: Any, said: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Whether the layer has these arguments, or is an activation that another one can stand for."""
    if set(arguments) <= set(said.get("config", ())):
        return True
    layer = next((each for each in model.everything() if each.name == said["name"]), None)
    return set(arguments) == {"activation"} and layer is not None and not layer.weights and not layer.layers


# ---------------------------------------------------------------------- what is made
@dataclass(frozen=True)
class Mended:
    """A compiled model and arguments of `fit` with some fixes in place; `changes` says which."""

    model: Any
    x: Any = field(repr=False)
    y: Any = field(repr=False)
    arguments: dict[str, Any] = field(repr=False)
    changes: tuple[str, ...]

    def fit(self, **more: Any) -> Any:
        """Train it: `model.fit(x, y, **arguments, **more)`."""
        return self.model.fit(self.x, self.y, **{**self.arguments, **more})

    def __str__(self) -> str:
        return "\n".join(self.changes)


@dataclass(frozen=True)
class Case:
    """A model and the arguments of `fit` that were examined; `subject` is None where they were refused. `anew`: copies
    get first weights of their own."""

    model: Any
    given: Given | None = None
    batch_size: int | None = None
    subject: Any = None
    heads: tuple[Any, ...] = ()
    anew: bool = False

    def apply(self, findings: Sequence[Finding], which: Sequence[int]) -> Mended:
        """See `Report.apply`."""
        with seed.kept():
            if self.model.seed is not None:
                seed.set_seed(self.model.seed)
            made = self._mended(findings, which)[0]
        for change in made.changes:
            sys.stderr.write(f"doctor: {change}\n")
        return made

    def prove(self, findings: Sequence[Finding], which: Sequence[int], steps: int, seconds: float) -> Proof:
        """See `Report.prove`."""
        repair = self._chosen(findings, which)
        case, note = self._of_rows()
        with seed.kept():
            if repair == Repair(fit={"epochs": repair.fit.get("epochs")}):
                proof = case._lengths(repair, steps, seconds)
            else:
                proof = case._compared(findings, which, steps, seconds)
        return replace(proof, note=" ".join(filter(None, (proof.note, note))))

    def _compared(self, findings: Sequence[Finding], which: Sequence[int], steps: int, seconds: float) -> Proof:
        """Two trainings from the same seed, with and without the fixes."""
        self._begin()
        made, case = self._mended(findings, which)
        if case.subject is None or case.subject.y is None:
            raise NotReadyError("the training is refused with this fix, too.", fix="make the other fixes first")
        refused = self.subject is None or self.subject.y is None
        of_classes = names_classes(made.model.asked.loss, case.subject.y[0])
        self._begin()
        before = Curve() if refused else self._curve(self._made(Repair()), of_classes, steps, seconds / 2)
        self._begin()
        after = case._curve(self._mended(findings, which)[0], of_classes, steps, seconds / 2)
        count = len(after.steps) if refused else min(len(before.steps), len(after.steps))
        same = not refused and type(case.heads[0].loss) is type(self.heads[0].loss) and made.y is self.given.y  # type: ignore[union-attr]
        rows = made.arguments["batch_size"] or _BATCH
        return Proof(before.until(count), after.until(count), made.changes, rows, same)

    def _begin(self) -> None:
        """Draw from here on what the model's seed gives."""
        seed.set_seed(0 if self.model.seed is None else self.model.seed)

    def _lengths(self, repair: Repair, steps: int, seconds: float) -> Proof:
        """One training that is looked at twice: after as many epochs as there were, and as there are to be. From the same
        seed the shorter one is the beginning of the longer one. That fewer are better only held-out rows can show."""
        held = self.subject.validation
        self._begin()
        made = self._made(repair)
        batch = made.arguments["batch_size"] or _BATCH
        each = -(-self.subject.rows // batch)
        was, now = each * self.subject.course.epochs, each * int(repair.fit["epochs"])
        if now < was and held is None:
            fix = "model.diagnose(X, y, validation_data=...), or the validation_split of fit"
            raise NotReadyError("fewer epochs are tried on held-out rows.", fix=fix)
        short, long = sorted((was, now))
        of_classes = names_classes(made.model.asked.loss, self.subject.y[0])
        rows = (held.x, held.y[0]) if now < was else None
        self._begin()
        curve = self._curve(made, of_classes, min(long, short + steps), seconds, short, rows)
        if curve.steps[-1] <= short:
            message, fix = "time was up before the shorter training was.", "report.prove(seconds=...)"
            raise NotReadyError(message, found=f"{curve.steps[-1]} of {short} steps in {seconds:g} seconds", fix=fix)
        both = curve.until(sum(done <= short for done in curve.steps)), curve
        before, after = both if was < now else both[::-1]
        return Proof(before, after, made.changes, batch, True, "Scored on held-out rows." if rows else "")

    def _of_rows(self) -> tuple[Case, str]:
        """The case with rows, and in words which ones: of a stream those of its first batches, or of the one that was
        examined where it cannot be read again."""
        if self.given is None or self.given.x is None:
            raise NotReadyError("a fix is tried on rows.", fix="model.diagnose(X, y)")
        if not is_stream(self.given.x):
            return self, ""
        stream = Opened(self.given.x)
        if not stream.again and (self.subject is None or self.subject.y is None):
            fix = "pass the function that makes it, or model.diagnose(X, y)"
            raise NotReadyError("a generator is read once, and its first batch is gone.", fix=fix)
        items = _first_batches(stream) if stream.again else [_examined(self.subject)]
        x, y, *weight = map(_joined_rows, zip(*items, strict=True))
        held = None if is_stream(self.given.held) else self.given.held
        given = replace(self.given, x=x, y=y, sample_weight=weight[0] if weight else None, held=held)
        case: Case = registry.lookup("doctor.diagnose")(self.model, given, len(flat(items[0][0])[0])).case
        count = f"the first {len(items)} batches" if len(items) > 1 else "one batch"
        return case, f"Tried on {count} of the stream."

    @property
    def _has_rows(self) -> bool:
        return self.given is not None and self.given.x is not None and not is_stream(self.given.x)

    def _mended(self, findings: Sequence[Finding], which: Sequence[int]) -> tuple[Mended, Case]:
        """What is made, and its own case. Where all is to be mended, what shows only then is mended, too."""
        made = self._made(self._chosen(findings, which))
        case: Case = self
        for _ in range(_ROUNDS if self._has_rows else 0):
            report = registry.lookup("doctor.diagnose")(made.model, _given(made), made.arguments["batch_size"])
            case = report.case
            more = [one.repair() for one in report.findings if one.severity != "note" and one.repair is not None]
            repair = _merged([one for one in more if one is not None])
            next_one = case._made(repair)
            if which or not set(next_one.changes) - set(made.changes):
                break
            arguments = {**made.arguments, **next_one.arguments}
            made = replace(next_one, arguments=arguments, changes=(*made.changes, *next_one.changes))
        return made, case

    def _chosen(self, findings: Sequence[Finding], which: Sequence[int]) -> Repair:
        """The fixes of these findings as one."""
        for place in which:
            if not 0 <= place < len(findings):
                raise ValueRangeError(f"there is no finding {place}.", expected=f"0 … {len(findings) - 1}")
        asked = [findings[place] for place in which] or [one for one in findings if one.severity != "note"]
        repairs = [one.repair() for one in asked if one.repair is not None]
        made = [one for one in repairs if one is not None]
        if not made:
            raise NotReadyError(
                "no fix in this report can be made by a program." if findings else "nothing is to be fixed.",
                found=f"{len(asked)} finding{'' if len(asked) == 1 else 's'}",
                fix="; ".join(one.fix for one in asked if one.fix) or "model.diagnose(X, y)",
            )
        return _merged(made)

    def _made(self, repair: Repair) -> Mended:
        given = self.given
        arguments: dict[str, Any] = {"batch_size": self.batch_size}
        x = y = None
        if given is not None:
            x, y = _through(repair.x, given.x), _through(repair.y, given.y)
            kept = {"sample_weight": given.sample_weight, "validation_data": given.held}
            arguments.update({key: value for key, value in kept.items() if value is not None})
            if given.share:
                arguments["validation_split"] = given.share
        held = arguments.get("validation_data")
        if isinstance(held, (tuple, list)) and len(held) > 1:
            arguments["validation_data"] = (_through(repair.x, held[0]), _through(repair.y, held[1]), *held[2:])
        arguments.update(repair.fit)
        model = _remade(self, repair)
        return Mended(model, x, y, arguments, tuple(_changes(self, repair)))

    def _curve(
        self, made: Mended, of_classes: bool, steps: int, seconds: float, mark: int = 0, held: Any = None
    ) -> Curve:
        """Train and look on, at most so many steps and seconds; one of the points is at `mark`."""
        xs, ys = held or (self.subject.x, self.subject.y[0])
        rows = evenly(len(ys), _ROWS)
        x, y = [np.asarray(part[rows]) for part in xs], np.asarray(ys[rows])
        most = max(1, min(steps // _POINTS, _MOST_STEPS))
        piece = max(each for each in range(1, most + 1) if mark % each == 0)
        watch = _Watch(made.model, (x, y, of_classes), piece, time.perf_counter() + seconds)
        arguments = {key: value for key, value in made.arguments.items() if key not in ("validation_data", "epochs")}
        arguments["batch_size"] = arguments["batch_size"] or _BATCH
        length = {"epochs": -(-steps // piece), "steps_per_epoch": piece, "validation_freq": [1 << 30]}
        with registry.lent({EAR: None}):  # nobody hears of it
            made.model.fit(made.x, made.y, **arguments, **length, verbose=0, callbacks=[watch], doctor="off")
        return watch.curve


def _first_batches(stream: Opened) -> list[Any]:
    """What a stream gives first: (x, y) or (x, y, weight), so many batches as are enough."""
    items: list[Any] = []
    rows = numbers = 0
    for item in islice(stream.a_pass(0), _MOST_BATCHES):
        items.append(tuple(item))
        arrays = [np.asarray(part) for part in flat(item[0])]
        rows, numbers = rows + len(arrays[0]), numbers + sum(part.size for part in arrays)
        if rows >= _ENOUGH_ROWS or numbers >= _ENOUGH_NUMBERS:
            break
    return items


def _examined(subject: Any) -> tuple[Any, ...]:
    """The rows of a subject as `fit` takes them."""
    parts = [each[0] if len(each) == 1 else each for each in (subject.x, subject.y, subject.w)]
    return tuple(parts if any(weight is not None for weight in subject.w) else parts[:2])


def _joined_rows(parts: Sequence[Any]) -> Any:
    """The rows of all batches, in the structure that each has."""
    if isinstance(parts[0], Mapping):
        return {key: _joined_rows([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], (list, tuple)) and hasattr(parts[0][0], "shape"):
        return [_joined_rows(each) for each in zip(*parts, strict=True)]
    return None if parts[0] is None else np.concatenate([np.asarray(part) for part in parts])


def _through(change: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if change is None else change(value)


def _given(made: Mended) -> Given:
    """The arguments of `fit` as `diagnose` takes them."""
    known = made.arguments
    return Given(
        x=made.x,
        y=made.y,
        sample_weight=known.get("sample_weight"),
        class_weight=None,
        held=known.get("validation_data"),
        share=known.get("validation_split", 0.0),
        stratify=known.get("validation_stratify", False),
    )


class _Watch(Callback):
    """Keeps the mean loss of every few steps, and the score of the rows after them; ends the training at the deadline."""

    def __init__(self, model: Any, rows: tuple[Any, Any, bool], piece: int, deadline: float):
        self.examined, self.rows, self.piece, self.deadline = model, rows, piece, deadline
        self.curve = Curve()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """One more point."""
        self.curve.steps.append((epoch + 1) * self.piece)
        self.curve.losses.append(float((logs or {}).get("loss", np.nan)))
        self.curve.kind, value = score(self.examined, *self.rows)
        self.curve.scores.append(value)
        if time.perf_counter() > self.deadline:
            self.examined.stop_training = True


# ---------------------------------------------------------------------- one repair of several
def _merged(repairs: Sequence[Repair]) -> Repair:
    """All of them; where two of them change the same, the first one counts."""
    layers: dict[str, dict[str, Any]] = {}
    for one in repairs:
        for name, arguments in one.layers.items():
            layers[name] = {**arguments, **layers.get(name, {})}
    first: dict[str, Any] = {key: _first(repairs, key) for key in ("front", "back", "metrics", "x", "y")}
    joined: dict[str, Any] = {
        key: _joined([getattr(one, key) for one in repairs]) for key in ("behind", "loss", "optimizer", "fit")
    }
    dropped = tuple(dict.fromkeys(name for one in repairs for name in one.dropped))
    return Repair(layers=layers, dropped=dropped, **first, **joined)


def _first(repairs: Sequence[Repair], key: str) -> Any:
    return next((getattr(one, key) for one in repairs if getattr(one, key) is not None), None)


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for part in reversed(parts) for key, value in part.items()}


# ---------------------------------------------------------------------- a model from a model
def _remade(case: Case, repair: Repair) -> Any:
    """A compiled copy of the model with this change, its weights as they are before the first step."""
    model, own = case.model, Own()
    said = describe(model, own)
    front = _normalization(case.subject) if repair.front == NORMALIZATION else repair.front
    said = _edited(said, repair, own)
    chain = isinstance(model, Sequential)
    if chain:
        before, behind = ([describe(end, own)] if end is not None else [] for end in (front, repair.back))
        said = {**said, "layers": [*before, *said["layers"], *behind]}
    with own.lent():
        made: Any = restore(said)
    if not chain and (front is not None or repair.back is not None):
        made = _around(made, model, front, repair.back)
    if model.built and not made.built:
        made.build_on(restore_inputs(describe_inputs(model.input_leaves)))
    if model.built:
        _take_weights(made, model, repair, case.anew or model.iterations > 0)
    made.columns, made.classes = model.columns, model.classes
    _compile(made, case, repair)
    return made


def _edited(said: Mapping[str, Any], repair: Repair, own: Own) -> dict[str, Any]:
    """The description with other arguments, without what is dropped, and with what is new behind a layer."""
    if "layers" not in said:
        return dict(said)
    layers = []
    for each in said["layers"]:
        name = each["name"]
        if name in repair.dropped:
            continue
        arguments = repair.layers.get(name)
        new = _edited(each, repair, own) if arguments is None else _with(each, arguments, own)
        layers += [new, *([describe(repair.behind[name], own)] if name in repair.behind else [])]
    return {**said, "layers": layers}


def _with(said: Mapping[str, Any], arguments: Mapping[str, Any], own: Own) -> dict[str, Any]:
    if set(arguments) <= set(said["config"]):
        new = {key: serialize(value) for key, value in arguments.items()}
        stated = {
            key: value for key, value in new.items() if key in said
        }  # such as "trainable", which stands there, too
        return {**said, **stated, "config": {**said["config"], **new}}
    return describe(Activation(arguments["activation"], name=said["name"]), own)


def _normalization(subject: Any) -> Normalization:
    """A Normalization adapted to the training rows, or a sample of many."""
    x = subject.x[0]
    wide = max(1, int(np.prod(x.shape[1:])))
    layer = Normalization()
    layer.adapt(np.asarray(x[subject.some_rows(max(1000, _MOST_ADAPTED // wide))]))
    return layer


def _around(made: Any, model: Any, front: Any, back: Any) -> Any:
    """The functional model with a layer before it and one behind it."""
    (leaf,) = model.inputs
    start = input_leaf(leaf.shape, leaf.name, leaf.dtype)
    out = made(start if front is None else front(start))
    return Model(start, out if back is None else back(out))


def _take_weights(made: Any, model: Any, repair: Repair, frozen: bool) -> None:
    """The values that the weights have before training: the model's own, or (where it was trained) those of its frozen
    layers alone."""
    kept = [layer for layer in model.everything() if layer.name not in repair.layers and not layer.layers]
    kept = [layer for layer in kept if not frozen or not layer.trainable]
    known = {(layer.name, leaf.name.rpartition("/")[2]): leaf for layer in kept for leaf in layer.weights}
    for layer in made.everything():
        for leaf in layer.weights if not layer.layers else ():
            old = known.get((layer.name, leaf.name.rpartition("/")[2]))
            if old is not None and old.shape == leaf.shape:
                leaf.array[...] = old.array


def _compile(made: Any, case: Case, repair: Repair) -> None:
    asked, rule = case.model.asked, case.model.optimizer
    config = rule.get_config()
    if rule.schedule is None:
        config["learning_rate"] = rule.learning_rate
    loss = _losses(case, repair)
    metrics = asked.metrics if repair.metrics is None else repair.metrics
    made.compile(
        type(rule).from_config({**config, **repair.optimizer}),
        loss,
        asked.loss_weights,
        metrics,
        asked.weighted_metrics,
        engine=case.model.engine_name,
    )


def _losses(case: Case, repair: Repair) -> Any:
    if not repair.loss:
        return case.model.asked.loss
    if len(case.heads) == 1:
        return next(iter(repair.loss.values()))
    return {**{head.name: head.loss for head in case.heads}, **repair.loss}


# ---------------------------------------------------------------------- what is changed, in words
def _changes(case: Case, repair: Repair) -> list[str]:
    layers = {layer.name: layer for layer in case.model.everything()}
    told = []
    if repair.front is not None:
        kind = "Normalization(), adapted to X," if repair.front == NORMALIZATION else _call(repair.front)
        told.append(f"{kind} is put before the first layer")
    for name, arguments in repair.layers.items():
        for key, value in arguments.items():
            old = layers[name].arguments.get(key)
            if key in layers[name].arguments and old == value:
                continue
            before = f"{key}={_said(old)}" if key in layers[name].arguments else _call(layers[name])
            told.append(f"layer {name}: {before} becomes {_said(value)}")
    told += [f"layer {name} is left out" for name in repair.dropped]
    told += [f"{_call(layer)} is put behind layer {name}" for name, layer in repair.behind.items()]
    told += [f"{_call(repair.back)} is put behind the last layer"] if repair.back is not None else []
    told += [f"compile: loss={_said(loss)}{_of(case, name)}" for name, loss in (repair.loss or {}).items()]
    told += [f"compile: metrics={_said(repair.metrics)}"] if repair.metrics is not None else []
    told += [f"optimizer: {key}={_said(value)}" for key, value in repair.optimizer.items()]
    told += [f"fit: {key}={_said(value)}" for key, value in repair.fit.items()]
    return told + [f"{what} is changed" for what, change in (("X", repair.x), ("y", repair.y)) if change is not None]


def _of(case: Case, head: str) -> str:
    return f" for the output {head}" if len(case.heads) > 1 else ""


def _call(layer: Any) -> str:
    """A layer as it is typed."""
    given = ", ".join(
        f"{key}={_said(value)}" for key, value in layer.arguments.items() if value is not None and key != "name"
    )
    return f"{type(layer).__name__}({given})"


def _said(value: Any) -> str:
    name = getattr(value, "__name__", None)
    value = float(f"{value:.6g}") if isinstance(value, float) else value
    return name if isinstance(name, str) and callable(value) else repr(value)
