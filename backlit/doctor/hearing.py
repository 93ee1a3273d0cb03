"""Hearing a whole program: all its trainings, whatever `doctor` they are called with, and the models that it uses without
one. What the program does stays the same to the bit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from ..core import registry
from ..core.check import Finding
from ..core.errors import BacklitError, NonFiniteError
from ..core.node import Leaf, here, spoken
from ..train import feed
from ..train.model import Model
from .ear import EAR, Ear, Heard
from .report import arranged, refusal, run
from .subject import Arrays, GraphFacts, Subject

_TOLD = ("error", "warning")
_NEVER = "never_trained"


@dataclass(frozen=True)
class Use:
    """A model that was used as it had been drawn, with the values of its weights. It may be gone when all is over."""

    where: str
    finding: Finding
    values: dict[Leaf, Any]

    def still(self, trained: WeakSet[Leaf]) -> bool:
        """Whether nothing has changed the weights since."""
        return not any(leaf in trained or not np.array_equal(leaf.array, value) for leaf, value in self.values.items())


class Witness:
    """Stands between a program and the calls of its models."""

    def __init__(self, ear: Ear):
        self.ear = ear
        self.trained: WeakSet[Leaf] = WeakSet()
        self.judged: WeakSet[Any] = WeakSet()  # models: whether they are used untrained is asked once
        self.stepped: WeakKeyDictionary[Any, Heard] = WeakKeyDictionary()  # models that make single steps
        self.told: WeakSet[BaseException] = WeakSet()
        self.uses: list[Use] = []

    def fit(self, call: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        """A training: what it is refused for is a finding, also where the program catches it."""
        self.ear.own.latest = None
        try:
            return call(model, *args, **kwargs)
        except BacklitError as error:
            if self._listens():
                self.refused(error, self.ear.own.latest or self.ear.began(_line()))
            raise
        finally:
            self._trained(model)

    def train_on_batch(self, call: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        """A step: those of a model together stand for a training, whose first batch is looked at."""
        if not self._listens():
            return call(model, *args, **kwargs)
        first = model not in self.stepped
        heard = self.stepped[model] = self.ear.began(_line()) if first else self.stepped[model]
        try:
            return call(model, *args, **kwargs)
        except BacklitError as error:
            self.refused(error, heard)
            raise
        finally:
            self._trained(model)
            with suppress(Exception):  # what cannot be read has been refused
                if first:
                    heard.note([*_batch(model, *args, **kwargs), *heard.findings])

    def use(self, call: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        """`evaluate` or `predict`, of a model that is meant to be trained: one that is compiled."""
        answer = call(model, *args, **kwargs)
        if model.asked is not None and model.running is None and model not in self.judged and self._listens():
            self.judged.add(model)
            with suppress(Exception):
                subject = Subject(GraphFacts(model), history=[])
                found = [one for one in run(subject, ("after",), _TOLD)[0] if one.check == _NEVER]
                values = {leaf: np.array(leaf.array) for leaf in model.trainable_variables}
                self.uses += [Use(_line(), one, values) for one in found]
        return answer

    def refused(self, error: BacklitError, heard: Heard) -> None:
        """That training ended so."""
        found = refusal(error)
        self.told.add(error)
        if (found.check, found.layer) not in {(one.check, one.layer) for one in heard.findings}:
            late = isinstance(error, NonFiniteError)  # what led to it was found before it
            heard.note([*heard.findings, found] if late else [found, *heard.findings])

    def ended(self, error: BacklitError, where: str) -> None:
        """The program ended so, at that line; what a training was refused for has been told."""
        if error not in self.told:
            found = refusal(error)
            where = found.where or where
            self.ear.line(where).uses.append(Heard(where, [replace(found, repair=None)]))

    def close(self) -> None:
        """The program is over: what other processes have told, and who was never trained."""
        self.ear.gather()
        for use in self.uses:
            if use.still(self.trained):
                self.ear.line(use.where).uses.append(Heard(use.where, [use.finding]))

    def _trained(self, model: Any) -> None:
        """What `fit` says of a model that it did not train is enough."""
        with suppress(Exception):  # a subclass that was never set up
            self.judged.add(model)
            if int(model.iterations):
                self.trained.update(model.trainable_variables)

    def _listens(self) -> bool:
        """Whether this is the program's own doing, and not a proof's."""
        return registry.find(EAR) is self.ear


def _line() -> str:
    return "".join(map(spoken, here()[:1]))


def _batch(model: Any, x: Any, y: Any = None, sample_weight: Any = None, **_: Any) -> tuple[Finding, ...]:
    """What is wrong with a model and its first batch."""
    data = feed.feed(model, x, y, sample_weight)
    subject = Subject(GraphFacts(model), Arrays(data.x, data.y, data.w, whole=False))
    return arranged(run(subject, ("compile", "data"), _TOLD)[0])


@contextmanager
def listening() -> Iterator[Witness]:
    """Inside, in all threads, every training is examined and tells what it finds here instead of on stderr."""
    with tempfile.TemporaryDirectory(prefix="backlit") as folder:
        witness = Witness(Ear(Path(folder)))
        heard = {"fit": witness.fit, "train_on_batch": witness.train_on_batch}
        heard |= dict.fromkeys(("evaluate", "predict"), witness.use)
        kept = {name: vars(Model)[name] for name in heard}
        for name, function in heard.items():
            setattr(Model, name, _between(kept[name], function))
        registry.replace(EAR, witness.ear)
        try:
            yield witness
        finally:
            registry.replace(EAR, None)
            for name, function in kept.items():
                setattr(Model, name, function)
            witness.close()


def _between(call: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    heard = partial(function, call)

    @wraps(call)
    def asked(*args: Any, **kwargs: Any) -> Any:
        return heard(*args, **kwargs)

    return asked
