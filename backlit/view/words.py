"""What records say of themselves, in words: layers, losses, optimizers, penalties."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core import registry
from ..core.errors import counted
from ..core.shapes import show
from ..layers.regularizers import Regularizer
from ..train.frozen import kind_name

_CITED = re.compile(r"\s*\([A-Z][^()]*\b(19|20)\d\d\)")
_COUNTS = {"units": "unit", "filters": "filter"}
_ELSEWHERE = ("_initializer", "_regularizer", "_constraint")  # said in other places, or seen in the weights
_UNSAID = {"name", "dtype", "trainable", "use_bias", "weights"}
_LONGEST = 24  # signs of a setting that is written out


def gist(record: Any) -> str:
    """The first sentence of the documentation of a record or its class, without whom it cites; '' where there is none.

    >>> import backlit as bl
    >>> gist(bl.layers.Dense(3))
    'Every unit sees every input: z = x·W + b, a = g(z).'
    """
    kind = record if isinstance(record, type) else type(record)
    doc = kind.__dict__.get("__doc__") or ""
    first = " ".join(inspect.cleandoc(doc).partition("\n\n")[0].split())
    return _CITED.sub("", re.split(r"(?<=[.)])\s+(?=[A-Z`])", first)[0].replace("`", ""))


def said(layer: Any) -> str:
    """What a layer is configured to: ``Dense, 25 units, relu``.

    >>> import backlit as bl
    >>> said(bl.layers.Dense(25, activation="relu")), said(bl.layers.Dropout(0.2))
    ('Dense, 25 units, relu', 'Dropout, rate 0.2')
    """
    if kind_name(layer) != type(layer).__name__:
        return kind_name(layer)  # its code is not here, and so not its arguments
    given = getattr(layer, "arguments", None) or {}
    usual = inspect.signature(type(layer).__init__).parameters
    words = [kind_name(layer)]
    for key, value in given.items():
        if key in _UNSAID or key.endswith(_ELSEWHERE) or key not in usual:
            continue
        if key == "activation":
            words.append(function_name(value))
        elif key in _COUNTS:
            words.append(counted(value, _COUNTS[key]))
        elif not _same(value, usual[key].default):
            words.append(_setting(key, value))
    if given.get("use_bias") is False:
        words.append("no bias")
    return ", ".join(words)


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, (bool, int, float, str)) and value == default)


def _setting(key: str, value: Any) -> str:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, bool):
        return key if value else f"no {key}"
    if isinstance(value, float):
        return f"{key} {value:.4g}"
    if isinstance(value, (list, tuple, Mapping)):
        return f"{key} {value}" if len(str(value)) <= _LONGEST else f"{key} of {len(value)} numbers"
    return f"{key} {value if isinstance(value, (str, int)) else function_name(value)}"


def function_name(value: Any) -> str:
    """The name of an activation: of a record, a function, a layer, or none."""
    if value is None:
        return "linear"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return str(value.get("class", "a layer"))
    return str(getattr(value, "name", None) or getattr(value, "__name__", type(value).__name__))


def activation_of(layer: Any) -> str:
    """The activation that a layer is configured to, "" for none."""
    given = getattr(layer, "arguments", None) or {}
    name = function_name(given.get("activation"))
    return "" if name == "linear" else name


def explained(layer: Any) -> str:
    """One sentence on what a layer computes; for one's own layer without documentation, what it makes of what."""
    known = type(layer).__name__ == kind_name(layer)
    if own := gist(layer if known else registry.find(f"layer.{kind_name(layer)}") or layer):
        return own
    shapes = f" of {_shape(layer.input_shape)} into {_shape(layer.output_shape)}" if layer.output_shape else ""
    return f"a layer of somebody's own: it turns an input{shapes or ' into an output'}."


def activations(layers: Sequence[Any], ends: Sequence[str]) -> dict[str, str]:
    """Each activation that layers are configured to or that makes an output, and what it computes."""
    names = dict.fromkeys([*map(activation_of, layers), *ends])
    records = {name: registry.find(f"op.{name}") for name in names if name}
    return {
        name: record.doc.partition(". ")[0].rstrip(".").replace("`", "")
        for name, record in records.items()
        if record is not None
    }


def _shape(shape: Any) -> str:
    if isinstance(shape, Mapping):
        return ", ".join(f"{key} {_shape(part)}" for key, part in shape.items())
    if isinstance(shape, list):
        return " and ".join(map(_shape, shape))
    return show(shape)


def arithmetic(layer: Any) -> str:
    """How many numbers the weights of a layer hold, as they are counted: ``64·25 + 25 = 1,625``."""
    leaves = layer.weights
    if not leaves:
        return ""
    total = sum(leaf.array.size for leaf in leaves)
    parts = ["·".join(map(str, leaf.shape)) or "1" for leaf in leaves]
    text = f"{' + '.join(parts)} = {total:,}" if len(leaves) > 1 or len(leaves[0].shape) > 1 else f"{total:,}"
    free = sum(leaf.array.size for leaf in layer.trainable_weights)
    return text if free == total else f"{text}, {f'{free:,} of them' if free else 'not'} trained"


def penalties(layers: Sequence[Any]) -> Iterator[str]:
    """The regularizers of layers, the same ones together: ``L2(l2=0.001) on the kernels of dense and dense_1``."""
    found: dict[tuple[str, str], list[str]] = {}
    for layer in layers:
        for key, value in (getattr(layer, "arguments", None) or {}).items():
            if key.endswith("_regularizer") and value is not None:
                rule = repr(Regularizer.get(value))
                found.setdefault((rule, key.removesuffix("_regularizer")), []).append(layer.name)
    for (rule, what), names in found.items():
        of = {"kernel": "weights", "activity": "output"}.get(what, what)
        yield f"{rule} on the {of} of {listed(names)}"


def listed(words: Sequence[str], most: int = 12) -> str:
    """``a, b and c``, the rest of a long list counted."""
    if len(words) > most:
        return ", ".join([*words[: most - 1], f"… ({len(words)} in all)"])
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def printable(text: str) -> str:
    """`text` without signs that would move a terminal's cursor: they may stand in names from a file.

    >>> printable("a\x1b[31m")
    'a�[31m'
    """
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
