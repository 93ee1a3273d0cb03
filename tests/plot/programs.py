"""Every picture on two sets of data: small and plain; of a table with long names, and larger."""

from functools import cache

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, make_blobs

import backlit as bl
from backlit.layers import Conv1D, Conv2D, Dense, Flatten, MaxPooling2D, Normalization, concatenate

LOGITS = bl.losses.SparseCategoricalCrossentropy(from_logits=True)


def trained(model, x, y, loss, epochs=3, rate=0.01, **more):
    model.given_seed = 1  # the process's own seed is left alone
    model.compile(bl.optimizers.Adam(rate), loss, metrics=["accuracy"] if loss != "mse" else None)
    model.fit(x, y, epochs=epochs, verbose=0, doctor="off", **more)
    return model


@cache
def blobs():
    """Four classes over two inputs, two ReLU units, four logits: W035."""
    centres = [(-5, 2), (-2, -2), (1, 2), (5, -2)]
    x, y = make_blobs(100, centers=centres, cluster_std=1.0, random_state=30)
    return trained(bl.Sequential([Dense(2, "relu", name="L1"), Dense(4, name="L2")]), x, y, LOGITS, 150), x, y


@cache
def cancer():
    """A table with long names, two classes with names."""
    table = load_breast_cancer(as_frame=True)
    y = table.target_names[table.target]
    scale = Normalization()
    scale.adapt(table.data.to_numpy())
    layers = [scale, Dense(10, "relu", name="a hidden layer with a long name"), Dense(5, "tanh"), Dense(1, "sigmoid")]
    return trained(bl.Sequential(layers), table.data, y, "binary_crossentropy", validation_split=0.2), table.data, y


@cache
def sizes():
    """Three numbers, four classes: names that are long, and of several scripts."""
    rng = np.random.default_rng(7)
    X = pd.DataFrame(
        rng.standard_normal((90, 3)), columns=["身高 height", "weight_of_the_person_in_kilograms", "возраст"]
    )
    y = np.array(["小号 small", "中号 medium", "большой", "extra-extra-large größe"])[
        np.digitize(X.iloc[:, 0], [-0.7, 0, 0.7])
    ]
    model = bl.Sequential([Dense(6, "relu", name="hidden"), Dense(5, "tanh", name="second"), Dense(4, name="sizes")])
    return trained(model, X, y, LOGITS, 20, 0.03), X, y


@cache
def shapes():
    """Small images with long names, wrongly taken for one another; flattened by the model."""
    rng = np.random.default_rng(1)
    x, y = rng.random((30, 12, 10)), np.array(["horizontal bar", "vertical bar", "Ecke"])[rng.integers(0, 3, 30)]
    layers = [bl.Input((12, 10)), Flatten(), Dense(6, "relu"), Dense(3)]
    return trained(bl.Sequential(layers), x, y, LOGITS, 1), x, y


@cache
def digits():
    x, y = load_digits(return_X_y=True)
    layers = [Dense(25, "relu", name="L1"), Dense(15, "sigmoid", name="L2"), Dense(10, name="L3")]
    return trained(bl.Sequential(layers), x / 16, y, LOGITS, validation_split=0.25), x / 16, y


@cache
def line():
    """The three-piece target of W034 with its exact network."""
    x = np.linspace(0, 3, 61).reshape(-1, 1)
    model = bl.Sequential([bl.Input((1,)), Dense(3, "relu", name="units"), Dense(1, name="sum")])
    model.set_weights([[[-2.0, 1.0, 2.0]], [2.0, -1.0, -4.0], [[1.0], [1.0], [1.0]], [0.0]])
    return model, x, np.where(x < 1, 2 - 2 * x, np.where(x < 2, x - 1, 3 * x - 5))


def signal():
    model = bl.Sequential(
        [bl.Input((100, 1)), Conv1D(1, 20, strides=10, name="c1"), Conv1D(1, 5, strides=2, name="c2")]
    )
    return model, np.sin(np.arange(100) / 4)


def picture_net():
    layers = [Conv2D(2, 3, name="c1"), MaxPooling2D(2, name="pool"), Conv2D(2, 3, name="c2")]
    return bl.Sequential([bl.Input((12, 12, 1)), *layers]), np.random.default_rng(1).random((12, 12, 1))


def branched():
    left, right = bl.Input((3,), name="left"), bl.Input((8, 8, 1), name="picture")
    joined = concatenate([Dense(4, "relu")(left), Flatten()(Conv2D(3, 3, activation="relu")(right))])
    return bl.Model([left, right], Dense(1, name="price")(joined))


def valley():
    w, b = bl.variable(3.0, name="w"), bl.variable(2.0, name="b")
    return (w**2 + 12 * b**2) / 2, w, b


def cost():
    model, x, y = cancer()
    return (model, x, y), ("dense/kernel", (0, 0)), "dense_1/bias"


def house():
    model = bl.Sequential([bl.Input((4,)), Dense(3, "relu", name="hidden"), Dense(1, "sigmoid", name="top seller")])
    model.compile("sgd", "binary_crossentropy")
    return model


def runs():
    return {"digits": digits()[0], "the breast cancer table": cancer()[0].history}


