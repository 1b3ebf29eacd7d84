from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mnas.latency import estimate, filtered, halves, split_half, visits
from tests.latency.machine import simulate

MS = np.exp(np.random.default_rng(1).normal(0, 1, 248))
ANCHORS = np.arange(8)
CHUNKS = [np.concatenate([ANCHORS, np.arange(8 + 80 * i, 88 + 80 * i)]) for i in range(3)]
UNITS = [chunk for chunk in CHUNKS for _ in range(2)]
LEVELS = [0.0, 0.3, -0.1, 0.2, 0.3, 0.05]


def errors(ms: pd.Series, true: NDArray[np.float64] = MS) -> NDArray[np.float64]:
    """Relative errors once the level common to all items is gone."""
    known = np.array([true[int(name.removeprefix("i"))] for name in ms.index])
    ratio = ms.to_numpy(np.float64) / known
    return np.asarray(np.abs(ratio / np.median(ratio) - 1))


def test_items_are_recovered_where_plain_medians_are_off() -> None:
    samples = simulate(MS, UNITS, levels=LEVELS, preempted=0.2)
    seen = visits(samples, "cpu_ns")
    plain = errors(seen.groupby("item")["ms"].median())
    recovered = errors(estimate(filtered(seen))["median_ms"])
    assert plain.mean() > 0.05
    assert np.quantile(recovered, 0.95) < 0.02
    assert recovered.mean() < 0.01


def test_one_unit_and_few_items_are_recovered() -> None:
    samples = simulate(MS[:9], [np.arange(9)], levels=[0.0], passes=20)
    assert errors(estimate(filtered(visits(samples, "cpu_ns")))["median_ms"]).max() < 0.02


def test_the_typical_speed_of_the_measurement_is_kept() -> None:
    samples = simulate(MS[:60], [np.arange(60)] * 3, levels=[0.0, 0.0, 0.3], swing=0.0, noise=0.0)
    found = estimate(filtered(visits(samples, "cpu_ns")))["median_ms"].to_numpy()
    assert found == pytest.approx(MS[:60], rel=0.01)


def test_the_common_mode_is_what_was_simulated() -> None:
    seen = filtered(visits(simulate(MS[:60], [np.arange(60)] * 2, levels=[0.0, 0.3], noise=0.001), "cpu_ns"))
    levels = seen.groupby("unit")["common"].median()
    assert levels[1] - levels[0] == pytest.approx(0.3, abs=0.1)
    assert seen["common"].std() == pytest.approx(np.hypot(0.15, 0.15), rel=0.25)


def test_preempted_repetitions_are_dropped_while_half_remain() -> None:
    rows = [(0, 10, False), (0, 11, False), (0, 90, True), (1, 10, False), (1, 90, True), (1, 91, True)]
    frame = pd.DataFrame(rows, columns=["visit", "cpu_ns", "preempted"])
    frame = frame.assign(unit=0, item="a", round=frame["visit"], rep=0, wall_ns=frame["cpu_ns"], cpu_ns=frame["cpu_ns"])
    seen = visits(frame, "cpu_ns")
    assert list(seen["reps"]) == [2, 3]
    assert list(seen["ms"] * 1e6) == [10.5, 90]
    assert list(seen["preempted"]) == pytest.approx([1 / 3, 2 / 3])


def test_intervals_are_over_rounds_and_cover() -> None:
    samples = simulate(MS, UNITS, levels=LEVELS, reps=5, noise=0.03)
    found = estimate(filtered(visits(samples, "cpu_ns")))
    assert (found["rounds"].iloc[8:] == 12).all()
    assert (found["rounds"].iloc[:8] == 36).all()
    assert (found["reps"] == 5 * found["rounds"]).all()
    level = np.median(found["median_ms"].to_numpy() / MS)
    assert np.mean((found["ci_low_ms"] <= MS * level) & (MS * level <= found["ci_high_ms"])) > 0.9
    width = (found["ci_high_ms"] - found["ci_low_ms"]) / found["median_ms"]
    assert width.median() > 0.015  # the noise within visits is ten times smaller than between them


def test_below_six_rounds_the_interval_is_the_range() -> None:
    seen = pd.DataFrame({"item": "a", "filtered_ms": [1.0, 2.0, 3.0, 4.0, 5.0], "reps": 1, "preempted": 0.0})
    row = estimate(seen).loc["a"]
    assert (row["ci_low_ms"], row["median_ms"], row["ci_high_ms"]) == (1, 3, 5)


def test_order_statistics_of_twelve_rounds() -> None:
    seen = pd.DataFrame({"item": "a", "filtered_ms": np.arange(1.0, 13), "reps": 1, "preempted": 0.0})
    row = estimate(seen).loc["a"]
    assert (row["ci_low_ms"], row["ci_high_ms"]) == (3, 10)  # ranks 3 and 10 of 12 cover 96.1 %


def test_halves_see_the_level_only_when_asked() -> None:
    samples = simulate(MS[:60], [np.arange(60)] * 2, levels=[0.0, 0.3])
    again = split_half(halves(samples, "cpu_ns"))
    assert again.n == 60
    assert again.mape_percent > 20
    assert again.mape_without_level_percent < 2
    assert again.level_percent == pytest.approx(np.expm1(0.3) * 100, abs=15)


def test_halves_of_chunks_align_through_anchors() -> None:
    again = split_half(halves(simulate(MS, UNITS, levels=LEVELS), "cpu_ns"))
    assert again.n == len(MS)
    assert again.mape_without_level_percent < 2


def test_halves_of_one_unit_are_rounds() -> None:
    again = split_half(halves(simulate(MS[:60], [np.arange(60)], levels=[0.0]), "cpu_ns"))
    assert again.n == 60
    assert again.mape_without_level_percent < 2


def test_one_round_has_no_halves() -> None:
    again = split_half(halves(simulate(MS[:60], [np.arange(60)], levels=[0.0], passes=1), "cpu_ns"))
    assert again.n == 0
    assert np.isnan(again.mape_percent)


def test_a_clock_that_reads_zero_is_survived() -> None:
    samples = simulate(MS[:20], [np.arange(20)], levels=[0.0])
    samples.loc[samples["item"] == "i0003", "cpu_ns"] = 0
    found = estimate(filtered(visits(samples, "cpu_ns")))
    assert np.isfinite(found.to_numpy(np.float64)).all()
    assert (found["median_ms"] > 0).all()
