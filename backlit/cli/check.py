"""`backlit check`: what may be wrong with data, before anything is trained, or with the trainings of a script."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..core.check import SEVERITIES, Finding
from ..core.errors import DataError
from ..io.bundled import Dataset
from ..io.tables import TARGETS, is_table_file, read
from ..train.quality import Survey, survey
from ..train.scores import number, one_line
from .main import BAD_DATA, cli
from .show import console, print_data, print_wrapped

_MOST_CLASSES = 20


class _Check(click.Command):
    """Says where options of a script stand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, [*args])
        except click.NoSuchOption as error:
            if not any(each.endswith(".py") or each in ("-m", "--module") for each in args):
                raise
            hint = "Options of the script stand behind --, as in: backlit check train.py -- --epochs 3"
            raise click.UsageError(f"{error.format_message()} {hint}", ctx) from None


@cli.command(cls=_Check)
@click.argument("data", metavar="DATA_OR_SCRIPT", required=False)
@click.argument("arguments", nargs=-1, metavar="[-- ARGUMENTS]")
@click.option("-m", "--module", help="Run this module as a script, as `python -m` does.")
@click.option("--target", help="The column of y in a table. Default: target, label, class or y, where there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def check(data: str | None, arguments: tuple[str, ...], module: str | None, target: str | None, as_json: bool) -> None:
    """Say what the columns of DATA are and what may be wrong with them, or run SCRIPT.py with its ARGUMENTS and say what
    is wrong with each of its trainings, with the lines of the script. The script prints and writes what it does alone;
    exit 3 where errors are found, else 1 where the script itself fails, 130 where it is interrupted.
    """
    if module is None and data is None:
        raise click.UsageError("Missing argument 'DATA_OR_SCRIPT'.")
    if module is not None or _is_script(str(data)):
        if target is not None:
            raise click.UsageError("--target is for data, not for a script")
        from .script import check_module, check_script  # it loads all of the doctor

        if module is None:
            sys.exit(check_script(str(data), arguments, as_json))
        sys.exit(check_module(module, [each for each in (data, *arguments) if each is not None], as_json))
    data = str(data)
    if arguments:
        raise click.UsageError(f"one set of data is checked at a time; {arguments[0]!r} is too much")
    found: Survey | None = None
    try:
        found = survey(_read(data, target))
        findings = found.findings
    except DataError as error:
        findings = (_as_finding(error),)
    if as_json:
        report = found.to_json() if found else {"data": data, "findings": [each.to_json() for each in findings]}
        click.echo(json.dumps(report))
    else:
        _print(console(), found, findings)
    if any(each.severity == "error" for each in findings):
        sys.exit(BAD_DATA)


def _is_script(path: str) -> bool:
    return path.endswith(".py") or (Path(path) / "__main__.py").is_file()


def _read(source: str, target: str | None) -> Dataset:
    """The data; a table without a target where none is named and no column is called so."""
    if target is None and is_table_file(source):
        data = read(source, labelled=False)
        usual = [name for name in data.columns if name.lower() in TARGETS]
        return read(source, usual[0]) if len(usual) == 1 else data
    return read(source, target)


def _as_finding(error: DataError) -> Finding:
    fields = error.fields
    evidence: dict[str, Any] = {key: fields[key] for key in ("expected", "found") if key in fields}
    return Finding(
        check="data",
        severity="error",
        message=error.message,
        why=fields.get("why", ""),
        fix=fields.get("fix", "correct the data"),
        evidence=evidence,
    )


def _print(screen: Console, found: Survey | None, findings: tuple[Finding, ...]) -> None:
    if found is not None:
        print_data(screen, found.data, found.columns)
        print_wrapped(screen, _target(found.y))
        screen.print()
    for finding in findings:
        _print_finding(screen, finding)
    counts = Counter(finding.severity for finding in findings)
    said = [f"{counts[kind] or 'no'} {kind}{'' if counts[kind] == 1 else 's'}" for kind in SEVERITIES]
    screen.print(f"{', '.join(said)}.".capitalize())


def _target(y: dict[str, Any]) -> str:
    """The target in words."""
    if not y:
        return "No target is named (--target NAME), so y is not looked at."
    head = f"{one_line(y['name'])!r} asks for {y['task']}: {y['why']}."
    if "classes" not in y:
        ends = zip(*(y[key] if isinstance(y[key], list) else [y[key]] for key in ("min", "mean", "max")), strict=True)
        return head + "".join(
            f" From {number(low)} to {number(high)}, mean {number(mean)}." for low, mean, high in ends
        )
    shown = [f"{one_line(name, 24)} ({count})" for name, count in y["classes"].items()]
    return f"{head} Rows: {', '.join(shown[:_MOST_CLASSES])}{', …' if len(shown) > _MOST_CLASSES else ''}."


def _print_finding(screen: Console, finding: Finding) -> None:
    rows = [("", f"{finding.severity}: {finding.message}"), ("  why  ", finding.why), ("  fix  ", finding.fix)]
    details = [
        (f"  {key:<9}", finding.evidence[key].replace("\n", "; "))
        for key in ("expected", "found")
        if key in finding.evidence
    ]
    for head, text in [rows[0], *details, *rows[1:]]:
        if text:
            print_wrapped(screen, text, "" if head else "bold", head)
