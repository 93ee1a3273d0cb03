"""What each output of a model is trained for: its loss, its share of the total, its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core import registry
from ..core.errors import ArgumentError, ValueRangeError, did_you_mean
from .losses_base import Loss
from .metrics_base import Metric


@dataclass(frozen=True)
class Head:
    """One output: `name` in logs and dicts, `shape` with m, and what it is compared and measured with."""

    name: str
    shape: Any
    loss: Loss
    share: float
    metrics: Mapping[str, Metric]
    weighted: Mapping[str, Metric]  # metrics that the sample weights weigh

    def named(self, key: str, alone: bool) -> str:
        """The name of a number of this head in the logs: prefixed where there are several heads."""
        return key if alone else f"{self.name}_{key}"


@dataclass(frozen=True)
class Compiled:
    """The arguments of `compile` that speak of outputs, as they were given."""

    loss: Any
    loss_weights: Any
    metrics: Any
    weighted_metrics: Any

    def check(self) -> None:
        """Refuse misspelt names before the outputs are known."""
        for each in _listed(self.loss):
            if each is not None:
                Loss.get(each)
        for group in (self.metrics, self.weighted_metrics):
            if group is not None and not isinstance(group, (list, tuple, Mapping)):
                raise ArgumentError(f"{group!r} is no list of metrics.", fix=f"metrics=[{group!r}]")
            for each in _leaves(group):
                if isinstance(each, str) and each not in registry.lookup("metrics.by_shape"):
                    Metric.named(each)

    def heads(self, names: Sequence[str], shapes: Sequence[Any]) -> list[Head]:
        """One head for each output that has a loss or metrics."""
        losses = _spread(self.loss, names, "loss", whole=not isinstance(self.loss, (list, tuple, Mapping)))
        shares = _spread(self.loss_weights, names, "loss_weights", whole=self.loss_weights is None)
        metrics = _metric_lists(self.metrics, names, "metrics")
        weighted = _metric_lists(self.weighted_metrics, names, "weighted_metrics")
        heads = []
        for name, shape in zip(names, shapes, strict=True):
            if losses[name] is None:
                continue
            loss = Loss.get(losses[name])
            share = 1.0 if shares[name] is None else float(shares[name])
            measured = [_resolved(group[name], loss, shape) for group in (metrics, weighted)]
            measured[1] = {f"weighted_{key}" if key in measured[0] else key: m for key, m in measured[1].items()}
            _refuse_overridden(measured)
            heads.append(Head(name, shape, loss, share, *measured))
        if not heads:
            raise ArgumentError("no output has a loss.", fix="give at least one")
        return heads


def _resolved(identifiers: Sequence[Any], loss: Loss, shape: Any) -> dict[str, Metric]:
    """Every metric by its name in the logs."""
    return registry.lookup("metrics.resolve_all")(identifiers, loss, shape) if identifiers else {}


def _refuse_overridden(groups: Sequence[Mapping[str, Metric]]) -> None:
    """A metric's arithmetic is part of the step's graph: what overrides the calls on arrays would be passed over."""
    for metric in (metric for group in groups for metric in group.values()):
        for name in ("update_state", "reset_state"):
            if getattr(type(metric), name) is not getattr(Metric, name):
                raise ArgumentError(
                    f"the {name} of {type(metric).__name__} would not be called.",
                    why="metrics are part of the step's graph",
                    fix="write formula(self, y, p), or sums(self, y, p, w) and value(self, totals); see docs/your-own.md",
                )


def _listed(value: Any) -> list[Any]:
    if isinstance(value, Mapping) and "class" not in value:
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _leaves(value: Any) -> list[Any]:
    return [] if value is None else [leaf for item in _listed(value) for leaf in _listed(item)]


def _spread(value: Any, names: Sequence[str], what: str, whole: bool) -> dict[str, Any]:
    """One value for each output, from one for all, a list in their order, or a dict by their names."""
    if whole or (isinstance(value, Mapping) and "class" in value):
        return dict.fromkeys(names, value)
    if isinstance(value, Mapping):
        for name in value:
            if name not in names:
                fix = did_you_mean(name, names)
                raise ValueRangeError(f"{what}: there is no output {name!r}.", expected=", ".join(names), fix=fix)
        return {name: value.get(name) for name in names}
    values = list(value)
    if len(values) != len(names):
        raise ValueRangeError(
            f"{what} does not fit the outputs.", expected=f"{len(names)}: {', '.join(names)}", found=str(len(values))
        )
    return dict(zip(names, values, strict=True))


def _metric_lists(value: Any, names: Sequence[str], what: str) -> dict[str, list[Any]]:
    """A list of metrics for each output: a flat list is for the only one, or for each of several."""
    if value is None:
        return {name: [] for name in names}
    nested = isinstance(value, Mapping) or any(isinstance(item, (list, tuple)) for item in value)
    if len(names) == 1 and not nested:
        return {names[0]: list(value)}
    spread = _spread(value, names, what, whole=False)
    return {name: [] if each is None else _listed(each) for name, each in spread.items()}
