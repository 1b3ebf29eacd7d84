"""Few-shot transfer: the latency of many networks on a new device from a handful measured on it.

What a device may look like is in `deviations`; the measured networks decide how strong each deviation is, by a
Gaussian process in log space. Which networks to measure is in `choosing`. Other methods for the same task: HELP (Lee
et al., 2021) and BRP-NAS (Dudziak et al., 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from mnas.latency.conformal import CONFIDENCE
from mnas.latency.deviations import Floats, Ints, check_measurements, check_networks, known
from mnas.latency.gaussian import regress


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Latencies of n networks on a device that measured few of them.

    Attributes:
        ms: predicted, (n,).
        low_ms: lower ends of the intervals, (n,).
        high_ms: upper ends, (n,).
        method: what was fitted to what, and which share of networks the intervals hold.
    """

    ms: Floats
    low_ms: Floats
    high_ms: Floats
    method: str


def transfer(source_latencies: Floats, features: Floats, measured_idx: Ints, measured_ms: Floats) -> Estimates:
    """Predict n networks on a new device from k of them measured there.

    Intervals are conformal: leave-one-out residuals in units of their standard deviation. They hold 90 % of networks
    from 9 measured ones on; below, the largest residual is taken, which holds k / (k + 1). Either is a mean over
    random draws of the k networks; those of `choose` lie farther apart, so their intervals are rather too wide.

    Args:
        source_latencies: the networks on known devices in ms, (devices, n); (0, n) where none is known.
        features: what distinguishes the networks, such as one-hot choices and how often each op occurs, (n, d).
        measured_idx: which networks were measured, (k,).
        measured_ms: their latencies on the new device, (k,).

    Raises:
        ConfigError: shapes that do not fit, values that are not finite, latencies that are not positive, or fewer
            than two different networks.
    """
    sources, features = check_networks(source_latencies, features)
    measured_idx, measured = check_measurements(measured_idx, measured_ms, features.shape[0])
    k = len(measured)
    found = regress(*known(sources, features, measured), measured_idx, measured)
    rank = min(k, ceil((k + 1) * CONFIDENCE))
    score = np.sort(np.abs(measured - found.left_out_mean) / found.left_out_deviation)[rank - 1]
    half = score * found.deviation
    holds = min(CONFIDENCE, k / (k + 1))
    fitted = f"{len(sources)} source device(s) and {features.shape[1]} features"
    if not len(sources):
        fitted = f"{features.shape[1]} features only: no source device"
    method = f"log-space Gaussian process on {fitted}; {k} measured networks; intervals hold {holds:.0%} of networks"
    return Estimates(np.exp(found.mean), np.exp(found.mean - half), np.exp(found.mean + half), method)
