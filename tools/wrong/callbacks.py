"""Wrong callbacks."""

from __future__ import annotations

from collections.abc import Callable

import backlit as bl
from backlit.layers import Dense
from tools.wrong.small import LABELS, X, built


def cases() -> dict[str, Callable[[], object]]:
    """Wrong callbacks."""
    cb = bl.callbacks

    def fit(*callbacks: object, rate: object = 0.01) -> None:
        model = bl.Sequential([Dense(1)])
        model.compile(optimizer=bl.optimizers.Adam(rate), loss="mse")
        model.fit(X, X[:, 0], verbose=0, callbacks=callbacks)

    decay = bl.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    return {
        "a misspelt callback": lambda: cb.EarlyStoping,
        "a misspelt argument of a callback": lambda: cb.EarlyStopping(patiance=3),
        "a misspelt hook": lambda: cb.LambdaCallback(on_epoch_ends=print),
        "a callback that is none": lambda: fit(cb.EarlyStopping),
        "a mode that is none": lambda: cb.EarlyStopping(mode="mim"),
        "monitoring validation where there is none": lambda: fit(cb.EarlyStopping()),
        "a misspelt monitor": lambda: fit(cb.EarlyStopping("los")),
        "a monitor whose direction nobody knows": lambda: cb.EarlyStopping("wobble").on_epoch_end(0, {"wobble": 1.0}),
        "a checkpoint with another suffix": lambda: cb.ModelCheckpoint("best.keras"),
        "a checkpoint named by what is not logged": lambda: fit(cb.ModelCheckpoint("{val_loss}.backlit")),
        "a rate that a schedule sets already": lambda: fit(cb.ReduceLROnPlateau(), rate=decay),
        "a schedule that returns nothing": lambda: fit(cb.LearningRateScheduler(lambda epoch: None)),
        "histograms for TensorBoard": lambda: cb.TensorBoard(histogram_freq=1),
        "averages that nobody keeps": lambda: built().evaluate(X, LABELS, callbacks=cb.SwapEMAWeights()),
    }
