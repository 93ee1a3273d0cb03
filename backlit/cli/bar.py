"""The bar of `backlit fit`."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..train.events import Callback
from ..train.progress import number


class EpochBar(Callback):
    """One bar over all epochs on standard error; in a file or pipe, one line every tenth of them."""

    def __init__(self, epochs: int, silent: bool):
        console = Console(stderr=True, highlight=False)
        self.epochs, self.silent, self.live = epochs, silent, console.is_terminal and not silent
        text = TextColumn("{task.description}")
        self.progress = Progress(
            text,
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[logs]}"),
            console=console,
        )

    def __enter__(self) -> EpochBar:
        return self

    def on_train_begin(self, logs: Any = None) -> None:
        """Show the bar."""
        if self.live:
            self.progress.start()
            self.task = self.progress.add_task("epochs", total=self.epochs, logs="")

    def __exit__(self, *exc: Any) -> None:
        if self.live:
            self.progress.stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Move the bar."""
        shown = {key.replace("val_", "dev "): value for key, value in (logs or {}).items()}
        text = "  ".join(f"{key} {number(value)}" for key, value in shown.items())
        if self.live:
            self.progress.update(self.task, completed=epoch + 1, logs=text)
        elif not self.silent and (epoch + 1) % max(1, self.epochs // 10) == 0:
            click.echo(f"epoch {epoch + 1}/{self.epochs}  {text}", err=True)
