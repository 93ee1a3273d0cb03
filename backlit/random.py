"""Random arrays and the seed: `backlit.random.set_seed(1)`."""

from .ops.draw import bernoulli, normal, set_seed, uniform

__all__ = ["bernoulli", "normal", "set_seed", "uniform"]
