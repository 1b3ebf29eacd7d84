from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnas.latency.calibration import Calibration, Floats, calibrate
from mnas.latency.ridge import LEAST_NETWORKS, _solve, correct
from mnas.latency.validation import check

FIT, TEST = 74, 100
ROWS, SLOTS = 400, 20


class Machine:
    """Networks of 20 rows out of 400; inside them a row takes `exp(normal(0, bias))` of what it takes alone."""

    def __init__(self, bias: float, noise: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        alone = np.exp(rng.normal(-3, 0.8, ROWS))
        inside = alone * np.exp(rng.normal(0, bias, ROWS))
        slot = rng.integers(0, ROWS // SLOTS, (FIT + TEST, SLOTS)) + np.arange(SLOTS) * (ROWS // SLOTS)
        part: NDArray[np.bool_] = rng.uniform(size=slot.shape) < rng.uniform(0.4, 1, (FIT + TEST, 1))
        uses = np.zeros((FIT + TEST, ROWS))
        for i in range(FIT + TEST):
            uses[i, slot[i, part[i]]] = 1
        self.times, self.rows = uses * alone, uses.sum(axis=1)
        true = 0.05 + 0.9 * uses @ inside + 0.004 * self.rows
        self.ms = true * np.exp(rng.normal(0, noise, FIT + TEST))

    def affine(self, n: int = FIT) -> Calibration:
        return calibrate(self.times[:n].sum(axis=1), self.rows[:n], self.ms[:n])

    def corrected(self, n: int = FIT) -> tuple[Calibration, Floats] | None:
        return correct(self.affine(n), self.times[:n], self.rows[:n], self.ms[:n])

    def error(self, fit: Calibration, factors: Floats) -> float:
        predicted = fit.ms((self.times @ factors)[FIT:], self.rows[FIT:])
        return check(predicted, self.ms[FIT:]).mape_percent

    def errors(self) -> tuple[float, float]:
        """MAPE in percent of the affine fit, and of what one gets."""
        before = self.error(self.affine(), np.ones(ROWS))
        found = self.corrected()
        return before, before if found is None else self.error(*found)


def test_rows_that_are_off_are_corrected() -> None:
    before, after = np.array([Machine(0.2, 0.01, seed).errors() for seed in range(10)]).T
    assert (after < before).all()
    assert after.mean() < 0.85 * before.mean()


def test_rows_that_are_right_are_left_alone() -> None:
    before, after = np.array([Machine(0.0, 0.02, seed).errors() for seed in range(20)]).T
    assert after.mean() < 1.03 * before.mean()
    assert (after < 1.15 * before).all()


def test_predictions_leave_the_network_out() -> None:
    machine = Machine(0.2, 0.01, 0)
    shares = machine.times[:FIT] / machine.ms[:FIT, None]
    trend = np.stack([1 / machine.ms[:FIT], shares.sum(axis=1)], axis=1)
    weights, dual, predicted = _solve(4 * shares @ shares.T, trend)
    factors = 4 * shares.T @ dual
    penalised = np.concatenate([np.stack([*trend.T, *shares.T], axis=1), np.eye(ROWS + 2)[2:] / 2])
    ones = np.repeat([1.0, 0.0], [FIT, ROWS])
    solution = np.linalg.solve(penalised.T @ penalised, penalised.T @ ones)
    assert [*weights, *factors] == pytest.approx(solution, abs=1e-8)
    for i in (0, 30):
        rest = np.delete(penalised, i, 0)
        without = np.linalg.solve(rest.T @ rest, rest.T @ np.delete(ones, i))
        assert predicted[i] == pytest.approx(penalised[i] @ without)


def test_the_calibration_is_that_of_corrected_rows() -> None:
    machine = Machine(0.2, 0.01, 0)
    found = machine.corrected()
    assert found is not None
    fit, factors = found
    assert np.std(fit.residuals) < 0.9 * np.std(machine.affine().residuals)
    assert np.abs(fit.residuals).mean() == pytest.approx(machine.error(fit, factors) / 100, rel=0.4)
    assert np.mean(np.abs(fit.residuals) <= fit.interval_relative) == pytest.approx(0.9, abs=0.02)
    total = (machine.times @ factors)[:FIT]
    assert (fit.least_ms, fit.largest_ms) == (total.min(), total.max())


def test_rows_of_no_network_are_not_corrected() -> None:
    machine = Machine(0.2, 0.01, 1)
    found = machine.corrected()
    assert found is not None
    unseen = ~machine.times[:FIT].any(axis=0)
    assert unseen.any()
    assert (found[1][unseen] == 1).all()
    assert ((found[1] != 1) == ~unseen).all()
    assert 0.5 <= found[1].min() < 0.95 < 1.05 < found[1].max() <= 2


def test_too_few_networks_correct_nothing() -> None:
    machine = Machine(0.2, 0.01, 3)
    assert machine.corrected(LEAST_NETWORKS - 1) is None
