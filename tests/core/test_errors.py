"""Every error is ours and Python's, says what to do, and survives a trip to another process."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest

import backlit as bl
from backlit.core import errors
from backlit.core.errors import BacklitError, LabelError, did_you_mean

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if BacklitError in cls.__mro__[1:]]
BUILTIN = {
    "ShapeError": ValueError,
    "DTypeError": ValueError,
    "DataError": ValueError,
    "LabelError": ValueError,
    "GraphError": ValueError,
    "NonFiniteError": ValueError,
    "OutOfMemoryError": MemoryError,
    "ValueRangeError": ValueError,
    "UnknownNameError": ValueError,
    "NotReadyError": ValueError,
    "FileError": ValueError,
    "ArgumentError": TypeError,
    "MissingAttributeError": AttributeError,
    "NotWrittenError": NotImplementedError,
    "FileMissingError": FileNotFoundError,
    "MissingImportError": ImportError,
}

EXAMPLE = """\
layer 'L3' (Dense, 10 units) and SparseCategoricalCrossentropy cannot use this y.
  expected  y of shape (m,) or (m, 1), whole numbers 0..9
  found     y of shape (5000,), whole numbers 1..10
  why       a sparse loss looks y up as an index into the 10 outputs
  fix       pass y - 1, or use Dense(11)
  where     digits.py:14  model.fit(X, y, epochs=40)"""
FIELDS = {
    "expected": "y of shape (m,) or (m, 1), whole numbers 0..9",
    "found": "y of shape (5000,), whole numbers 1..10",
    "why": "a sparse loss looks y up as an index into the 10 outputs",
    "fix": "pass y - 1, or use Dense(11)",
    "where": "digits.py:14  model.fit(X, y, epochs=40)",
}


def test_the_table_of_classes_is_complete():
    assert {cls.__name__ for cls in CLASSES} == set(BUILTIN)


@pytest.mark.parametrize("cls", CLASSES)
def test_each_is_also_the_builtin(cls):
    error = cls("what happened.", fix="do this")
    assert isinstance(error, BUILTIN[cls.__name__]) and isinstance(error, bl.BacklitError)
    assert str(error) == "what happened.\n  fix       do this"
    assert cls.__doc__
    with pytest.raises(BUILTIN[cls.__name__], match="what happened"):
        raise error


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_each_survives_pickle_and_copy(cls, again):
    error = cls("what happened.", **FIELDS)
    made = again(error)
    assert type(made) is cls and made is not error
    assert (str(made), made.message, made.fields) == (str(error), "what happened.", FIELDS)


def test_the_layout():
    message = EXAMPLE.splitlines()[0]
    assert str(LabelError(message, **FIELDS)) == EXAMPLE
    shuffled = dict(reversed(FIELDS.items()))
    assert str(LabelError(message, **shuffled)) == EXAMPLE  # the order is always the same
    assert str(LabelError("Only this.")) == "Only this."
    assert str(LabelError("No fix known.", fix="", why="so")) == "No fix known.\n  why       so"
    assert str(LabelError("Two lines.", fix="first\nthen")) == "Two lines.\n  fix       first\n            then"


def test_an_unknown_field_is_refused():
    with pytest.raises(TypeError, match="an error has the fields"):
        LabelError("what happened.", hint="?")


@pytest.mark.parametrize(
    ("word", "choices", "answer"),
    [
        ("Squential", ["Sequential", "Model"], "did you mean 'Sequential'?"),
        ("RELU", ["relu", "tanh"], "did you mean 'relu'?"),
        ("BinaryCrossEntropy", ["BinaryCrossentropy", "MeanSquaredError"], "did you mean 'BinaryCrossentropy'?"),
        ("from_logists", ["from_logits", "reduction"], "did you mean 'from_logits'?"),
        ("zebra", ["relu", "tanh"], ""),
        ("x", [], ""),
    ],
)
def test_did_you_mean(word, choices, answer):
    assert did_you_mean(word, choices) == answer


# ---------------------------------------------------------------------- nothing foreign comes out of a public call
w, v = bl.variable(2.0, "w"), bl.variable([1.0, 2.0, 3.0], "v")
x = bl.input((bl.M, 3), "x")
MISTAKES = {
    "a name of the package": (lambda: bl.grd, AttributeError),
    "a name of an op": (lambda: bl.ops.expp, AttributeError),
    "an unknown engine": (lambda: bl.compile(w, engine="fast"), ValueError),
    "no argument": (lambda: bl.ops.exp(), TypeError),
    "too many arguments": (lambda: bl.ops.exp(w, w), TypeError),
    "an argument twice": (lambda: bl.ops.exp(w, x=w), TypeError),
    "a misspelt keyword": (lambda: bl.nn.softmax(v, axs=0), TypeError),
    "a missing attribute": (lambda: bl.ops.reshape(v), TypeError),
    "text": (lambda: w + "1", TypeError),
    "None": (lambda: w * None, TypeError),
    "a ragged list": (lambda: v + [[1], [2, 3]], TypeError),  # noqa: RUF005
    "shapes": (lambda: v + np.ones(4), ValueError),
    "matrix shapes": (lambda: np.ones((2, 2)) @ v, ValueError),
    "an axis": (lambda: bl.ops.sum(v, axis=1), ValueError),
    "an axis that is no number": (lambda: bl.ops.sum(v, axis="0"), TypeError),
    "an index": (lambda: v[3], ValueError),
    "too many indices": (lambda: v[0, 0], ValueError),
    "a mask as index": (lambda: v[v > 1], TypeError),
    "an id out of range": (lambda: bl.ops.gather(v, np.array([3])).value, ValueError),
    "a truth value": (lambda: bool(w > 1), ValueError),
    "a length": (lambda: len(w), ValueError),
    "an unfed input": (lambda: x.value, ValueError),
    "an input that is not named": (lambda: bl.compile(x * 2), ValueError),
    "a gradient of a vector": (lambda: bl.grad(v, w), ValueError),
    "a gradient by a number": (lambda: bl.grad(w, 2.0), TypeError),
    "a shape of an input": (lambda: bl.input((None, 3)), ValueError),
    "a dtype": (lambda: bl.variable(1.0, dtype="float16"), ValueError),
    "a value of a variable": (lambda: bl.variable("1"), TypeError),
    "an assignment": (lambda: v.assign(1.0), ValueError),
    "a constant assigned": (lambda: bl.constant(1.0).assign(2.0), ValueError),
    "an update of a constant": (lambda: bl.compile(updates={bl.constant(1.0): w}), TypeError),
    "an update that does not fit": (lambda: bl.compile(updates={v: w}), ValueError),
    "a call without values": (lambda: bl.compile(x, [x])(), TypeError),
    "a call with another shape": (lambda: bl.compile(x, [x])(np.ones(3)), ValueError),
    "an order of axes": (lambda: bl.ops.transpose(v, "a"), TypeError),
    "axes to swap": (lambda: bl.ops.swapaxes(v, 0, 3), ValueError),
    "a width of padding": (lambda: bl.ops.pad(v, 1), TypeError),
    "too many widths": (lambda: bl.ops.pad(v, ((1, 1), (1, 1))), ValueError),
    "a split by zero": (lambda: bl.ops.split(v, sections=0), ValueError),
    "a name that is no text": (lambda: bl.variable(1.0, name=3), TypeError),
    "a split that does not divide": (lambda: bl.ops.split(v, sections=2), ValueError),
    "a reshape": (lambda: v.reshape(2, 2), ValueError),
    "a NumPy function without a record": (lambda: np.arcsin(w), ValueError),
    "a record whose name is taken": (lambda: bl.elementwise("exp", "x + 1", doc="No."), ValueError),
    "a formula": (lambda: bl.elementwise("test_bad", "x @ y", doc="No."), ValueError),
    "a function in a formula": (lambda: bl.elementwise("test_bad", "tahn(x)", doc="No."), ValueError),
    "code in a formula": (lambda: bl.elementwise("test_bad", "__import__('os')", doc="No."), ValueError),
}


@pytest.mark.parametrize(("mistake", "builtin"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(mistake, builtin, own_records):
    with pytest.raises(BacklitError) as caught:
        mistake()
    error = caught.value
    assert isinstance(error, builtin)
    first, *rest = str(error).splitlines()
    assert first.endswith((".", "?", ":")) and len(first) < 160
    assert all(line.startswith("  ") for line in rest)
    assert pickle.loads(pickle.dumps(error)).fields == error.fields


@pytest.mark.parametrize(
    ("mistake", "fix"),
    [
        (lambda: bl.grd, "did you mean 'grad'?"),
        (lambda: bl.ops.sofmax, "did you mean 'softmax'?"),
        (lambda: bl.nn.softmax(v, axs=0), "did you mean 'axis'?"),
        (lambda: bl.elementwise("test_bad", "sqtr(x)", doc="No."), "did you mean 'sqrt'?"),
    ],
)
def test_a_misspelt_name_gets_the_nearest(mistake, fix):
    with pytest.raises(BacklitError) as caught:
        mistake()
    assert caught.value.fields["fix"] == fix
