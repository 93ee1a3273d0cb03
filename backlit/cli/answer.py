"""`backlit evaluate` and `backlit predict`: what a saved model says of some rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import load_model
from ..core.errors import FileError
from ..io.tables import read
from ..train import recipe
from ..train.door import features
from .fit import fingerprint
from .main import cli
from .show import right


def _opened(model_file: Path, data: str | None) -> tuple[Any, recipe.Problem, np.ndarray, str]:
    """The model, its data, the rows to look at (the held-out test rows where the data are its own), and in words."""
    model = load_model(model_file)
    about = model.about
    if not data and not about.get("source"):
        raise FileError(
            f"{model_file} does not say what it was trained on.", fix="name the data: backlit evaluate FILE DATA"
        )
    dataset = read(data or about["source"])
    features(dataset.X, model.input_shape)
    if fingerprint(dataset) == about.get("fingerprint"):
        problem = recipe.prepare(dataset, about.get("seed", 0), about.get("task"))
        return model, problem, problem.parts.test, "held-out test rows"
    if not data:
        click.echo(f"backlit: {about['source']} has changed since the training; all of its rows are used.", err=True)
    problem = recipe.measured(dataset, model, about.get("task"))
    return model, problem, problem.parts.test, "all rows"


@cli.command()
@click.argument("model_file", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def evaluate(model_file: Path, data: str | None, as_json: bool) -> None:
    """Score the model in MODEL_FILE on DATA; by default on the test rows it was never trained on."""
    model, problem, rows, which = _opened(model_file, data)
    result = {"rows": which, **recipe.score(model, problem, rows)}
    if as_json:
        click.echo(json.dumps(result))
        return
    low, high = result["interval"]
    key = "r2" if problem.task == "regression" else "accuracy"
    more = f", mean |error| {result['mae']:.4g}" if key == "r2" else f", {right(result)} right"
    click.echo(f"{key} {result[key]:.4f} (95 %: {low:.4f} … {high:.4f}){more}, on {which} of {problem.data.name}")


@cli.command()
@click.argument("model_file", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def predict(model_file: Path, data: str | None, as_json: bool) -> None:
    """Predict for the rows of DATA with the model in MODEL_FILE; by default for its held-out test rows."""
    model, problem, rows, which = _opened(model_file, data)
    if data:
        rows, which = np.arange(len(problem.X)), "all rows"
    header, table = _predictions(model, problem, rows)
    if as_json:
        found = [dict(zip(header, row, strict=True)) for row in table]
        click.echo(json.dumps({"task": problem.task, "rows": which, "predictions": found}))
        return
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in table)
    click.echo(lines.getvalue(), nl=False)


def _predictions(model: Any, problem: recipe.Problem, rows: np.ndarray) -> tuple[list[str], list[list[Any]]]:
    X = problem.X[rows]
    if problem.task == "regression":
        header = [
            "row",
            *(
                [problem.data.target]
                if model.output_shape[-1] == 1
                else [f"y{k}" for k in range(model.output_shape[-1])]
            ),
        ]
        return header, [
            [int(row), *values] for row, values in zip(rows, model.predict(X).astype(float).tolist(), strict=True)
        ]
    names = list(problem.classes or ())
    p = recipe.probabilities(model, X)
    header = ["row", problem.data.target, *(f"p({name})" for name in names)]
    chosen: Callable[[Any], str] = lambda each: names[int(each.argmax())]  # noqa: E731
    if problem.task == "multilabel":
        chosen = lambda each: " ".join(name for name, yes in zip(names, each > 0.5, strict=True) if yes)  # noqa: E731
    return header, [[int(row), chosen(each), *map(float, each)] for row, each in zip(rows, p, strict=True)]
