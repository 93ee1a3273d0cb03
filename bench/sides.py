"""The sides of the benchmark: the same work in each library, as its users would write it for speed.

A side is made for a work and has `load(weights)`, `epoch()` (shuffled, all rows once; 1,000 epochs of a single step count
as one) and `losses(steps)`: the mean loss of each of the first batches in order, before its step.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.works import EPSILON, RATE, Work

FLOOR = "products alone"


def times(work: Work) -> int:
    """How many epochs are run for one measurement."""
    return 1_000 if work.steps == 1 else 1


class Backlit:
    """Ours, by an engine."""

    def __init__(self, work: Work, engine: str):
        import backlit as bl
        from backlit import layers

        self.work, (self.X, self.y) = work, work.data()
        made: list[Any] = [bl.Input(work.shape)]
        for kind, *said in work.layers:
            flat = len(work.shape) == 2
            if kind == "dense":
                made.append(layers.Dense(said[0], said[1]))
            elif kind == "conv":
                conv = layers.Conv1D if flat else layers.Conv2D
                made.append(conv(said[0], said[1], strides=said[2], activation=said[3]))
            elif kind == "pool":
                made.append((layers.MaxPooling1D if flat else layers.MaxPooling2D)(said[0]))
            else:
                made.append(layers.Flatten())
        self.model = bl.Sequential(made)
        loss = bl.losses.SparseCategoricalCrossentropy if work.classes > 1 else bl.losses.BinaryCrossentropy
        self.model.compile(
            optimizer=bl.optimizers.Adam(RATE, epsilon=EPSILON), loss=loss(from_logits=True), engine=engine
        )

    def load(self, weights: list[np.ndarray]) -> None:
        self.model.set_weights(weights)

    def epoch(self, count: int = 1) -> None:
        self.model.fit(self.X, self.y, batch_size=self.work.batch, epochs=count * times(self.work), verbose=0)

    def losses(self, steps: int) -> list[float]:
        batch = self.work.batch
        parts = [slice(k * batch, (k + 1) * batch) for k in range(steps)]
        return [float(self.model.train_on_batch(self.X[part], self.y[part])) for part in parts]

    def one_row(self) -> Callable[[], Any]:
        row = self.X[:1].copy()
        return lambda: self.model.predict(row, verbose=0)


class Torch:
    """PyTorch, eager, with the fused Adam."""

    def __init__(self, work: Work, compiled: bool = False):
        import torch
        from torch import nn

        self.torch, self.work, (X, y) = torch, work, work.data()
        flat = len(work.shape) == 2
        X = np.moveaxis(X, -1, 1) if len(work.shape) > 1 else X
        self.X = torch.from_numpy(np.ascontiguousarray(X))
        self.y = torch.from_numpy(y if work.classes > 1 else y.astype(np.float32))
        parts: list[Any] = []
        weights = iter(work.weights())
        for kind, *said in work.layers:
            if kind in ("dense", "conv"):
                kernel, _ = next(weights), next(weights)
                if kind == "dense":
                    parts.append(nn.Linear(kernel.shape[0], said[0]))
                else:
                    conv = nn.Conv1d if flat else nn.Conv2d
                    parts.append(conv(kernel.shape[-2], said[0], said[1], stride=said[2]))
                if act := said[-1]:
                    parts.append({"relu": nn.ReLU, "tanh": nn.Tanh}[act]())
            else:
                parts.append((nn.MaxPool1d if flat else nn.MaxPool2d)(said[0]) if kind == "pool" else nn.Flatten())
        self.net = nn.Sequential(*parts)
        self.loss = nn.CrossEntropyLoss() if work.classes > 1 else nn.BCEWithLogitsLoss()
        self.adam = torch.optim.Adam(self.net.parameters(), lr=RATE, eps=EPSILON, fused=True)
        self.forward = torch.compile(self._cost) if compiled else self._cost

    def _cost(self, X: Any, y: Any) -> Any:
        z = self.net(X)
        return self.loss(z if self.work.classes > 1 else z[:, 0], y)

    def load(self, weights: list[np.ndarray]) -> None:
        """Kernels are (out, in, …) here; the first dense layer behind a convolution sees channels first."""
        torch, shape, channels = self.torch, self.work.shape, None
        with torch.no_grad():
            for parameter, value in zip(self.net.parameters(), weights, strict=True):
                if value.ndim > 2:
                    channels, value = value.shape[-1], np.moveaxis(value, (-1, -2), (0, 1))
                elif value.ndim == 2:
                    if channels and len(shape) > 1:
                        value = value.reshape(-1, channels, value.shape[-1]).transpose(1, 0, 2).reshape(value.shape)
                        channels = None
                    value = value.T
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))

    def _step(self, X: Any, y: Any) -> Any:
        cost = self.forward(X, y)
        self.adam.zero_grad(set_to_none=True)
        cost.backward()
        self.adam.step()
        return cost.detach()

    def epoch(self) -> None:
        batch = self.work.batch
        for _ in range(times(self.work)):
            order = self.torch.randperm(len(self.X))
            total = self.torch.zeros(())
            for begin in range(0, len(order), batch):
                rows = order[begin : begin + batch]
                total += self._step(self.X[rows], self.y[rows])
            float(total)

    def losses(self, steps: int) -> list[float]:
        batch = self.work.batch
        parts = [slice(k * batch, (k + 1) * batch) for k in range(steps)]
        return [float(self._step(self.X[part], self.y[part])) for part in parts]

    def one_row(self) -> Callable[[], Any]:
        row = self.X[:1].clone()

        def run() -> Any:
            with self.torch.inference_mode():
                return self.net(row)

        return run


class Jax:
    """JAX by hand: one `jit`, `lax.scan` over the whole epoch."""

    def __init__(self, work: Work):
        import jax
        import jax.numpy as jnp

        self.jax, self.jnp, self.work, (X, y) = jax, jnp, work, work.data()
        self.X, self.y = jnp.asarray(X), jnp.asarray(y)
        self.run = jax.jit(self._run)
        self.rng = np.random.default_rng(3)

    def load(self, weights: list[np.ndarray]) -> None:
        self.p = [self.jnp.asarray(each) for each in weights]
        self.m = [self.jnp.zeros_like(each) for each in self.p]
        self.v = [self.jnp.zeros_like(each) for each in self.p]
        self.t = 0

    def _logits(self, p: Any, X: Any) -> Any:
        lax, jnp, nn = self.jax.lax, self.jnp, self.jax.nn
        h, parts, places = X, iter(p), "HW"[: X.ndim - 2]
        for kind, *said in self.work.layers:
            if kind == "flatten":
                h = h.reshape(len(h), -1)
            elif kind == "pool":
                window = (1, *(said[0],) * (h.ndim - 2), 1)
                h = lax.reduce_window(h, -jnp.inf, lax.max, window, window, "VALID")
            else:
                kernel, bias = next(parts), next(parts)
                if kind == "dense":
                    z = h @ kernel + bias
                else:
                    form = (f"N{places}C", f"{places}IO", f"N{places}C")
                    z = (
                        lax.conv_general_dilated(h, kernel, (said[2],) * len(places), "VALID", dimension_numbers=form)
                        + bias
                    )
                h = {"relu": nn.relu, "tanh": jnp.tanh, None: lambda z: z}[said[-1]](z)
        return h

    def _cost(self, p: Any, X: Any, y: Any) -> Any:
        jnp, nn, h = self.jnp, self.jax.nn, self._logits(p, X)
        if self.work.classes == 1:
            return jnp.mean(nn.softplus(h[:, 0]) - y * h[:, 0])
        return jnp.mean(nn.logsumexp(h, axis=1) - jnp.take_along_axis(h, y[:, None], 1)[:, 0])

    def _step(self, carry: Any, rows: Any) -> Any:
        jnp, (p, m, v, t) = self.jnp, carry
        cost, g = self.jax.value_and_grad(self._cost)(p, self.X[rows], self.y[rows])
        t = t + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        p = [a - rate * b / (jnp.sqrt(c) + EPSILON) for a, b, c in zip(p, m, v, strict=True)]
        return (p, m, v, t), cost

    def _run(self, carry: Any, order: Any) -> Any:
        return self.jax.lax.scan(self._step, carry, order)

    def _through(self, order: np.ndarray) -> np.ndarray:
        """Whole batches in one scan; the smaller last one in a call of its own."""
        batch, costs = self.work.batch, []
        whole = len(order) // batch * batch
        for part in (order[:whole].reshape(-1, batch), order[whole:][None, :]):
            if part.size:
                (self.p, self.m, self.v, self.t), cost = self.run((self.p, self.m, self.v, self.t), part)
                costs.append(np.asarray(cost))
        return np.concatenate(costs)

    def epoch(self) -> None:
        for _ in range(times(self.work)):
            self._through(self.rng.permutation(len(self.X)))

    def losses(self, steps: int) -> list[float]:
        return self._through(np.arange(min(len(self.X), steps * self.work.batch))).tolist()[:steps]

    def one_row(self) -> Callable[[], Any]:
        row, run = np.asarray(self.X[:1]), self.jax.jit(self._logits)
        return lambda: np.asarray(run(self.p, row))


class Keras:
    """Keras 3 on the backend that KERAS_BACKEND names."""

    def __init__(self, work: Work, backend: str):
        os.environ["KERAS_BACKEND"] = backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras
        from keras import layers

        self.work, (self.X, self.y) = work, work.data()
        made: list[Any] = [keras.Input(work.shape)]
        for kind, *said in work.layers:
            flat = len(work.shape) == 2
            if kind == "dense":
                made.append(layers.Dense(said[0], activation=said[1]))
            elif kind == "conv":
                conv = layers.Conv1D if flat else layers.Conv2D
                made.append(conv(said[0], said[1], strides=said[2], activation=said[3]))
            elif kind == "pool":
                made.append((layers.MaxPooling1D if flat else layers.MaxPooling2D)(said[0]))
            else:
                made.append(layers.Flatten())
        self.model = keras.Sequential(made)
        loss = keras.losses.SparseCategoricalCrossentropy if work.classes > 1 else keras.losses.BinaryCrossentropy
        self.model.compile(optimizer=keras.optimizers.Adam(RATE, epsilon=EPSILON), loss=loss(from_logits=True))

    def load(self, weights: list[np.ndarray]) -> None:
        self.model.set_weights(weights)

    def epoch(self) -> None:
        self.model.fit(self.X, self.y, batch_size=self.work.batch, epochs=times(self.work), verbose=0)

    def losses(self, steps: int) -> list[float]:
        batch = self.work.batch
        parts = [slice(k * batch, (k + 1) * batch) for k in range(steps)]
        return [float(self.model.train_on_batch(self.X[part], self.y[part])) for part in parts]

    def one_row(self) -> Callable[[], Any]:
        """Its quickest call, which makes neither a bar nor a data set."""
        row = self.X[:1].copy()
        return lambda: self.model.predict_on_batch(row)


class Sklearn:
    """scikit-learn's MLPClassifier."""

    def __init__(self, work: Work):
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        warnings.simplefilter("ignore", ConvergenceWarning)
        if any(kind != "dense" for kind, *_ in work.layers):
            raise NotImplementedError("no convolutions")
        self.work, (self.X, self.y) = work, work.data()
        *hidden, _ = (said[0] for _, *said in work.layers)
        act = work.layers[0][2]
        self.net = MLPClassifier(
            tuple(hidden), act, alpha=0, batch_size=work.batch, learning_rate_init=RATE, epsilon=EPSILON,
            max_iter=times(work), n_iter_no_change=10**9, tol=0, warm_start=True,
        )  # fmt: skip

    def load(self, weights: list[np.ndarray]) -> None:
        """It has no way to take weights before a step has been made: `losses` is not asked of it."""

    def epoch(self) -> None:
        self.net.fit(self.X, self.y)

    def one_row(self) -> Callable[[], Any]:
        row = self.X[:1].copy()
        return lambda: self.net.predict_proba(row)


