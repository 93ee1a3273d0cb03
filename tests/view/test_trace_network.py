"""The trace of a network: what training differentiates, layer by layer, and nothing of the model is changed."""

import re
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import backlit as bl
from backlit.core import registry
from backlit.core.registry import find
from backlit.engines.reference import values
from backlit.layers import Dense, Dropout
from tests.conformance.cases import gradients, instances, probed, projection
from tests.layers.test_layer_battery import SAMPLES
from tests.view.networks import LOGITS, NETWORKS, batch, chain, trained_gradients


def weights_of(t):
    """The trace's derivative of every trained weight, by the weight."""
    reading = t.reading
    own = {copy: leaf for leaf, copy in reading.worked.place.items()}
    return {own[leaf]: t[reading.names[leaf]].derivative for leaf in t.parameters}


def one(units=1):
    model = bl.Sequential(
        [bl.Input((3,)), Dense(2, "relu", name="L1"), Dense(units, "sigmoid", name="out")], name="net"
    )
    model.compile("sgd", "binary_crossentropy")
    model.set_weights([[[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]], [0.5, -9.0], [[2.0], [1.0]], [-1.0]])
    return model


X, Y = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0]])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_derivatives_of_the_weights_are_those_of_the_training_step(name):
    model = NETWORKS[name]()
    x, y = batch(model)
    found = weights_of(model.trace(x, y))
    wanted = trained_gradients(model, x, y)
    assert set(found) == {leaf for leaf, g in wanted.items() if leaf in found} and found
    for leaf, g in wanted.items():
        size = np.abs(g).max(initial=1e-3)
        assert leaf in found or not np.any(g)
        assert np.abs(found.get(leaf, 0.0) - g).max(initial=0.0) < 2e-4 * size


@pytest.mark.parametrize("saturated, label", [(60.0, 0.0), (-60.0, 1.0)])
def test_where_the_written_form_rounds_the_derivative_is_training_s_and_says_so(saturated, label):
    model = chain(Dense(1, "sigmoid", name="out"), loss="binary_crossentropy", shape=(1,))
    model.set_weights([[[saturated]], [0.0]])
    t = model.trace([[1.0]], [[label]])
    wanted = trained_gradients(model, [[1.0]], [[label]])
    assert t["W1"].derivative == pytest.approx(next(iter(wanted.values())), rel=1e-5)
    assert abs(t["W1"].derivative[0, 0]) == pytest.approx(1.0)
    assert "training's own derivative" in t["Z1"].note and "clip" in t["J"].note
    assert "* J: log of" in str(t)


def test_steps_are_named_as_in_the_equations_and_hold_their_numbers():
    t = one().trace(X, Y)
    assert [s.name for s in t.forward] == ["Z1", "A1", "Z2", "A2", "J"]
    assert [s.layer for s in t.forward] == ["L1", "L1", "out", "out", "loss"]
    assert [s.name for s in t.backward] == ["J", "A2", "Z2", "b2", "W2", "A1", "Z1", "b1", "W1"]  # X has none: da[0]
    assert t["Z1"].formula == "X W1 + b1" and t["Z1"].value.tolist() == [[2.5, -4.0]]
    assert t["A1"].formula == "relu(Z1)" and t["A1"].value.tolist() == [[2.5, 0.0]]
    a = 1 / (1 + np.exp(-4.0))
    assert t["A2"].derivative == pytest.approx(-1 / a) and t["Z2"].derivative == pytest.approx(a - 1)
    assert t["W2"].derivative[:, 0] == pytest.approx([2.5 * (a - 1), 0.0])
    assert {s.name: s.formula for s in t.backward}["W1"] == "Xᵀ dZ1"
    assert t.layers == ["L1", "out", "loss"]


def test_what_the_way_back_reads_is_marked_as_kept():
    t = one().trace(X, Y)
    kept = {name for name in t.names if t[name].cached}
    assert kept == {"X", "Z1", "A1", "W2", "A2", "Y"}  # not W1: nobody asks for dX


