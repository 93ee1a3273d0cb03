"""Wrong files."""

from __future__ import annotations

import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import backlit as bl
from backlit.core.errors import FileWarning
from backlit.layers import Dense
from backlit.train.saving import load_model


class Scale(bl.layers.Layer):
    """A layer of somebody's own."""

    def call(self, x: Any, training: bool = False) -> Any:
        """Twice x."""
        return x * 2


def built() -> bl.Sequential:
    """A small model."""
    return bl.Sequential([bl.Input((3,)), Scale(), Dense(2, name="out")])


def elsewhere(
    program: Callable[[Path], object], change: Callable[[dict[str, Any]], object] = lambda entries: None
) -> None:
    """Run `program` on the file of the model, changed, where its class is not defined."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FileWarning)
        path = Path(folder) / "model.backlit"
        built().save(path)
        with zipfile.ZipFile(path) as archive:
            entries: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
        entries["model.json"] = entries["model.json"].replace(b'"Scale"', b'"Twice"')
        change(entries)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        program(path)


def train(path: Path) -> None:
    """Train a model whose code is not here."""
    model = load_model(path)
    model.compile("adam", "mse")
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)


def said(**values: Any) -> Callable[[dict[str, Any]], object]:
    """A change of model.json."""
    return lambda entries: entries.update(
        {"model.json": json.dumps({**json.loads(entries["model.json"]), **values}).encode()}
    )


def wide(entries: dict[str, Any]) -> None:
    """More units than the file has numbers for."""
    entries["model.json"] = (
        entries["model.json"].replace(b'"Twice"', b'"Scale"').replace(b'"units": 2', b'"units": 1000000000000')
    )


def unknown_op(entries: dict[str, Any]) -> None:
    """A graph with an op that nobody knows."""
    entries["graph.json"] = entries["graph.json"].replace(b'"matmul"', b'"mathmul"')


def full_of(value: Any) -> None:
    """Save what a file cannot hold."""
    model = built()
    model.about = {"rows": value}
    model.save(Path(tempfile.gettempdir()) / "never written.backlit")


listed: Any = [Scale]


def not_finite() -> None:
    """Save weights that are NaN."""
    model = built()
    model.get_layer("out").kernel.array[...] = np.nan
    model.save(Path(tempfile.gettempdir()) / "never written.backlit")


def cases() -> dict[str, Callable[[], object]]:
    """Wrong files."""
    return {
        "training where the code is missing": lambda: elsewhere(train),
        "a file of a newer version": lambda: elsewhere(load_model, said(format=99)),
        "a file with other entries": lambda: elsewhere(
            load_model, lambda e: e.update({"notes.txt": b"", "graph.json": b"1"})
        ),
        "a file with an entry that leads elsewhere": lambda: elsewhere(
            load_model, lambda e: e.update({"../x.json": b""})
        ),
        "a file that claims more than it holds": lambda: elsewhere(load_model, wide),
        "a graph with an unknown op": lambda: elsewhere(load_model, unknown_op),
        "a description that cannot be": lambda: elsewhere(load_model, said(seed=-1)),
        "JSON that is none": lambda: elsewhere(load_model, lambda e: e.update({"graph.json": b"{"})),
        "custom_objects that are no dict": lambda: elsewhere(lambda path: bl.load_model(path, custom_objects=listed)),
        "an old file of Keras": lambda: bl.load_model("model.h5"),
        "weights in a file of Keras": lambda: built().load_weights("model.weights.h5"),
        "weights of a name without a kind": lambda: built().save_weights("weights"),
        "no file of weights": lambda: built().load_weights("nothing.npz"),
        "a folder that is not there": lambda: built().save("no/such/folder/model.backlit"),
        "what JSON cannot hold": lambda: full_of(np.ones(3)),
        "weights that are not finite": not_finite,
        "a configuration of another class": lambda: bl.Sequential.from_config(functional().get_config()),
    }


def functional() -> bl.Model:
    """A model of calls."""
    x = bl.Input((3,))
    return bl.Model(x, Dense(1)(x))
