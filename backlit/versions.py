"""Which versions of what are at work."""

from __future__ import annotations

import importlib.metadata
import platform

from .core.arguments import checked

_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pandas", "narwhals", "rich", "click", "safetensors", "threadpoolctl",
    "pyarrow", "llvmlite", "jax",
)  # fmt: skip


def version(package: str = "backlit") -> str:
    """The installed version of a package, or "not installed"."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@checked
def show_versions() -> None:
    """Print the versions that a bug report needs."""
    rows = [("backlit", version()), ("Python", platform.python_version()), ("system", platform.platform())]
    for name, found in [*rows, *((package, version(package)) for package in _PACKAGES)]:
        print(f"{name:<14} {found}")
