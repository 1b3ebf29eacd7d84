"""The rows of tables of other devices, tailored to a new one by whole networks that were measured there.

Each row is taken for the typical known one times a factor near 1, which deviates for three reasons: the kinds of work
it is made of (see `shares`), what every call costs beside, and how the known devices differ from each other. A network
deviates as its rows do, in proportion to their time in it. So whole networks tell about rows, by a Gaussian process
of linear parts, which is exact for a device that costs another factor for each kind of work and another overhead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mnas.errors import CheckError
from mnas.ir import Architecture, Placement
from mnas.latency.calibration import Calibration, calibrate
from mnas.latency.conformal import half_width
from mnas.latency.deviations import Floats, Ints
from mnas.latency.gaussian import Part, regress
from mnas.latency.kernels import shares
from mnas.latency.pricing import executed
from mnas.latency.table import LatencyTable

_STRENGTHS = (0.003, 0.03, 0.3)
"""Relative to the variance of the log latencies of networks."""
_LEAST_SCALE = 1e-3
_FACTOR = 5.0
"""No row is taken to deviate further from the typical factor."""
_Z95 = 1.96
LEAST_TAILORED = 5
"""Networks that must be measured: as many as the calibration needs with one left out."""


class Tailored(NamedTuple):
    """Rows of a new device.

    Attributes:
        ms: of each placement, (placements,).
        reach: half width of their 95 % intervals, relative to them.
        calibration: how networks of them are priced; its interval is that of the whole procedure, by leaving out
            measured networks in turn.
    """

    ms: Floats
    reach: Floats
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class Pattern:
    """What tables of other devices say of some networks.

    Attributes:
        placements: rows that are in all tables.
        counts: how often each is executed in each network, (n, placements).
        known_ms: their rows, (tables, placements).
        scale: the typical scale of the tables' calibrations.
        folds_constants: whether the new device's runtime is taken to fold constants.
        kinds: share of the kernels of each name in each row, (placements, kinds).
    """

    placements: tuple[Placement, ...]
    counts: Floats
    known_ms: Floats
    scale: float
    folds_constants: bool
    kinds: Floats

    @property
    def typical_ms(self) -> Floats:
        """Geometric mean of the known rows, (placements,)."""
        return np.asarray(np.exp(np.log(self.known_ms).mean(axis=0)))

    @property
    def latencies(self) -> Floats:
        """Sums of the known rows, (tables, n)."""
        return np.asarray(self.known_ms @ self.counts.T)

    @property
    def features(self) -> Floats:
        """Ms of each kind of work, and number of rows, by which networks are chosen, (n, kinds + 1)."""
        of_kind = self.counts @ (self.typical_ms[:, None] * self.kinds)
        return np.hstack([of_kind, self.counts.sum(axis=1, keepdims=True)])

    def tailor(self, measured_idx: Ints, measured_ms: Floats) -> Tailored:
        """Fit the rows to networks measured on the new device, (k,) indices and ms.

        The smallest and the largest network are not left out in turn: the others would have to reach beyond what they
        span, which a prediction never does. From 11 networks on an interval holds 90 % of networks, on average over
        draws of the measured ones; below, it holds (k - 2) / (k - 1).

        Raises:
            CheckError: fewer than `LEAST_TAILORED` networks, or latencies that do not grow with those known.
        """
        k = len(measured_idx)
        if k < LEAST_TAILORED:
            raise CheckError(f"only {k} networks were measured, {LEAST_TAILORED} are needed: measure more")
        ms, reach, fit = self._fitted(measured_idx, measured_ms)
        inner = np.argsort(measured_ms, kind="stable")[1:-1]
        residuals = np.array([self._left_out(int(i), measured_idx, measured_ms) for i in np.sort(inner)])
        width = half_width(np.zeros(0), residuals)
        fit = replace(fit, interval_relative=width, residuals=tuple(map(float, residuals)))
        return Tailored(ms, reach, replace(fit, folds_constants=self.folds_constants))

    def _left_out(self, i: int, measured_idx: Ints, measured_ms: Floats) -> float:
        """Measured / predicted - 1 of a network by the others."""
        ms, _, fit = self._fitted(np.delete(measured_idx, i), np.delete(measured_ms, i))
        counts = self.counts[measured_idx[i : i + 1]]
        return float((measured_ms[i] / fit.ms(counts @ ms, counts.sum(axis=1)))[0] - 1)

    def _fitted(self, idx: Ints, measured_ms: Floats) -> tuple[Floats, Floats, Calibration]:
        typical = self.typical_ms
        total = self.counts @ typical
        level = float(np.median(measured_ms / total[idx]))
        scale = max(float(np.log(total).std()), _LEAST_SCALE)
        points = np.ones(len(total) + len(typical))
        found = regress(points, self._parts(total), scale, idx, measured_ms / total[idx] / level)
        factor = found.mean[len(total) :]
        middle = float(np.median(factor))
        factor = np.clip(factor, middle / _FACTOR, middle * _FACTOR) if middle > 0 else np.ones_like(factor)
        reach = _Z95 * found.deviation[len(total) :] / factor
        ms = typical * factor
        fit = calibrate(self.counts[idx] @ ms, self.counts[idx].sum(axis=1), measured_ms)
        by = fit.scale / self.scale  # rows measured on the device later count at about the scale of the known tables
        fit = replace(fit, scale=self.scale, least_ms=fit.least_ms * by, largest_ms=fit.largest_ms * by)
        return ms * by, reach, fit

    def _parts(self, total: Floats) -> list[Part]:
        """Why networks, and then rows, deviate: (n + placements, any) each."""
        typical, rows = self.typical_ms, self.counts.sum(axis=1)
        weights = self.counts * typical / total[:, None]
        size, many = float(np.median(total)), float(np.median(rows))
        calls = np.stack([size / total, rows / many * size / total], axis=1)
        of_row = np.stack([np.zeros_like(typical), size / many / typical], axis=1)
        parts = [_part(weights @ self.kinds, self.kinds), _part(calls, of_row)]
        if len(self.known_ms) > 1:
            unlike = np.log(self.known_ms / typical).T
            parts.append(_part(weights @ unlike, unlike))
        return parts


def pattern(
    tables: Sequence[LatencyTable], placements: Sequence[Placement], networks: Sequence[Architecture]
) -> Pattern:
    """Collect what tables say of networks whose placements are among those given.

    Args:
        tables: of other devices, or other conditions.
        placements: rows that every table has.
        networks: of these placements.
    """
    column = {placement: i for i, placement in enumerate(placements)}
    folds = sum(table.calibration.folds_constants for table in tables) > len(tables) / 2
    counts = np.zeros((len(networks), len(placements)))
    for i, network in enumerate(networks):
        for placement in executed(network, folds):
            counts[i, column[placement]] += 1
    known = [table.calibration.corrected({p: row.median_ms for p, row in table.rows.items()}) for table in tables]
    kinds = [shares(placement) for placement in placements]
    names = sorted({name for each in kinds for name in each})
    return Pattern(
        placements=tuple(placements),
        counts=counts,
        known_ms=np.array([[ms[placement] for placement in placements] for ms in known]),
        scale=float(np.exp(np.mean([np.log(table.calibration.scale) for table in tables]))),
        folds_constants=folds,
        kinds=np.array([[each.get(name, 0.0) for name in names] for each in kinds]),
    )


def _part(networks: Floats, rows: Floats) -> Part:
    """One part over both, about the mean network and at its spread."""
    centre = networks.mean(axis=0)
    spread = float(np.sqrt(np.square(networks - centre).sum(axis=1).mean()))
    both = np.vstack([networks - centre, rows - centre])
    return Part(both / spread if spread > 0 else both * 0, _STRENGTHS)
