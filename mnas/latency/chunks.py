"""How much is measured at once, and how often: by memory and by time, both estimated from the networks alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from math import ceil, inf
from typing import NamedTuple, TypeVar

import numpy as np

from mnas.errors import ConfigError
from mnas.ir import Layer, Network, Shape
from mnas.ir.layers import Join, Seq

T = TypeVar("T", bound=Hashable)

_FLOAT_BYTES = 4
_PROCESS_BYTES = 150e6
"""Resident memory of a runner without models."""
_MODEL_BYTES = 0.2e6
_PER_PARAMETER = 2.2
"""Copies of each parameter: the file's and the packed one. Resident memory of 162 models of the 224 px MnasNet space
and as many of the small one fits 0.1 MB + 2.1 x parameters + 1.1 x widest map (LiteRT), 2.0 and 1.9 (ONNX Runtime)."""
_PER_ELEMENT = 1.9
_HEADROOM = 0.85

_MACS_PER_S = 9e9
_RUN_S = 4e-4
"""Time of a run beside its MACs: cache eviction and calls."""
_BUDGET_S = 150.0


def loaded_bytes(network: Network) -> float:
    """Estimate the resident memory that one loaded model takes."""
    parameters = sum(placement.cost.params for placement in network.placements)
    widest = max(_widest(placement.op.layers(placement.x), placement.x) for placement in network.placements)
    given = [network.placements[value - len(network.inputs)].y for value in network.outputs]
    kept = sum(shape.size for shape in (*network.inputs, *given))
    return _MODEL_BYTES + _FLOAT_BYTES * (_PER_PARAMETER * parameters + _PER_ELEMENT * max(widest, kept))


def _widest(layer: Layer, x: Shape) -> int:
    """Most elements that one word reads and writes."""
    match layer:
        case Seq(layers):
            widest = x.size
            for part in layers:
                widest, x = max(widest, _widest(part, x)), part.out_shape(x)
            return widest
        case Join(_, branches):
            return x.size + max(_widest(branch, x) for branch in branches)
        case _:
            return x.size + layer.out_shape(x).size


def pack(items: Mapping[str, Network], always: Iterable[str], max_memory_gb: float, seed: int) -> list[list[str]]:
    """Spread items over as few chunks as fit in memory, shuffled and about equally large.

    Args:
        items: networks by name.
        always: names that are part of every chunk, first.
        max_memory_gb: memory that a measuring process may take, in GB.
        seed: of the order.

    Raises:
        ConfigError: not a positive number of GB, or the largest item does not fit beside those that are in every chunk.
    """
    if not 0 < max_memory_gb < inf:
        raise ConfigError(f"max_memory_gb must be a positive number, got {max_memory_gb}")
    common = list(always)
    size = {name: loaded_bytes(network) for name, network in items.items()}
    room = max_memory_gb * 1e9 * _HEADROOM - _PROCESS_BYTES - sum(size[name] for name in common)
    rest = [name for name in items if name not in set(common)]
    if max((size[name] for name in rest), default=0.0) > room or room < 0:
        need = (_PROCESS_BYTES + sum(size[name] for name in common) + max(size.values())) / _HEADROOM / 1e9
        least = ceil(need * 100) / 100
        raise ConfigError(f"max_memory_gb {max_memory_gb:g} is too small: these networks need at least {least:g} GB")
    shuffled = [rest[i] for i in np.random.default_rng(seed).permutation(len(rest))]
    for n in range(max(1, int(sum(size[name] for name in rest) / max(room, 1.0))), len(rest) + 2):
        chunks = spread(shuffled, size.__getitem__, n)
        if all(sum(size[name] for name in chunk) <= room for chunk in chunks):
            break
    return [common + chunk for chunk in chunks]


def spread(items: Sequence[T], size: Callable[[T], float], n: int) -> list[list[T]]:
    """Give each item to the smallest of `n` chunks so far, large items first; their order is kept within chunks."""
    totals = np.zeros(n)
    chunk_of = {}
    for item in sorted(items, key=lambda item: -size(item)):
        chunk_of[item] = int(totals.argmin())
        totals[chunk_of[item]] += size(item)
    return [[item for item in items if chunk_of[item] == i] for i in range(n)]


def deal(rounds: Sequence[Iterable[str]], others: Sequence[str], always: Iterable[str]) -> list[list[str]]:
    """A chunk for each round, with a share of the others.

    Args:
        rounds: names of what is measured together.
        others: names that are in one chunk each.
        always: names that are part of every chunk, first.
    """
    common = list(always)
    return [[*common, *others[i :: len(rounds)], *own] for i, own in enumerate(rounds)]


class Repeats(NamedTuple):
    """Rounds of one unit and repetitions of one visit."""

    passes: int
    reps: int


def choose_repeats(
    chunks: Iterable[Iterable[Network]],
    loads: int,
    warmups: int,
    among: Iterable[Repeats],
    start_s: float = 0.0,
) -> Repeats:
    """Choose the most that are estimated to fit the time budget, else the fewest.

    Args:
        chunks: what is measured together.
        loads: processes per chunk.
        warmups: untimed runs per visit.
        among: what to choose from, the most first.
        start_s: seconds that a visit takes beside its runs.
    """
    runs = [seconds(network) for chunk in chunks for network in chunk]
    for repeats in among:
        if loads * repeats.passes * (len(runs) * start_s + (repeats.reps + warmups) * sum(runs)) <= _BUDGET_S:
            break
    return repeats


def seconds(network: Network) -> float:
    """Estimate one run of a network on a desktop core, with cache eviction."""
    return _RUN_S + sum(placement.cost.macs for placement in network.placements) / _MACS_PER_S
