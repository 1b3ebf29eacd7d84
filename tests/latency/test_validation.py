from __future__ import annotations

import numpy as np
import pytest

from mnas.latency import Remeasurement, check, judge

GOOD = check(np.linspace(1, 2, 10) * 1.01, np.linspace(1, 2, 10))


def again(percent: float) -> Remeasurement:
    return Remeasurement(30.0, percent, 30.0, 40)


def test_check_by_hand() -> None:
    found = check(np.array([1.04, 1.8, 3.0, 4.4]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.n == 4
    assert found.mape_percent == pytest.approx((4 + 10 + 0 + 10) / 4)
    assert found.within_5_percent == 50
    assert found.bias_percent == pytest.approx(1.0)
    assert found.spearman == pytest.approx(1.0)
    assert check(np.array([1.0, 3.0, 2.0]), np.array([1.0, 2.0, 3.0])).spearman == pytest.approx(0.5)


def test_coverage_is_relative_to_the_prediction() -> None:
    found = check(np.array([1.0, 2.0, 4.0, 10.0]), np.array([1.1, 1.8, 3.5, 10.0]), 0.1000001)
    assert found.covered_percent == 75
    assert np.isnan(check(np.ones(2), np.ones(2)).covered_percent)


def test_nothing_to_check() -> None:
    assert check(np.zeros(0), np.zeros(0)).n == 0
    assert np.isnan(check(np.ones(3), np.ones(3)).spearman)


@pytest.mark.parametrize(
    ("percent", "verdict"), [(2, "valid"), (7, "noisy"), (20, "invalid"), (float("nan"), "invalid")]
)
def test_the_remeasurement_error_decides(percent: float, verdict: str) -> None:
    found, remedy = judge(again(percent), GOOD, emulated=False)
    assert found == verdict
    assert bool(remedy) == (verdict != "valid")


def test_emulated_and_unchecked_tables_are_never_valid() -> None:
    assert judge(again(1), GOOD, emulated=True) == (
        "invalid",
        "the processor was emulated, so times mean nothing: profile on the real device",
    )
    verdict, remedy = judge(again(1), check(np.ones(2), np.ones(2)), emulated=False)
    assert verdict == "invalid"
    assert "only 2 test networks" in remedy


@pytest.mark.parametrize(("factor", "verdict"), [(1.05, "valid"), (1.12, "noisy"), (1.4, "invalid")])
def test_the_error_of_predictions_decides_too(factor: float, verdict: str) -> None:
    measured = np.linspace(1, 2, 10)
    found, remedy = judge(again(1), check(measured * factor, measured), emulated=False)
    assert found == verdict
    assert ("predicted" in remedy) == (verdict != "valid")
