"""`backlit lab`: the labs, each with its sentence, its numbers and its pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .. import labs
from ..labs.window import open_window
from .main import cli


class _Setting(click.ParamType):
    """name=value."""

    name = "name=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """The two parts, the second a number."""
        name, _, number = str(value).partition("=")
        try:
            return name.strip(), float(number)
        except ValueError:
            self.fail(f"{value!r} is not name=number, such as w1=1.5", param, ctx)


@cli.command()
@click.argument("name", required=False)
@click.option("--set", "settings", type=_Setting(), multiple=True, help="Where a slider stands, such as --set w1=1.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write the pictures into this folder.")
@click.option("--window", is_flag=True, help="Open a window with sliders.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def lab(
    name: str | None, settings: tuple[tuple[str, float], ...], out: Path | None, window: bool, as_json: bool
) -> None:
    """Run the lab NAME: compute, check against known numbers, draw. Without NAME: list the labs."""
    if name is None:
        _list(as_json)
        return
    chosen = labs.find(name)
    outcome = chosen.run(**dict(settings))
    if as_json:
        click.echo(json.dumps({"lab": name, "says": chosen.says, "values": outcome.values, "found": dict(outcome.rows()),
                               "checks": [vars(check) for check in outcome.checks]}))  # fmt: skip
    else:
        click.echo(str(outcome))
    if out is not None:
        _write(outcome, out)
    if window:
        open_window(chosen, outcome.values)
    if not all(check.right for check in outcome.checks):
        raise SystemExit(1)


def _list(as_json: bool) -> None:
    found = [labs.find(name) for name in labs.NAMES]
    if as_json:
        click.echo(json.dumps([{"lab": each.name, "title": each.title, "says": each.says} for each in found]))
        return
    wide = max(map(len, labs.NAMES))
    for each in found:
        click.echo(f"{each.name:<{wide}}  {each.title}")
    click.echo(
        "\nbacklit lab NAME --out FOLDER runs one and writes its pictures; --window opens it with sliders.", err=True
    )


def _write(outcome: labs.Outcome, folder: Path) -> None:
    """Each picture as a PNG."""
    figures = outcome.figures
    folder.mkdir(parents=True, exist_ok=True)
    for title, figure in figures.items():
        path = folder / f"{outcome.lab.name}-{title.replace(' ', '-')}.png"
        figure.savefig(path)
        click.echo(f"wrote {path}", err=True)
