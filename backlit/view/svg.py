"""The diagram of a trace as SVG: values on the arrows, derivatives under them, layers as cards with small heat maps."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.node import Leaf, Node
from ..core.shapes import show
from .layout import Layout, layout
from .steps import plain, shown
from .table import in_order

AHEAD, BACK = "#0096ff", "#C00000"  # the course's blue and red
_RULES = (
    "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}",
    ".n{font-weight:700}",
    ".v{fill:#0D5BDC}",
    ".g{fill:#1a7f37}",
    ".s{font-size:11px;fill:#57606a}",
    ".box{fill:#fff;stroke:#57606a;stroke-width:1.2}",
    ".parameter{fill:#fff4d6}",
    ".data{fill:#eef1f4}",
    f".ahead{{stroke:{AHEAD};fill:none;stroke-width:1.6}}",
    f".back{{stroke:{BACK};fill:none;stroke-width:1.6}}",
    ".halo{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}",
)
STYLE = "".join(f"svg.trace {rule}" for rule in _RULES)  # of this picture alone: a notebook has others
_LETTER, _SMALL, _LINE = 7.85, 6.7, 18  # width of a monospaced letter at 13 px and at 11 px, height of a line
_MOST_BOXES = 60  # before runs of steps are drawn as one box
_GROUPS = 40
_ROW, _CELL, _ACROSS, _DOWN = 24, 11, 12, 5  # a heat map: least height, size of a cell, most columns, most rows
_LOW, _HIGH = (230, 120, 20), (13, 91, 220)  # orange below zero, blue above: told apart by the colour-blind
_IN, _OUT, _BEND = 15, 46, 70  # between edges that arrive, that leave, and the room in which they bend
_WIDEST = 34  # letters of a line in a box


@dataclass
class Row:
    """One quantity of a card: its name, its heat map (of its value or of its derivative), when it is revealed."""

    name: str
    node: Node
    value: Any
    slope: bool
    kept: bool = False


@dataclass
class Box:
    """One box: a step, a leaf, a layer's card, or a run of steps."""

    kind: str  # "step", "parameter", "data", "card", "run"
    nodes: list[Node]  # what it shows or holds; the last one leads on
    title: str
    lines: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    arriving: int = 1  # how many edges come in at the left, and how many leave at the right
    leaving: int = 1

    @property
    def columns(self) -> tuple[float, float]:
        """How far from the left the shapes stand, and the heat maps."""
        names = max((len(row.name) + row.kept for row in self.rows), default=0)
        shapes = max((len(show(np.shape(row.value))) for row in self.rows), default=0)
        first = max(52.0, names * _LETTER + 18)
        return first, first + max(58.0, shapes * _SMALL + 8)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        letters = max([len(self.title), *map(len, self.lines)])
        heights = sum(_row_height(row) for row in self.rows)
        wide = max(
            [letters * _LETTER + 20, *(self.columns[1] + _cells(row.value)[1] * _CELL + 18 for row in self.rows)]
        )
        high = 12 + _LINE * (1 + len(self.lines)) + heights + (26 if self.rows else 0)
        return max(52.0, wide), max(high, self.arriving * _IN + 8, (self.leaving - 1) * _OUT + 24)


@dataclass(frozen=True)
class Diagram:
    """Boxes, and the edges between them: (from box, to box, the node whose value runs there, the step that reads it)."""

    boxes: list[Box]
    edges: list[tuple[int, int, Node, Node]]


def drawn(t: Any) -> str:
    """The whole picture with its legend."""
    return _svg(t, diagram(t))


# ---------------------------------------------------------------------- what is in the picture
def diagram(t: Any) -> Diagram:
    """Layers as cards where there are layers, else steps, or runs of steps where there are many."""
    reading = t.reading
    order = in_order(reading)
    holder: dict[Node, int] = {}
    boxes: list[Box] = []
    if t.blocks:
        _cards(t, order, boxes, holder)
    elif len(order) > _MOST_BOXES:
        _runs(t, order, boxes, holder)
    else:
        for node in order:
            holder[node] = len(boxes)
            boxes.append(_single(t, node))
    edges: dict[tuple[int, int], tuple[int, int, Node, Node]] = {}
    for head in reading.heads:
        for node in reading.reads[head]:
            ends = holder[node], holder[head]
            if ends[0] != ends[1]:
                edges.setdefault(ends, (*ends, node, head))
    for place, box in enumerate(boxes):
        box.leaving = sum(edge[0] == place for edge in edges.values())
        box.arriving = sum(edge[1] == place for edge in edges.values())
    return Diagram(boxes, list(edges.values()))


