"""Functions that a printed NumPy program brings along, where NumPy has no call for a record. Their text is printed, and
so is without annotations."""
# mypy: allow-untyped-defs
# ruff: noqa: B905

import numpy as np


def windows(x, window, strides, dilation):
    """What a window sees at each of its places: (m, n..., c) becomes (m, places..., window..., c)."""
    reach = [d * (w - 1) + 1 for w, d in zip(window, dilation)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(1, 1 + len(window))))
    places = [slice(None, None, s) for s in strides]
    inside = [slice(None, None, d) for d in dilation]
    return np.moveaxis(seen[(slice(None), *places, slice(None), *inside)], 1 + len(window), -1)


def fold(g, places, strides, dilation):
    """Windows put back where they were seen, what overlaps added up: (m, n..., window..., c) becomes (m, places..., c)."""
    out = np.zeros((g.shape[0], *places, g.shape[-1]))
    axes = len(places)
    for at in np.ndindex(*g.shape[1 + axes : -1]):
        first = [k * d for k, d in zip(at, dilation)]
        seen = [slice(f, f + (n - 1) * s + 1, s) for f, n, s in zip(first, g.shape[1:], strides)]
        out[(slice(None), *seen)] += g[(slice(None), *[slice(None)] * axes, *at)]
    return out


def scatter_add(g, ids, axis, length):
    """Zeros of `length` along `axis`, to which the parts of g are added at the places ids."""
    out = np.zeros((*g.shape[:axis], length, *g.shape[axis + ids.ndim :]))
    np.add.at(out, (slice(None),) * axis + (ids,), g)
    return out


def dilate(x, low, high, interior):
    """Zeros before, behind and between the parts along each axis."""
    shape = [a + n + (n - 1) * gap + b for n, a, b, gap in zip(x.shape, low, high, interior)]
    out = np.zeros(shape)
    out[tuple(slice(a, a + (n - 1) * (gap + 1) + 1, gap + 1) for n, a, gap in zip(x.shape, low, interior))] = x
    return out


def truncated_normal(rng, std, shape):
    """Normal numbers; those beyond two standard deviations are drawn again."""
    x = rng.normal(0.0, 1.0, shape)
    while (far := np.abs(x) > 2).any():
        x[far] = rng.normal(0.0, 1.0, far.sum())
    return std * x
