"""Maps over two numbers: the regions of classes, what each unit answers, which units are on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..core.errors import ShapeError
from ..core.shapes import show
from .canvas import (
    COLOURS,
    INK,
    MARKERS,
    PALE,
    SOFT,
    bare,
    class_colours,
    dress,
    entitle,
    label,
    legend,
    lettered,
    note,
    paler,
    picture,
    rising,
    scale_of,
    sheet,
    short,
    shortened,
    wrapped,
)  # fmt: skip
from .inside import Decision, Inside, Layered, Plane, decision, input_plane, labels, plane, rows_of

_MOST_UNITS = 16
_MOST_POINTS = 600  # drawn of each class


def share(part: int, whole: int, what: str = "examples") -> str:
    """ "3 of 100 examples", without the plural of one."""
    return f"{part} of {whole} {what if whole != 1 else what.removesuffix('s')}"


# ---------------------------------------------------------------------- regions
@dataclass(frozen=True)
class Regions:
    """The class (up, along) that a model decides for at each place of a plane, and how probable it holds it; of the
    data, the classes `y` and `predicted` (None without y)."""

    plane: Plane
    names: tuple[str, ...]
    region: Any
    confidence: Any
    y: Any
    predicted: Any

    @property
    def wrong(self) -> int:
        """How many examples lie in the region of another class."""
        return 0 if self.y is None else int((self.y != self.predicted).sum())


def _draw_regions(data: Regions) -> Any:
    count = len(data.predicted)
    present = np.unique(data.region)
    learn = f"Each colour is where one class is the most probable: {len(present)} of {len(data.names)} classes have a region"
    if data.y is not None:
        learn += f"; {share(data.wrong, count)} ({100 * data.wrong / count:.1f} %) lie in the wrong one, ringed."
    figure, panels = sheet(learn + ("" if data.y is not None else "."), (7.4, 5.6))
    axes = panels[0, 0]
    colours = class_colours(len(data.names))
    shades = np.ones((*data.region.shape, 3))
    floor = 1 / len(data.names)
    sure = np.clip((data.confidence - floor) / (1 - floor), 0, 1)
    for place, colour in enumerate(colours):
        here = data.region == place
        light = np.array(paler(colour, 0.0))
        strength = (0.12 + 0.33 * sure[here])[:, None]
        shades[here] = 1 - strength + strength * light
    across, up = data.plane.along, data.plane.up
    axes.imshow(shades, origin="lower", extent=(across[0], across[-1], up[0], up[-1]), aspect="auto", zorder=0)
    for place in present if len(present) > 1 else []:
        axes.contour(across, up, (data.region == place).astype(float), levels=[0.5], colors=SOFT, linewidths=0.9)
    wrong = None if data.y is None else data.y != data.predicted
    scatter(axes, data.plane.points, data.y, data.names, wrong)
    label(axes, *data.plane.names)
    legend(axes, "upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    note(figure, f"The paler the colour, the less sure the model is. {data.plane.held}".strip())
    return figure


def scatter(axes: Any, points: Any, y: Any, names: Sequence[str], wrong: Any = None, size: float = 22) -> None:
    """The examples, one colour and one marker a class, errors ringed."""
    if y is None:
        axes.scatter(*_some(points).T, s=size, color=INK, alpha=0.6, linewidths=0, label="data")
        return
    colours = class_colours(len(names))
    for place, name in enumerate(names):
        own = points[y == place]
        if len(own):
            axes.scatter(
                *_some(own).T, s=size, color=colours[place], marker=MARKERS[place % len(MARKERS)], edgecolors="white",
                linewidths=0.6, label=_plain(shortened(name)), zorder=3, clip_on=False,
            )  # fmt: skip
    if wrong is not None and wrong.any():
        axes.scatter(
            *_some(points[wrong]).T,
            s=size * 4,
            facecolors="none",
            edgecolors=INK,
            linewidths=1.3,
            label="wrong",
            zorder=4,
        )


def _plain(name: str) -> str:
    return name if not name.startswith("_") else f" {name}"  # a label that begins with _ is left out of legends


def _some(points: Any) -> Any:
    return points[:: max(1, -(-len(points) // _MOST_POINTS))]


@picture(_draw_regions)
def regions(model: Any, X: Any, y: Any = None, columns: Any = (0, 1)) -> Regions:
    """The regions of a classifier's classes over two of its inputs, with the data; errors are ringed.

    `y`: classes as numbers, names or one-hot rows. `columns`: which two inputs, by number or name; the others are held
    at their medians. Raises ValueRangeError where the outputs are no classes, ShapeError for fewer than two inputs,
    NotReadyError for a model without weights, and what `predict` raises for X.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((2,)), bl.layers.Dense(1, "sigmoid")])
    >>> model.set_weights([[[1.0], [0.0]], [0.0]])
    >>> bl.plot.regions.data(model, [[-1.0, 0.0], [2.0, 1.0], [1.0, -1.0]], [0, 1, 0]).wrong
    1
    """
    rule = decision(model)
    flat, rows = input_plane(model, X, columns)
    inside = Inside(model)
    region, sure = rule.of(inside.values(inside.ends, [flat.rows])[0])
    predicted = rule.of(inside.values(inside.ends, rows)[0])[0]
    known = None if y is None else labels(model, X, y, len(rule.names))
    return Regions(flat, rule.names, flat.shaped(region), flat.shaped(sure), known, predicted)


# ---------------------------------------------------------------------- a map for each unit
@dataclass(frozen=True)
class UnitMap:
    """One unit over the plane: its `value` and its `z` (up, along), its value at each example, for how many of them z > 0,
    where it is the largest unit of its layer, and for how many examples."""

    unit: int
    value: Any
    z: Any
    at: Any
    on: int
    largest: Any
    wins: int


@dataclass(frozen=True)
class Units:
    """The units of a layer over two inputs, or over two units of the layer before."""

    layer: str
    activation: str
    of: str
    plane: Plane
    maps: tuple[UnitMap, ...]
    y: Any
    names: tuple[str, ...]
    total: int
    compete: bool  # whether the largest unit wins

    @property
    def examples(self) -> int:
        """How many examples the data has."""
        return len(self.plane.points)


def _draw_units(data: Units) -> Any:
    count = len(data.maps)
    wide = min(4, count) if count != 4 else 2
    rows = -(-count // wide)
    figure, panels = sheet(_units_learn(data), (max(7.0, 2.9 * wide + 1.2), 1.6 + 2.55 * rows), rows, wide)
    values = np.stack([each.value for each in data.maps])
    most = np.percentile(np.abs([each.at for each in data.maps]), 98) or np.abs(values).max()
    colours, low, high = scale_of(np.clip(values, -most, most))
    across, up = data.plane.along, data.plane.up
    names = [shortened(name) for name in lettered(data.names)[0]]
    for axes, each in zip(panels.flat, data.maps, strict=False):
        drawn = axes.pcolormesh(
            across, up, each.value, cmap=colours, vmin=low, vmax=high, shading="auto", rasterized=True
        )
        line, level = (each.largest.astype(float), 0.5) if data.compete else (each.z, 0.0)
        if line.min() < level < line.max():
            axes.contour(across, up, line, levels=[level], colors=INK, linewidths=1.4)
        scatter(axes, data.plane.points, data.y, data.names, size=12)
        axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
        name = f"unit {each.unit}" + (f" (class {names[each.unit]})" if data.compete and names else "")
        entitle(
            axes,
            f"{name}: largest for {each.wins}" if data.compete else f"{name}: z > 0 for {each.on} of {data.examples}",
            2.9 if len(name) < 19 else 2.6,
        )
        label(axes, *(shortened(name, 30) for name in data.plane.names))
    for axes in panels.flat[count:]:
        bare(axes)
    bar = figure.colorbar(drawn, ax=list(panels.flat), shrink=0.85, pad=0.01, extend="max" if low == 0 else "both")
    bar.ax.tick_params(colors=SOFT, labelsize=8.5)
    bar.set_label(f"{data.of} of the unit", size=9.5, color=INK)
    line = "inside it this unit is the largest" if data.compete else "z = 0"
    _below(figure, panels.flat[0], data.y, f"Black line: {line}. {data.plane.held}".strip())
    return figure


def _below(figure: Any, axes: Any, y: Any, words: str) -> None:
    """A note at the left below all panels, and the classes at the right; in one frame where a line has no room for both."""
    handles, names = axes.get_legend_handles_labels() if y is not None else ([], [])
    columns, wide = min(6, len(names)), figure.get_figwidth()
    letters = len(words) + columns * (max(map(len, names), default=0) + 9)
    beside = not handles or letters * 0.075 < wide
    if handles:
        found = legend(
            figure, "outside lower right", handles=handles, labels=names, ncols=columns, markerscale=1.8,
            title=None if beside else wrapped(words, wide - 0.6, 9), title_fontsize=9, alignment="left",
        )  # fmt: skip
        found.get_title().set_color(SOFT)
    if words and beside:
        note(figure, words)


def _units_learn(data: Units) -> str:
    few = f" (first {len(data.maps)} of {data.total} units)" if data.total > len(data.maps) else ""
    if data.compete:
        low, high = (
            np.array([each.value for each in data.maps]).min(),
            np.array([each.value for each in data.maps]).max(),
        )
        ends = f"{data.of} from {short(low)} to {short(high)}"
        return f"Layer {data.layer!r}: {ends}; the class of a place is that of the unit that is largest there{few}."
    on = [each.on for each in data.maps]
    count = f"{min(on)} to {max(on)}" if min(on) < max(on) else f"{on[0]}"
    learn = f"Layer {data.layer!r}: each unit divides the plane where z = 0; it is above 0 for {count} of {data.examples} examples"
    never = [str(each.unit) for each in data.maps if each.on == 0]
    return learn + (f", unit {', '.join(never)} never" if never else "") + few + "."


@picture(_draw_units)
def units(
    model: Any,
    X: Any,
    y: Any = None,
    layer: Any = None,
    space: Literal["inputs", "previous"] = "inputs",
    columns: Any = (0, 1),
    of: Literal["a", "z"] = "a",
) -> Units:
    """What each unit of a layer answers over two inputs, or (`space="previous"`) over two units of the layer before it,
    where the data are what that layer makes of them.

    `layer`: a layer or its name, the first one with units if not given. `of`: the activation a or the sum z. Values that
    are nowhere negative run from white to blue, others from orange over white (0) to blue. Raises what `regions` raises
    for model and data, UnknownNameError for a layer, and ShapeError for one without a row of units.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((2,)), bl.layers.Dense(2, "relu", name="L1"), bl.layers.Dense(1, name="L2")])
    >>> model.set_weights([[[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], [[1.0], [-2.0]], [0.0]])
    >>> data = bl.plot.units.data(model, [[1.0, 2.0], [3.0, -1.0]], layer="L2", space="previous")
    >>> data.plane.names, data.plane.points.tolist(), data.maps[0].on
    (('L1 unit 0', 'L1 unit 1'), [[1.0, 2.0], [3.0, 0.0]], 1)
    """
    inside, found, flat, rows = _mapped(model, X, layer, space, columns)
    nodes = [found.z, found.a]
    middle = space == "previous"
    values = inside.from_middle(nodes, _before(found), flat.rows) if middle else inside.values(nodes, [flat.rows])
    z, a = inside.values(nodes, rows)
    at, total = (a if of == "a" else z), z.shape[1]
    shown, largest = values[of == "a"], values[0].argmax(axis=1)
    maps = tuple(
        UnitMap(k, flat.shaped(shown[:, k]), flat.shaped(values[0][:, k]), at[:, k], int((z[:, k] > 0).sum()),
                flat.shaped(largest == k), int((z.argmax(axis=1) == k).sum()))
        for k in range(min(total, _MOST_UNITS))
    )  # fmt: skip
    last = any(found.a is end for end in inside.ends)
    given, names = _classes(model, X, y)
    return Units(
        found.name,
        found.activation,
        of,
        flat,
        maps,
        given,
        names,
        total,
        last and total > 1 and found.activation in ("", "softmax"),
    )


def _classes(model: Any, x: Any, y: Any) -> tuple[Any, tuple[str, ...]]:
    if y is None:
        return None, ()
    rule: Decision = decision(model)
    return labels(model, x, y, len(rule.names)), rule.names


def _before(found: Layered) -> Any:
    if found.before is None:
        raise ShapeError(f"there is no layer before {found.name!r}.", fix='space="inputs" maps it over the inputs')
    return found.before


def _chosen(inside: Inside, layer: Any) -> Layered:
    found = inside.chosen(layer)
    if len(found.a.shape) != 2:
        raise ShapeError(
            f"layer {found.name!r} has no row of units.",
            expected="an output (m, k)",
            found=f"shape {show(found.a.shape)}",
            fix=f"layer={inside.with_units()[0].name!r}" if inside.with_units() else "",
        )
    return found


def _mapped(model: Any, x: Any, layer: Any, space: str, columns: Any) -> tuple[Inside, Layered, Plane, list[Any]]:
    """The layer and the plane it is mapped over."""
    inside = Inside(model)
    found = _chosen(inside, layer)
    if space == "inputs":
        flat, rows = input_plane(model, x, columns)
        return inside, found, flat, rows
    before = _before(found)
    rows = rows_of(model, x)
    (values,) = inside.values([before], rows)
    names = [f"{before.attrs['name']} unit {k}" for k in range(values.shape[-1])]
    return inside, found, plane(values, columns, names, "units before", whole=True), rows


# ---------------------------------------------------------------------- which units are on
@dataclass(frozen=True)
class OnOff:
    """Which units of a layer are on (z > 0) over a plane: `on` (up, along, units) and, for the data, `at` (m, units);
    `pieces` patterns are seen on the plane, `used` of them hold data."""

    layer: str
    plane: Plane
    z: Any
    on: Any
    at: Any
    pieces: int
    used: int
    y: Any
    names: tuple[str, ...]


def _draw_on_off(data: OnOff) -> Any:
    count = data.on.shape[-1]
    shares = data.at.mean(axis=0)
    idle = [str(k) for k in range(count) if shares[k] == 0]
    learn = (
        f"The {count} units of {data.layer!r} cut the plane into {data.pieces} pieces, in each of which others are on; "
        f"{data.used} of them hold data"
    )
    learn += f"; unit {', '.join(idle[:6])} is on for no example." if idle else "."
    figure, panels = sheet(learn, (9.4, 5.2), 1, 2, width_ratios=[2.2, 1])
    axes, bars = panels[0]
    across, up = data.plane.along, data.plane.up
    number = data.on.sum(axis=-1)
    drawn = axes.pcolormesh(
        across, up, number, cmap=rising(), vmin=0, vmax=count * 1.25, shading="auto", rasterized=True
    )
    for k in range(count):
        z = data.z[..., k]
        if z.min() < 0 < z.max():
            axes.contour(across, up, z, levels=[0], colors=[COLOURS[k % len(COLOURS)]], linewidths=1.8)
    scatter(axes, data.plane.points, data.y, data.names, size=14)
    axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    label(axes, *data.plane.names)
    entitle(axes, "number of units that are on; lines: z = 0 of each unit")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.01, boundaries=np.arange(count + 2) - 0.5)
    bar.set_ticks(range(0, count + 1, max(1, count // 6)))
    bar.ax.tick_params(colors=SOFT, labelsize=8.5)
    shown = min(count, 20)
    places = np.arange(shown)
    bars.barh(places, 100 * shares[:shown], color=[COLOURS[k % len(COLOURS)] for k in places], height=0.7)
    bars.set(xlim=(0, 100), ylim=(shown - 0.4, -0.6))
    bars.set_yticks(places, [f"unit {k}" for k in places])
    bars.axvline(50, color=PALE, zorder=0)
    label(bars, "% of the examples")
    entitle(bars, "on for" + (f" (first {shown} of {count})" if shown < count else ""))
    dress(bars)
    _below(figure, axes, data.y, data.plane.held)
    return figure


@picture(_draw_on_off)
def on_off(model: Any, X: Any, y: Any = None, layer: Any = None, columns: Any = (0, 1)) -> OnOff:
    """Where over two inputs which units of a layer are on (z > 0): the pieces in which a ReLU network is linear.

    Arguments and errors as in `units`.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((2,)), bl.layers.Dense(2, "relu"), bl.layers.Dense(1)])
    >>> model.set_weights([[[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], [[1.0], [1.0]], [0.0]])
    >>> data = bl.plot.on_off.data(model, [[1.0, 2.0], [-1.0, -1.0]])
    >>> data.pieces, data.used
    (4, 2)
    """
    inside, found, flat, rows = _mapped(model, X, layer, "inputs", columns)
    (z,), (at,) = inside.values([found.z], [flat.rows]), inside.values([found.z], rows)
    on = z > 0
    given, names = _classes(model, X, y)
    pieces, used = ({row.tobytes() for row in each} for each in (on, at > 0))
    if not flat.held:
        pieces |= used  # the data lie in this plane, some of them in pieces too small for its grid
    return OnOff(
        found.name, flat, flat.shaped(z), flat.shaped(on), at > 0, len(pieces), len(pieces & used), given, names
    )


__all__ = ["on_off", "regions", "units"]
