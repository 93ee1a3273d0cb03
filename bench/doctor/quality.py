"""How well a trained model answers: one number from its predictions, whatever its loss was."""

from __future__ import annotations

from typing import Any

import numpy as np

from .program import Run

NOTHING = {"regression": -1.0}  # the score of what did not train; 0 for classes


def quality(model: Any, run: Run, task: str) -> float:
    """R² (from -1) of numbers, the mean recall of the classes (0 to 1), or that of every label's yes and no."""
    x, y = run.judge or (run.x, run.y)
    with np.errstate(all="ignore"):
        p = np.asarray(run.answer(model.predict(x, verbose=0)), dtype=np.float64)
    p, y = p.reshape(len(p), -1), np.asarray(y).reshape(len(p), -1)
    if not np.isfinite(p).all():
        return NOTHING.get(task, 0.0)
    if task == "regression":
        return _explained(y, p)
    if task == "multi-label":
        p = p[:, -y.shape[1] :] if p.shape[1] > y.shape[1] else np.broadcast_to(p, y.shape)
        return float(np.mean([_recall(y[:, [k]] > 0, _sides(y, p)[:, [k]]) for k in range(y.shape[1])]))
    if y.shape[1] > 1:
        y = y.argmax(axis=1)[:, np.newaxis]
    if p.shape[1] > 1:
        return _recall(y, p.argmax(axis=1)[:, np.newaxis])
    return _recall(y > 0, _sides(y, p)) if task == "binary" else _recall(y, np.round(p))


def _explained(y: Any, p: Any) -> float:
    if p.shape != y.shape:
        return -1.0
    left = ((y - p) ** 2).mean(axis=0) / np.maximum(y.var(axis=0), 1e-9)
    return float(np.maximum(1 - left[y.var(axis=0) > 1e-9], -1).mean())


def _sides(y: Any, p: Any) -> Any:
    """Yes or no: from probabilities at a half, from logits and margins at 0."""
    between = bool(y.min() >= 0 and p.min() >= 0 and p.max() <= 1)
    return p > (0.5 if between else 0.0)


def _recall(y: Any, said: Any) -> float:
    """The share of each class that was recognised, on average over the classes."""
    return float(np.mean([(said[y == label] == label).mean() for label in np.unique(y)]))
