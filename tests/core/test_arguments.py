"""What an argument must be: the annotations say it, and what is passed is refused or arrives as they say."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.core import arguments
from backlit.core.arguments import Count, Decay, Interval, PathLike, Positive, Share, checked
from backlit.core.errors import ArgumentError, DataError, UnknownNameError, ValueRangeError
from backlit.core.record import Record

NAN, INF = float("nan"), float("inf")


def ours(function: Any) -> Any:
    """`function` checked as if it stood in the library."""
    function.__module__ = "backlit.tests"
    return checked(function)


def taking(hint: Any) -> Callable[[Any], Any]:
    """A function of one argument annotated so."""

    def call(value):
        return value

    call.__annotations__["value"] = hint
    return ours(call)


# ---------------------------------------------------------------------- kinds
@pytest.mark.parametrize(
    ("hint", "value", "arrives"),
    [
        (int, 3, 3),
        (int, np.int64(3), 3),
        (int, np.array(3, "uint8"), 3),
        (float, 2, 2),
        (float, np.float32(0.5), 0.5),
        (float, np.int8(2), 2),
        (float, Fraction(1, 2), 0.5),
        (float, INF, INF),
        (bool, np.bool_(True), True),
        (bool, 0, False),
        (bool, 1, True),
        (str, "a", "a"),
        (int | None, None, None),
        (str | int, np.int32(7), 7),
        (Literal["a", "b"], "b", "b"),
        (Literal["a", 1], np.int64(1), 1),
        (Sequence[int], (1, np.int64(2)), (1, 2)),
        (Sequence[int], np.array([1, 2]), [1, 2]),
        (list[float], range(3), range(3)),
        (Mapping[str, float], {"a": 1.0}, {"a": 1.0}),
        (PathLike, "a/b", "a/b"),
        (Count, 1, 1),
        (Decay, 0.0, 0.0),
        (Annotated[float, Interval(0, 1, above=True)], 1.0, 1.0),
        (Any, "anything", "anything"),
        (Any | None, 3, 3),
    ],
)
def test_what_is_taken_arrives_as_pythons_own(hint, value, arrives):
    got = taking(hint)(value)
    assert got == arrives and type(got) is type(arrives)


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (int, [3.0, "3", True, None, np.array([3]), 3j, np.bool_(True)]),
        (float, ["1", True, None, [1.0], 1j]),
        (bool, [2, -1, "yes", None, 0.0, []]),
        (str, [3, b"a", None]),
        (int | None, ["a", 1.5]),
        (Literal["a", "b"], [3, None, ["a"]]),
        (Literal[1, 2], [True, "1", 1.0]),
        (Sequence[int], ["12", 3, [1, "a"], [1.5], {1: 2}, np.array(3)]),
        (Mapping[str, float], [[1.0], {"a": "b"}]),
        (PathLike, [3, None, b"a"]),
        (Callable[[int], int], [3, "len"]),
        (bl.Node, [3.0, np.ones(2)]),
        (Count, ["a", 1.0, False]),
    ],
)
def test_another_kind_is_a_type_error(hint, values):
    for value in values:
        with pytest.raises(TypeError, match=r"^call: value must be ") as caught:
            taking(hint)(value)
        assert isinstance(caught.value, bl.BacklitError)


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (float, [NAN, np.float64(NAN)]),
        (Literal["a", "b"], ["c"]),
        (Count, [0, -3, 10**30]),
        (Positive, [0, -1.0, INF, NAN]),
        (Share, [-0.1, 1.1, INF]),
        (Decay, [1.0, 1]),
        (Sequence[Count], [[1, 0]]),
        (Share | None, [2]),
    ],
)
def test_the_right_kind_out_of_range_is_a_value_error(hint, values):
    for value in values:
        with pytest.raises(ValueError, match=r"^call: value must be ") as caught:
            taking(hint)(value)
        assert isinstance(caught.value, bl.BacklitError)


@given(st.integers(-5, 5), st.integers(-5, 5), st.floats(-10, 10), st.booleans(), st.booleans())
def test_an_interval_is_what_it_says(low, high, value, above, below):
    inside = (value > low if above else value >= low) and (value < high if below else value <= high)
    assert (value in Interval(low, high, above, below)) == inside


def test_the_message_says_what_and_what_to_write():
    messages = {
        lambda: bl.callbacks.EarlyStopping(patience="a"): (
            "EarlyStopping: patience must be a whole number from 0, found 'a' (str)."
        ),
        lambda: bl.layers.Dense(16 / 2): (
            "Dense: units must be a whole number from 1, found 8.0 (float).\n  fix       write 8"
        ),
        lambda: bl.callbacks.EarlyStopping(mode="mim"): (
            "EarlyStopping: mode must be 'auto', 'min' or 'max', found 'mim'.\n  fix       did you mean 'min'?"
        ),
        lambda: bl.layers.Permute([1, "b"]): (
            "Permute: dims must be a list (each a whole number), found 'b' (str) in [1, 'b']."
        ),
        lambda: bl.losses.Huber(delta=lambda: 0): "Huber: delta must be a number above 0, found "
        "<function test_the_message_says_what_and_what_to_write.<loc… (function).",
    }
    for call, message in messages.items():
        with pytest.raises(bl.BacklitError) as caught:
            call()
        assert str(caught.value) == message


# ---------------------------------------------------------------------- names
def test_names_of_arguments():
    model = bl.Sequential([bl.layers.Dense(1)])
    for call, words in (
        (lambda: model.fit(epoch=3), "did you mean 'epochs'"),
        (lambda: model.compile(optimizr="sgd"), "did you mean 'optimizer'"),
        (lambda: bl.Input((3,), dtpye="int64"), "did you mean 'dtype'"),
        (lambda: bl.optimizers.Adam(clipnrm=1.0), "did you mean 'clipnorm'"),
        (lambda: bl.layers.Dense(), "Dense needs units"),
        (lambda: bl.layers.Dense(3, units=3), "units twice"),
        (lambda: bl.layers.Flatten(None, None), "at most 1 argument without its name"),
        (lambda: model.save(), "save needs path"),
        (lambda: model.get_layer("a", 0, 3), "at most 2 arguments"),
    ):
        with pytest.raises(ArgumentError, match=words):
            call()


def test_classes_of_ones_own_are_checked_by_name_only():
    class Mine(bl.layers.Layer):
        def __init__(self, width: int = 3, **kwargs):
            super().__init__(**kwargs)
            self.width = width

        def call(self, x):
            return x

    assert Mine(width="wide", name="mine").width == "wide"
    assert Mine("wide").get_config()["width"] == "wide"
    with pytest.raises(ArgumentError, match=r"Mine has no argument 'nmae'(?s:.*)did you mean 'name'"):
        Mine(nmae="mine")
    with pytest.raises(ArgumentError, match="Mine: name must be text or None, found 3"):
        Mine(name=3)


def test_arguments_passed_on_by_one_s_own_class_are_configuration_too():
    class Scaled(bl.losses.Loss):
        def __init__(self, by=1.0, **kwargs):
            super().__init__(**kwargs)
            self.by = by

        def formula(self, y, p):
            return self.by * bl.ops.mean(abs(p - y), axis=-1)

    made = Scaled(2.0, reduction="sum")
    assert repr(made) == "Scaled(by=2.0, reduction='sum')"
    again = Scaled.from_config(made.get_config())
    assert again.reduction == "sum" and again([[0.0], [0.0]], [[1.0], [2.0]]) == 6.0
    assert repr(bl.initializers.Constant(np.ones(2))) == "Constant(value=array([1., 1.]))"


# ---------------------------------------------------------------------- what stays as it was
def test_signatures_docstrings_and_names_stay():
    assert list(inspect.signature(bl.Model.fit).parameters)[:5] == ["self", "x", "y", "batch_size", "epochs"]
    assert inspect.signature(bl.layers.Dense).parameters["units"].annotation == "Count"
    assert inspect.signature(bl.Model.fit).parameters["epochs"].default == 1
    assert bl.Model.fit.__name__ == "fit" and "passes in batches" in bl.Model.fit.__doc__
    assert bl.load_model.__module__ == "backlit" and "model.save" in bl.load_model.__doc__
    assert "clipnorm" in inspect.signature(bl.optimizers.Adam).parameters


def test_annotations_are_read_once(monkeypatch):
    bl.layers.Dense(3)
    monkeypatch.setattr(typing, "get_type_hints", lambda *_, **__: 1 / 0)
    assert bl.layers.Dense(np.int64(4)).units == 4


def _checked_of(module: Any) -> list[Any]:
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    classes = [value for value in own if isinstance(value, type)]
    functions = [*own, *(value for cls in classes for value in vars(cls).values())]
    functions = [getattr(value, "__func__", value) for value in functions]  # class methods
    constructors = [cls.__init__ for cls in classes if issubclass(cls, Record)]
    return [*constructors, *(each for each in functions if inspect.isfunction(each) and hasattr(each, "__wrapped__"))]


def test_every_annotation_of_ours_can_be_read():
    seen = 0
    for each in pkgutil.walk_packages(bl.__path__, "backlit."):
        if each.name.startswith(("backlit.cli", "backlit.__main__", "backlit.engines.xla")):
            continue
        for function in _checked_of(importlib.import_module(each.name)):
            known = arguments.Arguments(function, skip=1)
            assert "_empty" not in "".join(map(str, known.kinds.values())), function
            seen += 1
    assert seen > 200


# ---------------------------------------------------------------------- the calls people make
X, Y = np.linspace(-1, 1, 12).reshape(4, 3), np.array([0, 1, 2, 1])


def digits() -> Any:
    model = bl.Sequential([bl.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda m: m.fit(X, Y, shuffle="x"), TypeError),
        (lambda m: m.fit(X, Y, verbose=7), ValueError),
        (lambda m: m.fit(X, Y, validation_freq="a"), TypeError),
        (lambda m: m.fit(X, Y, batch_size="a"), TypeError),
        (lambda m: m.fit(X, Y, batch_size=2.0), TypeError),
        (lambda m: m.fit(X, Y, epochs=0), ValueError),
        (lambda m: m.fit(X, Y, callbacks=[3]), TypeError),
        (lambda m: m.fit(X, Y, doctor="of"), ValueError),
        (lambda m: m.evaluate(X, Y, steps="a"), TypeError),
        (lambda m: m.save(None), TypeError),
        (lambda m: bl.load_model(None), TypeError),
        (lambda m: bl.random.set_seed("a"), TypeError),
        (lambda m: m.set_weights(3), TypeError),
        (lambda m: bl.clone_model(3), TypeError),
        (lambda m: m.get_layer(3.5), TypeError),
        (lambda m: m.compile(loss="mse", loss_weights=["a"]), TypeError),
        (lambda m: m.add(3), TypeError),
        (lambda m: m.summary(print_fn=3), TypeError),
        (lambda m: bl.Sequential(3), TypeError),
        (lambda m: bl.grad(3, bl.variable(1.0)), TypeError),
        (lambda m: bl.compile(bl.variable(1.0), inputs=3), TypeError),
        (lambda m: bl.Input("a"), TypeError),
        (lambda m: bl.Input((None, 3.5)), ValueError),
        (lambda m: bl.variable("a"), TypeError),
        (lambda m: bl.variable(1.0, dtype=b"a"), ValueError),
        (lambda m: bl.layers.Dropout("a"), TypeError),
        (lambda m: bl.optimizers.Adam("fast"), TypeError),
        (lambda m: bl.layers.Dense(2)([X, X]), TypeError),
        (lambda m: bl.layers.Dense(2, activation=lambda: 0), TypeError),
    ],
)
def test_a_refused_call_changes_nothing(call, kind):
    model = digits()
    with pytest.raises(kind) as caught:
        call(model)
    assert isinstance(caught.value, bl.BacklitError)
    assert not model.built and model.iterations == 0 and len(model.layers) == 1


def test_weights_are_finite_and_variables_need_not_be():
    model = digits()
    model.build((3,))
    before = model.get_weights()
    for bad in (np.nan, np.inf):
        with pytest.raises(DataError, match="dense/bias"):
            model.set_weights([np.zeros((3, 3)), np.full(3, bad)])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    w = bl.variable([1.0])
    assert np.isnan(w.assign([np.nan]).value).all() and np.isnan(bl.variable(NAN).value)


@pytest.mark.parametrize("word", ["crossentropy", "ce"])
def test_crossentropy_as_a_metric_follows_the_loss_and_as_a_loss_is_one_of_three(word):
    model = digits()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[word])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert logs[word] == pytest.approx(logs["loss"])
    with pytest.raises(UnknownNameError, match=r"one of three(?s:.*)sparse_categorical_crossentropy"):
        model.compile("sgd", word)


# ---------------------------------------------------------------------- ops: what has no meaning
def test_what_formulas_have_no_meaning_for():
    yes = np.array([True, False])
    for call in (lambda: bl.ops.negative(yes), lambda: bl.ops.subtract(yes, yes), lambda: -bl.variable(yes)):
        with pytest.raises(ValueError, match="has no meaning for bool"):
            call()
    with pytest.raises(ValueRangeError, match="negative integer powers"):
        bl.ops.power(np.array([2]), np.array([-1]))
    with pytest.raises(ArgumentError, match="low must be a number"):
        bl.ops.clip([1.0], low=[0.0, 1.0])


def test_fractions_among_the_attributes_make_fractions_of_whole_numbers():
    np.testing.assert_allclose(bl.nn.leaky_relu([-3, 2], negative_slope=0.5), [-1.5, 2.0])
    np.testing.assert_allclose(bl.ops.clip(np.array([0, 1, 3]), 0.5, 2.5), [0.5, 1.0, 2.5])
    assert bl.ops.clip(np.array([0, 1, 3]), 1.0, 2.0).tolist() == [1, 1, 2]


def test_places_are_whole_numbers_in_range():
    with pytest.raises(ValueError, match="whole numbers"):
        bl.ops.gather([1.0, 2.0], [0.5])
    for ids in ([2], [-1]):
        with pytest.raises(ValueRangeError, match="out of range"):
            bl.ops.gather([1.0, 2.0], ids)
        with pytest.raises(ValueRangeError, match="out of range"):
            bl.ops.scatter_add([1.0], ids, axis=0, length=2)
    with pytest.raises(ValueError, match="a part for each id"):
        bl.ops.scatter_add([1.0, 2.0], [0], axis=0, length=2)


@pytest.mark.parametrize("engine", ["planned", "reference"])
def test_no_examples_for_an_op_that_needs_some(engine):
    x = bl.input((bl.M, 2), "x")
    largest = bl.compile(bl.ops.max(x, axis=0), inputs=[x], engine=engine)
    with pytest.raises(ValueRangeError, match="max"):
        largest(np.zeros((0, 2)))
    assert largest(np.array([[1.0, 5.0], [3.0, 2.0]])).tolist() == [3.0, 5.0]
