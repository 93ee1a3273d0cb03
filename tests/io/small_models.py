"""Small models and their files, for the tests of files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.layers import BatchNormalization, Dense, Dropout, Normalization
from backlit.losses import SparseCategoricalCrossentropy
from backlit.optimizers import Adam

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(3, 2, size=(40, 3)), np.arange(40) % 3


def network(optimizer=None, engine="auto", **options):
    scaling = Normalization()
    scaling.adapt(X)
    hidden = Dense(5, "relu", kernel_regularizer=bl.regularizers.L2(0.01))
    model = bl.Sequential([bl.Input((3,)), scaling, hidden, BatchNormalization(), Dropout(0.3), Dense(3)])
    loss = SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or Adam(0.01), loss, metrics=["accuracy"], engine=engine)
    return model


def weights(model):
    return [w.tobytes() for w in model.get_weights()]


@pytest.fixture
def saved(tmp_path):
    """(path, trained model)."""
    bl.random.set_seed(1)
    model = network()
    model.fit(X, Y, epochs=2, verbose=0, validation_split=0.25)
    model.classes = ("low", "mid", "high")
    model.about = {"source": "nowhere", "task": "multiclass", "columns": ["a", "b", "ü"]}
    path = tmp_path / "model.backlit"
    model.save(path)
    return path, model


def entries_of(path):
    """The entries of a file."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def write(path, entries, compression=zipfile.ZIP_STORED):
    """A file of these entries, with correct checksums."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def rewrite(path, change, **options):
    """Change the entries of a file."""
    entries = entries_of(path)
    change(entries)
    write(path, entries, **options)
