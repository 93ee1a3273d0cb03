"""`backlit evaluate` and `backlit predict`: what a saved model says of some rows."""

from __future__ import annotations

import csv
import io
import itertools
import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import load_model
from ..core.errors import BacklitError, DataError, FileError
from ..io import file
from ..io.bundled import Dataset
from ..io.infer import unique
from ..io.tables import is_table_file, read
from ..train import recipe
from ..train.door import features
from ..train.scores import one_line
from .fit import fingerprint, source_of
from .main import cli, must_be_free
from .show import right

_ROWS = 1 << 16  # rows predicted and written together, so that no copy of all is made


@dataclass
class _Asked:
    """Rows to look at: of which data, and in words which; how many of them were training rows, where that is known."""

    problem: recipe.Problem
    rows: np.ndarray
    which: str
    training_rows: int | None = 0


# ---------------------------------------------------------------------- which rows
def _own(model: Any, model_file: Path) -> _Asked:
    """The held-out test rows of the data that the model was trained on."""
    if not model.about.get("source"):
        raise FileError(
            f"{model_file} does not say what it was trained on.", fix="name the data: backlit evaluate FILE DATA"
        )
    source = source_of(model, model_file)
    data = _labelled(model, source, None)
    if fingerprint(data) != model.about.get("fingerprint"):
        raise DataError(
            f"{source} has changed since the training.",
            why="its test rows can no longer be told from its training rows",
            fix="name the data, and all of its rows are taken: backlit evaluate FILE DATA",
        )
    return _test_rows(model, data)


def _test_rows(model: Any, data: Dataset) -> _Asked:
    problem = recipe.prepare(data, model.about.get("seed", 0), model.about.get("task"))
    return _Asked(problem, problem.parts.test, "held-out test rows")


def _named(model: Any, model_file: Path, source: str, target: str | None) -> _Asked:
    """The rows of data that the user names: the test rows where they are the model's own, else all."""
    data = _told(_labelled(model, source, target))
    if fingerprint(data) == model.about.get("fingerprint"):
        return _test_rows(model, data)
    problem = recipe.measured(data, model, model.about.get("task"))
    return _Asked(problem, problem.parts.test, "all rows", _training_rows(model, model_file, data.X))


def _labelled(model: Any, source: str, target: str | None) -> Dataset:
    """Data with their y, a table by the names of the columns that the model knows, as the numbers that it takes."""
    known = target or (model.about.get("target") if is_table_file(source) else None)
    data = recipe.numbers_for(read(source, known), model)
    features(data.X, model.input_shape)
    return data


def _training_rows(model: Any, model_file: Path, X: np.ndarray) -> int | None:
    """How many rows of X the model was trained on; None where its data are not there any more."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was odd about the training data is not the question
            own = _own(model, model_file).problem
    except (BacklitError, OSError):
        return None
    known = {row.tobytes() for row in own.X[own.parts.train].astype(np.float32)}
    return sum(row.tobytes() in known for row in X.astype(np.float32))


def _opened(model_file: Path) -> Any:
    """The model, which must map one table to one."""
    model = load_model(model_file)
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.output_shape) != 2:
        raise DataError(
            f"{model_file} is no model from rows to rows.",
            expected="one input, and one output of shape (m, k)",
            found=f"inputs {model.input_shape}, outputs {model.output_shape}",
            fix="use it from Python: backlit.load_model(path).predict(X)",
        )
    return model


@cli.command()
@click.argument("model_file", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@click.option("--target", help="The column of DATA to compare with. Default: the one that the model was trained for.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def evaluate(model_file: Path, data: str | None, target: str | None, as_json: bool) -> None:
    """Score the model in MODEL_FILE on DATA; by default on the test rows it was never trained on."""
    model = _opened(model_file)
    asked = _named(model, model_file, data, target) if data else _own(model, model_file)
    if asked.training_rows != 0:
        count = "training rows may be" if asked.training_rows is None else f"{asked.training_rows} training rows are"
        click.echo(f"backlit: {count} among the {len(asked.rows)} rows of {data}: too easy for the model.", err=True)
    result = {"rows": asked.which, **recipe.score(model, asked.problem, asked.rows)}
    if as_json:
        click.echo(json.dumps({**result, "training_rows": asked.training_rows}))
        return
    low, high = result["interval"]
    key = "r2" if asked.problem.task == "regression" else "accuracy"
    more = f", mean |error| {result['mae']:.4g}" if key == "r2" else f", {right(result)} right"
    name = one_line(asked.problem.data.name)
    click.echo(f"{key} {result[key]:.4f} (95 %: {low:.4f} … {high:.4f}){more}, on {asked.which} of {name}")


# ---------------------------------------------------------------------- predictions
@cli.command()
@click.argument("model_file", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to standard output.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of CSV.")
def predict(model_file: Path, data: str | None, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Predict for the rows of DATA with the model in MODEL_FILE; by default for its held-out test rows.

    DATA needs no column of y; one that is there is left aside.
    """
    if out is not None:
        must_be_free(out, overwrite)
    model = _opened(model_file)
    if data:
        rows, numbers, which = _unlabelled(model, data), None, "all rows"
    else:
        asked = _own(model, model_file)
        rows, numbers, which = replace(asked.problem.data, X=asked.problem.X[asked.rows]), asked.rows, asked.which
    task = model.about.get("task") or ("regression" if model.loss is None else recipe.task_of(model))
    header, blocks = _header(model, task), _blocks(model, task, rows, numbers)
    text = _json(task, which, header, blocks) if as_json else _csv(header, blocks)
    if out is not None:
        file.write_bytes(out, "".join(text).encode())
        return
    for part in text:
        click.echo(part, nl=False)


