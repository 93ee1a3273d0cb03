"""The bar of `backlit fit`."""

from __future__ import annotations

from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..engines.base import told
from ..train.events import Callback
from ..train.progress import number
from .show import console

_BAR = 16
_AROUND = len("epochs  / 0:00:00    ")  # what stands around the bar and the two counts of epochs


class EpochBar(Callback):
    """One bar over all epochs on standard error; in a file or pipe, one line every tenth of them."""

    def __init__(self, epochs: int, silent: bool):
        screen = console(stderr=True)
        self.epochs, self.silent, self.live = epochs, silent, screen.is_terminal and not silent
        self.room = screen.width - _BAR - _AROUND - 2 * len(str(epochs))
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[logs]}"),
            console=screen,
        )

    def __enter__(self) -> EpochBar:
        return self

    def on_train_begin(self, logs: Any = None) -> None:
        """Say what runs, show the bar."""
        if not self.silent:
            click.echo(told(self.model.engine_name), err=True)
        if self.live:
            self.progress.start()
            self.task = self.progress.add_task("epochs", total=self.epochs, logs="")

    def __exit__(self, *exc: Any) -> None:
        if self.live:
            self.progress.stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Move the bar."""
        words = [f"{key.replace('val_', 'dev ')} {number(value)}" for key, value in (logs or {}).items()]
        if self.live:
            words.sort(key=lambda word: (not word.startswith("dev "), "loss" not in word))  # what decides comes first
            while words and len("  ".join(words)) > self.room:
                words.pop()
            self.progress.update(self.task, completed=epoch + 1, logs="  ".join(words))
        elif not self.silent and (epoch + 1) % max(1, self.epochs // 10) == 0:
            click.echo(f"epoch {epoch + 1}/{self.epochs}  {'  '.join(words)}", err=True)
