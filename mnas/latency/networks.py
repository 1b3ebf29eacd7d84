"""Which whole networks are measured beside the rows: to calibrate and anchor, to tell intervals, and to test."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.ir import Architecture
from mnas.latency.calibration import LEAST_NETWORKS
from mnas.latency.pricing import is_constant
from mnas.latency.table import Role
from mnas.spaces import SearchSpace, sample, sample_biased

ANCHORS = 8
_TRIES = 50
"""Draws per network wanted before a space counts as exhausted."""
_DRAWS = 256
"""Draws among which the smallest and the largest network of a space are sought."""

Draw = Callable[[SearchSpace, np.random.Generator, int], NDArray[np.int64]]


class Drawn(NamedTuple):
    """Networks to measure; no function is in two sets, however it is spelt."""

    calibration: tuple[Architecture, ...]
    interval: tuple[Architecture, ...]
    test: tuple[Architecture, ...]


def draw_networks(space: SearchSpace, calibration: int, interval: int, test: int, seed: int) -> Drawn:
    """Draw distinct networks, half biased (they span the space) and half uniform, in each set.

    Calibration begins with the smallest and the largest of many draws, since a table prices only what its calibration
    spans. Interval and test networks are drawn alike and shared out at random, so that an interval which holds nine of
    ten of the former holds as many of the latter. Networks whose output does not depend on their input are left out:
    they tell nothing about rows. A space with fewer networks gives fewer of each set, in proportion.

    Raises:
        ConfigError: fewer than three calibration networks asked for, or to be had.
    """
    rng = np.random.default_rng(seed)
    ends = _ends(space, rng)
    seen = {architecture.canonical() for architecture in ends}
    sets: tuple[list[Architecture], ...] = (ends, [], [])
    rest = max(0, calibration - len(ends))
    for part, draw in enumerate((sample_biased, sample)):
        want = [(n + 1 - part) // 2 for n in (rest, interval, test)]
        found = _distinct(space, draw, rng, sum(want), seen)
        shuffled = [found[i] for i in rng.permutation(len(found))]
        start = 0
        for chosen, upto in zip(sets, accumulate(want), strict=True):
            end = -(-len(found) * upto // max(1, sum(want)))
            chosen.extend(shuffled[start:end])
            start = end
    if len(ends) < LEAST_NETWORKS:
        raise ConfigError(
            f"calibration needs at least {LEAST_NETWORKS} networks; {calibration} were asked for and space "
            f"{space.name} gave {len(ends)}"
        )
    return Drawn(*map(tuple, sets))


def _ends(space: SearchSpace, rng: np.random.Generator) -> list[Architecture]:
    """The smallest and the largest of many biased draws, by MACs; one where they are the same function."""
    drawn = [space.decode(tuple(encoding)) for encoding in sample_biased(space, rng, _DRAWS).tolist()]
    drawn = sorted((each for each in drawn if not is_constant(each)), key=_size)
    ends = {each.canonical(): each for each in (*drawn[:1], *drawn[-1:])}
    return list(ends.values())


def _distinct(
    space: SearchSpace, draw: Draw, rng: np.random.Generator, n: int, seen: set[Architecture]
) -> list[Architecture]:
    found: list[Architecture] = []
    for _ in range(_TRIES):
        for encoding in draw(space, rng, n).tolist() if len(found) < n else ():
            architecture = space.decode(tuple(encoding))
            key = architecture.canonical()
            if key not in seen and len(found) < n and not is_constant(architecture):
                seen.add(key)
                found.append(architecture)
    return found


def roles(drawn: Drawn) -> list[tuple[Architecture, Role]]:
    """Give each network its role; eight calibration networks, evenly spaced in rank of MACs, are the anchors."""
    calibration = drawn.calibration
    order = sorted(range(len(calibration)), key=lambda i: _size(calibration[i]))
    ranks = np.linspace(0, len(order) - 1, min(ANCHORS, len(order))).round().astype(int)
    anchors = {order[rank] for rank in ranks}
    named: list[tuple[Architecture, Role]] = [
        (network, "anchor" if i in anchors else "calibration") for i, network in enumerate(calibration)
    ]
    named += [(network, "interval") for network in drawn.interval]
    return [*named, *((network, "test") for network in drawn.test)]


def _size(architecture: Architecture) -> tuple[int, str]:
    """MACs of what the output needs; equal ones in one order."""
    return architecture.canonical().cost.macs, str(architecture)
