"""Why a derivative is zero, tiny, huge or not finite: where on the way that happens, and what makes it so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import counted
from ..core.grad import reverse
from ..core.node import FLOATS, Node, input_leaf
from ..core.op import EVERYTHING, literal
from ..core.show import text
from ..core.walk import rebuild, topological
from ..ops import reduce
from ..ops.elementwise import multiply
from .steps import Reading, one_line, plain, shown, single, written
from .words import listed

_TINY, _HUGE = 1e-6, 1e3
_LONGEST = 8  # steps of a path that are written out


@dataclass(frozen=True)
class End:
    """Where a path ends: the step, the operation's own line, and what makes it end there."""

    step: str
    cause: str  # "off", "flat", "saturated", "times zero", "not chosen", "no derivative", "cancels", "overflow"
    text: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class Why:
    """The answer: `verdict` is "no path", "zero", "partly zero", "tiny", "huge", "not finite" or "ordinary", `ends`
    where the paths end, or the step with the largest or smallest factor."""

    name: str
    derivative: Any
    verdict: str
    ends: tuple[End, ...]
    text: str

    @property
    def where(self) -> str:
        """The step on the way where it happens, "" where there is none."""
        return self.ends[0].step if self.ends else ""

    @property
    def cause(self) -> str:
        """What makes it so, in a word."""
        return self.ends[0].cause if self.ends else self.verdict

    def __str__(self) -> str:
        return self.text


def why(reading: Reading, node: Node, index: Any) -> Why:
    """What happens to dJ/d(node), or to one number of it, on the way from J."""
    worked = reading.worked
    name = reading.names.get(node) or _said(reading, node)
    at = None if index is None else single(node, worked.known[node], index, name)
    called = name if at is None or not node.shape else f"{name}[{', '.join(map(str, at))}]"
    slope = worked.slopes([node])[node]
    if slope is None:
        return _no_path(reading, node, called)
    chosen = np.asarray(slope) if at is None else np.asarray(slope[at])
    if not np.isfinite(chosen).all():
        return _not_finite(reading, node, called, chosen)
    if not chosen.any():
        return _zero(reading, node, called, at)
    if at is None and not np.all(chosen):
        return _partly(reading, node, called, chosen)
    return _sized(reading, node, called, chosen)


# ---------------------------------------------------------------------- no path
def _no_path(reading: Reading, node: Node, called: str) -> Why:
    """J is not reached by floating-point numbers: nothing leads there, or something on the way has no derivative."""
    if node.dtype not in FLOATS:
        words = f"{called} holds {node.dtype}: whole numbers and truth values have no derivative."
        return Why(called, None, "no path", (), words)
    worked = reading.worked
    alive, came = {node}, {node: node}
    ends: list[End] = []
    for each in worked.order:
        if (sources := [i for i in each.inputs if i in alive]) and each not in alive:
            came[each] = sources[0]
            if each.several or each.dtype in FLOATS:
                if worked.slopes([each])[each] is None and not each.several and each is not worked.root:
                    alive.add(each)
                    continue
                if not each.several and not _passes(reading, each, sources):
                    ends.append(_end(reading, each, "no derivative", f"{each.op.name} has no derivative", came, node))
                    continue
                alive.add(each)
            else:
                said = f"{each.op.name} makes {'truth values' if each.dtype == 'bool' else 'whole numbers'} of it"
                ends.append(_end(reading, each, "no derivative", f"{said}, which have no derivative", came, node))
    if not ends:
        return Why(called, 0.0, "no path", (), f"dJ/d{called} = 0: no path leads from {called} to J.")
    words = f"dJ/d{called} = 0: every path ends on the way: {'; '.join(end.text for end in ends)}."
    return Why(called, 0.0, "no path", tuple(ends), words)


def _passes(reading: Reading, node: Node, sources: Sequence[Node]) -> bool:
    return any(part is not None for part in _parts(reading, node, sources)[1].values())


