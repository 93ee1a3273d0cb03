"""Callbacks: who is told what, when and in which order, and what the callbacks of the library do with it."""

import numpy as np
import pytest

import backlit as bl
from backlit.callbacks import Callback, EarlyStopping, History
from backlit.core.errors import BacklitError, UnknownNameError
from backlit.layers import Dense
from backlit.losses import SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam

X = np.random.default_rng(0).normal(size=(10, 3))
Y = np.arange(10) % 3


def network(**options):
    model = bl.Sequential([Dense(4, "relu"), Dense(3)])
    model.compile(Adam(0.01), SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


HOOKS = [
    *(f"on_{what}_{end}" for what in ("train", "test", "epoch") for end in ("begin", "end")),
    *(f"on_{what}_batch_{end}" for what in ("train", "test") for end in ("begin", "end")),
    "on_batch_begin",
    "on_batch_end",
]


class Diary(Callback):
    """Writes down every hook, with its batch or epoch and its logs."""

    def __init__(self):
        self.entries = []


def _keep(hook):
    def write(self, *args, logs=None):
        place, logs = (args[:-1], args[-1]) if args and not isinstance(args[-1], int) else (args, logs)
        self.entries.append((hook.removeprefix("on_"), *place, dict(logs or {})))

    return write


for hook in HOOKS:
    setattr(Diary, hook, _keep(hook))


def told(diary, *, without=("test_batch", "batch_begin", "batch_end")):
    return [entry[:-1] for entry in diary.entries if not entry[0].startswith(without)]


def test_the_order_of_events_is_that_of_keras():
    diary, model = Diary(), network()
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[diary])
    epochs = [
        [
            ("epoch_begin", epoch),
            *((f"train_batch_{end}", batch) for batch in range(3) for end in ("begin", "end")),
            ("test_begin",),
            ("test_end",),
            ("epoch_end", epoch),
        ]
        for epoch in range(2)
    ]
    assert told(diary) == [("train_begin",), *epochs[0], *epochs[1], ("train_end",)]
    names = [entry[0] for entry in diary.entries]
    inside = False
    for name in names:
        inside = name == "test_begin" or (inside and name != "test_end")
        assert inside or not name.startswith("test_batch"), "batches of a test lie inside it"


def test_the_old_names_of_the_batch_hooks_are_told_by_the_new_ones():
    class Old(Callback):
        batches = 0

        def on_batch_begin(self, batch, logs=None):
            self.batches += 1

        def on_batch_end(self, batch, logs=None):
            self.batches += 100

    old = Old()
    network().fit(X, Y, batch_size=4, verbose=0, callbacks=[old])
    assert old.batches == 303


def test_all_callbacks_are_told_in_their_order():
    order = []

    class Named(Callback):
        def __init__(self, name):
            self.name = name

        def on_epoch_end(self, epoch, logs=None):
            order.append(self.name)

    network().fit(X, Y, epochs=2, verbose=0, callbacks=[Named("a"), Named("b")])
    assert order == ["a", "b", "a", "b"]


def test_what_the_logs_hold():
    diary, model = Diary(), network(metrics=["accuracy"])
    history = model.fit(X, Y, batch_size=4, verbose=0, validation_data=(X, Y), callbacks=[diary]).history
    logs = {entry[0]: entry[-1] for entry in diary.entries}
    assert set(logs["train_batch_end"]) == set(logs["test_end"]) == {"loss", "accuracy"}
    assert logs["test_end"]["loss"] == history["val_loss"][-1]
    assert logs["epoch_end"] == {key: values[-1] for key, values in history.items()}
    assert logs["train_end"] == logs["epoch_end"]
    assert logs["train_batch_end"]["loss"] == pytest.approx(history["loss"][0]), "the mean since the epoch began"
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X, Y)[0])


def test_a_callback_knows_its_model_and_the_run():
    class Curious(Callback):
        def on_train_begin(self, logs=None):
            self.seen = self.model, dict(self.params)

    curious, model = Curious(), network()
    history = model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[curious])
    assert curious.seen == (model, {"verbose": 0, "epochs": 3, "steps": 3}) == (history.model, history.params)


@pytest.mark.parametrize(
    ("hook", "batches", "epochs"), [("on_train_batch_end", 2, 1), ("on_epoch_end", 3, 1), ("on_epoch_begin", 1, 1)]
)
def test_stop_training_stops_where_keras_stops(hook, batches, epochs):
    class Stop(Callback):
        calls = 0

    def stop(self, place, logs=None):
        self.calls += 1
        if hook != "on_train_batch_end" or self.calls == 2:
            self.model.stop_training = True

    setattr(Stop, hook, stop)
    diary, model = Diary(), network()
    history = model.fit(X, Y, batch_size=4, epochs=5, verbose=0, callbacks=[Stop(), diary])
    assert [entry[0] for entry in diary.entries].count("train_batch_end") == batches
    assert len(history.epoch) == epochs and np.isfinite(history.history["loss"]).all()
    assert told(diary)[-2:] == [("epoch_end", 0), ("train_end",)], "the epoch ends properly"
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2, "and the next training is not stopped"


