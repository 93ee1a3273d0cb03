"""What is typed by people who come from Keras, PyTorch or scikit-learn is answered with what it is called here."""

import re
from functools import reduce

import pytest

import backlit as bl
from backlit.core.elsewhere import ELSEWHERE, named_elsewhere
from backlit.core.errors import did_you_mean

MODEL = bl.Sequential([bl.layers.Dense(2)])
ROWS = [(word, beside, fix) for word, rows in ELSEWHERE.items() for beside, fix in rows]


@pytest.mark.parametrize(("word", "beside", "fix"), ROWS)
def test_the_answer_names_what_is_there(word, beside, fix):
    for path in re.findall(r"\bbl\.([\w.]*\w)", fix):
        assert reduce(getattr, path.split("."), bl) is not None
    for name in re.findall(r"(?<!')\bmodel\.(\w+)", fix):
        assert callable(getattr(MODEL, name)) or name in dir(MODEL)
    for name in re.findall(r"(?<![.\w])([A-Z]\w+)\(", fix):
        assert hasattr(bl.layers, name)
    assert not fix.endswith(".") and did_you_mean(word, [beside, "other"]) == fix


@pytest.mark.parametrize(
    ("call", "fix"),
    [
        (lambda: bl.optimizers.Adam(lr=0.01), "learning_rate=…"),
        (lambda: bl.optimizers.SGD(0.1, decay=1e-6), "InverseTimeDecay"),
        (lambda: bl.layers.Dense(3, input_shape=(4,)), r"bl.Input"),
        (lambda: bl.layers.Dense(3, input_dim=4), r"bl.Input"),
        (lambda: bl.layers.Embedding(3, embedding_dim=4), "output_dim"),
        (lambda: bl.layers.Dropout(p=0.4), "rate=…"),
        (lambda: bl.layers.LSTM(4), "no recurrent layers"),
        (lambda: bl.layers.Conv3D(4, 3), "Conv2D"),
        (lambda: bl.keras.Sequential(), "bl.Sequential"),
        (lambda: bl.models.Sequential(), "bl.Sequential"),
        (lambda: bl.Classifier(), "bl.sklearn.Classifier"),
        (lambda: bl.utils.plot_model(MODEL), "bl.plot.network"),
        (lambda: MODEL.to_json(), "bl.load_model"),
        (lambda: MODEL.eval(), "predict"),
        (lambda: MODEL.fit([[1.0]], [0], nb_epoch=3), "epochs=…"),
        (lambda: MODEL.fit([[1.0]], [0], workers=4), "in this process"),
        (lambda: MODEL.compile(lr=0.1), "learning_rate"),
    ],
)
def test_the_error_says_it(call, fix):
    with pytest.raises(bl.BacklitError, match=f"(?s)fix .*{fix}"):
        call()


def test_a_row_applies_beside_its_name_only():
    assert "negative_slope" in named_elsewhere("alpha", ["negative_slope", "name"])
    assert named_elsewhere("alpha", ["units"]) == "" == named_elsewhere("units", ["units"])


def test_rooms_list_what_they_offer_and_not_what_they_use():
    for room in ("optimizers", "utils", "callbacks", "activations", "losses", "layers", "plot"):
        assert not {"names_of", "sys", "annotations"} & set(dir(getattr(bl, room)))
    assert {"Adam", "schedules"} <= set(dir(bl.optimizers))
