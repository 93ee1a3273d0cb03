"""A model in plain words on one screen: what it is, what goes in and comes out, how it was trained, how good it is."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core import registry
from ..core.errors import counted
from ..core.shapes import show
from ..train.frozen import Frozen, kind_name
from ..train.scores import verdict
from .advice import advise, lines
from .kinds import kind, parts
from .known import Known
from .outputs import ends, outputs
from .words import activations, arithmetic, explained, gist, listed, penalties, printable, said

_WIDTH = 100
_NARROW = 20  # signs below which a column is not squeezed
_PARTS = ("train", "dev", "test")


class Explanation:
    """What a model is and what is known of it. `str` is the text, `text(width)` the same for another width, `to_json()`
    a plain dict."""

    def __init__(self, model: Any, x: Any = None, y: Any = None):
        self._facts = _facts(model, x, y)

    def to_json(self) -> dict[str, Any]:
        """Everything that the text says, as plain lists, dicts, texts and numbers."""
        return self._facts

    def text(self, width: int = _WIDTH) -> str:
        """The explanation in lines of at most `width` signs."""
        return "\n".join(printable(line).rstrip() for line in _lines(self._facts, max(width, 40)))

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"


# ---------------------------------------------------------------------- what is known
def _facts(model: Any, x: Any, y: Any) -> dict[str, Any]:
    about = model.about if isinstance(model.about, Mapping) else {}
    nodes = ends(model) if model.built else []
    found = outputs(model, nodes, str(about.get("target") or "")) if model.built else []
    facts: dict[str, Any] = {
        "name": model.name,
        "kind": kind(model, found, nodes),
        "built": model.built,
        "input": _inputs(model, about),
        "network": [_layer(layer) for layer in parts(model)],
        "layers": {kind_name(layer): explained(layer) for layer in parts(model)},
        "activations": activations(parts(model), [each.last for each in found]),
        "parameters": _parameters(model) if model.built else None,
        "output": [
            {"name": each.name, "shape": _plain(each.shape), "kind": each.kind, "link": each.link, "activation": each.last,
             "says": each.says, "doubt": each.doubt}
            for each in found
        ],
        "classes": None if model.classes is None else list(model.classes),
        "missing": list(map(str, model.missing)) if isinstance(model, Frozen) else [],
        "training": _training(model, about, found),
        "scores": about.get("scores") or None,
        "advice": advise(Known(model, found, nodes, x, y)),
    }  # fmt: skip
    return facts


def _plain(shape: Any) -> Any:
    """A shape as JSON has it: m for the examples."""
    if isinstance(shape, Mapping):
        return {key: _plain(part) for key, part in shape.items()}
    return [
        _plain(part) if isinstance(part, (tuple, list)) else part if isinstance(part, int) else str(part)
        for part in shape
    ]


def _inputs(model: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    table = getattr(model, "columns", None)
    names = about.get("columns") if table is None else table.encoded
    return {
        "shape": _plain(model.input_shape) if model.built else None,
        "names": list(map(str, names)) if isinstance(names, (list, tuple)) else None,
        "unit": about.get("unit"),
        "image": about.get("image") if isinstance(about.get("image"), (list, tuple)) else None,
        "table": None if table is None else [
            {"name": each.name, "kind": each.kind, "detail": each.detail} for each in table.used
        ],
        "left_out": None if table is None else [list(each) for each in table.left_out],
    }  # fmt: skip


def _layer(layer: Any) -> dict[str, Any]:
    return {
        "name": layer.name,
        "class": kind_name(layer),
        "said": said(layer),
        "output": None if layer.output_shape is None else _plain(layer.output_shape),
        "parameters": layer.count_params() if layer.built else None,
        "arithmetic": arithmetic(layer) if layer.built else "",
        "trainable": layer.trainable,
    }


def _parameters(model: Any) -> dict[str, int]:
    total, free = (sum(leaf.array.size for leaf in each) for each in (model.weights, model.trainable_weights))
    return {"total": total, "trained": free, "not_trained": total - free}


def _training(model: Any, about: Mapping[str, Any], found: Sequence[Any]) -> dict[str, Any] | None:
    if model.asked is None:
        return None
    shares = {head.name: head.share for head in model.heads} if model.built else {}
    losses = [
        {"output": each.name, "loss": repr(each.loss), "says": _loss(each), "share": shares[each.name]}
        for each in found
        if each.loss is not None
    ]
    optimizer = repr(model.optimizer)
    if "learning_rate" not in optimizer:
        optimizer += f" with learning rate {model.optimizer.learning_rate:g}"
    return {
        "task": about.get("task"),
        "losses": losses or [{"output": "", "loss": str(model.loss), "says": "", "share": 1.0}],
        "penalties": list(penalties(parts(model))),
        "optimizer": optimizer,
        "optimizer_says": gist(model.optimizer),
        "engine": model.engine + (", chosen by 'auto'" if model.engine_name == "auto" else ""),
        "data": about.get("name"),
        "fingerprint": about.get("fingerprint"),
        "source": about.get("source"),
        "seed": about.get("seed", model.seed),
        "epochs": model.epochs_done,
        "steps": model.iterations,
    }


def _loss(end: Any) -> str:
    words = gist(end.loss)
    return f"{words} Here p is the {end.link} of the output." if end.kind == "logits" and words else words


# ---------------------------------------------------------------------- in lines
def _lines(facts: Mapping[str, Any], width: int) -> Iterator[str]:
    yield from textwrap.wrap(f"{facts['name']}: {_article(facts['kind'])}.{_purpose(facts)}", width)
    sections = {
        "input": _input_lines, "network": _network_lines, "output": _output_lines, "training": _training_lines,
        "scores": _score_lines, "advice": _advice_lines,
    }  # fmt: skip
    for title, write in sections.items():
        yield ""
        yield title
        for line in write(facts, width - 2):
            yield from (f"  {part}" for part in ([line] if len(line) <= width - 2 else textwrap.wrap(line, width - 2)))


def _article(words: str) -> str:
    plain = words.startswith(("logistic", "linear regression", "softmax")) or words[0].isdigit()
    return words if plain else f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _purpose(facts: Mapping[str, Any]) -> str:
    classes, found = facts["classes"], facts["output"]
    if len(found) != 1:
        return ""
    kind_, link, units = found[0]["kind"], found[0]["link"], found[0]["shape"][-1]
    if link == "softmax":
        return f" It tells {units} classes apart."
    if link == "sigmoid" and units == 1:
        return (
            f" It tells {classes[0]} (0) from {classes[1]} (1)."
            if classes and len(classes) == 2
            else " It decides yes or no."
        )
    if link == "sigmoid":
        return f" It decides on {units} labels, each by itself."
    return f" It predicts {counted(units, 'number')}." if kind_ == "values" and isinstance(units, int) else ""


def _pair(label: str, words: str, width: int, indent: int = 11) -> Iterator[str]:
    """A label and its words behind it, in as many lines as they need."""
    lines = textwrap.wrap(words, max(20, width - indent), break_long_words=False, break_on_hyphens=False) or [""]
    for place, line in enumerate(lines):
        yield f"{label if not place else '':<{indent}}{line}"


def _input_lines(facts: Mapping[str, Any], width: int) -> Iterator[str]:
    given = facts["input"]
    if given["shape"] is None:
        yield "not known yet: the model has no weights. Fit it, or build it: model.build((n,))"
        return
    yield from _pair("shape", _shape(given["shape"]) + ", m being the number of examples", width)
    if given["table"] is not None:
        for each in given["table"]:
            yield from _pair("column", f"{each['name']}: {each['kind']}. {each['detail']}", width)
        for name, why in given["left_out"]:
            yield from _pair("left out", f"{name}: {why}", width)
    elif given["image"]:
        yield from _pair("picture", " × ".join(map(str, given["image"])) + " pixels, row by row", width)
    elif given["names"]:
        yield from _pair("columns", listed(given["names"]), width)
    if given["unit"]:
        yield from _pair("unit", str(given["unit"]), width)


def _shape(shape: Any) -> str:
    if isinstance(shape, Mapping):
        return ", ".join(f"{key} {_shape(part)}" for key, part in shape.items())
    if shape and isinstance(shape[0], list):
        return " and ".join(map(_shape, shape))
    return show(tuple(shape))


def _network_lines(facts: Mapping[str, Any], width: int) -> Iterator[str]:
    rows = [
        (row["name"], row["said"], "" if row["output"] is None else _shape(row["output"]), row["arithmetic"])
        for row in facts["network"]
    ]
    yield from _table(rows, width)
    if facts["parameters"]:
        count = facts["parameters"]
        fixed = f" {count['not_trained']:,} more are not." if count["not_trained"] else ""
        yield f"{count['trained']:,} parameters are trained.{fixed}"
    records = {**facts["layers"], **facts["activations"]}
    for name, words in records.items():
        yield from _pair(name, words, width, max(map(len, records)) + 2)


def _table(rows: Sequence[tuple[str, str, str, str]], width: int) -> Iterator[str]:
    """Rows of name, settings, shape and arithmetic in aligned columns. In narrow lines the settings are broken, in very
    narrow ones the arithmetic stands below them."""
    wide = [max((len(row[place]) for row in rows), default=0) for place in range(4)]
    room = width - wide[0] - wide[2] - wide[3] - 6
    below = room < min(wide[1], _NARROW)
    room = width - wide[0] - wide[2] - 4 if below else room
    wide[1] = max(12, min(room, max(wide[1], wide[3] if below else 0)))
    for name, settings, shape, counted_as in rows:
        lines = textwrap.wrap(settings, wide[1]) + (textwrap.wrap(counted_as, wide[1]) if below else [])
        for place, part in enumerate(lines):
            cells = ["" if place else name, part, "" if place else shape, "" if place or below else counted_as]
            yield "  ".join(f"{cell:<{size}}" for cell, size in zip(cells, wide, strict=True))


def _output_lines(facts: Mapping[str, Any], width: int) -> Iterator[str]:
    if not facts["output"]:
        yield "not known yet"
    for each in facts["output"]:
        alone = len(facts["output"]) == 1
        yield from _pair("shape" if alone else each["name"], _shape(each["shape"]), width)
        yield from _pair("means", each["says"], width)
        if each["doubt"]:
            yield from _pair("careful", each["doubt"], width)
    if facts["classes"]:
        yield from _pair("classes", listed(facts["classes"]), width)


def _training_lines(facts: Mapping[str, Any], width: int) -> Iterator[str]:
    if facts["missing"]:
        names = listed(facts["missing"])
        yield from _pair("missing", f"{names}, of which it was made: it predicts, but cannot be trained here.", width)
    known = facts["training"]
    if known is None:
        yield "not compiled: loss and optimizer are unknown"
        return
    for each in known["losses"]:
        of = f"of {each['output']}, {each['share']:g} times: " if len(known["losses"]) > 1 else ""
        of = of or (f"{each['share']:g} times " if each["share"] != 1 else "")
        yield from _pair("loss", f"{of}{each['loss']}: {each['says']}".rstrip(": "), width)
    yield from _pair("penalty", "; ".join(known["penalties"]) or "none", width)
    yield from _pair("optimizer", f"{known['optimizer']}: {known['optimizer_says']}".rstrip(": "), width)
    yield from _pair("engine", known["engine"], width)
    mark = f", fingerprint {str(known['fingerprint'])[:8]}" if known["fingerprint"] else ""
    rows = [f"{each['n']:,} {part}" for part, each in _parts_of(facts["scores"]) if part in _PARTS]
    told = f"{known['data']}{mark}" if known["data"] else "not known"
    yield from _pair("data", told + (f"; rows: {listed(rows)}" if rows else ""), width)
    seed = "" if known["seed"] is None else f", seed {known['seed']}"
    done = f"{counted(known['epochs'], 'epoch')}, {counted(known['steps'], 'step')}" if known["steps"] else "not yet"
    yield from _pair("trained", done + seed, width)


def _score_lines(facts: Mapping[str, Any], width: int) -> Iterator[str]:
    found = dict(_parts_of(facts["scores"]))
    if not found:
        yield "none are stored with the model; model.evaluate(X, y) makes some"
    for part, each in found.items():
        key, name = ("r2", "R²") if "r2" in each else ("accuracy", "accuracy")
        low, high = each["interval"]
        words = f"{name} {each[key]:.4f} (95 %: {low:.4f} … {high:.4f}) on {counted(each['n'], 'row')}"
        yield from _pair(part if part in _PARTS else "", words if part in _PARTS else f"a {part} model: {words}", width)
    if {"test", "constant", "linear"} <= found.keys() and len({"r2" in each for each in found.values()}) == 1:
        yield from textwrap.wrap(verdict(found["test"], found), width)


def _advice_lines(facts: Mapping[str, Any], width: int) -> Iterator[str]:
    for number, words in lines(facts["advice"]):
        yield from _pair(number, words, width)


def _parts_of(scores: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scores of each part of the data and of the simple models, those that are complete."""
    if not isinstance(scores, Mapping):
        return
    simple = scores.get("baseline")
    for part, each in [*scores.items(), *(simple.items() if isinstance(simple, Mapping) else ())]:
        if part != "baseline" and isinstance(each, dict) and _complete(each):
            yield part, each


def _complete(scored: Mapping[str, Any]) -> bool:
    interval = scored.get("interval")
    ends = list(interval) if isinstance(interval, (list, tuple)) and len(interval) == 2 else [None]
    numbers = [scored.get("r2", scored.get("accuracy")), *ends]
    return isinstance(scored.get("n"), int) and all(isinstance(each, (int, float)) for each in numbers)


registry.register("view.explain", Explanation)
