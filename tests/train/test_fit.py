"""What a training does: it learns, its numbers are those of a computation by hand, and it can be repeated."""

import numpy as np
import pytest

import backlit as bl
from backlit.callbacks import Callback
from backlit.layers import BatchNormalization, Dense, Dropout
from backlit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam

LOGITS = SparseCategoricalCrossentropy(from_logits=True)


def network(*hidden, loss=LOGITS, units=3, optimizer=None, metrics=None, **options):
    model = bl.Sequential([*hidden, Dense(units)])
    model.compile(optimizer or Adam(0.01), loss, metrics=metrics, **options)
    return model


def bits(model):
    return [w.tobytes() for w in model.get_weights()]


# ---------------------------------------------------------------------- it learns
def test_linear_regression_finds_the_weights(seeded):
    x = np.random.default_rng(0).normal(size=(200, 3))
    model = network(units=1, loss="mse", optimizer=SGD(0.1))
    losses = model.fit(x, x @ [2.0, -1.0, 0.5] + 3.0, epochs=30, verbose=0).history["loss"]
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel[:, 0], [2, -1, 0.5], atol=1e-4)
    np.testing.assert_allclose(bias, [3], atol=1e-4)
    assert losses[-1] < 1e-6 < losses[0]


def test_xor_needs_a_hidden_layer_and_is_learnt_with_one(seeded):
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    loss = BinaryCrossentropy(from_logits=True)
    deep = network(Dense(8, "tanh"), units=1, loss=loss, optimizer=Adam(0.05))
    deep.fit(np.tile(x, (8, 1)), np.tile(y, 8), epochs=100, verbose=0)
    assert deep.predict_classes(x).tolist() == y.tolist()
    flat = network(units=1, loss=loss, optimizer=Adam(0.05))
    flat.fit(np.tile(x, (8, 1)), np.tile(y, 8), epochs=100, verbose=0)
    assert flat.predict_classes(x).tolist() != y.tolist()


def test_blobs_are_told_apart(seeded):
    rng = np.random.default_rng(1)
    centres = np.array([[0, 4], [4, 0], [-4, -4]])
    y = rng.integers(0, 3, 300)
    x = centres[y] + rng.normal(size=(300, 2))
    model = network(Dense(8, "relu"), metrics=["accuracy"])
    history = model.fit(x, y, epochs=15, verbose=0).history
    assert history["accuracy"][-1] > 0.98 and history["loss"][-1] < history["loss"][0] / 2


# ---------------------------------------------------------------------- by hand
def by_hand(x, y, w, batch, lr, weights=None, epochs=1):
    """Least squares by gradient descent on y = x w: the weights, and the mean loss of every epoch."""
    losses = []
    for _ in range(epochs):
        total = 0.0
        for begin in range(0, len(x), batch):
            a, b = x[begin : begin + batch], y[begin : begin + batch]
            k = np.ones(len(a)) if weights is None else weights[begin : begin + batch]
            error = a @ w - b
            total += np.sum(k * error**2)
            w = w - lr * 2 * a.T @ (k * error) / len(a)
        losses.append(total / len(x))
    return w, losses


