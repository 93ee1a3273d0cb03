"""The group of commands, and how an error of ours ends: a message on standard error and an exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ..core.errors import (
    ArgumentError,
    BacklitError,
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