class Products:
    """Not a peer but a floor: the products of matrices of a dense network's step, alone, in NumPy's BLAS."""

    def __init__(self, work: Work):
        if any(kind != "dense" for kind, *_ in work.layers):
            raise NotImplementedError("no convolutions")
        self.work, (self.X, _) = work, work.data()

    def load(self, weights: list[np.ndarray]) -> None:
        rng, rows = np.random.default_rng(4), self.work.batch
        self.kernels = weights[::2]
        self.values = [rng.standard_normal((rows, W.shape[0]), dtype=np.float32) for W in self.kernels]
        self.back = [rng.standard_normal((rows, W.shape[1]), dtype=np.float32) for W in self.kernels]
        self.ahead = [np.empty_like(each) for each in self.back]
        self.grads = [np.empty_like(W) for W in self.kernels]
        self.down = [np.empty_like(each) for each in self.values]

    def epoch(self) -> None:
        for _ in range(times(self.work) * self.work.steps):
            for place, W in enumerate(self.kernels):
                np.matmul(self.values[place], W, out=self.ahead[place])
                np.matmul(self.values[place].T, self.back[place], out=self.grads[place])
                if place:
                    np.matmul(self.back[place], W.T, out=self.down[place])


SIDES: dict[str, Callable[[Work], Any]] = {
    "backlit compiled": lambda work: Backlit(work, "compiled"),
    "backlit planned": lambda work: Backlit(work, "planned"),
    "backlit auto": lambda work: Backlit(work, "auto"),
    "backlit xla": lambda work: Backlit(work, "xla"),
    "PyTorch eager": Torch,
    "PyTorch compile": lambda work: Torch(work, compiled=True),
    "JAX by hand": Jax,
    "Keras on JAX": lambda work: Keras(work, "jax"),
    "Keras on TensorFlow": lambda work: Keras(work, "tensorflow"),
    "Keras on PyTorch": lambda work: Keras(work, "torch"),
    "scikit-learn": Sklearn,
    FLOOR: Products,
}
