"""Which networks to measure on a new device: first those that fill the space, then the most informative."""

from __future__ import annotations

import numpy as np

from mnas.errors import ConfigError
from mnas.latency.deviations import (
    LEAST_MEASURED,
    Floats,
    Ints,
    check_measurements,
    check_networks,
    known,
    standard,
    unit,
)
from mnas.latency.gaussian import reduce_most

_POOL = 10
"""Networks drawn per network chosen: enough to fill the space, too few to hold only its oddest corners."""
_CANDIDATES = 400
"""Networks drawn among which the most informative are sought."""
_JUDGES = 400
"""Networks drawn whose uncertainty is to fall."""


def choose(source_latencies: Floats, features: Floats, budget: int, seed: int) -> Ints:
    """Choose which networks to measure first on a new device.

    Of a random pool, the medoid and then always the network farthest from those chosen (Gonzalez, 1985), in the space
    of standardised log latencies and features, which weigh alike. Any first part of the answer fills the space too.

    Args:
        source_latencies: the networks on known devices in ms, (devices, n); (0, n) where none is known.
        features: what distinguishes the networks, (n, d).
        budget: number of networks to choose.
        seed: of the pool.

    Returns:
        Different indices, (budget,), in order of choice.

    Raises:
        ConfigError: as `transfer`, or a budget below two or above the number of networks.
    """
    sources, features = check_networks(source_latencies, features)
    if not LEAST_MEASURED <= budget <= len(features):
        raise ConfigError(f"budget {budget}: choose from {LEAST_MEASURED} to {len(features)} networks")
    rng = np.random.default_rng(seed)
    pool = rng.choice(len(features), min(len(features), _POOL * budget), replace=False)
    points = np.hstack([unit(standard(np.log(sources).T)), unit(standard(features))])[pool]
    to_all = np.stack([np.linalg.norm(points - point, axis=1).sum() for point in points])
    chosen = [int(to_all.argmin())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < budget:
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
        nearest[chosen] = -1.0  # twins of a chosen network are at 0
        chosen.append(int(nearest.argmax()))
    return np.asarray(pool[chosen], np.int64)


def choose_next(
    source_latencies: Floats, features: Floats, measured_idx: Ints, measured_ms: Floats, count: int, seed: int
) -> Ints:
    """Choose which networks to measure after the first, all of them before the next measurement.

    Greedy: always the network whose measurement lowers the summed posterior variance of others most (Cohn et al.,
    Active Learning with Statistical Models, 1996), by the Gaussian process of `transfer` at the mean strengths that
    the measured networks support. Candidates and judges are random draws.

    With 10 networks, 5 of them chosen by `choose`, transfer to a Samsung A50 from a Pixel 3 reached a Spearman of .956
    on NAS-Bench-201, against .941 where all ten filled the space and .907 with random ones; from features alone .859,
    .813 and .683. It does not always help: to the Pixel 3 from the A50, where dead branches make some networks nearly
    free, .871, .866 and .874, and with 20 networks .858, .881 and .888, although the error in ms is smaller; on 1000
    FBNets by features alone .253, .284 and .245 (medians of 30 draws, benchmarks/results/transfer.csv).

    Args:
        source_latencies: the networks on known devices in ms, (devices, n); (0, n) where none is known.
        features: what distinguishes the networks, (n, d).
        measured_idx: which networks were measured, (k,).
        measured_ms: their latencies on the new device, (k,).
        count: number of networks to choose.
        seed: of the draws.

    Returns:
        Different indices of networks that were not measured, (count,), in order of choice.

    Raises:
        ConfigError: as `transfer`, or a count below one or above the number of networks not measured.
    """
    sources, features = check_networks(source_latencies, features)
    measured_idx, measured = check_measurements(measured_idx, measured_ms, len(features))
    left = np.setdiff1d(np.arange(len(features)), measured_idx)
    if not 1 <= count <= len(left):
        raise ConfigError(f"count {count}: choose from 1 to {len(left)} networks that were not measured")
    rng = np.random.default_rng(seed)
    candidates = rng.choice(left, min(len(left), max(_CANDIDATES, _POOL * count)), replace=False)
    judges = rng.choice(len(features), min(len(features), _JUDGES), replace=False)
    return reduce_most(*known(sources, features, measured), measured_idx, measured, candidates, judges, count)
