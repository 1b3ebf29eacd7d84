"""Calibrate rows on some whole networks, widen by others, check on the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.ir import Architecture, Placement
from mnas.latency.calibration import Calibration, Floats, calibrate
from mnas.latency.conformal import half_width
from mnas.latency.pricing import executed
from mnas.latency.ridge import correct
from mnas.latency.table import MeasuredNetwork
from mnas.latency.validation import Check, check

_LEAST_UNLIKE = 2


class Fitted(NamedTuple):
    """A calibration, and how it prices the networks that no part of it has seen."""

    calibration: Calibration
    check: Check


def fit(rows: Mapping[Placement, float], networks: Sequence[MeasuredNetwork]) -> Fitted:
    """Fit rows in ms to measured networks; networks that need rows which are not there are left out.

    Anchors and calibration networks decide the fit, interval networks the width of intervals, test networks nothing.
    Whether the runtime folds constants is judged by the leave-one-out errors of those calibration networks in which it
    makes a difference; where fewer than two do, it is taken not to.

    Raises:
        CheckError: too few networks to calibrate, or their latencies do not grow with their rows.
    """
    usable = [n for n in networks if all(p in rows for p in executed(Architecture.parse(n.architecture), False))]
    role = np.array([network.role for network in usable], np.str_)
    ms = np.array([network.ms for network in usable], np.float64)
    mine, held, test = np.isin(role, ("anchor", "calibration")), role == "interval", role == "test"
    plain, folding = (_parts(usable, rows, folds) for folds in (False, True))
    parts, found = plain, _affine(plain, ms, mine)
    unlike = (plain.times != folding.times).any(axis=1)[mine]
    if unlike.sum() >= _LEAST_UNLIKE:
        other = replace(_affine(folding, ms, mine), folds_constants=True)
        if np.square(other.residuals)[unlike].sum() < np.square(found.residuals)[unlike].sum():
            parts, found = folding, other
    total = parts.times.sum(axis=1)
    corrected = correct(found, parts.times[mine], parts.rows[mine], ms[mine])
    if corrected is not None:
        found, factors = corrected
        total = parts.times @ factors
        named = sorted((str(p), float(f)) for p, f in zip(parts.placements, factors, strict=True) if f != 1)
        found = replace(found, corrections=dict(named))
    predicted = found.ms(total, parts.rows)
    residuals = ms[held] / predicted[held] - 1
    width = half_width(residuals, np.array(found.residuals))
    found = replace(found, interval_relative=width, interval_networks=len(residuals))
    return Fitted(found, check(predicted[test], ms[test], width))


def recheck(kept: Calibration, rows: Mapping[Placement, float], networks: Sequence[MeasuredNetwork]) -> Fitted:
    """Check a calibration that is kept on the test networks, as `fit` does its own."""
    tests = [(Architecture.parse(network.architecture), network.ms) for network in networks if network.role == "test"]
    times, usable = kept.corrected(rows), []
    for architecture, ms in tests:
        placements = executed(architecture, kept.folds_constants)
        if all(placement in times for placement in placements):
            usable.append((sum(times[placement] for placement in placements), len(placements), ms))
    total, number, measured = np.array(usable, np.float64).reshape(-1, 3).T
    return Fitted(kept, check(kept.ms(total, number), measured, kept.interval_relative))


class _Parts(NamedTuple):
    """What networks are made of.

    Attributes:
        placements: the rows that any of them may need.
        times: ms of each row in each network, (n, placements).
        rows: number of rows of each network, (n,).
    """

    placements: tuple[Placement, ...]
    times: Floats
    rows: Floats


def _parts(networks: Sequence[MeasuredNetwork], rows: Mapping[Placement, float], folds_constants: bool) -> _Parts:
    architectures = [Architecture.parse(network.architecture) for network in networks]
    every = dict.fromkeys(placement for each in architectures for placement in executed(each, False))
    column = {placement: i for i, placement in enumerate(every)}
    times, number = np.zeros((len(networks), len(column))), np.zeros(len(networks))
    for i, architecture in enumerate(architectures):
        placements = executed(architecture, folds_constants)
        number[i] = len(placements)
        for placement in placements:
            times[i, column[placement]] += rows[placement]
    return _Parts(tuple(column), times, number)


def _affine(parts: _Parts, ms: Floats, which: NDArray[np.bool_]) -> Calibration:
    return calibrate(parts.times[which].sum(axis=1), parts.rows[which], ms[which])
