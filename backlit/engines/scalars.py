"""The scalar functions of formulas as NumPy ufuncs: the one table that the NumPy engines have for elementwise
records."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.scalar import FUNCTIONS


def _erf(x: Any, out: Any = None) -> Any:
    """The error function of SciPy, which is loaded when first needed: NumPy has none."""
    from scipy.special import erf

    return erf(x, out=out)


def _where(condition: Any, x: Any, y: Any, out: Any = None) -> Any:
    if out is None:
        return np.where(condition, x, y)
    np.copyto(out, y, casting="same_kind")
    np.copyto(out, x, casting="same_kind", where=np.asarray(condition, bool))
    return out


TABLE: dict[str, Any] = {name: getattr(np, name, None) for name in FUNCTIONS} | {"erf": _erf, "where": _where}
