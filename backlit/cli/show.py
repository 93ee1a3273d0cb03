"""What `backlit fit` prints: its choices with their reasons, the scores, the worst mistakes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..train import recipe, scores

_PICTURES = 4


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


def right(scored: Any) -> str:
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
        last = f"{each['mae']:.4g}" if regression else right(each)
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
