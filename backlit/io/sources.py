"""What every reader of files asks: how much may be damaged, and whether a package is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..core.errors import FileError


def tolerable(bad: int, total: int) -> bool:
    """Whether so few are bad that they may be skipped, with a note: at most 1 %."""
    return 100 * bad <= total


def need(module: str, package: str, extra: str, path: Path) -> None:
    """Refuse to go on where a package that reads a kind of file is not installed."""
    if importlib.util.find_spec(module) is None:
        raise FileError(
            f"reading {path.name!r} needs the package {package}, which is not installed.",
            fix=f"pip install 'backlit[{extra}]'",
            where=str(path),
        )
