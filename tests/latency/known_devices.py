"""Devices whose latencies of 500 networks are known: ops in six places, each dearer or cheaper than elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N, EDGES = 500, 6
COST_MS = np.array([0.0, 0.05, 1.0, 4.0, 0.5])
DIGITS = np.random.default_rng(0).integers(0, len(COST_MS), (N, EDGES))
ONEHOT = DIGITS[:, :, None] == np.arange(len(COST_MS))
FEATURES = np.hstack([ONEHOT.reshape(N, -1), ONEHOT.sum(axis=1)]).astype(np.float64)
NO_SOURCE = np.empty((0, N))


def device(seed: int, noise: float = 0.02) -> Floats:
    """Ops that cost a random factor more or less, an overhead, a random monotone bend, and noise."""
    rng = np.random.default_rng(seed)
    cost = COST_MS * np.exp(rng.normal(0, 0.5, len(COST_MS)))
    ms = rng.uniform(0.3, 3.0) + cost[DIGITS].sum(axis=1)
    return np.asarray(ms ** rng.uniform(0.8, 1.2) * np.exp(rng.normal(0, noise, N)))


def draw(seed: int, k: int = 10) -> Ints:
    return np.random.default_rng(seed).choice(N, k, replace=False)
