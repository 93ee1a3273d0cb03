"""Labels that are names: numbered in natural order by `fit`, looked up by everything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import backlit as bl
from backlit.core.errors import ArgumentError, BacklitError, LabelError, ShapeError, ValueRangeError
from backlit.layers import Dense
from backlit.losses import BinaryCrossentropy, BinaryFocalCrossentropy, SparseCategoricalCrossentropy
from backlit.utils import to_categorical

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = np.argmax(X, axis=1)
NAMES = np.array(["a1", "a2", "a10"])[Y]  # natural order: not that of the alphabet
YES = np.where(X[:, 0] > 0, "yes", "no")


def network(units=3, loss=None):
    model = bl.Sequential([Dense(4, "tanh"), Dense(units)])
    model.given_seed = 1
    model.compile("adam", loss or SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def state(model):
    return [weight.tobytes() for weight in model.get_weights()], model.classes, model.built, model.iterations


KINDS = {
    "str": lambda y: y, "list": lambda y: y.tolist(), "column": lambda y: y[:, None],
    "objects": lambda y: y.astype(object), "StringDType": lambda y: y.astype(np.dtypes.StringDType()),
    "pandas": pd.Series, "category": lambda y: pd.Series(y, dtype="category"), "string": lambda y: pd.Series(y, dtype="string"),
    "ordered": lambda y: pd.Series(pd.Categorical(y, ["a10", "no", "a2", "yes", "a1"], ordered=True)),
    "polars": pl.Series, "polars category": lambda y: pl.Series(y, dtype=pl.Categorical),
    "frame": lambda y: pd.DataFrame({"label": y}),
}  # fmt: skip


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_names_are_the_numbers_of_their_natural_order(make):
    named, numbered = network(), network()
    options = {"epochs": 2, "verbose": 0}
    named.fit(X, make(NAMES), validation_data=(X[:9], make(NAMES[:9])), **options)
    numbered.fit(X, Y, validation_data=(X[:9], Y[:9]), **options)
    assert state(named)[0] == state(numbered)[0] and named.history.history == numbered.history.history
    assert named.classes == ("a1", "a2", "a10") and numbered.classes is None
    assert named.evaluate(X, make(NAMES)) == named.evaluate(X, Y) == numbered.evaluate(X, Y)
    assert named.train_on_batch(X[:1], make(NAMES[:1])) == numbered.train_on_batch(X[:1], Y[:1])
    assert named.predict_classes(X).tolist() == np.array(named.classes)[numbered.predict_classes(X)].tolist()
    two, zero_one = (network(1, loss) for loss in (BinaryCrossentropy(from_logits=True), BinaryCrossentropy(True)))
    two.fit(X, make(YES), **options)
    zero_one.fit(X, YES == "yes", **options)  # truths are 0 and 1 and no names
    assert state(two)[0] == state(zero_one)[0] and (two.classes, zero_one.classes) == (("no", "yes"), None)


def test_class_weights_may_name_the_classes():
    named, numbered = network(), network()
    named.fit(X, NAMES, class_weight={"a1": 2.0, "a2": 1.0, "a10": 0.5}, verbose=0)
    numbered.fit(X, Y, class_weight={0: 2.0, 1: 1.0, 2: 0.5}, verbose=0)
    assert state(named)[0] == state(numbered)[0]
    with pytest.raises(ValueRangeError, match=r"missing: \[1\]"):
        named.fit(X, NAMES, class_weight={"a1": 2.0, "a10": 0.5}, verbose=0)


@pytest.mark.parametrize("call", ["evaluate", "test_on_batch", "train_on_batch", "fit", "validation"])
def test_a_label_that_training_did_not_see_is_refused(call):
    model = network()
    model.fit(X, NAMES, verbose=0)
    strange, before = np.where(NAMES == "a1", "a3", NAMES), state(model)
    with pytest.raises(LabelError, match=r"(?s)not among the model's classes.*a1, a2, a10.*'a3'") as caught:
        if call == "validation":
            model.fit(X, NAMES, validation_data=(X, strange), verbose=0)
        else:
            getattr(model, call)(X, strange)
    assert isinstance(caught.value, ValueError) and caught.value.finding.rules == (8, 10)
    assert "test_door_labels.py" in caught.value.fields["where"] and state(model) == before
    model.classes = None  # the fix
    model.fit(X, strange, verbose=0)
    assert model.classes == ("a2", "a3", "a10")


def test_a_part_of_the_known_classes_is_enough():
    model = network()
    model.fit(X, NAMES, verbose=0)
    some = NAMES != "a2"
    model.fit(X[some], NAMES[some], verbose=0)
    assert model.classes == ("a1", "a2", "a10")
    assert model.evaluate(X[some], NAMES[some]) == model.evaluate(X[some], Y[some])


@pytest.mark.parametrize("call", ["evaluate", "train_on_batch"])
def test_who_knows_no_classes_says_so(call):
    model = network()
    with pytest.raises(LabelError, match=r"(?s)knows no classes yet.*model\.classes = "):
        getattr(model, call)(X, NAMES)
    assert not model.built and model.classes is None
    model.classes = ("a1", "a2", "a10")  # the fix
    getattr(model, call)(X, NAMES)


WRONG = {
    "two names for three units": (3, None, YES, r"made for 3 classes.*2: no, yes.*Dense\(2\)"),
    "three names for two units": (2, None, NAMES, r"made for 2 classes.*3: a1, a2, a10.*Dense\(3\)"),
    "three names for one unit": (1, BinaryCrossentropy(), NAMES, "made for 2 classes.*sparse_categorical"),
    "one name": (1, BinaryFocalCrossentropy(), ["a"] * 60, "made for 2 classes.*1: a"),
    "several sigmoids": (3, BinaryCrossentropy(), NAMES, "cannot use this y.*text"),
    "one-hot loss": (3, "categorical_crossentropy", NAMES, "cannot use this y.*sparse_categorical_crossentropy"),
    "regression": (1, "mse", YES, r"cannot use this y.*y\.astype\(float\)"),
    "numbers as text": (1, "mae", np.arange(60).astype(str), r"y\.astype\(float\)"),
    "hinge": (1, "hinge", YES, "cannot use this y"),
    "None": (3, None, [None, *NAMES[1:]], r"y\[0\] has no label.*None"),
    "NaN": (3, None, [*NAMES[:5], float("nan"), *NAMES[6:]], r"y\[5\] has no label"),
    "missing in pandas": (3, None, pd.Series([pd.NA, *NAMES[1:]], dtype="string"), r"y\[0\] has no label"),
    "a number": (3, None, [*NAMES[:-1], 7], r"mixes text.*y\[59\] is 7"),
    "bytes": (3, None, NAMES.astype("S"), "bytes"),
    "dates": (3, None, np.zeros(60, "M8[D]"), "dates"),
    "two columns": (3, None, np.stack([NAMES, NAMES], axis=1), r"\(60, 2\)"),
    "too few": (3, None, NAMES[:7], "60 rows"),
}


@pytest.mark.parametrize(("units", "loss", "y", "words"), WRONG.values(), ids=WRONG)
def test_labels_that_cannot_be_used(units, loss, y, words):
    model = network(units, loss)
    with pytest.raises((LabelError, ShapeError, BacklitError), match=f"(?s){words}") as caught:
        model.fit(X, y, verbose=0)
    assert isinstance(caught.value, ValueError) and caught.value.finding is not None
    assert not model.built and model.classes is None


def test_a_refused_fit_keeps_the_classes():
    model = network()
    with pytest.raises(ValueRangeError):
        model.fit(X, NAMES, validation_split=0.999, verbose=0)
    assert model.classes is None and not model.built
    model.fit(X, NAMES, verbose=0)
    model.fit(X, Y, verbose=0)  # numbers say nothing about names
    assert model.classes == ("a1", "a2", "a10")


def test_names_for_several_outputs_are_refused():
    x = bl.Input((3,))
    model = bl.Model(x, [Dense(3, name="u")(x), Dense(3, name="v")(x)])
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(LabelError, match="several outputs"):
        model.fit(X, [NAMES, NAMES], verbose=0)


# ---------------------------------------------------------------------- to_categorical
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 2), (2, 3, 1)])
def test_to_categorical_puts_a_1_at_each_number(shape):
    numbers = np.random.default_rng(0).integers(0, 4, shape)
    flat = numbers[..., 0] if len(shape) > 1 and shape[-1] == 1 else numbers
    found = to_categorical(numbers, 6)
    assert found.shape == (*flat.shape, 6) and found.dtype == np.float64
    np.testing.assert_array_equal(found, np.eye(6)[flat])
    assert to_categorical(numbers).shape[-1] == numbers.max() + 1
    np.testing.assert_array_equal(to_categorical(numbers.astype("float32"), num_classes=6), found)


@pytest.mark.parametrize(
    ("x", "classes"), [([-1], None), ([3], 3), ([0.5], None), ([np.nan], None), (["a"], None), ([], None), ([0], 0),
                       ([0], 2.5), ([0], True), (3, None), ([[1], [2, 3]], None), (None, None)]
)  # fmt: skip
def test_to_categorical_refuses_what_it_cannot_place(x, classes):
    with pytest.raises(BacklitError):
        to_categorical(x, classes)


def test_set_random_seed_sets_all_three():
    import random

    drawn = []
    for _ in range(2):
        bl.utils.set_random_seed(7)
        drawn.append((random.random(), np.random.rand(), bl.random.uniform((2,)).tolist()))
    assert drawn[0] == drawn[1]
    with pytest.raises(ArgumentError):
        bl.utils.set_random_seed("seven")


@pytest.mark.parametrize(
    ("units", "loss", "y"), [(3, "sparse_categorical_crossentropy", Y), (3, "mse", np.eye(3)[Y]), (1, "mse", X[:, 0])]
)
def test_answers_for_places_and_one_y_an_example_ask_for_flatten(units, loss, y):
    maps = X.repeat(3, axis=1).reshape(-1, 3, 3)
    model = bl.Sequential([Dense(4, "relu"), Dense(units, "softmax" if units > 1 else None)])
    model.compile("adam", loss)
    with pytest.raises(ShapeError, match=r"fix +Flatten\(\) or a global pooling"):
        model.fit(maps, y, verbose=0)