# ---------------------------------------------------------------------- zero
def _zero(reading: Reading, node: Node, called: str, at: Any) -> Why:
    """A small change is followed from the node up; where it dies, that operation is what makes the derivative 0."""
    worked = reading.worked
    start: Any = np.zeros(np.shape(worked.known[node]))
    start[... if at is None else at] = 1.0
    if at is None and start.size > 1:
        start = np.random.Generator(np.random.PCG64(0)).uniform(0.5, 1.5, start.shape)
    alive: dict[Node, Any] = {node: start}
    came: dict[Node, Node] = {node: node}
    ends: list[End] = []
    for each in worked.order:
        sources = [i for i in _inputs(each) if i in alive]
        if each in alive or not sources or each.several:
            continue
        came[each] = sources[0]
        if each.dtype not in FLOATS:
            continue
        moved, parts = _moved(reading, each, sources, alive)
        if moved is not None and np.any(moved):
            alive[each] = moved
            continue
        cause, said = _cause(reading, each, sources, parts, alive)
        ends.append(_end(reading, each, cause, said, came, node))
    ends = [end for end in ends if end.cause != "no derivative"] or ends
    if not ends:
        words = f"dJ/d{called} = 0: the parts that arrive over several paths add up to 0."
        return Why(called, 0.0, "zero", (), words)
    if len(ends) == 1:
        words = f"dJ/d{called} = 0: it vanishes at {ends[0].text}.\n  {_drawn(ends[0])}"
    else:
        rows = "\n".join(f"  {_drawn(end)}: {end.text}" for end in ends[:_LONGEST])
        words = f"dJ/d{called} = 0: it vanishes on every one of {len(ends)} paths:\n{rows}"
    return Why(called, 0.0, "zero", tuple(ends), words)


def _partly(reading: Reading, node: Node, called: str, slope: Any) -> Why:
    """Some numbers of an array have the derivative 0: why the first of them has."""
    zeros = np.argwhere(slope == 0)
    first = tuple(int(place) for place in zeros[0])
    inner = _zero(reading, node, f"{called}[{', '.join(map(str, first))}]", first)
    head = f"{len(zeros)} of the {slope.size} numbers of d{called} are 0, for example:"
    return Why(called, slope, "partly zero", inner.ends, f"{head}\n{inner.text}")


def _inputs(node: Node) -> Sequence[Node]:
    """What a node reads; one output of several reads what the record of several reads."""
    return node.inputs[0].inputs if node.op.name == "item" else node.inputs


def _parts(reading: Reading, node: Node, sources: Sequence[Node]) -> tuple[Any, dict[Node, Any]]:
    """A symbol u for what arrives at a node, and what each of `sources` receives of it, in symbols."""
    symbols = _symbols(reading, node)
    whole = rebuild([node], start=symbols)[0]
    u = input_leaf(node.shape, "u", "float64")
    floats = [i for i in sources if i.dtype in FLOATS]
    found = reverse([whole], [u], [symbols[i] for i in floats], stop=True)
    return u, dict(zip(floats, found, strict=True))


def _symbols(reading: Reading, node: Node) -> dict[Node, Any]:
    return {
        i: reading.symbol(i, _said(reading, i))
        for i in dict.fromkeys(_inputs(node))
        if i in reading.symbols or (i.inputs and not i.several)
    }


def _moved(
    reading: Reading, node: Node, sources: Sequence[Node], alive: dict[Node, Any]
) -> tuple[Any, dict[Node, Any]]:
    """How a node moves, to first order, when its inputs move as `alive` says: the reverse walk of the reverse walk."""
    u, parts = _parts(reading, node, sources)
    moves = {i: input_leaf(i.shape, "move", "float64") for i, part in parts.items() if part is not None}
    terms = [reduce.sum(multiply(parts[i], move)) for i, move in moves.items()]
    if not terms:
        return None, parts
    total: Any = terms[0]
    for term in terms[1:]:
        total = total + term
    (slope,) = reverse([total], [literal(1.0)], [u])
    if slope is None:
        return None, parts
    given = {u: np.zeros(np.shape(reading.worked.known[node])), **{move: alive[i] for i, move in moves.items()}}
    return reading.worked.values([slope], _fed(reading, node) | given)[slope], parts


def _fed(reading: Reading, node: Node) -> dict[Node, Any]:
    return {symbol: reading.worked.known[i] for i, symbol in _symbols(reading, node).items()}


