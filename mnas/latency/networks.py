"""Which whole networks are measured beside the rows: to calibrate, to anchor, and to test."""

from __future__ import annotations

from collections.abc import Callable

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


def draw_networks(
    space: SearchSpace, calibration: int, test: int, seed: int
) -> tuple[tuple[Architecture, ...], tuple[Architecture, ...]]:
    """Draw distinct networks, half biased (they span the space) and half uniform, in either set.

    Calibration begins with the smallest and the largest of many draws, since a table prices only what its calibration
    spans. Networks whose output does not depend on their input are left out: they tell nothing about rows. A space with
    fewer networks gives fewer of both, in proportion.

    Returns:
        Calibration networks and test networks; no function is in both, however it is spelt.

    Raises:
        ConfigError: fewer than three calibration networks asked for, or to be had.
    """
    rng = np.random.default_rng(seed)
    ends = _ends(space, rng)
    seen = {architecture.canonical() for architecture in ends}
    sets: tuple[list[Architecture], list[Architecture]] = (ends, [])
    rest = max(0, calibration - len(ends))
    for part, draw in enumerate((sample_biased, sample)):
        want = [(n + 1 - part) // 2 for n in (rest, test)]
        found = _distinct(space, draw, rng, sum(want), seen)
        cut = want[0] if len(found) == sum(want) else -(-len(found) * want[0] // sum(want))
        sets[0].extend(found[:cut])
        sets[1].extend(found[cut:])
    if len(sets[0]) < LEAST_NETWORKS:
        raise ConfigError(
            f"calibration needs at least {LEAST_NETWORKS} networks; {calibration} were asked for and space "
            f"{space.name} gave {len(sets[0])}"
        )
    return tuple(sets[0]), tuple(sets[1])


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


def roles(calibration: tuple[Architecture, ...], test: tuple[Architecture, ...]) -> list[tuple[Architecture, Role]]:
    """Give each network its role; eight calibration networks, evenly spaced in rank of MACs, are the anchors."""
    order = sorted(range(len(calibration)), key=lambda i: _size(calibration[i]))
    ranks = np.linspace(0, len(order) - 1, min(ANCHORS, len(order))).round().astype(int)
    anchors = {order[rank] for rank in ranks}
    named: list[tuple[Architecture, Role]] = [
        (network, "anchor" if i in anchors else "calibration") for i, network in enumerate(calibration)
    ]
    return [*named, *((network, "test") for network in test)]


def _size(architecture: Architecture) -> tuple[int, str]:
    return architecture.cost.macs, str(architecture)
