"""The cost as a landscape over one or two of its numbers, and how optimizers walk in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..core import registry
from ..core.arguments import Count, Finite, Positive, shown
from ..core.errors import (
    ArgumentError,
    DataError,
    GraphError,
    NotReadyError,
    ShapeError,
    UnknownNameError,
    ValueRangeError,
    did_you_mean,
)
from ..core.grad import grad
from ..core.node import FLOATS, Leaf, Node, constant, input_leaf, variable
from ..core.op import as_node, cast
from ..core.shapes import show
from ..core.walk import Graph, substitute, topological
from ..layers.layer import Pass
from ..ops.index import reshape
from ..rewrite import stable
from ..rewrite.rule import apply
from ..train import feed
from ..train.optimizers import SGD, Adam, Optimizer
from .canvas import (
    BACKWARD,
    BLUE,
    FORWARD,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SOFT,
    dress,
    entitle,
    label,
    legend,
    open_frame,
    picture,
    rising,
    sheet,
    short,
)  # fmt: skip
from .curves import limits_of, squares_of

_GRID = 41  # values along each direction
_LINE = 201
_FAR = 1e6  # times the size of the start: an optimizer that is so far away does not come back
_CURVED = 1e-9  # below it a curvature is none
Where: TypeAlias = Any  # a variable, a weight's name, or (one of these, index)


# ---------------------------------------------------------------------- a cost of one or two numbers
@dataclass(frozen=True)
class Number:
    """One number that a cost depends on: of which variable, at which place, and its value now."""

    leaf: Leaf
    index: tuple[int, ...]
    name: str
    now: float


class Landscape:
    """A cost as a function of one or two numbers, all else as it is: its value, slopes and curvatures, all from one
    graph. Nothing of the variables is written."""

    def __init__(self, cost: Any, places: Sequence[Where]):
        root, known = _cost(cost)
        self.numbers = [_number(place, root, known) for place in places]
        if len({(number.leaf, number.index) for number in self.numbers}) < len(self.numbers):
            raise ValueRangeError(
                f"{self.numbers[0].name!r} is named twice.", expected="two different numbers of the cost"
            )
        self.inputs = [input_leaf((), number.name, "float64") for number in self.numbers]
        moved: dict[Node, Node] = {}
        for number, scalar in zip(self.numbers, self.inputs, strict=True):
            moved[number.leaf] = _with(moved.get(number.leaf, _held(number.leaf)), number, scalar)
        self.cost = cast(apply(substitute([root], moved), stable.RULES)[0], "float64")
        self.slopes = grad(self.cost, self.inputs)
        self._bends: list[Node] = []
        self._programs: dict[tuple[Node, ...], Any] = {}

    def __call__(self, *at: float) -> float:
        """J there."""
        return float(self.measure([self.cost], [at])[0, 0])

    def measure(self, nodes: Sequence[Node], points: Any) -> Any:
        """The values (points, nodes) of nodes over the numbers."""
        key = tuple(nodes)
        if key not in self._programs:
            self._programs[key] = registry.lookup("engine.planned").compile(Graph(self.inputs, list(nodes)))
        program = self._programs[key]
        rows = [program.evaluate(dict(zip(self.inputs, point, strict=True))).outputs for point in points]
        return np.array(rows, np.float64).reshape(len(rows), len(key))

    @property
    def now(self) -> tuple[float, ...]:
        """Where the numbers are."""
        return tuple(number.now for number in self.numbers)

    def curvatures(self, *points: Any) -> Any:
        """The second derivatives at each of these places: (places, numbers, numbers), symmetric."""
        if not self._bends:
            self._bends = [each for slope in self.slopes for each in grad(slope, self.inputs)]
        count = len(self.inputs)
        found = np.nan_to_num(self.measure(self._bends, points).reshape(-1, count, count))
        return (found + found.swapaxes(1, 2)) / 2

    def grid(self, along: Any, up: Any) -> Any:
        """J over a grid: (len(up), len(along))."""
        points = [(x, y) for y in up for x in along]
        return self.measure([self.cost], points).reshape(len(up), len(along))


def _cost(cost: Any) -> tuple[Node, dict[str, Leaf]]:
    """The node of a cost, and the weights that have names."""
    if isinstance(cost, Node):
        if cost.shape != () or cost.dtype not in FLOATS:
            raise ShapeError(
                "J must be one floating-point number.",
                found=f"shape {show(cost.shape)}, {cost.dtype}",
                fix="bl.ops.mean(J)",
            )
        leaves = [leaf for leaf in topological([cost]) if isinstance(leaf, Leaf) and leaf.kind == "input"]
        if leaves:
            raise NotReadyError(
                f"J depends on the input {leaves[0].name!r}, which has no value.",
                fix="build J of variables and constants",
            )
        return cost, {}
    if not isinstance(cost, tuple) or len(cost) != 3 or not hasattr(cost[0], "need_compiled"):
        raise ArgumentError(f"{shown(cost)} is no cost.", expected="a node such as (w * x - y) ** 2, or (model, X, y)")
    return cost_of(*cost), {str(leaf.name): leaf for leaf in cost[0].weights}


def cost_of(model: Any, x: Any, y: Any) -> Node:
    """The cost of a compiled model on data as a graph over its weights: what `evaluate` computes, penalties included."""
    if not model.built:
        raise NotReadyError("the model has no weights yet.", fix="model.build((n,)) with n columns, or fit it")
    model.need_compiled("the cost")
    fed = feed.feed(model, x, y)
    total: Any = None
    with Pass(False) as running:
        outputs = model.forward([as_node(part) for part in (np.asarray(part[:]) for part in fed.x)])
        for head, target in zip(model.heads, fed.y, strict=True):
            loss = head.loss.cost(as_node(np.asarray(target)), outputs[model.output_names.index(head.name)])
            loss = loss if head.share == 1 else loss * head.share
            total = loss if total is None else total + loss
        for penalty in [*model.penalties(), *running.penalties]:
            total = total + penalty
    return total


def _number(place: Where, root: Node, known: Mapping[str, Leaf]) -> Number:
    index: Any = None
    if isinstance(place, tuple) and len(place) == 2:
        place, index = place
        index = (index,) if isinstance(index, (int, np.integer)) else tuple(index)
    if isinstance(place, str):
        found = known or {str(n.name): n for n in topological([root]) if isinstance(n, Leaf) and n.name}
        if place not in found:
            raise UnknownNameError(
                f"there is no weight {place!r}.", expected=", ".join(found), fix=did_you_mean(place, found)
            )
        place = found[place]
    if not isinstance(place, Leaf) or place.kind not in ("variable", "state") or place.dtype not in FLOATS:
        raise ArgumentError(
            f"{shown(place)} is no number of the cost.",
            expected="a variable, a weight's name, or (one of these, index)",
        )
    if place not in topological([root]):
        raise GraphError(f"J does not depend on {place.name!r}.", fix="pass a variable that J is computed from")
    array = np.asarray(place.array)
    if index is None:
        if array.size != 1:
            raise ShapeError(
                f"{place.name!r} holds {array.size} numbers: one has to be chosen.",
                found=f"shape {show(array.shape)}",
                fix=f"({place.name!r}, {(0,) * array.ndim})",
            )
        index = (0,) * array.ndim
    if len(index) != array.ndim or not all(0 <= k < n for k, n in zip(index, array.shape, strict=True)):
        raise ValueRangeError(
            f"{place.name!r} has no number {index}.", expected=f"places of an array {show(array.shape)}"
        )
    name = str(place.name or "w") + (f"[{', '.join(map(str, index))}]" if array.size > 1 else "")
    return Number(place, index, name, float(array[index]))


def _held(leaf: Leaf) -> Node:
    return constant(np.asarray(leaf.array))


def _with(whole: Node, number: Number, scalar: Node) -> Node:
    """An array with one number in the place of another."""
    shape = number.leaf.array.shape
    one = np.zeros(shape, number.leaf.dtype)
    one[number.index] = 1
    new = cast(scalar, number.leaf.dtype)
    if one.size == 1:
        return reshape(new, shape) if shape else new
    return whole * constant(1 - one) + new * constant(one)


# ---------------------------------------------------------------------- J(w) with its slope
@dataclass(frozen=True)
class Slope:
    """J along one number w. At the point `at` it is `value` with slope `slope`; a step of gradient descent with the rate
    `rate` goes to `to`, where J is `to_value`."""

    name: str
    w: Any
    cost: Any
    at: float
    value: float
    slope: float
    rate: float
    to: float
    to_value: float


def _draw_slope(data: Slope) -> Any:
    way = "left" if data.to < data.at else "right"
    learn = f"At {data.name} = {short(data.at)} the slope is {short(data.slope)}"
    if data.slope:
        sign = "positive, so J grows to the right and" if data.slope > 0 else "negative, so J falls to the right and"
        learn += f": {sign} gradient descent goes {way}, to {short(data.to, 4)}: J from {short(data.value, 4)} to "
        learn += f"{short(data.to_value, 4)}."
    else:
        learn += ": gradient descent stays here."
    figure, panels = sheet(learn, (7.5, 4.8))
    axes = panels[0, 0]
    open_frame(axes)
    axes.plot(data.w, data.cost, color=FORWARD, linewidth=2.4, label=f"J({data.name})")
    run = float(f"{0.18 * np.ptp(data.w):.1g}")
    across, rise = np.array([data.at, data.at + run]), data.slope * run
    axes.axline((data.at, data.value), slope=data.slope, color=BACKWARD, linewidth=1.1, linestyle="--")
    axes.fill(
        [across[0], across[1], across[1]], [data.value, data.value, data.value + rise], facecolor="#f4d2d2",
        edgecolor=BACKWARD, linewidth=1.6, label=f"slope = rise / run = {short(rise)} / {short(run)} = {short(data.slope)}",
    )  # fmt: skip
    axes.plot([data.at], [data.value], "o", color=INK, markersize=9, label=f"{data.name} = {short(data.at)}")
    axes.plot(
        [data.to], [data.to_value], "o", color=GREEN, markersize=9, label=f"after one step, α = {short(data.rate)}"
    )
    axes.annotate(
        "", (data.to, data.to_value), (data.at, data.value),
        arrowprops={"arrowstyle": "->", "color": GREEN, "linewidth": 2, "shrinkA": 6, "shrinkB": 6},
    )  # fmt: skip
    axes.set_ylim(*_seen(data.cost, [data.value, data.to_value]))
    label(axes, data.name, "J")
    legend(axes)
    return figure


def _seen(values: Any, points: Sequence[float]) -> tuple[float, float]:
    """Limits that show all values, with some room."""
    finite = np.asarray([*values[np.isfinite(values)], *points])
    low, high = float(finite.min()), float(finite.max())
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


@picture(_draw_slope)
def slope(J: Any, w: Where, at: Finite | None = None, rate: Positive | None = None, limits: Any = None) -> Slope:
    """The cost along one of its numbers, with the slope triangle at a point and one step of gradient descent.

    `J`: a node over variables, or (model, X, y) for the cost of a compiled model. `w`: a variable, a weight's name, or
    (one of these, index). `at`: the point; the number's value now if not given. `rate`: α; without it, one with which
    the step is seen. Nothing is written. Raises ArgumentError, GraphError or ShapeError for what is no cost or no number
    of it, and DataError where J is not finite.

    >>> import backlit as bl
    >>> w = bl.variable(3.0, name="w")
    >>> data = bl.plot.slope.data(w**2, w, rate=0.1)
    >>> data.slope, round(data.to, 6), round(data.to_value, 4)
    (6.0, 2.4, 5.76)
    """
    land = Landscape(J, [w])
    point = land.now[0] if at is None else float(at)
    value, steep = land.measure([land.cost, *land.slopes], [(point,)])[0].tolist()
    _finite(value, steep)
    reach = _reach(land, point)
    low, high = limits_of(limits) if limits is not None else (point - reach, point + reach)
    alpha = rate or (0.4 * (high - low) / 2 / abs(steep) if steep else 0.1)
    while rate is None and land(point - alpha * steep) > value:  # over the valley and up on its other side
        alpha /= 2
    to = point - alpha * steep
    if limits is None:
        low, high = min(low, to - 0.1 * reach), max(high, to + 0.1 * reach)
    along = np.linspace(low, high, _LINE)
    costs = land.measure([land.cost], along.reshape(-1, 1))[:, 0]
    name = land.numbers[0].name
    return Slope(name, along, costs, point, value, steep, float(alpha), float(to), land(to))


def _finite(*values: Any) -> None:
    if not np.isfinite(values).all():
        raise DataError("J or its slope is not finite here.", found=", ".join(f"{float(v):g}" for v in values))


def _reach(land: Landscape, *at: float) -> float:
    """How far to look around a place: to the other side of the valley and some more, as far as curvature tells."""
    slopes = land.measure(land.slopes, [at])[0]
    bend = np.abs(np.linalg.eigvalsh(land.curvatures(at)[0])).max()
    far = float(np.linalg.norm(slopes) / bend) if bend > _CURVED else 0.0
    return float(np.clip(1.6 * far, 0.5 * max(1.0, *np.abs(at)), 20 * max(1.0, *np.abs(at))))


# ---------------------------------------------------------------------- J(w, b) from the side and from above
@dataclass(frozen=True)
class Surface:
    """J over two numbers: `cost` is (len(b), len(w)). `now` is where they are, `lowest` the least J that is seen."""

    names: tuple[str, str]
    w: Any
    b: Any
    cost: Any
    now: tuple[float, float, float]
    lowest: tuple[float, float, float]


def _draw_surface(data: Surface) -> Any:
    learn = (
        f"Every pair ({data.names[0]}, {data.names[1]}) has a cost, its height: {short(data.now[2])} at the red point, "
        f"{short(data.lowest[2])} at the lowest place seen, ({short(data.lowest[0])}, {short(data.lowest[1])})."
    )
    figure, _ = sheet(learn, (10, 4.9), 0, 0)
    deep = figure.add_subplot(1, 2, 1, projection="3d")
    flat = figure.add_subplot(1, 2, 2)
    solid(deep, data)
    contours(flat, data)
    flat.plot(*data.now[:2], "o", color=BACKWARD, markersize=9, label="now")
    flat.plot(*data.lowest[:2], "*", color=ORANGE, markersize=14, markeredgecolor=INK, label="lowest seen")
    entitle(flat, "from above: lines of equal J")
    legend(flat)
    return figure


def solid(axes: Any, data: Surface) -> None:
    """The surface from the side, the point at its height."""
    across, up = np.meshgrid(data.w, data.b)
    axes.plot_surface(
        across, up, data.cost, cmap=rising(), alpha=0.85, linewidth=0.2, edgecolor="#4a8fc7", rcount=_GRID, ccount=_GRID
    )
    axes.plot([data.now[0]], [data.now[1]], [data.now[2]], "o", color=BACKWARD, markersize=9, zorder=10)
    axes.tick_params(colors=SOFT, labelsize=8, pad=0)
    label(axes, *data.names)
    axes.set_zlabel("J", size=9.5, color=INK)
    axes.locator_params(nbins=5)
    axes.set_box_aspect(None, zoom=0.92)


def contours(axes: Any, data: Surface) -> Any:
    """Lines of equal J, dense where it is low."""
    from_above = np.sqrt(np.maximum(data.cost - data.lowest[2], 0))
    found = axes.contourf(data.w, data.b, from_above, levels=16, cmap=rising())
    axes.contour(data.w, data.b, from_above, levels=found.levels, colors="#4a6f8f", linewidths=0.4)
    axes.set(xlim=(data.w[0], data.w[-1]), ylim=(data.b[0], data.b[-1]))
    dress(axes)
    label(axes, *data.names)
    return found


@picture(_draw_surface)
def surface(J: Any, w: Where, b: Where, limits: Any = None) -> Surface:
    """The cost over two of its numbers, as a surface and from above, with the point where they are.

    `J`, `w` and `b` as in `slope`. `limits`: ((low, high) of w, (low, high) of b); without it a square around the
    point and the valley it lies in. Raises what `slope` raises.

    >>> import backlit as bl
    >>> w, b = bl.variable(1.0, name="w"), bl.variable(2.0, name="b")
    >>> bl.plot.surface.data(w**2 + 3 * b**2, w, b).now
    (1.0, 2.0, 13.0)
    """
    land = Landscape(J, [w, b])
    return _surface(land, limits, [land.now])


def _surface(land: Landscape, limits: Any, points: Sequence[Sequence[float]]) -> Surface:
    at = land.now
    value = land(*at)
    _finite(value)
    if limits is None:
        aim = _bottom(land)
        corners = np.array([*points, aim])
        middle, half = (corners.min(0) + corners.max(0)) / 2, 0.65 * np.ptp(corners, axis=0)
        half = np.maximum(half, 0.45 * half.max()) if half.max() > 0 else np.array([_reach(land, *at)] * 2)
        sides = [(m - h, m + h) for m, h in zip(middle, half, strict=True)]
    else:
        sides = squares_of(limits)
    along, up = (np.linspace(*side, _GRID) for side in sides)
    costs = land.grid(along, up)
    _finite(*costs.reshape(-1))
    row, column = np.unravel_index(int(costs.argmin()), costs.shape)
    lowest = float(along[column]), float(up[row]), float(costs[row, column])
    names = land.numbers[0].name, land.numbers[1].name
    return Surface(names, along, up, costs, (at[0], at[1], value), lowest)


def _bottom(land: Landscape) -> Any:
    """Where a few steps of Newton's method, held back where J would grow, lead from here."""
    at = np.array(land.now)
    for _ in range(25):
        slopes, bends = land.measure(land.slopes, [at])[0], land.curvatures(at)[0]
        values, ways = np.linalg.eigh(bends)
        least = 1e-3 * max(1e-12, float(np.abs(values).max()))
        step = -ways @ ((ways.T @ slopes) / np.maximum(np.abs(values), least))
        step *= min(1.0, 10 / max(float(np.linalg.norm(step)), 1e-300))
        before = land(*at)
        while np.linalg.norm(step) > 1e-9 and not land(*(at + step)) <= before:
            step = step / 2
        at = at + step
        if float(np.linalg.norm(step)) < 1e-6:
            break
    return at