def _unlabelled(model: Any, source: str) -> Dataset:
    """The rows of DATA; a target that is among its columns is told and left out."""
    data = _told(read(source, labelled=False))
    targets = [name for name in _targets(model) if data.frame is not None and name in data.frame.columns]
    if not targets:
        return data
    click.echo(
        f"backlit: {', '.join(map(repr, targets))} of {source} is left aside: it is what is predicted.", err=True
    )
    return replace(data, frame=data.frame.drop(columns=targets))


def _told(data: Dataset) -> Dataset:
    """The data; rows of the file that are not among them are told."""
    for note in data.notes:
        if " skipped" in note or " left out" in note:
            click.echo(f"backlit: {note}", err=True)
    return data


def _targets(model: Any) -> list[str]:
    """The names of what is predicted, one for each output of a regression."""
    return recipe.target_names(model.about.get("target") or "y", int(model.output_shape[-1]))


def _header(model: Any, task: str) -> list[str]:
    if task == "regression":
        return list(unique(["row", *_targets(model)]))
    names = model.classes or tuple(map(str, range(max(2, int(model.output_shape[-1])))))
    first = names if task == "multilabel" else [model.about.get("target") or "class"]
    return list(unique(["row", *first, *(f"p({name})" for name in names)]))


def _blocks(model: Any, task: str, data: Dataset, numbers: np.ndarray | None) -> Iterator[list[list[Any]]]:
    """The rows of the answer, some at a time: the row's number, what is predicted, the probabilities."""
    names = model.classes
    for start in range(0, len(data.X), _ROWS):
        part = slice(start, start + _ROWS)
        X = _numbers(model, data, part)
        rows = data.numbers(np.arange(start, start + len(X)) if numbers is None else numbers[part]).tolist()
        if task == "regression":
            values = model.predict(X).reshape(len(X), -1)
            yield [[row, *each] for row, each in zip(rows, values, strict=True)]
            continue
        p = recipe.probabilities(model, X)
        decided = recipe.decisions(p, task).astype(int).reshape(len(X), -1).tolist()
        if task != "multilabel" and names:
            decided = [[names[label]] for (label,) in decided]
        yield [[row, *told, *each] for row, told, each in zip(rows, decided, p.tolist(), strict=True)]


def _numbers(model: Any, data: Dataset, part: slice) -> np.ndarray:
    """Some rows as the numbers that the model takes. What is odd about them is told with the rows meant."""
    frame = None if data.frame is None else data.frame.iloc[part]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        X = recipe.numbers_for(replace(data, X=data.X[part], frame=frame), model).X
    place = f"from row {part.start} on, " if part.start else ""
    for each in told:
        click.echo(f"backlit: {place}{each.message}", err=True)
    return features(X, model.input_shape)


def _csv(header: Sequence[str], blocks: Iterable[list[list[Any]]]) -> Iterator[str]:
    blocks = iter(blocks)
    first = [list(header), *next(blocks, [])]  # made before anything is written: an error leaves no header behind
    for rows in itertools.chain([first], blocks):
        lines = io.StringIO()
        written = ([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
        csv.writer(lines, lineterminator="\n").writerows(written)
        yield lines.getvalue()


def _json(task: str, which: str, header: Sequence[str], blocks: Iterable[list[list[Any]]]) -> Iterator[str]:
    rows = itertools.chain.from_iterable(blocks)
    found = [dict(zip(header, (_plain(cell) for cell in row), strict=True)) for row in rows]
    yield json.dumps({"task": task, "rows": which, "predictions": found}) + "\n"


def _plain(cell: Any) -> Any:
    return float(str(cell)) if isinstance(cell, np.floating) else cell  # the shortest number that is this float32
