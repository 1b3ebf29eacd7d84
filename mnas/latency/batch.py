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
"""Encodings whose intermediate values stay in the cache of a core."""


class _Segment(NamedTuple):
    """A table over (shape that is read, joint option), flat: (shapes * options,) each.

    Attributes:
        total: sum of the rows in ms; NaN where one was not measured.
        rows: their number.
        after: where the entries of the next segment start for the shape that this one gives.
    """

    total: Floats
    rows: Floats
    after: NDArray[np.intp]


class ChainPrices(NamedTuple):
    """The compiled rows of a chain space (see `compile_chain`).

    Attributes:
        arity: number of options of every choice, (choices,).
        strides: what an option index of a choice adds to the joint option of a segment, (segments, choices).
        segments: their tables.
    """

    arity: NDArray[np.float32]
    strides: NDArray[np.float32]
    segments: tuple[_Segment, ...]

    def sums(self, encodings: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """Sum of the rows in ms and number of the rows of encodings (n, choices), (n,) each.

        The sum is NaN where a row was not measured, and where an index has no option.
        """
        total, rows = np.empty(len(encodings)), np.empty(len(encodings))
        for start in range(0, len(encodings), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            total[part], rows[part] = self._sums(encodings[part].astype(np.float32))
        return total, rows

    def _sums(self, indices: NDArray[np.float32]) -> tuple[Floats, Floats]:
        wrong = None
        if (indices.min(axis=0) < 0).any() or (indices.max(axis=0) >= self.arity).any():
            wrong = ((indices < 0) | (indices >= self.arity)).any(axis=1)
            indices[wrong] = 0
        joint = (self.strides @ indices.T).astype(np.intp)
        total, rows = np.zeros(len(indices)), np.zeros(len(indices))
        start: NDArray[np.intp] = np.zeros(len(indices), np.intp)
        for option, segment in zip(joint, self.segments, strict=True):
            at = start + option
            total += segment.total.take(at)
            rows += segment.rows.take(at)
            start = segment.after.take(at)
        if wrong is not None:
            total[wrong] = np.nan
        return total, rows


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
    strides = np.zeros((len(space.segments), len(counts)), np.float32)
    segments: list[_Segment] = []
    shapes = {space.x: 0}
    for i, choices in enumerate(space.segments):
        sizes = counts[list(choices)].tolist()
        if prod(sizes) * len(shapes) > _LARGEST:
            return None
        strides[i, list(choices)] = [prod(sizes[j + 1 :]) for j in range(len(sizes))]
        if i:
            segments[-1].after[:] *= prod(sizes)
        tabulated = _tabulate(space, i, shapes, known)
        if tabulated is None:
            return None
        segment, shapes = tabulated
        segments.append(segment)
    return ChainPrices(counts.astype(np.float32), strides, tuple(segments))


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
    return _Segment(np.array(total, np.float64), np.array(rows, np.float64), np.array(after, np.intp)), given
