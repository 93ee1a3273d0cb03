"""The rewriting of formulas: shorter, and the same numbers. And which losses are plain differences."""

import numpy as np
import pytest

from backlit.core import registry
from backlit.core.node import input_leaf
from backlit.core.shapes import M
from backlit.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    HalfSquaredError,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    SparseCategoricalCrossentropy,
)
from backlit.nn import sigmoid, softmax
from backlit.view.residual import residual
from backlit.view.rules import OWN, short, turned


@pytest.mark.parametrize("rule", OWN, ids=lambda rule: rule.name)
def test_a_rule_fires_on_its_example_and_keeps_its_value(rule):
    x, m = input_leaf((5,), "x", "float64"), input_leaf((), "m", "float64")
    before = rule.example(x)
    after = short(before, m)
    assert after is not before
    value = np.array([-1.5, 0.25, 0.5, 1.0, 2.0])
    known = registry.lookup("values.reference")([before, after], {x: value, m: 5.0})
    np.testing.assert_allclose(known[after], known[before], rtol=1e-12)


def test_a_product_turned_is_the_product_of_the_turned_in_the_other_order():
    x, w, b = (input_leaf(shape, name, "float64") for shape, name in (((M, 3), "x"), ((3, 2), "w"), ((2,), "b")))
    xt, wt, bt = (input_leaf(shape, name, "float64") for shape, name in (((3, M), "x"), ((2, 3), "w"), ((2, 1), "b")))
    formula = softmax(x @ w + b)
    other = turned(formula, {x: xt, w: wt, b: bt})
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    rows = registry.lookup("values.reference")([formula], dict(zip((x, w, b), arrays, strict=True)))[formula]
    fed = {xt: arrays[0].T, wt: arrays[1].T, bt: arrays[2].reshape(-1, 1)}
    columns = registry.lookup("values.reference")([other], fed)[other]
    np.testing.assert_allclose(columns, rows.T, rtol=1e-12)


SAME = lambda z: z  # noqa: E731
PLAIN = [
    (SparseCategoricalCrossentropy(), softmax, (M, 4), (1, False)),
    (SparseCategoricalCrossentropy(from_logits=True), softmax, (M, 4), (1, False)),
    (CategoricalCrossentropy(), softmax, (M, 4), (1, False)),
    (BinaryCrossentropy(), sigmoid, (M, 1), (1, False)),
    (BinaryCrossentropy(from_logits=True), sigmoid, (M, 4), (1 / 4, False)),
    (MeanSquaredError(), SAME, (M, 3), (2 / 3, False)),
    (HalfSquaredError(), SAME, (M, 2), (1 / 2, False)),
    (MeanAbsoluteError(), SAME, (M, 1), (1, True)),
    (SparseCategoricalCrossentropy(), softmax, (M, 5, 4), (1, False)),
]


@pytest.mark.parametrize(("loss", "applied", "shape", "expected"), PLAIN)
def test_plain_differences(loss, applied, shape, expected):
    factor, signed = residual(loss, applied, shape)
    assert (float(factor), signed) == (pytest.approx(expected[0]), expected[1])


@pytest.mark.parametrize(
    ("loss", "applied"),
    [
        (Huber(), SAME), (Huber(delta=100.0), SAME), (LogCosh(), SAME), (MeanSquaredError(), sigmoid),
        (BinaryCrossentropy(), softmax), (CategoricalCrossentropy(label_smoothing=0.1), softmax),
        (CategoricalCrossentropy(), sigmoid), (Poisson(), SAME), (SparseCategoricalCrossentropy(ignore_class=0), softmax),
    ],
)  # fmt: skip
def test_no_plain_differences(loss, applied):
    assert residual(loss, applied, (M, 3)) is None


def test_a_softmax_over_one_class_has_no_difference():
    assert residual(SparseCategoricalCrossentropy(), softmax, (M, 1)) is None
