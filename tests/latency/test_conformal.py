from __future__ import annotations

import numpy as np
import pytest

from mnas.latency import calibrate
from mnas.latency.conformal import half_width

OWN = np.linspace(-0.05, 0.05, 20)


def test_nineteen_networks_leave_out_two() -> None:
    held = np.arange(-9, 10) / 100
    assert half_width(held, OWN) == 0.09
    assert half_width(np.arange(1, 20) / 100, OWN) == 0.18
    assert half_width(-np.arange(1, 10) / 100, OWN) == 0.09


def test_few_held_networks_never_narrow_the_interval() -> None:
    assert half_width(np.full(3, 0.01), OWN) == 0.05
    assert half_width(np.array([0.01, -0.2]), OWN) == 0.2


def test_without_held_networks_the_fit_tells() -> None:
    assert half_width(np.zeros(0), OWN) == 0.05
    assert half_width(np.zeros(0), np.array([0.01, -0.03])) == 0.03


@pytest.mark.parametrize("held", [19, 40])
def test_intervals_hold_nine_of_ten_networks(held: int) -> None:
    """Mean coverage over 200 splits of networks with errors as measured ones have: heavy tails, and rows that are off.

    Fit, interval and test networks are disjoint; what the fit gets wrong systematically is in the residuals too.
    """
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        total, rows = np.exp(rng.normal(0, 0.6, 160)), rng.integers(8, 22, 160).astype(np.float64)
        off = 1 + 0.02 * np.sin(3 * np.log(total))
        ms = (0.1 + 0.9 * total * off + 0.01 * rows) * np.exp(0.015 * rng.standard_t(4, 160))
        fit = calibrate(total[:20], rows[:20], ms[:20])
        residuals = ms / fit.ms(total, rows) - 1
        width = half_width(residuals[20 : 20 + held], np.array(fit.residuals))
        covered.append(np.mean(np.abs(residuals[20 + held :]) <= width))
    assert 0.88 <= np.mean(covered) <= 0.92
