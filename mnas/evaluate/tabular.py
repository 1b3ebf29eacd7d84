"""Accuracies that were measured before: a table of networks instead of training."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from mnas.errors import ConfigError, DataError
from mnas.evaluate.evaluator import evaluators
from mnas.ir import Architecture
from mnas.spaces import Encoding, EncodingSpace, arity
from mnas.spaces import space as make_space

KEY = "arch"
"""Column of a table of results: the encoding, one digit a choice."""
_DIGITS = "0123456789"


@evaluators.register("table")
@dataclass(frozen=True)
class TableEvaluator:
    """Looks the accuracy of a network up by its encoding, as it was measured; nothing is trained.

    Networks are told apart as the table does: two cells that compute the same function, one with a dead end, are two
    rows.

    Attributes:
        file: CSV file, compressed or not, with a column `arch` of encodings (one digit a choice, in the order of the
            space's choices) and columns of accuracies.
        accuracy: the column to read, in percent.
        space: name of the search space.
        classes: of the networks.
        image_size: of their input, in pixels.
        channels: of their input.
    """

    spellings: ClassVar[bool] = True

    file: str
    accuracy: str
    space: str
    classes: int | None = None
    image_size: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        space = self._space
        percent = _column(self.file, self.accuracy, tuple(arity(space).tolist()))
        if worst := [value for value in percent.values() if not 0 <= value <= 100]:
            raise ConfigError(f"column {self.accuracy} of {self.file} is no accuracy in percent: it has {worst[0]}")

    def __call__(self, architecture: Architecture, seed: int) -> float:
        """The accuracy of the table, 0..1, whatever the seed.

        Raises:
            ConfigError: not a network of the space, or the table does not hold it.
        """
        space = self._space
        encoding = space.encode(architecture)
        found = _column(self.file, self.accuracy, tuple(arity(space).tolist())).get(encoding)
        if found is None:
            raise ConfigError(f"{self.file} does not hold {encoding}")
        return found / 100

    @property
    def _space(self) -> EncodingSpace:
        space = make_space(self.space, classes=self.classes, image_size=self.image_size, channels=self.channels)
        if not isinstance(space, EncodingSpace):
            raise ConfigError(f"space {self.space} cannot read networks back, so no table of results can be looked up")
        return space


def read_results(path: str | Path, columns: Sequence[str], options: Sequence[int]) -> dict[Encoding, tuple[float, ...]]:
    """Read columns of a table of results: finite numbers by encoding.

    Args:
        path: CSV file with a column `arch`, one digit a choice.
        columns: which.
        options: number of options of every choice of the space.

    Raises:
        DataError: no such file, no CSV, a missing column (those that exist are named), no number, a network that is
            none or that stands there twice.
    """
    try:
        frame = pd.read_csv(path, dtype={KEY: str})
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read the table of results {path}: {error}") from None
    if missing := [name for name in (KEY, *columns) if name not in frame.columns]:
        raise DataError(f"{path} has no column {', '.join(missing)}; it has: {', '.join(frame.columns)}")
    numbers = frame[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        raise DataError(f"{path} has rows without a number in {' or '.join(columns)}, or no rows at all")
    rows = {_encoding(str(key), options): tuple(row) for key, row in zip(frame[KEY], numbers.tolist(), strict=True)}
    if len(rows) < len(frame):
        raise DataError(f"{path} has a network more than once, such as {frame[KEY][frame[KEY].duplicated()].iloc[0]}")
    return rows


def _encoding(key: str, options: Sequence[int]) -> Encoding:
    if len(key) != len(options) or not all(d in _DIGITS[:n] for d, n in zip(key, options, strict=True)):
        raise DataError(f"{key!r} is no network: {len(options)} digits, each below {', '.join(map(str, options))}")
    return tuple(map(int, key))


@lru_cache(maxsize=4)
def _column(file: str, column: str, options: tuple[int, ...]) -> dict[Encoding, float]:
    return {encoding: value for encoding, (value,) in read_results(file, (column,), options).items()}
