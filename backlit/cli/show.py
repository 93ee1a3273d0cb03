"""What `backlit fit` prints: its choices with their reasons, the scores, the worst mistakes."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from rich.console import Console
from rich.markup import escape

from ..io.bundled import Dataset
from ..io.columns import Columns
from ..train import recipe, scores
from ..train.scores import cells_of, number, one_line

_PICTURES = 4
_MOST_CLASSES = 20  # a larger confusion matrix is not printed, only what is mistaken most often
_NAME, _MOST_COLUMNS = 24, 20  # of a column in the list of them, and how many it shows
_REASON = 36  # a reason that would get less room stands below its choice
_NARROWEST = 40  # columns that are filled also where the terminal has fewer
_GAP = "  "


def console(stderr: bool = False) -> Console:
    """The terminal; in a pipe or file as wide as COLUMNS says, else 110. Plain text where NO_COLOR is set."""
    width = max(shutil.get_terminal_size((110, 24)).columns, _NARROWEST)
    return Console(
        stderr=stderr, width=width, highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto"
    )


def print_choices(screen: Console, problem: recipe.Problem, model: Any, choices: Sequence[recipe.Choice]) -> None:
    """The data, what becomes of the columns of a table, what was chosen with its reasons, and the network's size."""
    print_data(screen, problem.data, problem.columns)
    print_rows(screen, [(choice.what, choice.which, choice.why) for choice in choices])
    screen.print(f"{sum(leaf.array.size for leaf in model.trainable_variables):,} parameters are trained.\n")


def print_data(screen: Console, data: Dataset, columns: Columns | None) -> None:
    """What the data are, in lines."""
    count = data.X.shape[1] if columns is None else len(recipe.described(columns))
    target = f", target {one_line(repr(data.target))}" if len(data.y) else ""
    head = f"{one_line(data.name)}: {len(data.X):,} examples, {count} columns{target}"
    for text, style in ((head, "bold"), *((note, "") for note in data.notes)):
        print_wrapped(screen, text, style)
    if columns is not None:
        rows = recipe.described(columns)
        print_rows(screen, [(one_line(name, _NAME), *rest) for name, *rest in rows[:_MOST_COLUMNS]])
        if more := rows[_MOST_COLUMNS:]:
            screen.print(
                f"… and {len(more)} more columns, {sum(row[1] == 'left out' for row in more)} of them left out"
            )
        screen.print(f"They become {len(columns.encoded)} numbers a row.\n")


def print_rows(screen: Console, rows: Sequence[Sequence[str]]) -> None:
    """Aligned rows of a bold name, a text and a dim one, which stands below where there is little room beside."""
    plain = [[one_line(text) for text in row] for row in rows]
    first, second, third = (max(map(cells_of, column), default=0) for column in zip(*plain, strict=True))
    left = screen.width - first - second - 2 * len(_GAP)
    beside = left >= min(third, _REASON)
    room = max(left if beside else screen.width - first - len(_GAP), 1)
    for name, text, more in plain:
        head = [_padded(text, second)] if beside else wrap(text, room)
        tail = [f"[dim]{escape(line)}[/dim]" for line in wrap(more, room)]
        indent = " " * (first + len(_GAP) + (second + len(_GAP) if beside else 0))
        lines = [_GAP.join([escape(head[0]), *tail[:1]]), *tail[1:]] if beside else [*map(escape, head), *tail]
        _print(screen, f"[bold]{escape(_padded(name, first))}[/bold]{_GAP}" + f"\n{indent}".join(lines).rstrip())


def _print(screen: Console, text: str) -> None:
    screen.print(text, soft_wrap=True)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells_of(text))


def print_wrapped(screen: Console, text: str, style: str = "", first: str = "") -> None:
    """A text in lines of the screen's width, those after the first one set in by two or by the length of `first`."""
    after = " " * max(len(first), 2)
    for line in wrap(one_line(text), screen.width, initial_indent=first, subsequent_indent=after):
        screen.print(line, style=style, markup=False, soft_wrap=True)


def print_outcome(screen: Console, outcome: recipe.Outcome, path: Path) -> None:
    """The scores beside those of simple models, what goes wrong on the test rows, and the next commands."""
    problem = outcome.problem
    done = f"Trained {outcome.epochs} epoch{'s' if outcome.epochs > 1 else ''} in {outcome.seconds:.1f} s; "
    print_wrapped(screen, done + f"the weights are those of epoch {outcome.best_epoch}.")
    if outcome.best_epoch == outcome.most_epochs:
        print_wrapped(screen, f"The dev loss was still falling: --epochs {2 * outcome.most_epochs} may be better.")
    screen.print()
    _print_scores(screen, outcome)
    print_wrapped(screen, scores.verdict(outcome.scores["test"], outcome.baseline))
    screen.print()
    X, y = problem.X[problem.parts.test], problem.y[problem.parts.test]
    if problem.task == "regression":
        _print_worst_errors(screen, outcome, X, y)
    elif problem.task != "multilabel":
        p = recipe.probabilities(outcome.model, X)
        names = list(problem.classes or ())
        _print_confusion(screen, scores.confusion(y, p.argmax(axis=1), len(names)), names)
        _print_worst(screen, problem, X, y, p)
    name = shlex.quote(str(path))
    new = " NEW.csv" if problem.columns is not None else ""
    told = f"\nSaved in {name}. Next:\n  backlit evaluate {name}\n  backlit predict {name}{new}"
    screen.print(told, soft_wrap=True, markup=False)