def test_nothing_of_the_model_is_changed():
    model = chain(Dense(4, "relu"), Dropout(0.5), Dense(1))
    x, y = np.ones((6, 4)), np.ones((6, 1))
    model.fit(x, y, epochs=2, verbose=0)
    twin = bl.clone_model(model)
    twin.set_weights(model.get_weights())
    before = [np.array(w) for w in model.get_weights()], model.iterations, model.epochs_done, model.loss
    t = model.trace(x, y)
    t.to_html(), t.nudge("W1", 0.1, (0, 0)), t.why("W1"), t.counts.timed()
    after = model.get_weights(), model.iterations, model.epochs_done, model.loss
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True)) and before[1:] == after[1:]
    assert t.title.endswith(f"as in training step {model.iterations + 1}")
    masks = t["D1"].value
    assert masks.dtype == bool and np.array_equal(masks, model.trace(x, y)["D1"].value)  # the masks of that step


def test_the_prediction_alone():
    model = one()
    t = model.trace(X)
    assert t["A2"].value == pytest.approx(model.predict(X), rel=1e-6)
    assert t.backward == [] and t["W1"].derivative is None and "back" not in str(t).splitlines()
    assert ET.fromstring(t.to_svg()) is not None and "quiz" in t.to_html()


class Squash(bl.layers.Layer):
    """A layer of somebody's own."""

    def build(self, shape):
        self.w = self.add_weight("w", (shape[-1], 2))

    def call(self, x, training=False):
        return bl.nn.tanh(x @ self.w)


@pytest.mark.filterwarnings("ignore::backlit.core.errors.FileWarning")
def test_a_model_without_the_code_of_its_layers_is_traced_as_it_predicts(tmp_path, monkeypatch):
    model = chain(Squash(), Dense(1), shape=(3,))
    model.save(tmp_path / "m.backlit")
    wanted = model.trace(X, Y)
    for key in [key for key in registry.names("layer.") if "quash" in key]:
        monkeypatch.delitem(registry._table, key)
    t = bl.load_model(tmp_path / "m.backlit").trace(X, Y)
    assert pytest.approx(t.J) == wanted.J and "as it predicts" in t.title
    assert sorted(map(np.size, weights_of(t).values())) == sorted(map(np.size, weights_of(wanted).values()))


# ---------------------------------------------------------------------- layers and units
def test_a_unit_is_z_and_then_a():
    model = one()
    t = model.trace(X, Y).unit("L1", 0)
    assert [(s.name, s.value) for s in t.forward] == [("z", 2.5), ("a", 2.5)]
    assert t["z"].formula == "w0 * x0 + w1 * x1 + w2 * x2 + b" and t["a"].formula == "relu(z)"
    whole = model.trace(X, Y)
    assert [t[f"w{k}"].derivative for k in range(3)] == pytest.approx(whole["W1"].derivative[:, 0])
    assert (t["a"].derivative, t["b"].derivative) == (whole["A1"].derivative[0, 0], whole["b1"].derivative[0])
    off = model.trace(X, Y).unit("L1", 1)
    assert off["z"].derivative == 0.0 and off.why("w0").cause == "off"
    assert t.nudge("w1", 0.5).after == 3.5  # of the unit itself
    wide = chain(Dense(1), shape=(20,)).trace(np.ones((1, 20)), [[0.0]]).unit("dense", 0)
    assert wide["z"].formula == "sum(w * x, axis=0) + b"


def test_a_layer_opens_into_its_operations():
    t = one().trace(X, Y)
    inner = t.open("L1")
    assert [s.operation for s in inner.forward] == ["matmul", "add", "relu"]
    assert inner.backward[0].name == "A1" and "given" in inner.backward[0].sentence
    assert np.array_equal(inner["W1"].derivative, t["W1"].derivative)
    assert inner.nudge("t1", 0.1, (0, 0)).after == pytest.approx(t.nudge("Z1", 0.1, (0, 0)).after)
    assert t.open("loss")["J"].value == t.J


def test_a_batch_counts_every_number():
    t = one().trace(np.ones((4, 3)), np.ones((4, 1)))
    assert t.counts.scalars.nodes == 4 * (2 + 2 + 1 + 1) + 1 and t.counts.scalars.parameters == 11
    assert t.counts.scalars.sum == t.counts.scalars.nodes + 11


def test_a_frozen_layer_has_no_derivatives_to_find():
    model = one()
    model.layers[0].trainable = False
    assert [s.name for s in model.trace(X, Y).backward] == ["J", "A2", "Z2", "b2", "W2"]


