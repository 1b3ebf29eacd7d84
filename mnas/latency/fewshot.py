"""Few-shot transfer: the latency of many networks on a new device from a handful measured on it.

The new device is taken for the typical known one at another speed, in logarithms, plus deviations whose strengths the
measured networks decide: its likeness to each known device; operations that cost a factor more or less than there,
which weigh by their share of the known latency; and anything smooth. Other methods for the same task: HELP (Lee et
al., 2021) and BRP-NAS (Dudziak et al., 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.latency.calibration import CONFIDENCE
from mnas.latency.gaussian import Part, regress

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_MEASURED = 2
_SOURCES = (0.01, 0.1, 0.5)
_OTHER = (0.003, 0.03, 0.3)
_ALONE = (0.1, 0.5, 2.0)
"""Strengths relative to the variance of what is known: of known devices, of other parts, of features alone."""
_RIDGE = 1e-3
"""Relative to the number of networks: only settles how features that say the same share an effect."""
_LEAST_SCALE = 1e-3
"""Devices on which all networks cost the same still differ by 0.1 % from others."""
_POOL = 10
"""Networks drawn per network chosen: enough to fill the space, too few to hold only its oddest corners."""


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
    sources, features = _networks(source_latencies, features)
    measured_idx, measured = _measurements(measured_idx, measured_ms, features.shape[0])
    if len(sources):
        prior = np.log(sources).mean(axis=0)
        scale = float(prior.std())
        parts = _parts(sources, features)
        fitted = f"{len(sources)} source device(s) and {features.shape[1]} features"
    else:
        prior = np.zeros(len(features))
        scale = float(measured.std())
        alone = _unit(_standard(features))
        parts = [Part(alone, _ALONE), Part(alone, _OTHER, smooth=True)]
        fitted = f"{features.shape[1]} features only: no source device"
    k = len(measured)
    found = regress(prior, parts, max(scale, _LEAST_SCALE), measured_idx, measured)
    rank = min(k, ceil((k + 1) * CONFIDENCE))
    score = np.sort(np.abs(measured - found.left_out_mean) / found.left_out_deviation)[rank - 1]
    half = score * found.deviation
    holds = min(CONFIDENCE, k / (k + 1))
    method = f"log-space Gaussian process on {fitted}; {k} measured networks; intervals hold {holds:.0%} of networks"
    return Estimates(np.exp(found.mean), np.exp(found.mean - half), np.exp(found.mean + half), method)


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
    sources, features = _networks(source_latencies, features)
    if not LEAST_MEASURED <= budget <= len(features):
        raise ConfigError(f"budget {budget}: choose from {LEAST_MEASURED} to {len(features)} networks")
    rng = np.random.default_rng(seed)
    pool = rng.choice(len(features), min(len(features), _POOL * budget), replace=False)
    points = np.hstack([_unit(_standard(np.log(sources).T)), _unit(_standard(features))])[pool]
    to_all = np.stack([np.linalg.norm(points - point, axis=1).sum() for point in points])
    chosen = [int(to_all.argmin())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < budget:
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
        nearest[chosen] = -1.0  # twins of a chosen network are at 0
        chosen.append(int(nearest.argmax()))
    return np.asarray(pool[chosen], np.int64)


def _parts(sources: Floats, features: Floats) -> list[Part]:
    """Why a device may differ from the typical known one."""
    logs = np.log(sources).T
    centred = features - features.mean(axis=0)
    of_log = _effects(centred, logs)
    of_ms = _effects(centred, sources.T)
    cost = np.sqrt(np.square(of_log).mean(axis=1))
    shares = np.mean(
        [np.clip(features * e / ms[:, None], -1, 1) for e, ms in zip(of_ms.T, sources, strict=True)], axis=0
    )
    near = np.hstack([_unit(_standard(logs)), _unit(_standard(features))])
    return [
        Part(_unit(_standard(logs)), _SOURCES),
        Part(_unit(shares - shares.mean(axis=0)), _OTHER),
        Part(_unit(centred * cost), _OTHER),
        Part(_unit(near), _OTHER, smooth=True),
    ]


def _effects(centred: Floats, values: Floats) -> Floats:
    """Least-squares effects (d, devices) of centred features (n, d) on values (n, devices)."""
    normal = centred.T @ centred + _RIDGE * len(centred) * np.eye(centred.shape[1])
    return np.asarray(np.linalg.solve(normal, centred.T @ (values - values.mean(axis=0))))


def _standard(columns: Floats) -> Floats:
    """Columns of mean 0 and deviation 1; those that do not vary become 0."""
    centred = columns - columns.mean(axis=0)
    deviation = centred.std(axis=0)
    varies = deviation > 1e-9 * np.abs(columns).max(axis=0, initial=0)
    return np.asarray(np.where(varies, centred / np.where(varies, deviation, 1), 0))


def _unit(inputs: Floats) -> Floats:
    """Scale points (n, any) to a mean squared length of 1; all-zero ones stay."""
    square = float(np.square(inputs).sum(axis=1).mean())
    return inputs / np.sqrt(square) if square > 0 else inputs


def _networks(source_latencies: Floats, features: Floats) -> tuple[Floats, Floats]:
    """Both as checked arrays of float64."""
    sources, features = np.asarray(source_latencies, np.float64), np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < LEAST_MEASURED:
        raise ConfigError(f"features are (networks, d) with at least {LEAST_MEASURED} networks, got {features.shape}")
    if sources.ndim != 2 or sources.shape[1] != len(features):
        raise ConfigError(f"source latencies are (devices, {len(features)}) like the features, got {sources.shape}")
    if not len(sources) and not features.shape[1]:
        raise ConfigError("neither source devices nor features: give at least one to predict from")
    if not np.isfinite(features).all():
        bad = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise ConfigError(f"features of network {bad} are not finite")
    for device, ms in enumerate(sources):
        _positive(ms, f"latency on source device {device} of network", np.arange(len(ms)))
    return sources, features


def _measurements(measured_idx: Ints, measured_ms: Floats, n: int) -> tuple[Ints, Floats]:
    """Indices and logarithms of the latencies, checked."""
    idx, ms = np.asarray(measured_idx), np.asarray(measured_ms, np.float64)
    if idx.ndim != 1 or idx.shape != ms.shape:
        raise ConfigError(f"as many latencies as measured networks, in one row each, got {idx.shape} and {ms.shape}")
    if len(idx) < LEAST_MEASURED:
        raise ConfigError(f"transfer needs at least {LEAST_MEASURED} measured networks, got {len(idx)}: measure more")
    if not np.issubdtype(idx.dtype, np.integer):
        raise ConfigError(f"measured networks are given by whole indices, got {idx.dtype}")
    if idx.min() < 0 or idx.max() >= n:
        raise ConfigError(f"measured network {idx[(idx < 0) | (idx >= n)][0]}: there are networks 0 to {n - 1}")
    known, times = np.unique(idx, return_counts=True)
    if (times > 1).any():
        raise ConfigError(f"network {known[times > 1][0]} was measured more than once: give its median")
    _positive(ms, "measured latency of network", idx)
    return idx.astype(np.int64), np.log(ms)


def _positive(ms: Floats, what: str, names: Ints) -> None:
    bad = ~(np.isfinite(ms) & (ms > 0))
    if bad.any():
        raise ConfigError(f"{what} {names[bad][0]} is {ms[bad][0]:g} ms: latencies are positive and finite")
