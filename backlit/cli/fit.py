"""`backlit fit`: train a network on some data, say why it is so and how good it is, and save it in one file."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..io.bundled import NAMES, Dataset
from ..io.tables import read
from ..train import recipe, scores
from .bar import EpochBar
from .main import INTERRUPTED, cli, must_be_free
from .show import console, print_choices, print_outcome


def _whole_numbers(context: Any, parameter: Any, text: str) -> tuple[int, ...]:
    try:
        units = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        units = (0,)
    if any(unit < 1 for unit in units):
        raise click.BadParameter(f"{text!r} is no list of layer widths; write 25,15 (or an empty text for none)")
    return units


@cli.command()
@click.argument("data")
@click.option("--target", help="The column of y in a table; several: a,b. Default: target, label, class or y.")
@click.option(
    "--layers",
    "hidden",
    default="25,15",
    show_default=True,
    callback=_whole_numbers,
    help="Units of the hidden layers.",
)
@click.option("--activation", default="relu", show_default=True, help="Activation of the hidden layers.")
@click.option("--optimizer", default="adam", show_default=True, help="adam, sgd, rmsprop, adamw, …")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Default: 0.002 for adam, else the optimizer's.",
)
@click.option(
    "--l2", type=click.FloatRange(min=0), default=0.001, show_default=True, help="Penalty on squared weights."
)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=120, show_default=True, help="Most passes over the training rows."
)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Rows a step.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Split, weights and order of the rows."
)
@click.option("--task", type=click.Choice(recipe.TASKS), help="Default: decided from y.")
@click.option("--engine", default="auto", show_default=True, help="auto, or the name of an engine.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Model file. Default: DATA's name + .backlit."
)
@click.option("--overwrite", is_flag=True, help="Replace a model file that is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="No bar, no messages.")
def fit(
    data: str, target: str | None, out: Path | None, overwrite: bool, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Train a network on DATA, say why it is so, how good it is, and save it in one file."""
    dataset = read(data, target)
    path = out or Path(f"{Path(dataset.name).name}.backlit")
    if path.suffix != ".backlit":
        raise click.BadParameter(f"a model file ends in .backlit, not {path.suffix!r}", param_hint="--out")
    must_be_free(path, overwrite)
    chosen = recipe.Options(**options)
    screen = console()
    bar = EpochBar(chosen.epochs, quiet or (as_json and not sys.stderr.isatty()))
    seen: list[Any] = []

    def tell(problem: recipe.Problem, model: Any, choices: Sequence[recipe.Choice]) -> None:
        seen[:] = [problem, model]
        if not as_json:
            print_choices(screen, problem, model, choices)

    try:
        with bar:
            outcome = recipe.run(dataset, chosen, [bar], tell)
    except KeyboardInterrupt:
        if seen:
            _save(seen[1], seen[0], chosen, {}, path, data)
            click.echo(f"backlit: interrupted; the last committed step is saved in {path}.", err=True)
        sys.exit(INTERRUPTED)
    result = _result(outcome, chosen, path)
    _save(
        outcome.model,
        outcome.problem,
        chosen,
        {key: result[key] for key in ("train", "dev", "test", "baseline")},
        path,
        data,
    )
    if as_json:
        click.echo(json.dumps(result))
    else:
        print_outcome(screen, outcome, path)


def _seen_from(model_file: Path, source: str) -> str:
    """The data's name or path as the model's file keeps it: a relative path by the folder of the model's file."""
    if source in NAMES:
        return source
    return _each_path(source, lambda path: path if os.path.isabs(path) else os.path.relpath(path, model_file.parent))


def source_of(model: Any, model_file: Path) -> str:
    """The name or path of the data that the model was trained on."""
    stored: str = model.about["source"]
    folder = os.path.dirname(model_file)
    return stored if stored in NAMES else _each_path(stored, lambda path: os.path.normpath(os.path.join(folder, path)))


def _each_path(source: str, change: Callable[[str], str]) -> str:
    """A path, or the two paths of "X.npy,y.npy", changed."""
    pair = source.split(",")
    both = len(pair) == 2 and all(part.strip().endswith(".npy") or "-idx" in part for part in pair)
    return ",".join(change(part.strip()) for part in pair) if both else change(source)


def fingerprint(data: Dataset) -> str:
    """What tells data that are the same numbers from any others."""
    digest = hashlib.sha256(repr((data.X.shape, data.y.shape, data.classes)).encode())
    digest.update(np.ascontiguousarray(data.X).tobytes())
    digest.update(np.ascontiguousarray(data.y).tobytes())
    return digest.hexdigest()


def _save(model: Any, problem: recipe.Problem, options: recipe.Options, scored: Any, path: Path, source: str) -> None:
    data = problem.data
    model.about = {
        "source": _seen_from(path, source),
        "name": data.name,
        "fingerprint": fingerprint(data),
        "task": problem.task,
        "seed": options.seed,
        "columns": list(data.columns),
        "target": data.target,
        "target_numbers": _spread(problem.y[problem.parts.train]) if problem.task == "regression" else None,
        "unit": data.unit,
        "image": data.image,
        "scores": scored,
    }
    model.save(path)


def _spread(y: np.ndarray) -> dict[str, float]:
    return {"low": float(y.min()), "high": float(y.max()), "std": float(y.std())}


def _result(outcome: recipe.Outcome, options: recipe.Options, path: Path) -> dict[str, Any]:
    model, problem = outcome.model, outcome.problem
    return {
        "task": problem.task,
        "data": problem.data.name,
        "network": [_described(layer) for layer in model.layers],
        "parameters": sum(leaf.array.size for leaf in model.trainable_variables),
        "optimizer": repr(model.optimizer),
        "loss": repr(model.loss),
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "batch_size": options.batch_size,
        "seed": options.seed,
        "seconds": round(outcome.seconds, 3),
        **outcome.scores,
        "baseline": outcome.baseline,
        "verdict": scores.verdict(outcome.scores["test"], outcome.baseline),
        "columns": _columns(problem),
        "choices": [vars(choice) for choice in outcome.choices],
        "model_file": str(path),
    }


def _columns(problem: recipe.Problem) -> list[dict[str, str]]:
    """What becomes of the columns of a table."""
    rows = [] if problem.columns is None else recipe.described(problem.columns)
    return [{"name": name, "kind": kind, "detail": detail} for name, kind, detail in rows]


def _described(layer: Any) -> dict[str, Any]:
    said = {key: layer.arguments[key] for key in ("units", "activation") if layer.arguments.get(key) is not None}
    return {"name": layer.name, "type": type(layer).__name__, **said, "parameters": layer.count_params()}
