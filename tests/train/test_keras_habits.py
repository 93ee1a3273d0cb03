"""What people bring along from Keras: it works, or it is refused in words, never passed over in silence."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Dense

X = np.random.default_rng(0).random((24, 4)).astype("float32")
Y = X[:, :1]


def chain() -> bl.Sequential:
    return bl.Sequential([bl.Input((4,)), Dense(5, "relu", name="hidden"), Dense(1)])


def test_a_layer_s_output_makes_a_feature_extractor() -> None:
    model = chain()
    features = bl.Model(model.inputs, model.get_layer("hidden").output)
    kernel, bias = model.get_layer("hidden").get_weights()
    assert features.predict(X) == pytest.approx(np.maximum(X @ kernel + bias, 0), abs=1e-6)
    model.get_layer("hidden").set_weights([kernel * 2, bias])
    assert features.predict(X) == pytest.approx(np.maximum(X @ kernel * 2 + bias, 0), abs=1e-5)  # shared, not copied
    with pytest.raises(bl.BacklitError, match="has not been called on an Input"):
        _ = Dense(2).output


@pytest.mark.parametrize("kind", ["dict", "tuple", "list"])
def test_a_subclass_may_return_several_outputs(kind: str) -> None:
    class Net(bl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = Dense(2), Dense(1)

        def call(self, x):  # type: ignore[no-untyped-def]
            out = {"p": self.a(x), "q": self.b(x)}
            return out if kind == "dict" else tuple(out.values()) if kind == "tuple" else list(out.values())

    model = Net()
    targets = {"p": X[:, :2], "q": Y} if kind == "dict" else [X[:, :2], Y]
    model.compile("adam", ["mse", "mae"])
    logs = model.fit(X, targets, epochs=2, verbose=0).history
    assert len(logs) == 3 and "loss" in logs
    out = model.predict(X)
    assert [part.shape for part in (out.values() if kind == "dict" else out)] == [(24, 2), (24, 1)]
    assert isinstance(out, dict) is (kind == "dict")


def test_the_same_metric_with_and_without_weights() -> None:
    model = chain()
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae", "mse"], run_eagerly=False, jit_compile="auto")
    weights = np.linspace(0, 1, 24)
    logs = model.evaluate(X, Y, sample_weight=weights, return_dict=True)
    off = np.abs(model.predict(X) - Y)[:, 0]
    assert logs["mae"] == pytest.approx(off.mean(), rel=1e-5)
    assert logs["weighted_mae"] == pytest.approx((off * weights).sum() / weights.sum(), rel=1e-5)
    assert {"loss", "mae", "weighted_mae", "mse"} == set(logs)


def test_overridden_steps_are_refused_not_passed_over() -> None:
    class OwnStep(bl.Sequential):
        def train_step(self, data):  # type: ignore[no-untyped-def]
            raise AssertionError

    class OwnUpdate(bl.metrics.MeanAbsoluteError):
        def update_state(self, y, p, sample_weight=None):  # type: ignore[no-untyped-def]
            raise AssertionError

    with pytest.raises(bl.BacklitError, match="train_step of OwnStep would not be called"):
        OwnStep([Dense(1)]).compile("sgd", "mse")
    model = chain()
    with pytest.raises(bl.BacklitError, match="update_state of OwnUpdate would not be called"):
        model.compile("sgd", "mse", metrics=[OwnUpdate()])


@pytest.mark.parametrize("wrong", [lambda: bl.Sequential(3), lambda: chain().predict(row for row in X)])
def test_wrong_kinds_are_refused_in_words(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(bl.BacklitError):
        wrong()


def test_a_step_whose_result_is_not_finite_is_not_written() -> None:
    model = chain()
    model.compile(bl.optimizers.Adam(1e300), "mse")
    before = model.get_weights()
    with pytest.raises(bl.BacklitError, match="nothing of it was written"):
        model.fit(X, Y, verbose=0)
    assert model.iterations == 0 and all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_values_are_no_probabilities() -> None:
    model = chain()
    model.compile("sgd", "mse")
    with pytest.raises(bl.BacklitError, match="are no probabilities"):
        model.predict_classes(X)


def test_a_tail_of_other_classes_is_announced_and_may_be_stratified(capsys) -> None:  # type: ignore[no-untyped-def]
    labels = np.repeat([0, 1, 2], 8)  # sorted: the last rows are all of class 2
    model = bl.Sequential([bl.Input((4,)), Dense(3)])
    model.compile("sgd", bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, labels, validation_split=0.25, verbose=0)
    assert "whose classes differ (never judged: [0, 1])" in capsys.readouterr().err
    seen: dict[str, np.ndarray] = {}

    class Look(bl.callbacks.Callback):
        def on_train_begin(self, logs=None):  # type: ignore[no-untyped-def]
            seen["train"] = self.model.running.batches.columns[1]

    model.fit(X, labels, validation_split=0.25, validation_stratify=True, verbose=0, callbacks=[Look()])
    assert np.bincount(seen["train"]).tolist() == [6, 6, 6]


def test_weights_of_ones_own_need_no_name_but_no_name_twice() -> None:
    class Affine(bl.layers.Layer):
        def __init__(self, names: tuple[str | None, str | None]) -> None:
            super().__init__()
            self.names = names

        def build(self, shape):  # type: ignore[no-untyped-def]
            self.w = self.add_weight(shape=(shape[-1], 1), initializer="ones", name=self.names[0])
            self.b = self.add_weight(shape=(1,), initializer="zeros", name=self.names[1])

        def call(self, x):  # type: ignore[no-untyped-def]
            return x @ self.w + self.b

    layer = Affine((None, None))
    assert layer(X) == pytest.approx(X.sum(axis=1, keepdims=True), rel=1e-6)
    assert list(layer.named_weights()) == ["weight_0", "weight_1"]
    with pytest.raises(bl.BacklitError, match="has a weight 'w' already"):
        Affine(("w", "w"))(X)
