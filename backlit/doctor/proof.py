"""A short training with and without a fix, side by side."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..train.losses_base import Loss

_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 20
_WIDTH, _HEIGHT = 320, 120  # of a picture
_BETTER = 0.02
RED, GREEN = "#c62828", "#2e7d32"


@dataclass
class Curve:
    """A training in pieces: the number of steps done, the mean loss of the piece, and the score after it. `kind`:
    "right answers", a share, or "R²"."""

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    kind: str = ""

    def until(self, count: int) -> Curve:
        """The first so many points."""
        return Curve(self.steps[:count], self.losses[:count], self.scores[:count], self.kind)


@dataclass(frozen=True)
class Proof:
    """Two short trainings from the same seed, as it is and with the fix; the first one has no points where it is refused.
    `same_loss`: whether their losses can be compared. `note`: which rows they were tried on, if not on all."""

    before: Curve
    after: Curve
    changes: tuple[str, ...]
    rows: int  # of a step
    same_loss: bool
    note: str = ""

    @property
    def better(self) -> bool:
        """Whether the fix shows: a score higher by 0.02, or where scores are equal half the loss. Where there was no training
        without it, that the score rises or the loss falls while it trains."""
        if not self.before.steps:
            rise, fall = self.after.scores[-1] - self.after.scores[0], self.after.losses[-1] / self.after.losses[0]
            return rise > _BETTER or fall < 0.9
        gain = self.after.scores[-1] - self.before.scores[-1]
        if abs(gain) > _BETTER or not self.same_loss:
            return gain > _BETTER
        return self.after.losses[-1] < 0.5 * self.before.losses[-1]

    @property
    def verdict(self) -> str:
        """The outcome in a sentence."""
        return f"{self._outcome} {self.note}".strip()

    @property
    def _outcome(self) -> str:
        now, steps = _share(self.after.scores[-1], self.after.kind), self.after.steps[-1]
        if not self.before.steps:
            said = f"Without the fix no step is made. {self.after.kind}: {now} with it, after {steps} steps of {self.rows} rows"
            return f"{said}." if self.better else f"{said}; it does not rise yet."
        was = _share(self.before.scores[-1], self.before.kind)
        said = f"{self.after.kind}: {was} without the fix, {now} with it, after {steps} steps of {self.rows} rows"
        if steps != self.before.steps[-1]:
            said = (
                f"{self.after.kind}: {was} after {self.before.steps[-1]} steps of {self.rows} rows, {now} after {steps}"
            )
        return f"The fix helps. {said}." if self.better else f"The fix does not show yet. {said}."

    def __str__(self) -> str:
        rows = [("", "loss", "", self.after.kind, "")]
        both = (("as it is", self.before), ("with the fix", self.after))
        losses = [*self.before.losses, *self.after.losses] if self.same_loss else []
        lines = [bars(each.losses, losses) for _, each in both]
        marks = [bars(each.scores, [*self.before.scores, *self.after.scores]) for _, each in both]
        for (name, each), line, mark in zip(both, lines, marks, strict=True):
            if not each.steps:
                rows.append((name, "refused", "", "", ""))
                continue
            ends = f"{each.losses[0]:.3g} → {each.losses[-1]:.3g}"
            rows.append(
                (name, ends, line, f"{_share(each.scores[0], each.kind)} → {_share(each.scores[-1], each.kind)}", mark)
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        other = (
            []
            if self.same_loss or not self.before.steps
            else ["The two losses are of different kinds; compare the right columns."]
        )
        return "\n".join([*self.changes, *table, *other, self.verdict])

    def _repr_html_(self) -> str:
        parts = [("loss", self.before.losses, self.after.losses)] if self.same_loss else []
        parts.append((self.after.kind, self.before.scores, self.after.scores))
        words = "; dashed as it is, solid with the fix"
        drawn = "".join(
            picture(title, ((before, RED, "6 4"), (after, GREEN, "")), words) for title, before, after in parts
        )
        changes = "<br>".join(f"<code>{html.escape(change)}</code>" for change in self.changes)
        return f"<div style='font:14px/1.45 system-ui,sans-serif'><p>{changes}</p>{drawn}<p>{html.escape(self.verdict)}</p></div>"

    def to_json(self) -> dict[str, Any]:
        """The curves as plain lists, numbers that are not finite as None."""
        curves = {name: _listed(each) for name, each in (("before", self.before), ("after", self.after))}
        told = {
            "changes": list(self.changes),
            "rows": self.rows,
            "same_loss": self.same_loss,
            "better": self.better,
            "note": self.note,
        }
        return {**told, **curves}


def _listed(curve: Curve) -> dict[str, Any]:
    numbers = {key: [_finite(v) for v in getattr(curve, key)] for key in ("losses", "scores")}
    return {"kind": curve.kind, "steps": curve.steps, **numbers}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _share(value: float, kind: str) -> str:
    return f"{value:.0%}" if kind == "right answers" else f"{value:.2f}" if value > -99 else "below -99"


def bars(values: Sequence[float], every: Sequence[float] = ()) -> str:
    """A row of bars between the extremes of all values, or of these alone; × where a number is not finite."""
    known = [v for v in every or values if math.isfinite(v)] or [0.0]
    low, high = min(known), max(known)
    if len(values) > _MOST_BARS:
        values = [values[round(place)] for place in np.linspace(0, len(values) - 1, _MOST_BARS)]
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((v - low) * scale)] if math.isfinite(v) else "×" for v in values)


def picture(title: str, lines: Sequence[tuple[Sequence[float], str, str]], words: str = "") -> str:
    """Lines (values, colour, dashes) in one small picture."""
    known = [v for values, _, _ in lines for v in values if math.isfinite(v)] or [0.0]
    low, high = min(known), max(known)
    span = high - low or 1.0
    drawn = []
    for values, colour, dash in lines:
        dots = [
            f"{10 + (_WIDTH - 20) * place / max(1, len(values) - 1):.1f},{_HEIGHT - 10 - (_HEIGHT - 20) * (v - low) / span:.1f}"
            for place, v in enumerate(values)
            if math.isfinite(v)
        ]
        drawn.append(
            f"<polyline fill='none' stroke='{colour}' stroke-width='2' stroke-dasharray='{dash}' points='{' '.join(dots)}'/>"
        )
    words = f"{html.escape(title)}: {low:.3g} … {high:.3g}{words}"
    box = f"viewBox='0 0 {_WIDTH} {_HEIGHT}' width='{_WIDTH}' height='{_HEIGHT}' role='img' aria-label='{words}'"
    frame = f"<rect width='{_WIDTH}' height='{_HEIGHT}' fill='none' stroke='#9998'/>"
    caption = f"<figcaption style='font-size:13px'>{words}</figcaption>"
    return f"<figure style='display:inline-block;margin:.5em 1em .5em 0'><svg {box}>{frame}{''.join(drawn)}</svg>{caption}</figure>"


# ---------------------------------------------------------------------- how well a model answers
def score(model: Any, x: Sequence[Any], y: Any, of_classes: bool) -> tuple[str, float]:
    """("right answers", their share), or where y holds numbers ("R²", its value); of the first output."""
    given = [np.asarray(part, dtype=leaf.dtype) for part, leaf in zip(x, model.inputs, strict=True)]
    out = np.asarray(model._outputs(given)[0], dtype=np.float64)
    loss = model.heads[0].loss
    if not of_classes:
        y = y.reshape(out.shape) if y.size == out.size else y
        with np.errstate(all="ignore"):
            return "R²", float(1 - np.mean((y - out) ** 2) / max(float(np.var(y)), 1e-12))
    logits = bool(getattr(loss, "from_logits", False))
    wide = out.shape[-1] if out.ndim > 1 else 1
    if y.ndim > 1 and y.shape[-1] > 1 and (y.sum(axis=-1) != 1).any():  # several labels an example
        return "right answers", float(((out > (0.0 if logits else 0.5)) == (y > 0.5)).mean())
    labels = y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y), -1)[:, 0]
    if wide > 1:
        told = out.argmax(axis=-1).reshape(len(y), -1)[:, 0]
    else:
        told = np.round(out.reshape(len(y), -1)[:, 0] + (0.5 if logits else 0.0)).clip(labels.min(), labels.max())
    return "right answers", float((told == labels).mean())


def names_classes(loss: Any, y: Any) -> bool:
    """Whether the loss is for classes, or y holds a few whole numbers from 0."""
    first = (
        next(iter(loss.values())) if isinstance(loss, dict) else loss[0] if isinstance(loss, (list, tuple)) else loss
    )
    if first is not None and Loss.get(first).probabilities:
        return True
    values = np.unique(y)
    return len(values) <= 20 and bool((values == np.arange(len(values))).all())
