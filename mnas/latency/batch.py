"""Many encodings of a chain space at once: what every segment costs is tabulated, then prices are looked up.

A segment of a chain costs what its own choices and the shape it reads say, so that the shape is all that is carried
from segment to segment. The joint options of all segments are one product of matrices in float32, which is exact
below 2^24.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import nan, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.ir import Placement, Shape, chain
from mnas.latency.calibration import Floats
from mnas.latency.pricing import works
from mnas.spaces import ChainSpace, SearchSpace, arity

_LARGEST = 2**16
"""Entries of a segment's table beyond which decoding is cheaper than compiling."""
_AT_ONCE = 1024
"""Encodings whose intermediate values stay in the cache of a core, and whose product no BLAS spreads over threads."""

_BYTE = 255
_ROWS = 16
"""Encodings that are compared as one long row."""


class _Segment(NamedTuple):
    """A table over (shape that is read, joint option), flat: (shapes * options,) each.

    Attributes:
        sums: the sum of the rows in ms, NaN where one was not measured, and their number as the imaginary part: one
            look-up gives both.
        after: where the entries of the next segment start for the shape that this one gives.
    """

    sums: NDArray[np.complex128]
    after: NDArray[np.intp]


class ChainPrices(NamedTuple):
    """The compiled rows of a chain space (see `compile_chain`).

    Attributes:
        arity: number of options of every choice, (choices,).
        strides: what an option index of a choice adds to the joint option of a segment, (choices, segments).
        segments: their tables.
    """

    arity: NDArray[np.int64]
    strides: NDArray[np.float32]
    segments: tuple[_Segment, ...]

    def sums(self, encodings: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """Sum of the rows in ms and number of the rows of encodings (n, choices), (n,) each.

        The sum is NaN where a row was not measured, and where an index has no option.
        """
        if encodings.dtype != np.uint8:
            encodings = encodings.astype(np.int64, copy=False)
        total, rows = np.empty(len(encodings)), np.empty(len(encodings))
        for start in range(0, len(encodings), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            sums = self._sums(encodings[part])
            total[part], rows[part] = sums.real, sums.imag
        return total, rows

    def _sums(self, indices: NDArray[np.integer]) -> NDArray[np.complex128]:
        wrong = None
        if not 0 <= np.bitwise_or.reduce(indices, axis=None) <= _BYTE or np.any(_largest(indices) >= self.arity):
            wrong = np.any((indices < 0) | (indices >= self.arity), axis=1)
            indices = np.where(wrong[:, None], 0, indices)
        joint = indices.astype(np.uint8, copy=False).astype(np.float32) @ self.strides
        sums = np.zeros(len(indices), np.complex128)
        at, *rest = joint.T.astype(np.intp, order="C")
        for segment, option in zip(self.segments, [*rest, None], strict=True):
            sums += segment.sums.take(at)
            if option is not None:
                at = segment.after.take(at) + option
        if wrong is not None:
            sums[wrong] = np.nan
        return sums


def _largest(indices: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The largest index of each choice, (choices,), of indices that fit a byte; many rows at a time is faster."""
    small = indices.astype(np.uint8, copy=False)
    whole = len(small) - len(small) % _ROWS
    many = small[:whole].reshape(-1, _ROWS * small.shape[1]).max(axis=0, initial=0)
    found: NDArray[np.uint8] = np.vstack([many.reshape(_ROWS, -1), small[whole:]]).max(axis=0)
    return found


def compile_chain(space: SearchSpace, known: Mapping[Placement, float]) -> ChainPrices | None:
    """Tabulate what the segments of a space cost.

    Args:
        space: any space.
        known: ms of the measured placements.

    Returns:
        Nothing where looking up is not exact or does not pay: the space is no `ChainSpace`, it holds an op that is
        not executed (see `executed`), or a segment has too many joint options.
    """
    if not isinstance(space, ChainSpace):
        return None
    counts = arity(space)
    strides = np.zeros((len(counts), len(space.segments)), np.float32)
    segments: list[_Segment] = []
    shapes = {space.x: 0}
    for i, choices in enumerate(space.segments):
        sizes = counts[list(choices)].tolist()
        if prod(sizes) * len(shapes) > _LARGEST or max(sizes, default=0) > _BYTE:
            return None
        strides[list(choices), i] = [prod(sizes[j + 1 :]) for j in range(len(sizes))]
        if i:
            segments[-1].after[:] *= prod(sizes)
        tabulated = _tabulate(space, i, shapes, known)
        if tabulated is None:
            return None
        segment, shapes = tabulated
        segments.append(segment)
    return ChainPrices(counts, strides, tuple(segments))


def _tabulate(
    space: ChainSpace, i: int, shapes: Mapping[Shape, int], known: Mapping[Placement, float]
) -> tuple[_Segment, dict[Shape, int]] | None:
    """The table of segment i that reads one of `shapes`, and the shapes it gives, numbered; `after` counts those."""
    options = [space.choices[choice].options for choice in space.segments[i]]
    given: dict[Shape, int] = {}
    total, rows, after = [], [], []
    for x in shapes:
        for chosen in product(*options):
            ops, y = space.extend(i, chosen, x)
            placements = chain(x, ops).placements
            if not all(map(works, placements)):
                return None
            total.append(sum([known.get(placement, nan) for placement in placements]))
            rows.append(len(placements))
            after.append(given.setdefault(y, len(given)))
    return _Segment(np.array(total) + 1j * np.array(rows), np.array(after, np.intp)), given
