"""Mutants of a regression, of one for yes and no, and of one for several labels: one change each."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit.callbacks import EarlyStopping
from backlit.initializers import Constant, RandomNormal
from backlit.layers import Dense, Dropout, Lambda
from backlit.losses import BinaryCrossentropy, MeanSquaredError
from backlit.optimizers import SGD, Adam
from backlit.regularizers import L2

from .data import Rng, mileage, scaled, tags
from .program import Fault, Run, mutant

Cured = frozenset[str]


# ---------------------------------------------------------------------- a regression
def car(rng: Rng, last: str | None = None, loss: Any = "mse", rate: Any = None, **hidden: Any) -> Run:
    """The sound program: nine features, one number."""
    x, y = mileage(rng)
    hidden = {"activation": "relu", "kernel_regularizer": L2(1e-5), **hidden}
    layers = [Dense(64, **hidden), Dense(64, **hidden), Dense(1, last)]
    return Run(layers, loss, rate or Adam(0.003), x, y, {"epochs": 25})


@mutant("regression", rate=Fault((32, 40, 41, 37, 47, 48), None, "learning_rate"))
def mileage_fast(rng: Rng, cured: Cured) -> Run:
    """Adam with steps of 0.5."""
    return car(rng, rate=Adam(0.003 if cured else 0.5))


@mutant("regression", rate=Fault((33, 36), None, "learning_rate"))
def mileage_slow(rng: Rng, cured: Cured) -> Run:
    """Adam with steps of 10⁻⁵."""
    return car(rng, rate=Adam(0.003 if cured else 1e-5))


@mutant("regression", start=Fault((16,), 0, "initializer"))
def mileage_constant_start(rng: Rng, cured: Cured) -> Run:
    """All first weights 0.01."""
    run = car(rng, kernel_initializer="glorot_uniform" if cured else Constant(0.01))
    if not cured:
        run.layers[-1] = Dense(1, kernel_initializer=Constant(0.01))
    return run


@mutant("regression", weights=Fault((51,), 0, "regularizer"))
def mileage_heavy_l2(rng: Rng, cured: Cured) -> Run:
    """A penalty that outweighs the data."""
    return car(rng, kernel_regularizer=L2(1e-5 if cured else 0.5))


@mutant("regression", loss=Fault((55, 32, 40, 41), None, "reduction"))
def mileage_summed(rng: Rng, cured: Cured) -> Run:
    """The loss of a batch is a sum: its steps are 32 times as long."""
    return car(rng, loss=MeanSquaredError(reduction="sum_over_batch_size" if cured else "sum"), rate=SGD(0.05))


def _each_with_each(y: Any, p: Any) -> Any:
    """(m, 1) against (m,) gives (m, m)."""
    return bl.ops.mean((p - bl.ops.reshape(y, (-1,))) ** 2, axis=-1)


@mutant("regression", loss=Fault((9,), None, "pairing"), extra=(45, 47))
def mileage_broadcast(rng: Rng, cured: Cured) -> Run:
    """A loss of one's own compares every prediction with every target."""
    return car(rng, loss="mse" if cured else _each_with_each)


@mutant("regression", order=Fault((28, 45), None, "y"), extra=(49,))
def mileage_out_of_order(rng: Rng, cured: Cured) -> Run:
    """Rows were shuffled, their targets were not; judged on rows in order."""
    run = car(rng)
    run.judge = run.x, run.y
    if not cured:
        run.y = rng.permutation(run.y)
    return run


@mutant("regression", scale=Fault((21, 20), 0, "x"), extra=(33, 36))
def mileage_scaled_twice(rng: Rng, cured: Cured) -> Run:
    """Inputs of size 1 divided by 255 again."""
    run = car(rng)
    if not cured:
        run.x = run.x / 255
    return run


@mutant("regression", scale=Fault((20,), 0, "x"))
def mileage_raw(rng: Rng, cured: Cured) -> Run:
    """Features in units from thousandths to thousands."""
    run = car(rng)
    if not cured:
        run.x = run.x * [1, 1, 1e-3, 1, 1, 800, 1, 3000, 1] + [0, 0, 0, 0, 0, 2000, 0, 9000, 70]
    return run


@mutant("regression", loss=Fault((7,), None, "loss"))
def mileage_cross_entropy(rng: Rng, cured: Cured) -> Run:
    """A loss for classes on numbers."""
    return car(rng, loss="mse" if cured else "binary_crossentropy", last=None if cured else "sigmoid")


@mutant("regression", output=Fault((6,), -1, "activation"))
def mileage_sigmoid_output(rng: Rng, cured: Cured) -> Run:
    """Half of the targets are below 0."""
    return car(rng, last=None if cured else "sigmoid")


@mutant("regression", output=Fault((1, 6), -1, "activation"))
def mileage_softmax_output(rng: Rng, cured: Cured) -> Run:
    """An output that is 1."""
    return car(rng, last=None if cured else "softmax")