def _cause(reading: Reading, node: Node, sources: Sequence[Node], parts: Any, alive: Any) -> tuple[str, str]:
    """What makes an operation pass nothing on, read off its record and its derivative's formula."""
    given = {source: part for source, part in parts.items() if part is not None}
    if not given:
        return "no derivative", f"{node.op.name} has no derivative"
    source, part = next(iter(given.items()))
    symbols = _symbols(reading, node)
    read = set(topological([part]))
    others = [i for i in _inputs(node) if i not in sources and symbols.get(i, i) in read]
    zeros = [i for i in others if not np.all(reading.worked.known[i])]
    name = _name(reading, node)
    here = _said(reading, source)
    if zeros and not node.op.kinks:
        where = "" if not zeros[0].shape else " there"
        return "times zero", f"which multiplies by {_said(reading, zeros[0])}, and that is 0{where}"
    local = _local(reading, node, source, name, here)
    if node.op.kinks and (
        len(_inputs(node)) > 1 or np.size(reading.worked.known[source]) > np.size(reading.worked.known[node])
    ):
        return "not chosen", f"which chose another value than {here}{local}"
    if node.op.kinks:
        return ("off", f"which is flat there (off){local}") if node.op.role else ("flat", f"which is flat there{local}")
    if len(given) > 1 or _inputs(node).count(source) > 1:
        return "cancels", "where the parts cancel one another"
    if bounds := _bounds(node):
        low, high = map(plain, bounds)
        return "saturated", f"which is saturated: it lies between {low} and {high} and is flat at the ends{local}"
    if np.size(reading.worked.known[source]) > np.size(reading.worked.known[node]):
        return "not chosen", f"which takes other numbers of {here}"
    return "flat", f"which is flat there{local}"


def _bounds(node: Node) -> tuple[float, float] | None:
    """The two ends that a rising function without kinks comes near to, None for any other operation."""
    if not node.op.monotone or node.op.kinks or len(node.inputs) != 1 or node.op.range is None:
        return None
    ends = node.op.range(EVERYTHING, **node.attrs) if callable(node.op.range) else node.op.range
    return ends if np.isfinite(ends).any() else None


def _local(reading: Reading, node: Node, source: Node, name: str, here: str) -> str:
    """``: da/dz = z > 0 = 0`` for single numbers."""
    if node.shape != () or source.shape != ():
        return ""
    u, parts = _parts(reading, node, [source])
    symbols = _symbols(reading, node)
    (one,) = rebuild([parts[source]], start={u: literal(1.0)})
    value = reading.worked.values([one], _fed(reading, node))[one]
    formula = reading.said(rebuild([one], start={rebuild([node], start=symbols)[0]: input_leaf((), name)})[0])
    number = plain(float(value))
    return f": d{name}/d{here} = {number if formula == number else f'{formula} = {number}'}"


def _name(reading: Reading, node: Node) -> str:
    """The name of a node or of the marker around it, else its formula."""
    users = reading.users.get(node, [])
    if node not in reading.names and len(users) == 1 and users[0].op.name == "mark" and users[0] in reading.names:
        return reading.names[users[0]]
    return _said(reading, node)


def _said(reading: Reading, node: Node) -> str:
    """A node by its name or as a formula of names."""
    if node in reading.names:
        return reading.names[node]
    below = topological([node], lambda n: () if n in reading.names else n.inputs)
    start: dict[Node, Any] = {n: reading.symbols[n] for n in below if n in reading.symbols}
    return one_line(text(rebuild([node], start=start)[0]))


def _owner(reading: Reading, node: Node) -> Node:
    """The step that a node is a part of."""
    found = reading.owner.get(node)
    return node if found is None else found


def _end(reading: Reading, node: Node, cause: str, said: str, came: dict[Node, Node], start: Node) -> End:
    """The end of a path at a node, with the steps that lead there."""
    owner = _owner(reading, node)
    step = reading.names.get(owner, "")
    formula, name = _formula(reading, node), _name(reading, node)
    value, left = shown(reading.worked.known[node]), _line(reading, node)
    numbers = one_line(text(rebuild([node], start=_numbers(reading, node))[0]))
    middle = f" = {numbers}" if numbers not in (formula, value) else ""
    path: list[str] = []
    each = node
    while each is not start:
        each = came[each]
        if each in reading.names and reading.names[each] not in (step, *path):
            path.append(reading.names[each])
    return End(step, cause, f"{left}{middle} = {value}, {said}", (*reversed(path), step or name))


def _formula(reading: Reading, node: Node) -> str:
    return one_line(text(rebuild([node], start=_symbols(reading, node))[0]))


def _line(reading: Reading, node: Node) -> str:
    """``a = relu(z)``, or the formula alone where the node has no name."""
    formula, name = _formula(reading, node), _name(reading, node)
    return f"{name} = {formula}" if name != formula else formula


def _numbers(reading: Reading, node: Node) -> dict[Node, Any]:
    symbols = _symbols(reading, node)
    return {i: written(reading.worked.known[i], symbol) for i, symbol in symbols.items()}


