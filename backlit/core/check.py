"""A Finding: one thing that is wrong with a model, its data or a training. A Check: the record that finds it.

A check is one class. Its class statement registers it, the doctor runs it, and the battery in tests/doctor tests it from
its own two small programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from .record import Record, snake

SEVERITIES = ("error", "warning", "note")  # cannot work; works badly; worth knowing, never printed by `fit`
# The model alone; model and data; the first weights and steps, before they are made; a training that runs, or has ended.
PHASES = ("compile", "data", "first step", "during", "after")
PLACES = ("layer", "compile", "fit")  # whose line a finding names
# What causes what, by the rows of the rule table: a finding of an earlier rank is told before one of a later rank.
RANKS = {
    "data": (8, 9, 10, 11, 23, 27, 28, 29),
    "pairing": (1, 2, 3, 4, 5, 6, 7, 12),
    "structure": (13, 14, 15, 46, 52, 53, 54, 56, 57),
    "first weights": (16, 17, 18, 19),
    "scale": (20, 21, 22, 24),
    "steps": (31, 32, 33, 34, 35, 36, 55),
    "judging": (25, 26, 30),
    "symptom": (37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51, 58),
}
GROUNDS = ("proof", "measured", "rule of thumb")  # follows from the graph; was seen; holds most of the time
Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found. `rules` are the rows of the published rule table that it asserts; `sure` is from 0 to 1 and
    rests on `grounds`. `argument` is the one to change, `where` the line that it stands on; `lines` has those of the
    layer, of `compile` and of `fit`, as far as they are known. `repair` makes the change, if a program can."""

    check: str
    severity: str  # "error", "warning" or "note"
    message: str
    fix: str
    why: str = ""
    layer: str | None = None
    argument: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    lines: dict[str, str] = field(default_factory=dict)
    rules: tuple[int, ...] = ()
    sure: float = 1.0
    grounds: str = ""  # one of GROUNDS
    consequences: tuple[str, ...] = ()
    repair: Callable[[], Repair | None] | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.severity}: {self.said}" + (f"\n  fix  {self.fix}" if self.fix else "")

    @property
    def said(self) -> str:
        """The message behind the name of its layer."""
        return f"{self.layer}: {self.message}" if self.layer else self.message

    def to_json(self) -> dict[str, Any]:
        """The finding as a plain dict."""
        found = asdict(replace(self, repair=None))
        del found["repair"]
        return found


@dataclass(frozen=True, kw_only=True)
class Repair:
    """A fix that a program can make, where there is one right change.

    `layers`: new arguments by the name of a layer, `dropped`: layers to leave out, `behind`: a layer to put behind the
    one of that name, `front`, `back`: layers to put before the first and behind the last one ("normalization": one that
    is adapted to the training rows). `loss`: a new one by the name of the output, `metrics`: what `compile` gets instead;
    `optimizer`: new arguments of the optimizer. `fit`: new arguments of `fit`. `x`, `y`: what is to be done to the data.
    """

    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    behind: Mapping[str, Any] = field(default_factory=dict)
    front: Any = None
    back: Any = None
    loss: Mapping[str, Any] = field(default_factory=dict)
    metrics: Any = None
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    x: Callable[[Any], Any] | None = None
    y: Callable[[Any], Any] | None = None


def place_of(rules: Sequence[int]) -> int:
    """The place in the order of causes of a finding that asserts these rows of the rule table first."""
    groups = list(RANKS.values())
    return next((place for place, group in enumerate(groups) if rules and rules[0] in group), len(groups))


class Check(Record):
    """The base of all checks. `measure` yields the values that are judged, one dict for each head or layer that the
    check applies to; `wrong` judges one of them; `message` and `fix` put one into words, `fix` as code to type.

    The key "layer" names the layer (or None), whose line of construction the finding shows; all other values are the
    evidence. `needs` names what a subject may lack: "x", "y", "whole" (all rows of them, not a stream's first batch),
    "validation", "settings", "history", "course" (a training that was followed, or its first look), "trial" (a few rows
    that were to be learnt by heart); where it is lacking, the check does not run. `explains` names the checks whose
    findings are consequences of this one; what is explained is told below it.
    `argument` is the one to change, `grounds` and `sure` say how sure the finding is. `bad()` and `good()` are tiny
    programs: (model, X, y) or (model, X, y, keywords of fit). In the first one the check finds something, in the second
    one no check does.
    """

    family = "check"
    rules: ClassVar[tuple[int, ...]] = ()  # rows of the published rule table
    phase: ClassVar[str] = "compile"
    needs: ClassVar[tuple[str, ...]] = ()
    severity: ClassVar[str] = "warning"
    place: ClassVar[str] = "layer"
    argument: ClassVar[str] = ""  # of the layer, of `compile` or of `fit`
    why: ClassVar[str] = ""
    sure: ClassVar[float] = 1.0
    explains: ClassVar[tuple[str, ...]] = ()
    rank: ClassVar[str] = ""  # one of RANKS; by default that of its first rule
    grounds: ClassVar[str] = ""  # one of GROUNDS; by default "proof" for the model alone, else "measured"

    @classmethod
    def title(cls) -> str:
        """The name of the check."""
        return snake(cls.__name__)

    @classmethod
    def ranked(cls) -> int:
        """Its place in the order of causes."""
        return place_of(cls.rules) if not cls.rank else list(RANKS).index(cls.rank)

    @classmethod
    def grounded(cls) -> str:
        """What a finding of it rests on."""
        return cls.grounds or ("proof" if cls.phase == "compile" and cls.sure == 1 else "measured")

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

    def repair(self, v: Values, subject: Any) -> Repair | None:
        """The fix as a change that `Report.apply` can make; None where somebody has to choose."""
        return None

    def bad(self) -> tuple[Any, ...]:
        """The smallest program in which this goes wrong."""
        raise NotImplementedError(f"{type(self).__name__}.bad")

    def good(self) -> tuple[Any, ...]:
        """The same program put right."""
        raise NotImplementedError(f"{type(self).__name__}.good")
