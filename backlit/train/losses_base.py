"""What a loss is: shapes, reductions, weights; a function of one's own as a loss; every loss as a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from ..core import registry
from ..core.arguments import checked, shown, takes
from ..core.errors import (
    ArgumentError,
    ShapeError,
    UnknownNameError,
    ValueRangeError,
    missing,
    not_written,
)
from ..core.node import FLOATS, DType, Node, as_array, checked_dtype
from ..core.op import as_node, cast
from ..core.record import Record, snake
from ..core.shapes import Rows, Shape, normal_axes, show
from ..core.walk import strip_marks
from ..ops.elementwise import equal, where
from ..ops.index import broadcast_to, reshape
from ..ops.reduce import mean
from ..ops.reduce import sum as sum_
from ..rewrite import stable
from ..rewrite.rule import apply

EPSILON = 1e-7  # Keras's fuzz factor: how far probabilities are kept from 0 and 1
MEAN: Literal["sum_over_batch_size"] = "sum_over_batch_size"
Reduction: TypeAlias = Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"] | None


class Loss(Record):
    """The base of all losses. Called with arrays or lists it returns a NumPy number, with nodes a node.

    A loss of your own has `formula(y, p)`, one number an example; or compile with any function of (y_true, y_pred).

    `reduction`: "sum_over_batch_size" or "mean" (the sum over how many numbers there are, the default), "sum",
    "mean_with_sample_weight" (the sum over the sum of the weights), or None for one number an example.
    `sample_weight`: one weight an example (m,), or one a number (m, t), so that 0 masks a time step.
    `dtype`: that of the computation; None is the dtype of y_pred.
    y_true and y_pred have one shape (or y_true lacks a last axis of 1); nothing is broadcast. Raises ShapeError
    otherwise, and ValueRangeError for a y that the loss cannot mean.

    >>> import backlit as bl
    >>> class Cubed(bl.losses.Loss):
    ...     def formula(self, y, p):
    ...         return bl.ops.mean(bl.ops.absolute(p - y) ** 3, axis=-1)
    >>> float(Cubed()([[1.0], [3.0]], [[2.0], [5.0]]))
    4.5
    """

    family = "loss"
    labels: bool = False  # y holds whole numbers that name a class
    probabilities: ClassVar[bool] = False  # the output is a probability unless from_logits
    link: ClassVar[str | None] = None  # the activation that makes probabilities of logits
    targets: ClassVar[tuple[float, float] | None] = None  # the smallest and largest y that make sense
    signs: ClassVar[bool] = False  # y is -1 or 1 (or 0 or 1, which means the same)
    axis: int = -1  # along which an example's outputs lie
    from_logits: bool = False

    @checked
    def __init__(self, reduction: Reduction = MEAN, name: str | None = None, dtype: DType | None = None):
        self.reduction, self.name = reduction, name or snake(type(self).__name__)
        self.dtype = None if dtype is None else checked_dtype(dtype)

    # ------------------------------------------------------------------ to be written by a loss
    def formula(self, y: Any, p: Any) -> Any:
        """One number an example, from target y and output p."""
        return self.call(y, p)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Keras's name for `formula`: a subclass written for Keras works."""
        raise not_written(self, "formula(self, y, p)")

    def valid(self, y: Any) -> Any:
        """Which examples count, as bools, or None for all."""
        return None

    # ------------------------------------------------------------------ what every loss has
    @classmethod
    @checked
    def get(cls, identifier: Any) -> Self:
        """The loss that `identifier` means; a function of (y_true, y_pred) becomes a loss."""
        if callable(identifier) and not isinstance(identifier, (type, Loss)):
            record = getattr(identifier, "record", None)
            return record() if record is not None else LossFunctionWrapper(identifier)  # type: ignore[return-value]
        return super().get(identifier)

    @classmethod
    @checked
    def named(cls, name: str) -> Any:
        """The class of that name, or a function of the user's own that was compiled with before."""
        if registry.find(f"loss.{name}") is None and registry.find(f"loss function.{name}") is not None:
            return partial(LossFunctionWrapper, name)
        if name in ("crossentropy", "ce"):
            raise UnknownNameError(
                f"the loss {name!r} is one of three.",
                name=name,
                expected="'binary_crossentropy' for one output of yes or no, 'sparse_categorical_crossentropy' for y of "
                "class numbers, 'categorical_crossentropy' for one-hot y",
                why="which one, y decides, and a model is compiled before it sees y",
            )
        return super().named(name)

    def target_shape(self, output: Shape) -> Shape:
        """The shape of y for an output of that shape."""
        return _without(output, self._axis(output)) if self.labels else output

    def _axis(self, output: Shape) -> int:
        (axis,) = normal_axes(self.axis, len(output), type(self).__name__)
        if axis == 0 and len(output) > 1:
            raise ShapeError(
                f"{type(self).__name__} cannot run over the examples.",
                found=f"axis={self.axis} of an output {show(output)}",
                fix="axis=-1, the last axis",
            )
        return axis

    def fitted(self, y: Any, p: Any) -> tuple[Any, Any]:
        """y and p as the formula expects them: y in the shape for this output, never broadcast."""
        p = p if p.dtype in FLOATS else cast(p, "float64")
        p = p if self.dtype is None else cast(p, self.dtype)
        if len(p.shape) == 1 and isinstance(p.shape[0], Rows):
            p = reshape(p, (*p.shape, 1))
        if not p.shape:
            raise ShapeError(
                f"{type(self).__name__} needs an axis of outputs.",
                expected="an output of shape (m, k)",
                found="a single number",
                fix="loss([y], [p])",
            )
        wanted = self.target_shape(p.shape)
        if y.shape != wanted:
            column = (*wanted, 1) if self.labels else wanted[:-1] if wanted[-1:] == (1,) else None
            if y.shape != column:
                raise misfit(type(self).__name__, wanted, y.shape, p.shape)
            y = reshape(y, wanted)
        return (y if self.labels else cast(y, p.dtype)), p

    def per_example(self, y: Any, p: Any) -> Any:
        """Nodes for one number an example; y is brought to the shape that the formula expects, never broadcast."""
        return self.formula(*self.fitted(y, p))

    def cost(self, y: Any, p: Any, weight: Any = None) -> Any:
        """The one number that training makes small."""
        return self._total(y, p, weight, MEAN if self.reduction in (None, "none") else self.reduction)

    def _total(self, y: Any, p: Any, weight: Any, reduction: Reduction) -> Any:
        y, p = self.fitted(y, p)
        return reduced(self.formula(y, p), weight, reduction, self.valid(y))

    @checked
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        given = [y_true, y_pred, *([] if sample_weight is None else [sample_weight])]
        concrete = not any(isinstance(value, Node) for value in given)
        nodes = [value if isinstance(value, Node) else as_array(value) for value in given]
        if concrete:
            self.check(nodes[0], nodes[1].shape)
        y, p, *weight = map(as_node, nodes)
        total = self._total(y, p, weight[0] if weight else None, self.reduction)
        if not concrete:
            return total
        (safe,) = apply(strip_marks([total]), stable.RULES)
        return safe.value

    @classmethod
    def alone(cls, y_true: Any, y_pred: Any, **configuration: Any) -> Any:
        """The loss as a function: one number an example."""
        return cls(**configuration, reduction=None)(y_true, y_pred)

    def check(self, y: Any, output: Shape) -> None:
        """Raise ValueRangeError for an array y that this loss cannot mean."""
        if self.labels and output:
            check_labels(y, output[self._axis(output)], type(self).__name__, getattr(self, "ignore_class", None))
        if wanted := self.wanted(y):
            raise ValueRangeError(
                f"{type(self).__name__} cannot use this y.", expected=wanted, found=f"y from {y.min():g} to {y.max():g}"
            )

    def wanted(self, y: Any) -> str:
        """What y should hold, where the array y holds something else; else ''."""
        if y.size and self.targets is not None and not (self.targets[0] <= y.min() and y.max() <= self.targets[1]):
            return "y from 0 to 1" if self.targets[1] == 1 else "y from 0"
        if self.signs and not (np.isin(y, (-1, 1)).all() or np.isin(y, (0, 1)).all()):
            return "y of -1 and 1, or of 0 and 1"
        return ""


