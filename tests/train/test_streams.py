"""Batches one after another in place of arrays: generators, functions that make them, data sets, loaders."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

import backlit as bl
from backlit.callbacks import BackupAndRestore, Callback
from backlit.core.errors import (
    ArgumentError,
    BacklitError,
    ColumnWarning,
    DataError,
    LabelError,
    NonFiniteError,
    ShapeError,
)  # fmt: skip
from backlit.engines.base import Stream
from backlit.layers import BatchNormalization, Dense, Dropout
from backlit.losses import SparseCategoricalCrossentropy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
Y = np.argmax(X, axis=1)
BATCH = 8
STEPS = 8  # of a pass: seven of 8 rows and one of 4


def network(engine="planned", units=3, loss=None):
    model = bl.Sequential([Dense(4, "tanh"), BatchNormalization(), Dropout(0.2), Dense(units)])
    model.given_seed = 1
    model.compile("adam", loss or SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"], engine=engine)
    return model


def state(model):
    slots = [slot.array.tobytes() for slots in model._slots.values() for slot in slots.values()]
    return [weight.tobytes() for weight in model.get_weights()], slots, model.iterations, model.classes, model.columns


def batch(number, *more):
    rows = slice(number * BATCH, (number + 1) * BATCH)
    return X[rows], Y[rows], *(each[rows] for each in more)


def generator():
    for number in range(STEPS):
        yield batch(number)


def endless():
    for number in itertools.count():
        yield batch(number % STEPS)


class Loader:
    """What a torch DataLoader offers: it can be iterated over again and again; its batches are lists."""

    def __len__(self):
        return STEPS

    def __iter__(self):
        return (list(each) for each in generator())


class Tensor:
    """What a tensor of another library offers."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return self.array


class Tensors(Loader):
    def __len__(self):
        raise TypeError("the length is not known")

    def __iter__(self):
        return ([Tensor(each) for each in pair] for pair in generator())


class ByNumber:
    """What a Keras PyDataset offers."""

    def __init__(self):
        self.asked, self.epochs = [], 0

    num_batches = STEPS

    def __getitem__(self, number):
        self.asked.append(number)
        return batch(number)

    def on_epoch_end(self):
        self.epochs += 1


class Plain:
    def __len__(self):
        return STEPS

    def __getitem__(self, number):
        return batch(number)


STREAMS = {
    "generator": generator, "function": lambda: generator, "loader": Loader, "tensors": Tensors, "PyDataset": ByNumber,
    "by number": Plain, "map": lambda: map(batch, range(STEPS)), "lambda": lambda: lambda: generator(),
}  # fmt: skip
stream = pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)


# ---------------------------------------------------------------------- the same as arrays
@stream
@pytest.mark.parametrize("engine", ["planned", "reference", "auto"])
def test_a_stream_is_the_arrays_it_is_cut_from(make, engine):
    epochs = 1 if make in (STREAMS["generator"], STREAMS["map"]) else 3
    streamed, whole = network(engine), network(engine)
    options = {"epochs": epochs, "shuffle": False, "verbose": 0}
    history = streamed.fit(make(), validation_data=make(), **options)
    other = whole.fit(X, Y, batch_size=BATCH, validation_data=(X, Y), validation_batch_size=BATCH, **options)
    assert state(streamed) == state(whole) and history.history == other.history
    assert streamed.evaluate(make()) == whole.evaluate(X, Y, batch_size=BATCH)
    assert streamed.evaluate(make(), steps=2) == whole.evaluate(X[:16], Y[:16], batch_size=BATCH)
    np.testing.assert_array_equal(streamed.predict(make()), whole.predict(X, batch_size=BATCH))
    np.testing.assert_array_equal(streamed.predict(make(), steps=3), whole.predict(X[:24], batch_size=BATCH))


def test_who_watches_each_batch_changes_nothing():
    class Watch(Callback):
        seen = ()

        def on_train_batch_end(self, number, logs=None):
            self.seen += (number,)

    watched, alone, watch = network(), network(), Watch()
    watched.fit(Loader(), epochs=2, callbacks=[watch], verbose=0)
    alone.fit(Loader(), epochs=2, verbose=0)
    assert state(watched) == state(alone) and watch.seen == (*range(STEPS), *range(STEPS))


