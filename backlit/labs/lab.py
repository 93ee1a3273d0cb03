"""What a lab is: a sentence to learn, controls, a function that computes, numbers that must come out, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from ..core.arguments import checked
from ..core.errors import UnknownNameError, ValueRangeError, did_you_mean
from ..core.seed import kept

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Slider:
    """A control: a number from `low` to `high`, first at `start`."""

    name: str
    low: float
    high: float
    start: float
    step: float = 0.1
    says: str = ""

    def fitting(self, value: float) -> float:
        """The value, if it is one. Raises ValueRangeError."""
        if not self.low <= value <= self.high:
            raise ValueRangeError(
                f"{self.name} lies outside of what the lab shows.",
                expected=f"{self.low:g} to {self.high:g}",
                found=f"{value:g}",
            )
        return float(value)


@dataclass(frozen=True)
class Golden:
    """A number (or array, or text) that must come out where the lab begins: `key` of what was found is `value`, within
    `tolerance`; or, with a function as `value`, holds."""

    says: str
    key: str
    value: Any
    tolerance: float = 0.0

    def check(self, found: Found) -> Check:
        """How it came out."""
        got = found[self.key]
        if callable(self.value):
            return Check(self.says, "", _shown(got), bool(self.value(got)))
        if isinstance(self.value, str | bool):
            right = got == self.value
        else:
            right = bool(np.shape(got) == np.shape(self.value) and _close(got, self.value, self.tolerance))
        return Check(self.says, _shown(self.value), _shown(got), right)


def _close(got: Any, value: Any, tolerance: float) -> bool:
    return bool(np.allclose(np.asarray(got, float), np.asarray(value, float), rtol=0, atol=tolerance, equal_nan=True))


@dataclass(frozen=True)
class Check:
    """A golden number beside the one that came out."""

    says: str
    expected: str
    found: str
    right: bool


@dataclass(frozen=True)
class Lab:
    """A small experiment.

    `compute(**sliders)` gives the numbers by name, the same ones every time; `pictures(found)` draws them, by title.
    `says` is what one learns, in a sentence; `about` the question that it answers.
    """

    name: str
    title: str
    about: str
    says: str
    compute: Callable[..., Found]
    pictures: Callable[[Found], Mapping[str, Any]]
    golden: tuple[Golden, ...]
    sliders: tuple[Slider, ...] = ()
    rows: tuple[str, ...] = ()
    shown: tuple[str, ...] = field(default=())  # keys of what is printed, in this order

    @checked
    def run(self, **values: float) -> Outcome:
        """Compute with the sliders at these values (their first ones where nothing is said).

        Raises UnknownNameError for a slider that is not there and ValueRangeError for a value beyond its ends.

        >>> from backlit import labs
        >>> labs.find("relu").run(w1=1, b1=-1, w2=2, b2=-4).found["mean squared error"] < 1e-25
        True
        """
        names = [slider.name for slider in self.sliders]
        for name in values:
            if name not in names:
                raise UnknownNameError(
                    f"the lab {self.name!r} has no control {name!r}.",
                    expected=", ".join(names) or "none: it has no controls",
                    fix=did_you_mean(name, names),
                    name=name,
                )
        start = {slider.name: slider.start for slider in self.sliders}
        chosen = {slider.name: slider.fitting(values.get(slider.name, slider.start)) for slider in self.sliders}
        with kept():
            found = self.compute(**chosen)
        return Outcome(self, chosen, found, chosen == start)

    def check(self) -> list[Check]:
        """The golden numbers, each beside the one that comes out."""
        return list(self.run().checks)

    def _repr_html_(self) -> str:
        return self.run()._repr_html_()


@dataclass(frozen=True)
class Outcome:
    """One run of a lab: `found`, its numbers by name; `checks`, the golden ones; `figures`, drawn when first asked for."""

    lab: Lab
    values: Mapping[str, float]
    found: Found
    at_start: bool

    @property
    def checks(self) -> Iterator[Check]:
        """The golden numbers, where the sliders stand at their first values."""
        return (golden.check(self.found) for golden in self.lab.golden if self.at_start)

    @cached_property
    def figures(self) -> Mapping[str, Any]:
        """The pictures by title; needs matplotlib. Raises NotReadyError without it."""
        return self.lab.pictures(self.found)

    def rows(self) -> list[tuple[str, str]]:
        """What was found, as text, by name."""
        keys = self.lab.shown or tuple(self.found)
        return [(key, _shown(self.found[key])) for key in keys]

    def __str__(self) -> str:
        """Title, question, numbers, checks, and what one learns."""
        lines = [self.lab.title, "", self.lab.about, ""]
        if self.values:
            lines += ["  ".join(f"{name} = {value:g}" for name, value in self.values.items()), ""]
        wide = max((len(key) for key, _ in self.rows()), default=0)
        for key, text in self.rows():
            first, *rest = text.split("\n")
            lines += [f"  {key:<{wide}}  {first}", *(f"  {'':<{wide}}  {line}" for line in rest)]
        checks = list(self.checks)
        if checks:
            lines += ["", "Checked against known numbers:"]
            for check in checks:
                against = f": {check.found}" + (
                    f", known {check.expected}" if check.expected and not check.right else ""
                )
                lines.append(f"  {'✓' if check.right else '✗'} {check.says}{against.replace(chr(10), ' ')}")
        return "\n".join([*lines, "", f"→ {self.lab.says}"])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def _shown(value: Any) -> str:
    """A number of up to seven figures, an array in rows, anything else as it is."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        return f"{float(value):.7g}"
    if isinstance(value, np.ndarray | list | tuple) and np.asarray(value).dtype.kind in "fiub":
        return np.array2string(np.asarray(value), precision=4, suppress_small=True, threshold=40, edgeitems=3)
    return str(value)