@mutant("regression", loss=Fault((7, 32, 40, 41, 47, 58), None, "loss"))
def mileage_ascent(rng: Rng, cured: Cured) -> Run:
    """The wrong sign: the error is made as large as can be."""
    run = car(rng, loss="mse" if cured else lambda y, p: -bl.ops.mean((y - p) ** 2, axis=-1))
    run.metrics = ["mae"]
    return run


@mutant("regression", metric=Fault((12,), None, "metrics", silent=True))
def mileage_accuracy(rng: Rng, cured: Cured) -> Run:
    """Hits are counted where numbers are predicted."""
    run = car(rng)
    run.metrics = ["mae" if cured else "accuracy"]
    return run


@mutant("regression", hidden=Fault((13,), 0, "activation"))
def mileage_linear_layers(rng: Rng, cured: Cured) -> Run:
    """Three layers that are one."""
    return car(rng, activation="relu" if cured else None)


@mutant("regression", scale=Fault((22,), None, "y"), extra=(33, 36))
def mileage_large_targets(rng: Rng, cured: Cured) -> Run:
    """Targets in thousands."""
    run = car(rng)
    run.y = run.y if cured else 5000 + 900 * run.y
    return run


@mutant("regression", output=Fault((6,), -1, "activation"), extra=(37,))
def mileage_clipped_output(rng: Rng, cured: Cured) -> Run:
    """A ReLU for targets on both sides of 0."""
    return car(rng, last=None if cured else "relu")


# ---------------------------------------------------------------------- yes and no
def tumour(rng: Rng, last: str | None = "sigmoid", loss: Any = "binary_crossentropy", **hidden: Any) -> Run:
    """The sound program: 30 standardised features, benign or not."""
    x, y = scaled("breast_cancer", rng)
    hidden = {"activation": "relu", **hidden}
    layers = [Dense(16, **hidden), Dense(16, **hidden), Dense(1, last)]
    return Run(layers, loss, Adam(0.003), x, y, {"epochs": 10})


@mutant("binary", output=Fault((3, 41), -1, "activation"))
def tumour_relu_output(rng: Rng, cured: Cured) -> Run:
    """Zeros into a logarithm."""
    return tumour(rng, last="sigmoid" if cured else "relu")


@mutant("binary", output=Fault((4,), -1, "activation", silent=True))
def tumour_squashed_logits(rng: Rng, cured: Cured) -> Run:
    """A sigmoid in the layer and another one in the loss."""
    return tumour(rng, loss=BinaryCrossentropy(from_logits=not cured))


@mutant("binary", rows=Fault((23,), None, "x"))
def tumour_nan(rng: Rng, cured: Cured) -> Run:
    """Three numbers are missing."""
    run = tumour(rng)
    run.judge = run.x, run.y
    if not cured:
        run.x = run.x.copy()
        run.x[[3, 90, 200], [4, 0, 17]] = np.nan
    return run


@mutant("binary", held=Fault((30,), None, "validation", silent=True))
def tumour_sorted_tail(rng: Rng, cured: Cured) -> Run:
    """The last fifth of sorted rows is one class."""
    run = tumour(rng)
    order = np.arange(len(run.y)) if cured else np.argsort(run.y, kind="stable")
    run.x, run.y = run.x[order], run.y[order]
    run.fit["validation_split"] = 0.2
    return run


@mutant("binary", held=Fault((26,), None, "validation", silent=True))
def tumour_leak(rng: Rng, cured: Cured) -> Run:
    """Held-out rows that are training rows."""
    run = tumour(rng)
    x, y = run.x, run.y
    run.fit["validation_data"] = (x[450:], y[450:]) if cured else (x[:100], y[:100])
    run.x, run.y = x[:450], y[:450]
    return run


@mutant("binary", rows=Fault((29,), None, "y", silent=True), extra=(28,))
def tumour_conflicting_labels(rng: Rng, cured: Cured) -> Run:
    """A third of the rows stand there again, with the other answer."""
    run = tumour(rng)
    run.judge = run.x, run.y
    if not cured:
        run.x, run.y = np.concatenate([run.x, run.x[:190]]), np.concatenate([run.y, 1 - run.y[:190]])
    return run


@mutant("binary", dropout=Fault((52,), 1, "dropout"))
def tumour_hot_dropout(rng: Rng, cured: Cured) -> Run:
    """Nineteen of twenty units are off."""
    run = tumour(rng)
    share = 0.1 if cured else 0.95
    run.layers = [run.layers[0], Dropout(share), run.layers[1], Dropout(share), run.layers[2]]
    return run


@mutant("binary", dropout=Fault((52,), -1, "dropout", silent=True), extra=(3,))
def tumour_dropout_on_output(rng: Rng, cured: Cured) -> Run:
    """Half of the answers are set to 0, and the others doubled, while it is trained."""
    run = tumour(rng)
    run.layers.insert(2 if cured else 3, Dropout(0.5))
    return run