def _without(shape: Shape, axis: int) -> Shape:
    return tuple(dim for place, dim in enumerate(shape) if place != axis)


def misfit(who: str, wanted: Shape, y: Shape, p: Shape) -> ShapeError:
    """The refusal of a y that does not have the shape for its output."""
    return ShapeError(
        f"{who} cannot compare y with the output.",
        expected=f"y of shape {show(wanted)}",
        found=f"y {show(y)}, output {show(p)}",
        why="nothing is broadcast: that would compare every example with every other",
        fix="reshape y, or give the last layer as many units as y has columns",
    )


def check_labels(y: Any, classes: Any, what: str, ignored: int | None = None) -> None:
    """Refuse labels that are not whole numbers 0 … classes-1 (or `ignored`)."""
    with np.errstate(invalid="ignore"):  # NaN becomes some number, and is then not equal to it
        whole = y.astype(np.int64)
    inside = ((whole >= 0) & (whole < classes)) | (False if ignored is None else whole == ignored)
    if ((whole != y) | ~inside).any():
        raise ValueRangeError(
            f"{what} cannot use these labels.",
            expected=f"whole numbers 0..{classes - 1}" + ("" if ignored is None else f", or {ignored}"),
            found=f"{y.min()} … {y.max()}" + (", not all whole" if (whole != y).any() else ""),
            fix="number the classes from 0, or give the last layer more units",
        )


