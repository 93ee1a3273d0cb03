"""`backlit explain`: a saved model in plain words."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from .. import load_model
from ..io.file import from_json, read
from ..versions import version
from ..view.words import printable
from .main import cli

_PIPE, _WIDEST = 100, 120


@cli.command()
@click.argument("model_file", type=click.Path(path_type=Path))
@click.option("--equations", is_flag=True, help="Also the equations: forward, cost and backward.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def explain(model_file: Path, equations: bool, as_json: bool) -> None:
    """Say what the network in MODEL_FILE is, what its outputs mean, how it was trained, how good it is, and what rules of
    thumb advise. --json has every rule of thumb that applies, also those that are kept."""
    model = load_model(model_file)
    explanation = model.explain()
    file = _file(model_file)
    written = model.equations() if equations else None
    if as_json:
        said = {**explanation.to_json(), "file": file}
        if written is not None:
            said["equations"] = [vars(row) for row in written.rows]
        click.echo(json.dumps(said))
        return
    width = min(shutil.get_terminal_size().columns, _WIDEST) if sys.stdout.isatty() else _PIPE
    _echo(explanation.text(width))
    _echo(
        f"\nfile\n  {printable(file['path'])}\n  format {file['format']}, {file['bytes']:,} bytes; read by backlit {version()}"
    )
    if written is not None:
        _echo(f"\n{written}")


def _echo(text: str) -> None:
    """Print lines; what heads a section is bold in a terminal."""
    before = " "
    for line in text.split("\n"):
        click.secho(line, bold=(not before and line[:1].strip() != "") or None)
        before = line


def _file(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if path.suffix == ".keras":
        return {"path": str(path), "format": "of Keras", "bytes": size}
    return {"path": str(path), "format": from_json(read(path)["model.json"], path)["format"], "bytes": size}
