"""Calls that fail: what is refused, in which words, and that nothing has changed afterwards."""

import signal
import threading

import numpy as np
import pytest

import backlit as bl
from backlit.callbacks import Callback
from backlit.core.check import Finding
from backlit.core.errors import (
    ArgumentError,
    BacklitError,
    DataError,
    LabelError,
    NonFiniteError,
    NotReadyError,
    ShapeError,
)
from backlit.engines.base import Arrays
from backlit.layers import BatchNormalization, Dense, Dropout, Layer
from backlit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam

LOGITS = SparseCategoricalCrossentropy(from_logits=True)


def network(*hidden, loss=LOGITS, units=3, optimizer=None, **options):
    model = bl.Sequential([*hidden, Dense(units)])
    model.compile(optimizer or Adam(0.01), loss, **options)
    return model


def everything(model):
    """All that a training changes."""
    slots = [slot.array.tobytes() for slots in model._slots.values() for slot in slots.values()]
    return [w.tobytes() for w in model.get_weights()], slots, model.iterations, model.epochs_done, model.history


# ---------------------------------------------------------------------- the door
def data(rows=8, width=3):
    return np.random.default_rng(0).normal(size=(rows, width)), np.arange(rows) % 3


def with_hole(value):
    x, y = data()
    x[3, 1] = value
    return x, y


class OneNumber(Callback):
    pass


REFUSED = {  # name: (loss, units, (x, y), options of fit, error, a word of its text)
    "MSE y (8,1), output (8,3)": ("mse", 3, (data()[0], np.zeros((8, 1))), {}, ShapeError, r"\(8, 1\)"),
    "MSE y (8,), output (8,3)": ("mse", 3, (data()[0], np.zeros(8)), {}, ShapeError, r"\(8,\)"),
    "MSE y (8,3), output (8,1)": ("mse", 1, (data()[0], np.zeros((8, 3))), {}, ShapeError, r"\(8, 3\)"),
    "MSE y (1,8), output (8,1)": ("mse", 1, (data()[0], np.zeros((1, 8))), {}, ShapeError, "8 rows"),
    "label 3 of 3": (LOGITS, 3, (data()[0], [0, 1, 2, 3] * 2), {}, LabelError, r"0\.\.2"),
    "label -1": (LOGITS, 3, (data()[0], [0, 1, 2, -1] * 2), {}, LabelError, "from 0"),
    "label 2.5": (LOGITS, 3, (data()[0], [0, 1, 2.5, 1] * 2), {}, LabelError, "not all whole"),
    "one-hot for sparse": (LOGITS, 3, (data()[0], np.eye(3)[data()[1]]), {}, ShapeError, "one-hot"),
    "labels for one-hot": ("categorical_crossentropy", 3, data(), {}, ShapeError, "Sparse"),
    "labels -1 and 1": (BinaryCrossentropy(), 1, (data()[0], [-1, 1] * 4), {}, LabelError, "0 and 1"),
    "NaN in X": (LOGITS, 3, with_hole(np.nan), {}, DataError, "row 3, column 1"),
    "infinity in X": (LOGITS, 3, with_hole(-np.inf), {}, DataError, "row 3, column 1"),
    "NaN in y": ("mse", 1, (data()[0], [np.nan] + [0.0] * 7), {}, DataError, "y contains"),
    "no rows": (LOGITS, 3, (data()[0][:0], data()[1][:0]), {}, DataError, "row"),
    "text": (LOGITS, 3, ([["a", "b", "c"]] * 8, data()[1]), {}, DataError, "numbers"),
    "text in y": (LOGITS, 3, (data()[0], ["a"] * 8), {}, LabelError, "3 classes"),
    "ragged": (LOGITS, 3, ([[1, 2], [3]], [0, 1]), {}, BacklitError, "numbers|ragged"),
    "lengths": (LOGITS, 3, (data()[0], data()[1][:5]), {}, ShapeError, "8 rows"),
    "no y": (LOGITS, 3, (data()[0], None), {}, ArgumentError, "y"),
    "weights too short": (LOGITS, 3, data(), {"sample_weight": [1.0]}, DataError, "sample_weight"),
    "weights below 0": (LOGITS, 3, data(), {"sample_weight": [-1.0] * 8}, DataError, "sample_weight"),
    "weights NaN": (LOGITS, 3, data(), {"sample_weight": [np.nan] * 8}, DataError, "sample_weight"),
    "class weight NaN": (LOGITS, 3, data(), {"class_weight": {0: np.nan, 1: 1, 2: 1}}, DataError, "class_weight"),
    "class weight list": (LOGITS, 3, data(), {"class_weight": [1, 1, 1]}, ArgumentError, "class_weight"),
    "validation is no pair": (LOGITS, 3, data(), {"validation_data": data()[0]}, ArgumentError, "validation_data"),
    "validation of 1 part": (LOGITS, 3, data(), {"validation_data": (data()[0],)}, ArgumentError, "validation_data"),
    "validation labels": (LOGITS, 3, data(), {"validation_data": (data()[0], [9] * 8)}, LabelError, r"0\.\.2"),
    "validation width": (LOGITS, 3, data(), {"validation_data": data(width=2)}, ShapeError, r"\(m, 3\)"),
    "split of everything": (LOGITS, 3, data(), {"validation_split": 0.99}, BacklitError, "empty"),
    "split of 1.5": (LOGITS, 3, data(), {"validation_split": 1.5}, BacklitError, "validation_split"),
    "batch size 0": (LOGITS, 3, data(), {"batch_size": 0}, BacklitError, "batch_size"),
    "batch size 2.5": (LOGITS, 3, data(), {"batch_size": 2.5}, BacklitError, "batch_size"),
    "epochs 0": (LOGITS, 3, data(), {"epochs": 0}, BacklitError, "epochs"),
    "epochs text": (LOGITS, 3, data(), {"epochs": "many"}, BacklitError, "epochs"),
    "callback class": (LOGITS, 3, data(), {"callbacks": [OneNumber]}, BacklitError, "callback"),
    "callback number": (LOGITS, 3, data(), {"callbacks": [3]}, BacklitError, "callback"),
    "doctor": (LOGITS, 3, data(), {"doctor": "please"}, BacklitError, "doctor"),
}
refused = pytest.mark.parametrize(("loss", "units", "pair", "options", "error", "word"), REFUSED.values(), ids=REFUSED)


