"""Pictures, each one line: `bl.plot.regions(model, X, y)` returns a matplotlib Figure, `pip install 'backlit[plot]'`.

`figure.data` has the numbers; `bl.plot.regions.data(model, X, y)` computes them alone.
"""

from .core.errors import names_of
from .pictures.costs import *  # noqa: F403 - a picture is in this room as soon as it stands in its file
from .pictures.curves import *  # noqa: F403
from .pictures.fitted import *  # noqa: F403
from .pictures.images import *  # noqa: F403
from .pictures.maps import *  # noqa: F403
from .pictures.matrices import *  # noqa: F403
from .pictures.networks import *  # noqa: F403
from .pictures.training import *  # noqa: F403

__getattr__, __dir__ = names_of(__name__)