def _single(t: Any, node: Node) -> Box:
    name = t.reading.names[node]
    if node in t.reading.reads:
        lines = [_short(pretty(t.reading.formula(node)))]
        if len(t.reading.readers[node]) > 1 and t.slope(node) is not None:
            lines.append(f"Σ d{t.of}/d{name} = {_digits(t.slope(node))}")
        return Box("step", [node], name, lines)
    box = Box("parameter" if node in t.parameters else "data", [node], name)
    if len(t.reading.readers[node]) > 1 and node in t.back_order:
        box.lines = [f"Σ d{t.of}/d{name} = {_digits(t.slope(node))}"]
    return box


def _cards(t: Any, order: Sequence[Node], boxes: list[Box], holder: dict[Node, int]) -> None:
    """One card a layer with its weights; data and what stands between layers by themselves."""
    cards: dict[str, int] = {}
    for node in order:
        layer = t.reading.layers[node]
        if not layer or (
            node not in t.reading.reads and not (isinstance(node, Leaf) and node.kind in ("variable", "state"))
        ):
            holder[node] = len(boxes)
            boxes.append(_single(t, node))
            boxes[-1].rows = _rows(t, [node]) if np.ndim(t.reading.value(node)) else []
            continue
        if layer not in cards:
            cards[layer] = len(boxes)
            boxes.append(Box("card", [], layer))
        holder[node] = cards[layer]
        boxes[cards[layer]].nodes.append(node)
    for place in cards.values():
        box = boxes[place]
        box.lines = [
            _short(pretty(f"{t.reading.names[n]} = {t.reading.formula(n)}")) for n in box.nodes if n in t.reading.reads
        ]
        box.rows = _rows(t, box.nodes)


def _rows(t: Any, nodes: Sequence[Node]) -> list[Row]:
    """Values from the weights to the output, then derivatives from the output to the weights."""
    reading = t.reading
    rows = [Row(reading.names[n], n, reading.value(n), False, n in t.kept) for n in nodes]
    wanted = set(t.back_order)
    rows += [Row(f"d{reading.names[n]}", n, t.slope(n), True) for n in reversed(nodes) if n in wanted]
    return rows


def _runs(t: Any, order: Sequence[Node], boxes: list[Box], holder: dict[Node, int]) -> None:
    """Runs of steps that follow one another as boxes: what comes later never leads back, so there is no circle."""
    size = -(-len(order) // _GROUPS)
    for start in range(0, len(order), size):
        run = list(order[start : start + size])
        names = [t.reading.names[node] for node in run]
        for node in run:
            holder[node] = len(boxes)
        boxes.append(Box("run", run, f"{len(run)} steps", [_short(f"{names[0]} … {names[-1]}")]))


def pretty(formula: str) -> str:
    """A formula as on paper: `w * x` is w·x, `d ** 2` d².

    >>> pretty("(w * x + b) ** 2")
    '(w·x + b)²'
    """
    return re.sub(r" \*\* 2(?![\d.])", "²", formula).replace(" ** ", "^").replace(" * ", "·")


def _short(words: str) -> str:
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 1]}…"


# ---------------------------------------------------------------------- heat maps
def _cells(value: Any) -> tuple[int, int]:
    """Rows and columns of a heat map: of more axes the first of each but the last two."""
    shape = np.shape(value)
    if len(shape) == 0:
        return 1, 1
    return (1 if len(shape) == 1 else min(shape[-2], _DOWN)), min(shape[-1], _ACROSS)


def _row_height(row: Row) -> float:
    return max(_ROW, _cells(row.value)[0] * _CELL + 6)


def colour(value: float, scale: float) -> str:
    """White at 0, towards blue above, towards orange below; black where it is not finite."""
    if not np.isfinite(value):
        return "#000000"
    share = min(1.0, abs(value) / scale) if scale else 0.0
    end = _HIGH if value > 0 else _LOW
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in end)


