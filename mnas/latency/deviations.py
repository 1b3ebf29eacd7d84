"""What is known of networks before any is measured on a new device: how a device may deviate from the typical one.

A device is taken for the typical known one at another speed, in logarithms, plus deviations: its likeness to each
known device; operations that cost a factor more or less than there, which weigh by their share of the known latency;
and anything smooth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.latency.gaussian import Part

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


class Known(NamedTuple):
    """What n networks are thought to cost before any is measured.

    Attributes:
        prior: log ms but for a common level, (n,).
        parts: why a device may deviate from it.
        scale: standard deviation that the strengths of the parts are relative to.
    """

    prior: Floats
    parts: list[Part]
    scale: float


def known(sources: Floats, features: Floats, measured: Floats) -> Known:
    """What checked sources (devices, n) in ms and features (n, d) tell; where there is no source, `measured` scales."""
    if len(sources):
        prior = np.log(sources).mean(axis=0)
        return Known(prior, _parts(sources, features), max(float(prior.std()), _LEAST_SCALE))
    alone = unit(standard(features))
    parts = [Part(alone, _ALONE), Part(alone, _OTHER, smooth=True)]
    return Known(np.zeros(len(features)), parts, max(float(measured.std()), _LEAST_SCALE))


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
    near = np.hstack([unit(standard(logs)), unit(standard(features))])
    return [
        Part(unit(standard(logs)), _SOURCES),
        Part(unit(shares - shares.mean(axis=0)), _OTHER),
        Part(unit(centred * cost), _OTHER),
        Part(unit(near), _OTHER, smooth=True),
    ]


def _effects(centred: Floats, values: Floats) -> Floats:
    """Least-squares effects (d, devices) of centred features (n, d) on values (n, devices)."""
    normal = centred.T @ centred + _RIDGE * len(centred) * np.eye(centred.shape[1])
    return np.asarray(np.linalg.solve(normal, centred.T @ (values - values.mean(axis=0))))


def standard(columns: Floats) -> Floats:
    """Columns of mean 0 and deviation 1; those that do not vary become 0."""
    centred = columns - columns.mean(axis=0)
    deviation = centred.std(axis=0)
    varies = deviation > 1e-9 * np.abs(columns).max(axis=0, initial=0)
    return np.asarray(np.where(varies, centred / np.where(varies, deviation, 1), 0))


def unit(inputs: Floats) -> Floats:
    """Scale points (n, any) to a mean squared length of 1; all-zero ones stay."""
    square = float(np.square(inputs).sum(axis=1).mean())
    return inputs / np.sqrt(square) if square > 0 else inputs


def check_networks(source_latencies: Floats, features: Floats) -> tuple[Floats, Floats]:
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


def check_measurements(measured_idx: Ints, measured_ms: Floats, n: int) -> tuple[Ints, Floats]:
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
