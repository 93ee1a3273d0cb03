"""How a training went: its history, runs side by side, what more data brings, how the gradient reaches the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..core import registry
from ..core.arguments import Count, Natural, shown
from ..core.errors import ArgumentError, DataError, NotReadyError, ValueRangeError
from ..core.grad import grad
from ..layers.dense import Dense
from ..ops.elementwise import absolute
from ..ops.reduce import sum as sum_
from ..train import door, feed
from ..train.sequential import Sequential
from ..view.words import activation_of, function_name
from .canvas import (
    BACKWARD,
    BLUE,
    COLOURS,
    FAINT,
    FORWARD,
    GREEN,
    INK,
    ORANGE,
    PALE,
    SOFT,
    bare,
    entitle,
    label,
    legend,
    lettered,
    marks,
    open_frame,
    picture,
    sheet,
    short,
    shortened,
)  # fmt: skip
from .costs import cost_of
from .curves import FLAT
from .inside import Inside, rows_of

_MOST_PANELS = 4
_GAIN = 0.005  # what a score rises between the last two sizes to be called rising
_WORSE = 1.05  # how much a dev loss rises before it is called overfitting


# ---------------------------------------------------------------------- one history
@dataclass(frozen=True)
class Track:
    """One logged number by epoch, on the training data and, where it was measured, on dev data."""

    name: str
    train: Any
    dev: Any

    @property
    def judged(self) -> Any:
        """The dev numbers, or those of training where there are no others."""
        return self.train if self.dev is None else self.dev


@dataclass(frozen=True)
class Story:
    """A training by epoch (from 1). `best` is the epoch with the lowest loss on dev data (without them, in training)."""

    epochs: Any
    tracks: tuple[Track, ...]
    best: int

    @property
    def loss(self) -> Track:
        """The loss."""
        return self.tracks[0]


def _draw_history(data: Story) -> Any:
    count = min(len(data.tracks), _MOST_PANELS)
    wide = min(count, 2)
    rows = -(-count // wide)
    figure, panels = sheet(_story(data), (5.0 * wide + (2.4 if wide == 1 else 0), 1.2 + 3.1 * rows), rows, wide)
    for axes, track in zip(panels.flat, data.tracks[:count], strict=False):
        open_frame(axes)
        dots = "o" if len(data.epochs) < 15 else ""
        axes.plot(data.epochs, track.train, color=BLUE, linewidth=2, marker=dots, markersize=4, label="train")
        if track.dev is not None:
            axes.plot(
                data.epochs,
                track.dev,
                color=ORANGE,
                linewidth=2,
                linestyle="--",
                marker=dots,
                markersize=4,
                label="dev",
            )
        axes.axvline(
            data.best, color=SOFT, linewidth=0.9, linestyle=":", label=f"epoch {data.best}: lowest {_judge(data)} loss"
        )
        label(axes, "epoch", track.name)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels.flat[count:]:
        bare(axes)
    handles, names = panels[0, 0].get_legend_handles_labels()
    legend(figure, "outside lower center", handles=handles, labels=names, ncols=3)
    return figure


def _judge(data: Story) -> str:
    return "train" if data.loss.dev is None else "dev"


def _story(data: Story) -> str:
    place = data.best - int(data.epochs[0])
    train, dev = data.loss.train, data.loss.dev
    first, last = short(train[0]), short(train[-1])
    if dev is None:
        end = "still falling" if data.best == data.epochs[-1] and len(train) > 1 else f"lowest in epoch {data.best}"
        return f"Train loss {first} → {last}, {end}. Without dev data nobody sees whether it overfits."
    said = f"Dev loss is lowest in epoch {data.best}: {short(dev[place])}"
    if data.best == data.epochs[-1]:
        return f"{said}, the last one: training longer may still help. Train loss {first} → {last}."
    if dev[-1] > _WORSE * dev[place] and train[-1] < train[place]:
        return (
            f"{said}. Since then train loss fell to {last}, dev loss rose to {short(dev[-1])}: it overfits; stop there."
        )
    return f"{said}; since then it stays about there ({short(dev[-1])}), train loss {last}."


@picture(_draw_history)
def history(history: Any) -> Story:
    """Loss and metrics by epoch, on training and dev data, with the epoch where the loss was lowest.

    `history`: what `fit` returned, or a trained model. Raises NotReadyError where nothing was trained.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> log = model.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, verbose=0, validation_data=([[2.0]], [2.0]))
    >>> story = bl.plot.history.data(log)
    >>> [track.name for track in story.tracks], len(story.loss.dev)
    (['loss'], 3)
    """
    return _told(history)


def _told(history: Any) -> Story:
    log = _log(history)
    scalars = {key: np.asarray(values, np.float64) for key, values in log.history.items() if np.ndim(values[0]) == 0}
    names = sorted((key for key in scalars if not key.startswith("val_")), key=lambda key: key != "loss")
    if "loss" not in names:
        raise NotReadyError("there is no epoch yet.", fix="history = model.fit(X, y, epochs=10)")
    epochs = np.asarray(log.epoch) + 1
    tracks = []
    for name in names:
        train, dev = scalars[name][-len(epochs) :], scalars.get(f"val_{name}")
        measured = dev is not None and len(dev[-len(epochs) :]) == len(epochs)
        tracks.append(Track(name, train, dev[-len(epochs) :] if measured and dev is not None else None))
    judged = tracks[0].judged
    if not np.isfinite(judged).any():
        raise DataError("no loss of this training is finite.", fix="a smaller learning rate")
    return Story(epochs, tuple(tracks), int(epochs[int(np.nanargmin(judged))]))


def _log(given: Any) -> Any:
    found: Any = getattr(given, "history", None)
    found = given if isinstance(found, Mapping) else found
    if found is None and hasattr(given, "predict"):
        raise NotReadyError("the model was not trained here.", fix="model.fit(X, y, epochs=10)")
    if not isinstance(getattr(found, "history", None), Mapping):
        raise ArgumentError(f"{shown(given)} is no history.", expected="what fit returned, or a trained model")
    if not found.history:
        raise NotReadyError("there is no epoch yet.", fix="history = model.fit(X, y, epochs=10)")
    return found


# ---------------------------------------------------------------------- runs side by side
@dataclass(frozen=True)
class Run:
    """One run: its history, and its settings by name."""

    name: str
    story: Story
    track: Track
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Runs:
    """Several runs. `best` is the name of the one with the best last number."""

    metric: str
    runs: tuple[Run, ...]
    best: str


def _draw_runs(data: Runs) -> Any:
    best = next(run for run in data.runs if run.name == data.best)
    others = [run for run in data.runs if run is not best]
    learn = f"{best.name!r} ends best: {data.metric} {short(best.track.judged[-1])}"
    if others:
        ends = [run.track.judged[-1] for run in others]
        learn += f", against {short(min(ends))}" + (f" to {short(max(ends))}" if max(ends) > min(ends) else "")
        learn += f" of the other{'s' * (len(others) > 1)}{_differing(data.runs)}."
    high = 3.6 + 0.32 * len(data.runs)
    figure, panels = sheet(learn, (9.6, 1.3 + high), 2, 1, height_ratios=[3.2, 0.5 + 0.3 * len(data.runs)])
    axes, table = panels[:, 0]
    open_frame(axes)
    for place, run in enumerate(data.runs):
        colour = COLOURS[place % len(COLOURS)]
        line = ("-", "--", "-.", ":")[place // len(COLOURS) % 4] if len(data.runs) > len(COLOURS) else "-"
        width = 2.8 if run is best else 1.7
        axes.plot(
            run.story.epochs, run.track.judged, line, color=colour, linewidth=width, label=shortened(run.name, 24)
        )
        axes.plot(run.story.epochs[-1:], run.track.judged[-1:], "o", color=colour)
    axes.xaxis.get_major_locator().set_params(integer=True)
    label(axes, "epoch", data.metric)
    legend(axes)
    _table(table, data)
    return figure


def _differing(runs: Sequence[Run]) -> str:
    keys = [key for key in runs[0].settings if key not in ("epochs", "last", "lowest")]
    apart = [key for key in keys if len({run.settings.get(key) for run in runs}) > 1]
    return f"; they differ in {', '.join(apart)}" if apart else ""


def _table(axes: Any, data: Runs) -> None:
    bare(axes)
    keys = list(dict.fromkeys(key for run in data.runs for key in run.settings))
    cells = [[shortened(run.name, 24), *(run.settings.get(key, "") for key in keys)] for run in data.runs]
    widths = np.array([max(len(row[k]) for row in [["run", *keys], *cells]) for k in range(len(keys) + 1)]) + 2.0
    spelt, second = lettered([row[0] for row in cells])
    cells = [[name, *row[1:]] for name, row in zip(spelt, cells, strict=True)]
    table = axes.table(
        cells, colLabels=["run", *keys], colWidths=list(widths / widths.sum()), loc="center", cellLoc="left"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8.5)
    for (row, _), cell in table.get_celld().items():
        cell.set(edgecolor=FAINT, linewidth=0.6)
        cell.get_text().set(parse_math=False, color=INK)
        if second:
            cell.get_text().set(fontfamily=[*cell.get_text().get_fontfamily(), *second])
        if row == 0:
            cell.set_facecolor(PALE)
        elif data.runs[row - 1].name == data.best:
            cell.get_text().set_weight("normal" if second else "bold")


@picture(_draw_runs)
def runs(runs: Mapping[str, Any], metric: str = "loss") -> Runs:
    """Several trainings in one picture: a number by epoch, and a table of what was set and what came out.

    `runs`: {name: what `fit` returned, or a trained model}. `metric`: which logged number; on dev data where it was
    measured there. The best run is that of the lowest loss or error, or of the highest other metric.

    >>> import backlit as bl
    >>> def run(rate):
    ...     model = bl.Sequential([bl.layers.Dense(1, kernel_initializer="zeros")])
    ...     model.compile(bl.optimizers.SGD(rate), "mse")
    ...     return model.fit([[0.0], [1.0]], [0.0, 1.0], epochs=5, verbose=0)
    >>> data = bl.plot.runs.data({"slow": run(0.01), "fast": run(0.3)})
    >>> data.best, data.runs[0].settings["α"]
    ('fast', '0.01')
    """
    if not runs:
        raise ValueRangeError("there is no run to show.", expected="{name: history}")
    found = []
    for name, each in runs.items():
        story = _told(each)
        track = next((track for track in story.tracks if track.name == metric), None)
        if track is None:
            known = ", ".join(track.name for track in story.tracks)
            raise ValueRangeError(f"the run {name!r} has no {metric!r}.", expected=known)
        found.append(Run(str(name), story, track, _settings(_log(each), story, track)))
    falls = any(word in metric for word in ("loss", "error", "mse", "mae", "mape", "entropy", "hinge"))
    last = [run.track.judged[-1] if falls else -run.track.judged[-1] for run in found]
    shown_as = ("dev " if all(run.track.dev is not None for run in found) else "") + metric
    return Runs(shown_as, tuple(found), found[int(np.nanargmin(last))].name)


def _settings(log: Any, story: Story, track: Track) -> dict[str, str]:
    """What a run was made of, as far as it is known."""
    model, found = log.model, {}
    if model is not None and getattr(model, "optimizer", None) is not None:
        units = [str(layer.units) for layer in model.layers if hasattr(layer, "units")]
        acts = dict.fromkeys(filter(None, map(activation_of, model.layers)))
        rule = model.optimizer
        found["optimizer"] = type(rule).__name__
        found["α"] = type(rule.schedule).__name__ if rule.schedule else short(rule.learning_rate)
        found["units"] = "-".join(units)
        found["activations"] = ", ".join(acts) or "linear"
        found["parameters"] = f"{model.count_params():,}"
    found["epochs"] = str(len(story.epochs))
    found["last"] = short(track.judged[-1], 4)
    return found


# ---------------------------------------------------------------------- what more data brings
@dataclass(frozen=True)
class Learner:
    """The dev scores of one model by number of training examples."""

    name: str
    scores: Any
    baseline: bool


@dataclass(frozen=True)
class LearningCurve:
    """Scores on the same `dev` examples of models trained on more and more examples. `score`: "accuracy" or "R²"."""

    sizes: Any
    learners: tuple[Learner, ...]
    score: str
    dev: int


def _draw_learning_curve(data: LearningCurve) -> Any:
    best = max(data.learners, key=lambda each: each.scores[-1])
    gain = max(data.learners, key=lambda each: each.scores[-1] - each.scores[0])
    learn = (
        f"With {data.sizes[-1]:,} examples {best.name} is best: {data.score} {short(best.scores[-1])}. From "
        f"{data.sizes[0]:,} examples on {gain.name} gains most, {short(gain.scores[-1] - gain.scores[0])}; "
    )
    learn += _settled(data)
    figure, panels = sheet(learn, (7.8, 4.9))
    axes = panels[0, 0]
    open_frame(axes)
    colours = iter([ORANGE, BLUE, GREEN, "#CC79A7", "#56B4E9", "#D55E00"] * len(data.learners))
    for each, mark in zip(data.learners, "s^Dovp*" * len(data.learners), strict=False):
        colour, line = (SOFT, "--") if each.baseline else (next(colours), "-")
        axes.plot(data.sizes, each.scores, line, marker=mark, color=colour, linewidth=2.2, label=each.name)
    axes.set_xscale("log")
    marks(axes.xaxis, data.sizes, [f"{size:,}" for size in data.sizes])
    axes.minorticks_off()
    label(axes, "m, the number of labelled examples it was trained on", f"{data.score} on {data.dev} other examples")
    legend(axes)
    return figure


def _settled(data: LearningCurve) -> str:
    rising = [each.name for each in data.learners if each.scores[-1] - each.scores[-2:][0] > _GAIN]
    return f"still rising at the end: {', '.join(rising)}." if rising else "none rises at the end."


@picture(_draw_learning_curve)
def learning_curve(
    models: Mapping[str, Callable[[], Any]] | Sequence[int],
    X: Any,
    y: Any,
    sizes: Sequence[Count] | None = None,
    baseline: Any = None,
    epochs: Count = 60,
    seed: Natural = 0,
) -> LearningCurve:
    """What more labelled data brings: the score on a quarter of the data, held out, against the number of examples that
    models of several sizes and a traditional baseline were trained on.

    `models`: {name: function that makes a compiled model}, or numbers of hidden ReLU units. `sizes`: numbers of
    examples; each half of the next one if not given. `baseline`: an object with `fit` and `score`, such as
    scikit-learn's; logistic (for numbers as y linear) regression if not given. The same examples are held out and added for
    all; `seed` draws them. The score is accuracy for classes, else R².

    >>> import backlit as bl, numpy as np
    >>> X = np.linspace(-1, 1, 80).reshape(-1, 1)
    >>> data = bl.plot.learning_curve.data([2], X, (abs(X[:, 0]) > 0.5).astype(int), sizes=[20, 60], epochs=2)
    >>> data.sizes.tolist(), [each.name for each in data.learners], data.dev
    ([20, 60], ['logistic regression', '2 units'], 20)
    """
    table, target = np.asarray(door.features(X, None)), door.raw(feed.column(y, "y"), "y")
    if target.dtype.kind in "fc":
        door.fits(target, "y")
    if len(table) != len(target):
        raise DataError("X and y have different numbers of examples.", found=f"X {len(table)}, y {len(target)}")
    order = np.random.default_rng(seed).permutation(len(table))
    dev, pool = order[: len(table) // 4], order[len(table) // 4 :]
    counts = _sizes(sizes, len(pool))
    numbers = target.dtype.kind == "f" and not (target == np.round(target)).all()
    classes = None if numbers else np.unique(target)
    known = target if classes is None else np.searchsorted(classes, target).reshape(-1)
    held = table[dev], known[dev]
    makers = _makers(models, None if classes is None else len(classes))
    learners = [_baseline(baseline, table, known, pool, counts, held, epochs)]
    for place, (name, make) in enumerate(makers.items()):
        scores = [_taught(make(), table[pool[:n]], known[pool[:n]], held, epochs, seed + place) for n in counts]
        learners.append(Learner(name, np.array(scores), False))
    return LearningCurve(np.array(counts), tuple(learners), "R²" if numbers else "accuracy", len(dev))


def _sizes(given: Sequence[int] | None, most: int) -> list[int]:
    if given is not None:
        if not len(given) or max(given) > most:
            raise ValueRangeError(
                "these numbers of examples cannot be had.", expected=f"up to {most}", found=f"{list(given)}"
            )
        return sorted(given)
    found = [most]
    while found[0] // 2 >= 16 and len(found) < 6:
        found.insert(0, found[0] // 2)
    return found


def _makers(models: Any, classes: int | None) -> dict[str, Callable[[], Any]]:
    if isinstance(models, Mapping):
        return {str(name): make for name, make in models.items()}
    names = [f"{units} unit{'s' * (units != 1)}" for units in models]
    return {name: partial(_network, [int(units)], classes) for name, units in zip(names, models, strict=True)}


def _network(hidden: Sequence[int], classes: int | None) -> Any:
    """A compiled network with these hidden ReLU layers."""
    outputs = 1 if classes in (None, 2) else classes
    model = Sequential([*(Dense(units, "relu") for units in hidden), Dense(outputs)])
    model.given_seed = 0  # so that the process's own seed is left alone
    kind = "mse" if classes is None else "BinaryCrossentropy" if classes == 2 else "SparseCategoricalCrossentropy"
    loss = registry.lookup(f"loss.{kind}")(from_logits=True) if classes is not None else "mse"
    model.compile(registry.lookup("optimizer.Adam")(0.01), loss)
    return model


def _taught(model: Any, x: Any, y: Any, held: tuple[Any, Any], epochs: int, seed: int) -> float:
    """The score of a model after training on standardized columns."""
    if not hasattr(model, "need_compiled"):
        raise ArgumentError(f"{shown(model)} is no model.", expected="a function that makes a compiled model")
    if model.given_seed is not None:
        model.given_seed = seed
    middle, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    model.fit((x - middle) / scale, y, epochs=epochs, verbose=0, doctor="off")
    seen = (held[0] - middle) / scale
    if model.heads[0].loss.probabilities:
        return float((model.predict_classes(seen) == held[1]).mean())
    return _r2(held[1], model.predict(seen).reshape(held[1].shape))


def _r2(y: Any, p: Any) -> float:
    return float(1 - ((y - p) ** 2).sum() / max(((y - y.mean(axis=0)) ** 2).sum(), 1e-300))


def _baseline(given: Any, x: Any, y: Any, pool: Any, counts: Sequence[int], held: Any, epochs: int) -> Learner:
    if given is None:
        linear = y.dtype.kind == "f"
        classes = None if linear else int(y.max()) + 1
        scores = [_taught(_network([], classes), x[pool[:n]], y[pool[:n]], held, epochs, 0) for n in counts]
        return Learner("linear regression" if linear else "logistic regression", np.array(scores), True)
    if not (hasattr(given, "fit") and hasattr(given, "score")):
        raise ArgumentError(f"{shown(given)} cannot be a baseline.", expected="an object with fit and score")
    scores = [float(given.fit(x[pool[:n]], y[pool[:n]]).score(*held)) for n in counts]
    return Learner(function_name(given), np.array(scores), True)


# ---------------------------------------------------------------------- how the gradient reaches the layers
@dataclass(frozen=True)
class Layer:
    """One layer: the norms of its weights and of their gradient; of its output, percentiles (5, 25, 50, 75, 95); the mean
    slope |g′(z)| of its activation, and the share of z at which it is below 0.05 (both 1 and 0 without activation)."""

    name: str
    activation: str
    weights: float
    gradient: float
    spread: Any
    slope: float
    flat: float


@dataclass(frozen=True)
class Flow:
    """The layers of a network on data, from the first to the last."""

    layers: tuple[Layer, ...]
    examples: int


def _draw_flow(data: Flow) -> Any:
    learnt = [layer for layer in data.layers if np.isfinite(layer.gradient)]
    figure, panels = sheet(
        _flow_learn(learnt), (9.8, 1.8 + 0.62 * len(data.layers) + 1.0), 1, 3, width_ratios=[1.2, 1.2, 0.9], sharey=True
    )
    places = np.arange(len(data.layers))
    norms, outputs, flats = panels[0]
    for axes in panels[0]:
        open_frame(axes)
    values = [layer.gradient if layer.gradient > 0 else np.nan for layer in data.layers]
    bars = norms.barh(places, values, color=BACKWARD, height=0.55)
    words = ["" if np.isnan(layer.gradient) else short(layer.gradient) for layer in data.layers]
    norms.bar_label(bars, words, padding=3, size=8.5, color=INK)
    if np.isfinite(values).any() and np.nanmax(values) > 30 * np.nanmin(values):
        norms.set_xscale("log")
    norms.margins(x=0.3)
    entitle(norms, "gradient: ‖dW‖ of the layer's weights", 3.2)
    for place, layer in enumerate(data.layers):
        low, lower, middle, upper, high = layer.spread
        outputs.plot([low, high], [place, place], color=FORWARD, linewidth=1.4)
        outputs.plot([lower, upper], [place, place], color=FORWARD, linewidth=7, solid_capstyle="butt", alpha=0.6)
        outputs.plot([middle], [place], "|", color=INK, markersize=13, markeredgewidth=2)
    outputs.axvline(0, color=SOFT, linewidth=0.8)
    entitle(outputs, "output: middle half, 5 to 95 %, median", 3.2)
    flats.barh(places, [100 * layer.flat for layer in data.layers], color=ORANGE, height=0.55)
    flats.set_xlim(0, 100)
    label(flats, "%")
    entitle(flats, "at a flat place: |g′(z)| < 0.05", 2.4)
    norms.set_ylim(len(data.layers) - 0.4, -0.6)
    marks(norms.yaxis, places, [shortened(f"{each.name} {each.activation}".strip(), 22) for each in data.layers])
    return figure


def _flow_learn(layers: Sequence[Layer]) -> str:
    if len(layers) < 2:
        return "One layer learns: its gradient reaches it directly."
    first, last = layers[0], layers[-1]
    worst = max(layers, key=lambda layer: layer.flat)
    flat = (
        f" {100 * worst.flat:.0f} % of the z in {worst.name!r} lie where its activation is flat."
        if worst.flat > 0.2
        else ""
    )
    if not first.gradient or not last.gradient:
        gone = [layer.name for layer in layers if not layer.gradient]
        return f"No gradient at all reaches {', '.join(map(repr, gone))}: it cannot learn." + flat
    ratio = first.gradient / last.gradient
    if ratio < 0.1:
        return (
            f"The gradient fades on its way back: {first.name!r} gets 1/{1 / ratio:,.0f} of that of {last.name!r}."
            + flat
        )
    if ratio > 10:
        return (
            f"The gradient grows on its way back: {first.name!r} gets {ratio:,.0f} times that of {last.name!r}." + flat
        )
    return f"The gradient arrives: {first.name!r} gets {short(ratio, 2)} times that of {last.name!r}." + flat


@picture(_draw_flow)
def flow(model: Any, X: Any, y: Any) -> Flow:
    """How the gradient reaches the layers, and how their activations lie: in a network that learns badly, where it stops.

    All is computed on X and y as `evaluate` computes the loss. Raises NotReadyError for a model that is not compiled or
    has no weights, and what `fit` would raise for the data.

    >>> import backlit as bl, numpy as np
    >>> zeros = dict(kernel_initializer="zeros")
    >>> model = bl.Sequential([bl.Input((2,)), bl.layers.Dense(2, "tanh", **zeros), bl.layers.Dense(1, **zeros)])
    >>> model.compile("sgd", "mse")
    >>> [layer.gradient for layer in bl.plot.flow.data(model, [[1.0, 2.0]], [3.0]).layers]
    [0.0, 6.0]
    """
    inside = Inside(model)
    cost = cost_of(model, X, y)
    rows = rows_of(model, X)
    trained = model.trainable_weights
    slopes = grad(cost, trained)
    known = registry.lookup("values.reference")(slopes)
    norms = {leaf: np.asarray(known[each], np.float64) for leaf, each in zip(trained, slopes, strict=True)}
    owners = {layer.name: layer.trainable_weights for layer in model.everything() if not layer.layers}
    found = []
    for name, layer in inside.layers.items():
        own = owners.get(name, [])
        (a,) = inside.values([layer.a], rows)
        steep = _steepness(inside, layer, rows)
        found.append(
            Layer(
                name, layer.activation,
                _norm([np.asarray(leaf.array) for leaf in own]), _norm([norms[leaf] for leaf in own]),
                np.percentile(a, [5, 25, 50, 75, 95]), float(steep.mean()), float((steep < FLAT).mean()),
            )
        )  # fmt: skip
    return Flow(tuple(found), len(rows[0]))


def _steepness(inside: Inside, layer: Any, rows: Any) -> Any:
    """|g′(z)| at every z."""
    if not layer.activation or layer.activation in ("softmax", "log_softmax"):
        return np.ones(1)
    steep = absolute(grad(sum_(layer.a), layer.z))
    return inside.values([steep], rows)[0]


def _norm(arrays: Sequence[Any]) -> float:
    return float(np.sqrt(sum((array.astype(np.float64) ** 2).sum() for array in arrays))) if arrays else float("nan")


registry.register("picture.history", history)

__all__ = ["flow", "history", "learning_curve", "runs"]
