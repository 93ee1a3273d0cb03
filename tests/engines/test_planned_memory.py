"""What a planned step holds in memory: nothing new after the first one, and little more than what is alive at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core.node import Leaf, Node
from backlit.core.shapes import bind
from backlit.engines.pool import VIEWS

ROWS = 32
Dense = layers.Dense


def _networks() -> Iterator[Any]:
    def net(name: str, shape: tuple[int, ...], made: list[Any], optimizer: Any = "adam") -> Any:
        return pytest.param(lambda: _compiled([bl.Input(shape), *made], optimizer), id=name)

    yield net("course digits", (400,), [Dense(25, "relu"), Dense(15, "relu"), Dense(10)])
    yield net("wide", (100,), [Dense(256, "relu"), Dense(256, "relu"), Dense(10)])
    yield net("deep", (50,), [*(Dense(50, "tanh") for _ in range(20)), Dense(10)], "sgd")
    normal = [Dense(64), layers.BatchNormalization(), layers.Activation("relu"), Dense(10)]
    yield net("batch normalization", (30,), normal, "rmsprop")
    yield net("layer normalization", (30,), [Dense(64, "gelu"), layers.LayerNormalization(), Dense(10)], "adamw")
    yield net("dropout", (30,), [Dense(64, "relu"), layers.Dropout(0.5), Dense(64, "elu"), Dense(10)])
    conv = [layers.Conv1D(16, 20, strides=10, activation="relu"), layers.Conv1D(8, 5, strides=2), layers.Flatten()]
    yield net("signals", (100, 1), [*conv, Dense(10)])
    pictures = [layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(), Dense(10)]
    yield net("pictures", (12, 12, 1), pictures)
    yield net("words", (16,), [layers.Embedding(9, 16), layers.GlobalAveragePooling1D(), Dense(10)])
    nesterov = bl.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    yield net("probabilities", (20,), [Dense(30, "sigmoid"), Dense(10), layers.Softmax()], nesterov)


def _compiled(made: list[Any], optimizer: Any) -> Any:
    bl.random.set_seed(0)
    model = bl.Sequential(made)
    logits = not isinstance(made[-1], layers.Softmax)
    loss = bl.losses.SparseCategoricalCrossentropy(from_logits=logits)
    model.compile(engine="planned", optimizer=optimizer, loss=loss)
    return model


def _fed(model: Any) -> tuple[Any, dict[Leaf, Any]]:
    step, program = model.step("train", (None,))
    rng = np.random.default_rng(0)
    feed = {leaf: rng.integers(0, 9, bind(leaf.shape, ROWS)) for leaf in step.columns}
    return program, {**feed, step.rate: 1e-3, step.number: 1.0}


every_network = pytest.mark.parametrize("make", list(_networks()))


@every_network
def test_step_allots_nothing_and_grows_by_nothing(make: Any) -> None:
    program, feed = _fed(make())
    program.evaluate(feed)
    (plan,) = program.idle[ROWS]
    before = np.setbufsize(128)  # as a run of the program does
    try:
        with np.errstate(all="ignore"):
            for _ in range(100):  # Python and NumPy keep small blocks for themselves at first
                plan.step()
            tracemalloc.start()
            plan.step()
            start = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(1_000):
                plan.step()
            now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        np.setbufsize(before)
    assert peak - start < 4096
    assert now - start < 1024


def _alive(plan: Any) -> int:
    """The largest set of values alive at once, in the order in which they are computed; a view holds what it shows."""
    order = [unit for unit, _ in plan.lines]
    shown: dict[Node, Node] = {}
    for node in order:
        view = node.op.name in VIEWS and plan.value[node] is not None and not _moved(plan, node)
        shown[node] = shown.get(node.inputs[0], node.inputs[0]) if view and node.inputs else node
    last = {node: place for place, node in enumerate(order)}
    for place, node in enumerate(order):
        for i in node.inputs:
            last[shown.get(i, i)] = place
    for node in plan.graph.roots:
        last[shown.get(node, node)] = len(order)
    most, alive = 0, {}
    for place, node in enumerate(order):
        if shown[node] is node and not isinstance(node, Leaf) and node.inputs and node.op.name != "size":
            alive[node] = plan.value[node].nbytes
        most = max(most, sum(alive.values()))
        alive = {each: size for each, size in alive.items() if last[each] > place}
    return most


def _moved(plan: Any, node: Node) -> bool:
    """Whether a reshape had to copy."""
    return not np.may_share_memory(plan.value[node], plan.value[node.inputs[0]])


@every_network
def test_memory_of_a_plan_is_little_more_than_what_is_alive_at_once(make: Any) -> None:
    program, feed = _fed(make())
    program.evaluate(feed)
    (plan,) = program.idle[ROWS]
    assert plan.bytes <= 1.3 * _alive(plan)
