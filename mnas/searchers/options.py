"""Options of plug-ins: parameters of their factories, checked before they are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from mnas.errors import ConfigError


def check_options(
    what: str, factory: Callable[..., object], given: Mapping[str, object], *, reserved: Collection[str]
) -> dict[str, Any]:
    """Check `given` against the options of `factory` and give them their declared types.

    Args:
        what: the plug-in, for messages: "searcher 'evolution'".
        factory: a class or function whose options are annotated int, float, bool, str or Literal, or one of these
            or None, which stands for a default of its own.
        given: option name -> value, such as a table of a TOML file.
        reserved: parameters that every plug-in of the role is given by mnas; they are not options.

    Raises:
        ConfigError: an unknown option (the known ones are listed), a value of another type, or none where the
            factory has no default.
    """
    known = {name: each for name, each in parameters(factory).items() if name not in reserved}
    for name in given:
        if name not in known:
            listed = ", ".join(map(_listed, known.values()))
            raise ConfigError(f"{what} has no option {name!r}; known: {listed or 'none'}")
    if missing := [name for name, each in known.items() if each.default is Parameter.empty and name not in given]:
        raise ConfigError(f"{what} needs the option {' and '.join(missing)}")
    return {name: _typed(f"{what}: {name}", known[name].annotation, value) for name, value in given.items()}


def parameters(factory: Callable[..., object]) -> Mapping[str, Parameter]:
    """The parameters of `factory` by name, annotations evaluated."""
    return signature(factory, eval_str=True).parameters


def _listed(option: Parameter) -> str:
    return option.name if option.default is Parameter.empty else f"{option.name} (default {option.default})"


def _typed(what: str, kind: Any, value: object) -> object:
    if isinstance(kind, UnionType):
        (kind,) = set(get_args(kind)) - {NoneType}
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise ConfigError(f"{what} must be one of {', '.join(map(str, get_args(kind)))}, got {value!r}")
    if kind is float and type(value) in (int, float) and math.isfinite(float(str(value))):
        return float(str(value))
    if kind is not float and type(value) is kind:
        return value
    raise ConfigError(f"{what} must be a {'finite ' * (kind is float)}{kind.__name__}, got {value!r}")
