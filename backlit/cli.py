"""The command line: results on standard output, bars and messages on standard error."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import load_model
from .core.errors import (
    ArgumentError,
    BacklitError,
    DataError,
    FileError,
    FileMissingError,
    ShapeError,
    UnknownNameError,
    ValueRangeError,
)
from .io.bundled import NAMES, Dataset
from .io.tables import read
from .train import recipe, scores
from .train.door import features
from .train.events import Callback
from .train.progress import number
from .versions import show_versions, version

FAILED, USAGE, BAD_DATA, INTERRUPTED = 1, 2, 3, 130
_CODES = (
    ((FileMissingError, UnknownNameError, ValueRangeError, ArgumentError), USAGE),
    ((DataError, ShapeError), BAD_DATA),
)
_PICTURES = 4


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; errors of ours become a message on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without … or ━
    try:
        code = cli.main(args=None if arguments is None else list(arguments), prog_name="backlit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("backlit: interrupted.", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except BacklitError as error:
        if error.finding is not None:
            error.fields.pop("where", None)  # a line of Python, where nobody wrote one
        click.echo(f"backlit: {error}", err=True)
        code = next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
    except OSError as error:
        click.echo(f"backlit: {error}", err=True)
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version(), prog_name="backlit")
def cli() -> None:
    """A neural-network library that shows its work.

    DATA is a file (.npz with X and y) or one of the bundled sets: digits, breast_cancer, wine, iris, diabetes.
    """


@cli.command()
def versions() -> None:
    """Print the versions that a bug report needs."""
    show_versions()


# ---------------------------------------------------------------------- fit
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
@click.option("--engine", default="auto", show_default=True, help="auto, planned or reference.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Model file. Default: DATA's name + .backlit."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="No bar, no messages.")
def fit(data: str, out: Path | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Train a network on DATA, say why it is so, how good it is, and save it in one file."""
    dataset = read(data)
    path = out or Path(f"{Path(dataset.name).name}.backlit")
    if path.suffix != ".backlit":
        raise click.BadParameter(f"a model file ends in .backlit, not {path.suffix!r}", param_hint="--out")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(path.parent)!r}", param_hint="--out")
    chosen = recipe.Options(**options)
    screen = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    bar = _EpochBar(chosen.epochs, quiet or (as_json and not sys.stderr.isatty()))
    seen: list[Any] = []

    def tell(problem: recipe.Problem, model: Any, choices: Sequence[recipe.Choice]) -> None:
        seen[:] = [problem, model]
        if not as_json:
            print_choices(screen, dataset, model, choices)

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