def right(scored: Any) -> str:
    """How many answers are right; for several labels a row, how many labels."""
    return f"{scored['correct']} of {scored['n'] * scored.get('labels', 1)}"


def _print_scores(screen: Console, outcome: recipe.Outcome) -> None:
    """The scores of the three parts, those of the simple models below the test rows that they share."""
    regression = outcome.problem.task == "regression"
    lines = [("", "R²" if regression else "accuracy", "95 % interval", "mean |error|" if regression else "right")]
    simple = {
        f"  {name} {'answer' if name == 'constant' else 'model'}": each for name, each in outcome.baseline.items()
    }
    for name, each in {**outcome.scores, **simple}.items():
        low, high = each["interval"]
        last = number(each["mae"]) if regression else right(each)
        lines.append((name, f"{each['r2' if regression else 'accuracy']:.4f}", f"{low:.4f} … {high:.4f}", last))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for k, (name, *cells) in enumerate(lines):
        told = _GAP.join(f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        screen.print(f"{name:<{widths[0]}}{_GAP}{told}", style="" if k else "bold", soft_wrap=True)


def _print_confusion(screen: Console, matrix: Any, names: Sequence[str]) -> None:
    text = scores.confusion_text(matrix, names, screen.width) if len(names) <= _MOST_CLASSES else ""
    if text and cells_of(text.partition("\n")[0]) <= screen.width:
        screen.print("Test rows, true class against predicted:\n" + text, markup=False)
        return
    pairs = scores.most_confused(matrix)
    if pairs:
        screen.print("Test rows, the classes that are mistaken most often:")
    for pair in pairs:
        true, guess = (one_line(names[pair[key]], 30) for key in ("true", "predicted"))
        screen.print(f"  {pair['rows']} of {pair['of']} {true} taken for {guess}", markup=False)


def _print_worst(screen: Console, problem: recipe.Problem, X: Any, y: Any, p: Any) -> None:
    worst = scores.worst_mistakes(y, p, _PICTURES)
    if not worst:
        screen.print("\nNo mistake on the test rows.")
        return
    names = [one_line(name, 30) for name in problem.classes or ()]
    rows = problem.data.numbers(problem.parts.test)
    screen.print("\nWorst mistakes:")
    titles = [
        f"row {rows[each['row']]}\n{names[each['true']]} taken for {names[each['predicted']]} "
        f"({each['p_predicted']:.0%})"
        for each in worst
    ]
    image = problem.data.image
    if image is None or 2 * image[1] > screen.width:
        screen.print("\n".join("  " + title.replace("\n", ": ") for title in titles), markup=False)
        return
    pictures = [scores.picture(X[each["row"]], image) for each in worst]
    _print_beside(screen, [f"{title}\n{drawn}".split("\n") for title, drawn in zip(titles, pictures, strict=True)])


def _print_beside(screen: Console, blocks: Sequence[Sequence[str]]) -> None:
    """Blocks of lines next to one another, as many as there is room for."""
    widths = [max(map(cells_of, block)) + len(_GAP) for block in blocks]
    shown = max(1, sum(sum(widths[: k + 1]) <= screen.width + len(_GAP) for k in range(len(widths))))
    for line in zip(*blocks[:shown], strict=True):
        text = "".join(_padded(part, width) for part, width in zip(line, widths, strict=False))
        screen.print(text.rstrip(), soft_wrap=True, markup=False)


def _print_worst_errors(screen: Console, outcome: recipe.Outcome, X: Any, y: Any) -> None:
    screen.print("Worst errors on test rows:")
    rows = outcome.problem.data.numbers(outcome.problem.parts.test)
    names = recipe.target_names(outcome.problem.data.target, y.shape[1])
    for each in scores.worst_errors(y, outcome.model.predict(X), _PICTURES):
        which = f"{one_line(names[each['output']], _NAME)}: " if "output" in each else ""
        told = f"true {number(each['true'])}, predicted {number(each['predicted'])}"
        screen.print(f"  row {rows[each['row']]}: {which}{told}", markup=False)
