"""A unit that sees twenty samples of a heartbeat and not all hundred. The signal is made up, not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab, Slider

SAMPLES, EXAMPLES, SEED = 100, 240, 5


def heartbeat(rng: np.random.Generator, ill: bool, noise: float = 0.15) -> np.ndarray:
    """Synthesised: three bumps of a beat at a random place; where `ill`, the sharp one is low and broad."""
    t, shift = np.linspace(0, 1, SAMPLES), rng.uniform(-0.15, 0.15)
    sharp = (0.55, 0.045) if ill else (1.0, 0.018)
    bumps = ((0.35, 0.15, 0.03), (0.5, *sharp), (0.68, 0.3, 0.05))
    wave = sum(high * np.exp(-(((t - place - shift) / wide) ** 2) / 2) for place, high, wide in bumps)
    return np.asarray(wave + noise * rng.standard_normal(SAMPLES))


def data(count: int = EXAMPLES, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """X (m, 100, 1) and y (m, 1), half of them ill."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    return np.stack([heartbeat(rng, bool(each)) for each in y])[:, :, None], y[:, None].astype(float)


def network(kind: str) -> bl.Sequential:
    """Nine units, three units, one: shared windows, windows with weights of their own, or every unit sees all."""
    layers = bl.layers
    if kind == "dense":
        body = [layers.Flatten(), layers.Dense(9, activation="relu"), layers.Dense(3, activation="relu")]
    else:
        conv = layers.Conv1D if kind == "shared" else layers.LocallyConnected1D
        body = [
            conv(1, 20, strides=10, activation="relu"), conv(1, 5, strides=2, activation="relu"), layers.Flatten(),
        ]  # fmt: skip
    return bl.Sequential([bl.Input((SAMPLES, 1)), *body, layers.Dense(1)], name=kind)


def compute(examples: float) -> Found:
    """All three networks, trained on the same beats and tried on new ones."""
    X, y = data(int(examples))
    new, truth = data(1_000, SEED + 1)
    found: dict[str, Any] = {"signal": X[0], "model": None, "windows of layer 1": _windows(SAMPLES, 20, 10)}
    found["windows of layer 2"] = _windows(9, 5, 2)
    for kind in ("shared", "unshared", "dense"):
        right = []
        for seed in range(3):
            bl.random.set_seed(seed)
            model = network(kind)
            model.compile(bl.optimizers.Adam(0.01), bl.losses.BinaryCrossentropy(from_logits=True))
            model.fit(X, y, epochs=60, verbose=0, doctor="off")
            right.append(float(((model.predict(new, verbose=0) > 0) == truth).mean()))
        found[f"{kind}: parameters"] = int(model.count_params())
        found[f"{kind}: right on new beats, three seeds"] = np.array(right)
        if kind == "shared":
            found["model"] = model
    return found


def _windows(samples: int, window: int, stride: int) -> str:
    """What each unit sees, counted from 1."""
    return ", ".join(f"{k + 1}–{k + window}" for k in range(0, samples - window + 1, stride))


def pictures(found: Found) -> Mapping[str, Any]:
    """Which samples each unit sees."""
    return {"windows": bl.plot.receptive(found["model"], found["signal"])}


LAB = Lab(
    name="ekg",
    title="A heartbeat through windows (synthesised signal)",
    about="What does a layer gain whose units see twenty samples each, and do they share their weights or not?",
    says="Windows cost 31 parameters where all share one set of weights, 211 where each has its own and 943 where every unit"
    " sees everything; a convolution, as the word is used, shares them.",
    compute=compute,
    pictures=pictures,
    sliders=(Slider("examples", 20, 1_000, float(EXAMPLES), 20, "beats to train on"),),
    golden=(
        Golden("nine windows", "windows of layer 1", "1–20, 11–30, 21–40, 31–50, 41–60, 51–70, 61–80, 71–90, 81–100"),
        Golden("three windows of those", "windows of layer 2", "1–5, 3–7, 5–9"),
        Golden("shared weights: 21 + 6 + 4", "shared: parameters", 31),
        Golden("weights of one's own: 189 + 18 + 4", "unshared: parameters", 211),
        Golden("every unit sees all: 909 + 30 + 4", "dense: parameters", 943),
    ),
    rows=("C380", "C127", "C349", "W026", "Q031"),
    shown=(
        "windows of layer 1", "windows of layer 2", "shared: parameters", "unshared: parameters", "dense: parameters",
        "shared: right on new beats, three seeds", "unshared: right on new beats, three seeds",
        "dense: right on new beats, three seeds",
    ),
)  # fmt: skip
