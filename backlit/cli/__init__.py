"""The command line: results on standard output, bars and messages on standard error."""

from . import answer, check, explain, fit, lab
from .main import cli, main

__all__ = ["answer", "check", "cli", "explain", "fit", "lab", "main"]