def _heat(row: Row, x: float, y: float) -> Iterator[str]:
    array = np.asarray(row.value, dtype=float)
    down, across = _cells(array)
    finite = np.abs(array[np.isfinite(array)])
    scale = float(finite.max()) if finite.size else 0.0
    flat = array.reshape(-1, array.shape[-1])[:down, :across] if array.ndim else array.reshape(1, 1)
    for i in range(down):
        for j in range(across):
            number = float(flat[i, j])
            place = f"[{i}, {j}]" if array.ndim > 1 else f"[{j}]" if array.ndim else ""
            tip = html.escape(f"{row.name}{place} = {plain(number)}")
            yield (
                f'<rect x="{x + j * _CELL:.1f}" y="{y + i * _CELL:.1f}" width="{_CELL}" height="{_CELL}" '
                f'fill="{colour(number, scale)}" stroke="#d0d7de" stroke-width=".5"><title>{tip}</title></rect>'
            )
    if array.ndim and (down < np.prod(array.shape[:-1]) or across < array.shape[-1]):
        yield f'<text class="s" x="{x + across * _CELL + 3:.1f}" y="{y + down * _CELL - 1:.1f}">…</text>'


# ---------------------------------------------------------------------- drawing
def _svg(t: Any, found: Diagram) -> str:
    labels = [_label(t, edge) for edge in found.edges]
    room = max([72.0, *(max(map(len, pair)) * _LETTER + 14 for pair in labels)])
    end = max(len(_end_label(t)), len(_end_slope(t)), len(t.of) + 11) * _LETTER + 24  # room for J after a nudge
    placed = layout([box.size for box in found.boxes], [edge[:2] for edge in found.edges], (room + _BEND, 34))
    left, top, width = 20.0, 44.0, placed.width + 40 + end
    legend = _legend(t, t.blocks)
    width = max(width, 860.0)
    height = top + placed.height + 40 + 22 * len(legend)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" class="trace"><title>{_escaped(_title(t))}</title><style>{STYLE}</style>',
        _arrowheads(),
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{left:.0f}" y="24">{_escaped(_title(t))}</text>',
        f'<g transform="translate({left:.0f} {top:.0f})">',
    ]
    routes = _routes(found, placed)
    for edge, route, pair in zip(found.edges, routes, labels, strict=True):
        out += _edge(t, edge, route, room, pair)
    out += _end(t, found, placed, end)
    for box, centre in zip(found.boxes, placed.centres, strict=True):
        out += _box(t, box, centre)
    out.append("</g>")
    for k, line in enumerate(legend):
        out.append(f'<g transform="translate({left:.0f} {top + placed.height + 46 + 22 * k:.0f})">{line}</g>')
    return "".join([*out, "</svg>"])


def _title(t: Any) -> str:
    return t.title or f"Trace of {t.of}"  # without its value: a quiz asks for that


def _escaped(words: str) -> str:
    """Text that XML can hold, whatever a name is made of."""
    return html.escape("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in words))


def _arrowheads() -> str:
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="11" '
        f'markerHeight="11" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{colour_}"/></marker>'
        for name, colour_ in (("to", AHEAD), ("fro", BACK))
    )
    return f"<defs>{heads}</defs>"


def _label(t: Any, edge: tuple[int, int, Node, Node]) -> tuple[str, str]:
    """What stands above an edge and below it: the value that runs there, and the derivative that comes back."""
    _, _, node, head = edge
    name, value = t.reading.names[node], t.reading.value(node)
    slope = t.reading.slopes.get(node) if t.goes_back else None
    passed = t.reading.flows(head).get(node) if slope is not None else None
    if np.ndim(value):
        return f"{name} {show(np.shape(value))}", f"d{name}" if passed is not None else ""
    return _digits(value), _digits(passed)


def _digits(value: Any) -> str:
    """A number with few digits, an array as `shown`; nothing for None."""
    return "" if value is None else plain(np.asarray(value)[()], 5) if np.ndim(value) == 0 else shown(value)


