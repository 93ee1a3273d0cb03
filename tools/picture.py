"""The README's picture: what `backlit fit digits` prints, as docs/fit.svg. `make docs` runs it."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from backlit import Sequential
from backlit.cli.show import print_choices, print_outcome
from backlit.io.tables import read
from backlit.train import recipe

PLACE = Path(__file__).resolve().parent.parent / "docs" / "fit.svg"


def main() -> None:
    """Train, print into a recording console, export."""
    screen = Console(record=True, width=124, file=io.StringIO(), highlight=False)
    screen.print("[green]$[/green] backlit fit digits")
    data = read("digits")

    def tell(problem: recipe.Problem, model: Sequential, choices: Sequence[recipe.Choice]) -> None:
        print_choices(screen, problem, model, choices)

    outcome = recipe.run(data, recipe.Options(), tell=tell)
    print_outcome(screen, outcome, Path("digits.backlit"))
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "fit.svg"
        screen.save_svg(str(temporary), title="backlit")
        os.replace(temporary, PLACE)


if __name__ == "__main__":
    main()
