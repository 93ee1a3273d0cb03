"""L layers by hand: one block forward, one block back, and a cache between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab

SIZES, RATE, STEPS = (64, 20, 7, 5, 1), 0.05, 400
Block = dict[str, np.ndarray]


def data() -> tuple[np.ndarray, np.ndarray]:
    """X (64, m) and Y (1, m): is a digit below 5? (The course has pictures of cats here, which are not ours to give.)"""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X[:600].T / 16, (y[None, :600] < 5).astype(float)


def first(sizes: Sequence[int]) -> list[Block]:
    """He's random weights, zero biases; W[l] (n[l], n[l−1]), b[l] (n[l], 1)."""
    rng = np.random.default_rng(3)
    return [
        {"W": rng.standard_normal((n, before)) * np.sqrt(2 / before), "b": np.zeros((n, 1))}
        for before, n in pairwise(sizes)
    ]


def forward_block(A: np.ndarray, p: Block, last: bool) -> tuple[np.ndarray, Block]:
    """a[l−1] in, a[l] out, and what the way back will need."""
    Z = p["W"] @ A + p["b"]
    return (1 / (1 + np.exp(-Z)) if last else np.maximum(0, Z)), {"A": A, "Z": Z}


def backward_block(dA: np.ndarray, p: Block, cache: Block, last: bool) -> tuple[np.ndarray, Block]:
    """da[l] in, da[l−1] out, and dW[l], db[l]."""
    m = dA.shape[1]
    if last:
        a = 1 / (1 + np.exp(-cache["Z"]))
        dZ = dA * a * (1 - a)
    else:
        dZ = dA * (cache["Z"] > 0)
    return p["W"].T @ dZ, {"W": dZ @ cache["A"].T / m, "b": dZ.sum(axis=1, keepdims=True) / m}


def step(blocks: Sequence[Block], X: np.ndarray, Y: np.ndarray) -> tuple[float, list[Block]]:
    """The cost and every block's gradients."""
    A, caches = X, []
    for place, p in enumerate(blocks):
        A, cache = forward_block(A, p, place == len(blocks) - 1)
        caches.append(cache)
    J = float(-np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)))
    dA = -Y / A + (1 - Y) / (1 - A)
    gradients: list[Block] = []
    for place in reversed(range(len(blocks))):
        dA, found = backward_block(dA, blocks[place], caches[place], place == len(blocks) - 1)
        gradients.insert(0, found)
    return J, gradients


def network(blocks: Sequence[Block]) -> bl.Sequential:
    """The same one of the library, examples as rows."""
    dense = [
        bl.layers.Dense(len(p["b"]), activation="relu" if place < len(blocks) - 1 else None, dtype="float64")
        for place, p in enumerate(blocks)
    ]
    model = bl.Sequential([bl.Input((blocks[0]["W"].shape[1],), dtype="float64"), *dense])
    for layer, p in zip(dense, blocks, strict=True):
        layer.set_weights([p["W"].T, p["b"][:, 0]])
    model.compile(bl.optimizers.SGD(RATE), bl.losses.BinaryCrossentropy(from_logits=True))
    return model


def compute() -> Found:
    """Train by hand and by the library from the same weights."""
    X, Y = data()
    blocks, costs = first(SIZES), []
    model = network(blocks)
    for _ in range(STEPS):
        J, gradients = step(blocks, X, Y)
        costs.append(J)
        blocks = [{name: p[name] - RATE * g[name] for name in p} for p, g in zip(blocks, gradients, strict=True)]
    history = model.fit(X.T, Y.T, batch_size=X.shape[1], epochs=STEPS, shuffle=False, verbose=0, doctor="off")
    small = first((3, 5, 5, 3, 1))
    return {
        "model": model,
        "layers": len(SIZES) - 1,
        "shapes of W": ", ".join(str(p["W"].shape) for p in first(SIZES)),
        "shapes of W of 3-5-5-3-1": ", ".join(str(p["W"].shape) for p in small),
        "its parameters": int(sum(each.size for p in small for each in p.values())),
        "cost before the first step": costs[0],
        "cost at the end": costs[-1],
        "largest difference to the library": float(np.abs(np.subtract(costs, history.history["loss"])).max()),
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """The chart of blocks with what they pass, and the cost."""
    return {"blocks": bl.plot.blocks(found["model"]), "cost": bl.plot.history(found["model"])}


LAB = Lab(
    name="deep",
    title="L layers by hand: blocks forward, blocks back",
    about="What of the equations changes when there are L layers, and what has each layer to keep?",
    says="Nothing changes: one block forward and one back serve every layer; going forward each keeps its input and z, and"
    " going back each needs no more than that and the derivative that comes in.",
    compute=compute,
    pictures=pictures,
    golden=(
        Golden("3-5-5-3-1: W [l] is (n [l], n [l−1])", "shapes of W of 3-5-5-3-1", "(5, 3), (5, 5), (3, 5), (1, 3)"),
        Golden("72 parameters", "its parameters", 72),
        Golden("library and hand agree over 400 steps", "largest difference to the library", 0.0, 1e-9),
        Golden("the cost falls", "cost at the end", lambda J: J < 0.2),
    ),
    rows=("C377", "C354", "W024", "Q046"),
    shown=(
        "layers", "shapes of W", "shapes of W of 3-5-5-3-1", "its parameters", "cost before the first step",
        "cost at the end", "largest difference to the library",
    ),
)  # fmt: skip
