"""A model in words: the usual names, what the numbers mean, and that nothing is claimed that is not known."""

import json
import re

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Activation, BatchNormalization, Conv1D, Dense, Dropout, Embedding, Flatten, Layer, PReLU
from backlit.losses import BinaryCrossentropy, LossFunctionWrapper, SparseCategoricalCrossentropy
from backlit.view.words import explained, gist, listed, said
from tests.view.networks import LOGITS, NETWORKS, batch, chain


def facts(model):
    found = model.explain().to_json()
    json.loads(json.dumps(found), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    return found


# ---------------------------------------------------------------------- usual names
@pytest.mark.parametrize(
    ("layers", "loss", "name"),
    [
        ([Dense(1)], "mse", "linear regression"),
        ([Dense(3)], "mae", "linear regression with 3 outputs"),
        ([Dense(1), Activation("relu")], "mse", "linear regression, cut off at 0"),
        ([Dense(1, "sigmoid")], "binary_crossentropy", "logistic regression"),
        ([Dense(1)], BinaryCrossentropy(from_logits=True), "logistic regression"),
        ([Dense(3, "sigmoid")], "binary_crossentropy", "3 logistic regressions side by side"),
        ([Dense(3)], LOGITS, "softmax regression (multinomial logistic regression)"),
        ([Dense(1)], "hinge", "linear classifier with a margin"),
        ([Dense(1, "tanh")], "mse", "single layer of 1 unit, tanh"),
        ([Dense(5, "relu"), Dense(1)], "mse", "fully connected network with 1 hidden layer (5 units)"),
        ([Dense(5, "relu"), Dropout(0.5), Dense(3, "relu"), Dense(1)], "mse",
         "fully connected network with 2 hidden layers (5 and 3 units)"),
        ([Dense(5), BatchNormalization(), Activation("relu"), Dense(1)], "mse",
         "fully connected network with 1 hidden layer (5 units), with BatchNormalization between"),
        ([Dense(5), Dense(1)], "mse",
         "fully connected network with 1 hidden layer (5 units), all linear and so no more than one linear layer"),
        ([Dense(2, "relu"), Dense(4)], "mse",
         "autoencoder (4 → 2 → 4), a fully connected network with 1 hidden layer (2 units)"),
        ([Flatten()], "mse", "network without anything to learn"),
    ],
)  # fmt: skip
def test_networks_have_their_usual_names(layers, loss, name):
    assert facts(chain(*layers, loss=loss))["kind"] == name


def test_other_networks_are_named_by_what_is_in_them():
    assert facts(NETWORKS["signal"]())["kind"] == "convolutional network of 3 layers with weights"
    assert "vectors learnt for ids" in facts(NETWORKS["ids"]())["kind"]
    assert facts(NETWORKS["functional"]())["kind"].endswith("with 2 inputs and 2 outputs")
    assert facts(bl.Sequential([bl.Input((3,)), Dense(1)]))["kind"] == "single layer of 1 unit, linear"
    assert facts(NETWORKS["model in a model"]())["kind"].startswith(
        "fully connected network with 2 hidden layers (3 and 3"
    )


# ---------------------------------------------------------------------- what the outputs mean
def output(model):
    return facts(model)["output"][0]


def test_logits_are_told_from_probabilities():
    logits = output(chain(Dense(5, "relu"), Dense(10), loss=LOGITS))
    assert (logits["kind"], logits["link"]) == ("logits", "softmax")
    assert "10 logits" in logits["says"] and "predict_probabilities" in logits["says"] and not logits["doubt"]
    inside = output(chain(Dense(10, "softmax"), loss="sparse_categorical_crossentropy"))
    assert (inside["kind"], inside["activation"]) == ("probabilities", "softmax")
    assert "do not apply it again" in inside["says"]
    one = output(chain(Dense(1), loss=BinaryCrossentropy(from_logits=True)))
    assert "1 / (1 + e⁻ᶻ)" in one["says"] and "class 1" in one["says"]
    labels = output(chain(Dense(4, "sigmoid"), loss="binary_crossentropy"))
    assert "need not sum to 1" in labels["says"]


def test_the_kind_of_output_is_true_of_what_predict_gives():
    for units, last, loss in [(3, None, LOGITS), (3, "softmax", "sparse_categorical_crossentropy")]:
        model = chain(Dense(5, "relu"), Dense(units, last), loss=loss)
        x, _ = batch(model)
        sums = model.predict(x * 30).sum(axis=1)
        assert np.allclose(sums, 1, atol=1e-5) == (output(model)["kind"] == "probabilities")


def test_softmax_twice_and_never_are_doubted():
    assert "applied twice" in output(chain(Dense(3, "softmax"), loss=LOGITS))["doubt"]
    assert "from_logits=True" in output(chain(Dense(3), loss=SparseCategoricalCrossentropy()))["doubt"]
    assert "from_logits=True" in output(chain(Dense(3, "relu"), loss="binary_crossentropy"))["doubt"]
    assert "careful" in str(chain(Dense(3, "softmax"), loss=LOGITS).explain())


def test_values_scores_and_what_is_not_known():
    assert output(chain(Dense(1)))["kind"] == "values"
    assert "never below 0" in output(chain(Dense(1, "relu")))["says"]
    assert output(chain(Dense(1), loss="hinge"))["kind"] == "scores"
    assert output(chain(Dense(3, "softmax"), loss="kl_divergence"))["kind"] == "probabilities"
    assert output(bl.Sequential([bl.Input((3,)), Dense(1)]))["kind"] == "unknown"
    assert output(bl.Sequential([bl.Input((3,)), Dense(2, "softmax")]))["kind"] == "probabilities"


def test_classes_are_named():
    model = chain(Dense(1, "sigmoid"), loss="binary_crossentropy")
    model.classes = ("malignant", "benign")
    text = str(model.explain())
    assert "It tells malignant (0) from benign (1)." in text and "class 1 (benign)" in text


def test_every_output_of_several_has_its_meaning():
    found = facts(NETWORKS["functional"]())
    assert [(each["name"], each["kind"]) for each in found["output"]] == [
        ("price", "values"),
        ("kind", "probabilities"),
    ]
    assert [each["share"] for each in found["training"]["losses"]] == [1.0, 0.2]


# ---------------------------------------------------------------------- layers, weights, training
def test_every_layer_of_the_library_says_what_it_computes():
    public = {cls for cls in vars(bl.layers).values() if isinstance(cls, type) and issubclass(cls, Layer)}
    own = [cls for cls in public if cls is not Layer]
    assert len(own) > 20
    for cls in own:
        sentence = gist(cls)
        assert len(sentence) > 10 and "\n" not in sentence and sentence.count("(") == sentence.count(")"), cls


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_counted_as_they_are_said(name):
    model = NETWORKS[name]()
    found = facts(model)
    for row in found["network"]:
        if row["arithmetic"]:
            total = (
                row["arithmetic"].partition(",  ")[0].split(", ")[0]
                if "trained" in row["arithmetic"]
                else row["arithmetic"]
            )
            left, _, right = total.partition(" = ")
            assert eval(left.replace("·", "*")) == row["parameters"] == int((right or left).replace(",", ""))
    count = found["parameters"]
    assert count["total"] == sum(row["parameters"] for row in found["network"]) == model.count_params()
    assert count["trained"] == sum(leaf.array.size for leaf in model.trainable_weights)


def test_layers_say_their_settings():
    assert said(Dense(25, "relu")) == "Dense, 25 units, relu"
    assert said(Dense(1, use_bias=False, kernel_regularizer="l2")) == "Dense, 1 unit, linear, no bias"
    assert said(Conv1D(4, 3, strides=2, activation="relu")) == "Conv1D, 4 filters, kernel_size 3, strides 2, relu"
    assert said(bl.layers.Normalization(mean=list(range(30)), variance=[1.0] * 30)).count("30 numbers") == 2
    assert said(bl.layers.Lambda("clip", arguments={"low": -1.0})).startswith("Lambda, function clip")
    assert said(Activation(PReLU())) == "Activation, PReLU" or "p_re_lu" in said(Activation(PReLU())).lower()


def test_a_layer_of_ones_own_is_said_to_be_one():
    class Doubled(Layer):
        def call(self, x, training=False):
            return x * 2

    layer = Doubled()
    model = chain(layer, Dense(1), shape=(3,))
    assert explained(layer) == "a layer of somebody's own: it turns an input of (m, 3) into (m, 3)."
    assert facts(model)["network"][0]["arithmetic"] == ""

    def own(y_true, y_pred):
        return bl.ops.mean((y_pred - y_true) ** 2, axis=-1)

    model.compile("sgd", loss=own)
    assert "own" in facts(model)["training"]["losses"][0]["loss"] and output(model)["kind"] == "values"
    assert issubclass(type(model.loss), LossFunctionWrapper)


def test_training_is_told():
    model = chain(Dense(4, "relu", kernel_regularizer="l2"), Dense(2, kernel_regularizer="l2"), loss=LOGITS)
    assert "not yet" in str(model.explain())
    x, y = batch(model)
    model.fit(x, y, epochs=3, batch_size=4, verbose=0)
    told = facts(model)["training"]
    assert (told["epochs"], told["steps"]) == (3, 6)
    assert told["penalties"] == ["L2() on the weights of dense and dense_1"]
    assert told["optimizer"] == "SGD() with learning rate 0.01" and "p - lr g" in told["optimizer_says"]
    assert "Here p is the softmax of the output." in told["losses"][0]["says"]


def test_what_is_unknown_is_said():
    bare = bl.Sequential([Dense(3, "relu"), Dense(1)])
    text = str(bare.explain())
    assert "model.build" in text and "not compiled" in text and "fully connected network with 1 hidden layer" in text
    assert facts(bare)["output"] == [] and facts(bare)["parameters"] is None
    assert "network without" in str(bl.Sequential([]).explain())
    compiled = bl.Sequential([Dense(1)])
    compiled.compile("adam", "mse")
    assert "mse" in str(compiled.explain())


@pytest.mark.parametrize(
    "about",
    [{"scores": 3}, {"scores": {"test": {"n": 3}}}, {"columns": 4, "image": None}, {"fingerprint": 12, "name": 5}],
)
def test_whatever_somebody_wrote_about_a_model_is_no_obstacle(about):
    model = chain(Dense(1))
    model.about = about
    assert "linear regression" in str(model.explain())


def test_signs_that_would_move_the_cursor_are_not_printed():
    model = chain(Dense(1, "sigmoid"), loss="binary_crossentropy")
    model.classes = ("\x1b[31mred", "two\nlines")
    model.about = {"name": "\x1b]0;x\x07", "target": "a\rb", "columns": ["\x1b[2J"] * 4}
    text = str(model.explain())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text) and "two lines" in text


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", NETWORKS)
def test_lines_are_as_wide_as_asked_for(name, width):
    lines = NETWORKS[name]().explain().text(width).split("\n")
    assert max(map(len, lines)) <= width and all(line == line.rstrip() for line in lines)


def test_columns_of_a_table():
    import pandas

    from backlit.io.columns import Columns

    model = chain(Dense(1), shape=(3,))
    model.columns = Columns.infer(pandas.DataFrame({"size": [1.0, 2.0, 4.0], "colour": ["red", "blue", "red"]}))
    table = facts(model)["input"]["table"]
    assert [(each["name"], each["kind"]) for each in table] == [("size", "number"), ("colour", "category")]
    assert "colour: category" in str(model.explain())


def test_lists_of_words():
    assert listed(["a"]) == "a" and listed(["a", "b"]) == "a and b" and listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdef"), most=4) == "a, b, c, … (6 in all)" and listed([]) == ""


def test_ids_of_an_embedding():
    assert said(Embedding(10, 3)) == "Embedding, input_dim 10, output_dim 3"
