"""Networks as drawings: units and weights with their shapes, and the way forward and back through the layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..core.errors import NotReadyError, ShapeError, UnknownNameError, did_you_mean
from ..core.node import Leaf, Node
from ..core.shapes import show
from ..core.walk import topological
from .canvas import BACKWARD, FAINT, FORWARD, INK, SOFT, bare, picture, sheet, shortened
from .inside import Inside, ready

_CIRCLES = 8  # in one column; of more, the first and the last ones
_SLOT, _WORDS = 5.4, 2.5  # room for one of several stages in a column, and in it for its words
_BOXES = 7  # in one row of the block chart
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*'*(?:\(|\b|(?<='))(?!=[^=])")  # a word before = is an option's name


# ---------------------------------------------------------------------- the network
@dataclass(frozen=True)
class Stage:
    """An input or a layer: `units` (None where its output is no row of numbers), the shape of its output, its weights
    ((name, shape) each), how many numbers these are, its activation, the names of its units, and the stages it reads."""

    name: str
    units: int | None
    shape: str
    weights: tuple[tuple[str, str], ...]
    parameters: int
    activation: str
    names: tuple[str, ...]
    reads: tuple[int, ...]
    depth: int
    each: bool = False  # whether a unit reads nothing but the one of its own number


@dataclass(frozen=True)
class Diagram:
    """A network, stage by stage."""

    name: str
    stages: tuple[Stage, ...]

    @property
    def parameters(self) -> int:
        """How many numbers are learnt or kept."""
        return sum(stage.parameters for stage in self.stages)


def _draw_network(data: Diagram) -> Any:
    largest = max(data.stages, key=lambda stage: stage.parameters)
    layers = [stage for stage in data.stages if stage.reads]
    learn = f"{data.parameters:,} parameters in {len(layers)} layer{'s' * (len(layers) != 1)}"
    if data.parameters and len(layers) > 1:
        learn += (
            f"; {largest.parameters:,} of them ({100 * largest.parameters / data.parameters:.0f} %) in {largest.name!r}"
        )
    depth = max(stage.depth for stage in data.stages) + 1
    named = any(stage.names for stage in data.stages)
    across = 2.0 if named else 1.7
    places = _placed(data.stages, depth)
    ys = [y for each in places.values() for _, y, _ in each]
    low, top = min(ys) - 0.55, max(ys) + 0.5
    figure, panels = sheet(learn + ".", (max(6.0, across * depth + 0.6), 0.7 + 0.5 * (top - low + 2.4)))
    axes = panels[0, 0]
    bare(axes)
    axes.set(xlim=(-0.55, depth - 0.45), ylim=(low - 2.4, top))
    for k, stage in enumerate(data.stages):
        for other in stage.reads:
            for x0, y0, above in places[other]:
                for x1, y1, unit in places[k]:
                    if stage.each and above != unit:
                        continue
                    axes.plot([x0, x1], [y0, y1], color=FAINT, linewidth=0.8, zorder=1)
    for k, stage in enumerate(data.stages):
        crowded = sum(other.depth == stage.depth for other in data.stages) > 1
        _stage(axes, stage, places[k], min(y for _, y, _ in places[k]) - 0.55 if crowded else low)
    return figure


def _placed(stages: Sequence[Stage], depth: int) -> dict[int, list[tuple[float, float, int]]]:
    """Where the circles of each stage stand; below each one of several in a column is room for its words."""
    columns = [[k for k, stage in enumerate(stages) if stage.depth == column] for column in range(depth)]
    total = max(7.6, _SLOT * max(map(len, columns)))
    places = {}
    for column, own in enumerate(columns):
        high = total / len(own)
        words = _WORDS if len(own) > 1 else 0.0
        for slot, k in enumerate(own):
            middle = total + 0.5 - slot * high - (high - words) / 2
            places[k] = _circles(stages[k], column, middle, high - words)
    return places


def _circles(stage: Stage, column: int, middle: float, high: float) -> list[tuple[float, float, int]]:
    """(x, y, unit) of the circles of a stage; one place, of unit -1, for what is no row of units."""
    most = max(1, min(_CIRCLES, int(high / 0.8)))
    if stage.units is None or most < 2 < stage.units:
        return [(float(column), middle, -1)]
    count = stage.units
    shown = list(range(count)) if count <= most else [*range(most - 2), count - 1]
    gap = min(1.0, (high - 0.4) / max(1, min(count, most)))
    slots = len(shown) + (count > most)
    ys = [middle + (slots - 1) / 2 * gap - k * gap for k in range(slots)]
    if count > most:
        ys.pop(-2)
    return [(float(column), y, unit) for y, unit in zip(ys, shown, strict=True)]


def _stage(axes: Any, stage: Stage, places: Sequence[tuple[float, float, int]], low: float) -> None:
    """The units of a stage, and below them what it is."""
    face, edge = ("#eef1f4", SOFT) if not stage.reads else ("#ffffff", FORWARD)
    for x, y, unit in places:
        words = stage.shape if unit < 0 else stage.names[unit] if stage.names else str(unit)
        if unit >= 0 and not stage.names:
            axes.plot(
                [x], [y], "o", markersize=21, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=1.6, zorder=2
            )
            box = None
        else:
            box = {"boxstyle": "round,pad=0.45", "facecolor": face, "edgecolor": edge, "linewidth": 1.6}
        axes.text(
            x,
            y,
            shortened(words, 16),
            ha="center",
            va="center",
            size=8.5,
            color=INK,
            zorder=3,
            parse_math=False,
            bbox=box,
        )
    if stage.units is not None and places[0][2] >= 0 and len(places) < stage.units:
        between = (places[-1][1] + places[-2][1]) / 2
        axes.text(places[0][0], between, "⋮", ha="center", va="center", size=14, color=SOFT)
    lines = [shortened(stage.name, 17)]
    if stage.reads:
        size = f"{stage.units} unit{'s' * (stage.units != 1)}" if stage.units is not None else stage.shape
        lines.append(", ".join(filter(None, [size, stage.activation])))
        lines += [f"{name} {shape}" for name, shape in stage.weights[:2]]
        lines.append(f"{stage.parameters:,} parameters" if stage.parameters else "no parameters")
    else:
        lines.append(f"X {stage.shape}")
    axes.text(
        places[0][0],
        low,
        "\n".join(lines),
        ha="center",
        va="top",
        size=8.5,
        color=INK,
        parse_math=False,
        linespacing=1.35,
    )


@picture(_draw_network)
def network(
    model: Any, inputs: Sequence[str] | None = None, units: Mapping[str, Sequence[str]] | None = None
) -> Diagram:
    """A model as a drawing: its units, the shapes of its weights, activations and numbers of parameters.

    `inputs`: names of the inputs. `units`: {layer: names of its units}, such as {"hidden": ["affordability", "awareness"]}.
    What is no row of units is a box. Raises NotReadyError for a model without weights, and ShapeError or UnknownNameError
    for names that do not fit.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((400,)), bl.layers.Dense(25, "relu"), bl.layers.Dense(10)])
    >>> data = bl.plot.network.data(model)
    >>> [(stage.units, stage.parameters) for stage in data.stages], data.parameters
    ([(400, 0), (25, 10025), (10, 260)], 10285)
    """
    inside = Inside(model)
    unknown = [name for name in units or {} if name not in inside.layers]
    if unknown:
        fix = did_you_mean(unknown[0], inside.layers)
        raise UnknownNameError(f"there is no layer {unknown[0]!r}.", expected=", ".join(inside.layers), fix=fix)
    stages: list[Stage] = []
    at: dict[Node, int] = {}
    for leaf in inside.leaves:
        wide = int(leaf.shape[1]) if len(leaf.shape) == 2 else None
        at[leaf] = len(stages)
        given = _names(inputs, wide, "the input") if len(inside.leaves) == 1 else ()
        stages.append(Stage(str(leaf.name or "input"), wide, show(leaf.shape), (), 0, "", given, (), 0))
    owners = {each.name: each for each in model.everything() if not each.layers}
    for layer in inside.layers.values():
        below = topological([layer.a], partial(_below, at))
        reads = tuple(sorted(at[node] for node in below if node in at))
        own = [node for node in below if node not in at and not isinstance(node, Leaf)]
        each = all(node.op.kind == "elementwise" or node.op.name in ("mark", "cast") for node in own)
        held = owners.get(layer.name)
        weights = [] if held is None else held.weights
        wide = int(layer.a.shape[1]) if len(layer.a.shape) == 2 else None
        at[layer.a] = len(stages)
        stages.append(
            Stage(
                layer.name, wide, show(layer.a.shape), tuple(_weight(leaf) for leaf in weights),
                sum(leaf.array.size for leaf in weights), layer.activation, _names((units or {}).get(layer.name), wide, layer.name),
                reads, 1 + max((stages[k].depth for k in reads), default=0), each,
            )
        )  # fmt: skip
    return Diagram(str(ready(model).name), tuple(stages))


def _below(ends: Mapping[Node, int], node: Node) -> Sequence[Node]:
    """The inputs of a node, of an end none."""
    return () if node in ends else node.inputs


def _names(given: Sequence[str] | None, wide: int | None, what: str) -> tuple[str, ...]:
    if given is None:
        return ()
    if wide is None or len(given) != wide:
        raise ShapeError(f"these are not the names of {what}.", expected=f"{wide or 'no'} names", found=f"{len(given)}")
    return tuple(map(str, given))


def _weight(leaf: Leaf) -> tuple[str, str]:
    short = {"kernel": "W", "bias": "b"}
    name = str(leaf.name).rpartition("/")[2]
    return short.get(name, name), show(leaf.shape)


# ---------------------------------------------------------------------- forward and back, block by block
@dataclass(frozen=True)
class Block:
    """One layer in both directions: what comes in and goes out, its weights, the formulas of its forward and backward
    step as text, what it keeps for the way back, and the gradients it gives."""

    layer: str
    given: str
    made: str
    weights: tuple[str, ...]
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    kept: tuple[str, ...]
    gradients: tuple[str, ...]


@dataclass(frozen=True)
class Blocks:
    """The layers of a network from the input to the cost."""

    blocks: tuple[Block, ...]
    cost: str


def _draw_blocks(data: Blocks) -> Any:
    shown = data.blocks[:_BOXES]
    kept = ", ".join(dict.fromkeys(name for block in data.blocks for name in block.kept))
    learn = (
        f"Forward (blue), each of the {len(data.blocks)} layers keeps what its way back (red) needs: {shortened(kept, 60)}. "
        "Each block gives the gradients of its own weights."
    )
    lines = max(max(len(block.forward), len(block.backward), 2) for block in shown)
    letters = max(len(line) for block in shown for line in (*block.forward, *block.backward, block.layer))
    wide = float(np.clip(0.085 * min(letters, 34) + 0.75, 1.7, 3.4))
    figure, panels = sheet(learn, (max(7.0, wide * len(shown) + 1.6), 4.4 + 0.36 * lines))
    axes = panels[0, 0]
    bare(axes)
    high = 0.9 + 0.42 * lines
    axes.set(xlim=(-0.62, len(shown) - 0.1), ylim=(-high - 1.6, high + 1.6))
    for place, block in enumerate(shown):
        _block(axes, place, block, high)
    axes.annotate("", (-0.36, high / 2), (-0.62, high / 2), arrowprops=_arrow(FORWARD))
    axes.text(-0.49, high / 2 + 0.15, shown[0].given, ha="center", color=FORWARD, size=9.5, parse_math=False)
    axes.text(
        len(shown) - 0.3,
        0,
        f"cost\n{shortened(data.cost, 20)}",
        ha="center",
        va="center",
        size=9,
        color=INK,
        parse_math=False,
    )
    return figure


def _arrow(colour: str) -> dict[str, Any]:
    return {"arrowstyle": "-|>", "color": colour, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}


def _block(axes: Any, x: float, block: Block, high: float) -> None:
    from_left, to_right, gap = x - 0.36, x + 0.36, 0.25
    for sign, colour, lines, above in (
        (1, FORWARD, block.forward, block.weights),
        (-1, BACKWARD, block.backward, block.gradients),
    ):
        low = gap if sign > 0 else -gap - high
        axes.fill_between([from_left, to_right], low, low + high, facecolor="white", edgecolor=colour, linewidth=1.6)
        words = "\n".join(shortened(line, 32) for line in lines) or "(nothing to do)"
        axes.text(
            x, low + high / 2, words, ha="center", va="center", size=8.5, color=INK, parse_math=False, linespacing=1.5
        )
        edge, tip = (low + high, low + high + 0.75) if sign > 0 else (low, low - 0.75)
        if above:
            ends = ((x, edge), (x, tip)) if sign > 0 else ((x, tip), (x, edge))
            axes.annotate("", *ends, arrowprops=_arrow(colour))
            axes.text(
                x,
                tip + 0.1 * sign,
                ", ".join(above),
                ha="center",
                va="bottom" if sign > 0 else "top",
                color=colour,
                size=9.5,
                parse_math=False,
            )
    y = gap + high / 2
    axes.annotate("", (to_right + 0.28, y), (to_right, y), arrowprops=_arrow(FORWARD))
    axes.text(to_right + 0.14, y + 0.15, block.made, ha="center", color=FORWARD, size=9, parse_math=False)
    axes.annotate("", (to_right, -y), (to_right + 0.28, -y), arrowprops=_arrow(BACKWARD))
    axes.text(to_right + 0.14, -y + 0.15, f"d{block.made}", ha="center", color=BACKWARD, size=9, parse_math=False)
    if block.kept:
        axes.annotate("", (x, -gap), (x, gap), arrowprops={**_arrow(SOFT), "linestyle": ":"})
        axes.text(
            x + 0.02,
            0,
            f" keeps {', '.join(block.kept)}",
            ha="left",
            va="center",
            size=8.5,
            color=SOFT,
            parse_math=False,
        )
    axes.text(
        from_left,
        gap + high + 0.12,
        shortened(block.layer, 22),
        ha="left",
        va="bottom",
        size=9,
        weight="bold",
        color=INK,
        parse_math=False,
    )


@picture(_draw_blocks)
def blocks(model: Any) -> Blocks:
    """The way forward and back through a compiled model, one pair of blocks a layer: formulas, weights, what is kept for
    the way back, and gradients, all as `model.equations()` has them.

    Raises NotReadyError for a model that is not compiled or has no weights.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2, "relu"), bl.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> block = bl.plot.blocks.data(model).blocks[0]
    >>> block.forward, block.kept, block.gradients
    (('Z1 = X @ W1 + b1', 'A1 = relu(Z1)'), ('X', 'Z1'), ('dW1', 'db1'))
    """
    ready(model).need_compiled("blocks")
    rows = model.equations().rows
    cost = next((f"J = {row.right}" for row in rows if row.part == "cost"), "J")
    found: list[Block] = []
    given = "X"
    forward = [row for row in rows if row.part == "forward"]
    lefts = {row.left for row in rows}
    for name in dict.fromkeys(row.layer for row in forward):
        own = [row for row in forward if row.layer == name]
        back = [row for row in rows if row.part == "backward" and row.layer == name]
        words = dict.fromkeys(word for row in own for word in (*_symbols(row.right), row.left))
        weights = tuple(word for word in words if f"d{word}" in lefts and word not in lefts)
        needed = {word for row in back for word in _symbols(row.right)}
        kept = tuple(word for word in words if word in needed and word not in weights)
        gradients = tuple(f"d{w}" for w in weights)
        found.append(
            Block(
                name or "network", given, own[-1].left, weights, tuple(f"{row.left} = {row.right}" for row in own),
                tuple(f"{row.left} = {row.right}" for row in back), kept, gradients,
            )
        )  # fmt: skip
        given = own[-1].left
    if not found:
        raise NotReadyError("the model computes nothing.", fix="give it a layer")
    return Blocks(tuple(found), cost)


def _symbols(text: str) -> list[str]:
    """The names in a formula, in order: Z1, A1', W2, but no function."""
    return [word for word in _WORD.findall(text) if not word.endswith("(")]


__all__ = ["blocks", "network"]
