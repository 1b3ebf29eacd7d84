"""From a sum of rows to the latency of a network: an affine fit on whole networks of the same measurement.

A raw sum errs by 3-34 %, depending on cache state, layout and load, so it is never an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnas.errors import CheckError
from mnas.ir import Placement
from mnas.latency.conformal import half_width

Floats = NDArray[np.float64]

LEAST_NETWORKS = 3
LEAST_MS = 1e-3
"""No network takes less than a call: a fit may extrapolate below it."""
_GAIN = 0.98
"""A fit of more terms must lower the leave-one-out error by this factor."""
_TERMS = ((1,), (0, 1), (1, 2), (0, 1, 2))
"""Columns of (1, sum, rows) that may be fitted, simplest first."""
_SPARE = 2
"""Networks needed beyond the number of terms."""
_CONDITION = 1e3


@dataclass(frozen=True, slots=True)
class Calibration:
    """`overhead_ms + scale * sum of corrected rows + per_row_ms * number of rows`.

    Attributes:
        overhead_ms: what a network costs beside its rows.
        scale: ms in a network per ms of a row measured alone.
        per_row_ms: what each row costs beside its own time (negative where measuring it alone adds some).
        interval_relative: half width of a prediction's interval, relative to the prediction (see `half_width`).
        residuals: leave-one-out residuals of the calibration networks, measured / predicted - 1.
        least_ms: the smallest sum of corrected rows of a calibration network.
        largest_ms: the largest.
        folds_constants: whether the runtime spends no time on what is fed by constants only (see `executed`).
        interval_networks: networks that were held out of the fit to tell the half width; below 9 the leave-one-out
            residuals widen it, and without any they alone tell it.
        corrections: what rows take inside networks, relative to the others, by the text of their placements (see
            `correct`); others are taken as they were measured.
    """

    overhead_ms: float
    scale: float
    per_row_ms: float
    interval_relative: float
    residuals: tuple[float, ...]
    least_ms: float
    largest_ms: float
    folds_constants: bool = False
    interval_networks: int = 0
    corrections: Mapping[str, float] = field(default_factory=dict)

    def corrected(self, rows: Mapping[Placement, float]) -> dict[Placement, float]:
        """Rows in ms as they count in a sum."""
        if not self.corrections:
            return dict(rows)
        return {placement: ms * self.corrections.get(str(placement), 1.0) for placement, ms in rows.items()}

    def spans(self, total: float) -> bool:
        """Whether a network with this sum of rows in ms is of the size of the calibration networks, within a factor 2.

        Farther out neither the fit nor its interval was tested.
        """
        return self.least_ms / 2 <= total <= self.largest_ms * 2

    def ms(self, total: Floats, rows: Floats) -> Floats:
        """Price networks by the sums of their rows in ms and the numbers of their rows, (n,) each."""
        return np.maximum(self.overhead_ms + self.scale * total + self.per_row_ms * rows, LEAST_MS)


def calibrate(total: Floats, rows: Floats, measured: Floats) -> Calibration:
    """Fit networks by least squares on relative residuals.

    The terms are chosen by leave-one-out error, the fewest where nothing is gained. The interval is that of the
    leave-one-out residuals, for want of networks held out.

    Args:
        total: sum of the rows of each network in ms, (n,).
        rows: number of rows of each network, (n,).
        measured: latency of each network in ms, (n,).

    Raises:
        CheckError: fewer than three networks, or no fit with a positive scale.
    """
    if len(measured) < LEAST_NETWORKS:
        raise CheckError(
            f"calibration needs at least {LEAST_NETWORKS} measured networks, got {len(measured)}: profile more networks"
        )
    design = np.stack([np.ones_like(total), total, rows], axis=1) / measured[:, None]
    best: tuple[float, Floats, Floats] | None = None
    for terms in _TERMS:
        fit = _fit(design[:, terms])
        if fit is None or fit[0][terms.index(1)] <= 0:
            continue
        weights, predicted = fit
        error = float(np.sqrt(np.mean((predicted - 1) ** 2)))
        if best is None or error < _GAIN * best[0]:
            full = np.zeros(3)
            full[list(terms)] = weights
            best = error, full, predicted
    if best is None:
        raise CheckError("latencies of the calibration networks do not grow with their rows: measure again, quietly")
    residuals = 1 / np.maximum(best[2], 1e-9) - 1
    interval = half_width(np.zeros(0), residuals)
    overhead, scale, per_row = map(float, best[1])
    span = float(total.min()), float(total.max())
    return Calibration(overhead, scale, per_row, interval, tuple(map(float, residuals)), *span)


def _fit(design: Floats) -> tuple[Floats, Floats] | None:
    """Weights (terms,) and leave-one-out predictions of 1, (n,); nothing where networks are too few or too alike."""
    n, terms = design.shape
    norm = np.linalg.norm(design, axis=0)
    u, singular, vt = np.linalg.svd(design / norm, full_matrices=False)
    if n < terms + _SPARE or singular[-1] * _CONDITION < singular[0]:
        return None
    weights = vt.T @ ((u.T @ np.ones(n)) / singular) / norm
    leverage = np.minimum((u**2).sum(axis=1), 1 - 1e-9)
    residual = 1 - design @ weights
    return weights, 1 - residual / (1 - leverage)
