"""One-parameter trajectories of every optimizer against its formula in NumPy, and what the worked examples say."""

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import BacklitError
from backlit.layers import Dense
from backlit.optimizers import SGD, Adam, Optimizer

STEPS = 40
X = np.random.default_rng(5).normal(size=(STEPS, 1)) * np.linspace(0.1, 3, STEPS)[:, None]
Y = np.random.default_rng(6).normal(size=(STEPS, 1))


def trajectory(optimizer, x=X, y=Y, start=0.7, loss="mse"):
    """The parameter of y = w x after each row as a batch of its own."""
    model = bl.Sequential([bl.Input((1,)), Dense(1, use_bias=False)])
    model.set_weights([[[start]]])
    model.compile(optimizer, loss)
    seen = []

    class Watch(bl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(float(model.get_weights()[0][0, 0]))

    model.fit(x, y, batch_size=1, shuffle=False, verbose=0, callbacks=[Watch()])
    return np.array(seen)


def by_formula(step, x=X, y=Y, start=0.7):
    """The same with `step(w, g, memory, t) -> w`, where g = 2 (w x - y) x."""
    w, memory, seen = start, {"m": 0.0, "v": 0.0}, []
    for t, (a, b) in enumerate(zip(x[:, 0], y[:, 0], strict=True), start=1):
        w = step(w, 2 * (w * a - b) * a, memory, t)
        seen.append(w)
    return np.array(seen)


def sgd(lr, momentum=0.0, nesterov=False):
    def step(w, g, s, t):
        s["v"] = momentum * s["v"] - lr * g
        return w + momentum * s["v"] - lr * g if nesterov else w + s["v"]

    return step


def adam(lr=0.001, b1=0.9, b2=0.999, eps=1e-7):
    def step(w, g, s, t):
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["v"] = b2 * s["v"] + (1 - b2) * g * g
        return w - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * s["m"] / (np.sqrt(s["v"]) + eps)

    return step


CASES = [
    (SGD(), sgd(0.01)),
    (SGD(learning_rate=0.05), sgd(0.05)),
    (SGD(0.05, momentum=0.9), sgd(0.05, 0.9)),
    (SGD(0.05, momentum=0.9, nesterov=True), sgd(0.05, 0.9, True)),
    (Adam(), adam()),
    (Adam(0.1, beta_1=0.8, beta_2=0.9, epsilon=1e-3), adam(0.1, 0.8, 0.9, 1e-3)),
]


@pytest.mark.parametrize(("optimizer", "step"), CASES, ids=[repr(case[0]) for case in CASES])
def test_trajectory(optimizer, step, float64):
    found, wanted = trajectory(optimizer), by_formula(step)
    assert np.abs(wanted).max() > 0.05
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_adam_moves_by_its_rate_under_a_constant_gradient(float64):
    """W019: the step tends to the learning rate itself, whatever the size of the gradient."""
    for size in (0.1, 1.0, 50.0):
        w = trajectory(Adam(0.01), np.full((300, 1), size), np.full((300, 1), -1e9), loss="mae")
        np.testing.assert_allclose(np.diff(w)[-50:], -0.01, rtol=2e-4)


def test_adam_hardly_moves_under_an_alternating_gradient(float64):
    """W019: learning rate · (1 - β₁) / (1 + β₁) = 0.0526 learning rates."""
    x = np.array([[1.0], [-1.0]] * 3000)
    w = trajectory(Adam(0.01), x, np.full((6000, 1), -1e9), loss="mae")
    np.testing.assert_allclose(np.abs(np.diff(w))[-10:], 0.01 * 0.1 / 1.9, rtol=1e-2)


def test_momentum_speeds_up_to_its_limit_under_a_constant_gradient(float64):
    w = trajectory(SGD(0.01, momentum=0.9), np.ones((200, 1)), np.full((200, 1), -1e9), loss="mae")
    np.testing.assert_allclose(np.diff(w)[-1], -0.1, rtol=1e-6)  # 0.01 / (1 - 0.9)


def test_the_learning_rate_takes_effect_at_the_next_step_and_plans_nothing_anew(float64):
    model = bl.Sequential([bl.Input((1,)), Dense(1, use_bias=False)])
    model.set_weights([[[0.0]]])
    model.compile(SGD(0.5), "mae")
    rates = []

    class Halve(bl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            model.optimizer.learning_rate /= 2
            rates.append(float(model.get_weights()[0][0, 0]))

    model.fit(np.ones((4, 1)), np.full(4, -1e9), batch_size=1, verbose=0, callbacks=[Halve()])
    np.testing.assert_allclose(np.diff([0.0, *rates]), [-0.5, -0.25, -0.125, -0.0625])
    before = model.step("train", (None,))
    model.optimizer.learning_rate = 3.0
    model.fit(np.ones((1, 1)), [-1e9], verbose=0)
    after = model.step("train", (None,))
    assert after[0] is before[0] and after[1] is before[1]
    assert float(model.get_weights()[0][0, 0]) == pytest.approx(-0.9375 - 3.0)


@pytest.mark.parametrize("name", Optimizer.names())
def test_every_optimizer_lowers_a_loss_and_comes_back_from_its_configuration(name, seeded, rows):
    optimizer = Optimizer.get(name)
    again = Optimizer.get({"class": type(optimizer).__name__, "config": optimizer.get_config()})
    assert again.get_config() == optimizer.get_config() and again.learning_rate == optimizer.learning_rate
    model = bl.Sequential([Dense(8, "tanh"), Dense(3)])
    model.compile(optimizer, bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(*rows, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_one_optimizer_in_two_models_keeps_their_memories_apart(rows, seeded):
    shared, (x, y) = Adam(0.01), rows
    models = [bl.Sequential([bl.Input((3,)), Dense(1)]) for _ in range(3)]
    for model in models:
        model.set_weights(models[0].get_weights())
        model.compile(shared, "mse")
    for model in models[:2]:
        model.fit(x, y, shuffle=False, verbose=0)
    np.testing.assert_array_equal(models[0].get_weights()[0], models[1].get_weights()[0])
    assert models[2].iterations == 0


@pytest.mark.parametrize("make", [lambda: SGD(momentum=1.0), lambda: SGD(momentum=-0.1), lambda: SGD(0.0)])
def test_settings_that_cannot_work_are_refused(make):
    with pytest.raises(BacklitError):
        make()
