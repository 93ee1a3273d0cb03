"""Records that people name and configure: layers, losses, metrics, optimizers, initializers, regularizers.

A subclass is found by its name (``"mean_squared_error"``, ``"MeanSquaredError"``, an alias) as soon as its class
statement
has run, and its constructor arguments are its configuration. Nothing else has to be registered or written down.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from . import registry
from .errors import ArgumentError, UnknownNameError, did_you_mean


def snake(name: str) -> str:
    """The class name in snake case.

    >>> snake("SparseCategoricalCrossentropy"), snake("SGD"), snake("Conv2DTranspose")
    ('sparse_categorical_crossentropy', 'sgd', 'conv2d_transpose')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()


class _Configured(type):
    """Checks keyword arguments with a did-you-mean and keeps them as the object's configuration."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """What `help` and editors show: the constructor's arguments."""
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        parameters = list(signature.parameters)[1:]
        open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        for key in kwargs:
            if key not in parameters and not open_ended:
                raise ArgumentError(
                    f"{cls.__name__} has no argument {key!r}.",
                    expected=", ".join(parameters) or "no arguments",
                    fix=did_you_mean(key, parameters),
                )
        try:
            bound = signature.bind(None, *args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{cls.__name__}: {error}.", expected=f"{cls.__name__}{signature}") from None
        made = super().__call__(*args, **kwargs)
        bound.apply_defaults()
        made.arguments = dict(list(bound.arguments.items())[1:])
        return made


class Record(metaclass=_Configured):
    """The base of everything that people name and configure."""

    family: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    arguments: dict[str, Any]

    def __init__(self) -> None:
        """Nothing to configure, unless a subclass says so."""

    def __init_subclass__(cls, spoken: bool = True, **kwargs: Any):
        """`spoken=False`: found by its class name (in files) only, for what no word alone can make."""
        super().__init_subclass__(**kwargs)
        root = "family" in cls.__dict__  # the base of a family is no member of it
        if not root and not cls.__name__.startswith("_"):
            words = (snake(cls.__name__), *cls.__dict__.get("aliases", ())) if spoken else ()
            for name in (cls.__name__, *words):
                registry.replace(f"{cls.family}.{name}", cls)

    @classmethod
    def get(cls, identifier: Any) -> Self:
        """The record that `identifier` means: itself, a class, a name, or what `serialize` wrote.

        Raises UnknownNameError with the nearest name, ArgumentError for anything else.
        """
        if isinstance(identifier, cls):
            return identifier
        if isinstance(identifier, type) and issubclass(identifier, cls):
            return identifier()
        if isinstance(identifier, Mapping):
            return cls.named(identifier["class"])(**identifier["config"])  # type: ignore[no-any-return]
        if isinstance(identifier, str):
            return cls.named(identifier)()  # type: ignore[no-any-return]
        raise ArgumentError(
            f"{identifier!r} is no {cls.family}.",
            expected=f"a name, such as {cls.names()[0]!r}, or an object of that family",
        )

    @classmethod
    def named(cls, name: str) -> Any:
        """The class of that name."""
        found = registry.find(f"{cls.family}.{name}") or registry.find(f"{cls.family}.{name.lower()}")
        if found is None:
            near = did_you_mean(name, cls.names())
            raise UnknownNameError(f"there is no {cls.family} {name!r}.", expected=", ".join(cls.names()), fix=near)
        return found

    @classmethod
    def names(cls) -> list[str]:
        """The names of this family, in snake case."""
        prefix = f"{cls.family}."
        return [name[len(prefix) :] for name in registry.names(prefix) if name[len(prefix) :].islower()]

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments as plain values; records among them are serialized."""
        return {key: serialize(value) for key, value in self.arguments.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        given = [f"{key}={value!r}" for key, value in self.arguments.items() if value != defaults[key].default]
        return f"{type(self).__name__}({', '.join(given)})"


def serialize(value: Any) -> Any:
    """A value of a configuration as JSON can hold it: records become {"class", "config"}, functions their names."""
    if isinstance(value, Record):
        return {"class": type(value).__name__, "config": value.get_config()}
    if isinstance(value, (list, tuple)):
        return [serialize(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, dict)):
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    return getattr(value, "name", None) or getattr(value, "__name__", repr(value))


def spellings(names: dict[str, Any], base: type[Record]) -> list[str]:
    """Put every class of the family `base` in `names` (the globals of a module) also under its lower-case names.

    Keras has both: ``regularizers.L2`` and ``regularizers.l2``. Returns the public names, for ``__all__``.
    """
    classes = {name: each for name, each in names.items() if isinstance(each, type) and issubclass(each, base)}
    public = {name: each for name, each in classes.items() if not name.startswith("_")}
    for each in list(public.values()):
        if each is not base:
            public.update(dict.fromkeys((snake(each.__name__), *each.__dict__.get("aliases", ())), each))
    names.update(public)
    return sorted(public)