# ---------------------------------------------------------------------- reductions and weights
def reduced(each: Any, weight: Any, reduction: Reduction, valid: Any = None) -> Any:
    """Keras's reduction: the weighted sum over how many numbers there are; those that are not `valid` do not count."""
    counts = None if valid is None else cast(valid, each.dtype)
    if weight is not None:
        weight = spread(cast(weight, each.dtype), each.shape)
        each = each * weight
        if reduction == "mean_with_sample_weight":
            counts = weight if counts is None else weight * counts
    if reduction in (None, "none"):
        return each
    if reduction == "sum":
        return sum_(each)
    if counts is None:
        return mean(each)
    count = sum_(counts)
    return sum_(each) / where(equal(count, 0.0), 1.0, count)


def spread(weight: Any, shape: Shape) -> Any:
    """One weight an example (m,) or one a number (m, t), for numbers of `shape`; never along another axis."""
    given = weight.shape
    while len(given) > max(len(shape), 1) and given[-1] == 1:
        given = given[:-1]
    fits = len(given) <= len(shape) and given[:1] == shape[:1]
    if given and not (fits and all(a in (1, b) for a, b in zip(given, shape, strict=False))):
        raise ShapeError(
            "these weights fit no number of the loss.",
            expected=f"weights of shape {show(shape)}" + (f" or {show(shape[:1])}" if len(shape) > 1 else ""),
            found=f"weights {show(weight.shape)}",
            why="the loss gives one number for the whole batch" if not shape else "",
            fix="return one number an example" if not shape else "give one weight an example",
        )
    full = (*given, *[1] * (len(shape) - len(given)))
    weight = weight if weight.shape == full else reshape(weight, full)
    return weight if full == shape else broadcast_to(weight, shape)


# ---------------------------------------------------------------------- functions as records, records as functions
def known_function(function: Any, family: str) -> Any:
    """A function of the user's own, remembered under its name; a name is looked up among them (from a saved file)."""
    if not isinstance(function, str):
        if not callable(function) or not takes(function, 2):
            raise ArgumentError(f"{shown(function)} is no {family}.", expected="a function of (y_true, y_pred)")
        registry.replace(f"{family} function.{function_name(function)}", function)
        return function
    found = registry.find(f"{family} function.{function}")
    if found is None or "<" in function:
        raise UnknownNameError(
            f"the {family} {function!r} is a function that is not defined here.",
            why="a file holds the name of your function, not its code",
            fix=f"run the code that compiled with it, or compile again: model.compile({family}=...)",
        )
    return found


