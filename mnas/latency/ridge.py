"""Rows corrected by what whole networks show of them: ridge regression with the table as its prior.

A row measured alone may take more or less than inside a network: its neighbours leave other data in the caches, and
runtimes choose other layouts. Each row gets a factor of its own, drawn to 1. With few rows per network and many more
rows than networks everything is computed in the dual, with matrices of (networks, networks).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnas.latency.calibration import Calibration, Floats
from mnas.latency.conformal import half_width

LEAST_NETWORKS = 50
"""Fewer networks say too little of single rows."""
_VARIANCES = 10.0 ** np.arange(-2, 4.1, 0.25)
"""Variances of the factors, relative to that of what is left over, among which leave-one-out error chooses."""
_GAIN = 0.95
"""Corrections must lower the leave-one-out error by this factor; the choice among many would lower it a little."""
_MOST = 2.0
"""No factor is larger, nor smaller than its inverse."""


def correct(fit: Calibration, times: Floats, rows: Floats, measured: Floats) -> tuple[Calibration, Floats] | None:
    """Correct rows, and fit the terms of `fit` anew beside the corrections.

    The strength of the prior is the one with the least leave-one-out error, which is known in closed form (that of
    kriging with a linear trend: Dubrule, Mathematical Geology 15, 1983).

    Args:
        fit: the calibration without corrections.
        times: ms that each row takes of each network when measured alone, (n, rows); 0 where it is not part.
        rows: number of rows of each network, (n,).
        measured: latency of each network in ms, (n,).

    Returns:
        The calibration that goes with corrected rows, and the factors (rows,), 1 for rows of no network; nothing where
        there are too few networks or not enough is gained.
    """
    if len(measured) < LEAST_NETWORKS:
        return None
    seen = times.any(axis=0)
    shares = times[:, seen] / measured[:, None]
    kept = [i for i, value in enumerate((fit.overhead_ms, fit.scale, fit.per_row_ms)) if value]
    trend = (np.stack([np.ones_like(rows), times.sum(axis=1), rows], axis=1) / measured[:, None])[:, kept]
    kernel = shares @ shares.T
    best: tuple[float, Floats, Floats, Floats] | None = None
    for variance in _VARIANCES:
        weights, dual, predicted = _solve(variance * kernel, trend)
        scale = weights[kept.index(1)]
        factors = 1 + variance * (shares.T @ dual) / scale
        error = float(np.sqrt(np.mean((predicted - 1) ** 2)))
        if scale > 0 and factors.min() >= 1 / _MOST and factors.max() <= _MOST and (best is None or error < best[0]):
            best = error, weights, factors, predicted
    before = float(np.sqrt(np.mean((1 / (1 + np.array(fit.residuals)) - 1) ** 2)))
    if best is None or not best[0] < _GAIN * before:
        return None
    every = np.ones(times.shape[1])
    every[seen] = best[2]
    residuals = 1 / np.maximum(best[3], 1e-9) - 1
    terms = np.zeros(3)
    terms[kept] = best[1]
    total = times @ every
    overhead, scale, per_row = map(float, terms)
    found = replace(
        fit,
        overhead_ms=overhead,
        scale=scale,
        per_row_ms=per_row,
        interval_relative=half_width(np.zeros(0), residuals),
        residuals=tuple(map(float, residuals)),
        least_ms=float(total.min()),
        largest_ms=float(total.max()),
    )
    return found, every


def _solve(kernel: Floats, trend: Floats) -> tuple[Floats, Floats, Floats]:
    """Trend weights (terms,), dual weights (n,) and leave-one-out predictions (n,) of 1, with unit noise."""
    inverse = np.linalg.inv(kernel + np.eye(len(kernel)))
    across = inverse @ trend
    projected = inverse - across @ np.linalg.solve(trend.T @ across, across.T)
    weights = np.linalg.solve(trend.T @ across, across.sum(axis=0))
    dual = projected.sum(axis=1)
    return weights, dual, 1 - dual / projected.diagonal()
