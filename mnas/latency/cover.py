"""Which whole networks hold every placement of a space: what in-network rows are measured in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.ir import Architecture, Network, Placement, Shape, chain
from mnas.ir.layers import Seq
from mnas.latency.pricing import executed, works
from mnas.spaces import ChainSpace, Encoding, SearchSpace, arity, mutate, sample, sample_biased

Ints = NDArray[np.int64]

TIMES = 3
"""How often every placement occurs: each occurrence has other neighbours."""
_LARGEST = 2**17
"""Joint options of a segment, over all shapes it can read, beyond which networks are sought by trial."""
_DRAWS = 48
"""Networks among which the best is taken, of either way to draw."""
_STEPS = 150
"""Mutations on the way to a placement that draws do not meet."""
_FAILURES = 20
"""Placements in a row that were not reached, after which the rest is given up."""


def cover(
    space: SearchSpace, rows: Collection[Placement], *, times: int = TIMES, seed: int = 0
) -> tuple[Architecture, ...]:
    """Choose networks of a space in which each of `rows` occurs at least `times` times, in as few as is cheap.

    In a chain space each network is the one that adds most to what is still lacking: the best path through the
    segments, found exactly. In any other space it is the best of many draws; placements that draws do not meet are
    approached by mutations, and given up where that fails. A placement that occurs twice in a network counts twice.

    Args:
        space: any space.
        rows: the placements asked for; those that no network of the space can hold are passed over.
        times: occurrences of each over all networks.
        seed: the same seed chooses the same networks.

    Raises:
        ConfigError: `times` is not positive.
    """
    if times < 1:
        raise ConfigError(f"every placement must occur at least once in the cover networks, got times {times}")
    rng = np.random.default_rng(seed)
    lacking = Counter(dict.fromkeys(rows, times))
    found = list(_along(space, lacking, rng)) if isinstance(space, ChainSpace) else []
    found += _tried(space, lacking, rng)
    return tuple(found)


def told(network: Network) -> Counter[Placement]:
    """How often a profile of a network tells of each placement: it is executed, or takes no time wherever it stands.

    Of bundles these are all.
    """
    if not isinstance(network, Architecture):
        return Counter(network.placements)
    free = (placement for placement in network.placements if not _operates(placement))
    return Counter(executed(network, True)) + Counter(free)


@lru_cache(maxsize=65536)
def _operates(placement: Placement) -> bool:
    """Whether it is written as operators where its input is no constant: no zeros, and no identity of one value."""
    return works(placement) or (len(placement.inputs) > 1 and placement.op.layers(placement.x) == Seq())


class _Segment(NamedTuple):
    """What the joint options of a segment that reads one shape add.

    Attributes:
        options: index of the option of every choice, (joint options, choices).
        rows: numbers of the placements, 0 where there are none, (joint options, most placements).
        counts: how often each occurs, of the same shape.
        after: number of the shape that each joint option gives, (joint options,).
    """

    options: Ints
    rows: Ints
    counts: Ints
    after: Ints


def _along(space: ChainSpace, lacking: Counter[Placement], rng: np.random.Generator) -> Iterator[Architecture]:
    """Yield best paths while they hold placements that are lacking, which are counted down."""
    number = {placement: i for i, placement in enumerate(lacking, start=1)}
    segments = _tabulated(space, number)
    if segments is None:
        return
    deficit = np.zeros(len(number) + 1, np.int64)
    deficit[1:] = list(lacking.values())
    while True:
        encoding, gain = _best_path(segments, deficit, len(space.choices), space.segments, rng)
        if not gain:
            return
        architecture = space.decode(encoding)
        lacking.subtract(lacking & told(architecture))
        deficit[1:] = [lacking[placement] for placement in number]
        yield architecture


def _tabulated(space: ChainSpace, number: dict[Placement, int]) -> list[list[_Segment]] | None:
    """The tables of every segment by the number of the shape it reads; nothing where they would be too large."""
    sizes, shapes, segments = arity(space), {space.x: 0}, []
    for i, choices in enumerate(space.segments):
        ranges = [range(int(sizes[choice])) for choice in choices]
        if prod(map(len, ranges)) * len(shapes) > _LARGEST:
            return None
        after: dict[Shape, int] = {}
        segments.append([_segment(space, i, list(product(*ranges)), x, number, after) for x in shapes])
        shapes = after
    return segments


def _segment(
    space: ChainSpace, i: int, indices: list[tuple[int, ...]], x: Shape, number: dict[Placement, int],
    after: dict[Shape, int],
) -> _Segment:  # fmt: skip
    options = [space.choices[choice].options for choice in space.segments[i]]
    held, given = [], []
    for joint in indices:
        ops, y = space.extend(i, tuple([own[index] for own, index in zip(options, joint, strict=True)]), x)
        held.append(Counter(number.get(placement, 0) for placement in (chain(x, ops).placements if ops else ())))
        given.append(after.setdefault(y, len(after)))
    rows = np.zeros((len(indices), max(1, *map(len, held))), np.int64)
    counts = np.zeros_like(rows)
    for j, each in enumerate(held):
        rows[j, : len(each)], counts[j, : len(each)] = list(each), list(each.values())
    return _Segment(np.array(indices, np.int64).reshape(len(indices), -1), rows, counts, np.array(given, np.int64))


def _best_path(
    segments: list[list[_Segment]], deficit: Ints, choices: int, decided: tuple[tuple[int, ...], ...],
    rng: np.random.Generator,
) -> tuple[Encoding, int]:  # fmt: skip
    """The encoding that takes most off `deficit`, from the last segment back; ties are broken at random."""
    ahead = np.zeros(max(segment.after.max() for segment in segments[-1]) + 1)
    picks: list[list[int]] = []
    for tables in reversed(segments):
        value, pick = np.zeros(len(tables)), []
        for j, table in enumerate(tables):
            gain = np.minimum(table.counts, deficit[table.rows]).sum(axis=1) + ahead[table.after]
            best = np.flatnonzero(gain == gain.max())
            pick.append(int(best[rng.integers(len(best))]))
            value[j] = gain[pick[-1]]
        picks.insert(0, pick)
        ahead = value
    encoding, at = np.zeros(choices, np.int64), 0
    for own, tables, pick in zip(decided, segments, picks, strict=True):
        encoding[list(own)] = tables[at].options[pick[at]]
        at = int(tables[at].after[pick[at]])
    return tuple(encoding.tolist()), int(ahead[0])


def _tried(space: SearchSpace, lacking: Counter[Placement], rng: np.random.Generator) -> Iterator[Architecture]:
    """Yield networks that hold placements that are lacking, which are counted down, until none is found any more."""
    pool: dict[Encoding, Architecture] = {}
    fruitful = True
    while +lacking and fruitful:
        drawn = [tuple(row) for draw in (sample, sample_biased) for row in draw(space, rng, _DRAWS).tolist()]
        pool = {encoding: space.decode(encoding) for encoding in drawn}
        held = {encoding: told(network) for encoding, network in pool.items()}
        fruitful = False
        while _gain(lacking, held[best := max(held, key=lambda each: _gain(lacking, held[each]))]):
            lacking.subtract(lacking & held[best])
            fruitful = True
            yield pool[best]
    failures = 0
    while +lacking and failures < _FAILURES:
        target = next(iter(+lacking))
        start = max(pool, key=lambda encoding: _likeness(pool[encoding], target))
        found = _approached(space, start, target, rng)
        if found is None and target in told(pool[start]):
            found = start
        if found is None:
            del lacking[target]  # no network holds it, or none that is easily found
            failures += 1
            continue
        failures = 0
        pool[found] = space.decode(found)
        lacking.subtract(lacking & told(pool[found]))
        yield pool[found]


def _approached(space: SearchSpace, encoding: Encoding, target: Placement, rng: np.random.Generator) -> Encoding | None:
    """Mutate a network until one holds `target`, keeping what does not make it less like it."""
    likeness = 0.0
    for _ in range(_STEPS if any(arity(space) > 1) else 0):
        other = mutate(space, encoding, rng)
        network = space.decode(other)
        if target in network.placements and target in told(network):
            return other
        if (near := _likeness(network, target)) >= likeness:
            encoding, likeness = other, near
    return None


def _likeness(network: Architecture, target: Placement) -> float:
    """How near the nearest placement of a network comes to `target`."""
    return max(_resemblance(placement, target) for placement in set(network.placements))


@lru_cache(maxsize=65536)
def _resemblance(placement: Placement, target: Placement) -> float:
    """Share of the fields of the op, and of the inputs, that two placements have in common; 0..3."""
    alike = 0.0
    if type(placement.op) is type(target.op):
        pairs = [(getattr(placement.op, tag.name), getattr(target.op, tag.name)) for tag in target.op.tags]
        alike = (1 + sum(mine == its for mine, its in pairs)) / (1 + len(pairs))
    common = (Counter(placement.inputs) & Counter(target.inputs)).total()
    return alike + (placement.join == target.join) + common / max(len(placement.inputs), len(target.inputs))


def _gain(lacking: Counter[Placement], held: Counter[Placement]) -> int:
    return (lacking & held).total()
