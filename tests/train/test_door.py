"""What the door says, word for word: these messages are what people meet first."""

import re
from textwrap import dedent

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import BacklitError
from backlit.layers import Dense

X = np.linspace(-1, 1, 24).reshape(8, 3)


def network(loss, units):
    model = bl.Sequential([Dense(5, "relu", name="L1"), Dense(units, name="L3")])
    model.compile("adam", loss)
    return model


def text(error):
    """The message with this file's line numbers left out."""
    return re.sub(r"test_door\.py:\d+ ", "test_door.py:N ", str(error))


def said(call):
    with pytest.raises(BacklitError) as caught:
        call()
    return f"{type(caught.value).__name__}: {text(caught.value)}\n"


def test_labels_from_1():
    model = network("sparse_categorical_crossentropy", 10)
    y = np.tile(np.arange(1, 11), 500)
    assert said(lambda: model.fit(np.zeros((5000, 3)), y, epochs=40)) == dedent("""\
        LabelError: layer 'L3' (Dense, 10 units) and SparseCategoricalCrossentropy cannot use this y.
          expected  y of shape (m,) or (m, 1), whole numbers 0..9
          found     y of shape (5000,), whole numbers 1..10
          why       a sparse loss looks y up as an index into the 10 outputs
          fix       pass y - 1, or use Dense(11)
          where     test_door.py:N  assert said(lambda: model.fit(np.zeros((5000, 3)), y, epochs=40)) == dedent(\"""\\
        """)


def test_one_column_against_three_outputs():
    model = network("mse", 3)
    found = said(lambda: model.fit(X, np.zeros((8, 1))))
    assert found == dedent("""\
        ShapeError: layer 'L3' (Dense, 3 units) and MeanSquaredError cannot use this y.
          expected  y of shape (8, 3)
          found     y of shape (8, 1)
          why       nothing is broadcast: a column against a row would compare every example with every other
          fix       give the last layer as many units as y has columns, or choose the loss that fits y
          where     test_door.py:N  found = said(lambda: model.fit(X, np.zeros((8, 1))))
        """)


def test_a_missing_value():
    x = X.copy()
    x[2, 1] = np.nan
    model = network("mse", 1)
    found = said(lambda: model.fit(x, np.zeros(8)))
    assert found == dedent("""\
        DataError: X contains NaN or infinity.
          expected  finite numbers
          found     1 of 24 numbers, first at row 2, column 1
          why       one of them spreads through every sum it enters
          fix       keep the whole rows: np.isfinite(array).reshape(len(array), -1).all(axis=1)
          where     test_door.py:N  found = said(lambda: model.fit(x, np.zeros(8)))
        """)


def test_lengths_that_differ():
    model = network("mse", 1)
    found = said(lambda: model.fit(X, np.zeros(7)))
    assert found == dedent("""\
        ShapeError: X and y have different numbers of examples.
          expected  8 rows, as X
          found     7 rows
          where     test_door.py:N  found = said(lambda: model.fit(X, np.zeros(7)))
        """)


def test_classes_minus_1_and_1():
    model = network("binary_crossentropy", 1)
    found = said(lambda: model.fit(X, [-1, 1] * 4))
    assert found == dedent("""\
        LabelError: layer 'L3' (Dense, 1 units) and BinaryCrossentropy cannot use this y.
          expected  y from 0 to 1, of shape (8, 1)
          found     y from -1 to 1
          why       a cross-entropy compares probabilities
          fix       code the classes 0 and 1; use MeanSquaredError for other numbers
          where     test_door.py:N  found = said(lambda: model.fit(X, [-1, 1] * 4))
        """)


def test_one_example_alone():
    model = network("mse", 1)
    model.fit(X, np.zeros(8), verbose=0)
    found = said(lambda: model.predict(X[0]))
    assert found == dedent("""\
        ShapeError: X does not fit this model.
          expected  shape (m, 3)
          found     shape (3,)
          fix       X[np.newaxis] makes a batch of one example
          where     test_door.py:N  found = said(lambda: model.predict(X[0]))
        """)


@pytest.mark.parametrize("count", [10, 200_000])
def test_a_hole_is_found_wherever_it_is(count):
    x = np.zeros((count, 2))
    x[count - 1, 1] = np.inf
    x[count // 2, 0] = np.nan
    found = said(lambda: network("mse", 1).fit(x, np.zeros(count)))
    assert f"2 of {2 * count} numbers, first at row {count // 2}, column 0; row {count - 1}, column 1" in found


def test_y_as_a_vector_and_as_a_column_are_taken_for_one_another():
    trained = set()
    for y in (np.arange(8.0), np.arange(8.0)[:, None], np.arange(8.0)[:, None].tolist()):
        bl.random.set_seed(1)
        model = network("mse", 1)
        model.fit(X, y, verbose=0)
        trained.add(model.get_weights()[0].tobytes())
    assert len(trained) == 1


def test_x_as_a_vector_is_one_column():
    model = network("mse", 1)
    model.fit(np.arange(8.0), np.arange(8.0), verbose=0)
    assert model.input_shape[1:] == (1,)
    np.testing.assert_array_equal(model.predict(np.arange(8.0)), model.predict(np.arange(8.0)[:, None]))


def test_the_summary_counts_parameters_and_not_the_optimizer():
    model = network("mse", 5)
    model.fit(X, np.zeros((8, 5)), verbose=0)
    model.evaluate(X, np.zeros((8, 5)))
    printed = []
    model.summary(print_fn=printed.append)
    lines = "\n".join(printed)
    assert model.count_params() == 20 + 30
    assert " Total params: 50 (200.00 B)" in lines
    assert " Trainable params: 50 (200.00 B)" in lines and " Non-trainable params: 0 (0.00 B)" in lines
    assert "100 numbers of its own, not in the total" in lines
    assert re.search(r"L1 \(Dense\) +│ \(None, 5\) +│ +20 │", lines)