# ---------------------------------------------------------------------- optimizers on their way
@dataclass(frozen=True)
class Path:
    """The places (steps + 1, 2) where an optimizer was, and J there. `turns`: how often it turned back in one of the two
    directions. `left`: it went away for ever, and was not followed further."""

    name: str
    places: Any
    costs: Any
    turns: int
    left: bool = False


@dataclass(frozen=True)
class Descent:
    """A cost from above and the ways of optimizers in it. `curvatures`: the least and the largest one at the bottom."""

    surface: Surface
    paths: tuple[Path, ...]
    curvatures: tuple[float, float]


def _draw_descent(data: Descent) -> Any:
    best = min(data.paths, key=lambda path: np.inf if path.left else path.costs[-1])
    steps = max(len(path.costs) for path in data.paths) - 1
    last = [path.costs[-1] for path in data.paths if not path.left]
    digits = next((n for n in (3, 4, 5, 6) if len({short(each, n) for each in last}) == len(last)), 3)
    ends = ", ".join(f"{'away for ever' if p.left else short(p.costs[-1], digits)} by {p.name}" for p in data.paths)
    low, high = data.curvatures
    learn = f"{steps} steps from J = {short(data.paths[0].costs[0], digits)}: {ends}."
    if low > 0 and high / low > 3:
        learn += f" The valley curves {high / low:.0f} times as much across as along: a large α swings across it."
    figure, panels = sheet(learn, (10, 5.2), 1, 2, width_ratios=[1.35, 1])
    axes, costs = panels[0]
    contours(axes, data.surface)
    for path, colour, line in zip(data.paths, _path_colours(len(data.paths)), "os^DvPX" * 9, strict=False):
        width = 2.4 if path is best else 1.6
        axes.plot(*path.places.T, color="white", linewidth=width + 2)
        axes.plot(*path.places.T, "-" + line, color=colour, linewidth=width, markersize=3.5, label=path.name)
        costs.plot(path.costs, "-" + line, color=colour, linewidth=width, markersize=3, label=path.name)
    axes.plot(*data.paths[0].places[0], "o", color=INK, markersize=8)
    open_frame(costs)
    ends_ = [path.costs[np.isfinite(path.costs)] for path in data.paths]
    if (
        min(each.min() for each in ends_) * 30 < max(each.max() for each in ends_)
        and min(each.min() for each in ends_) > 0
    ):
        costs.set_yscale("log")
    label(costs, "step", "J")
    entitle(axes, "the way, seen from above")
    entitle(costs, "J after each step")
    handles, names = costs.get_legend_handles_labels()
    legend(figure, "outside lower center", handles=handles, labels=names, ncols=min(3, len(names)))
    return figure


