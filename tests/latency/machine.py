"""A simulated machine: speed that drifts for everything at once, preemption, units that run at other levels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def drift(rng: np.random.Generator, n: int, swing: float) -> NDArray[np.float64]:
    """A smooth random walk over `n` visits with standard deviation `swing`."""
    steps = np.convolve(np.pad(np.cumsum(rng.normal(size=n)), 20, mode="edge"), np.ones(41) / 41, "valid")
    return np.asarray(swing * (steps - steps.mean()) / (steps.std() or 1.0), np.float64)


def simulate(
    ms: NDArray[np.float64],
    units: Sequence[NDArray[np.int64]],
    *,
    levels: Sequence[float],
    passes: int = 6,
    reps: int = 3,
    swing: float = 0.15,
    noise: float = 0.01,
    preempted: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Raw samples of items whose true times are `ms`; each unit visits the items it is given.

    Args:
        ms: true times, (items,).
        units: indices of the items of each unit.
        levels: log of each unit's slowness.
        passes: rounds per unit.
        reps: repetitions per visit.
        swing: standard deviation of the common drift within a unit, in log.
        noise: standard deviation of one visit, in log.
        preempted: share of repetitions that lose the core and take up to three times as long.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for unit, (items, level) in enumerate(zip(units, levels, strict=True)):
        order = np.concatenate([rng.permutation(items) for _ in range(passes)])
        n = len(order)
        logs = np.log(ms[order]) + level + drift(rng, n, swing) + rng.normal(0, noise, n)
        visit = np.repeat(np.arange(n), reps)
        lost = rng.uniform(size=n * reps) < preempted
        slow = np.where(lost, rng.uniform(1.5, 3, n * reps), 1.0)
        ns = np.exp(logs[visit] + rng.normal(0, 0.003, n * reps)) * slow * 1e6
        columns = {
            "unit": unit, "item": [f"i{i:04d}" for i in order[visit]], "visit": visit, "round": visit // len(items),
            "rep": np.tile(np.arange(reps), n), "wall_ns": ns.astype(np.int64), "cpu_ns": ns.astype(np.int64),
            "preempted": lost,
        }  # fmt: skip
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
