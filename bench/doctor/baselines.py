"""What a doctor scores who looks at nothing, and one who goes by heuristics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .examine import Outcome, Said

Doctor = Callable[[Outcome], Sequence[Said]]


def _always(text: str, *rules: tuple[int, ...]) -> Doctor:
    said = [Said("always", each, "warning", None, text, "", "compile") for each in rules]
    return lambda outcome: said


_RATE = (32, 33, 34, 35)
_ACTIVATION = (1, 2, 3, 4, 5, 6, 13, 14, 15)

DOCTORS: dict[str, Doctor] = {
    "backlit": lambda outcome: outcome.findings,
    "UMLAUT's rules": lambda outcome: outcome.umlaut,
    "always nothing": _always(""),
    'always "learning rate"': _always("learning_rate", _RATE),
    'always "activation"': _always("activation", _ACTIVATION),
    'always "activation" and "learning rate"': _always("activation, learning_rate", _ACTIVATION, _RATE),
}