def _routes(found: Diagram, placed: Layout) -> list[list[tuple[float, float]]]:
    """The points of each edge, from its own place at the right of a box to its own place at the left of another."""
    routes = [list(route) for route in placed.routes]
    for side, step, nearest in ((0, _OUT, 1), (1, _IN, -2)):
        joined: dict[int, list[int]] = defaultdict(list)
        for k, edge in enumerate(found.edges):
            joined[edge[1] if side else edge[0]].append(k)
        for box, places in joined.items():
            places.sort(key=lambda k: placed.routes[k][nearest][1])
            wide, (x, y) = found.boxes[box].size[0], placed.centres[box]
            for order, k in enumerate(places):
                at = y + (order - (len(places) - 1) / 2) * step
                routes[k][0 if side == 0 else -1] = (x + wide / 2, at) if side == 0 else (x - wide / 2, at)
    return routes


def _edge(
    t: Any, edge: tuple[int, int, Node, Node], route: list[tuple[float, float]], room: float, label: tuple[str, str]
) -> Iterator[str]:
    """Both arrows of an edge, and its numbers over and under the level piece behind its first box."""
    node, head = (_escaped(t.reading.names[each]) for each in edge[2:])
    wanted = t.goes_back and edge[2] in t.back_order
    (x, y), rest = route[0], route[1:]
    points = [(x, y), (x + room, y), *rest]
    yield f'<g class="edge" data-node="{node}" data-to="{head}">'
    yield f'<path class="ahead" data-at="{node}" marker-end="url(#to)" d="{_curve(points, -3)}"/>'
    if wanted:
        yield f'<path class="back" data-back="{node}" marker-end="url(#fro)" d="{_curve(points[::-1], 3)}"/>'
    x += room / 2
    yield _number("v", f'data-value="{node}"', x, y - 9, label[0])
    if wanted and label[1]:
        yield _number("g", f'data-slope="{node}"', x, y + 20, label[1])
    yield "</g>"


def _number(kind: str, data: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind} halo" {data} text-anchor="middle" x="{x:.1f}" y="{y:.1f}">{_escaped(words)}</text>'


def _curve(points: Sequence[tuple[float, float]], shift: float) -> str:
    """A smooth line through the points, level at each."""
    (x, y), rest = points[0], points[1:]
    path = [f"M{x:.1f} {y + shift:.1f}"]
    for to_x, to_y in rest:
        half = (to_x - x) / 2
        path.append(
            f"C{x + half:.1f} {y + shift:.1f} {to_x - half:.1f} {to_y + shift:.1f} {to_x:.1f} {to_y + shift:.1f}"
        )
        x, y = to_x, to_y
    return "".join(path)


def _end_label(t: Any) -> str:
    name, value = t.reading.names[t.reading.root], t.reading.value(t.reading.root)
    return f"{name} = {shown(value)}" if np.ndim(value) == 0 else f"{name} {show(np.shape(value))}"


def _end_slope(t: Any) -> str:
    slope = t.slope(t.reading.root)
    return f"d{t.reading.names[t.reading.root]}" if np.ndim(slope) else _digits(slope)


def _end(t: Any, found: Diagram, placed: Layout, room: float) -> Iterator[str]:
    """The arrow that leads out of the last step."""
    root = t.reading.root
    place = next(k for k, box in enumerate(found.boxes) if root in box.nodes)
    x, y = placed.centres[place]
    x += found.boxes[place].size[0] / 2
    name = _escaped(t.reading.names[root])
    yield f'<g class="edge" data-node="{name}">'
    yield f'<path class="ahead" data-at="{name}" marker-end="url(#to)" d="M{x:.1f} {y - 3:.1f}h{room:.0f}"/>'
    if t.back_order:
        yield f'<path class="back" data-back="{name}" marker-end="url(#fro)" d="M{x + room:.1f} {y + 3:.1f}h-{room:.0f}"/>'
        yield _number("g", f'data-slope="{name}"', x + room / 2, y + 20, _end_slope(t))
    yield _number("v", f'data-value="{name}"', x + room / 2, y - 9, _end_label(t)) + "</g>"


