"""Whether a table may be believed: its error on networks it has not seen beside the error of measuring again."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnas.latency.filter import Remeasurement

Floats = NDArray[np.float64]
Verdict = Literal["valid", "noisy", "invalid", "unverified"]
"""A table is unverified when it was not measured here, so that there are no whole networks to judge it by."""

NOISY_PERCENT = 5.0
ROUGH_PERCENT = 10.0
INVALID_PERCENT = 15.0
LEAST_TESTS = 5


class Check(NamedTuple):
    """How predictions of held-out networks compare with their measurements.

    Attributes:
        n: number of networks.
        mape_percent: mean absolute error relative to the measured latency.
        within_5_percent: share of networks predicted within 5 %, in percent.
        within_10_percent: share of networks predicted within 10 %, in percent.
        spearman: rank correlation.
        bias_percent: mean of predicted / measured - 1.
        covered_percent: share of networks that the 90 % interval holds, in percent; a single draw of networks holds
            some more or fewer.
    """

    n: int
    mape_percent: float
    within_5_percent: float
    within_10_percent: float
    spearman: float
    bias_percent: float
    covered_percent: float = float("nan")


def check(predicted: Floats, measured: Floats, interval_relative: float = float("nan")) -> Check:
    """Compare predictions with measurements, (n,) ms each; NaN where there are too few to tell.

    `interval_relative` is the half width of the predictions' intervals, if they have any.
    """
    n = len(measured)
    if not n:
        return Check(0, *[float("nan")] * 6)
    error = predicted / measured - 1
    within5, within10 = (float((np.abs(error) <= bound).mean()) * 100 for bound in (0.05, 0.10))
    mape, bias = float(np.abs(error).mean()) * 100, float(error.mean()) * 100
    covered = float("nan")
    if not np.isnan(interval_relative):
        covered = float((np.abs(measured / predicted - 1) <= interval_relative).mean()) * 100
    return Check(n, mape, within5, within10, spearman(predicted, measured), bias, covered)


def spearman(first: Floats, second: Floats) -> float:
    """Rank correlation; NaN below two values or where all are equal."""
    ranks = pd.DataFrame({"first": first, "second": second}).rank()
    if len(first) < 2 or (ranks.nunique() < 2).any():
        return float("nan")
    return float(ranks["first"].corr(ranks["second"]))


def judge(remeasurement: Remeasurement, check: Check, *, emulated: bool) -> tuple[Verdict, str]:
    """Say whether a table is valid, noisy or invalid, and what to do about it (empty when valid).

    The remeasurement error is taken without the common level, which anchors remove whenever a table is used.
    """
    error = remeasurement.mape_without_level_percent
    if emulated:
        return "invalid", "the processor was emulated, so times mean nothing: profile on the real device"
    if check.n < LEAST_TESTS:
        return "invalid", f"only {check.n} test networks were measured: profile with at least {LEAST_TESTS}"
    if not error <= INVALID_PERCENT:
        return "invalid", f"measuring again differs by {error:.1f} %: stop other programs and profile again"
    if not check.mape_percent <= INVALID_PERCENT:
        return "invalid", f"held-out networks are predicted {check.mape_percent:.1f} % off: their rows do not add up"
    if error > NOISY_PERCENT:
        return "noisy", f"measuring again differs by {error:.1f} %: profile again with more passes, or more quietly"
    if check.mape_percent > ROUGH_PERCENT:
        return "noisy", f"held-out networks are predicted {check.mape_percent:.1f} % off: keep a margin to the target"
    return "valid", ""
