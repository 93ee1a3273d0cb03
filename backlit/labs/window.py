"""A lab in a window with sliders: matplotlib's own, whatever its backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..core.errors import NotReadyError
from .lab import Lab

_BAR = 0.28  # inches for a slider
_LETTER = 0.085  # inches for a letter beside it


class Live:
    """A window that shows the first picture of a lab and draws it anew when a slider moves.

    The picture is drawn on a sheet of its own and shown as an image, so that a lab need not know of windows.
    """

    def __init__(self, lab: Lab, values: Mapping[str, float]):
        import matplotlib.pyplot as plt
        from matplotlib.widgets import Button, Slider

        self.lab, self.values = lab, dict(values)
        picture = self._pixels()
        high, wide = (size / 100 for size in picture.shape[:2])
        below = _BAR * (len(lab.sliders) + 1.6)
        self.figure = plt.figure(lab.title, figsize=(wide, high + below))
        whole = high + below
        axes = self.figure.add_axes((0, below / whole, 1, high / whole))
        axes.set_axis_off()
        self.image = axes.imshow(picture)
        told = [f"{each.name}  {each.says}" for each in lab.sliders]
        left = max(0.2, (_LETTER * max(map(len, told), default=0) + 0.2) / wide)
        self.sliders = []
        for place, each in enumerate(lab.sliders):
            line = self.figure.add_axes((left, (below - _BAR * (place + 1.2)) / whole, 0.85 - left, 0.6 * _BAR / whole))
            slider = Slider(
                line,
                told[place],
                each.low,
                each.high,
                valinit=self.values[each.name],
                valstep=each.step,
            )
            slider.on_changed(partial(self.move, each.name))
            self.sliders.append(slider)
        self.back = Button(self.figure.add_axes((0.88, 0.1 * _BAR / whole, 0.1, _BAR / whole)), "start")
        self.back.on_clicked(self.start)

    def start(self, _: Any = None) -> None:
        """All sliders where they first stood."""
        for slider in self.sliders:
            slider.reset()

    def move(self, name: str, value: float) -> None:
        """A slider stands somewhere else."""
        self.values[name] = float(value)
        self.image.set_data(self._pixels())
        self.figure.canvas.draw_idle()

    def _pixels(self) -> Any:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = next(iter(self.lab.run(**self.values).figures.values()))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())


def open_window(lab: Lab, values: Mapping[str, float]) -> None:
    """Show the lab until its window is closed. Raises NotReadyError where there is no screen to open one on."""
    import matplotlib
    import matplotlib.pyplot as plt

    if matplotlib.get_backend().lower() in ("agg", "pdf", "svg", "ps", "template", "cairo"):
        raise NotReadyError(
            "there is no screen to open a window on.",
            found=f"matplotlib's backend {matplotlib.get_backend()}",
            fix=f"backlit lab {lab.name} --out pictures",
        )
    live = Live(lab, values)
    plt.show()
    plt.close(live.figure)