def function_name(function: Any) -> str:
    """The name by which people know a function."""
    return str(getattr(function, "__name__", type(function).__name__))


def called(function: Any, y: Any, p: Any) -> Any:
    """What a function of the user's own gives for nodes: a floating node of one number an example, or of one in all."""
    who = f"the function {function_name(function)!r}"
    each = function(y, p)
    if not isinstance(each, Node):
        raise ArgumentError(
            f"{who} must give a node.",
            expected="y_true and y_pred joined by bl.ops or by operators",
            found=type(each).__name__,
        )
    if each.shape and each.shape[0] != p.shape[0]:
        raise ShapeError(
            f"{who} must give one number an example.",
            expected=f"shape {show(p.shape[:1])}, or a single number",
            found=f"shape {show(each.shape)}",
            fix="bl.ops.mean(..., axis=-1)",
        )
    return each if each.dtype in FLOATS else cast(each, p.dtype)


class LossFunctionWrapper(Loss, spoken=False):
    """A function `fn(y_true, y_pred)` of nodes as a loss: one number an example, or one for the batch.

    `compile(loss=fn)` makes it by itself. `labels=True`: y holds class numbers and lacks the outputs' axis.

    >>> import backlit as bl
    >>> def cubed(y_true, y_pred):
    ...     return bl.ops.mean(abs(y_pred - y_true) ** 3, axis=-1)
    >>> float(bl.losses.LossFunctionWrapper(cubed)([[1.0], [3.0]], [[2.0], [5.0]]))
    4.5
    """

    def __init__(
        self,
        fn: Any,
        reduction: Reduction = MEAN,
        name: str | None = None,
        dtype: DType | None = None,
        labels: bool = False,
    ):
        self.fn = known_function(fn, "loss")
        super().__init__(reduction, name or function_name(self.fn), dtype)
        self.labels = labels

    def get_config(self) -> dict[str, Any]:
        """The arguments; the function by its name, by which it is found where it is defined."""
        return {**super().get_config(), "fn": function_name(self.fn)}

    def formula(self, y: Any, p: Any) -> Any:
        """What the function gives."""
        return called(self.fn, y, p)


_NO_CONFIGURATION = ("reduction", "name", "dtype")


@cache
def function_of(cls: type[Any]) -> Callable[..., Any]:
    """The record as a function of (y_true, y_pred, configuration …) that gives one number an example."""
    given = [key for key in inspect.signature(cls.__init__).parameters if key not in ("self", *_NO_CONFIGURATION)]

    def function(y_true: Any, y_pred: Any, *args: Any, **configuration: Any) -> Any:
        if len(args) > len(given):
            raise ArgumentError(f"{name} takes at most {len(given)} settings.", expected=", ".join(given))
        return cls.alone(y_true, y_pred, **dict(zip(given, args, strict=False)), **configuration)

    name = function.__name__ = function.__qualname__ = snake(cls.__name__)
    function.__doc__ = f"`{cls.__name__}` as a function: one number an example.\n\n{cls.__doc__}"
    function.record = cls  # type: ignore[attr-defined]
    return function


def room(name: str, bases: Sequence[type[Record]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of the public room of that name: every record of these families by its class and, in
    snake case or under an alias, as a function."""

    def everything() -> list[str]:
        known = [each.partition(".")[2] for base in bases for each in registry.names(f"{base.family}.")]
        return sorted({*known, bases[0].__name__})

    def find(wanted: str) -> Any:
        for base in () if wanted.startswith("_") else bases:
            cls = registry.find(f"{base.family}.{wanted}") or registry.find(f"{base.family}.{wanted.lower()}")
            if cls is not None:
                return cls if wanted == cls.__name__ else function_of(cls)
        raise missing(f"backlit.{name}", wanted, everything())

    return find, everything
