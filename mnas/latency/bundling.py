"""Rows side by side in a few large files, so that they take few starts of a process."""

from __future__ import annotations

from collections.abc import Collection
from math import ceil

import numpy as np

from mnas.ir import Bundle, Placement
from mnas.latency.chunks import loaded_bytes, seconds, spread
from mnas.latency.kernels import kernels

TIMES = 3
"""How often every row is measured: each time between others, by another process."""
_LEAST_TIMES = 2
_MOST_BUNDLES = 27
"""Bundles in all where every row is to occur `TIMES` times; beyond, they occur fewer times."""
_MOST_KERNELS = 700
"""Kernels of a bundle: `benchmark_model` keeps 1024 events of a run, and some kernels are two operators."""
_MOST_BYTES = 600e6
_MOST_GB_SHARE = 0.8
"""Of the memory that a process may take: the rest is its own."""
_MOST_S = 0.5
"""Seconds that one run of a bundle may take, as estimated."""


def bundled(rows: Collection[Placement], max_memory_gb: float, seed: int) -> list[list[Bundle]]:
    """Pack rows into bundles, several times over.

    A bundle is limited by its kernels, its memory and the time of a run; a row that exceeds a limit has its own.

    Args:
        rows: placements, each once.
        max_memory_gb: memory that a measuring process may take, in GB.
        seed: of the orders.

    Returns:
        Rounds of bundles: each holds every row once, in an order of its own.
    """
    most_bytes = min(_MOST_BYTES, _MOST_GB_SHARE * max_memory_gb * 1e9)
    rng, ordered = np.random.default_rng(seed), list(rows)
    shares = {row: _share(Bundle((row,)), most_bytes) for row in ordered}
    least = ceil(_share(Bundle(tuple(ordered)), most_bytes)) if ordered else 0
    found: list[list[Bundle]] = []
    while ordered and (len(found) < _LEAST_TIMES or (len(found) < TIMES and _few(found))):
        shuffled = [ordered[i] for i in rng.permutation(len(ordered))]
        for n in range(min(least, len(ordered)), len(ordered) + 1):
            bundles = [Bundle(tuple(part)) for part in spread(shuffled, shares.__getitem__, n) if part]
            if all(len(each.placements) == 1 or _share(each, most_bytes) <= 1 for each in bundles):
                break
        found.append(bundles)
    return found


def _few(rounds: list[list[Bundle]]) -> bool:
    return len(rounds[0]) * TIMES <= _MOST_BUNDLES


def _share(bundle: Bundle, most_bytes: float) -> float:
    """How near a bundle comes to a limit, which is at 1."""
    work = sum(len(kernels(row)) for row in bundle.placements)
    return max(work / _MOST_KERNELS, loaded_bytes(bundle) / most_bytes, seconds(bundle) / _MOST_S)