@refused
def test_a_refused_fit_leaves_an_unbuilt_model_unbuilt(loss, units, pair, options, error, word):
    bl.random.set_seed(3)
    model = network(Dense(4, "relu"), BatchNormalization(), loss=loss, units=units)
    with pytest.raises(error, match=f"(?s){word}") as caught:
        model.fit(*pair, verbose=0, **options)
    assert isinstance(caught.value, (ValueError, TypeError)) and isinstance(caught.value, BacklitError)
    assert not model.built and model.weights == [] and model.history is None and model.iterations == 0
    assert not any(layer.built for layer in model.layers)
    good = model_data(loss, units)
    model.fit(*good, verbose=0)  # and the next right call trains as if nothing had happened
    bl.random.set_seed(3)
    fresh = network(Dense(4, "relu"), BatchNormalization(), loss=loss, units=units)
    fresh.fit(*good, verbose=0)
    assert everything(model)[:4] == everything(fresh)[:4]


@refused
def test_a_refused_fit_leaves_a_trained_model_as_it_was(loss, units, pair, options, error, word):
    model = network(Dense(4, "relu"), BatchNormalization(), loss=loss, units=units)
    good = model_data(loss, units)
    model.fit(*good, verbose=0)
    before = everything(model)
    with pytest.raises(error):
        model.fit(*pair, verbose=0, **options)
    assert everything(model) == before
    model.fit(*good, verbose=0)


def model_data(loss, units):
    x, y = data()
    if loss is LOGITS:
        return x, y
    return x, np.eye(3)[y][:, :units] if units == 3 else (y > 0).astype(float)


DOOR = [name for name in REFUSED if REFUSED[name][4] in (ShapeError, LabelError, DataError)]


@pytest.mark.parametrize("name", DOOR)
def test_what_the_door_refuses_is_a_finding(name):
    loss, units, pair, options, error, _ = REFUSED[name]
    with pytest.raises(error) as caught:
        network(Dense(4), loss=loss, units=units).fit(*pair, verbose=0, **options)
    finding = caught.value.finding
    assert isinstance(finding, Finding) and finding.severity == "error"
    assert finding.message == caught.value.message and finding.check
    assert "test_refused.py" in finding.where and "fit(" in finding.where
    assert finding.to_json()["severity"] == "error"


@pytest.mark.parametrize("call", ["evaluate", "fit"])
def test_evaluate_is_as_careful_as_fit(call):
    x, y = data()
    model = network(Dense(4))
    with pytest.raises(LabelError):
        getattr(model, call)(x, y + 1, verbose=0)
    assert not model.built and model.weights == []
    with pytest.raises(BacklitError, match="batch_size"):
        model.evaluate(x, y, batch_size=-1)
    assert np.isfinite(model.evaluate(x, y))


