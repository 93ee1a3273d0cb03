"""What may be wrong with data before anything is trained on them: each criterion a function that returns findings.

They look at the numbers X, (m, n), the names of its columns, and y: labels 0 … k-1 of shape (m,), or amounts. Nothing is
printed and nothing is changed. `examine` asks all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.check import SEVERITIES, Finding
from ..io.bundled import Dataset
from ..io.cells import cells, columns_of
from ..io.columns import Columns
from ..io.split import MIN_PER_CLASS, MIN_ROWS
from . import recipe

_SHOWN = 5
_MOSTLY_MISSING = 0.5
_IMBALANCE = 0.1  # of the rarest class against the most frequent one
_MANY = 0.01  # the share of rows from which repeated or contradicting ones are more than worth knowing
_STAND_INS = (-1, *(sign * (10**digits - 1) for digits in range(1, 7) for sign in (-1, 1)))


@dataclass(frozen=True)
class Survey:
    """What data are and what may be wrong with them. `y` says of the target what task it asks for, with its classes."""

    data: Dataset
    columns: Columns | None
    missing: dict[str, int]
    y: dict[str, Any]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """The survey as a plain dict."""
        plain = [(name, "number", "") for name in self.data.columns]
        kinds = recipe.described(self.columns) if self.columns else plain
        return {
            "data": self.data.name,
            "rows": len(self.data.X),
            "columns": [
                {"name": name, "kind": kind, "detail": detail, "missing": self.missing.get(name, 0)}
                for name, kind, detail in kinds
            ],
            "target": self.y or None,
            "findings": [finding.to_json() for finding in self.findings],
        }


def survey(data: Dataset) -> Survey:
    """Look at all rows of `data`, with y or without. Raises DataError where no column can be used."""
    columns, missing, found = None, {}, []
    if data.frame is not None:
        columns = Columns.infer(data.frame)
        why = dict(columns.left_out)
        for name, each in columns_of(data.frame).items():
            column = cells(name, each)
            missing[name] = int(column.missing.sum())
            found += missing_values(name, missing[name], len(data.frame))
            if name in why:
                found.append(unused_column(name, why[name], len(column.distinct()), len(column.present)))
        data = replace(data, X=columns.encode(data.frame), columns=columns.encoded)
    y, classes, told = None, None, {}
    if len(data.y):
        task, reason = recipe.decide(data)
        y, classes = recipe.targets(data, task)
        if task == "regression":
            recipe.must_have_squares(data.target, y)
        told = {"name": data.target, "task": task, "why": reason, **_spread(y, classes)}
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    found += examine(data.X, data.columns, y, classes)
    return Survey(data, columns, missing, told, tuple(sorted(found, key=_rank)))


def _spread(y: np.ndarray, classes: Sequence[str] | None) -> dict[str, Any]:
    """The rows of each class or label, or the range of amounts."""
    if classes is None:
        return {"min": y.min(axis=0).tolist(), "mean": y.mean(axis=0).tolist(), "max": y.max(axis=0).tolist()}
    counts = np.bincount(y, minlength=len(classes)) if y.ndim == 1 else y.sum(axis=0).astype(int)
    return {"classes": dict(zip(classes, counts.tolist(), strict=True))}


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def examine(X: np.ndarray, names: Sequence[str], y: np.ndarray | None, classes: Sequence[str] | None) -> list[Finding]:
    """The findings of all criteria, errors first. `classes` are the names of the labels, None where y are amounts.

    >>> X = np.array([[0.0, 5.0], [1.0, 5.0]] * 10)
    >>> [finding.check for finding in examine(X, ("a", "b"), None, None)]
    ['repeated rows', 'constant columns']
    """
    found = [*few_rows(X), *constant_columns(X, names), *equal_columns(X, names), *counting_columns(X, names)]
    found += stand_ins(X, names)
    if y is not None and y.ndim == 2:
        found += constant_targets(y, classes)
    elif y is not None:
        found += constant_targets(y[:, None], None)
        if classes is not None:
            found += [*rare_classes(y, classes), *imbalance(y, classes)]
        found += [*contradictions(X, y, classes is not None), *telling_columns(X, names, y, classes is not None)]
    found += repeated_rows(X, y)
    return sorted(found, key=_rank)


# ---------------------------------------------------------------------- columns
def missing_values(name: str, missing: int, rows: int) -> list[Finding]:
    """A column that is empty in some rows: worth knowing, a warning where it is so in more than half of them."""
    if not missing:
        return []
    most = missing > _MOSTLY_MISSING * rows
    return [
        Finding(
            check="missing values",
            severity="warning" if most else "note",
            message=f"{name!r} is missing in {missing} of {rows} rows.",
            why="what is filled in says little where little was known" if most else "",
            fix="leave the column out, unless that it is missing means something"
            if most
            else "none is needed: fit fills them in",
            evidence={"column": name, "missing": missing, "rows": rows},
            rules=(23,),
        )
    ]


def unused_column(name: str, why: str, different: int, rows: int) -> Finding:
    """A column of a table from which nothing is taken: worth knowing where it is constant, or another in each row."""
    return Finding(
        check="unused columns",
        severity="warning" if 1 < different < rows else "note",
        message=f"{name!r} is left out: {why}.",
        fix="if it matters, rewrite it as numbers, as dates like 2020-01-31, or as a few categories",
        evidence={"column": name},
        rules=(24,),
    )


def constant_columns(X: np.ndarray, names: Sequence[str]) -> list[Finding]:
    """Columns that hold the same number in every row: harmless, unless there are no others."""
    same = _places(X.min(axis=0) == X.max(axis=0))
    if not len(same):
        return []
    return [
        Finding(
            check="constant columns",
            severity="note" if len(same) < X.shape[1] else "error",
            message=f"{_columns(same, names)} always {'hold' if len(same) > 1 else 'holds'} the same number.",
            why="what never changes tells nothing" if len(same) < X.shape[1] else "there is nothing to learn from",
            fix="leave them out" if len(same) < X.shape[1] else "give columns that differ from row to row",
            evidence={"columns": [names[k] for k in same]},
            rules=(24,),
        )
    ]


def equal_columns(X: np.ndarray, names: Sequence[str]) -> list[Finding]:
    """Columns that equal an earlier one in every row; constant ones are not counted."""
    first: dict[bytes, int] = {}
    twins = []
    for k in range(X.shape[1]):
        column = np.ascontiguousarray(X[:, k]) + 0.0
        earlier = first.setdefault(column.tobytes(), k)
        if earlier != k and (column != column[0]).any():
            twins.append((names[earlier], names[k]))
    if not twins:
        return []
    said = "; ".join(f"{b!r} equals {a!r}" for a, b in twins[:_SHOWN]) + ("; …" if len(twins) > _SHOWN else "")
    return [
        Finding(
            check="equal columns",
            severity="warning",
            message=f"{said} in every row.",
            why="the second one tells nothing new, and shares of the weights have no meaning",
            fix=f"leave out {twins[0][1]!r}",
            evidence={"pairs": [list(pair) for pair in twins]},
            rules=(24,),
        )
    ]


def counting_columns(X: np.ndarray, names: Sequence[str]) -> list[Finding]:
    """Columns of whole numbers without a gap or a repetition: row numbers."""
    if len(X) < MIN_ROWS:
        return []
    ordered = np.sort(X, axis=0)
    ids = _places((np.diff(ordered, axis=0) == 1).all(axis=0) & (ordered[0] == np.floor(ordered[0])))
    return [
        Finding(
            check="row numbers",
            severity="warning",
            message=f"{_columns([k], names)} counts the rows.",
            why="a network can learn the rows by heart from it, and the order in which they were collected",
            fix=f"leave out {names[k]!r}",
            evidence={"column": names[k]},
            rules=(24,),
        )
        for k in ids
    ]


def stand_ins(X: np.ndarray, names: Sequence[str]) -> list[Finding]:
    """A number such as -999, several times and further from all others than these are from one another."""
    found = []
    for k in range(X.shape[1]):
        low, high = X[:, k].min(), X[:, k].max()
        for value in {low, high} & set(map(float, _STAND_INS)):
            at = X[:, k] == value
            rest = X[~at, k]
            if at.sum() < 2 or len(np.unique(rest)) < 3 or np.abs(rest - value).min() <= rest.max() - rest.min():
                continue
            found.append(
                Finding(
                    check="stand-ins for missing",
                    severity="warning",
                    message=f"{names[k]!r} is {value:g} in {at.sum()} rows, else from {rest.min():g} to {rest.max():g}.",
                    why="such a number often stands for a missing value, and is learnt as an amount",
                    fix="leave those cells empty, if they mean that nothing is known",
                    evidence={"column": names[k], "value": float(value), "rows": int(at.sum())},
                    rules=(20,),
                )
            )
    return found


def telling_columns(X: np.ndarray, names: Sequence[str], y: np.ndarray, labels: bool) -> list[Finding]:
    """A column that tells y by itself: each class in a range of its own, or amounts in proportion."""
    if len(X) < 2 * MIN_ROWS or (y == y[0]).all():
        return []
    told = [k for k in range(X.shape[1]) if (_ranges(X[:, k], y) if labels else _proportional(X[:, k], y))]
    if not told:
        return []
    return [
        Finding(
            check="telling columns",
            severity="warning",
            message=f"{_columns(told, names)} {'tell' if len(told) > 1 else 'tells'} y without the other columns.",
            why="often it was written down after y was known, and will not be there when it has to be predicted",
            fix=f"leave out {names[told[0]]!r}, unless it is known beforehand",
            evidence={"columns": [names[k] for k in told]},
            sure=0.7,
        )
    ]


def _ranges(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether every class has a range of x of its own."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    changes = np.flatnonzero(y[1:] != y[:-1])
    return len(changes) == len(np.unique(y)) - 1 and bool((x[changes] < x[changes + 1]).all())


def _proportional(x: np.ndarray, y: np.ndarray) -> bool:
    x, y = (values - values.mean(dtype=np.float64) for values in (x, y))
    size = float(np.sqrt((x @ x) * (y @ y)))
    return size > 0 and abs(float(x @ y)) > (1 - 1e-6) * size


# ---------------------------------------------------------------------- y
def few_rows(X: np.ndarray) -> list[Finding]:
    """Too few rows for a training, a development and a test part."""
    if len(X) >= MIN_ROWS:
        return []
    return [
        Finding(
            check="few rows",
            severity="error",
            message=f"there are {len(X)} rows.",
            why=f"at least {MIN_ROWS} are needed for training, development and test",
            fix="collect more rows",
            evidence={"rows": len(X)},
        )
    ]


def constant_targets(y: np.ndarray, labels: Sequence[str] | None) -> list[Finding]:
    """Columns of y, (m, k), that are the same everywhere."""
    same = _places(y.min(axis=0) == y.max(axis=0))
    if not len(same):
        return []
    names = [repr(labels[k] if labels else k) for k in same]
    return [
        Finding(
            check="constant target",
            severity="error" if len(same) == y.shape[1] else "warning",
            message="y has a single value." if y.shape[1] == 1 else f"of y, {', '.join(names)} never changes.",
            why="there is nothing to learn from it",
            fix="name another column as the target",
        )
    ]


def rare_classes(y: np.ndarray, classes: Sequence[str]) -> list[Finding]:
    """Classes with too few rows to stand in every part."""
    counts = np.bincount(y, minlength=len(classes))
    rare = [k for k in range(len(classes)) if counts[k] < MIN_PER_CLASS]
    if not rare:
        return []
    said = ", ".join(f"{classes[k]!r} {counts[k]}" for k in rare[:_SHOWN]) + (", …" if len(rare) > _SHOWN else "")
    return [
        Finding(
            check="rare classes",
            severity="warning",
            message=f"{len(rare)} of {len(classes)} classes have fewer than {MIN_PER_CLASS} rows: {said}.",
            why="training, development and test need one of each, so the rows are dealt at random",
            fix="collect more rows of them, put them into one class, or leave them out",
            evidence={"classes": {classes[k]: int(counts[k]) for k in rare}},
            rules=(25,),
        )
    ]


def imbalance(y: np.ndarray, classes: Sequence[str]) -> list[Finding]:
    """A class that has less than a tenth of the rows of the most frequent one."""
    counts = np.bincount(y, minlength=len(classes))
    rare, common = min(_places(counts > 0), key=lambda k: counts[k]), int(counts.argmax())
    if counts[rare] >= _IMBALANCE * counts[common]:
        return []
    share = counts[common] / len(y)
    return [
        Finding(
            check="imbalance",
            severity="warning",
            message=f"class {classes[rare]!r} has {counts[rare]} rows, {classes[common]!r} has {counts[common]}.",
            why=f"who always answers {classes[common]!r} is right in {share:.1%} of the rows",
            fix="look at each class, not at the accuracy of all; model.fit(..., class_weight={…}) weighs the rare ones",
            evidence={"rarest": int(counts[rare]), "most": int(counts[common])},
            rules=(25,),
        )
    ]


# ---------------------------------------------------------------------- rows
def contradictions(X: np.ndarray, y: np.ndarray, labels: bool) -> list[Finding]:
    """Rows that are equal in all columns and have different y."""
    members = _members(X)
    differ = [rows for rows in members if (y[rows] != y[rows[0]]).any()]
    if not differ:
        return []
    count = sum(map(len, differ))
    evidence: dict[str, Any] = {"rows": [rows.tolist() for rows in differ[:_SHOWN]], "count": count}
    why = "no model can be right on all of them"
    if labels:
        best = 1 - sum(len(rows) - np.bincount(y[rows]).max() for rows in differ) / len(y)
        why, evidence["best accuracy"] = f"no model can be right on more than {best:.2%} of the rows", float(best)
    first = differ[0][:2].tolist() if y[differ[0][0]] != y[differ[0][1]] else differ[0].tolist()[:_SHOWN]
    return [
        Finding(
            check="contradictions",
            severity="warning" if labels and count > _MANY * len(y) else "note",
            message=f"{count} rows have the columns of another row but another y, such as rows {_listed(first)}.",
            why=why,
            fix="correct wrong labels, or add the column that tells these rows apart",
            evidence=evidence,
            rules=(29,),
        )
    ]


def repeated_rows(X: np.ndarray, y: np.ndarray | None) -> list[Finding]:
    """Rows that stand there more than once, y included."""
    whole = X if y is None else np.hstack([X, y.reshape(len(X), -1)])
    members = _members(whole)
    extra = sum(len(rows) - 1 for rows in members)
    if not extra:
        return []
    return [
        Finding(
            check="repeated rows",
            severity="warning" if extra > _MANY * len(X) else "note",
            message=f"{extra} of {len(X)} rows repeat another one, such as rows {_listed(members[0][:2].tolist())}.",
            why="a row in the training and its copy in the test make the test too easy",
            fix="leave the copies out, unless they are different cases that look alike",
            evidence={"rows": [rows.tolist() for rows in members[:_SHOWN]], "count": extra},
            rules=(26,),
        )
    ]


def _members(X: np.ndarray) -> list[np.ndarray]:
    """The row numbers of every group of two or more equal rows, in the order of the first ones."""
    rows = np.ascontiguousarray(X) + 0.0  # so that -0.0 is 0.0
    first: dict[bytes, int] = {}
    group = np.array([first.setdefault(row.tobytes(), k) for k, row in enumerate(rows)], dtype=np.int64)
    counts = np.bincount(group, minlength=len(X))
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(counts)
    return [order[ends[k] - counts[k] : ends[k]] for k in np.flatnonzero(counts > 1)]


def _places(mask: np.ndarray) -> list[int]:
    return [int(k) for k in np.flatnonzero(mask)]


def _columns(places: Sequence[int], names: Sequence[str]) -> str:
    shown = ", ".join(repr(names[k]) for k in places[:_SHOWN])
    return f"columns {shown}" + (", …" if len(places) > _SHOWN else "") if len(places) > 1 else f"column {shown}"


def _listed(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:-1])) + f" and {rows[-1]}"
