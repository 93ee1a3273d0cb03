"""First values: their distribution, and that they depend on (seed, stream) alone."""

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import BacklitError, ShapeError
from backlit.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from backlit.layers import Dense

SHAPE = (200, 300)
CUT = 2 / 0.87962566103423978  # a truncated normal ends at so many of its standard deviations
DRAWN = [  # (initializer, mean, variance, largest absolute value or None)
    (RandomNormal(), 0.0, 0.05**2, None),
    (RandomNormal(mean=1.0, stddev=0.01), 1.0, 0.01**2, None),
    (RandomUniform(), 0.0, 0.1**2 / 12, 0.05),
    (RandomUniform(-1.0, 3.0), 1.0, 16 / 12, 3.0),
    (GlorotUniform(), 0.0, 2 / 500, (6 / 500) ** 0.5),
    (GlorotNormal(), 0.0, 2 / 500, CUT * (2 / 500) ** 0.5),
    (HeUniform(), 0.0, 2 / 200, (6 / 200) ** 0.5),
    (HeNormal(), 0.0, 2 / 200, CUT * (2 / 200) ** 0.5),
    (LecunUniform(), 0.0, 1 / 200, (3 / 200) ** 0.5),
    (LecunNormal(), 0.0, 1 / 200, CUT * (1 / 200) ** 0.5),
    (TruncatedNormal(1.0, 0.1), 1.0, (0.1 * 2 / CUT) ** 2, 1.2),
    (VarianceScaling(3.0, "fan_out", "untruncated_normal"), 0.0, 3 / 300, None),
    (VarianceScaling(3.0, "fan_avg", "normal"), 0.0, 3 / 250, CUT * (3 / 250) ** 0.5),
    (VarianceScaling(input_axes=[1], output_axes=[0]), 0.0, 1 / 300, CUT * (1 / 300) ** 0.5),
]
drawn = pytest.mark.parametrize(("initializer", "mean", "variance", "limit"), DRAWN, ids=[repr(d[0]) for d in DRAWN])


@drawn
def test_distribution(initializer, mean, variance, limit):
    values = np.asarray(initializer.sample(SHAPE, seed=3, stream=1))
    n, spread = values.size, variance**0.5
    assert abs(values.mean() - mean) < 4 * spread / n**0.5
    assert abs(values.var() / variance - 1) < 4 * (2 / n) ** 0.5
    inside = np.mean(np.abs(values - mean) < spread)
    if limit is not None:
        assert 0.998 * limit < np.abs(values).max() <= limit
        cut = abs((limit - mean) / spread - CUT) < 1e-9
        assert abs(inside - (0.6505 if cut else 3**-0.5)) < 0.01
    else:  # a normal, not something with the same variance
        assert abs(inside - 0.6827) < 0.01
        assert abs(np.mean(np.abs(values - mean) < 2 * spread) - 0.9545) < 0.005


@drawn
def test_values_depend_on_seed_and_stream_alone(initializer, mean, variance, limit):
    def draw(seed, stream):
        return np.asarray(initializer.sample((20, 30), seed, stream)).ravel()

    first = draw(5, 9)
    bl.random.normal((3,))  # other draws in between do not matter
    np.testing.assert_array_equal(draw(5, 9), first)
    for other in (draw(6, 9), draw(5, 10)):
        assert abs(np.corrcoef(other, first)[0, 1]) < 0.15
        assert not (other == first).any() or np.mean(other == first) < 0.01
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.15


@pytest.mark.parametrize(("initializer", "value"), [(Zeros(), 0), (Ones(), 1), (Constant(2.5), 2.5)])
def test_constants(initializer, value):
    np.testing.assert_array_equal(initializer((2, 3)), np.full((2, 3), value))


def test_a_constant_array_must_fit():
    np.testing.assert_array_equal(Constant([1.0, 2.0])((2,)), [1, 2])
    with pytest.raises(ShapeError, match="constant"):
        Constant([1.0, 2.0])((3,))


def test_every_initializer_is_found_by_its_name_and_comes_back_from_its_configuration():
    own = [name for name in Initializer.names() if Initializer.named(name).__module__.startswith("backlit.")]
    assert {"zeros", "ones", "glorot_uniform", "he_normal", "xavier_uniform", "normal", "uniform"} <= set(own)
    for name in own:
        made = Initializer.get(name)
        again = Initializer.get({"class": type(made).__name__, "config": made.get_config()})
        np.testing.assert_array_equal(made.sample((4, 5), 1, 2), again.sample((4, 5), 1, 2))
    with pytest.raises(BacklitError, match="he_normal"):
        Dense(2, kernel_initializer="he_nromal")(np.zeros((1, 3)))


def test_layers_of_one_model_start_differently_and_models_of_one_seed_alike():
    def model():
        bl.random.set_seed(11)
        net = bl.Sequential([bl.Input((30,)), Dense(30), Dense(30)])
        return net.get_weights()

    first, second = model(), model()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert abs(np.corrcoef(first[0].ravel(), first[2].ravel())[0, 1]) < 0.15
    next_of_the_seed = bl.Sequential([bl.Input((30,)), Dense(30), Dense(30)]).get_weights()
    assert abs(np.corrcoef(first[0].ravel(), next_of_the_seed[0].ravel())[0, 1]) < 0.15