def test_batches_by_number_are_shuffled_by_the_seed():
    orders = []
    for shuffle in (True, True, False):
        data = ByNumber()
        network().fit(data, epochs=3, shuffle=shuffle, verbose=0)
        assert data.epochs == 3
        orders.append([data.asked[start : start + STEPS] for start in range(0, 3 * STEPS, STEPS)])
    assert orders[0] == orders[1] and orders[2] == [list(range(STEPS))] * 3
    assert all(sorted(order) == list(range(STEPS)) for order in orders[0])
    assert orders[0][0] != orders[0][1] != orders[0][2]


def test_weights_and_class_weights_come_with_the_batches():
    weight = RNG.uniform(0, 2, 60)
    streamed, whole = network(), network()
    options = {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}, "shuffle": False, "verbose": 0}
    streamed.fit(lambda: (batch(number, weight) for number in range(STEPS)), **options)
    whole.fit(X, Y, sample_weight=weight, batch_size=BATCH, **options)
    assert state(streamed) == state(whole)
    with pytest.raises(ArgumentError, match="balanced"):
        streamed.fit(Loader(), class_weight="balanced", verbose=0)


def test_several_inputs_and_outputs():
    a, b = bl.Input((3,), name="a"), bl.Input((2,), name="b")
    hidden = Dense(4, "tanh")(a) + Dense(4)(b)
    model = bl.Model([a, b], [Dense(1, name="u")(hidden), Dense(1, name="v")(hidden)])
    model.compile("sgd", "mse")
    parts = [({"a": x, "b": x[:, :2]}, {"u": x[:, :1], "v": x[:, 1:2]}) for x in (X[:20], X[20:])]
    model.fit(iter(parts), verbose=0)
    out = model.predict(iter(parts))
    np.testing.assert_array_equal(out[1], model.predict([X, X[:, :2]], batch_size=40)[1])
    assert [part.shape for part in out] == [(60, 1), (60, 1)]


def test_batches_of_tables_are_matched_by_name():
    tables = [pd.DataFrame(X[start : start + 20], columns=list("abc")) for start in (0, 20, 40)]
    model, whole = network(), network()
    model.fit(((table, Y[place * 20 : place * 20 + 20]) for place, table in enumerate(tables)), verbose=0)
    whole.fit(X, Y, batch_size=20, shuffle=False, verbose=0)
    assert state(model)[:3] == state(whole)[:3] and model.columns.names == ("a", "b", "c")
    with pytest.warns(ColumnWarning, match="another order"):
        swapped = model.predict(table[["c", "a", "b"]] for table in tables)
    np.testing.assert_array_equal(swapped, whole.predict(X, batch_size=20))
    with pytest.raises(DataError, match=r"(?s)batch 1 of the stream: .*unknown: z"):
        model.predict([tables[0], tables[1].rename(columns={"c": "z"})][number] for number in (0, 1))


def test_a_generator_may_fill_one_buffer_again_and_again():
    def reused():
        x, y = np.empty((BATCH, 3)), np.empty(BATCH, int)
        for number in range(7):
            x[:], y[:] = batch(number)
            yield x, y

    model, whole = network(), network()
    model.fit(reused, epochs=5, verbose=0)
    whole.fit(X[:56], Y[:56], batch_size=BATCH, epochs=5, shuffle=False, verbose=0)
    assert state(model) == state(whole)


def test_names_of_classes_are_known_beforehand():
    names = np.array(["a", "b", "c"])[Y]
    pairs = [(X[:20], names[:20]), (X[20:], names[20:])]
    model = network()
    with pytest.raises(LabelError, match=r"(?s)batch 0 .*knows no classes yet.*model\.classes ="):
        model.fit(iter(pairs), verbose=0)
    assert model.classes is None and not model.built
    model.classes = ("a", "b", "c")
    model.fit(iter(pairs), verbose=0)
    assert model.evaluate(iter(pairs)) == model.evaluate(iter([(X[:20], Y[:20]), (X[20:], Y[20:])]))
    with pytest.raises(LabelError, match="batch 1 of the stream"):
        model.fit(iter([pairs[0], (X[:2], ["a", "zebra"])]), verbose=0)


# ---------------------------------------------------------------------- how long
def test_steps_go_on_through_the_stream():
    streamed, whole = network(), network()
    history = streamed.fit(endless(), steps_per_epoch=5, epochs=4, verbose=0)
    assert len(history.epoch) == 4 and history.params["steps"] == 5 and streamed.iterations == 20
    whole.fit((batch(number % STEPS) for number in range(20)), verbose=0)
    assert state(streamed) == state(whole)


