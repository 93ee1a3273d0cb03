"""Random arrays and the seed: `backlit.random.set_seed(1)`."""

from .core.errors import names_of
from .ops.draw import bernoulli, normal, set_seed, uniform

__all__ = ["bernoulli", "normal", "set_seed", "uniform"]

__getattr__, __dir__ = names_of(__name__)
