"""The command line: results on standard output, bars and messages on standard error."""

from . import answer, fit
from .main import cli, main

__all__ = ["answer", "cli", "fit", "main"]