@pytest.mark.parametrize("make", [Loader, ByNumber, lambda: generator])
def test_what_can_be_read_again_begins_anew(make):
    streamed, whole = network(), network()
    streamed.fit(make(), steps_per_epoch=5, epochs=4, shuffle=False, verbose=0)
    whole.fit(endless(), steps_per_epoch=5, epochs=4, verbose=0)
    assert state(streamed) == state(whole)


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(("epochs", "steps", "whole", "left"), [(3, 5, 1, 3), (2, 8, 1, 0), (2, 9, 0, 8)])
def test_a_generator_that_ends_early_ends_the_training(epochs, steps, whole, left, watched):
    class Count(Callback):
        batches, epochs = 0, []

        def on_train_batch_end(self, number, logs=None):
            self.batches += 1

    model, callbacks = network(), [Count()] if watched else []
    with pytest.warns(ColumnWarning, match=f"ended after {left} steps of epoch {whole + 1}"):
        history = model.fit(generator(), epochs=epochs, steps_per_epoch=steps, callbacks=callbacks, verbose=0)
    assert model.iterations == STEPS and len(history.epoch) == whole + (left > 0)
    assert not watched or callbacks[0].batches == STEPS
    until = network()
    until.fit(generator(), verbose=0)
    assert state(model) == state(until)


def test_a_generator_is_not_read_twice():
    with pytest.raises(ArgumentError, match=r"(?s)ends once, and it is read 3 times.*steps_per_epoch"):
        network().fit(given := generator(), epochs=3, verbose=0)
    assert len(list(given)) == STEPS, "nothing of it was taken"
    with pytest.raises(ArgumentError, match=r"(?s)ends once, and it is read 2 times.*validation_steps"):
        network().fit(X, Y, validation_data=generator(), epochs=2, verbose=0)
    network().fit(X, Y, validation_data=generator(), validation_freq=2, epochs=2, verbose=0)


def test_validation_steps():
    model = network()
    seen = model.fit(X, Y, validation_data=Loader(), validation_steps=2, epochs=2, verbose=0).history
    assert seen["val_loss"][-1] == model.evaluate(X[:16], Y[:16], batch_size=BATCH)[0]  # each time from the beginning
    parts = [batch(number) for number in range(STEPS)]
    seen = model.fit(X, Y, validation_data=iter(parts), validation_steps=2, epochs=2, verbose=0).history
    assert seen["val_loss"][-1] == model.evaluate(iter(parts[2:4]))[0]  # a generator can only go on
    with pytest.warns(ColumnWarning, match="1 of 2 batches"):
        model.fit(X, Y, validation_data=iter(parts[:3]), validation_steps=2, epochs=2, verbose=0)
    with pytest.raises(DataError, match="no batch to evaluate"):
        model.fit(X, Y, validation_data=iter(parts[:2]), validation_steps=2, epochs=2, verbose=0)


def test_steps_per_epoch_of_arrays_go_on_through_the_rows():
    """As Keras does, but an epoch that meets the end of the rows goes on with the next pass, and has all its steps."""
    short, full = network(), network()
    history = short.fit(X, Y, batch_size=BATCH, epochs=4, steps_per_epoch=4, verbose=0)
    full.fit(X, Y, batch_size=BATCH, epochs=2, verbose=0)
    assert state(short) == state(full) and history.params["steps"] == 4 and short.epochs_done == 4
    uneven, straight = network(), network()
    uneven.fit(X, Y, batch_size=BATCH, epochs=3, steps_per_epoch=5, shuffle=False, verbose=0)
    straight.fit((batch(number % STEPS) for number in range(15)), verbose=0)
    assert state(uneven) == state(straight)
    more = network()
    more.fit(X, Y, batch_size=BATCH, steps_per_epoch=2 * STEPS, verbose=0)
    assert state(more) == state(full)


def test_without_a_batch_size_the_steps_are_a_pass():
    model, other = network(), network()
    model.fit(X, Y, steps_per_epoch=4, verbose=0)
    other.fit(X, Y, batch_size=15, verbose=0)
    assert state(model) == state(other)
    assert model.evaluate(X, Y, steps=4) == other.evaluate(X, Y, batch_size=15)
    assert model.predict(X, steps=4).shape == (60, 3) and model.predict(X, batch_size=10, steps=4).shape == (40, 3)