# ---------------------------------------------------------------------- EarlyStopping
class Script(Callback):
    """Logs the given numbers, and sets a weight to the number of the epoch, so that weights can be told apart."""

    def __init__(self, values, key="val_loss"):
        self.values, self.key = values, key

    def on_epoch_end(self, epoch, logs=None):
        logs[self.key] = self.values[epoch]
        self.model.layers[-1].bias.assign(np.full(1, float(epoch)))


def scripted(values, key="val_loss", epochs=None, **options):
    """(epochs run, epoch whose weights are in the model, the callback)."""
    model = bl.Sequential([Dense(1)])
    model.compile(SGD(1e-30), "mse")
    stop = EarlyStopping(key, **options)
    history = model.fit(X, np.zeros(10), epochs=epochs or len(values), verbose=0, callbacks=[Script(values, key), stop])
    return len(history.epoch), int(model.layers[-1].bias.value[0]), stop


@pytest.mark.parametrize(
    ("values", "options", "ran", "best"),
    [
        ([5, 4, 3, 2, 1], {}, 5, 4),  # gets better all the time: the end of the training
        ([5, 3, 4, 1, 1], {}, 3, 1),  # patience 0: the first that is not better
        ([5, 3, 4, 1, 2, 2, 0], {"patience": 2}, 6, 3),
        ([5, 3, 4, 4, 4, 4, 0], {"patience": 3}, 5, 1),
        ([5, 3, 4, 4], {"patience": 9}, 4, 1),  # ends by itself before patience: restored all the same
        ([5, 4.9, 4.8, 4.7, 1], {"min_delta": 0.5, "patience": 2}, 3, 0),
        ([1, 2, 3, 3, 3], {"mode": "max", "patience": 1}, 4, 2),
        ([3, 3, 3, 2, 2], {"start_from_epoch": 3, "patience": 1}, 5, 3),
    ],
)
def test_early_stopping_stops_and_restores_the_best_weights(values, options, ran, best):
    epochs, epoch, stop = scripted(values, restore_best_weights=True, **options)
    assert (epochs, epoch) == (ran, best)
    assert stop.best_epoch == best
    assert stop.stopped_epoch == (ran - 1 if ran < len(values) or options.get("start_from_epoch") else 0)
    assert scripted(values, **options)[:2] == (ran, ran - 1), "without restoring the last weights stay"


def test_early_stopping_knows_which_names_are_to_grow():
    for key in ("accuracy", "val_accuracy", "val_auc"):
        assert scripted([0.5, 0.6, 0.7], key, patience=1)[0] == 3
        assert scripted([0.7, 0.6, 0.8], key, patience=1)[0] == 2
    assert scripted([0.5, 0.6, 0.7], "val_mae", patience=1)[0] == 2


def test_early_stopping_with_a_baseline_waits_from_the_start_until_it_is_met():
    values = [3, 3.1, 3.2, 3.3]
    assert scripted(values, patience=2)[0] == 3
    assert scripted(values, patience=2, baseline=2.0)[0] == 2
    assert scripted([1.5, 3, 3, 3], patience=2, baseline=2.0)[0] == 3


def test_early_stopping_says_what_it_does(capsys):
    scripted([5, 3, 4, 4], patience=2, verbose=1, restore_best_weights=True)
    out = capsys.readouterr().out
    assert "Epoch 4: early stopping\nRestoring model weights from the end of the best epoch: 2.\n" in out


def test_early_stopping_can_be_used_again():
    model, stop = network(), EarlyStopping("loss", patience=1)
    for _ in range(2):
        assert len(model.fit(X, Y, epochs=3, verbose=0, callbacks=[stop]).epoch) == 3


@pytest.mark.parametrize(
    ("monitor", "near"), [("val_loss", "validation"), ("los", "'loss'"), ("acuracy", "'accuracy'")]
)
def test_a_name_that_is_not_logged_is_an_error(monitor, near):
    model = network(metrics=["accuracy"])
    with pytest.raises(UnknownNameError, match=f"(?s){monitor}.*{near}"):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[EarlyStopping(monitor)])
    assert model.iterations == 1, "the epoch before it stays"


def test_a_mode_that_does_not_exist_is_refused():
    with pytest.raises(BacklitError, match="max"):
        EarlyStopping(mode="maxx")


# ---------------------------------------------------------------------- History
def test_history_is_what_was_logged():
    model = network(metrics=["accuracy"])
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.5)
    assert isinstance(history, History) and model.history is history
    assert list(history.history) == sorted(history.history)
    assert {len(values) for values in history.history.values()} == {3}
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert history.epoch == [0, 1, 2]
    later = model.fit(X, Y, verbose=0)
    assert later is not history and later.epoch == [0] and len(history.epoch) == 3


def test_history_in_words_and_in_a_notebook():
    history = network().fit(X, Y, epochs=2, verbose=0)
    first, last = history.history["loss"]
    assert repr(history) == f"<History: 2 epochs, loss {first:.4f} -> {last:.4f}>"
    page = history._repr_html_()
    assert page.count("<tr>") == 2 and f"{last:.4f}" in page and "2 epochs" in page
    history.history["<script>"] = [1.0, 2.0]
    assert "<script>" not in history._repr_html_()
    assert "no epoch" in repr(History())