def _path_colours(count: int) -> list[str]:
    base = [BACKWARD, "#000000", ORANGE, PURPLE, GREEN, BLUE, RED]
    return [base[k % len(base)] for k in range(count)]


@picture(_draw_descent)
def descent(
    J: Any,
    w: Where,
    b: Where,
    optimizers: Any = None,
    steps: Count = 40,
    start: Sequence[Finite] | None = None,
    limits: Any = None,
) -> Descent:
    """How optimizers walk down the cost over two of its numbers, each from the same place by its own rule.

    `J`, `w`, `b`, `limits` as in `surface`. `optimizers`: a list or {name: optimizer}; without it, gradient descent with
    a small α, with an α just below the largest at which it converges (2 over the largest curvature at the bottom), and
    Adam. `start`: (w, b), where they are now if not given. Raises what `slope` raises.

    >>> import backlit as bl
    >>> w, b = bl.variable(4.0, name="w"), bl.variable(1.0, name="b")
    >>> data = bl.plot.descent.data(w**2 + 10 * b**2, w, b, steps=20)
    >>> [(path.name, path.turns) for path in data.paths[:2]]
    [('SGD, α = 0.01', 0), ('SGD, α = 0.095', 19)]
    """
    land = Landscape(J, [w, b])
    begin = land.now if start is None else tuple(map(float, start))
    if len(begin) != 2:
        raise ValueRangeError("a start is two numbers.", expected="(w, b)", found=f"{len(begin)} numbers")
    _finite(land(*begin))
    bottom = _bottom(land)
    bends = np.linalg.eigvalsh(land.curvatures(bottom)[0])
    rules = _rules(optimizers, float(np.abs(bends).max()), float(np.linalg.norm(bottom - begin)))
    paths = tuple(_walked(land, name, rule, begin, steps) for name, rule in rules.items())
    seen = [place for path in paths for place in path.places if np.isfinite(place).all()]
    near = [p for p in seen if np.linalg.norm(p - bottom) <= 3 * np.linalg.norm(bottom - begin) + 1e-9]
    return Descent(_surface(land, limits, near or [begin]), paths, (float(bends[0]), float(bends[-1])))


