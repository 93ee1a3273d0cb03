"""Parameters and slots that are updated alike lie together and are updated at once: nothing else may be seen of that."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core.node import Leaf, input_leaf, variable
from backlit.core.walk import Graph
from backlit.engines.base import engine

Dense = layers.Dense
quick_engines = pytest.mark.parametrize("name", ["planned", "compiled"])
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(60, 6)).astype("float32"), rng.integers(0, 3, 60)


def _compiled(made: list[Any], name: str, optimizer: Any = "adam") -> Any:
    model = bl.Sequential(made)
    loss = bl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(engine=name, optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def _net(name: str, optimizer: Any = "adam", **keywords: Any) -> Any:
    bl.random.set_seed(7)
    made = [Dense(8, "tanh", **keywords), layers.BatchNormalization(), Dense(5, "relu"), Dense(3)]
    return _compiled([bl.Input((6,)), *made], name, optimizer)


OPTIMIZERS = {
    "sgd": lambda: bl.optimizers.SGD(0.1),
    "nesterov": lambda: bl.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: bl.optimizers.Adam(0.01, amsgrad=True),
    "adamw, each clipped": lambda: bl.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=0.5),
    "rmsprop, all clipped": lambda: bl.optimizers.RMSprop(0.01, centered=True, global_clipnorm=0.5),
    "lion, values clipped": lambda: bl.optimizers.Lion(0.01, clipvalue=0.1),
    "averaged": lambda: bl.optimizers.Adagrad(0.05, use_ema=True, ema_overwrite_frequency=3),
}
ODD = {
    "plain": {},
    "a constraint": {"kernel_constraint": bl.constraints.MaxNorm(0.5)},
    "a penalty": {"kernel_regularizer": bl.regularizers.L2(0.1)},
}


@quick_engines
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_leaves_what_reference_leaves(name: str, optimizer: str, odd: str) -> None:
    ends = []
    for each in ("reference", name):
        model = _net(each, OPTIMIZERS[optimizer](), **ODD[odd])
        history = model.fit(X, Y, batch_size=16, epochs=2, verbose=0)
        ends.append((history.history["loss"], *model.get_weights()))
    for truth, found in zip(*ends, strict=True):
        assert np.allclose(found, truth, rtol=2e-4, atol=2e-5)


@quick_engines
def test_more_layers_need_no_more_calls_to_update(name: str) -> None:
    def updates(count: int) -> int:
        model = _compiled([bl.Input((6,)), *(Dense(6) for _ in range(count)), Dense(3)], name)
        model.build((6,))
        graph = model.step("train", (None,))[1].graph
        return len(graph.updates)

    assert updates(2) == updates(9)


@quick_engines
def test_what_was_planned_before_the_move_reads_the_new_weights(name: str) -> None:
    model = _net(name)
    early = model.predict(X, verbose=0)
    kernel = model.layers[0].kernel
    doubled = bl.compile(kernel * 2, inputs=[])
    assert np.array_equal(doubled(), kernel.value * 2)
    model.fit(X, Y, epochs=1, verbose=0)
    assert not np.allclose(model.predict(X, verbose=0), early)
    assert np.array_equal(doubled(), kernel.value * 2)
    other = _net(name)
    other.build((6,))
    other.set_weights(model.get_weights())
    assert np.allclose(other.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)


def _alternating(name: str) -> list[Any]:
    """Two models over one shared layer, trained in turn; then with a layer of the first one frozen."""
    bl.random.set_seed(3)
    shared = Dense(5, "tanh")
    first = _compiled([bl.Input((6,)), Dense(6, "tanh"), shared, Dense(3)], name)
    second = _compiled([bl.Input((6,)), shared, Dense(4, "tanh"), Dense(3)], name, "sgd")
    for _ in range(2):
        first.fit(X, Y, epochs=1, verbose=0)
        second.fit(X, Y, epochs=1, verbose=0)
    first.layers[1].trainable = False
    first.compile(engine=name, optimizer="adam", loss=bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    first.fit(X, Y, epochs=1, verbose=0)
    second.fit(X, Y, epochs=1, verbose=0)
    return [*first.get_weights(), *second.get_weights(), first.predict(X, verbose=0)]


@quick_engines
def test_models_that_share_a_layer_may_be_trained_in_turn(name: str) -> None:
    for truth, found in zip(_alternating("reference"), _alternating(name), strict=True):
        assert np.allclose(found, truth, rtol=2e-4, atol=2e-5)


@quick_engines
def test_a_leaf_of_an_arena_is_pickled_and_copied_alone(name: str) -> None:
    model = _net(name)
    model.fit(X, Y, epochs=1, verbose=0)
    kernel = model.layers[0].kernel
    assert len(pickle.dumps(kernel.array)) < kernel.array.nbytes + 400
    for other in (copy.deepcopy(kernel), pickle.loads(pickle.dumps(kernel))):
        other.assign(np.zeros(kernel.shape))
        assert np.any(kernel.value)


# ---------------------------------------------------------------------- what the engine does in place
@quick_engines
def test_a_new_value_that_others_still_read_is_not_written_too_early(name: str) -> None:
    def stepped(which: str) -> list[Any]:
        a, b, c = (variable(np.arange(1.0, 5.0) * scale) for scale in (1, 10, 100))
        updates = {a: a + 1.0, b: b + a, c: c + bl.ops.flip(c, 0)}
        program = engine(which).compile(Graph([], [a * 1.0], updates))
        found = [program.evaluate({}).outputs[0].tolist() for _ in range(3)]
        return [found, *(leaf.array.tolist() for leaf in (a, b, c))]

    assert stepped(name) == stepped("reference")


@quick_engines
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_choice_keeps_every_bit(name: str, dtype: str) -> None:
    odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, 1.5, -3e38]
    x, y = (np.array(values, dtype) for values in (odd, odd[::-1]))
    a, b = (input_leaf((8,), each, dtype) for each in "xy")
    mask = bl.ops.greater(bl.constant(np.array([1.0, 0, 0, 1, 0, 1, 1, 0])), 0.5)
    spread = bl.ops.broadcast_to(bl.ops.reshape(b[2:3], ()), (8,))
    outputs = [bl.ops.where(mask, a, b), bl.ops.where(mask, a, 0.0), bl.ops.where(mask, 0.0, a)]
    outputs.append(bl.ops.where(mask, a, spread))
    feed: dict[Leaf, Any] = {a: x, b: y}
    found, truth = (engine(each).compile(Graph([a, b], outputs)).evaluate(feed).outputs for each in (name, "reference"))
    for mine, wanted in zip(found, truth, strict=True):
        assert mine.tobytes() == wanted.tobytes()
