"""Pictures of examples and of what units look for: grids with labels, weights as images, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np

from ..core.arguments import Count, Natural
from ..core.errors import ShapeError, ValueRangeError
from ..core.shapes import show
from ..train import door
from ..train.scores import confusion as counted_pairs
from .canvas import (
    BLUE,
    INK,
    ORANGE,
    RED,
    SOFT,
    bare,
    entitle,
    label,
    marks,
    note,
    open_frame,
    picture,
    scale_of,
    sheet,
    short,
    shortened,
)  # fmt: skip
from .inside import Inside, decision, input_names, labels, rows_of
from .maps import share

_SMALLEST = 25  # numbers of an example that are taken for a square image


def image_shape(size: Sequence[int], shape: Any) -> tuple[int, ...] | None:
    """(height, width) or (height, width, channels) of an example: as given, as it is, or a square; None for no image."""
    if shape is not None:
        given = tuple(int(each) for each in shape) if isinstance(shape, (tuple, list)) else None
        if given is None or len(given) not in (2, 3) or np.prod(given) != np.prod(size):
            raise ShapeError(
                "examples do not have the shape of such an image.",
                expected=f"a shape of {int(np.prod(size))} numbers, (height, width) or (height, width, channels)",
                found=str(shape),
            )
        return given
    if len(size) in (2, 3):
        return tuple(size)
    side = isqrt(size[0]) if len(size) == 1 else 0
    return (side, side) if side * side >= _SMALLEST and side * side == size[0] else None


def _image(size: Sequence[int], shape: Any) -> tuple[int, ...]:
    found = image_shape(size, shape)
    if found is None:
        raise ShapeError(
            "these examples are no images.",
            found=f"{show(('m', *size))}".replace("'", ""),
            fix="shape=(height, width) says how an example is laid out",
        )
    return found


def show_image(axes: Any, image: Any, **kind: Any) -> Any:
    """One image, grey (dark ink on white) or in its colours."""
    axes.set_xticks([])
    axes.set_yticks([])
    if image.ndim == 3 and image.shape[2] in (3, 4):
        low, high = float(image.min()), float(image.max())
        span = 1.0 if low >= 0 and high <= 1 else 255.0 if low >= 0 and high <= 255 else (high - low) or 1.0
        return axes.imshow((image - min(low, 0.0)) / span, **kind)
    return axes.imshow(image.reshape(image.shape[:2]), **{"cmap": "gray_r", **kind})


def grid_of(count: int, most: int = 8) -> tuple[int, int]:
    """(rows, columns) for so many tiles."""
    wide = min(most, max(1, isqrt(max(0, count - 1)) + 1))
    return -(-count // wide), wide


# ---------------------------------------------------------------------- examples with labels
@dataclass(frozen=True)
class Tile:
    """One example: its row, its image, its label and what a model takes it for ("" where there is none)."""

    row: int
    image: Any
    label: str
    predicted: str

    @property
    def wrong(self) -> bool:
        """Whether the model errs."""
        return bool(self.predicted) and self.predicted != self.label


@dataclass(frozen=True)
class Images:
    """Examples as images, errors first; `wrong` of `total` examples are taken for another class."""

    tiles: tuple[Tile, ...]
    wrong: int
    total: int
    judged: bool


def _draw_images(data: Images) -> Any:
    rows, wide = grid_of(len(data.tiles))
    size = " × ".join(map(str, data.tiles[0].image.shape))
    learn = f"{len(data.tiles)} of {data.total} examples, {size} numbers each"
    if data.judged:
        learn = f"{share(data.wrong, data.total)} ({100 * data.wrong / data.total:.1f} %) taken for another class"
        learn += ": these come first, label → prediction in orange." if data.wrong else "."
    told = [_told(tile) for tile in data.tiles]
    lines = 1 + max(words.count("\n") for words in told)
    figure, panels = sheet(learn, (max(4.5, 1.05 * wide), 1.1 + (1.07 + 0.15 * lines) * rows), rows, wide)
    for axes, tile, words in zip(panels.flat, data.tiles, told, strict=False):
        show_image(axes, tile.image)
        axes.set_title(
            words, size=9, color=RED if tile.wrong else INK, weight="bold" if tile.wrong else "normal", parse_math=False
        )
        for side in axes.spines.values():
            side.set(color=RED if tile.wrong else SOFT, linewidth=1.8 if tile.wrong else 0.5)
    for axes in panels.flat[len(data.tiles) :]:
        bare(axes)
    return figure


def _told(tile: Tile) -> str:
    """Label and prediction over a tile: in one line where that is short."""
    if not tile.wrong:
        return shortened(tile.label, 11)
    line = f"{tile.label} → {tile.predicted}"
    return line if len(line) <= 9 else f"{shortened(tile.label, 11)}\n→ {shortened(tile.predicted, 9)}"


@picture(_draw_images)
def images(X: Any, y: Any = None, model: Any = None, count: Count = 64, shape: Sequence[Count] | None = None) -> Images:
    """Examples as images with their labels and, with a model, what it takes them for: errors first, then the others in
    their order.

    `X`: (m, height, width), (m, height, width, channels), or rows of numbers that make a square or `shape`. `count`:
    how many at most. Raises ShapeError for what is no image, and for model and y what `regions` raises.

    >>> import backlit as bl, numpy as np
    >>> data = bl.plot.images.data(np.zeros((3, 5, 5)), [7, 1, 2], count=2)
    >>> [tile.label for tile in data.tiles], data.tiles[0].image.shape
    (['7', '1'], (5, 5))
    """
    array = door.array_of(X, "X") if model is None else rows_of(model, X)[0]
    door.fits(array, "X")
    form = _image(array.shape[1:], shape)
    total = len(array)
    names: list[str] = [""] * total
    guessed, order = [""] * total, np.arange(total)
    if y is not None and model is None:
        given = door.raw(y, "y").reshape(-1)
        if len(given) != total:
            raise ShapeError("X and y have different numbers of examples.", found=f"X {total}, y {len(given)}")
        names = [f"{each:g}" if isinstance(each, (float, np.floating)) else str(each) for each in given]
    if model is not None:
        rule = decision(model)
        inside = Inside(model)
        found = rule.of(inside.values(inside.ends, [array])[0])[0]
        guessed = [rule.names[k] for k in found]
        names = guessed if y is None else [rule.names[k] for k in labels(model, X, y, len(rule.names))]
        order = np.argsort([a == b for a, b in zip(names, guessed, strict=True)], kind="stable")
    wrong = sum(a != b for a, b in zip(names, guessed, strict=True)) if model is not None else 0
    tiles = tuple(
        Tile(int(k), np.asarray(array[k], np.float64).reshape(form), names[k], guessed[k]) for k in order[:count]
    )
    return Images(tiles, wrong, total, model is not None and y is not None)


# ---------------------------------------------------------------------- confusion
@dataclass(frozen=True)
class Confusion:
    """How often each class (rows) was taken for each (columns)."""

    names: tuple[str, ...]
    counts: Any

    @property
    def worst(self) -> tuple[str, str, int]:
        """(class, what it was taken for, how often) of the most frequent error."""
        off = self.counts * (1 - np.eye(len(self.names), dtype=int))
        row, column = np.unravel_index(int(off.argmax()), off.shape)
        return self.names[row], self.names[column], int(off[row, column])


def _draw_confusion(data: Confusion) -> Any:
    total, right, count = int(data.counts.sum()), int(np.trace(data.counts)), len(data.names)
    one, other, often = data.worst
    learn = f"{share(right, total)} right ({100 * right / total:.1f} %)"
    learn += (
        f"; the most frequent error: {shortened(one)} taken for {shortened(other)}, {often} times." if often else "."
    )
    side = max(4.2, 1.6 + 0.52 * count)
    figure, panels = sheet(learn, (side + 1.2, side + 0.6))
    axes = panels[0, 0]
    parts = data.counts / np.maximum(1, data.counts.sum(axis=1, keepdims=True))
    signed = np.where(np.eye(count, dtype=bool), parts, -np.sqrt(parts))
    colours = scale_of(np.array([-1.0, 1.0]))[0]
    axes.imshow(signed, cmap=colours, vmin=-1.6, vmax=1.6)
    for row in range(count):
        for column in range(count):
            if data.counts[row, column]:
                axes.text(
                    column,
                    row,
                    f"{data.counts[row, column]:,}",
                    ha="center",
                    va="center",
                    size=9 if count < 15 else 7,
                    color=INK,
                )
    names = [shortened(name, 12) for name in data.names]
    long = max(map(len, names)) > 4
    marks(
        axes.xaxis,
        range(count),
        names,
        rotation=45 if long else 0,
        ha="right" if long else "center",
        rotation_mode="anchor",
    )
    marks(axes.yaxis, range(count), names)
    label(axes, "taken for", "true class")
    note(figure, "Blue: right, orange: wrong; the darker, the larger the share of the row.")
    return figure


@picture(_draw_confusion)
def confusion(model: Any, X: Any, y: Any) -> Confusion:
    """How often each class was taken for each. Raises what `regions` raises for model, X and y.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((1,)), bl.layers.Dense(1, "sigmoid")])
    >>> model.set_weights([[[1.0]], [0.0]])
    >>> bl.plot.confusion.data(model, [[-1.0], [2.0], [1.0]], [0, 1, 0]).counts.tolist()
    [[1, 1], [0, 1]]
    """
    rule = decision(model)
    inside = Inside(model)
    guessed = rule.of(inside.values(inside.ends, rows_of(model, X))[0])[0]
    return Confusion(rule.names, counted_pairs(labels(model, X, y, len(rule.names)), guessed, len(rule.names)))


# ---------------------------------------------------------------------- what a unit looks for
@dataclass(frozen=True)
class Weights:
    """The weights of the units of a layer as images."""

    layer: str
    images: tuple[Any, ...]
    norms: Any
    total: int


def _draw_weights(data: Weights) -> Any:
    rows, wide = grid_of(len(data.images))
    strongest = int(np.argmax(data.norms))
    learn = (
        f"What each unit of {data.layer!r} looks for: blue speaks for it, orange against. Unit {strongest} weighs most, "
        f"‖w‖ = {short(data.norms[strongest])}."
    )
    figure, panels = sheet(learn, (max(5.0, 1.15 * wide + 0.8), 1.3 + 1.3 * rows), rows, wide)
    most = max(np.abs(image).max() for image in data.images) or 1.0
    colours, low, high = scale_of(np.array([-most, most]))
    for place, (axes, image) in enumerate(zip(panels.flat, data.images, strict=False)):
        if image.ndim == 1:
            axes.bar(np.arange(len(image)), image, color=np.where(image >= 0, BLUE, ORANGE), width=1.0)
            axes.set(xticks=[], yticks=[], ylim=(low, high))
        else:
            drawn = show_image(axes, image, cmap=colours, vmin=low, vmax=high)
        entitle(axes, f"unit {place}")
    for axes in panels.flat[len(data.images) :]:
        bare(axes)
    if data.images[0].ndim > 1:
        bar = figure.colorbar(drawn, ax=list(panels.flat), shrink=0.7, pad=0.01)
        bar.ax.tick_params(colors=SOFT, labelsize=8.5)
    few = f"The first {len(data.images)} of {data.total} units." if data.total > len(data.images) else ""
    bars = f"One bar an input, 0 to {len(data.images[0]) - 1} from the left." if data.images[0].ndim == 1 else ""
    if few or bars:
        note(figure, " ".join(filter(None, (bars, few))))
    return figure


@picture(_draw_weights)
def weights(model: Any, layer: Any = None, shape: Sequence[Count] | None = None, count: Count = 25) -> Weights:
    """The weights of a layer's units as images: what each of them looks for.

    `layer`: a layer or its name, the first one with a kernel if not given; kernels of convolutions show their first input
    channel. `shape`: how an input is laid out; if not given, as the model's input is, or a square; weights of signals and of
    tables show as bars. Raises ShapeError for a shape that does not fit, UnknownNameError, and NotReadyError for a model
    without weights.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((64,)), bl.layers.Dense(5, "relu", name="L1"), bl.layers.Dense(2)])
    >>> data = bl.plot.weights.data(model)
    >>> data.layer, len(data.images), data.images[0].shape
    ('L1', 5, (8, 8))
    """
    inside = Inside(model)
    owners = {each.name: each for each in model.everything() if not each.layers}
    known = [name for name in inside.layers if _kernel(owners.get(name)) is not None]
    name = inside.named(layer).name if layer is not None else (known or [""])[0]
    kernel = _kernel(owners.get(name))
    if kernel is None:
        raise ValueRangeError(f"layer {name!r} has no weights of units.", expected=", ".join(known) or "a dense layer")
    units = np.moveaxis(kernel, -1, 0)
    if kernel.ndim == 2:
        given = tuple(inside.leaves[0].shape[1:])  # an image that is flattened on its way is one still
        whole = len(given) > 1 and int(np.prod(given)) == units.shape[1]
        form = image_shape(given if whole else units.shape[1:], shape) or units.shape[1:]
        tiles = [unit.reshape(form) if len(form) < 3 else unit.reshape(form).mean(axis=2) for unit in units]
    else:
        tiles = [unit[..., 0] for unit in units]
    norms = np.sqrt((units.reshape(len(units), -1) ** 2).sum(axis=1))[:count]
    return Weights(name, tuple(tiles[:count]), norms, len(units))


def _kernel(layer: Any) -> Any:
    """The weights of a layer that multiply its input, units last; None where there are none."""
    found = [leaf for key, leaf in getattr(layer, "named_weights", dict)().items() if key == "kernel"]
    return np.asarray(found[0].array, np.float64) if found and 2 <= found[0].array.ndim <= 4 else None


@dataclass(frozen=True)
class Top:
    """The examples for which a unit answers most: rows, values and the examples themselves; `lead` (n,) says by how many
    standard deviations each input lies above its mean in them, on average."""

    layer: str
    unit: int
    rows: Any
    values: Any
    examples: Any
    shape: tuple[int, ...] | None
    lead: Any
    names: tuple[str, ...]
    mean: float


def _draw_top(data: Top) -> Any:
    learn = (
        f"Unit {data.unit} of {data.layer!r} answers {short(data.mean)} whatever the example: nothing can be learnt from it."
        if data.values[0] == data.mean
        else f"Unit {data.unit} of {data.layer!r} answers most, up to {short(data.values[0])} (on average {short(data.mean)}), "
        f"for {'these examples' if data.shape else 'examples like these'}."
    )
    if data.shape is None:
        return _draw_lead(data, learn)
    rows, wide = grid_of(len(data.rows), 6)
    figure, panels = sheet(learn, (max(5.4, 1.35 * wide), 1.2 + 1.5 * rows), rows, wide)
    for axes, row, value, example in zip(panels.flat, data.rows, data.values, data.examples, strict=False):
        show_image(axes, example.reshape(data.shape))
        axes.set_title(f"{short(value)} (row {row})", size=8.5, color=INK)
    for axes in panels.flat[len(data.rows) :]:
        bare(axes)
    return figure


def _draw_lead(data: Top, learn: str) -> Any:
    order = np.argsort(-np.abs(data.lead))[:15]
    figure, panels = sheet(learn, (7.6, 1.7 + 0.3 * len(order)))
    axes = panels[0, 0]
    open_frame(axes)
    places = np.arange(len(order))
    axes.barh(places, data.lead[order], color=np.where(data.lead[order] >= 0, BLUE, ORANGE), height=0.7)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set_ylim(len(order) - 0.4, -0.6)
    marks(axes.yaxis, places, [shortened(data.names[k], 24) for k in order])
    label(axes, f"mean of the {len(data.rows)} top examples, in standard deviations from the mean of all")
    return figure


@picture(_draw_top)
def top(
    model: Any, X: Any, layer: Any = None, unit: Natural = 0, count: Count = 12, shape: Sequence[Count] | None = None
) -> Top:
    """The examples for which a unit answers most: as images, or where they are none, the inputs in which they stand out.

    `layer`: a layer or its name, the first one with units if not given; of a convolution the largest answer at any place
    counts. `shape` as in `images`. Raises ValueRangeError for a unit that is not there, and what `predict` raises for X.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((1,)), bl.layers.Dense(1, "relu", kernel_initializer="ones")])
    >>> bl.plot.top.data(model, [[1.0], [3.0], [2.0]], count=2).rows.tolist()
    [1, 2]
    """
    inside = Inside(model)
    found = inside.chosen(layer)
    rows = rows_of(model, X)
    (a,) = inside.values([found.a], rows)
    if unit >= a.shape[-1]:
        raise ValueRangeError(f"layer {found.name!r} has no unit {unit}.", expected=f"0 … {a.shape[-1] - 1}")
    answers = a[..., unit].reshape(len(a), -1).max(axis=1)
    order = np.argsort(-answers, kind="stable")[:count]
    array = np.asarray(rows[0], np.float64)
    flat = array.reshape(len(array), -1)
    spread = flat.std(axis=0)
    lead = (flat[order].mean(axis=0) - flat.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    names = tuple(input_names(model, X, flat.shape[1]))
    form = image_shape(array.shape[1:], shape)
    return Top(found.name, unit, order, answers[order], array[order], form, lead, names, float(answers.mean()))


__all__ = ["confusion", "images", "top", "weights"]
