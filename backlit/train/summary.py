"""The table of a model's layers."""

from __future__ import annotations

from typing import Any

from ..core import registry
from ..core.shapes import Rows, show
from .frozen import kind_name


def summary(model: Any) -> str:
    """Layers, output shapes and parameters as aligned text, with the totals below."""
    head = ("Layer (type)", "Output Shape", "Param #")
    rows = [(f"{layer.name} ({kind_name(layer)})", _shape(layer), _count(layer)) for layer in model.layers]
    widths = [max(len(row[i]) for row in (head, *rows)) + 2 for i in range(3)]

    def line(row: tuple[str, str, str]) -> str:
        return "│ " + " │ ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]))) + " │"

    def rule(left: str, middle: str, right: str) -> str:
        return left + middle.join("─" * (width + 2) for width in widths) + right

    table = [rule("┌", "┬", "┐"), line(head), rule("├", "┼", "┤"), *map(line, rows), rule("└", "┴", "┘")]
    return "\n".join([f'Model: "{model.name}"', *table, *_totals(model)])


def _shape(layer: Any) -> str:
    if layer.output_shape is None:
        return "?"
    return show(tuple("None" if isinstance(dim, Rows) else dim for dim in layer.output_shape))


def _count(layer: Any) -> str:
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _totals(model: Any) -> list[str]:
    trained = set(model.trainable_variables)
    sizes = [(leaf.array.size, leaf.array.nbytes, leaf in trained) for leaf in model.weights]
    rows = [
        (" Total params", [(n, b) for n, b, _ in sizes]),
        (" Trainable params", [(n, b) for n, b, t in sizes if t]),
        (" Non-trainable params", [(n, b) for n, b, t in sizes if not t]),
    ]
    lines = [f"{title}: {sum(n for n, _ in of):,} ({_bytes(sum(b for _, b in of))})" for title, of in rows]
    if model.optimizer is not None:
        slots = sum(slot.array.size for slots in model._slots.values() for slot in slots.values())
        lines.append(f" Optimizer: {model.optimizer!r}, {slots:,} numbers of its own, not in the total")
    return lines


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.2f} {unit}"
        count /= 1024
    return f"{count:.2f} GB"


registry.register("show.summary", summary)