def _rules(given: Any, bend: float, far: float) -> dict[str, Optimizer]:
    if given is None:
        most = 2 / bend if bend > _CURVED else 0.1
        small, large, adam = (float(f"{rate:.2g}") for rate in (0.1 * most, 0.95 * most, far / 10 or 0.1))
        rules: list[Any] = [SGD(small), SGD(large), Adam(adam)]
        return {_called(rule): rule for rule in rules}
    if isinstance(given, Mapping):
        return {str(name): Optimizer.get(rule) for name, rule in given.items()}
    many = list(given) if isinstance(given, (list, tuple)) else [given]
    rules = [Optimizer.get(each) for each in many]
    if not rules:
        raise ValueRangeError("there is no optimizer to walk.", fix="optimizers=None walks three")
    return {
        f"{_called(rule)}{f' ({k})' if _called(rule) in map(_called, rules[:k]) else ''}": rule
        for k, rule in enumerate(rules)
    }


def _called(rule: Optimizer) -> str:
    return f"{type(rule).__name__}, α = {short(rule.learning_rates(0, 1)[0])}"


def _walked(land: Landscape, name: str, rule: Optimizer, begin: Sequence[float], steps: int) -> Path:
    """The way of one optimizer: its own updates, on two numbers of its own."""
    own = [variable(float(value), number.name) for value, number in zip(begin, land.numbers, strict=True)]
    slots = {p: rule.make_slots(p) for p in own}
    moved: dict[Node, Node] = dict(zip(land.inputs, own, strict=True))
    cost, *slopes = substitute([land.cost, *land.slopes], moved)
    rate, number = input_leaf((), "rate", "float64"), input_leaf((), "step", "float64")
    updates = rule.updates(dict(zip(own, slopes, strict=True)), slots, rate, number)
    program = registry.lookup("engine.planned").compile(Graph([rate, number], [cost], updates))
    places, costs, left = [np.array(begin)], [], False
    for t, alpha in enumerate(rule.learning_rates(0, steps), start=1):
        costs.append(float(program.evaluate({rate: alpha, number: float(t)}).outputs[0]))
        places.append(np.array([float(p.array) for p in own]))
        if left := not np.abs(places[-1]).max() < _FAR * (1 + np.abs(begin).max()):
            break
    costs.append(land(*places[-1]))
    way = np.array(places)
    moves = np.diff(way, axis=0)
    turns = (np.sign(moves[1:]) * np.sign(moves[:-1]) < 0).sum(axis=0)
    return Path(name, way, np.array(costs), int(turns.max(initial=0)), left)


__all__ = ["cost_of", "descent", "slope", "surface"]
