"""First values of the parameters of a printed NumPy program, and the draws of its training steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.node import Leaf, Node, input_leaf
from . import as_numpy_helpers
from .as_numpy_words import Words, literal, one_line
from .forward import turned_shape
from .kinds import parts

_FEW = 100  # numbers of a first value that are written out
_SEED = input_leaf((), "seed", "uint32")


def first_values(model: Any, own: Leaf, name: str, words: Words, columns: bool) -> str:
    """One entry of the parameters: the law that a weight's first values follow."""
    shape = turned_shape(own.shape) if columns else own.shape
    initializer = _initializer(model, own)
    law = _law(initializer, own.shape, shape, words) if initializer is not None else ""
    if law:
        return f'"{name}": {law},  # {type(initializer).__name__}'
    why = "the layer's own" if initializer is None else one_line(repr(initializer))
    return f'"{name}": np.zeros({words.shape(shape)}),  # no law for {why}: give weights={{"{name}": ...}}'


def _initializer(model: Any, own: Leaf) -> Any:
    for layer in parts(model):
        for key, (initializer, _) in layer._initial.items():
            if layer._weights.get(key) is own:
                return initializer
    return None


def _law(initializer: Any, own: Any, shape: Any, words: Words) -> str:
    """How the initializer's values are made, in NumPy; '' where nothing is known of it."""
    text = words.shape(shape)
    if (std := initializer.cut(own)) is not None:
        draw = words.brought(as_numpy_helpers.truncated_normal)
        mean = getattr(initializer, "mean", 0)
        return (f"{_short(mean)} + " if mean else "") + f"{draw}(rng, {_short(std)}, {text})"
    try:
        made = initializer.sample(own, _SEED, 0)
    except Exception:  # an initializer of somebody's own may do anything with a seed that is no number
        return ""
    if isinstance(made, Node):
        return _draw(made, text) or ""
    value = np.asarray(made, np.float64)
    if value.size and np.ptp(value) == 0:
        first = float(value.flat[0])
        named = {0.0: "np.zeros({})", 1.0: "np.ones({})"}.get(first)
        return named.format(text) if named else f"np.full({text}, {literal(first)[0]})"
    if value.size > _FEW:
        return ""
    value = value.T if value.ndim == 2 and shape != own else value
    return f"np.array({value.reshape(shape).tolist()})"


def drawn(leaf: Leaf, node: Node, words: Words) -> str:
    """How a training step draws: a mask that keeps with a probability, or noise."""
    made = _draw(node, words.shape(leaf.shape))
    if made is None:
        raise words.refusal(f"it draws by {node.op.name}", "a Dropout or noise layer")
    return made


def _draw(node: Node, shape: str) -> str | None:
    attrs = node.attrs
    match node.op.name:
        case "random_bernoulli":
            return f"rng.random({shape}) < {literal(attrs['p'])[0]}"
        case "random_uniform":
            return f"rng.uniform({_short(attrs['low'])}, {_short(attrs['high'])}, {shape})"
        case "random_normal":
            return f"rng.normal({_short(attrs['mean'])}, {_short(attrs['std'])}, {shape})"
    return None


def _short(value: float) -> str:
    return f"{value:.6g}"
