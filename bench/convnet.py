"""A small convolutional network against the dense one on the 8×8 digits, on the splits of `backlit fit digits`.

    python -m bench.convnet [--seeds 10] [--first 0] [--engine planned]

The dense network is the one of the course, by the recipe of `backlit fit`; the settings of the convolutional one were
chosen on other seeds than 0 … 9.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import backlit as bl
from backlit.io.bundled import load
from backlit.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from backlit.train import recipe


def network() -> bl.Sequential:
    """38,282 parameters on (m, 8, 8, 1)."""
    see = [Conv2D(16, 3, padding="same", activation="relu"), Conv2D(32, 3, padding="same", activation="relu")]
    decide = [Dropout(0.4), Flatten(), Dense(64, "relu"), Dropout(0.4), Dense(10)]
    return bl.Sequential([bl.Input((8, 8, 1)), *see, MaxPooling2D(), *decide])


def accuracies(seed: int, engine: str = "planned") -> tuple[float, float, float]:
    """Test accuracy of the dense and of the convolutional network, and the seconds that the second took to train."""
    outcome = recipe.run(load("digits"), recipe.Options(seed=seed))
    problem = outcome.problem
    images, train, test = problem.X.reshape(-1, 8, 8, 1) / 16, problem.parts.train, problem.parts.test
    bl.random.set_seed(seed)
    model = network()
    loss = bl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(bl.optimizers.Adam(0.002), loss, metrics=["accuracy"], engine=engine)
    begin = time.perf_counter()
    model.fit(images[train], problem.y[train], epochs=30, batch_size=32, verbose=0)
    seconds = time.perf_counter() - begin
    right = model.evaluate(images[test], problem.y[test], verbose=0, return_dict=True)["accuracy"]
    return float(outcome.scores["test"]["accuracy"]), float(right), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--engine", default="planned")
    chosen = parser.parse_args()
    print("seed   dense   convolutional   seconds")
    rows = []
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        rows.append(accuracies(seed, chosen.engine))
        print("{:>4}  {:.4f}          {:.4f}  {:8.1f}".format(seed, *rows[-1]), flush=True)
    print("mean  {:.4f}          {:.4f}  {:8.1f}".format(*np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
