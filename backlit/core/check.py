"""A Finding: one thing that is wrong with a model, its data or a training. A Check: the record that finds it.

A check is one class. Its class statement registers it, the doctor runs it, and the battery in tests/doctor tests it from
its own two small programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from .record import Record, snake

SEVERITIES = ("error", "warning", "note")  # cannot work; works badly; worth knowing, never printed by `fit`
PHASES = ("compile", "data", "after")  # the model alone; model and data before the first step; after the last one
PLACES = ("layer", "compile", "fit")  # whose line a finding names
Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found. `rules` are the rows of the published rule table that it asserts; `sure` is from 0 to 1."""

    check: str
    severity: str  # "error", "warning" or "note"
    message: str
    fix: str
    why: str = ""
    layer: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    rules: tuple[int, ...] = ()
    sure: float = 1.0
    consequences: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.severity}: {self.said}" + (f"\n  fix  {self.fix}" if self.fix else "")

    @property
    def said(self) -> str:
        """The message behind the name of its layer."""
        return f"{self.layer}: {self.message}" if self.layer else self.message

    def to_json(self) -> dict[str, Any]:
        """The finding as a plain dict."""
        return asdict(self)


class Check(Record):
    """The base of all checks. `measure` yields the values that are judged, one dict for each head or layer that the
    check applies to; `wrong` judges one of them; `message` and `fix` put one into words, `fix` as code to type.

    The key "layer" names the layer (or None), whose line of construction the finding shows; all other values are the
    evidence. `needs` names what a subject may lack: "x", "y", "whole" (all rows of them, not a stream's first batch),
    "validation", "settings", "history"; where it is lacking, the check does not run. `explains` names the checks whose
    findings are consequences of this one. `bad()` and `good()` are tiny programs: (model, X, y) or (model, X, y,
    keywords of fit). In the first one the check finds something, in the second one no check does.
    """

    family = "check"
    rules: ClassVar[tuple[int, ...]] = ()  # rows of the published rule table
    phase: ClassVar[str] = "compile"
    needs: ClassVar[tuple[str, ...]] = ()
    severity: ClassVar[str] = "warning"
    place: ClassVar[str] = "layer"
    why: ClassVar[str] = ""
    sure: ClassVar[float] = 1.0
    explains: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def title(cls) -> str:
        """The name of the check."""
        return snake(cls.__name__)

    def measure(self, subject: Any) -> Iterable[Values]:
        """The values to judge, with "layer" among them."""
        raise NotImplementedError(f"{type(self).__name__}.measure")

    def wrong(self, v: Values) -> bool:
        """Whether these values are a fault."""
        raise NotImplementedError(f"{type(self).__name__}.wrong")

    def criterion(self, subject: Any) -> list[Values]:
        """The values that are a fault."""
        return [v for v in self.measure(subject) if self.wrong(v)]

    def message(self, v: Values) -> str:
        """What is wrong, in one sentence with its numbers."""
        raise NotImplementedError(f"{type(self).__name__}.message")

    def fix(self, v: Values) -> str:
        """What to type instead."""
        raise NotImplementedError(f"{type(self).__name__}.fix")

    def bad(self) -> tuple[Any, ...]:
        """The smallest program in which this goes wrong."""
        raise NotImplementedError(f"{type(self).__name__}.bad")

    def good(self) -> tuple[Any, ...]:
        """The same program put right."""
        raise NotImplementedError(f"{type(self).__name__}.good")
