"""A training step is one graph: everything it writes can be found in it, and running it as a graph is training."""

import numpy as np
import pytest

import backlit as bl
from backlit.layers import BatchNormalization, Dense, Dropout
from backlit.losses import SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam


def network(optimizer, metrics=None):
    bl.random.set_seed(1)
    model = bl.Sequential([bl.Input((3,)), Dense(4, "relu"), BatchNormalization(), Dropout(0.25), Dense(3)])
    model.compile(optimizer, SparseCategoricalCrossentropy(from_logits=True), metrics=metrics)
    return model


@pytest.mark.parametrize(
    ("optimizer", "slots"), [(SGD(), ()), (SGD(momentum=0.9), ("velocity",)), (Adam(), ("m", "v"))]
)
def test_everything_that_changes_is_written_by_the_graph(optimizer, slots):
    model = network(optimizer, metrics=["accuracy"])
    graph = model.step_graph()
    written = {leaf.name for leaf in graph.updates}
    trained = {leaf.name for leaf in model.trainable_variables}
    assert trained == {f"{layer}/{w}" for layer in ("dense", "dense_1") for w in ("kernel", "bias")} | {
        "batch_normalization/gamma",
        "batch_normalization/beta",
    }
    assert trained <= written
    assert {f"{name}/{slot}" for name in trained for slot in slots} <= written
    assert {"batch_normalization/moving_mean", "batch_normalization/moving_variance"} <= written
    sums = {name for name in written if "/" not in name}
    assert {name.split("_")[0] for name in sums} == {"loss", "accuracy"} and len(sums) == 4
    assert len(written) == len(trained) * (1 + len(slots)) + 2 + 4, "and nothing else"
    assert graph.gate is not None and graph.gate.dtype == "bool" and graph.gate.shape == ()


def test_it_prints_with_its_names():
    text = str(network(Adam(), metrics=["accuracy"]).step_graph())
    for word in ("dense/kernel", "dense_1/bias", "learning_rate", "loss", "gradient norm", "gate", "update", "input"):
        assert word in text, word
    assert text.count("update") >= 6


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, momentum=0.9), Adam(0.01)], ids=repr)
def test_running_the_graph_by_the_reference_is_the_first_step_of_fit(optimizer):
    from backlit.engines.base import engine

    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 3)), rng.integers(0, 3, 8)
    by_fit, by_graph = network(optimizer), network(optimizer)
    history = by_fit.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    graph = by_graph.step_graph()
    given = {"learning_rate": optimizer.learning_rate, "step": 1.0, "y": y}
    feed = {leaf: given.get(leaf.name, x) for leaf in graph.inputs}
    result = engine("reference").compile(graph).evaluate(feed)
    assert result.committed
    loss, norm = result.outputs
    assert float(loss) == pytest.approx(history.history["loss"][0], rel=1e-6)
    assert float(norm) > 0
    for a, b in zip(by_fit.get_weights(), by_graph.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        assert not np.isnan(a).any()


def test_the_gradient_norm_is_that_of_all_gradients(float64):
    model = bl.Sequential([bl.Input((1,)), Dense(1)])
    model.set_weights([[[2.0]], [1.0]])
    model.compile(SGD(0.1), "mse")
    graph = model.step_graph()
    feed = {leaf: {"learning_rate": 0.1, "step": 1.0, "y": [[0.0]]}.get(leaf.name, [[3.0]]) for leaf in graph.inputs}
    from backlit.engines.base import engine

    loss, norm = engine("planned").compile(graph).evaluate(feed).outputs
    assert float(loss) == 49.0  # (2 · 3 + 1)²
    assert float(norm) == pytest.approx(np.hypot(2 * 7 * 3, 2 * 7))
    assert [w.item() for w in model.get_weights()] == pytest.approx([2 - 4.2, 1 - 1.4])


def test_weights_of_the_rows_are_an_input_only_where_they_are_given():
    model = network(Adam())
    plain, weighted = model.step_graph(), model.step_graph(weighted=True)
    assert len(weighted.inputs) == len(plain.inputs) + 1
    assert "sample_weight" in {leaf.name for leaf in weighted.inputs} - {leaf.name for leaf in plain.inputs}


def test_frozen_weights_are_not_written():
    model = network(Adam())
    model.layers[0].trainable = False
    written = {leaf.name for leaf in model.step_graph().updates}
    assert not any(name.startswith("dense/") for name in written)
    assert "dense_1/kernel" in written


def test_the_graph_can_be_pickled_and_told_as_json():
    import json
    import pickle

    graph = network(Adam()).step_graph()
    again = pickle.loads(pickle.dumps(graph))
    assert len(again.nodes) == len(graph.nodes) and str(again) == str(graph)
    assert json.loads(json.dumps(graph.to_json()))["nodes"]
