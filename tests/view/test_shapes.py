"""The table of shapes: every row is the shape that the arrays have."""

import re

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Conv1D, Dense, Flatten, Normalization
from tests.view.networks import LOGITS, NETWORKS, ROWS, batch, chain


def bound(shape):
    return tuple(int(part[:-1] or 1) * ROWS if part.endswith("m") else int(part) for part in re.findall(r"\w+", shape))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shape_is_that_of_its_array(name):
    model = NETWORKS[name]()
    values = model.equations().values(*batch(model))
    rows = model.shapes().rows
    assert {row.quantity for row in rows} <= values.keys()
    for row in rows:
        assert bound(row.shape) == values[row.quantity].shape, row
        if row.gradient in values:
            assert values[row.gradient].shape == values[row.quantity].shape
    weights = {row.quantity: row.shape for row in rows}
    for symbol, leaf in model.equations().weights.items():
        assert bound(weights[symbol]) == leaf.shape


def test_columns_are_the_rows_turned():
    model = chain(Normalization(mean=1.0, variance=2.0), Dense(5, "relu"), Dense(3), loss=LOGITS)
    rows, columns = (model.shapes(convention=each).rows for each in ("rows", "columns"))
    for row, column in zip(rows, columns, strict=True):
        assert row.quantity == column.quantity
        plain = bound(row.shape)
        vector = len(plain) == 1 and "m" not in row.shape
        assert bound(column.shape) == ((*plain, 1) if vector else plain[::-1])


def test_one_example_has_no_m():
    rows = {row.quantity: row for row in chain(Dense(5, "relu"), shape=(3,)).shapes().rows}
    assert (rows["X"].one, rows["Z1"].one, rows["W1"].one, rows["Y"].one) == ("(3,)", "(5,)", "", "(5,)")
    assert rows["Z1"].how == "(m, 3) (3, 5) + (5,)"
    columns = {row.quantity: row for row in chain(Dense(5), shape=(3,)).shapes(convention="columns").rows}
    assert (columns["X"].one, columns["Z1"].one, columns["b1"].shape) == ("(3, 1)", "(5, 1)", "(5, 1)")


def test_only_what_is_trained_has_a_gradient():
    model = chain(Normalization(mean=1.0, variance=2.0), Dense(5, "relu", trainable=False), Dense(1))
    assert [row.gradient for row in model.shapes().rows if row.gradient] == ["dW2", "db2", "dZ2"]


def test_the_text_is_a_table():
    text = str(chain(Conv1D(4, 2), Flatten(), Dense(1), shape=(9, 2)).shapes())
    lines = text.split("\n")
    assert lines[2].split() == ["layer", "quantity", "shape", "gradient", "one", "example", "from"]
    assert any(line.startswith("conv1d") and "(2, 2, 4)" in line for line in lines)
    assert len({line.index("(") for line in lines[3:] if "  W" in line or "  b" in line}) == 1  # aligned
    assert "<table>" in chain(Dense(1)).shapes()._repr_html_()


def test_several_inputs_and_outputs_have_their_names():
    rows = {row.quantity: row.shape for row in NETWORKS["functional"]().shapes().rows}
    assert (rows["left"], rows["right"], rows["Y_price"], rows["Y_kind"]) == ("(m, 3)", "(m, 2)", "(m, 1)", "(m, 3)")


def test_an_uncompiled_model_has_shapes_and_no_target():
    rows = bl.Sequential([bl.Input((3,)), Dense(2)]).shapes().rows
    assert [row.quantity for row in rows] == ["X", "W1", "b1", "Z1"]
    assert np.all([row.layer != "target" for row in rows])
