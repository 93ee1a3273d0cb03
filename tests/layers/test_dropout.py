"""Dropout: which numbers, how many, when, and on every engine the same."""

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import ValueRangeError
from backlit.layers import Dense, Dropout, Layer


def kept(layer, seed, step, shape=(1000, 100), engine="planned"):
    """Where a training step of this seed and number keeps its inputs."""
    from backlit.core.node import input_leaf
    from backlit.core.shapes import M
    from backlit.layers.layer import Pass

    x = input_leaf((M, *shape[1:]), "x", "float32")
    number = input_leaf((), "step", "float64")
    with Pass(True, bl.constant(seed), number):
        out = layer(x)
    program = bl.compile(out, [x, number], engine=engine)
    return program(np.ones(shape, np.float32), step)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_rate_is_honoured_and_the_mean_kept(rate):
    out = kept(Dropout(rate), seed=1, step=1)
    dropped = np.mean(out == 0)
    assert abs(dropped - rate) < 4 * (rate * (1 - rate) / out.size) ** 0.5
    np.testing.assert_allclose(out[out != 0], 1 / (1 - rate), rtol=1e-6)
    assert abs(out.mean() - 1) < 4 * (rate / (1 - rate) / out.size) ** 0.5


def test_the_mask_is_that_of_seed_step_and_place_on_every_engine():
    layer = Dropout(0.5)
    first = kept(layer, seed=3, step=7)
    np.testing.assert_array_equal(kept(layer, seed=3, step=7), first)
    np.testing.assert_array_equal(kept(layer, seed=3, step=7, engine="reference"), first)
    for seed, step in ((4, 7), (3, 8)):
        assert abs(np.mean(kept(layer, seed, step) == first) - 0.5) < 0.01
    other = Dropout(0.5)
    other.position = layer.position + 1
    assert abs(np.mean(kept(other, seed=3, step=7) == first) - 0.5) < 0.01


def test_no_row_or_column_is_treated_like_another():
    out = kept(Dropout(0.5), seed=2, step=1) != 0
    for axis in (0, 1):
        shares = out.mean(axis=axis)
        sigma = (0.25 / out.shape[axis]) ** 0.5
        assert np.abs(shares - 0.5).max() < 5 * sigma
        assert shares.std() == pytest.approx(sigma, rel=0.25)
    assert abs(np.corrcoef(out[0], out[1])[0, 1]) < 0.4


def test_inference_passes_everything_through():
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(Dropout(0.9)(x), x)
    np.testing.assert_array_equal(Dropout(0.0)(x, training=True), x)
    model = bl.Sequential([bl.Input((4,)), Dropout(0.9)])
    np.testing.assert_array_equal(model.predict(x), x)


def test_a_draw_outside_of_training_is_new_each_time_and_of_the_seed():
    def three():
        bl.random.set_seed(4)
        layer = Dropout(0.5)
        return [layer(np.ones((20, 20)), training=True) for _ in range(3)]

    a, b, c = three()
    assert not np.array_equal(a, b) and not np.array_equal(b, c)
    for again, first in zip(three(), (a, b, c), strict=True):
        np.testing.assert_array_equal(again, first)


class Watch(Layer):
    """Passes on what it gets and keeps a sum of it as state."""

    def build(self, shape):
        self.seen = self.add_weight("seen", shape[1:], "zeros", trainable=False)

    def call(self, x, training=False):
        from backlit.layers.layer import current_pass

        if training:
            current_pass().write(self.seen, bl.ops.sum(x, axis=0))
        return x


def test_each_step_and_each_call_of_a_training_has_its_own_mask():
    watch = [Watch(), Watch()]
    model = bl.Sequential([bl.Input((400,)), Dropout(0.5), watch[0], Dropout(0.5), watch[1], Dense(1)])
    model.compile("sgd", "mse")
    seen = []
    for _ in range(2):
        model.fit(np.ones((1, 400)), [0.0], verbose=0)
        seen += [watch[0].seen.value > 0, watch[1].seen.value > 0]
    (a1, b1, a2, _b2) = seen
    assert abs(a1.mean() - 0.5) < 0.15
    assert abs(np.mean(a1 == a2) - 0.5) < 0.15, "two steps had one mask"
    assert abs(b1[a1].mean() - 0.5) < 0.2, "the second layer repeats the first one's mask"


@pytest.mark.parametrize("rate", [-0.1, 1.0, 25])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ValueRangeError, match="rate must be a number from 0 and below 1"):
        Dropout(rate)
