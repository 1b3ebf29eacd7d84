"""What an op is, and its one text form.

An op is a frozen dataclass with one method, `layers`. Its text form, `mbconv_c24_k5_s2_se0.25`, is derived from its
fields in both directions: it is the table key, the checkpoint format and the log line. Fields equal to their default
are omitted from the text, so a default is frozen once released.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from mnas.errors import ParseError
from mnas.ir.layers import Layer
from mnas.ir.shape import Cost, Shape
from mnas.registry import Registry

Value = int | float | str
O = TypeVar("O", bound="type[Op]")  # noqa: E741
_VALUE = {int: r"\d+", float: r"\d+(?:\.\d+)?(?:e-?\d+)?"}


class Tag(NamedTuple):
    """How one field of an op is written: its tag, its type (int, float or the words of a Literal), its range."""

    name: str
    tag: str
    type: type[int] | type[float] | tuple[str, ...]
    lo: float
    hi: float
    default: Any

    @property
    def pattern(self) -> str:
        """Regular expression of a value."""
        return "|".join(self.type) if isinstance(self.type, tuple) else _VALUE[self.type]

    def normalise(self, value: Value) -> Value:
        """Check a value and give it its one representation: 1.0 for 1 in a float field.

        Raises:
            ParseError: of another type, or out of range.
        """
        if isinstance(self.type, tuple):
            if value in self.type:
                return value
            raise ParseError(f"{self.name} must be one of {', '.join(self.type)}, got {value!r}")
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (self.type is float and isinstance(value, float))) or not self.lo <= float(value) <= self.hi:
            raise ParseError(f"{self.name} must be a {self.type.__name__} in {self.lo:g}..{self.hi:g}, got {value!r}")
        return self.type(value)

    def write(self, value: Value) -> str:
        """The tag and the value; parses back to the same value."""
        return f"{self.tag}{value!r}".removesuffix(".0") if isinstance(value, float) else f"{self.tag}{value}"


def arg(tag: str, default: Any = MISSING, *, lo: float = 1, hi: float = 65536) -> Any:
    """Declare an op field written `tag` and its value in the text form; numbers are checked to be in lo..hi."""
    return field(default=default, metadata={"tag": tag, "lo": lo, "hi": hi})


@dataclass(frozen=True)
class Op(ABC):
    """One searchable block: the unit that is chosen, measured and looked up. Fields are int, float or Literal words."""

    name: ClassVar[str]
    tags: ClassVar[tuple[Tag, ...]]

    @abstractmethod
    def layers(self, x: Shape) -> Layer:
        """Say what this op is made of when its input has shape `x`."""

    def __post_init__(self) -> None:
        for tag in self.tags:
            object.__setattr__(self, tag.name, tag.normalise(getattr(self, tag.name)))

    def out_shape(self, x: Shape) -> Shape:
        """Shape of the output for an input of shape `x`; ShapeError where the op does not fit it."""
        return _out_shape(self, x)

    def cost(self, x: Shape) -> Cost:
        """MACs of one sample and trainable parameters for an input of shape `x`."""
        return self.layers(x).cost(x)

    @cached_property
    def _text(self) -> str:
        values = ((tag, getattr(self, tag.name)) for tag in self.tags)
        return "_".join([self.name, *(tag.write(value) for tag, value in values if value != tag.default)])

    @cached_property
    def _hash(self) -> int:
        return hash(self._text)

    def __getstate__(self) -> dict[str, Value]:
        return {tag.name: getattr(self, tag.name) for tag in self.tags}  # the cached hash is another in each process

    def __str__(self) -> str:
        return self._text


@lru_cache(maxsize=65536)
def _out_shape(op: Op, x: Shape) -> Shape:
    return op.layers(x).out_shape(x)


_OPS: Registry[type[Op]] = Registry("op", ("mnas.ops",))


def _text_hash(op: Op) -> int:
    return op._hash


def _tags(cls: type[Op]) -> tuple[Tag, ...]:
    hints = get_type_hints(cls)
    out = []
    for f in fields(cls):
        hint = hints[f.name]
        kind = get_args(hint) if get_origin(hint) is Literal else hint
        if not isinstance(kind, tuple) and kind not in _VALUE:
            raise TypeError(f"{cls.__name__}.{f.name}: op fields are int, float or Literal words, not {hint}")
        out.append(Tag(f.name, f.metadata["tag"], kind, f.metadata["lo"], f.metadata["hi"], f.default))
    return tuple(out)


def register_op(name: str) -> Callable[[O], O]:
    """Class decorator: make an `Op` dataclass known to `parse_op` under `name` (letters and digits)."""

    def decorate(cls: O) -> O:
        if not re.fullmatch(r"[a-z][a-z0-9]*", name):
            raise ValueError(f"op name {name!r}: lower-case letters and digits only")
        tags = _tags(cls)
        _OPS.register(name)(cls)
        cls.name, cls.tags = name, tags
        cls.__hash__ = _text_hash  # type: ignore[assignment]  # a dataclass's own leaves the class out
        return cls

    return decorate


def known_ops() -> dict[str, type[Op]]:
    """Name -> class of every registered op (a copy)."""
    return {name: _OPS[name] for name in _OPS}


@lru_cache(maxsize=65536)
def parse_op(text: str) -> Op:
    """Read an op back from its text form.

    Raises:
        UnknownNameError: the leading word names no registered op.
        ParseError: a tag is unknown, repeated or missing, or a value is not of the field's type and range.
    """
    name, *parts = text.split("_")
    cls = _OPS[name]
    values: dict[str, Value] = {}
    for part in parts:
        tag, value = _read(text, cls, part)
        if tag.name in values:
            raise ParseError(f"{text!r}: {part!r} repeats the tag {tag.tag!r}")
        values[tag.name] = value
    missing = [tag.tag for tag in cls.tags if tag.default is MISSING and tag.name not in values]
    if missing:
        raise ParseError(f"{text!r}: missing {', '.join(missing)}; tags of {name}: {_usage(cls)}")
    try:
        return cls(**values)
    except ParseError as error:
        raise ParseError(f"{text!r}: {error}") from None


def _read(text: str, cls: type[Op], part: str) -> tuple[Tag, Value]:
    for tag in sorted(cls.tags, key=lambda t: -len(t.tag)):
        if match := re.fullmatch(f"{re.escape(tag.tag)}({tag.pattern})", part, re.ASCII):
            return tag, match[1] if isinstance(tag.type, tuple) else tag.type(match[1])
    raise ParseError(f"{text!r}: cannot read {part!r}; tags of {cls.name}: {_usage(cls)}")


def _usage(cls: type[Op]) -> str:
    kinds = (f"<{'|'.join(t.type) if isinstance(t.type, tuple) else t.type.__name__}>" for t in cls.tags)
    return ", ".join(f"{tag.tag}{kind}" for tag, kind in zip(cls.tags, kinds, strict=True)) or "none"