def test_a_first_view_of_a_large_network_comes_at_once():
    model = chain(Dense(128, "relu"), Dense(64, "relu"), Dense(10), loss=LOGITS, shape=(784,))
    x = np.random.default_rng(0).uniform(size=(1, 784))
    model.trace(x, [3])
    start = time.perf_counter()
    t = model.trace(x, [3])
    str(t), t.to_svg()
    assert time.perf_counter() - start < 1.5  # 0.1 s on a quiet machine


# ---------------------------------------------------------------------- every record, every layer
@pytest.mark.slow
@pytest.mark.parametrize("op", probed(), ids=lambda op: op.name)
def test_every_record_is_traced(op):
    for instance in list(instances(op))[:3]:
        built = instance.build()
        cost, weights = projection(built.outputs, instance.rows, np.random.default_rng(0))
        fed = {leaf: array for leaf, array in built.feed(instance.draw()).items() if leaf in built.leaves}
        feed = fed | weights
        t = bl.trace(cost, feed)
        assert np.allclose(t.J, values([cost], feed)[cost], equal_nan=True)
        leaves = [built.leaves[place] for place in instance.floats]
        found = gradients(cost, leaves)
        slopes = values(found, feed)
        place, names = t.reading.worked.place, t.reading.names
        for leaf, g in zip(leaves, found, strict=True):
            assert place[leaf] not in names or np.allclose(t[names[place[leaf]]].derivative, slopes[g], equal_nan=True)
        assert len(t.forward) == len([s for s in t.forward if s.sentence]) and t.backward and str(t)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_every_layer_is_traced(name):
    for arguments, shape in SAMPLES[name]:
        free = {key: value for key, value in arguments.items() if "constraint" not in key}  # it acts after the step
        layer = find(f"layer.{name}")(**free)
        model = bl.Sequential([bl.Input(shape), layer, bl.layers.Flatten(), Dense(1)])
        model.compile("sgd", "mse")
        x, y = np.random.default_rng(1).normal(size=(3, *shape)), np.ones((3, 1))
        t = model.trace(x, y)
        assert np.isfinite(t.J) and str(t) and ET.fromstring(t.to_svg()) is not None
        wanted = trained_gradients(model, x, y)
        for leaf, found in weights_of(t).items():
            assert np.abs(found - wanted[leaf]).max() < 1e-3 * np.abs(wanted[leaf]).max(initial=1e-2)


# ---------------------------------------------------------------------- files
def test_svg_is_well_formed_and_says_what_its_colours_mean(tmp_path):
    path = tmp_path / "net.svg"
    text = one().trace(X, Y).to_svg(path)
    assert path.read_text(encoding="utf-8") == text
    root = ET.fromstring(text)
    words = "".join(root.itertext())
    for word in ("forward: values", "back: derivatives", "fixed data", "kept for the way back", "L1", "dW1", "(3, 2)"):
        assert word in words
    tips = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "W1[1, 0] = 0.5" in tips  # the numbers of the heat maps on demand


def test_names_cannot_bring_markup_into_the_page():
    evil = '</script><img src=x onerror="alert(1)">\x1b'
    w = bl.variable(2.0, evil)
    t = bl.trace(bl.name(bl.name(w * 3, "<b>c</b>") ** 2, "a & b"))
    ET.fromstring(t.to_svg())
    page = t.to_html()
    assert "<img" not in page and "<b>c" not in page and page.count("</script>") == 2
    assert "\x1b" not in page and "<img" not in t._repr_html_() and "<script" not in t._repr_html_()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_latex_has_fractions_and_numbers():
    w, x = bl.variable(2.0, "w"), bl.constant(-2.0, "x")
    text = bl.trace(bl.name(bl.name(w * x, "c") ** 2, "J")).to_latex()
    assert r"c &= w \, x = 2 \, \left(-2\right) = -4" in text
    assert (
        r"\frac{\partial J}{\partial w} &= \frac{\partial J}{\partial c} \frac{\partial c}{\partial w} = -8 \cdot (-2) = 16"
        in text
    )
    net = one().trace(X, Y).to_latex()
    assert r"\begin{bmatrix} 2.5 & -4 \end{bmatrix}" in net and r"X^T dZ_{1}" in net
