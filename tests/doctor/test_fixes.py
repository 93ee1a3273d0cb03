"""Fixes as people type them: with the numbers filled in, and none that contradicts another."""

import numpy as np
import pytest
from backlit.optimizers.schedules import CosineDecay, ExponentialDecay

import backlit as bl
from backlit.layers import Dense
from backlit.optimizers import SGD, Adam
from backlit.regularizers import L2

RNG = np.random.default_rng(0)
X = RNG.normal(size=(320, 6)).astype("float32")
YES = (X[:, 0] > 0).astype(int)


def chain(*layers, loss="binary_crossentropy", optimizer=None, metrics=None):
    bl.random.set_seed(1)
    model = bl.Sequential(list(layers))
    model.compile(optimizer or Adam(0.01), loss, metrics=metrics)
    return model


def found(model, y, x=X, **more):
    return [one for one in model.diagnose(x, y, **more).findings if one.severity != "note"]


def test_one_penalty_on_three_layers_is_one_finding_with_its_numbers(capsys):
    layers = [Dense(8, "relu", kernel_regularizer=L2(0.5), name=name) for name in ("a", "b")]
    model = chain(*layers, Dense(1, "sigmoid", kernel_regularizer=L2(0.5), name="c"))
    (one,) = found(model, YES)
    assert one.check == "penalty_outweighs_data" and one.evidence["layers"] == ["a", "b", "c"]
    assert one.fix.startswith("kernel_regularizer=L2(l2=0.00") and "instead of L2(l2=0.5) in a, b, c" in one.fix
    fixed = model.diagnose(X, YES).apply()
    assert capsys.readouterr().err.count("kernel_regularizer=L2(l2=0.5) becomes L2(l2=0.00") == 3
    assert found(fixed.model, YES) == []


def test_several_labels_ask_for_one_change_not_for_two_that_contradict():
    several = (X[:, :4] > 0).astype(float)
    told = found(chain(Dense(8, "relu"), Dense(4, "sigmoid", name="out"), loss="categorical_crossentropy"), several)
    assert [one.check for one in told] == ["several_labels_of_one"]
    assert "activation='sigmoid'" in told[0].fix and "softmax" not in told[0].fix


def test_two_classes_of_other_names_are_made_0_and_1():
    model = chain(Dense(8, "relu"), Dense(1, "sigmoid", name="out"), loss="mse")
    (one,) = found(model, YES + 1)
    assert one.check == "target_out_of_reach" and one.fix.startswith("fit (y == 2) * 1,")
    mended = model.diagnose(X, YES + 1).apply()
    mended.fit(epochs=30, verbose=0)
    assert np.mean((mended.model.predict(X)[:, 0] > 0.5) == YES) > 0.9


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (lambda: ExponentialDecay(0.01, decay_steps=2, decay_rate=0.5), "decay_steps=20 if 2 was meant in epochs"),
        (lambda: ExponentialDecay(0.01, decay_steps=20, decay_rate=0.5), ""),
        (lambda: CosineDecay(0.01, decay_steps=400), ""),
        (lambda: CosineDecay(0.01, decay_steps=40), "decay_steps=400 if 40 was meant in epochs"),
    ],
)
def test_a_schedule_that_counts_epochs_is_told_in_steps(schedule, said):
    model = chain(Dense(8, "relu"), Dense(1, "sigmoid"), optimizer=Adam(schedule()))
    model.fit(X, YES, epochs=40, verbose=0)
    fixes = [one.fix for one in found(model, YES) if one.check == "rate_fades"]
    assert [fix.startswith(said) for fix in fixes] == ([True] if said else [])


def test_an_output_and_its_loss_are_two_lines_to_look_at():
    model = chain(Dense(8, "relu"), Dense(1, "softmax", name="out"))
    told = str(model.diagnose(X, YES))
    lines = [line for line in told.splitlines() if line.startswith(("  where", "  and"))]
    assert "softmax" in lines[0] and "model.compile(" in lines[1]


def test_what_is_monitored_may_be_of_any_name_and_either_way():
    for name, mode, count in (("loss", "max", 1), ("loss", "min", 0), ("accuracy", "auto", 0), ("mine", "max", 0)):

        def mine(y, p):
            return bl.ops.mean(p, axis=-1)

        model = chain(Dense(1, "sigmoid"), metrics=["accuracy", mine], optimizer=SGD(0.1))
        stop = bl.callbacks.EarlyStopping(name, patience=50, mode=mode)
        model.fit(X, YES, epochs=3, verbose=0, callbacks=[stop])
        assert sum(one.check == "monitored_the_other_way" for one in found(model, YES)) == count
