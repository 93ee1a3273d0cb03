"""A program of the benchmark: a training as somebody might write it, and what is wrong with it, if anything is.

A program's function makes one `Run` from a generator of random numbers, by which data differ from seed to seed, and from
the names of the faults that are put right: all of them give the healthy twin.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import backlit as bl

TASKS = ("regression", "binary", "multi-class", "multi-label")
GROUPS = ("cases", "mutants", "healthy")
HELD_OUT = Path(__file__).with_name("held_out.txt")
# Programs by people who had not read the checks. Of those in modules later_… the ones whose digest begins with 0 … 7 were
# scored once, on 2026-11-21, and are opened since; those in latest_… are the third list.
LATER, UNSEEN = "late", "latest_"
SPLITS = ("dev", "held-out", "unseen")

# What a finding says of an argument, one of these words in its message or its fix.
WORDS = {
    "activation": ("activation", "from_logits", "softmax", "sigmoid"),
    "augmentation": ("augment", "validation"),
    "batch_size": ("batch_size", "batch"),
    "bias": ("bias", "dead", "never"),
    "dropout": ("Dropout", "dropout"),
    "epochs": ("epoch",),
    "initializer": ("initializer", "start"),
    "learning_rate": ("learning_rate", "learning rate", "rate"),
    "loss": ("loss", "Crossentropy", "MeanSquaredError", "labels"),
    "metrics": ("metric",),
    "optimizer": ("optimizer", "Adam", "SGD", "rate"),
    "regularizer": ("regulariz", "L1", "L2"),
    "pairing": ("every example with every other",),
    "reduction": ("reduction", "sum", "rate"),
    "trainable": ("trainable", "frozen"),
    "units": ("Dense(", "unit", "width", "layer"),
    "validation": ("validation",),
    "x": ("X", "feature", "input"),
    "y": ("y ", "label", "target"),
}


@dataclass(frozen=True)
class Fault:
    """One mistake. `rules`: the rows of the rule table that name it, the aptest one first; `layer`: its place among the
    layers, None where it is in none; `argument`: a key of WORDS; `silent`: putting it right does not train better."""

    rules: tuple[int, ...]
    layer: int | None
    argument: str
    silent: bool = False


@dataclass
class Run:
    """One training: what goes into `Sequential`, `compile` and `fit`. `layers` may be a finished model instead; `judge` is
    the (x, y) that the result is measured on, where it is not the training's."""

    layers: Any
    loss: Any
    optimizer: Any
    x: Any
    y: Any
    fit: dict[str, Any] = field(default_factory=dict)
    metrics: Any = None
    judge: tuple[Any, Any] | None = None
    answer: Callable[[Any], Any] = field(default=lambda p: p)

    def model(self) -> Any:
        """The compiled model."""
        model = bl.Sequential(self.layers) if isinstance(self.layers, list) else self.layers
        model.compile(self.optimizer, self.loss, metrics=self.metrics)
        return model


@dataclass(frozen=True)
class Program:
    """A program with its truths: each is a set of faults that, named together, explain all; the best one counts. `extra`
    are rows of the rule table that may be named, too."""

    name: str
    group: str
    task: str
    make: Callable[..., Run]
    faults: Mapping[str, Fault]
    truths: tuple[tuple[str, ...], ...]
    extra: tuple[int, ...] = ()

    def run(self, seed: int, cured: Collection[str] = ()) -> Run:
        """The training for that seed, with these faults put right."""
        bl.random.set_seed(seed + 1)
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), seed])
        return self.make(rng, frozenset(cured)) if self.faults else self.make(rng)

    @property
    def split(self) -> str:
        """One of SPLITS: all but "dev" are only looked at in the end."""
        if self.later:
            return "unseen" if self._module.startswith(UNSEEN) else "dev"
        return "held-out" if digest(self.name) in held_out() else "dev"

    @property
    def later(self) -> bool:
        """Whether it was written when the checks were there already."""
        return self._module.startswith(LATER)

    @property
    def _module(self) -> str:
        return self.make.__module__.rpartition(".")[2]


PROGRAMS: dict[str, Program] = {}


def _program(
    group: str, task: str, truths: Sequence[Sequence[str]] = (), extra: tuple[int, ...] = (), **faults: Fault
) -> Callable[[Callable[..., Run]], Callable[..., Run]]:
    def note(make: Callable[..., Run]) -> Callable[..., Run]:
        name = make.__name__
        if name in PROGRAMS:
            raise ValueError(f"there are two programs {name}")
        accepted = tuple(map(tuple, truths)) or ((tuple(faults),) if faults else ())
        PROGRAMS[name] = Program(name, group, task, make, faults, accepted, extra)
        return make

    return note


case, mutant, healthy = (partial(_program, group) for group in GROUPS)


def digest(name: str) -> str:
    """What held_out.txt lists of a program."""
    return hashlib.sha256(name.encode()).hexdigest()


def held_out() -> frozenset[str]:
    """The digests of the programs that are held out."""
    return frozenset(line for line in HELD_OUT.read_text().splitlines() if line and not line.startswith("#"))
