"""The trace as one HTML page that needs nothing else: no network, no framework, no other file."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from ..core.node import FLOATS, Node
from .nudge import nudged
from .program import program
from .steps import plain, shown
from .svg import drawn
from .table import in_order
from .words import printable

_MOST = 300  # steps that are walked through
_NUDGED = 60  # quantities of arrays whose nudges are computed beforehand
_TABLE = 12  # rows and columns of numbers on demand
EPS = (0.1, 0.01, 0.001)


def page(t: Any) -> str:
    """The whole page."""
    static = files(__package__).joinpath("static")
    script, style = (static.joinpath(name).read_text(encoding="utf-8") for name in ("trace.js", "trace.css"))
    title = html.escape(t.title or f"Trace of {t.of}")
    data = _json(_data(t))
    body = static.joinpath("trace.html").read_text(encoding="utf-8")
    opened = "".join(_opened(t, layer) for layer in t.layers) if t.blocks else ""
    for sign, part in {
        "{{title}}": title,
        "{{style}}": style,
        "{{svg}}": drawn(t),
        "{{opened}}": opened,
        "{{table}}": html.escape(str(t)),
        "{{data}}": data,
        "{{script}}": script,
    }.items():
        before, _, after = body.partition(sign)
        body = before + part + after
    return body


def still(t: Any) -> str:
    """The diagram and the table, for a notebook: nothing in it has to be loaded or run."""
    table = f"<details><summary>all steps</summary><pre>{html.escape(str(t))}</pre></details>"
    opened = "".join(_opened(t, layer) for layer in t.layers) if t.blocks else ""
    return f'<div style="overflow-x:auto">{drawn(t)}</div>{opened}{table}'


def _opened(t: Any, layer: str) -> str:
    """A layer with its steps in one line, and its operations folded away below it: their diagram and their table."""
    inner = t.open(layer)
    steps = ", ".join(f"{step.name} = {step.formula}" for step in t.forward if step.layer == layer)
    summary = f"<summary>inside {html.escape(layer)}: {html.escape(printable(steps))}</summary>"
    table = f"<pre class='scroll'>{html.escape(str(inner))}</pre>"
    return f"<details>{summary}<div class='scroll'>{drawn(inner)}</div>{table}</details>"


def _json(data: Any) -> str:
    """JSON that can stand in a script: no sign of it ends the script, and what is no number is text."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _number(value: Any) -> Any:
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _data(t: Any) -> dict[str, Any]:
    """What the page's script knows."""
    reading = t.reading
    order = in_order(reading)
    many = len(order) > _MOST
    ahead, back = ([], []) if many else (t.forward, t.backward)
    code = None if many else program(reading)
    return {
        "of": t.of,
        "root": reading.names[reading.root],
        "forward": [_step(step) for step in ahead],
        "back": [{**_step(step), "slope": _said(step.derivative)} for step in back],
        "values": {} if many else {reading.names[node]: _said(reading.value(node)) for node in order},
        "slopes": {step.name: _said(step.derivative) for step in back},
        "leaves": [] if many else [reading.names[node] for node in order if node not in reading.reads],
        "about": {} if many else {reading.names[node]: t[reading.names[node]].sentence for node in order},
        "program": code and {**code, "code": [[row[0], *map(_number, row[1:])] for row in code["code"]]},
        "nudges": {} if many or code or not t.goes_back else _nudges(t, order[:_NUDGED]),
        "seed": _number(reading.worked.seed),
        "eps": EPS,
    }


def _step(step: Any) -> dict[str, Any]:
    kept = {"name": step.name, "layer": step.layer, "formula": step.formula, "numbers": step.numbers}
    return {**kept, "said": step.sentence, "note": step.note, "reuses": list(step.reuses)}


def _said(value: Any) -> dict[str, Any]:
    """A number as itself, an array as its shape and its first rows."""
    array = np.asarray(value)
    if array.ndim == 0:
        return {"number": _number(array), "shown": plain(array[()])}
    rows = array.reshape(-1, array.shape[-1])[:_TABLE, :_TABLE]
    more = array.size > rows.size
    table = [[plain(each, 4) for each in row] for row in rows]
    return {"shape": list(array.shape), "shown": shown(array), "table": table, "more": more}


def _nudges(t: Any, nodes: Sequence[Node]) -> dict[str, Any]:
    """For arrays: the number with the largest derivative nudged beforehand, by a few eps."""
    found = {}
    for node in nodes:
        slope = t.reading.slopes.get(node) if node.dtype in FLOATS else None
        if slope is None or not np.size(slope):
            continue
        size = np.nan_to_num(np.abs(np.asarray(slope)))
        index = tuple(int(k) for k in np.unravel_index(int(size.argmax()), size.shape))
        rows = [nudged(t.reading, node, eps, index, t.of) for eps in EPS]
        found[t.reading.names[node]] = [
            {
                "name": row.name,
                "eps": row.eps,
                "before": _number(row.before),
                "after": _number(row.after),
                "derivative": None if row.derivative is None else _number(row.derivative),
                "moved": {name: [shown(was), shown(now)] for name, (was, now) in row.moved.items()},
            }
            for row in rows
        ]
    return found
