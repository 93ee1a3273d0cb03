"""What an engine runs, shown with the layers it came from, and timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core.errors import NotReadyError, ShapeError

ENGINES = ("compiled", "planned", "reference")


def _model(engine: str) -> Any:
    made = [bl.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu", name="conv"), layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(), layers.Dropout(0.3, name="drop"), layers.Dense(10, name="out")]  # fmt: skip
    model = bl.Sequential(made)
    model.compile(engine=engine, optimizer="adam", loss=bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _data(rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 8, 8, 1)), rng.integers(0, 10, rows)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_layer_that_computes_has_lines(engine: str) -> None:
    source = _model(engine).source(16)
    told = {line.layer for line in source.lines}
    assert {"conv", "pool", "drop", "out", "loss"} <= told
    text = str(source)
    assert f"16 examples by the engine '{engine}'" in text
    assert all(line.how == ("machine code" if engine == "compiled" else "NumPy") for line in source.lines)


@pytest.mark.parametrize("engine", ["compiled", "planned"])
def test_products_stand_with_the_layers_whose_weights_they_use_or_learn(engine: str) -> None:
    products = [(line.layer, line.text) for line in _model(engine).source(16).lines if "matmul" in line.text]
    pooled = "(576, 4) in one pass: matmul, reshape, add, relu, windows, max, winners"
    assert sorted(products) == [
        ("conv", pooled if engine == "compiled" else "matmul (576, 9), (9, 4) -> (576, 4)"),
        ("conv", "matmul (9, 576), (576, 4) -> (9, 4)"),
        ("out", "matmul (16, 10), (10, 36) -> (16, 36)"),
        ("out", "matmul (16, 36), (36, 10) -> (16, 10)"),
        ("out", "matmul (36, 16), (16, 10) -> (36, 10)"),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_profile_changes_nothing_and_adds_up(engine: str) -> None:
    model, (X, y) = _model(engine), _data()
    model.fit(X, y, epochs=1, verbose=0, doctor="off")
    before, steps = [weight.copy() for weight in model.get_weights()], model.iterations
    profile = model.profile(X, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.iterations == steps
    assert all(line.seconds > 0 for line in profile.lines) and profile.peak > 0
    assert profile.seconds == pytest.approx(sum(line.seconds for line in profile.lines))
    assert any(line.gflops > 0 for line in profile.lines)
    assert "of peak" in str(profile) and "100 %" in str(profile)
    again = _model(engine)
    again.set_weights(before)
    model.fit(X, y, epochs=1, verbose=0, doctor="off")


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(NotReadyError, match="needs a compiled model"):
        bl.Sequential([layers.Dense(1)]).source()
    model = bl.Sequential([layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    with pytest.raises(NotReadyError, match="no weights yet"):
        model.source()
    model, (X, y) = _model("planned"), _data()
    with pytest.raises(ShapeError, match="does not fit"):
        model.profile(X[:, :4], y)


def test_own_record_is_marked_as_called_back() -> None:
    flipped = bl.layers.Lambda(lambda x: _sorted.node(x), name="own")
    model = bl.Sequential([bl.Input((4,)), flipped, layers.Dense(1)])
    model.compile(engine="compiled", optimizer="sgd", loss="mse")
    (line,) = [line for line in model.source().lines if line.how != "machine code"]
    assert (line.layer, line.how) == ("own", "NumPy, called back")


_sorted = bl.core.op.structural(
    "sorted_rows",
    ref=lambda x: np.sort(x, axis=-1),
    shape=lambda name, shapes, attrs: shapes[0],
    vjp=lambda g, y, x: [g],
    doc="Rows in order.",
)