def _drawn(end: End) -> str:
    steps = list(end.path[:-1])
    if len(steps) > _LONGEST:
        steps = [*steps[: _LONGEST // 2], "…", *steps[-_LONGEST // 2 :]]
    return f"{' → '.join(steps)} ✕ {end.path[-1]}"


# ---------------------------------------------------------------------- not finite, huge, tiny
def _not_finite(reading: Reading, node: Node, called: str, chosen: Any) -> Why:
    """The first derivative, coming from J, that is not finite."""
    worked = reading.worked
    slopes = worked.slopes([each for each in worked.order if not each.several and each.dtype in FLOATS])
    bad = [each for each, slope in slopes.items() if slope is not None and not np.isfinite(slope).all()]
    first = bad[-1]
    users = [user for user in reading.users[first] if slopes.get(user) is not None]
    step, values = (
        users[0] if users else first,
        [(_said(reading, i), worked.known[i]) for i in _inputs(users[0])] if users else [],
    )
    numbers = listed([f"{name} = {shown(value)}" for name, value in values if not isinstance(value, tuple)])
    words = (
        f"dJ/d{called} is {shown(chosen)}: the first derivative on the way back that is not finite is that of "
        f"{_said(reading, first)}, made by {_line(reading, step)} with {numbers}."
    )
    owner = reading.names.get(_owner(reading, step), "")
    return Why(called, chosen, "not finite", (End(owner, "overflow", words, (owner,)),), words)


def _factors(reading: Reading, node: Node) -> Iterator[tuple[Node, Node, float]]:
    """From the node to J along the largest parts: (here, next step, its factor): of single numbers dnext/dhere, else the
    largest |dJ/dhere| over the largest |dJ/dnext|."""
    here = node
    while readers := [user for user in reading.readers[here] if reading.slopes[user] is not None]:
        parts = [(float(np.abs(reading.flows(user).get(here, 0.0)).max(initial=0.0)), user) for user in readers]
        size, user = max(parts, key=lambda part: part[0])
        above = float(np.abs(reading.slopes[user]).max(initial=0.0))
        factor = size / above if above else 0.0
        if factor and here.shape == user.shape == ():
            factor = float(reading.flows(user)[here] / reading.slopes[user])
        yield here, user, factor
        here = user


def _sized(reading: Reading, node: Node, called: str, chosen: Any) -> Why:
    """The factors on the way, the largest or smallest of them named."""
    if node not in reading.names:
        node = _owner(reading, node)
    size = float(np.abs(chosen).max())
    verdict = "tiny" if size < _TINY else "huge" if size > _HUGE else "ordinary"
    steps = list(_factors(reading, node))
    said = shown(chosen) if chosen.ndim == 0 else f"up to {plain(size)} in size"
    if not steps:
        return Why(called, chosen, verdict, (), f"dJ/d{called} is {said}: the way back begins there.")
    pick = (min if verdict == "tiny" else max)(steps, key=lambda each: abs(each[2]))
    names = [reading.names[here] for here, _, _ in steps]
    rows = [(reading.names[user], f"{factor:.3g}") for _, user, factor in steps]
    trail = " ← ".join(f"{name} (× {factor})" for name, factor in (rows if len(rows) <= _LONGEST else rows[:_LONGEST]))
    more = f" and {counted(len(rows) - _LONGEST, 'step')} more" if len(rows) > _LONGEST else ""
    at = reading.names[pick[1]]
    extreme = "smallest" if verdict == "tiny" else "largest"
    here = reading.names[pick[0]]
    single_numbers = pick[0].shape == pick[1].shape == ()
    factor = f"{f'd{at}/d{here} = ' if single_numbers else ''}{pick[2]:.3g}"
    where = "" if single_numbers else f", where {here} is {shown(reading.value(pick[0]))}"
    line = (
        f"dJ/d{called} is {said}. Of the factors on the way the {extreme} is {factor}, at "
        f"{at} = {reading.formula(pick[1])}{where}."
    )
    cause = _slowing(reading, pick[1]) if verdict == "tiny" else "large factor" if verdict == "huge" else "ordinary"
    return Why(called, chosen, verdict, (End(at, cause, line, (*names, at)),), f"{line}\n  {names[0]} ← {trail}{more}")


def _slowing(reading: Reading, head: Node) -> str:
    """What makes a step pass little on: an activation near an end of its range, or a small factor."""
    return "saturated" if any(map(_bounds, reading.operations(head))) else "small factor"
