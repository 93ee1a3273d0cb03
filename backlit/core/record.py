"""Records that people name and configure: layers, losses, metrics, optimizers, initializers, regularizers.

A subclass is found by its name (``"mean_squared_error"``, ``"MeanSquaredError"``, an alias) as soon as its class
statement has run, and its constructor arguments are its configuration. Nothing else has to be registered or written down.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Self

from . import registry
from .arguments import arguments_of, checked, shown
from .errors import ArgumentError, UnknownNameError, did_you_mean
from .node import here


@cache
def snake(name: str) -> str:
    """The class name in snake case.

    >>> snake("SparseCategoricalCrossentropy"), snake("SGD"), snake("Conv2DTranspose")
    ('sparse_categorical_crossentropy', 'sgd', 'conv2d_transpose')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()


class _Configured(type):
    """Checks the arguments (`core/arguments.py`) and keeps them as the object's configuration."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """What `help` and editors show: the constructor's arguments."""
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        known = arguments_of(cls.__init__, skip=1)  # type: ignore[misc]
        given, named = known.read(cls.__name__, args, kwargs)
        made = super().__call__(*given, **named)
        made.arguments, made.made_at = known.complete(given, named), here()
        return made


class Record(metaclass=_Configured):
    """The base of everything that people name and configure."""

    family: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    arguments: dict[str, Any]
    made_at: tuple[tuple[str, int], ...]  # the user's line that made it

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
    @checked
    def get(cls, identifier: Any) -> Self:
        """The record that `identifier` means: itself, a class, a name, or what `serialize` wrote.

        Raises UnknownNameError with the nearest name, ArgumentError for anything else.
        """
        if isinstance(identifier, cls):
            return identifier
        if isinstance(identifier, type) and issubclass(identifier, cls):
            return identifier()
        if isinstance(identifier, Mapping):
            name, config = identifier.get("class"), identifier.get("config")
            if isinstance(name, str) and isinstance(config, Mapping) and all(isinstance(key, str) for key in config):
                return cls.named(name).from_config(config)  # type: ignore[no-any-return]
        if isinstance(identifier, str):
            return cls.named(identifier)()  # type: ignore[no-any-return]
        raise ArgumentError(
            f"{shown(identifier)} is no {cls.family}.",
            expected=f"a name, such as {cls.names()[0]!r}, or an object of that family",
        )

    @classmethod
    @checked
    def named(cls, name: str) -> Any:
        """The class of that name."""
        found = registry.find(f"{cls.family}.{name}") or registry.find(f"{cls.family}.{name.lower()}")
        if found is None:
            near = did_you_mean(name, cls.names())
            known = ", ".join(cls.names())
            raise UnknownNameError(f"there is no {cls.family} {name!r}.", name=name, expected=known, fix=near)
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
    @checked
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object that `get_config` described."""
        return cls(**{key: given_back(value) for key, value in config.items()})

    def __repr__(self) -> str:
        usual = {key: repr(value) for key, value in arguments_of(type(self).__init__, skip=1).defaults.items()}
        given = {key: repr(value) for key, value in self.arguments.items()}
        told = [f"{key}={text}" for key, text in given.items() if text != usual.get(key)]
        return f"{type(self).__name__}({', '.join(told)})"


def serialize(value: Any) -> Any:
    """A value of a configuration as JSON can hold it: records become {"class", "config"}, functions of the library
    their names, and what is somebody's own {"own": name}."""
    if isinstance(value, Record):
        return {"class": type(value).__name__, "config": value.get_config()}
    if isinstance(value, (list, tuple)):
        return [serialize(item) for item in value]
    if isinstance(value, Mapping):
        return {key: serialize(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    name = own_name(value)
    return {"own": name} if is_own(value) else name


def is_own(value: Any) -> bool:
    """Whether a class, function or other object is not the library's, so that a file can hold its name alone."""
    module = str(getattr(value, "__module__", ""))
    common = ("builtins", "numpy") if isinstance(value, type) else ("numpy", "numpy.dtypes")  # int, np.tanh, a dtype
    return module.partition(".")[0] != __name__.partition(".")[0] and module not in common


def own_name(value: Any) -> str:
    """The name of a class, function or record, else that of the object's class."""
    return getattr(value, "name", None) or getattr(value, "__name__", None) or type(value).__name__


def given_back(value: Any, kinds: Sequence[str] = ("own",)) -> Any:
    """What `serialize` wrote, with the objects in the place of {"own": name}; UnknownNameError where there is none."""
    if isinstance(value, list):
        return [given_back(item, kinds) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"own"}:
        return {key: given_back(item, kinds) for key, item in value.items()}
    name = str(value["own"])
    for kind in kinds[:1] if "<" in name else kinds:  # "<lambda>" is many
        if (found := registry.find(f"{kind}.{name}")) is not None:
            return found
    raise UnknownNameError(f"{name!r} is not known here.", name=name)


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
