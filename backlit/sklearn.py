"""Networks as scikit-learn estimators: `from backlit.sklearn import Classifier, Regressor`."""

from .core.errors import names_of
from .train.estimator import Classifier, Regressor

__all__ = ["Classifier", "Regressor"]

__getattr__, __dir__ = names_of(__name__)