@pytest.mark.parametrize(
    ("x", "error", "word"),
    [
        (data()[0][0], ShapeError, "newaxis"),
        (data(width=4)[0], ShapeError, r"\(m, 3\)"),
        (with_hole(np.nan)[0], DataError, "NaN"),
        (data()[0][:0], DataError, "row"),
        (None, DataError, "numbers"),
        (3.0, DataError, "X"),
        ([["a"]], DataError, "numbers"),
    ],
)
def test_predict_is_careful_too(x, error, word):
    model = network(Dense(4))
    model.fit(*data(), verbose=0)
    before = everything(model)
    with pytest.raises(error, match=word):
        model.predict(x)
    assert everything(model) == before
    with pytest.raises(BacklitError):
        model.predict(data()[0], batch_size=-3)


def test_calls_in_the_wrong_order():
    model = bl.Sequential([Dense(1)])
    for call in (lambda: model.fit(*data()), lambda: model.evaluate(*data()), model.step_graph):
        with pytest.raises(NotReadyError, match="compile"):
            call()
    model.compile("sgd", "mse")
    with pytest.raises(NotReadyError, match="build"):
        model.step_graph()
    with pytest.raises(NotReadyError):
        model.count_params()
    with pytest.raises(ArgumentError, match="loss"):
        model.compile("sgd")
    empty = bl.Sequential()
    empty.compile("sgd", "mse")
    with pytest.raises(NotReadyError, match="no layers"):
        empty.fit(*data())


def test_a_layer_that_cannot_be_built_is_not_added():
    model = network()
    model.build((3,))
    before = everything(model)[0], [layer.name for layer in model.layers]

    class Misfit(Layer):
        def call(self, x, training=False):
            return x @ bl.constant(np.zeros((7, 2)))

    grown = bl.Sequential([bl.Input((3,)), Dense(2)])
    weights = grown.get_weights()
    with pytest.raises(ShapeError):
        grown.add(Misfit())
    assert grown.built and len(grown.layers) == 1
    assert all(np.array_equal(a, b) for a, b in zip(grown.get_weights(), weights, strict=True))
    grown.add(Dense(1))
    assert grown.count_params() == 8 + 3
    assert (everything(model)[0], [layer.name for layer in model.layers]) == before


