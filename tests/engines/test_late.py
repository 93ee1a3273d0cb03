"""Updates behind the gate, over the values that they replace: what a run may see of them is nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core.walk import Graph
from backlit.engines import base, late

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": bl.optimizers.Adam,
    "adam with all": lambda: bl.optimizers.Adam(use_ema=True, clipnorm=1.0, weight_decay=1e-3, amsgrad=True),
    "nesterov": lambda: bl.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda: bl.optimizers.RMSprop(centered=True),
    "adadelta": bl.optimizers.Adadelta,
}


def _model(optimizer: Any) -> bl.Sequential:
    bl.random.set_seed(0)
    dense = layers.Dense(20, "relu", kernel_regularizer="l2", kernel_constraint=bl.constraints.MaxNorm(1.0))
    model = bl.Sequential([bl.Input((12,)), dense, layers.BatchNormalization(), layers.Dense(3)])
    loss = bl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(engine="compiled", optimizer=optimizer, loss=loss)
    return model


def _trained(optimizer: Any) -> list[np.ndarray]:
    model, rng = _model(optimizer), np.random.default_rng(0)
    model.fit(rng.normal(size=(70, 12)), rng.integers(0, 3, 70), batch_size=20, epochs=3, verbose=0, doctor="off")
    return [np.array(each) for each in model.get_weights()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_late_updates_are_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = _trained(OPTIMIZERS[name]())
    monkeypatch.setattr(late, "_MANY", 0)
    over = _trained(OPTIMIZERS[name]())
    assert all(np.array_equal(a, b) for a, b in zip(beside, over, strict=True))


def _plan(model: bl.Sequential) -> Any:
    _, program = model.step("train", (None,))
    return next(iter(program.idle.values()))[0]


def test_late_updates_need_no_room_beside_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_MANY", 0)
    model = bl.Sequential([bl.Input((12,)), layers.Dense(20, "relu"), layers.Dense(3)])
    model.compile(engine="compiled", optimizer="adam", loss="mse")
    model.train_on_batch(np.ones((4, 12)), np.ones((4, 3)))
    plan = _plan(model)
    assert plan.tabled.machine_code
    assert sum(each.nbytes for each in plan.beside.values()) < 100


def test_step_that_is_not_finite_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_MANY", 0)
    model, rng = _model("adam"), np.random.default_rng(0)
    X, y = rng.normal(size=(40, 12)), rng.integers(0, 3, 40)
    model.fit(X, y, batch_size=20, verbose=0, doctor="off")
    before = [np.array(each) for each in model.get_weights()]
    steps = model.iterations
    X[:] = 1e38
    model.fit(X, y, batch_size=20, verbose=0, doctor="off")
    assert model.iterations == steps
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_all_updates_see_the_old_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_MANY", 0)
    a, b, c = (bl.variable(np.full((5, 3), value), name=name) for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0)))
    updates = {a: b * 2 + c, b: a * 3, c: bl.ops.transpose(bl.ops.reshape(a, (3, 5))) + b}
    gate = bl.ops.sum(a) < 1000.0
    program = base.engine("compiled").compile(Graph([], [bl.ops.sum(a)], updates, gate))
    for old in ((1.0, 2.0, 3.0), (7.0, 3.0, 3.0), (9.0, 21.0, 10.0)):
        assert tuple(float(each.value[2, 1]) for each in (a, b, c)) == old
        assert program.evaluate({}).committed
