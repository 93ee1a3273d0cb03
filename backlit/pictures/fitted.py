"""What a model of one input has fitted, and how the cost of a sigmoid looks with two losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.arguments import Natural
from ..core.errors import ArgumentError, DataError, ShapeError, ValueRangeError
from ..core.node import constant, variable
from ..ops.index import reshape
from ..ops.nn import sigmoid
from ..train import door
from ..train.losses import Loss
from .canvas import (
    COLOURS,
    FORWARD,
    INK,
    PALE,
    SOFT,
    entitle,
    label,
    legend,
    note,
    open_frame,
    picture,
    sheet,
    short,
)  # fmt: skip
from .costs import Landscape, Surface, solid
from .curves import squares_of
from .inside import Inside, held_at, input_names, rows_of

_ALONG = 601
_MOST_UNITS = 6
_COARSE = 21


# ---------------------------------------------------------------------- a curve of one input
@dataclass(frozen=True)
class Unit:
    """One unit along the input: its z and its activation; `switches`: where z changes sign."""

    unit: int
    z: Any
    a: Any
    switches: tuple[float, ...]


@dataclass(frozen=True)
class Fitted:
    """A model's output over one input, with the data and the units of a layer; `error` is the mean squared one."""

    name: str
    along: Any
    output: Any
    x: Any
    y: Any
    layer: str
    activation: str
    units: tuple[Unit, ...]
    total: int
    error: float | None
    held: str

    @property
    def bends(self) -> tuple[float, ...]:
        """Where some unit switches, sorted."""
        return tuple(sorted(place for unit in self.units for place in unit.switches))


def _draw_curve(data: Fitted) -> Any:
    count = len(data.units)
    kinked = data.activation in ("relu", "leaky_relu", "relu6")
    least = 1e-6 * float(np.ptp(data.along))
    bends = list(dict.fromkeys(short(place if abs(place) > least else 0.0) for place in data.bends))
    places = ", ".join(bends[:6]) + (", …" if len(bends) > 6 else "")
    what = "The curve bends" if kinked else "z changes sign"
    learn = f"{what} where a unit of {data.layer!r} switches: at {data.name} = {places}."
    if not data.bends:
        learn = f"No unit of {data.layer!r} switches here" + (": the curve is one straight line." if kinked else ".")
    if data.error is not None:
        learn += f" Mean squared error {short(round(data.error, 12))}."
    side = min(count, _MOST_UNITS)
    figure, _ = sheet(learn, (9.6, max(4.6, 1.2 + 1.1 * side)), 0, 0)
    grid = figure.add_gridspec(max(side, 1), 2, width_ratios=[2, 1])
    axes = figure.add_subplot(grid[:, 0])
    open_frame(axes)
    for unit in data.units:
        for place in unit.switches:
            axes.axvline(place, color=COLOURS[unit.unit % len(COLOURS)], linewidth=1.2, linestyle=":")
    if data.y is not None:
        axes.scatter(data.x, data.y, s=22, color=INK, alpha=0.6, linewidths=0, label="data", zorder=2)
    axes.plot(data.along, data.output, color=FORWARD, linewidth=2.6, label="model", zorder=3)
    label(axes, data.name, "output")
    legend(axes)
    for place, unit in enumerate(data.units[:side]):
        _one_unit(figure.add_subplot(grid[place, 1], sharex=axes), data, unit, place == side - 1)
    more = f" The first {side} of {data.total} units are drawn." if data.total > side else ""
    note(figure, f"Right: z (dashed) and a of each unit; grey: it is off (z < 0). {data.held}{more}".strip())
    return figure