def test_no_optimizer_is_adam_and_says_so(capsys):
    model = bl.Sequential([Dense(1)])
    model.compile(loss="mse")
    assert "Adam(learning_rate=0.001)" in capsys.readouterr().err
    assert isinstance(model.optimizer, Adam)
    model.compile("adam", "mse")
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------- steps that are not finite
def overflowing():
    """Five batches of two rows; in the third a number whose square is infinite in float32."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(10, 3)), rng.normal(size=10)
    x[5, 0] = 1e30
    return x, y


@pytest.mark.parametrize("engine", ["planned", "reference"])
def test_a_step_that_is_not_finite_is_not_written_and_named(engine):
    x, y = overflowing()
    how = {"batch_size": 2, "shuffle": False, "verbose": 0}
    bl.random.set_seed(1)
    model = network(Dense(4), BatchNormalization(), units=1, loss="mse", engine=engine)
    with pytest.raises(NonFiniteError, match=r"step 3") as caught:
        model.fit(x, y, **how)
    bl.random.set_seed(1)
    until = network(Dense(4), BatchNormalization(), units=1, loss="mse", engine=engine)
    until.fit(x[:4], y[:4], **how)
    assert everything(model)[:3] == everything(until)[:3]
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.finding.severity == "error"
    assert "square" in str(error) or "multiply" in str(error) or "power" in str(error), "names an operation"
    model.fit(x[:4], y[:4], **how)  # still usable
    assert np.isfinite(model.predict(x[:4])).all()


@pytest.mark.parametrize("engine", ["planned", "reference"])
def test_a_gradient_that_is_not_finite_shuts_the_gate_though_the_loss_is(engine):
    model = bl.Sequential([bl.Input((3,)), Dense(1, bl.ops.sqrt, use_bias=False, kernel_initializer="zeros")])
    model.compile("adam", "mse", engine=engine)
    assert np.isfinite(model.evaluate(data()[0], np.ones(8)))
    with pytest.raises(NonFiniteError, match=r"gradient norm (nan|inf)"):
        model.fit(data()[0], np.ones(8), verbose=0)
    assert model.get_weights()[0].tolist() == [[0.0]] * 3 and model.iterations == 0


def test_a_diverging_training_ends_with_the_last_finite_parameters():
    x, y = data(40)
    model = network(units=1, loss="mse", optimizer=SGD(1e6))
    with pytest.raises(NonFiniteError, match="nothing of it was written"):
        model.fit(x * 1e3, y, epochs=50, verbose=0)
    assert 0 < model.iterations < 100
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_without_a_doctor_such_steps_are_skipped_and_counted():
    x, y = overflowing()
    keep = [0, 1, 2, 3, 6, 7, 8, 9]
    trained = []
    for a, b in ((x, y), (x[keep], y[keep])):
        for callbacks in ([], [EachBatch()]):
            bl.random.set_seed(2)
            model = network(Dense(4), BatchNormalization(), units=1, loss="mse")
            how = {"batch_size": 2, "shuffle": False, "verbose": 0, "doctor": "off"}
            history = model.fit(a, b, callbacks=callbacks, **how)
            assert history.skipped_steps == (1 if a is x else 0)
            assert model.iterations == 4
            trained.append((everything(model)[:3], history.history))
            if callbacks:
                assert callbacks[0].ended == list(range(len(a) // 2)), "every batch that begins ends"
    assert trained[0] == trained[1] == trained[2] == trained[3]


def test_a_training_of_skipped_steps_only_has_no_loss():
    x, y = overflowing()
    model = network(units=1, loss="mse")
    history = model.fit(x[5:6], y[5:6], verbose=0, doctor="off")
    assert np.isnan(history.history["loss"]).all() and history.skipped_steps == 1 and model.iterations == 0


class EachBatch(Callback):
    def __init__(self):
        self.ended = []

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append(batch)


# ---------------------------------------------------------------------- interrupted
class Stop(Callback):
    """Raises in one hook, at one call of it."""

    def __init__(self, hook, error, at=0):
        self.calls = 0

        def call(*args):
            self.calls += 1
            if self.calls > at:
                raise error("enough")

        setattr(self, hook, call)

    def on_train_batch_begin(self, batch, logs=None):
        """So that every batch is told."""


HOOKS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_epoch_end",
]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("hook", HOOKS)
def test_an_exception_in_a_callback_leaves_the_last_committed_step(hook, error):
    x, y = data(32)
    bl.random.set_seed(5)
    model = network(Dense(4), BatchNormalization(), Dropout(0.3))
    how = {"batch_size": 8, "verbose": 0, "validation_data": (x, y)}
    with pytest.raises(error, match="enough"):
        model.fit(x, y, epochs=3, callbacks=[Stop(hook, error, at=0 if hook == "on_train_begin" else 1)], **how)
    bl.random.set_seed(5)
    same = network(Dense(4), BatchNormalization(), Dropout(0.3))
    same.build((3,))

    class Until(Callback):
        def on_train_batch_end(self, batch, logs=None):
            same.stop_training = same.iterations >= model.iterations

    if model.iterations:
        same.fit(x, y, epochs=3, callbacks=[Until()], **how)
    assert everything(model)[0] == everything(same)[0]
    model.fit(x, y, **how)  # still usable


@pytest.fixture
def press(monkeypatch):
    """`press(k)`: Ctrl-C comes while the batch of the k-th step is fetched, in the middle of a run."""
    fill, state = Arrays.fill, {"steps": 0, "at": None}

    def filling(source, step, buffers):
        state["steps"] += 1
        if state["steps"] == state["at"]:
            signal.raise_signal(signal.SIGINT)
        fill(source, step, buffers)

    monkeypatch.setattr(Arrays, "fill", filling)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores Ctrl-C
    yield lambda at: state.update(steps=0, at=at)
    signal.signal(signal.SIGINT, usual)


@pytest.mark.parametrize("watched", [False, True])
def test_ctrl_c_never_cuts_a_step_in_two(watched, rows, press):
    def fresh():
        bl.random.set_seed(6)
        model = network(Dense(4, "relu"), BatchNormalization())
        model.engine_name = "planned"  # which fetches batch by batch; machine code is in tests/engines
        model.build((3,))
        return model

    usual, model = signal.getsignal(signal.SIGINT), fresh()
    how = {"batch_size": 10, "epochs": 50, "shuffle": False, "verbose": 0}
    press(4)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*rows, callbacks=[EachBatch()] if watched else [], **how)
    press(None)
    assert signal.getsignal(signal.SIGINT) is usual
    assert 4 <= model.iterations <= (4 if watched else 300)
    same = fresh()

    class Until(Callback):
        def on_train_batch_end(self, batch, logs=None):
            same.stop_training = same.iterations >= model.iterations

    same.fit(*rows, callbacks=[Until()], **how)
    assert everything(model)[:3] == everything(same)[:3]


def test_a_training_in_a_thread_leaves_signals_alone(rows):
    model, problems = network(Dense(4)), []

    def work():
        try:
            model.fit(*rows, verbose=0, epochs=2)
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert problems == [] and model.iterations == 4
