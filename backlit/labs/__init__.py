"""The labs: small experiments that end in one sentence, checked against known numbers. `backlit lab`, `labs.find("relu")`.

Each is a module of this folder with a function that computes and one that draws, written with the public library alone, so
that it can be copied and changed.

>>> from backlit import labs
>>> labs.find("relu").title
'Three ReLU units make three segments'
"""

from __future__ import annotations

from importlib import import_module

from ..core.errors import UnknownNameError, did_you_mean, names_of
from .lab import Check, Golden, Lab, Outcome, Slider

__all__ = ["NAMES", "Check", "Golden", "Lab", "Outcome", "Slider", "find"]

# In the order of the course.
NAMES = (
    "relu", "softmax", "multiclass", "derivatives", "backprop", "digits", "vectorise", "broadcasting", "roundoff",
    "logistic", "hidden", "deep", "initialisation", "collapse", "ekg",
)  # fmt: skip


def find(name: str) -> Lab:
    """The lab of that name. Raises UnknownNameError."""
    if name not in NAMES:
        raise UnknownNameError(
            f"there is no lab {name!r}.",
            expected=", ".join(NAMES),
            fix=did_you_mean(name, NAMES) or "backlit lab, which lists them",
            name=name,
        )
    lab: Lab = import_module(f"{__name__}.{name}").LAB
    return lab


__getattr__, __dir__ = names_of(__name__)
