"""Rows that were never measured, estimated from those that were: a stop-gap that is flagged wherever it is used.

A row is the sum of its kernels, each a non-negative combination of its MACs, the elements it moves, its weights and
one. The coefficients are those of any kernel, plus more for its kind, plus more for its name; what is special is drawn
to zero, so that a kernel of a new name costs what its kind costs. What the sum gets wrong of rows made of the same
kernels in the same order is then corrected by a forest of random trees, in logarithms; rows of a new make-up are left
as the sum has them, since trees do not extrapolate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mnas.errors import CheckError
from mnas.ir import Placement
from mnas.latency.calibration import Floats
from mnas.latency.conformal import CONFIDENCE
from mnas.latency.kernels import Kind, kernels

LEAST_ROWS = 30
_PENALTIES = (0.0, 1e-4, 1e-3)
"""On the coefficients of any kernel, of a kind, and of a name; relative to the squared errors of all rows."""
_LEAST_MS = 1e-4
_TREES = 30
_MOST_ROWS = 800
"""Rows that grow trees; more make them slower, hardly better."""
_LEAST_SHARE = 1e-2
"""Kernels that occur in fewer of the rows, or lack in fewer, are not left out to see how they are estimated."""

_Column = tuple[int, str, str]
_MakeUp = tuple[str, ...]


class EstimatedRow(NamedTuple):
    """A row that was not measured.

    Attributes:
        ms: what it should take.
        error: relative error within which nine of ten rows like this are estimated.
    """

    ms: float
    error: float


@dataclass(frozen=True)
class Estimator:
    """Fitted to the rows of one table (see `fit_estimator`).

    Attributes:
        known_error: relative error within which nine of ten rows are estimated whose make-up was measured.
        new_error: the same of rows with a kernel whose name was not measured.
    """

    known_error: float
    new_error: float
    _additive: _Additive
    _forest: Any
    _pixels: Mapping[_MakeUp, tuple[int, int]]

    def estimate(self, placements: Sequence[Placement]) -> list[EstimatedRow]:
        """Estimate rows."""
        if not placements:
            return []
        ms = self._additive.ms(self._additive.matrix(placements))
        known = np.array([self._knows(placement) for placement in placements])
        if known.any():
            ms[known] *= np.exp(self._forest.predict(_features([placements[int(i)] for i in np.flatnonzero(known)])))
        error = np.where(known, self.known_error, self.new_error)
        return [EstimatedRow(*pair) for pair in zip(ms.tolist(), error.tolist(), strict=True)]

    def _knows(self, placement: Placement) -> bool:
        """Whether rows of this make-up were measured on smaller and on larger maps, or on such ones."""
        low, high = self._pixels.get(_make_up(placement), (1, 0))
        return low <= placement.y.h * placement.y.w <= high


def fit_estimator(rows: Mapping[Placement, float]) -> Estimator:
    """Fit measured rows in ms; the same rows give the same estimates.

    Errors are those of rows that were left out: at random, and all that have a kernel of some name.

    Raises:
        CheckError: too few rows.
    """
    if len(rows) < LEAST_ROWS:
        raise CheckError(
            f"rows that were not measured can be estimated from at least {LEAST_ROWS} measured ones, not from "
            f"{len(rows)}: measure them with mnas profile"
        )
    from sklearn.ensemble import ExtraTreesRegressor

    placements, ms = tuple(rows), np.array(list(rows.values()), np.float64)
    columns = tuple(sorted({column for placement in placements for column in _sums(placement)}))
    matrix = _matrix(placements, columns)
    additive = _Additive.fit(columns, matrix, ms)
    some = np.random.default_rng(0).permutation(len(ms))[:_MOST_ROWS]
    left = np.log(ms / additive.ms(matrix))[some]
    forest = ExtraTreesRegressor(_TREES, bootstrap=True, oob_score=True, random_state=0)
    forest.fit(_features([placements[i] for i in some]), left)
    out_of_bag = np.abs(np.expm1(forest.oob_prediction_ - left))
    pixels: dict[_MakeUp, tuple[int, int]] = {}
    for placement in placements:
        size = placement.y.h * placement.y.w
        low, high = pixels.get(_make_up(placement), (size, size))
        pixels[_make_up(placement)] = (min(low, size), max(high, size))
    known = float(np.quantile(out_of_bag, CONFIDENCE))
    new = max(known, _new_error(placements, columns, matrix, ms))
    return Estimator(known, new, additive, forest, pixels)


def _new_error(placements: Sequence[Placement], columns: tuple[_Column, ...], matrix: Floats, ms: Floats) -> float:
    """The relative error of nine of ten rows that hold a kernel which no row of the fit has; kernels count alike."""
    names = [frozenset(kernel.name for kernel in kernels(placement)) for placement in placements]
    least = max(2, _LEAST_SHARE * len(ms))
    errors: list[float] = []
    for name in sorted(frozenset().union(*names)):
        out = np.array([name in each for each in names])
        if min(out.sum(), (~out).sum()) < least or (~out).sum() < LEAST_ROWS // 2:
            continue
        error = np.abs(_Additive.fit(columns, matrix[~out], ms[~out]).ms(matrix[out]) / ms[out] - 1)
        errors += np.quantile(error, np.linspace(0, 1, 101)).tolist()
    return float(np.quantile(errors, CONFIDENCE)) if errors else 0.0


@dataclass(frozen=True)
class _Additive:
    """Rows as sums over their kernels."""

    columns: tuple[_Column, ...]
    weights: Floats

    @classmethod
    def fit(cls, columns: tuple[_Column, ...], matrix: Floats, ms: Floats) -> _Additive:
        from sklearn.linear_model import LinearRegression

        design = matrix / ms[:, None]
        scale = design.mean(axis=0)
        scale[scale == 0] = 1
        penalty = np.sqrt(np.array([_PENALTIES[column[0]] for column in columns]) * len(ms))
        stacked = np.concatenate([design / scale, np.diag(penalty)])
        target = np.repeat([1.0, 0.0], [len(ms), len(columns)])
        found = LinearRegression(fit_intercept=False, positive=True).fit(stacked, target)
        return cls(columns, found.coef_ / scale)

    def ms(self, matrix: Floats) -> Floats:
        return np.maximum(matrix @ self.weights, _LEAST_MS)

    def matrix(self, placements: Sequence[Placement]) -> Floats:
        return _matrix(placements, self.columns)


def _sums(placement: Placement) -> dict[_Column, float]:
    """The quantities of all kernels, of each kind of them, and of each name."""
    sums: defaultdict[_Column, float] = defaultdict(float)
    for kernel in kernels(placement):
        for level, which in enumerate(("", kernel.kind, kernel.name)):
            sums[level, which, "kernels"] += 1
            for quantity, amount in (("macs", kernel.macs), ("moved", kernel.moved), ("weights", kernel.weights)):
                if amount:
                    sums[level, which, quantity] += amount
    sums[0, "", "rows"] = 1
    return sums


def _matrix(placements: Sequence[Placement], columns: tuple[_Column, ...]) -> Floats:
    """The quantities of placements, (n, columns); those of no column are left out."""
    return np.array([[sums.get(column, 0.0) for column in columns] for sums in map(_sums, placements)], np.float64)


def _features(placements: Sequence[Placement]) -> NDArray[np.float32]:
    """Numbers in logarithms that trees may split at, (n, features)."""
    return np.log1p(np.array([_described(placement) for placement in placements], np.float32))


def _described(placement: Placement) -> list[float]:
    x, y, every = placement.x, placement.y, kernels(placement)
    found: list[float] = [*x, *y, len(placement.inputs), len(every)]
    for kind in get_args(Kind):
        mine = [kernel for kernel in every if kernel.kind == kind]
        found += [len(mine), *(sum(each) for each in zip(*((k.macs, k.moved, k.weights) for k in mine), strict=True))]
        found += [0.0] * (3 * (not mine))
        found += [max((k.window for k in mine), default=0), max((k.stride for k in mine), default=0)]
    return found


def _make_up(placement: Placement) -> _MakeUp:
    return tuple(kernel.name for kernel in kernels(placement))