NAMES = {"hidden": ["affordability", "awareness", "perceived quality"]}
FIGURES = {
    "activations": lambda: bl.plot.activations(),
    "activations of one's own": lambda: bl.plot.activations(lambda z: z * z, "gelu", "softplus", "elu"),
    "one activation": lambda: bl.plot.activations("sigmoid", limits=(-8, 8)),
    "loss": lambda: bl.plot.loss(),
    "loss of regression": lambda: bl.plot.loss("huber", at=2.5),
    "loss of logits": lambda: bl.plot.loss(LOGITS, at=-1.0),
    "softmax": lambda: bl.plot.softmax([1.0, 2.0, 3.0, 4.0]),
    "softmax of many scripts": lambda: bl.plot.softmax([1.0, 2.0], ["猫 𝒜", "собака"]),
    "softmax of many": lambda: bl.plot.softmax(np.linspace(-3, 5, 12), [f"a rather long class {k}" for k in range(12)]),
    "slope": lambda: bl.plot.slope(*valley()[:2]),
    "slope of a model": lambda: bl.plot.slope(cost()[0], cost()[2], at=2.0),
    "surface": lambda: bl.plot.surface(*valley()),
    "surface of a model": lambda: bl.plot.surface(*cost()),
    "descent": lambda: bl.plot.descent(*valley()),
    "descent of a model": lambda: bl.plot.descent(*cost(), steps=15),
    "convexity": lambda: bl.plot.convexity([[-1.0], [0.5], [2.0]], [0, 1, 1]),
    "convexity of a table": lambda: bl.plot.convexity(cancer()[1][["mean radius"]], cancer()[2] == "benign"),
    "regions": lambda: bl.plot.regions(*blobs()),
    "regions of a table": lambda: bl.plot.regions(*cancer(), columns=("worst concave points", "worst perimeter")),
    "units": lambda: bl.plot.units(*blobs()),
    "units of the next layer": lambda: bl.plot.units(*blobs(), layer="L2", space="previous"),
    "units of a table": lambda: bl.plot.units(*cancer()),
    "regions of many scripts": lambda: bl.plot.regions(*sizes()),
    "units of many scripts": lambda: bl.plot.units(*sizes()),
    "units of the next layer, of many scripts": lambda: bl.plot.units(*sizes(), layer="sizes", space="previous"),
    "on and off of many scripts": lambda: bl.plot.on_off(*sizes()),
    "on and off": lambda: bl.plot.on_off(*blobs()),
    "on and off of a table": lambda: bl.plot.on_off(*cancer()),
    "curve": lambda: bl.plot.curve(*line()),
    "curve of a table": lambda: bl.plot.curve(*cancer()[:2], column="mean texture"),
    "network": lambda: bl.plot.network(digits()[0]),
    "network with names": lambda: bl.plot.network(house(), ["price", "shipping", "marketing", "material"], NAMES),
    "network with branches": lambda: bl.plot.network(branched()),
    "blocks": lambda: bl.plot.blocks(digits()[0]),
    "blocks of two layers": lambda: bl.plot.blocks(house()),
    "stacking": lambda: bl.plot.stacking(*blobs()[:2]),
    "stacking as columns": lambda: bl.plot.stacking(house(), np.arange(24.0).reshape(6, 4) / 10, convention="columns"),
    "broadcast": lambda: bl.plot.broadcast([[1.0], [2.0], [3.0]], [10.0, 20.0]),
    "broadcast of calories": lambda: bl.plot.broadcast([[56.0, 0.0, 4.4], [1.2, 104.0, 52.0]], [59, 239, 155.4], "/"),
    "unrolled": lambda: bl.plot.unrolled(np.arange(60).reshape(5, 4, 3)),
    "unrolled grey": lambda: bl.plot.unrolled(np.arange(400).reshape(20, 20)),
    "receptive": lambda: bl.plot.receptive(*signal()),
    "receptive on an image": lambda: bl.plot.receptive(*picture_net()),
    "history": lambda: bl.plot.history(digits()[0]),
    "history without dev": lambda: bl.plot.history(blobs()[0].history),
    "runs": lambda: bl.plot.runs(runs()),
    "runs of many scripts": lambda: bl.plot.runs({"小": sizes()[0], "большой": blobs()[0]}),
    "runs by accuracy": lambda: bl.plot.runs(runs(), metric="accuracy"),
    "learning curve": lambda: bl.plot.learning_curve([2, 8], blobs()[1], blobs()[2], epochs=5),
    "learning curve of numbers": lambda: bl.plot.learning_curve([3], line()[1], line()[2], sizes=[20, 40], epochs=5),
    "confusion": lambda: bl.plot.confusion(*digits()),
    "confusion of names": lambda: bl.plot.confusion(*cancer()),
    "images with long names": lambda: bl.plot.images(shapes()[1], shapes()[2], shapes()[0], count=20),
    "images": lambda: bl.plot.images(digits()[1], digits()[2], digits()[0]),
    "images without a model": lambda: bl.plot.images(np.random.default_rng(0).random((5, 6, 7, 3)), list("abcde")),
    "weights of flattened images": lambda: bl.plot.weights(shapes()[0]),
    "weights of a table": lambda: bl.plot.weights(sizes()[0]),
    "weights": lambda: bl.plot.weights(digits()[0]),
    "weights of a convolution": lambda: bl.plot.weights(picture_net()[0]),
    "top": lambda: bl.plot.top(*digits()[:2], layer="L2", unit=2),
    "top of many scripts": lambda: bl.plot.top(*sizes()[:2], unit=3),
    "top of a table": lambda: bl.plot.top(*cancer()[:2], unit=1),
    "flow": lambda: bl.plot.flow(*digits()),
    "flow of a table": lambda: bl.plot.flow(*cancer()),
}  # fmt: skip