def _one_unit(axes: Any, data: Fitted, unit: Unit, last: bool) -> None:
    open_frame(axes, grid=False)
    colour = COLOURS[unit.unit % len(COLOURS)]
    axes.axhline(0, color=SOFT, linewidth=0.7)
    low, high = min(unit.a.min(), 0.4 * unit.z.min()), max(unit.a.max(), 0.4 * unit.z.max())
    room = 0.1 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)
    axes.fill_between(data.along, low - room, high + room, where=unit.z <= 0, color=PALE, linewidth=0, zorder=0)
    axes.plot(data.along, unit.z, color=SOFT, linewidth=1.1, linestyle="--")
    axes.plot(data.along, unit.a, color=colour, linewidth=2.2)
    axes.locator_params(axis="y", nbins=3)
    axes.tick_params(labelbottom=last, colors=SOFT, labelsize=8)
    label(axes, data.name if last else "", f"unit {unit.unit}")


@picture(_draw_curve)
def curve(model: Any, X: Any, y: Any = None, column: Any = 0, layer: Any = None) -> Fitted:
    """What a model has fitted over one input, with the data, and where which unit of a layer switches on and off.

    `column`: which input, by number or name; the others are held at their medians. `layer`: the first one with units
    if not given. The output is the first one. Raises NotReadyError for a model without weights, and what `predict` would
    raise for X.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((1,)), bl.layers.Dense(2, "relu"), bl.layers.Dense(1)])
    >>> model.set_weights([[[-2.0, 1.0]], [2.0, -1.5], [[1.0], [1.0]], [0.0]])
    >>> [round(place, 6) for place in bl.plot.curve.data(model, [[0.0], [3.0]]).bends]
    [1.0, 1.5]
    """
    inside = Inside(model)
    rows = rows_of(model, X)
    if len(rows) > 1 or rows[0].ndim != 2:
        raise ShapeError("a curve is of one input of numbers.", found=f"{len(rows)} inputs, {rows[0].ndim - 1} axes")
    array = rows[0]
    names = input_names(model, X, array.shape[1])
    place = names.index(column) if column in names else column
    if isinstance(place, bool) or not isinstance(place, (int, np.integer)) or not 0 <= place < len(names):
        raise ValueRangeError(f"there is no input {column!r}.", expected=", ".join(names[:8]))
    x = np.asarray(array[:, place], np.float64)
    low, high = float(x.min()), float(x.max())
    room = 0.06 * (high - low) or 1.0
    along = np.linspace(low - room, high + room, _ALONG)
    table = np.tile(np.median(array, axis=0), (_ALONG, 1)).astype(array.dtype)
    table[:, place] = along
    found = inside.chosen(layer)
    z, a, out = inside.values([found.z, found.a, inside.ends[0]], [table])
    (fit,) = inside.values([inside.ends[0]], rows)
    target = None if y is None else _column(y, len(x))
    error = None if target is None else float(((fit.reshape(len(x), -1)[:, 0] - target) ** 2).mean())
    units = tuple(Unit(k, z[:, k], a[:, k], _switches(along, z[:, k])) for k in range(z.shape[-1]))
    others = array.shape[1] - 1
    held = held_at(others, "inputs")
    output = out.reshape(_ALONG, -1)[:, 0]
    return Fitted(names[place], along, output, x, target, found.name, found.activation, units, z.shape[-1], error, held)


def _column(y: Any, rows: int) -> Any:
    array = np.asarray(door.array_of(y, "y"), np.float64)
    if array.size != rows:
        raise ShapeError("X and y have different numbers of examples.", found=f"X {rows}, y {len(array)}")
    if not np.isfinite(array).all():
        raise DataError("y contains NaN or infinity.", expected="finite numbers")
    return array.reshape(-1)


def _switches(along: Any, z: Any) -> tuple[float, ...]:
    """Where z changes sign, on the straight line between two places."""
    before, after = z[:-1], z[1:]
    k = np.flatnonzero(((before > 0) & (after <= 0)) | ((before <= 0) & (after > 0)))
    return tuple(float(along[i] - z[i] * (along[i + 1] - along[i]) / (z[i + 1] - z[i])) for i in k)