@pytest.mark.parametrize("batch", [1, 4, 5, 10, 100])
@pytest.mark.parametrize("engine", ["planned", "reference"])
def test_every_batch_size_gives_the_weights_and_the_losses_of_the_formula(batch, engine, float64):
    rng = np.random.default_rng(2)
    x, y, weights = rng.normal(size=(10, 3)), rng.normal(size=10), rng.uniform(0, 2, 10)
    for given in (None, weights):
        model = bl.Sequential([bl.Input((3,)), Dense(1, use_bias=False)])
        model.set_weights([[[0.1], [0.2], [0.3]]])
        model.compile(SGD(0.05), "mse", engine=engine)
        history = model.fit(x, y, batch_size=batch, epochs=3, shuffle=False, verbose=0, sample_weight=given)
        w, losses = by_hand(x, y, np.array([0.1, 0.2, 0.3]), batch, 0.05, given, epochs=3)
        np.testing.assert_allclose(model.get_weights()[0][:, 0], w, rtol=1e-12)
        np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-12)
        assert model.iterations == 3 * -(-10 // batch)
        assert history.params["steps"] == -(-10 // batch)


def test_a_weight_of_0_is_a_row_that_only_counts(float64):
    """Keras divides by the number of rows: without them the same step is longer by rows / rows left."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 3)), rng.integers(0, 3, 12)
    weight = np.repeat([1.0, 0.0], [9, 3])
    bl.random.set_seed(1)
    with_zeros = network(Dense(4, "tanh"), optimizer=SGD(0.1))
    with_zeros.fit(x, y, sample_weight=weight, batch_size=12, verbose=0)
    bl.random.set_seed(1)
    without = network(Dense(4, "tanh"), optimizer=SGD(0.1 * 9 / 12))
    without.fit(x[:9], y[:9], batch_size=12, verbose=0)
    for a, b in zip(with_zeros.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_class_weights_are_the_sample_weights_of_the_labels(rows):
    x, y = rows
    trained = []
    for how in ({"class_weight": {0: 2.0, 1: 0.5, 2: 1.0}}, {"sample_weight": np.array([2.0, 0.5, 1.0])[y]}):
        bl.random.set_seed(2)
        model = network(Dense(4, "relu"))
        model.fit(x, y, verbose=0, epochs=2, **how)
        trained.append(bits(model))
    assert trained[0] == trained[1]
    bl.random.set_seed(2)
    both = network(Dense(4, "relu"))
    both.fit(x, y, verbose=0, epochs=2, class_weight={0: 2.0, 1: 0.5, 2: 1.0}, sample_weight=np.full(60, 0.5))
    assert bits(both) != trained[0]


# ---------------------------------------------------------------------- validation
def test_validation_is_evaluate_after_the_epoch(rows, seeded):
    x, y = rows
    model = network(Dense(4, "relu"), Dropout(0.5), metrics=["accuracy"])
    history = model.fit(x[:40], y[:40], epochs=3, verbose=0, validation_data=(x[40:], y[40:])).history
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    loss, accuracy = model.evaluate(x[40:], y[40:])
    assert (history["val_loss"][-1], history["val_accuracy"][-1]) == (loss, accuracy)


def test_a_share_is_split_off_the_end_before_shuffling(rows):
    x, y = rows
    trained = []
    for how in ({"validation_split": 0.25}, {"validation_data": (x[45:], y[45:])}):
        bl.random.set_seed(3)
        model = network(Dense(4, "relu"))
        data = (x, y) if "validation_split" in how else (x[:45], y[:45])
        history = model.fit(*data, epochs=2, verbose=0, **how).history
        trained.append((bits(model), history))
    assert trained[0] == trained[1]


def test_validation_does_not_touch_the_training(rows):
    x, y = rows
    trained = []
    for how in ({}, {"validation_data": (x[:7], y[:7])}):
        bl.random.set_seed(4)
        model = network(Dense(4, "relu"), BatchNormalization(), Dropout(0.3))
        model.fit(x, y, epochs=3, verbose=0, **how)
        trained.append(bits(model))
    assert trained[0] == trained[1]


def test_class_weights_stop_at_the_training_rows(rows, seeded):
    x, y = rows
    model = network(Dense(4, "relu"))
    weights = {0: 100.0, 1: 100.0, 2: 100.0}
    history = model.fit(x, y, verbose=0, validation_split=0.5, class_weight=weights).history
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(x[30:], y[30:]))
    weighted = model.fit(x, y, verbose=0, validation_data=(x, y, np.full(60, 2.0))).history["val_loss"][-1]
    assert weighted == pytest.approx(2 * model.evaluate(x, y))


# ---------------------------------------------------------------------- again and on
def test_one_seed_one_training(rows):
    def train(seed, **how):
        bl.random.set_seed(seed)
        model = network(Dense(4, "relu"), Dropout(0.2))
        history = model.fit(*rows, epochs=3, verbose=0, **how).history
        return bits(model), history

    assert train(5) == train(5)
    assert train(5)[0] != train(6)[0]
    assert train(5, shuffle=False)[0] != train(5)[0]


class Seen(Callback):
    """Which rows each batch held, from the loss of a model that cannot learn: |0 - y| of a row is its number."""

    def __init__(self):
        self.rows = []
        self.sum = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.rows.append([])
        self.sum = 0.0

    def on_train_batch_end(self, batch, logs=None):
        total = logs["loss"] * (batch + 1)
        self.rows[-1].append(round(total - self.sum))
        self.sum = total


def test_every_row_is_seen_once_an_epoch_in_an_order_that_changes(float64, seeded):
    model = bl.Sequential([bl.Input((1,)), Dense(1, use_bias=False)])
    model.compile(SGD(1e-30), "mae")
    seen = Seen()
    x, y = np.zeros((50, 1)), np.arange(50.0)
    model.fit(x, y, batch_size=1, epochs=3, verbose=0, callbacks=[seen])
    assert all(sorted(epoch) == list(range(50)) for epoch in seen.rows)
    orders = {tuple(epoch) for epoch in seen.rows} | {tuple(range(50))}
    assert len(orders) == 4
    model.fit(x, y, batch_size=1, shuffle=False, verbose=0, callbacks=[seen])
    assert seen.rows[-1] == list(range(50))


@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), Adam(0.01)], ids=repr)
def test_a_second_fit_goes_on_where_the_first_ended(rows, optimizer):
    def fresh():
        bl.random.set_seed(8)
        model = network(Dense(4, "relu"), BatchNormalization(), Dropout(0.3), optimizer=optimizer)
        model.build((3,))
        return model

    whole, parts, plain = fresh(), fresh(), fresh()
    history = whole.fit(*rows, epochs=4, verbose=0).history["loss"]
    first = parts.fit(*rows, epochs=1, verbose=0).history["loss"]
    second = parts.fit(*rows, epochs=4, initial_epoch=1, verbose=0)
    assert second.epoch == [1, 2, 3]
    assert bits(parts) == bits(whole) and first + second.history["loss"] == history
    for _ in range(2):
        plain.fit(*rows, verbose=0, shuffle=False)
    assert plain.iterations == 4 and parts.iterations == 8


def test_compile_forgets_the_optimizer_and_keeps_the_weights(rows, seeded):
    model = network(Dense(4, "relu"))
    model.fit(*rows, verbose=0)
    before = bits(model)
    model.compile(Adam(0.01), LOGITS)
    assert bits(model) == before and model.iterations == 0


def test_engines_agree_over_a_training(rows):
    trained = []
    for engine in ("reference", "planned"):
        bl.random.set_seed(9)
        model = network(Dense(6, "tanh"), BatchNormalization(), Dropout(0.2), Dense(5, "relu"), engine=engine)
        history = model.fit(*rows, batch_size=12, epochs=10, verbose=0)
        assert model.iterations == 50
        trained.append((model.get_weights(), history.history["loss"]))
    for a, b in zip(*(weights for weights, _ in trained), strict=True):
        assert np.linalg.norm(a - b) <= 1e-5 * max(np.linalg.norm(a), 1e-3)
    np.testing.assert_allclose(trained[0][1], trained[1][1], rtol=1e-5)


@pytest.mark.parametrize("engine", ["reference", "planned"])
def test_who_watches_never_changes_the_arithmetic(rows, engine):
    """Steps may run one by one, or many at once: the weights are the same to the last bit."""

    class EachBatch(Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

    class EachEpoch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(*rows)
            self.model.predict(rows[0])

    trained, each = [], EachBatch()
    for callbacks in ([], [each], [EachEpoch()], [EachBatch(), EachEpoch()]):
        bl.random.set_seed(10)
        model = network(Dense(4, "relu"), BatchNormalization(), Dropout(0.5), engine=engine)
        history = model.fit(*rows, batch_size=7, epochs=5, verbose=0, callbacks=callbacks).history
        trained.append((bits(model), history, model.iterations))
    assert trained[0] == trained[1] == trained[2] == trained[3]
    assert each.batches == 5 * 9


def test_models_in_float64_train_in_float64(rows, float64):
    model = network(Dense(4, "relu"))
    model.fit(*rows, verbose=0)
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float64")}
    assert model.predict(rows[0]).dtype == np.float64


def test_whatever_kind_of_numbers_x_and_y_are(rows):
    x, y = np.round(rows[0] * 10), rows[1]
    kinds = [
        (x, y),
        (x.tolist(), y.tolist()),
        (x.astype(np.int16), y.astype(np.uint8)),
        (x.astype(np.float32), y[:, None]),
    ]
    kinds += [(np.asfortranarray(x), y.astype(float)), (x[::-1][::-1], y)]
    trained = set()
    for a, b in kinds:
        bl.random.set_seed(11)
        model = network(Dense(4, "relu"))
        model.fit(a, b, verbose=0)
        trained.add(tuple(bits(model)))
    assert len(trained) == 1


def test_data_are_not_changed(rows):
    x, y = rows[0].copy(), rows[1].copy()
    x.flags.writeable = y.flags.writeable = False
    model = network(Dense(4, "relu"))
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(x, rows[0])


def test_frozen_layers_stay(rows, seeded):
    hidden = Dense(4, "relu")
    model = network(hidden)
    model.build((3,))
    hidden.trainable = False
    frozen, free = model.layers[0].get_weights(), model.layers[1].get_weights()
    model.fit(*rows, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(hidden.get_weights(), frozen, strict=True))
    assert not np.array_equal(model.layers[1].get_weights()[0], free[0])
    hidden.trainable = True
    model.fit(*rows, verbose=0)
    assert not np.array_equal(hidden.get_weights()[0], frozen[0])


# ---------------------------------------------------------------------- predict
def test_predictions_do_not_depend_on_the_batches(rows, seeded):
    model = network(Dense(4, "relu"), BatchNormalization())
    model.fit(*rows, verbose=0)
    at_once = model.predict(rows[0])
    for size in (1, 7, 59, 60, 1000):
        np.testing.assert_allclose(model.predict(rows[0], batch_size=size), at_once, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model(rows[0]), at_once)
    np.testing.assert_allclose(
        np.concatenate([model(row[np.newaxis]) for row in rows[0]]), at_once, rtol=1e-5, atol=1e-6
    )
    at_once[:] = 0  # a copy
    assert np.abs(model.predict(rows[0])).max() > 0


def test_probabilities_and_classes(rows, seeded):
    x, y = rows
    model = network(Dense(8, "relu"))
    model.fit(x, y, epochs=20, verbose=0)
    p = model.predict_probabilities(x)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(p, bl.nn.softmax(model.predict(x)), rtol=1e-6)
    assert model.predict_classes(x).tolist() == p.argmax(axis=1).tolist()
    model.classes = ("a", "b", "c")
    assert model.predict_classes(x).tolist() == ["abc"[k] for k in p.argmax(axis=1)]


def test_calling_a_model_in_training_mode_writes_nothing(rows, seeded):
    model = network(Dense(4, "relu"), BatchNormalization(), Dropout(0.5))
    model.fit(*rows, verbose=0)
    before = bits(model)
    noisy = model(rows[0], training=True)
    assert not np.array_equal(noisy, model(rows[0])) and bits(model) == before


def test_a_second_training_while_one_runs_is_kept_apart(rows):
    """A callback may train another model, or evaluate this one, without either noticing."""
    other = network(Dense(4, "relu"))

    class Nested(Callback):
        def on_train_batch_end(self, batch, logs=None):
            other.fit(*rows, verbose=0)

    bl.random.set_seed(13)
    alone = network(Dense(4, "relu"))
    alone.fit(*rows, verbose=0)
    bl.random.set_seed(13)
    nested = network(Dense(4, "relu"))
    nested.build((3,))
    nested.fit(*rows, verbose=0, callbacks=[Nested()])
    assert bits(nested) == bits(alone)
