"""What helps before and around a training: `from backlit.utils import to_categorical, set_random_seed, Columns`."""

from .core.errors import names_of
from .core.seed import set_random_seed
from .io.columns import Columns
from .train.labels import to_categorical

__all__ = ["Columns", "set_random_seed", "to_categorical"]

__getattr__, __dir__ = names_of(__name__)