def test_an_epoch_of_unknown_length_is_shown(capsys):
    network().fit(generator, epochs=2, verbose=2)
    network().fit(Loader(), verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2" and lines[1].startswith("8/8 - ") and lines[-1].startswith("8/8 ")
    bar = bl.callbacks.ProgressBar(1)
    bar.live = True
    network().fit(generator, callbacks=[bar], verbose=1)
    assert "      1/Unknown 0s " in capsys.readouterr().out


# ---------------------------------------------------------------------- refused, broken
def wrong(number, bad):
    for place in range(STEPS):
        yield bad if place == number else batch(place)


NAN = X[:8].copy()
NAN[2, 1] = np.nan
BAD = {
    "labels": ((X[:8], Y[:8] + 9), LabelError, "use Dense"),
    "NaN": ((NAN, Y[:8]), DataError, "row 2, column 1"),
    "width": ((X[:8, :2], Y[:8]), ShapeError, "does not fit this model"),
    "rows": ((X[:8], Y[:7]), ShapeError, "different numbers"),
    "no rows": ((X[:0], Y[:0]), DataError, "empty"),
    "one example": ((X[0], Y[0]), BacklitError, "single number|does not fit"),
    "x alone": (X[:8], DataError, r"no \(x, y\)"),
    "four parts": ((X[:8], Y[:8], None, None), DataError, "4 parts"),
    "a dict": ({"x": X[:8], "y": Y[:8]}, DataError, "dict"),
    "None": (None, DataError, "NoneType"),
    "y is None": ((X[:8], None), ArgumentError, "y is missing"),
    "text": (([["a"] * 3] * 8, Y[:8]), DataError, "text"),
    "weights": ((X[:8], Y[:8], np.ones(8)), ShapeError, "weighted"),
    "weights below 0": ((X[:8], Y[:8], -np.ones(8)), DataError, "none below 0"),
}


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize(("bad", "error", "word"), BAD.values(), ids=BAD)
def test_a_bad_batch_is_named_and_the_last_step_stays(number, bad, error, word):
    if number == 0 and word in ("weighted", "does not fit this model"):
        number = 1  # the first batch says what is right
    model, until = network(), network()
    with pytest.raises(error, match=f"(?s)batch {number} of the stream: .*({word})") as caught:
        model.fit(wrong(number, bad), verbose=0)
    assert caught.value.finding is None or caught.value.finding.message == caught.value.message
    if number:
        until.fit((batch(place) for place in range(number)), verbose=0)
        assert state(model) == state(until)
    else:
        assert not model.built and model.iterations == 0
    model.fit(generator(), verbose=0)
    before = state(model)
    if word != "weighted":
        with pytest.raises(error, match=f"batch {number} of the stream"):
            model.evaluate(wrong(number, bad))
    assert state(model) == before


@pytest.mark.parametrize("option", [{"y": Y}, {"sample_weight": Y}, {"batch_size": 8}, {"validation_split": 0.2}])
def test_what_belongs_into_the_stream_is_refused_beside_it(option):
    (name,) = option
    with pytest.raises(ArgumentError, match=f"{name} cannot be given beside a stream"):
        network().fit(Loader(), verbose=0, **option)
    with pytest.raises(ArgumentError, match="validation_batch_size"):
        network().fit(Loader(), verbose=0, validation_data=Loader(), validation_batch_size=3)
    if name != "validation_split":
        with pytest.raises(ArgumentError, match=f"{name} cannot be given"):
            network().evaluate(Loader(), **option)


NO_STREAMS = [iter(()), lambda: None, lambda: 3, {1, 2}, {}.values(), Loader, object(), range(0)]


@pytest.mark.parametrize("x", NO_STREAMS, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
def test_what_gives_no_batches_is_refused(x, call):
    model = network()
    with pytest.raises(BacklitError):
        if call == "predict":
            model.predict(x)
        else:
            getattr(model, call)(x, None, verbose=0)
    assert not model.built


def test_a_generator_where_one_batch_is_meant_is_refused():
    for call in ("train_on_batch", "test_on_batch", "predict_on_batch"):
        with pytest.raises(ArgumentError):
            getattr(network(), call)(generator())


class Trouble(Exception):
    """Of the user's own."""


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize("error", [Trouble, KeyboardInterrupt])
def test_what_the_generator_raises_comes_through_unchanged(at, error, engine):
    mine = error("enough")

    def broken():
        for number in range(STEPS):
            if number == at:
                raise mine
            yield batch(number)

    for call in ("fit", "evaluate", "predict", "validate"):
        model = network(engine)
        if call != "fit":
            model.build((3,))
        before = state(model)
        with pytest.raises(error) as caught:
            if call == "validate":
                model.fit(X, Y, batch_size=60, validation_data=broken(), verbose=0)
            else:
                getattr(model, call)(broken())
        assert caught.value is mine and caught.value.__cause__ is None and model.running is None
        until = network(engine)
        if call == "fit" and at:
            until.fit((batch(number) for number in range(at)), verbose=0)
        elif call == "validate" and at:
            until.fit(X, Y, batch_size=60, verbose=0)
        elif call == "fit":
            assert not model.built
        if error is not KeyboardInterrupt or call != "fit":  # Ctrl-C does not wait for the batches that are held
            assert state(model) == (state(until) if until.built else before)
        model.fit(generator(), verbose=0)


@pytest.mark.parametrize("engine", ["planned", "reference", "auto"])
def test_a_step_that_is_not_finite_is_not_written_and_named(engine):
    model, until, skipping = (network(engine, units=1, loss="mse") for _ in range(3))
    parts = [(batch(number)[0], X[:8, 0] if number != 2 else np.full(8, 3e38)) for number in range(4)]
    with pytest.raises(NonFiniteError, match="step 3"):
        model.fit(iter(parts), verbose=0)
    until.fit(iter(parts[:2]), verbose=0)
    assert state(model) == state(until)
    history = skipping.fit(iter(parts), verbose=0, doctor="off")
    assert history.skipped_steps == 1 and skipping.iterations == 3


# ---------------------------------------------------------------------- resumed
class Interrupted(Exception):
    pass


class Break(Callback):
    def __init__(self, at):
        self.at = at

    def on_train_batch_end(self, number, logs=None):
        self.at -= 1
        if self.at < 0:
            raise Interrupted


@pytest.mark.parametrize(
    ("make", "steps", "save"),
    [(Loader, None, "epoch"), (Loader, 5, 3), (ByNumber, None, 3), (ByNumber, 5, "epoch"), (endless, 5, 3), (generator, 5, 3)],
)  # fmt: skip
def test_an_interrupted_training_goes_on_in_the_stream(tmp_path, make, steps, save):
    epochs = 1 if make is generator else 4

    def learn(*callbacks):
        model = network()
        options = {"steps_per_epoch": steps, "epochs": epochs, "verbose": 0}
        return model, model.fit(make(), callbacks=list(callbacks), **options).history

    whole, straight = learn()
    for at in (4, 7):
        model = None
        if whole.iterations > at:
            with pytest.raises(Interrupted):
                learn(BackupAndRestore(tmp_path / "b", save), Break(at))
    model, history = learn(BackupAndRestore(tmp_path / "b", save))
    assert state(model) == state(whole) and history == straight


# ---------------------------------------------------------------------- the source itself
def test_batches_of_a_run_are_held_until_a_later_step_is_asked_for():
    given = []

    def numbers():
        for number in range(6):
            given.append(number)
            yield [np.full(number + 1, float(number))]

    source = Stream(numbers())
    assert source.ready(0, 3) == 3 and given == [0, 1, 2]
    for _ in range(2):  # may be read again
        for step in range(3):
            buffer = np.empty(source.rows(step))
            source.fill(step, [buffer])
            assert buffer.tolist() == [step] * (step + 1)
    assert source.ready(2, 2) == 2 and len(source.held) == 2
    assert source.ready(4, 9) == 2 and source.ready(6, 1) == 0 == source.ready(6, 1)


def test_how_long_a_run_is_decides_nothing_when_a_batch_fails():
    def numbers():
        yield [np.zeros(1)]
        yield [np.zeros(1)]
        raise Trouble

    for count in (1, 2, 5):
        source, done = Stream(numbers()), 0
        with pytest.raises(Trouble):
            while steps := source.ready(done, count):
                done += steps
        assert done == 2


def test_warnings_of_a_stream_point_at_the_user():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network().fit(generator(), steps_per_epoch=5, epochs=3, verbose=0)
    assert [each.filename for each in caught] == [__file__]


def test_a_generator_goes_on_behind_the_batch_that_was_examined():
    def batches():
        for place in range(6):
            yield np.full((4, 1), float(place)), np.ones(4)

    stream = batches()
    model = bl.Sequential([bl.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.diagnose(stream)
    assert [float(x[0, 0]) for x, _ in stream] == [1.0, 2.0, 3.0, 4.0, 5.0]
