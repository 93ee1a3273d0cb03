"""The shape table with somebody's data beside it: what disagrees is marked where it disagrees."""

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import NotReadyError, ShapeError
from backlit.layers import Conv1D, Dense, Flatten
from tests.view.networks import NETWORKS, batch, chain


def given(table):
    return {row.quantity: row.given for row in table.rows if row.given}


def test_data_that_fit_are_not_marked():
    for name in ("digits", "functional", "signal", "ids"):
        model = NETWORKS[name]()
        x, y = batch(model)
        table = model.shapes(x=x, y=y)
        assert table.fits and "✗ (" not in str(table) and "color" not in table._repr_html_()


def test_a_missing_column_breaks_the_first_product():
    model = chain(Dense(4, "relu"), Dense(2), shape=(3,))
    table = model.shapes(x=np.ones((5, 2)), y=np.ones((5, 3)))
    assert given(table) == {
        "X": "✗ (5, 2)",
        "Z1": "✗ matmul cannot take the shapes (m, 2) and (3, 4)",
        "Y": "✗ (5, 3)",
    }
    assert not table.fits
    html = table._repr_html_()
    assert html.count("color:#c00") == 3 and "color:#c00;font-weight:bold;text-align:left'>✗ (5, 2)</td>" in html
    columns = given(model.shapes("columns", x=np.ones((5, 2)), y=np.ones((5, 2))))
    assert (columns["X"], columns["Y"]) == ("✗ (2, 5)", "(2, 5)")


def test_a_longer_signal_breaks_where_it_is_made_flat():
    table = chain(Conv1D(4, 3), Flatten(), Dense(2), shape=(8, 2)).shapes(x=np.ones((5, 9, 2)))
    assert given(table) == {"X": "✗ (5, 9, 2)", "Z1": "✗ (m, 7, 4)", "A1": "✗ cannot reshape (m, 7, 4) to (m, 24)"}


def test_one_example_without_its_axis():
    table = chain(Dense(4), shape=(3,)).shapes(x=[1.0, 2.0, 3.0])
    assert given(table)["X"] == "✗ (3,)" and not table.fits


def test_labels_and_columns_may_stand_as_fit_takes_them():
    labels = NETWORKS["digits"]()
    assert labels.shapes(y=np.zeros(5)).fits and labels.shapes(y=np.zeros((5, 1))).fits
    assert not labels.shapes(y=np.zeros((5, 3))).fits
    one = chain(Dense(1), shape=(1,))
    assert one.shapes(x=np.zeros(5), y=np.zeros(5)).fits


def test_the_table_says_what_the_door_says():
    model = chain(Dense(4), shape=(3,))
    for wide in range(1, 6):
        x = np.ones((4, wide))
        try:
            model.predict(x, verbose=0)
            fits = True
        except ShapeError as error:
            assert "model.shapes(x=X)" in str(error)
            fits = False
        assert model.shapes(x=x).fits is fits


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(NotReadyError, match="no loss"):
        bl.Sequential([bl.Input((3,)), Dense(1)]).shapes(y=np.zeros(5))
    with pytest.raises(ShapeError, match="number"):
        NETWORKS["functional"]().shapes(x=[np.zeros((5, 3))])
    with pytest.raises(bl.BacklitError):
        chain(Dense(1)).shapes(x=[[1.0, 2.0], [3.0]])
