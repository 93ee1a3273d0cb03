"""A trace as text that lines up, and as LaTeX."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.errors import counted
from ..core.node import input_leaf
from ..core.show import latex
from .steps import plain, shown
from .words import printable

_WIDEST = 44  # characters of a formula before it is cut
_MOST = 60  # steps that are printed: of more the first and the last


def table(t: Any) -> str:
    """The steps forward, then back, in columns."""
    reading = t.reading
    grouped = bool(t.layers)
    lines = [_head(t), "", "forward"]
    if reading.leaves and not grouped:
        lines += textwrap.wrap(
            f"with {', '.join(_given(t, leaf) for leaf in reading.leaves)}", 100, initial_indent="  "
        )
    ahead: list[Sequence[str]] = [("layer", "step", "formula", "with numbers", "value", "")]
    layer = None
    for node in _picked(in_order(reading) if grouped else reading.heads):
        if node is None:
            ahead.append(("", "…", "(t.forward has all)", "", "", ""))
            continue
        step = t[reading.names[node]]
        place = "" if step.layer == layer else step.layer
        layer = step.layer
        how = step.operation if node not in reading.reads else step.formula
        numbers = "" if step.numbers in (how, shown(step.value)) else step.numbers
        remarks = " ".join(filter(None, ["kept" if step.cached else "", "*" if step.note else ""]))
        ahead.append((place, step.name, _cut(how), _cut(numbers), shown(step.value), remarks))
    lines += _columns(ahead, grouped)
    if t.back_order:
        lines += ["", "back", *_columns(_back(t), grouped)]
    if t.kept:
        lines += ["", "kept: the way back reads this value (the cache)"]
    notes = [f"* {reading.names[node]}: {note}" for node, note in reading.notes.items() if node in reading.names]
    return "\n".join(map(printable, [*lines, *([""] if notes and not t.kept else []), *notes]))


def _given(t: Any, leaf: Any) -> str:
    kept = " (kept)" if leaf in t.kept else ""
    return f"{t.reading.names[leaf]} = {shown(t.reading.value(leaf))}{kept}"


def _head(t: Any) -> str:
    name = t.reading.names[t.reading.root]
    title = f"{t.title}: " if t.title else ""
    said = f"{title}{name} = {shown(t.J)}"
    if not t.back_order:
        return said
    n, p = t.counts.nodes, t.counts.parameters
    ways = f"n + p = {n + p:,} going back once, n · p = {n * p:,} by perturbing each parameter"
    return f"{said}. n = {counted(n, 'step')}, p = {counted(p, 'parameter')}: {ways}."


def _back(t: Any) -> Iterator[Sequence[str]]:
    yield ("layer", "derivative", "formula", "with numbers", "value", "")
    layer = None
    for node in _picked(t.back_order):
        if node is None:
            yield ("", "…", "(t.backward has all)", "", "", "")
            continue
        step = t.step_back(node)
        place = "" if step.layer == layer else step.layer
        layer = step.layer
        numbers = "" if step.numbers in (step.formula, shown(step.derivative)) else step.numbers
        local = [f"d{u}/d{step.name} = {each.formula}" for u, each in step.locals.items() if each.value is not None]
        remark = ", ".join(local) if np.ndim(step.derivative) == 0 and list(step.locals) != [t.of] else ""
        name = dname(t, step)
        yield (place, name, _cut(step.formula), _cut(numbers), shown(step.derivative), _cut(remark))


def dname(t: Any, step: Any) -> str:
    """How a derivative is called: dJ/dw of a single number, dW1 of an array."""
    return f"d{t.of}/d{step.name}" if np.ndim(step.derivative) == 0 else f"d{step.name}"


def in_order(reading: Any) -> list[Any]:
    """Leaves and steps, each leaf before the first step that reads it."""
    order: dict[Any, None] = {}
    for head in reading.heads or reading.leaves:
        order.update(dict.fromkeys(node for node in reading.reads.get(head, ()) if node not in reading.reads))
        order[head] = None
    return list(order)


def _picked(nodes: Sequence[Any]) -> list[Any]:
    """All of a few nodes; the first and the last of many, with None in between."""
    if len(nodes) <= _MOST:
        return list(nodes)
    return [*nodes[: _MOST // 2], None, *nodes[-_MOST // 2 :]]


def _cut(words: str) -> str:
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 1]}…"


def _columns(rows: Any, grouped: bool) -> list[str]:
    rows = [tuple(row) if grouped else tuple(row[1:]) for row in rows]
    value = 4 if grouped else 3
    wide = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    out = []
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)]
        cells[value] = f"{row[value]:>{wide[value]}}"
        out.append("  " + "  ".join(cells).rstrip())
    return out


# ---------------------------------------------------------------------- LaTeX
def typeset(t: Any) -> str:
    """The steps forward and back, each an `aligned` block."""
    reading = t.reading
    ahead = []
    for head in reading.heads:
        formula, numbers = reading.symbolic(head), reading.with_numbers(head)
        parts = [latex(reading.symbols[head]), f"&= {_flat(latex(formula))}"]
        if all(node.shape == () for node in reading.reads[head]) and numbers is not formula:
            parts.append(f"= {_flat(latex(numbers))}")
        ahead.append(" ".join([*parts, f"= {_tex(reading.value(head))}"]))
    back = [_tex_back(t, node) for node in t.back_order]
    blocks = ["\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}" for rows in (ahead, back) if rows]
    return "\n\n".join(f"\\[\n{block}\n\\]" for block in blocks) + "\n"


def _tex_back(t: Any, node: Any) -> str:
    reading, step = t.reading, t.step_back(node)
    of = latex(input_leaf((), t.of))
    left = _partial(of, latex(reading.symbols[node]))
    value = f"= {_tex(step.derivative)}"
    users = [user for user in reading.readers[node] if reading.names[user] in step.locals]
    if not users:
        return f"{left} &{value}"
    terms, numbers = [], []
    for user in users:
        local = step.locals[reading.names[user]]
        if local.value is not None and np.ndim(local.value) == 0:
            above, here = latex(reading.symbols[user]), latex(reading.symbols[node])
            factor = _tex(local.value)
            if reading.names[user] == t.of:
                terms.append(_flat(latex(reading.factor(user, node))))
                numbers.append(factor)
                continue
            terms.append(f"{_partial(of, above)} {_partial(above, here)}")
            numbers.append(f"{_tex(t.slope(user))} \\cdot {factor if factor[0] != '-' else f'({factor})'}")
        else:
            terms.append(_flat(latex(reading.passed(user, node))))
    middle = f" = {' + '.join(numbers)}" if len(numbers) == len(terms) else ""
    return f"{left} &= {' + '.join(terms)}{middle} {value}"


def _partial(above: str, below: str) -> str:
    return rf"\frac{{\partial {above}}}{{\partial {below}}}"


def _flat(typeset: str) -> str:
    """A formula of several aligned lines within a line of an aligned block."""
    return typeset.replace("\n", " ")


def _tex(value: Any) -> str:
    """A number or a small matrix; of a large one its shape."""
    array = np.asarray(value)
    if array.ndim == 0:
        return re.sub(r"e([+-]?)0*(\d+)$", lambda m: rf" \cdot 10^{{{m[1].strip('+')}{m[2]}}}", plain(array[()]))
    if array.ndim > 2 or array.size > 16:
        return r"\left[" + r" \times ".join(map(str, array.shape)) + r"\right]"
    rows = [" & ".join(plain(each) for each in row) for row in np.atleast_2d(array)]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"