def _box(t: Any, box: Box, centre: tuple[float, float]) -> Iterator[str]:
    (wide, high), (x, y) = box.size, centre
    left, top = x - wide / 2, y - high / 2
    names = [t.reading.names[node] for node in box.nodes]
    kind = {"parameter": " parameter", "data": " data"}.get(box.kind, "")
    data = (
        f'data-node="{_escaped(names[-1])}"'
        if box.kind not in ("card", "run")
        else f'data-card="{_escaped(box.title)}"'
    )
    yield f'<g class="node {box.kind}" {data}>'
    yield f'<rect class="box{kind}" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="7"/>'
    middle = "" if box.rows else ' text-anchor="middle"'
    at = left + 10 if box.rows else x
    head = top + 20 if box.rows else y + 5 - _LINE * len(box.lines) / 2
    shape = f" {show(np.shape(t.reading.value(box.nodes[0])))}" if box.rows and box.kind != "card" else ""
    yield f'<text class="n" x="{at:.1f}" y="{head:.1f}"{middle}>{_escaped(box.title + shape)}</text>'
    for k, line in enumerate(box.lines):
        tint = ' class="g"' if line.startswith("Σ") else ""
        yield f'<text{tint} x="{at:.1f}" y="{head + _LINE * (k + 1):.1f}"{middle}>{_escaped(line)}</text>'
    yield from _box_rows(box, left, top + 12 + _LINE * (1 + len(box.lines)), wide)
    yield "</g>"


def _box_rows(box: Box, left: float, y: float, wide: float) -> Iterator[str]:
    """The quantities of a card: values, a line, derivatives."""
    back = False
    y += 6
    for row in box.rows:
        if row.slope and not back:
            back = True
            yield f'<path d="M{left + 8:.1f} {y + 3:.1f}h{wide - 16:.1f}" stroke="#d0d7de"/>'
            y += 10
        kind, dot = ("g", "data-slope") if row.slope else ("v", "data-value")
        own = _escaped(row.name[1:] if row.slope else row.name)
        kept = "●" if row.kept else ""
        yield f'<g class="row" {dot}="{own}">'
        yield f'<text class="{kind}" x="{left + 10:.1f}" y="{y + 11:.1f}">{_escaped(row.name)}{kept}</text>'
        yield f'<text class="s" x="{left + box.columns[0]:.1f}" y="{y + 11:.1f}">{_escaped(show(np.shape(row.value)))}</text>'
        yield from _heat(row, left + box.columns[1], y)
        yield "</g>"
        y += _row_height(row)


def _legend(t: Any, layered: bool) -> list[str]:
    """A line for every colour and sign."""
    d = f"d{t.of}/d(…)"
    first = [('<path class="ahead" marker-end="url(#to)" d="M0 -4h34"/>', 42, "forward: values")]
    first.append(('<text class="v">−4</text>', 24, "the value, above the arrow"))
    if t.back_order:
        first.append(('<path class="back" marker-end="url(#fro)" d="M34 -4h-34"/>', 42, "back: derivatives"))
        first.append(('<text class="g">2</text>', 16, f"{_escaped(d)}, below the arrow"))
    second = (
        [] if layered else [('<rect class="box parameter" y="-12" width="22" height="15" rx="4"/>', 30, "parameter")]
    )
    second.append(('<rect class="box data" y="-12" width="22" height="15" rx="4"/>', 30, "fixed data"))
    second.append(('<rect class="box" y="-12" width="22" height="15" rx="4"/>', 30, "layer" if layered else "step"))
    if layered:
        cells = "".join(
            f'<rect x="{k * 11}" y="-10" width="11" height="11" fill="{colour(v, 1.0)}" stroke="#d0d7de" stroke-width=".5"/>'
            for k, v in enumerate((-1.0, -0.5, 0.0, 0.5, 1.0))
        )
        second.append((cells, 62, "below 0, 0, above 0 (each map by its own largest)"))
        if t.back_order:
            second.append(('<text class="v">●</text>', 16, "kept for the way back"))
    return [_legend_line(first), _legend_line(second)]


def _legend_line(parts: Sequence[tuple[str, float, str]]) -> str:
    out, x = [], 0.0
    for sign, room, words in parts:
        out.append(f'<g transform="translate({x:.0f} 0)">{sign}<text class="s" x="{room}">{words}</text></g>')
        x += room + len(words.replace("&#x27;", "'")) * _SMALL + 24
    return "".join(out)
