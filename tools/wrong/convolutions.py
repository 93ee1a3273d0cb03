"""Small wrong programs about signals and images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import backlit as bl
from backlit.layers import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Cropping2D,
    Dense,
    Flatten,
    LocallyConnected1D,
    MaxPooling1D,
    MaxPooling2D,
    UpSampling2D,
    ZeroPadding2D,
)


def shrunk() -> bl.Sequential:
    """Windows and pooling until there is no room for another window."""
    see = [layer for k in range(3) for layer in (Conv2D(8, 3, name=f"see{k}"), MaxPooling2D(name=f"halve{k}"))]
    return bl.Sequential([bl.Input((14, 14, 1)), *see, Flatten(), Dense(10)])


def cases() -> dict[str, Callable[[], object]]:
    """Inputs of other axes, windows that do not fit, arguments that cannot be."""
    images, signals = np.zeros((2, 28, 28)), np.zeros((2, 100))
    places = LocallyConnected1D(1, 5)
    return {
        "images without an axis of channels": lambda: Conv2D(8, 3)(images),
        "images as rows": lambda: MaxPooling2D()(images.reshape(2, 784)),
        "signals without an axis of channels": lambda: Conv1D(8, 3)(signals),
        "images for a layer of signals": lambda: MaxPooling1D()(images[..., np.newaxis]),
        "channels that stand first": lambda: Conv2D(8, 3)(images[:, np.newaxis]),
        "channels_first": lambda: Conv2D(8, 3, data_format="channels_first"),
        "maps that have shrunk to nothing": shrunk,
        "a cropping that leaves nothing": lambda: Cropping2D(14)(images[..., np.newaxis]),
        "another length for weights of their own": lambda: (places(np.zeros((1, 9, 1))), places(np.zeros((1, 8, 1)))),
        "three numbers for two axes": lambda: Conv2D(8, (3, 3, 3)),
        "edges of three axes": lambda: ZeroPadding2D((1, 2, 3)),
        "a misspelt padding": lambda: Conv2D(8, 3, padding="smae"),
        "causal images": lambda: Conv2D(8, 3, padding="causal"),
        "groups that do not divide the filters": lambda: Conv1D(8, 3, groups=3),
        "groups that do not divide the channels": lambda: Conv1D(8, 3, groups=2)(np.zeros((1, 9, 3))),
        "an output_padding of a stride": lambda: Conv1DTranspose(8, 3, strides=2, output_padding=2),
        "a transpose that leaves nothing": lambda: Conv1DTranspose(8, 2, 2, "same", 0)(np.zeros((1, 1, 1))),
        "another interpolation": lambda: UpSampling2D(interpolation="bilinear"),  # type: ignore[arg-type]
    }