@mutant("binary", bias=Fault((37, 17, 42), 1, "bias"))
def tumour_dead_units(rng: Rng, cured: Cured) -> Run:
    """Biases that keep every unit of a layer off."""
    run = tumour(rng)
    run.layers[1] = Dense(16, "relu", bias_initializer="zeros" if cured else Constant(-20.0))
    return run


@mutant("binary", start=Fault((17, 38), 0, "initializer"))
def tumour_wide_start(rng: Rng, cured: Cured) -> Run:
    """First weights that saturate every tanh."""
    return tumour(rng, activation="tanh", kernel_initializer="glorot_normal" if cured else RandomNormal(stddev=8.0))


@mutant("binary", gradient=Fault((42,), -1, "activation"), extra=(3, 45))
def tumour_frozen(rng: Rng, cured: Cured) -> Run:
    """Rounding within the network: its derivative is 0, and nothing before it is trained."""
    run = tumour(rng)
    run.layers += [] if cured else [Lambda(lambda p: bl.ops.clip(bl.ops.round(p), 0.01, 0.99), name="decide")]
    return run


@mutant("binary", depth=Fault((15, 39), 0, "activation"), extra=(33, 36))
def tumour_deep_sigmoids(rng: Rng, cured: Cured) -> Run:
    """Eight layers of sigmoids."""
    run = tumour(rng)
    kind = {"activation": "relu", "kernel_initializer": "he_normal"} if cured else {"activation": "sigmoid"}
    run.layers = [*(Dense(16, **kind) for _ in range(8)), Dense(1, "sigmoid")]
    return run


@mutant("binary", column=Fault((20, 24), 0, "x"))
def tumour_row_number(rng: Rng, cured: Cured) -> Run:
    """The number of the row as a feature."""
    run = tumour(rng)
    if not cured:
        run.x = np.c_[run.x, 10_000.0 + rng.permutation(len(run.x))]
    return run


# ---------------------------------------------------------------------- several labels
def tagged(rng: Rng, last: str | None = "sigmoid", rate: Any = None, **hidden: Any) -> Run:
    """The sound program: five labels, each yes or no."""
    x, y = tags(rng)
    return Run(
        [Dense(32, "relu", **hidden), Dense(5, last)], "binary_crossentropy", rate or Adam(0.005), x, y, {"epochs": 15}
    )


@mutant("multi-label", output=Fault((2, 7, 3), -1, "activation"))
def tags_softmax_output(rng: Rng, cured: Cured) -> Run:
    """Labels that do not exclude one another share one probability."""
    return tagged(rng, last="sigmoid" if cured else "softmax")


@mutant("multi-label", output=Fault((5, 3, 41), -1, "activation"))
def tags_linear_output(rng: Rng, cured: Cured) -> Run:
    """Logits for a loss that takes probabilities."""
    return tagged(rng, last="sigmoid" if cured else None)


@mutant("multi-label", output=Fault((8, 9), -1, "units"))
def tags_one_unit(rng: Rng, cured: Cured) -> Run:
    """One unit for five labels."""
    run = tagged(rng)
    run.layers[-1] = Dense(5 if cured else 1, "sigmoid")
    return run


@mutant("multi-label", epochs=Fault((49,), None, "epochs", silent=True))
def tags_overfitted(rng: Rng, cured: Cured) -> Run:
    """Forty rows by heart, while the held-out loss rises."""
    run = tagged(rng, rate=Adam(0.01))
    x, y = run.x, run.y
    run.layers[0] = Dense(256, "relu")
    run.x, run.y = x[:40], y[:40]
    stop = {"callbacks": [EarlyStopping(patience=3, restore_best_weights=True)]} if cured else {}
    run.fit = {"epochs": 120, "validation_data": (x[300:], y[300:]), **stop}
    return run


@mutant("multi-label", epochs=Fault((36, 33), None, "epochs"))
def tags_stopped_early(rng: Rng, cured: Cured) -> Run:
    """One epoch."""
    run = tagged(rng)
    run.fit["epochs"] = 15 if cured else 1
    return run


@mutant("multi-label", labels=Fault((10, 7), -1, "y"))
def tags_labels_of_255(rng: Rng, cured: Cured) -> Run:
    """A mask from a picture: 0 and 255."""
    run = tagged(rng)
    run.judge = run.x, run.y
    run.y = run.y if cured else 255 * run.y
    return run


@mutant("multi-label", start=Fault((16,), 0, "initializer"))
def tags_constant_start(rng: Rng, cured: Cured) -> Run:
    """All first weights of the hidden layer are equal, and those behind it are, too."""
    run = tagged(rng, kernel_initializer="he_normal" if cured else Constant(0.1))
    if not cured:
        run.layers[-1] = Dense(5, "sigmoid", kernel_initializer=Constant(0.1))
    return run


@mutant("multi-label", rate=Fault((32, 40, 41, 37, 47, 48), None, "learning_rate"))
def tags_fast(rng: Rng, cured: Cured) -> Run:
    """Adam with steps of 1."""
    return tagged(rng, rate=Adam(0.005 if cured else 1.0))
