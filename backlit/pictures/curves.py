"""Curves of formulas: activations with their slopes, losses by label, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any

import numpy as np

from ..core import registry
from ..core.arguments import Finite
from ..core.errors import ArgumentError, DataError, ValueRangeError
from ..core.grad import grad
from ..core.node import FLOATS, Node, variable
from ..core.op import as_node
from ..layers.activation import resolve
from ..ops.index import concatenate
from ..ops.nn import softmax as softmax_
from ..ops.reduce import sum as sum_
from ..train.losses import Loss
from ..view.words import function_name
from .canvas import (
    BACKWARD,
    BLUE,
    FORWARD,
    INK,
    ORANGE,
    PALE,
    SOFT,
    bare,
    entitle,
    label,
    legend,
    marks,
    open_frame,
    picture,
    sheet,
    short,
)  # fmt: skip

FLAT = 0.05  # a slope below it hardly moves a weight
_COURSE = ("linear", "sigmoid", "relu", "tanh", "leaky_relu")
_POINTS = 801
_STEP = 1e-3  # how near the curve of a loss comes to 0 and 1


def limits_of(limits: Any) -> tuple[float, float]:
    """Two numbers, the first one the smaller."""
    _two(limits)
    low, high = limits
    if not low < high:
        raise ValueRangeError("the limits are turned round.", expected="(low, high)", found=f"({low:g}, {high:g})")
    return float(low), float(high)


def squares_of(limits: Any) -> list[tuple[float, float]]:
    """Two pairs of limits."""
    if not isinstance(limits, (list, tuple)) or len(limits) != 2:
        raise ArgumentError(
            "limits are two pairs of numbers.", expected="((low, high), (low, high))", found=repr(limits)[:40]
        )
    return [limits_of(each) for each in limits]


def _two(value: Any) -> None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ArgumentError("limits are two numbers.", expected="(low, high)", found=repr(value)[:40])
    if not all(isinstance(each, Real) and np.isfinite(float(each)) for each in value):
        raise ValueRangeError("limits are two finite numbers.", found=repr(value)[:40])


Limits = Annotated[Any, _two]


# ---------------------------------------------------------------------- activations
@dataclass(frozen=True)
class Curve:
    """One activation: values and slopes along z, and the stretches of z where the slope is below 0.05 either way."""

    name: str
    z: Any
    value: Any
    slope: Any
    flat: tuple[tuple[float, float], ...]

    def at(self, z: float) -> tuple[float, float]:
        """(value, slope) at the nearest z."""
        place = int(np.abs(self.z - z).argmin())
        return float(self.value[place]), float(self.slope[place])


@dataclass(frozen=True)
class Curves:
    """Activations side by side."""

    curves: tuple[Curve, ...]


def _draw_activations(data: Curves) -> Any:
    count = len(data.curves)
    wide = min(3, count)
    rows = -(-count // wide)
    said = [_flatness(curve) for curve in data.curves]
    learn = f"Where the slope g′(z) is nearly 0 (grey), a unit hardly learns: {'; '.join(filter(None, said))}."
    if not any(said):
        learn = "No flat stretch here: the slope g′(z) is nowhere below 0.05, so a unit can learn at every z."
    figure, panels = sheet(learn, (3.1 * max(wide, 2), 1.3 + 2.4 * rows), rows, wide)
    for axes, curve in zip(panels.flat, data.curves, strict=False):
        _one_activation(axes, curve, 3.1 * max(wide, 2) / wide - 0.6)
    for axes in panels.flat[count:]:
        bare(axes)
    first = panels.flat[0]
    for line, words in zip(first.lines[-3:-1], ("g(z), the value", "g′(z), its slope"), strict=True):
        line.set_label(words)
    first.fill_between([], [], [], color=PALE, edgecolor=SOFT, linewidth=0.5, label="|g′(z)| below 0.05: flat")
    legend(figure, "outside lower center", ncols=3)
    return figure


def _one_activation(axes: Any, curve: Curve, wide: float) -> None:
    open_frame(axes)
    for low, high in curve.flat:
        axes.axvspan(low, high, color=PALE, zorder=0)
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.plot(curve.z, curve.value, color=FORWARD, linewidth=2.2)
    axes.plot(curve.z, curve.slope, color=BACKWARD, linewidth=1.8, linestyle="--")
    value, slope = curve.at(0)
    axes.plot([0], [value], "o", color=FORWARD, markersize=5)
    low, high = float(curve.value.min()), float(curve.value.max())
    entitle(
        axes, f"{curve.name}: g(0) = {short(value)}, g′(0) = {short(slope)}, values {short(low)} … {short(high)}", wide
    )
    label(axes, "z")


def _flatness(curve: Curve) -> str:
    """Where it is flat, in words."""
    parts = []
    for low, high in curve.flat:
        left, right = low <= curve.z[0], high >= curve.z[-1]
        where = "everywhere" if left and right else f"z < {short(high, 2)}" if left else f"z > {short(low, 2)}"
        parts.append(where if left or right else f"{short(low, 2)} < z < {short(high, 2)}")
    if len(parts) == 2 and abs(curve.flat[0][1] + curve.flat[1][0]) < 1e-9 and curve.flat[0][0] <= curve.z[0]:
        parts = [f"|z| > {short(curve.flat[1][0], 2)}"]
    return f"{curve.name} for {' and '.join(parts)}" if parts else ""


@picture(_draw_activations)
def activations(*which: Any, limits: Limits = (-5, 5)) -> Curves:
    """Activation functions, each with its slope, and where they are flat.

    `which`: names, records, or functions of a node; without any, linear, sigmoid, relu, tanh and leaky_relu. `limits`:
    from where to where z goes. Slopes are the records' own derivatives. Raises UnknownNameError for a name that no
    activation has, and ValueRangeError for one that is no curve, such as softmax.

    >>> import backlit as bl
    >>> curve = bl.plot.activations.data("sigmoid").curves[0]
    >>> curve.at(0), [tuple(round(float(z), 2) for z in part) for part in curve.flat]
    ((0.5, 0.25), [(-5.0, -2.89), (2.89, 5.0)])
    """
    low, high = limits_of(limits)
    z = np.linspace(low, high, _POINTS)
    return Curves(tuple(_curve(each, z) for each in (which or _COURSE)))


def _curve(which: Any, z: Any) -> Curve:
    name, function = function_name(which), resolve(which)
    leaf = variable(z, "z")
    value = function(leaf)
    if not isinstance(value, Node) or value.shape != leaf.shape or value.dtype not in FLOATS:
        raise ArgumentError(f"{name!r} is no activation.", expected="a function of a node that keeps its shape")
    slope = grad(sum_(value), leaf)
    known = registry.lookup("values.reference")([value, slope])
    part = registry.lookup("values.reference")([function(variable(z[:3], "z"))])
    if not np.allclose(list(part.values())[-1], known[value][:3], equal_nan=True):
        raise ValueRangeError(
            f"{name!r} is no curve: each of its outputs depends on all inputs.", fix="bl.plot.softmax([1.0, 2.0, 3.0])"
        )
    slopes = np.array(known[slope])
    return Curve(name, z, np.array(known[value]), slopes, _runs(np.abs(slopes) < FLAT, z))


def _runs(truths: Any, z: Any) -> tuple[tuple[float, float], ...]:
    """The stretches of z where it is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], truths.astype(int), [0]])))
    return tuple((float(z[a]), float(z[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True))


# ---------------------------------------------------------------------- losses
@dataclass(frozen=True)
class Branch:
    """The loss of one example of target `y` along the prediction, with its slope."""

    y: float
    loss: Any
    slope: Any
    at_loss: float
    at_slope: float


@dataclass(frozen=True)
class Losses:
    """A loss by label. `prediction` runs along, `at` is the moving point; `meaning` says what the prediction is."""

    name: str
    meaning: str
    prediction: Any
    at: float
    branches: tuple[Branch, ...]


def _draw_loss(data: Losses) -> Any:
    costs = " and ".join(f"{short(b.at_loss)} where y = {short(b.y)}" for b in data.branches)
    pushes = " and ".join(short(b.at_slope) for b in data.branches)
    learn = f"{data.name}: {data.meaning} = {short(data.at)} costs {costs}; its slope there, {pushes}, is the push to change it."
    figure, panels = sheet(learn, (7.5, 4.6))
    axes = panels[0, 0]
    open_frame(axes)
    top = min(6.0, max(float(np.nanmax(branch.loss)) for branch in data.branches)) * 1.05 or 1.0
    for branch, colour, line in zip(data.branches, (BLUE, ORANGE), ("-", "--"), strict=False):
        axes.plot(
            data.prediction, branch.loss, color=colour, linewidth=2.4, linestyle=line, label=f"y = {short(branch.y)}"
        )
        near = np.abs(data.prediction - data.at) < 0.16 * np.ptp(data.prediction)
        tangent = branch.at_loss + branch.at_slope * (data.prediction[near] - data.at)
        axes.plot(data.prediction[near], tangent, color=BACKWARD, linewidth=1.2)
        axes.plot([data.at], [branch.at_loss], "o", color=colour, markersize=9, markeredgecolor=INK)
    axes.axvline(data.at, color=SOFT, linewidth=0.8, linestyle=":")
    axes.plot([], [], color=BACKWARD, linewidth=1.2, label="slope at the point")
    axes.set_ylim(min(0.0, min(float(np.nanmin(branch.loss)) for branch in data.branches)) - 0.02 * top, top)
    label(axes, data.meaning, "loss of one example")
    legend(axes, "upper center")
    return figure


@picture(_draw_loss)
def loss(which: Any = "binary_crossentropy", at: Finite | None = None) -> Losses:
    """A loss as a curve over the prediction, one for each label, with a point at the prediction `at`.

    `which`: a name or an object. For losses of probabilities the prediction is a, and of several classes only the true
    one's counts: the curve is −log a. For the others the prediction runs around the target. Values and slopes are the
    loss's own.

    >>> import backlit as bl
    >>> data = bl.plot.loss.data("binary_crossentropy", at=0.5)
    >>> [(b.y, round(b.at_loss, 4), round(b.at_slope, 2)) for b in data.branches]
    [(1.0, 0.6931, -2.0), (0.0, 0.6931, 2.0)]
    """
    found = Loss.get(which)
    name = getattr(found, "name", None) or type(found).__name__
    probable = found.probabilities and not found.from_logits
    low, high = (_STEP, 1 - _STEP) if probable else (-4.0, 4.0)
    point = (0.7 if probable else 0.5) if at is None else float(at)
    if probable and not 0 < point < 1:
        raise ValueRangeError("a probability lies between 0 and 1.", found=f"at={point:g}", fix="at=0.7")
    along = np.union1d(np.linspace(min(low, point - 1 if not probable else low), max(high, point), 400), [point])
    classes = found.labels or found.link == "softmax"
    meaning = "a of the true class" if classes else "prediction a"
    if not probable:
        meaning = "logit z" if found.probabilities else "prediction"
    targets = (1.0,) if classes else (1.0, -1.0) if found.signs else (1.0, 0.0) if found.probabilities else (0.0,)
    return Losses(name, meaning, along, point, tuple(_branch(found, y, along, point, classes) for y in targets))


def _branch(found: Any, y: float, along: Any, at: float, classes: bool) -> Branch:
    """One example a point: the prediction alone, or beside what is left of 1 (or beside a logit of 0)."""
    p = variable(along.reshape(-1, 1), "p")
    rows = len(along)
    if classes:
        from_logits = found.from_logits or not found.probabilities
        other = variable(np.zeros((rows, 1))) if from_logits else 1 - p
        out: Any = concatenate([p, other], axis=1)
        target: Any = np.zeros(rows, np.int64) if found.labels else np.tile([1.0, 0.0], (rows, 1))
    else:
        out, target = p, np.full((rows, 1), y)
    each = found.per_example(as_node(target), out)
    known = registry.lookup("values.reference")([each, slope := grad(sum_(each), p)])
    place = int(np.abs(along - at).argmin())
    losses, slopes = np.reshape(known[each], -1), np.reshape(known[slope], -1)
    return Branch(y, losses, slopes, float(losses[place]), float(slopes[place]))


# ---------------------------------------------------------------------- softmax
@dataclass(frozen=True)
class Softmax:
    """Numbers z and what softmax makes of them."""

    names: tuple[str, ...]
    z: Any
    a: Any


def _draw_softmax(data: Softmax) -> Any:
    best = int(data.a.argmax())
    others = data.z.max() - np.sort(data.z)[-2] if len(data.z) > 1 else 0.0
    equal = [name for name, z in zip(data.names, data.z, strict=True) if z == data.z[best]]
    who = f"{' and '.join(equal)} are equally" if 1 < len(equal) < 4 else f"{data.names[best]} is the most"
    if len(equal) > 3:
        who = f"{len(equal)} are equally"
    learn = f"{who} probable with {100 * data.a[best]:.0f} %; all {len(data.z)} sum to 1."
    if others:
        learn += (
            f" A lead of {short(others)} in z makes it e^{short(others)} = {short(np.exp(others))} times as probable."
        )
    figure, panels = sheet(learn, (8, max(2.6, 1.4 + 0.36 * len(data.z))), 1, 2, sharey=True)
    places = np.arange(len(data.z))
    digits = [short(each) for each in data.z], [f"{each:.4f}" for each in data.a]
    for axes, values, words, title in zip(panels[0], (data.z, data.a), digits, ("z", "a = softmax(z)"), strict=True):
        open_frame(axes, grid=False)
        colours = [FORWARD if place == best else "#9ecfff" for place in places]
        bars = axes.barh(places, values, color=colours, height=0.7)
        for words_ in axes.bar_label(bars, words, padding=3, size=9, color=INK):
            words_.set_parse_math(False)
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.margins(x=0.22)
        entitle(axes, title)
    marks(panels[0, 0].yaxis, places, data.names)
    panels[0, 0].invert_yaxis()
    return figure


@picture(_draw_softmax)
def softmax(z: Sequence[Finite], names: Sequence[str] | None = None) -> Softmax:
    """Bars of numbers z, and of the probabilities that softmax makes of them. `names`: what each of them stands for.

    >>> import backlit as bl
    >>> bl.plot.softmax.data([1.0, 2.0, 3.0, 4.0]).a.round(4).tolist()
    [0.0321, 0.0871, 0.2369, 0.6439]
    """
    values = np.asarray(z, dtype=np.float64)
    if not values.size:
        raise DataError("softmax needs at least one number.", fix="bl.plot.softmax([1.0, 2.0, 3.0])")
    if names is not None and len(names) != len(values):
        raise ValueRangeError("names and z differ in length.", expected=f"{len(values)} names", found=str(len(names)))
    given = tuple(names or [f"z{place}" for place in range(len(values))])
    return Softmax(given, values, np.asarray(softmax_(values)))


__all__ = ["activations", "loss", "softmax"]
