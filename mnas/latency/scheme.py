"""How much is measured if nobody says, by what a visit of a model costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mnas.latency.chunks import Repeats
from mnas.latency.noderows import RowSource
from mnas.runtimes import ProcessPerVisit, Runtime

_ISOLATED = (Repeats(6, 5), Repeats(6, 3), Repeats(5, 3), Repeats(4, 3), Repeats(3, 3))
"""The best first. More visits beat more repetitions, which agree with each other."""
_PROFILED = (Repeats(4, 12), Repeats(3, 12), Repeats(3, 8), Repeats(2, 8), Repeats(2, 5), Repeats(2, 3))
"""Where nodes are timed: microseconds are whole numbers, so that each visit averages many."""
_STARTED = (Repeats(6, 50), Repeats(4, 50), Repeats(3, 50), Repeats(3, 30), Repeats(2, 30), Repeats(2, 20))
"""Where every visit starts a process, which takes longer than many runs of a small model."""
_BUNDLED = (Repeats(1, 50), Repeats(1, 30), Repeats(1, 20), Repeats(1, 10))
"""Where every bundle starts one: rows are visited anew in every round of bundles."""


class Scheme(NamedTuple):
    """Numbers of a measurement.

    Attributes:
        loads: units for each chunk.
        networks: how many calibration, interval and test networks.
        repeats: rounds and runs to choose from by the time they take, the most first.
    """

    loads: int
    networks: tuple[int, int, int]
    repeats: Sequence[Repeats]


def scheme(runtime: Runtime, rows: RowSource) -> Scheme:
    """The numbers for rows of a kind.

    Bundled rows of a runtime that starts a process for every visit are meant to need few: every network is visited
    once, so that there are few networks. Nine tell an interval that holds nine of ten (see `half_width`), which is the
    least; the six of the test are visited again; eight, the anchors, make the fit.
    """
    if not isinstance(runtime, ProcessPerVisit):
        return Scheme(2, (20, 19, 20), _ISOLATED if rows == "isolated" else _PROFILED)
    return Scheme(1, (8, 9, 6), _BUNDLED) if rows == "bundled" else Scheme(2, (20, 19, 20), _STARTED)
