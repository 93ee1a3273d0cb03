"""The works of the benchmark: networks, data and batch sizes. Random numbers of the right shapes: for timing only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

RATE, EPSILON = 1e-3, 1e-7  # of Adam, on all sides


@dataclass(frozen=True)
class Work:
    """A network as a list of layers, each ("dense", units, activation), ("conv", filters, window, stride, activation),
    ("pool", window) or ("flatten",); `classes` of 1 is a logit for a binary cross-entropy."""

    name: str
    title: str
    rows: int
    shape: tuple[int, ...]
    layers: tuple[tuple[object, ...], ...]
    classes: int
    batch: int

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.rows // self.batch)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X (rows, …) float32 and y (rows,) whole numbers."""
        rng = np.random.default_rng(1)
        X = rng.standard_normal((self.rows, *self.shape), dtype=np.float32)
        return X, rng.integers(0, max(2, self.classes), self.rows)

    def weights(self) -> list[np.ndarray]:
        """First values of every kernel (…, in, out) and bias, layer by layer."""
        rng, shape, made = np.random.default_rng(2), self.shape, []
        for kind, *said in self.layers:
            if kind == "flatten":
                shape = (int(np.prod(shape)),)
            elif kind == "pool":
                shape = (*(n // said[0] for n in shape[:-1]), shape[-1])  # type: ignore[operator]
            else:
                window = (said[1],) * (len(shape) - 1) if kind == "conv" else ()
                fan = int(np.prod([*window, shape[-1]], dtype=np.int64))
                made += [rng.standard_normal((*window, shape[-1], said[0])) / fan**0.5, np.zeros(said[0])]  # type: ignore[arg-type]
                stride = said[2] if kind == "conv" else 1
                shape = (*((n - k) // stride + 1 for n, k in zip(shape[:-1], window, strict=True)), said[0])  # type: ignore[operator]
        return [each.astype(np.float32) for each in made]


def _dense(*units: int) -> tuple[tuple[object, ...], ...]:
    return (*(("dense", n, "relu") for n in units[:-1]), ("dense", units[-1], None))


_CONV = (
    ("conv", 32, 3, 1, "relu"),
    ("pool", 2),
    ("conv", 64, 3, 1, "relu"),
    ("pool", 2),
    ("flatten",),
    ("dense", 10, None),
)
_EKG = (("conv", 16, 20, 10, "relu"), ("conv", 8, 5, 2, "relu"), ("flatten",), ("dense", 1, None))

WORKS = {
    work.name: work
    for work in (
        Work("W1", "course digits 400-25-15-10", 5_000, (400,), _dense(25, 15, 10), 10, 32),
        Work("W2", "MNIST MLP 784-128-64-10", 60_000, (784,), _dense(128, 64, 10), 10, 128),
        Work("W3", "wide MLP 784-1024-1024-10", 20_000, (784,), _dense(1024, 1024, 10), 10, 256),
        Work("W4", "EKG convnet, one dimension", 5_000, (100, 1), _EKG, 1, 32),
        Work("W5", "MNIST convnet, two dimensions", 6_000, (28, 28, 1), _CONV, 10, 128),
        Work("W6", "XOR 2-4-1, full batch", 4, (2,), (("dense", 4, "tanh"), ("dense", 1, None)), 1, 4),
        Work("P1", "64-64-32-10, one row", 640, (64,), _dense(64, 32, 10), 10, 32),
    )
}

# What grows in the curves, from the same network of 64 inputs: 5,000 rows, two hidden layers of 64 units, batches of 64.
GROWN = {
    "rows": (1_000, 10_000, 100_000, 1_000_000),
    "width": (16, 64, 256, 1_024),
    "depth": (2, 8, 32, 128),
    "batch": (8, 64, 512, 4_096),
}


def grown(what: str, size: int) -> Work:
    """The base of the curves with one of its sizes changed."""
    width, depth = (size if what == each else base for each, base in (("width", 64), ("depth", 2)))
    work = Work(f"{what}={size}", f"{size:,} {what}", 5_000, (64,), _dense(*[width] * depth, 10), 10, 64)
    return replace(work, **{"rows": {"rows": size}, "batch": {"batch": size}}.get(what, {}))  # type: ignore[arg-type]


def find(name: str) -> Work:
    """A work by its name: "W1", or "width=256" of the curves."""
    what, _, size = name.partition("=")
    return grown(what, int(size)) if size else WORKS[name]
