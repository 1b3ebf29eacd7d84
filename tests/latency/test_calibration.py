from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import CheckError
from mnas.latency import calibrate

RNG = np.random.default_rng(0)
SUM = np.exp(RNG.normal(0, 0.7, 200))
ROWS = RNG.integers(5, 20, 200).astype(np.float64)


@pytest.mark.parametrize(
    ("overhead", "scale", "per_row"), [(0.1, 0.9, 0.012), (0.1, 1.1, 0.0), (0.0, 0.9, 0.012), (0, 1.2, 0)]
)
def test_noise_free_data_give_the_coefficients_back(overhead: float, scale: float, per_row: float) -> None:
    total, rows = SUM[:20], ROWS[:20]
    fit = calibrate(total, rows, overhead + scale * total + per_row * rows)
    assert (fit.overhead_ms, fit.scale, fit.per_row_ms) == pytest.approx((overhead, scale, per_row), abs=1e-9)
    assert fit.interval_relative < 1e-9
    assert fit.ms(SUM, ROWS) == pytest.approx(overhead + scale * SUM + per_row * ROWS)


def test_a_fit_spans_twice_what_it_was_given() -> None:
    total = np.array([3.0, 1.0, 2.0, 4.0])
    fit = calibrate(total, np.full(4, 3.0), 1.1 * total)
    assert (fit.least_ms, fit.largest_ms) == (1.0, 4.0)
    assert [fit.spans(ms) for ms in (0.49, 0.5, 2.0, 8.0, 8.1)] == [False, True, True, True, False]


def test_relative_residuals_are_what_is_minimised() -> None:
    total = np.array([0.1, 0.1, 1.0, 1.0, 100.0, 100.0])
    fit = calibrate(total, np.full(6, 3.0), total * [1.1, 0.9, 1.1, 0.9, 1.1, 0.9])
    assert fit.scale == pytest.approx(1.0, rel=0.02)
    assert np.abs(fit.residuals).max() < 0.2


def test_intervals_cover_unseen_networks() -> None:
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        true = 0.1 + 0.9 * SUM + 0.012 * ROWS
        measured = true * np.exp(rng.normal(0, 0.04, 200))
        fit = calibrate(SUM[:20], ROWS[:20], measured[:20])
        ms = fit.ms(SUM[20:], ROWS[20:])
        covered.append(np.mean(np.abs(measured[20:] / ms - 1) <= fit.interval_relative))
    assert 0.87 < np.mean(covered) < 0.97


def test_residuals_leave_one_out() -> None:
    total, rows = SUM[:12], ROWS[:12]
    measured = (0.1 + 0.9 * total) * np.exp(RNG.normal(0, 0.05, 12))
    fit = calibrate(total, rows, measured)
    assert fit.per_row_ms == 0
    assert fit.overhead_ms != 0
    for i in range(12):
        rest = np.arange(12) != i
        design = np.stack([1 / measured[rest], total[rest] / measured[rest]], axis=1)
        a, b = np.linalg.lstsq(design, np.ones(11), rcond=None)[0]
        assert fit.residuals[i] == pytest.approx(measured[i] / (a + b * total[i]) - 1)


def test_few_networks_fit_few_terms() -> None:
    total, rows = SUM[:3], ROWS[:3]
    fit = calibrate(total, rows, 0.3 + 2 * total + 0.01 * rows)
    assert (fit.overhead_ms, fit.per_row_ms) == (0, 0)
    assert fit.scale > 1


def test_equal_numbers_of_rows_are_not_a_term_beside_the_overhead() -> None:
    total, rows = SUM[:20], np.full(20, 9.0)
    fit = calibrate(total, rows, 0.3 + 2 * total)
    assert fit.overhead_ms == 0 or fit.per_row_ms == 0
    assert fit.ms(SUM[20:30], np.full(10, 9.0)) == pytest.approx(0.3 + 2 * SUM[20:30])


def test_two_networks_are_refused() -> None:
    with pytest.raises(CheckError, match="at least 3 measured networks, got 2"):
        calibrate(SUM[:2], ROWS[:2], SUM[:2])