# ---------------------------------------------------------------------- squared error against cross-entropy
@dataclass(frozen=True)
class Bowl:
    """The cost with one loss: its surface, and the share of the area where it curves downward in some direction."""

    loss: str
    surface: Surface
    downward: float


@dataclass(frozen=True)
class Convexity:
    """Two costs of a = sigmoid(w (x − mean) + b) on the same data."""

    bowls: tuple[Bowl, ...]
    mean: float


def _draw_convexity(data: Convexity) -> Any:
    said = "; ".join(f"{bowl.loss} on {100 * bowl.downward:.0f} %" for bowl in data.bowls)
    worst = max(data.bowls, key=lambda bowl: bowl.downward)
    end = f"{worst.loss} is no bowl." if worst.downward > 0 else "both are bowls."
    figure, _ = sheet(f"Where the cost of a sigmoid curves downward: {said} of this area. So {end}", (10, 5.0), 0, 0)
    for place, bowl in enumerate(data.bowls, start=1):
        axes = figure.add_subplot(1, len(data.bowls), place, projection="3d")
        solid(axes, bowl.surface)
        entitle(axes, bowl.loss)
    note(figure, f"Red: the lowest place seen. b is z at the mean of x, {short(data.mean)}.")
    return figure


@picture(_draw_convexity)
def convexity(
    X: Any, y: Any, column: Natural = 0, limits: Any = None, losses: Sequence[Any] = ("mse", "binary_crossentropy")
) -> Convexity:
    """The costs of logistic regression on one column with squared error and with cross-entropy, as surfaces: which of
    them is a bowl. Curvature is measured by second derivatives.

    `y`: 0 and 1. `limits`: ((low, high) of w, (low, high) of b). Raises ValueRangeError for another y.

    >>> import backlit as bl
    >>> data = bl.plot.convexity.data([[-1.0], [0.5], [2.0]], [0, 1, 1])
    >>> [(bowl.loss, bowl.downward > 0.2) for bowl in data.bowls]
    [('mean_squared_error', True), ('binary_crossentropy', False)]
    """
    table = np.asarray(door.features(X, None), np.float64)
    if table.ndim != 2 or column >= table.shape[1]:
        raise ValueRangeError(f"X has no column {column}.", found=f"shape {table.shape}")
    x, target = table[:, column], _column(y, len(table))
    if not np.isin(target, (0, 1)).all():
        raise ValueRangeError("y must hold 0 and 1.", found=f"values from {target.min():g} to {target.max():g}")
    if len(losses) == 0:
        raise ArgumentError("there is no loss to draw.", fix='losses=("mse", "binary_crossentropy")')
    middle, spread = float(x.mean()), float(x.std()) or 1.0
    sides = squares_of(limits) if limits is not None else [(-8 / spread, 8 / spread), (-8.0, 8.0)]
    return Convexity(tuple(_bowl(Loss.get(each), x - middle, target, sides) for each in losses), middle)


def _bowl(loss: Any, x: Any, y: Any, sides: Sequence[tuple[float, float]]) -> Bowl:
    w, b = variable(0.0, "w"), variable(0.0, "b")
    a = sigmoid(constant(x) * w + b)
    land = Landscape(loss.cost(constant(y.reshape(-1, 1)), reshape(a, (-1, 1))), [w, b])
    along, up = (np.linspace(low, high, _COARSE * 2 - 1) for low, high in sides)
    costs = land.grid(along, up)
    row, column = np.unravel_index(int(costs.argmin()), costs.shape)
    lowest = float(along[column]), float(up[row]), float(costs[row, column])
    bends = np.linalg.eigvalsh(land.curvatures(*[(p, q) for q in up[::2] for p in along[::2]]))[:, 0]
    name = getattr(loss, "name", None) or type(loss).__name__
    return Bowl(name, Surface(("w", "b"), along, up, costs, lowest, lowest), float((bends < -1e-9).mean()))


__all__ = ["convexity", "curve"]
