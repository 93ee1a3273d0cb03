"""Matrices as pictures: examples stacked, copies that broadcasting makes, images unrolled, and what each unit sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..core import registry
from ..core.errors import BacklitError, DTypeError, ShapeError, ValueRangeError
from ..core.node import FLOATS, Leaf
from ..core.shapes import show
from ..core.walk import topological
from ..train import door
from .canvas import (
    COLOURS,
    FORWARD,
    INK,
    PALE,
    SOFT,
    bare,
    entitle,
    label,
    note,
    open_frame,
    paler,
    picture,
    sheet,
    short,
    shortened,
)  # fmt: skip
from .images import show_image
from .inside import Inside, rows_of

_MOST = 6  # rows and columns of a matrix that are written out
_WINDOWS = 24  # of a layer, that are drawn


# ---------------------------------------------------------------------- matrices of cells
@dataclass(frozen=True)
class Matrix:
    """A matrix to draw: its name, its numbers, which cells are marked, and which are only copies."""

    name: str
    values: Any
    marked: Any = None
    copies: Any = None


def _cells(axes: Any, matrix: Matrix, left: float, low: float) -> tuple[float, float]:
    """Draw a matrix with its upper left corner at (left, 0), its middle at `low`; returns its (width, height)."""
    values = np.atleast_2d(matrix.values)
    rows, columns = (min(_MOST, size) for size in values.shape)
    cut_rows, cut_columns = values.shape[0] > rows, values.shape[1] > columns
    high, wide = rows + 0.7 * cut_rows, columns + 0.7 * cut_columns
    top = low + high / 2
    for i in range(rows):
        for j in range(columns):
            marked = matrix.marked is not None and matrix.marked[i, j]
            copy = matrix.copies is not None and matrix.copies[i, j]
            face = "#cfe8ff" if marked else "white"
            axes.fill_between(
                [left + j, left + j + 1], top - i - 1, top - i, facecolor=PALE if copy else face, edgecolor=SOFT,
                linewidth=0.7, linestyle=":" if copy else "-",
            )  # fmt: skip
            axes.text(
                left + j + 0.5, top - i - 0.5, _tight(values[i, j]), ha="center", va="center", size=8.5,
                color=SOFT if copy else INK, style="italic" if copy else "normal",
            )  # fmt: skip
    if cut_rows:
        axes.text(left + columns / 2, top - rows - 0.35, "⋮", ha="center", va="center", size=11, color=SOFT)
    if cut_columns:
        axes.text(left + columns + 0.35, top - rows / 2, "…", ha="center", va="center", size=11, color=SOFT)
    name = f"{matrix.name} {show(np.shape(matrix.values))}"
    axes.text(left + wide / 2, top + 0.25, name, ha="center", va="bottom", size=10, color=INK, parse_math=False)
    return wide, high


def _tight(value: float) -> str:
    """A number that fits into a cell."""
    return next((text for digits in (3, 2) if len(text := short(value, digits)) <= 6), short(value, 1))


def _row_of(learn: str, parts: list[Any], under: str = "") -> Any:
    """Matrices and signs between them, side by side."""
    sizes = []
    for part in parts:
        rows, columns = np.atleast_2d(part.values).shape if isinstance(part, Matrix) else (0, 0)
        wide = min(columns, _MOST) + 0.7 * (columns > _MOST)
        title = 0.19 * len(f"{part.name} {show(np.shape(part.values))}") if isinstance(part, Matrix) else 0.9
        sizes.append((max(wide, title), min(rows, _MOST) + 0.7 * (rows > _MOST)))
    across, high = sum(wide for wide, _ in sizes) + 0.5 * len(parts), max(h for _, h in sizes)
    figure, panels = sheet(learn, (max(7.0, 0.52 * across + 0.8), 1.9 + 0.42 * (high + 1.2)))
    axes = panels[0, 0]
    bare(axes)
    left = 0.0
    for part, (wide, _) in zip(parts, sizes, strict=True):
        if isinstance(part, Matrix):
            own = min(np.atleast_2d(part.values).shape[1], _MOST) + 0.7 * (np.atleast_2d(part.values).shape[1] > _MOST)
            _cells(axes, part, left + (wide - own) / 2, 0.0)
        else:
            axes.text(left + wide / 2, 0.0, part, ha="center", va="center", size=15, color=INK, parse_math=False)
        left += wide + 0.5
    axes.set(xlim=(-0.2, max(left, 1)), ylim=(-high / 2 - 0.3, high / 2 + 1.2))
    if under:
        note(figure, under)
    return figure


# ---------------------------------------------------------------------- examples stacked
@dataclass(frozen=True)
class Stacking:
    """Z = X W + b of a layer with the numbers: examples as rows, or (W X + b) as columns. `given`: "X" for the inputs of the
    model, "A" for what an earlier layer made of them."""

    layer: str
    x: Any
    w: Any
    b: Any
    z: Any
    convention: str
    given: str = "X"


def _draw_stacking(data: Stacking) -> Any:
    rows = data.convention == "rows"
    m, units = data.z.shape if rows else data.z.shape[::-1]
    learn = (
        f"All {m} examples at once: each is a {'row' if rows else 'column'} of {data.given} and of Z, each of the {units} units of "
        f"{data.layer!r} a {'column' if rows else 'row'} of W and of Z."
    )
    x, w = Matrix(data.given, data.x, _first(data.x, rows)), Matrix("W", data.w, _first(data.w, not rows))
    parts: list[Any] = [x, "·", w] if rows else [w, "·", x]
    if data.b is not None:
        parts += ["+", Matrix("b", data.b, _first(data.b, not rows))]
    parts += ["=", Matrix("Z", data.z, _first(data.z, True) & _first(data.z, False))]
    under = "Blue: the first example, the first unit, and the number they make together. b is added to every example."
    return _row_of(learn, parts, under)


def _first(values: Any, row: bool) -> Any:
    """Marks on the first row, or on the first column."""
    marked = np.zeros(np.atleast_2d(values).shape, bool)
    marked[(0, slice(None)) if row else (slice(None), 0)] = True
    return marked


@picture(_draw_stacking)
def stacking(model: Any, X: Any, layer: Any = None, convention: Literal["rows", "columns"] = "rows") -> Stacking:
    """How examples are stacked so that one product computes a layer for all of them: X W + b = Z with its numbers.

    `layer`: a dense layer or its name, the first one if not given. `convention`: "rows" (an example is a row, as in
    Keras) or "columns" (W X + b, as in many courses). Raises ShapeError for a layer that is no such product.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((2,)), bl.layers.Dense(1)])
    >>> model.set_weights([[[1.0], [2.0]], [0.5]])
    >>> bl.plot.stacking.data(model, [[1.0, 1.0], [0.0, 3.0]], convention="columns").z.tolist()
    [[3.5, 6.5]]
    """
    inside = Inside(model)
    found = inside.chosen(layer)
    below = topological([found.z], lambda node: () if node is found.before else node.inputs)
    products = [node for node in below if node.op.name == "matmul" and isinstance(_leaf(node.inputs[1]), Leaf)]
    if len(found.z.shape) != 2 or len(products) != 1:
        raise ShapeError(f"layer {found.name!r} is no product of X and W.", expected="a dense layer on rows of numbers")
    product = products[0]
    weight = _leaf(product.inputs[1])
    rows = rows_of(model, X)
    total = _leaf(found.z)
    biases = [] if total is product else [node for node in total.inputs if _leaf(node) is not product]
    x, z, *biases = inside.values([product.inputs[0], found.z, *biases], rows)
    w, b = np.asarray(weight.array, np.float64), biases[0] if biases else None
    given = "X" if _leaf(product.inputs[0]) in inside.leaves else "A"
    if convention == "columns":
        return Stacking(found.name, x.T, w.T, None if b is None else b.reshape(-1, 1), z.T, convention, given)
    return Stacking(found.name, x, w, b, z, convention, given)


def _leaf(node: Any) -> Any:
    while node.op.name in ("cast", "mark") and node.inputs:
        node = node.inputs[0]
    return node


# ---------------------------------------------------------------------- broadcasting
@dataclass(frozen=True)
class Broadcast:
    """Two arrays, copied along their axes of length 1 (or that they lack) to one shape, and what is made of them."""

    a: Any
    b: Any
    operation: str
    result: Any


def _draw_broadcast(data: Broadcast) -> Any:
    said = [_copied(name, array, data.result.shape) for name, array in (("a", data.a), ("b", data.b))]
    learn = "; ".join(filter(None, said)) or "Nothing is copied: both have one shape"
    shape = data.result.shape
    parts: list[Any] = []
    for name, array in (("a", data.a), ("b", data.b)):
        full = np.broadcast_to(array, shape)
        first = np.zeros(np.atleast_2d(full).shape, bool)
        own = np.atleast_2d(array).shape
        first[: own[0], : own[1]] = True
        parts += [Matrix(name, full, None, ~first), data.operation]
    parts[-1] = "="
    return _row_of(f"{learn}. The result has the shape {show(shape)}.", [*parts, Matrix("result", data.result)],
                   "Grey, dotted: copies that are only thought of; no memory holds them.")  # fmt: skip


def _copied(name: str, array: Any, shape: tuple[int, ...]) -> str:
    times = [n // m for n, m in zip(shape, (1,) * (len(shape) - array.ndim) + array.shape, strict=True)]
    if all(each == 1 for each in times):
        return ""
    ways = [f"{n} {'rows' if axis == len(times) - 2 else 'columns'}" for axis, n in enumerate(times) if n > 1]
    return f"{name} {show(array.shape)} is copied to {' and '.join(ways)}"


@picture(_draw_broadcast)
def broadcast(a: Any, b: Any, operation: Literal["+", "-", "*", "/"] = "+") -> Broadcast:
    """What broadcasting copies when two arrays of at most two axes are joined number by number.

    Raises ShapeError where their shapes do not go together.

    >>> import backlit as bl
    >>> bl.plot.broadcast.data([[1.0], [2.0]], [10.0, 20.0]).result.tolist()
    [[11.0, 21.0], [12.0, 22.0]]
    """
    first, second = (
        np.asarray(door.array_of([each] if np.isscalar(each) else each, "a"), np.float64) for each in (a, b)
    )
    for array in (first, second):
        if array.ndim > 2 or not array.size:
            raise ShapeError("an array of one or two axes can be drawn.", found=f"shape {show(array.shape)}")
    name = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}[operation]
    try:
        result = np.asarray(registry.lookup(f"op.{name}")(first, second))
    except BacklitError as error:
        raise ShapeError(
            "these shapes do not go together.",
            found=f"a {show(first.shape)}, b {show(second.shape)}",
            why="axes are compared from the last one on: they must be equal, or one of them 1",
        ) from error
    return Broadcast(first, second, {"-": "−", "*": "×"}.get(operation, operation), result)


# ---------------------------------------------------------------------- an image unrolled
@dataclass(frozen=True)
class Unrolled:
    """An image (height, width, channels), and its numbers in one column, channel after channel."""

    image: Any
    column: Any


def _draw_unrolled(data: Unrolled) -> Any:
    high, wide, channels = data.image.shape
    learn = f"{high} · {wide} · {channels} = {data.column.size:,} numbers in one column: channel after channel, row after row."
    figure, panels = sheet(learn, (1.9 * channels + 3.4, 4.4), 1, channels + 1, width_ratios=[1] * channels + [0.5])
    names = ("red", "green", "blue") if channels == 3 else tuple(f"channel {k}" for k in range(channels))
    maps = ("Reds", "Greens", "Blues") if channels == 3 else ("gray_r",) * channels
    for place, axes in enumerate(panels[0, :channels]):
        show_image(
            axes, data.image[..., place], cmap=maps[place], vmin=data.image.min(), vmax=max(data.image.max(), 1e-9)
        )
        entitle(axes, f"{names[place]} ({high}, {wide})")
        if high * wide <= 64:
            for i in range(high):
                for j in range(wide):
                    dark = data.image[i, j, place] > 0.55 * data.image.max()
                    axes.text(
                        j,
                        i,
                        short(data.image[i, j, place]),
                        ha="center",
                        va="center",
                        size=7.5,
                        color="white" if dark else INK,
                    )
    axes = panels[0, channels]
    bare(axes)
    each = 4
    lines, colours = [], []
    for place in range(channels):
        part = data.column[place * high * wide :][:each]
        lines += [*map(short, part), "⋮"]
        colours += [("#a50f15", "#006d2c", "#08519c")[place] if channels == 3 else INK] * (len(part) + 1)
    for k, (words, colour) in enumerate(zip(lines, colours, strict=True)):
        axes.text(0.5, 1 - (k + 0.5) / len(lines), words, ha="center", va="center", size=9, color=colour)
    entitle(axes, f"x ({data.column.size:,}, 1)")
    return figure


@picture(_draw_unrolled)
def unrolled(image: Any) -> Unrolled:
    """An image as channel matrices, and their numbers in one column, as a network without convolutions reads it.

    `image`: (height, width) or (height, width, channels). Raises ShapeError for another shape.

    >>> import backlit as bl
    >>> bl.plot.unrolled.data([[[1, 5], [2, 6]], [[3, 7], [4, 8]]]).column.tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    """
    array = np.asarray(door.array_of(image, "image"), np.float64)
    door.fits(array, "image")
    if array.ndim not in (2, 3) or not array.size or (array.ndim == 3 and array.shape[2] > 4):
        raise ShapeError(
            "this is no image.", expected="(height, width) or (height, width, channels)", found=show(array.shape)
        )
    whole = array if array.ndim == 3 else array[..., None]
    return Unrolled(whole, np.moveaxis(whole, 2, 0).reshape(-1))


# ---------------------------------------------------------------------- what a unit sees
@dataclass(frozen=True)
class Sight:
    """One layer: the part of the input that each of its places sees, as (first, last) along each axis, counted from 0."""

    layer: str
    windows: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def size(self) -> tuple[int, ...]:
        """How much one place sees along each axis, at most."""
        return tuple(max(w[axis][1] - w[axis][0] + 1 for w in self.windows) for axis in range(len(self.windows[0])))


@dataclass(frozen=True)
class Receptive:
    """An example and what the places of each layer see of it."""

    example: Any
    layers: tuple[Sight, ...]


def _draw_receptive(data: Receptive) -> Any:
    parts = []
    for sight in data.layers:
        size = " × ".join(map(str, sight.size))
        parts.append(f"each of the {len(sight.windows)} places of {sight.layer!r} sees {size}")
    whole = " × ".join(map(str, data.example.shape[: len(data.layers[0].size)]))
    learn = f"Of {whole} numbers {'; '.join(parts)}."
    if len(data.layers[0].size) == 1:
        return _draw_signal(data, learn)
    count = len(data.layers)
    figure, panels = sheet(learn, (max(6.5, 3.3 * count), 4.8), 1, count)
    for axes, sight in zip(panels[0], data.layers, strict=True):
        show_image(axes, data.example, alpha=0.75)
        chosen = [0, 1, len(sight.windows) // 2, len(sight.windows) - 1]
        for place, k in enumerate(dict.fromkeys(min(each, len(sight.windows) - 1) for each in chosen)):
            (top, bottom), (left, right) = sight.windows[k]
            x, y = [left - 0.5, right + 0.5], [top - 0.5, bottom + 0.5]
            axes.plot(
                [x[0], x[1], x[1], x[0], x[0]],
                [y[0], y[0], y[1], y[1], y[0]],
                color=COLOURS[place],
                linewidth=2.4,
                clip_on=False,
            )
        entitle(axes, f"{sight.layer}: places 0, 1, …, {len(sight.windows) - 1}")
    return figure


def _draw_signal(data: Receptive, learn: str) -> Any:
    rows = [min(len(sight.windows), _WINDOWS) for sight in data.layers]
    figure, panels = sheet(learn, (9.2, 3.2 + 0.19 * sum(rows) + 0.4 * len(rows)), 1 + len(rows), 1, sharex=True,
                           height_ratios=[7, *(each + 1.5 for each in rows)])  # fmt: skip
    axes = panels[0, 0]
    open_frame(axes)
    along = np.arange(len(data.example))
    for channel in np.atleast_2d(data.example.T):
        axes.plot(along, channel, color=FORWARD, linewidth=1.8)
    label(axes, "", "signal")
    for place, (sight, panel) in enumerate(zip(data.layers, panels[1:, 0], strict=True)):
        open_frame(panel, grid=False)
        for row, ((first, last),) in enumerate(sight.windows[:_WINDOWS]):
            colour = COLOURS[row % len(COLOURS)]
            panel.barh(
                row, last - first + 1, left=first - 0.5, height=0.75, color=paler(colour, 0.35), edgecolor=colour
            )
            if place == 0:
                axes.axvspan(first - 0.5, last + 0.5, color=colour, alpha=0.05, linewidth=0)
        panel.set_ylim(min(len(sight.windows), _WINDOWS) - 0.4, -0.6)
        panel.set_yticks([0, len(sight.windows[:_WINDOWS]) - 1])
        last = place == len(data.layers) - 1
        label(panel, "place in the signal, from 0" if last else "", shortened(sight.layer, 10))
    return figure


@picture(_draw_receptive)
def receptive(model: Any, x: Any, layer: Any = None) -> Receptive:
    """What each place of each layer of convolutions and pools sees of a signal or image.

    `x`: one example, (n,), (n, channels) or (height, width, channels). `layer`: one layer instead of all. What is seen is
    found by trying: one number of the input after the other is made NaN, and what becomes NaN has seen it. Raises
    ShapeError where the input is no signal and no image, DTypeError for whole numbers (ids).

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((100, 1)), bl.layers.Conv1D(1, 20, strides=10, name="c1")])
    >>> sight = bl.plot.receptive.data(model, [0.0] * 100).layers[0]
    >>> len(sight.windows), sight.windows[0], sight.windows[-1]
    (9, ((0, 19),), ((80, 99),))
    """
    inside = Inside(model)
    leaf = inside.leaves[0]
    if len(inside.leaves) > 1 or len(leaf.shape) not in (3, 4):
        raise ShapeError("this picture is of a signal or an image.", found=f"inputs {show(leaf.shape)}",
                         expected="inputs (m, n, channels) or (m, height, width, channels)")  # fmt: skip
    if leaf.dtype not in FLOATS:
        raise DTypeError("ids are looked up, not seen through windows.", found=leaf.dtype)
    example = np.asarray(door.array_of(x, "x"), np.float64)
    size = tuple(int(each) for each in leaf.shape[1:])
    if example.size != np.prod(size):
        raise ShapeError("x must be one example.", expected=f"shape {show(size)}", found=f"shape {show(example.shape)}")
    door.fits(example, "x")
    example = example.reshape(size)
    spatial = size[:-1]
    chosen = [inside.named(layer)] if layer is not None else list(inside.layers.values())
    chosen = [each for each in chosen if len(each.a.shape) == len(leaf.shape)]
    if not chosen:
        raise ValueRangeError("no layer has places to see from.", expected="a Conv1D, Conv2D or pooling layer")
    seen = inside.values([each.a for each in chosen], [_blinded(example, spatial, leaf.dtype)])
    sights = tuple(
        Sight(each.name, _windows(np.isnan(a).any(axis=-1), spatial)) for each, a in zip(chosen, seen, strict=True)
    )
    kept = [sight for k, sight in enumerate(sights) if k == 0 or sight.windows != sights[k - 1].windows]
    return Receptive(example, tuple(kept))


def _blinded(example: Any, spatial: tuple[int, ...], dtype: str) -> Any:
    """A batch of the example, in each one another place NaN."""
    count = int(np.prod(spatial))
    batch = np.tile(example.reshape(1, count, -1), (count, 1, 1)).astype(dtype)
    batch[np.arange(count), np.arange(count)] = np.nan
    return batch.reshape(count, *example.shape)


def _windows(blind: Any, spatial: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each place of a layer, from which to which input it was blinded. `blind`: (inputs' places, *places)."""
    touched = blind.reshape(len(blind), -1).T.reshape(-1, *spatial)
    found = []
    for each in touched:
        sides = [
            np.flatnonzero(each.any(axis=tuple(a for a in range(len(spatial)) if a != axis)))
            for axis in range(len(spatial))
        ]
        found.append(tuple((int(side.min()), int(side.max())) if side.size else (0, -1) for side in sides))
    return tuple(found)


__all__ = ["broadcast", "receptive", "stacking", "unrolled"]