class _EpochBar(Callback):
    """One bar over all epochs on standard error; in a file or pipe, one line every tenth of them."""

    def __init__(self, epochs: int, silent: bool):
        console = Console(stderr=True, highlight=False)
        self.epochs, self.silent, self.live = epochs, silent, console.is_terminal and not silent
        text = TextColumn("{task.description}")
        self.progress = Progress(
            text,
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[logs]}"),
            console=console,
        )

    def __enter__(self) -> _EpochBar:
        return self

    def on_train_begin(self, logs: Any = None) -> None:
        """Show the bar."""
        if self.live:
            self.progress.start()
            self.task = self.progress.add_task("epochs", total=self.epochs, logs="")

    def __exit__(self, *exc: Any) -> None:
        if self.live:
            self.progress.stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Move the bar."""
        shown = {key.replace("val_", "dev "): value for key, value in (logs or {}).items()}
        text = "  ".join(f"{key} {number(value)}" for key, value in shown.items())
        if self.live:
            self.progress.update(self.task, completed=epoch + 1, logs=text)
        elif not self.silent and (epoch + 1) % max(1, self.epochs // 10) == 0:
            click.echo(f"epoch {epoch + 1}/{self.epochs}  {text}", err=True)


def _fingerprint(data: Dataset) -> str:
    digest = hashlib.sha256(repr((data.X.shape, data.y.shape, data.classes)).encode())
    digest.update(np.ascontiguousarray(data.X).tobytes())
    digest.update(np.ascontiguousarray(data.y).tobytes())
    return digest.hexdigest()


def _save(model: Any, problem: recipe.Problem, options: recipe.Options, scored: Any, path: Path, source: str) -> None:
    data = problem.data
    model.about = {
        "source": source if source in NAMES else str(Path(source).resolve()),
        "name": data.name,
        "fingerprint": _fingerprint(data),
        "task": problem.task,
        "seed": options.seed,
        "columns": list(data.columns),
        "target": data.target,
        "unit": data.unit,
        "image": data.image,
        "scores": scored,
    }
    model.save(path)


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
        "choices": [vars(choice) for choice in outcome.choices],
        "model_file": str(path),
    }


def _described(layer: Any) -> dict[str, Any]:
    said = {key: layer.arguments[key] for key in ("units", "activation") if layer.arguments.get(key) is not None}
    return {"name": layer.name, "type": type(layer).__name__, **said, "parameters": layer.count_params()}


# ---------------------------------------------------------------------- what fit prints
def print_choices(screen: Console, dataset: Any, model: Any, choices: Sequence[recipe.Choice]) -> None:
    screen.print(
        f"[bold]{escape(dataset.name)}[/bold]: {len(dataset.X):,} examples, {dataset.X.shape[1]} columns, "
        f"target {escape(repr(dataset.target))}"
    )
    for note in dataset.notes:
        screen.print(note, markup=False)
    wide = max(len(choice.which) for choice in choices)
    for choice in choices:
        which = escape(f"{choice.which:<{wide}}")
        screen.print(f"[bold]{choice.what:<13}[/bold]  {which}  [dim]{escape(choice.why)}[/dim]", soft_wrap=True)
    screen.print(f"{sum(leaf.array.size for leaf in model.trainable_variables):,} parameters are trained.\n")


def print_outcome(screen: Console, outcome: recipe.Outcome, path: Path) -> None:
    problem = outcome.problem
    screen.print(
        f"Trained {outcome.epochs} epoch{'s' if outcome.epochs > 1 else ''} in {outcome.seconds:.1f} s; "
        "the weights are those of epoch "
        f"{outcome.best_epoch}.\n"
    )
    screen.print(_score_table(outcome))
    screen.print()
    X, y = problem.X[problem.parts.test], problem.y[problem.parts.test]
    if problem.task == "regression":
        _print_worst_errors(screen, outcome, X, y)
    elif problem.task != "multilabel":
        p = recipe.probabilities(outcome.model, X)
        names = list(problem.classes or ())
        screen.print("Test rows, true class against predicted:")
        screen.print(scores.confusion_text(scores.confusion(y, p.argmax(axis=1), len(names)), names), markup=False)
        _print_worst(screen, problem, X, y, p)
    name = shlex.quote(str(path))
    told = f"\nSaved in {name}. Next:  backlit evaluate {name}   backlit predict {name}"
    screen.print(told, soft_wrap=True, markup=False)


def _right(scored: Any) -> str:
    """How many answers are right; for several labels a row, how many labels."""
    return f"{scored['correct']} of {scored['n'] * scored.get('labels', 1)}"


def _score_table(outcome: recipe.Outcome) -> Table:
    regression = outcome.problem.task == "regression"
    table = Table(box=None, pad_edge=False)
    for title in (
        "",
        "R²" if regression else "accuracy",
        "95 % interval",
        *(("mean |error|",) if regression else ("right",)),
    ):
        table.add_column(title, justify="left" if not title else "right")
    rows = [*outcome.scores.items(), *((f"{key} on test", value) for key, value in _named_baselines(outcome))]
    for name, each in rows:
        low, high = each["interval"]
        last = f"{each['mae']:.4g}" if regression else _right(each)
        table.add_row(name, f"{each['r2' if regression else 'accuracy']:.4f}", f"{low:.4f} … {high:.4f}", last)
    return table


def _named_baselines(outcome: recipe.Outcome) -> list[tuple[str, Any]]:
    return [
        (f"{key} answer" if key == "constant" else f"{key} model", value) for key, value in outcome.baseline.items()
    ]


def _print_worst(screen: Console, problem: recipe.Problem, X: Any, y: Any, p: Any) -> None:
    worst = scores.worst_mistakes(y, p, _PICTURES)
    if not worst:
        screen.print("\nNo mistake on the test rows.")
        return
    names, rows = problem.classes or (), problem.parts.test
    screen.print("\nWorst mistakes:")
    titles = [
        f"row {rows[each['row']]}\n{names[each['true']]} taken for {names[each['predicted']]} "
        f"({each['p_predicted']:.0%})"
        for each in worst
    ]
    image = problem.data.image
    if image is None or len(image) != 2:
        screen.print("\n".join("  " + title.replace("\n", ": ") for title in titles), markup=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in titles:
        table.add_column(escape(title), header_style="", no_wrap=True)
    table.add_row(*(scores.picture(X[each["row"]], image) for each in worst))
    screen.print(table)


def _print_worst_errors(screen: Console, outcome: recipe.Outcome, X: Any, y: Any) -> None:
    screen.print("Worst errors on test rows:")
    rows = outcome.problem.parts.test
    for each in scores.worst_errors(y.reshape(-1), outcome.model.predict(X).reshape(-1), _PICTURES):
        screen.print(f"  row {rows[each['row']]}: true {each['true']:.4g}, predicted {each['predicted']:.4g}")


# ---------------------------------------------------------------------- evaluate and predict
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
    if _fingerprint(dataset) == about.get("fingerprint"):
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
    more = f", mean |error| {result['mae']:.4g}" if key == "r2" else f", {_right(result)} right"
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
