"""A Finding: one thing that is wrong with a model, its data or a training, with its evidence and its fix."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


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
        place = f"{self.layer}: " if self.layer else ""
        return f"{self.severity}: {place}{self.message}\n  fix  {self.fix}"

    def to_json(self) -> dict[str, Any]:
        """The finding as a plain dict."""
        return asdict(self)
