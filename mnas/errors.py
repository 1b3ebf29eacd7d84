"""Every exception a caller may want to catch; nothing else in mnas defines one.

A message says what was asked, what is known, and which command fixes it. `exit_code` is what the command line
returns when the error reaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class MnasError(Exception):
    """Base class of all errors raised on purpose by mnas."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[object, ...]:  # by its message, whatever it was made of; workers send errors so
        return _restored, (type(self), self.args, self.__dict__)


def _restored(cls: type[MnasError], args: tuple[object, ...], attributes: dict[str, object]) -> MnasError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(attributes)
    return error


class UnknownNameError(MnasError, KeyError):
    """A registry was asked for a name it does not hold."""

    exit_code = 2

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(known)) or 'none'}")


class ParseError(MnasError, ValueError):
    """A text form of a shape, an op or an architecture does not follow the grammar."""

    exit_code = 2


class ShapeError(MnasError, ValueError):
    """Layers that do not fit the shapes they are given."""

    exit_code = 2


class ConfigError(MnasError, ValueError):
    """A setting that is unknown, of the wrong type or out of range, or does not fit the others."""

    exit_code = 2


class DataError(MnasError, ValueError):
    """A data set that is missing, empty or malformed."""

    exit_code = 2


class EvaluationError(MnasError, RuntimeError):
    """Training that diverges, or workers that cannot run an evaluator."""


class FormatError(MnasError, ValueError):
    """A file of ours that is truncated, edited or of another version."""


class DeviceError(MnasError, RuntimeError):
    """A device that is missing, unauthorised or busy, or a runtime it does not have."""

    exit_code = 3


class CheckError(MnasError, RuntimeError):
    """A check failed: budget, parity, accuracy drop or predictor error."""

    exit_code = 4


class SpanError(CheckError):
    """A latency model was not fitted to networks of such a size.

    Attributes:
        ms: what it would say all the same.
    """

    def __init__(self, message: str, ms: float) -> None:
        super().__init__(message)
        self.ms = ms


class MissingLatencyError(MnasError, LookupError):
    """A latency table lacks rows that an architecture needs."""

    exit_code = 5

    def __init__(self, table: str, missing: Sequence[str], command: str) -> None:
        shown = "\n  ".join(missing[:5])
        more = f"\n  ... and {len(missing) - 5} more" if len(missing) > 5 else ""
        super().__init__(f"table {table!r} lacks {len(missing)} row(s):\n  {shown}{more}\nmeasure them with: {command}")
        self.missing = tuple(missing)
        self.command = command
