"""Activations by name or as layers. Every op of one input is an activation; functions of nodes are, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core import registry
from ..core.arguments import Finite, NotNegative, shown, takes
from ..core.errors import ArgumentError, UnknownNameError, did_you_mean
from ..core.op import Op
from ..core.shapes import Shape, normal_axes
from ..ops import nn
from ..ops.elementwise import greater, minimum, where
from .checks import floating, optional
from .constraints import Constraint, ConstraintLike
from .initializers import InitializerLike
from .layer import Layer
from .regularizers import RegularizerLike


def resolve(identifier: Any) -> Callable[[Any], Any]:
    """The function that `identifier` means: None and "linear" are no activation; a name; a record; a layer; your own
    function."""
    if identifier is None:
        return nn.linear
    if isinstance(identifier, Mapping):  # a layer, as a configuration describes it
        return Layer.get(identifier)
    if callable(identifier):
        if not isinstance(identifier, (Op, Layer)) and not takes(identifier, 1):
            raise ArgumentError(f"{shown(identifier)} is no activation.", expected="a function of one node")
        return identifier
    if not isinstance(identifier, str):
        raise ArgumentError(
            f"{identifier!r} is no activation.", expected="a name such as 'relu', or a function of a node"
        )
    found = registry.find(f"op.{identifier}")
    if isinstance(found, Op) and found.role == "activation":
        return found
    raise UnknownNameError(
        f"there is no activation {identifier!r}.",
        name=identifier,
        expected=", ".join(names()),
        fix=did_you_mean(identifier, names()),
    )


def names() -> list[str]:
    """The activations that can be named."""
    return [name[3:] for name in registry.names("op.") if getattr(registry.find(name), "role", "") == "activation"]


class Activation(Layer):
    """An activation as a layer of its own: a name, a record, or your own function of a node.

    A function of your own is differentiated and printed like the built-in ones; made with ``bl.elementwise`` or
    ``bl.composite`` and ``role="activation"`` it has a name, by which ``Dense(25, "bent")`` and files find it.

    >>> import backlit as bl
    >>> bl.layers.Activation("relu")([[-1.0, 2.0]]).tolist()
    [[0.0, 2.0]]
    >>> def bent(z):
    ...     return (bl.ops.sqrt(z * z + 1) - 1) / 2 + z
    >>> bl.layers.Activation(bent)([[0.0]]).tolist()
    [[0.0]]
    >>> z = bl.variable([-2.0, 0.5], name="z")
    >>> bl.check_grad(bl.ops.sum(bent(z))).ok
    True
    """

    def __init__(self, activation: Any, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.function = resolve(activation)

    def call(self, x: Any, training: bool = False) -> Any:
        """g(x)."""
        return self.function(floating(x, self.dtype))


class ReLU(Layer):
    """max(0, x); with all its arguments: x above `threshold`, at most `max_value`, and `negative_slope` times
    (x - threshold) below it. Raises ValueRangeError for arguments below 0.

    >>> import backlit as bl
    >>> bl.layers.ReLU(max_value=6, negative_slope=0.5, threshold=1)([[-1.0, 1.0, 3.0, 9.0]]).tolist()
    [[-1.0, 0.0, 3.0, 6.0]]
    """

    def __init__(
        self,
        max_value: NotNegative | None = None,
        negative_slope: NotNegative = 0.0,
        threshold: NotNegative = 0.0,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, x: Any, training: bool = False) -> Any:
        """The bent line."""
        x = floating(x, self.dtype)
        if (self.max_value, self.negative_slope, self.threshold) == (None, 0.0, 0.0):
            return nn.relu(x)
        above = x if self.max_value is None else minimum(x, self.max_value)
        below = self.negative_slope * (x - self.threshold) if self.negative_slope else 0.0
        return where(greater(x, self.threshold), above, below)


class LeakyReLU(Layer):
    """x where it is positive, else negative_slope · x, so that no unit is ever quite dead (Maas et al. 2013).

    The slope is Keras's for the layer, 0.3; the function ``activations.leaky_relu`` takes Keras's 0.2. The course's
    max(0.01z, z) is ``LeakyReLU(0.01)``.

    >>> import backlit as bl
    >>> bl.layers.LeakyReLU(0.01)([[-3.0, 2.0]]).tolist() == [[-0.029999999329447746, 2.0]]
    True
    """

    def __init__(self, negative_slope: NotNegative = 0.3, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.negative_slope = negative_slope

    def call(self, x: Any, training: bool = False) -> Any:
        """The bent line."""
        return nn.leaky_relu(floating(x, self.dtype), negative_slope=self.negative_slope)


class PReLU(Layer):
    """x where it is positive, else alpha · x, where alpha is learnt: one for each number of an example, or one along
    each of `shared_axes`, which count from 1 (He et al. 2015). The derivatives at 0 are 0, as for relu.

    >>> import backlit as bl
    >>> bl.layers.PReLU(alpha_initializer=bl.initializers.Constant(0.5))([[-2.0, 2.0]]).tolist()
    [[-1.0, 2.0]]
    """

    def __init__(
        self,
        alpha_initializer: InitializerLike = "zeros",
        alpha_regularizer: RegularizerLike | None = None,
        alpha_constraint: ConstraintLike | None = None,
        shared_axes: int | Sequence[int] | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.alpha_initializer, self.alpha_regularizer = alpha_initializer, alpha_regularizer
        self.alpha_constraint = optional(Constraint, alpha_constraint)
        self.shared_axes = shared_axes

    def build(self, shape: Shape) -> None:
        """alpha, of an example's shape, 1 along the shared axes."""
        given = self.shared_axes if isinstance(self.shared_axes, Sequence) else [self.shared_axes]
        shared = normal_axes([] if self.shared_axes is None else given, len(shape), "PReLU")
        lengths = [1 if place in shared else dim for place, dim in enumerate(shape)][1:]
        self.alpha = self.add_weight(
            "alpha",
            lengths,
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def call(self, x: Any, training: bool = False) -> Any:
        """max(0, x) - alpha · max(0, -x)."""
        return nn.relu(x) - self.alpha * nn.relu(-x)


class ELU(Layer):
    """x where it is positive, else alpha (exp(x) - 1), which is smooth and never below -alpha (Clevert et al. 2015).

    >>> import backlit as bl
    >>> bl.layers.ELU(2.0)([[-100.0, 3.0]]).tolist()
    [[-2.0, 3.0]]
    """

    def __init__(self, alpha: Finite = 1.0, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.alpha = alpha

    def call(self, x: Any, training: bool = False) -> Any:
        """The bent line."""
        return nn.elu(floating(x, self.dtype), alpha=self.alpha)


class Softmax(Layer):
    """exp(x) over its sum along `axis`, one axis or several: positive numbers that sum to 1.

    >>> import backlit as bl
    >>> bl.layers.Softmax()([[2.0, 2.0]]).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.axis = axis

    def call(self, x: Any, training: bool = False) -> Any:
        """softmax(x)."""
        return nn.softmax(floating(x, self.dtype), axis=self.axis)
