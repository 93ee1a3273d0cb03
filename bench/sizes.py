"""What a library costs before it does anything: its import, and what it takes on the disk."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import statistics
import subprocess
import sys
from pathlib import Path

IMPORTS = {
    "NumPy": "import numpy",
    "backlit": "import backlit",
    "scikit-learn": "from sklearn.neural_network import MLPClassifier",
    "PyTorch": "import torch",
    "JAX": "import jax, jax.numpy",
    "Keras on JAX": "import os; os.environ['KERAS_BACKEND'] = 'jax'; import keras",
    "TensorFlow": "import tensorflow",
}
INSTALLED = {
    "backlit": ("backlit",),
    "backlit[fast]": ("backlit", "llvmlite"),
    "scikit-learn": ("scikit-learn",),
    "PyTorch": ("torch",),
    "JAX": ("jax", "jaxlib"),
    "Keras on JAX": ("keras", "jax", "jaxlib"),
    "TensorFlow": ("tensorflow_cpu", "keras"),
}
_CLOCK = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def imports(rounds: int) -> dict[str, float]:
    """Median seconds of each import in a new process, in alternation."""
    taken: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(rounds):
        for name, program in IMPORTS.items():
            run = subprocess.run([sys.executable, "-c", _CLOCK.format(program)], capture_output=True, text=True)
            if run.returncode == 0:
                taken[name].append(float(run.stdout.split()[-1]))
    return {name: statistics.median(each) for name, each in taken.items() if each}


def installed() -> dict[str, float]:
    """Megabytes of each with all that it needs, as it is installed here."""
    found = {}
    for name, packages in INSTALLED.items():
        try:
            found[name] = sum(_megabytes(each) for each in _needed(packages))
        except metadata.PackageNotFoundError:
            continue
    return found


def _needed(packages: tuple[str, ...]) -> set[str]:
    """The packages and, as far as they are installed, what they require without extras."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or ():
            if "extra ==" not in line and (match := re.match(r"[\w.-]+", line)) and _there(match[0]):
                waiting.append(match[0])
    return found


def _there(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _megabytes(name: str) -> float:
    """A package in development stands in its own folder: its sources are counted there."""
    if name == "backlit":
        import backlit

        return sum(each.stat().st_size for each in Path(backlit.__file__).parent.rglob("*.*") if each.is_file()) / 1e6
    files = (Path(str(each.locate())) for each in metadata.files(name) or ())
    return sum(each.stat().st_size for each in files if each.is_file()) / 1e6
