"""The group of commands, and how an error ends: a message on standard error and an exit code."""

from __future__ import annotations

import io
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from ..core.errors import (
    ArgumentError,
    BacklitError,
    BacklitWarning,
    DataError,
    FileMissingError,
    ShapeError,
    UnknownNameError,
    ValueRangeError,
)
from ..versions import show_versions, version

FAILED, USAGE, BAD_DATA, INTERRUPTED = 1, 2, 3, 130
_CODES = (
    ((FileMissingError, UnknownNameError, ValueRangeError, ArgumentError), USAGE),
    ((DataError, ShapeError), BAD_DATA),
)
_EXIT_CODES = """\b
Exit codes:
  0    all went well
  1    the run failed
  2    a wrong command line, or a file that is not there
  3    the data cannot be used, or `check` found errors
  130  interrupted; a training that had begun is saved first"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; an error becomes a message on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without … or ━
    said: dict[str, bool] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", BacklitWarning)
            warnings.showwarning = _warned
            given = None if arguments is None else list(arguments)
            code = cli.main(args=given, prog_name="backlit", standalone_mode=False, obj=said)
    except (Exception, KeyboardInterrupt) as error:
        code = _ended_by(error, said.get("verbose", False))
    sys.exit(code if isinstance(code, int) else 0)


def _warned(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    words = str(message) if issubclass(category, BacklitWarning) else f"{category.__name__}: {message}"
    click.echo(f"backlit: {words}", err=True)


def _ended_by(error: BaseException, verbose: bool) -> int:
    """Tell the error on standard error; the exit code for it."""
    if isinstance(error, click.ClickException):
        error.show()
        return USAGE
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        click.echo("backlit: interrupted.", err=True)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return 0
    if verbose:
        traceback.print_exception(error)
    if isinstance(error, BacklitError):
        if error.finding is not None:
            error.fields.pop("where", None)  # a line of Python, where nobody wrote one
        click.echo(f"backlit: {error}", err=True)
        return next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
    told = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    click.echo(f"backlit: {told}", err=True)
    if not verbose and not isinstance(error, OSError):
        click.echo("  fix       run it again with --verbose and report what it prints", err=True)
    return FAILED


def must_be_free(path: Path, overwrite: bool) -> None:
    """Refuse a file that could not be written, before the work and not after it."""
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(path.parent)!r}", param_hint="--out")
    if path.exists() and not overwrite:
        raise click.UsageError(f"{path} exists already; replace it with --overwrite, or name another file with --out")
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent):
            pass
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--out") from None


def _note_verbose(context: click.Context, parameter: Any, value: bool) -> None:
    if value and context.obj is not None:
        context.obj["verbose"] = True


class Commands(click.Group):
    """A group whose commands all know --verbose, so that it may stand before or after the command's name."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command."""
        cmd.params.append(
            click.Option(
                ["-v", "--verbose"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_note_verbose,
                help="Show the traceback of an error.",
            )
        )
        super().add_command(cmd, name)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_EXIT_CODES
)
@click.version_option(version(), prog_name="backlit")
@click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_note_verbose, help="Show tracebacks.")
def cli() -> None:
    """A neural-network library that shows its work.

    DATA is a table (CSV, TSV, Parquet, …), an .npz file with X and y, or one of the bundled sets: digits,
    breast_cancer, wine, iris, diabetes.
    """


@cli.command()
def versions() -> None:
    """Print the versions that a bug report needs."""
    show_versions()
