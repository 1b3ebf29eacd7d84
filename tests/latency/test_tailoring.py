"""Rows tailored to a new device from a few networks whose latencies follow a known rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mnas.errors import CheckError
from mnas.ir import Architecture, Placement
from mnas.latency import LatencyTable
from mnas.latency.kernels import shares
from mnas.latency.networks import draw_networks
from mnas.latency.tailoring import Pattern, pattern
from tests.latency.fakes import tiny

Floats = NDArray[np.float64]
SPACE = tiny(stages=2)
PLACEMENTS = tuple(SPACE.placements())
NETWORKS = draw_networks(SPACE, 120, 0, 0, 0).calibration


def other_ms(placement: Placement) -> float:
    """A device at half the speed, on which 5x5 kernels are dear."""
    return row_ms(placement) * (2 + 3 * sum(share for kind, share in shares(placement).items() if "5x5" in kind))


def row_ms(placement: Placement) -> float:
    return 0.01 + placement.cost.macs / 1e7


def with_rows(table: LatencyTable, ms: Callable[[Placement], float]) -> LatencyTable:
    row = next(iter(table.rows.values()))
    rows = {p: row._replace(median_ms=ms(p), ci_low_ms=ms(p), ci_high_ms=ms(p)) for p in PLACEMENTS}
    return replace(table, rows=rows, calibration=replace(table.calibration, corrections={}))


def truth(network: Architecture, overhead_ms: float = 0.0) -> float:
    return overhead_ms + sum(map(other_ms, network.placements))


def errors(shape: Pattern, idx: NDArray[np.int64], target: Floats) -> tuple[Floats, float]:
    """Relative errors of all networks, and the half width of the interval."""
    tailored = shape.tailor(idx, target[idx])
    fit = tailored.calibration
    return target / fit.ms(shape.counts @ tailored.ms, shape.counts.sum(axis=1)) - 1, fit.interval_relative


def draw(seed: int, k: int = 10) -> NDArray[np.int64]:
    return np.random.default_rng(seed).choice(len(NETWORKS), k, replace=False)


@pytest.fixture
def known(table: LatencyTable) -> Pattern:
    return pattern([with_rows(table, row_ms)], PLACEMENTS, NETWORKS)


@pytest.mark.parametrize("overhead_ms", [0.0, 0.05])
def test_a_device_where_one_kind_of_work_is_dear_is_recovered(known: Pattern, overhead_ms: float) -> None:
    target = np.array([truth(network, overhead_ms) for network in NETWORKS])
    level = target / known.latencies[0]
    plain = np.abs(level / np.median(level) - 1).mean()
    found = np.median([np.abs(errors(known, draw(seed), target)[0]).mean() for seed in range(6)])
    assert found < plain / 3
    assert found < 0.04


def test_rows_are_tailored_not_networks_alone(known: Pattern) -> None:
    target = np.array([truth(network) for network in NETWORKS])
    tailored = known.tailor(draw(0), target[draw(0)])
    wanted = np.array(list(map(other_ms, PLACEMENTS)))
    ratio = tailored.calibration.scale * tailored.ms / wanted
    assert np.abs(ratio / np.median(ratio) - 1).mean() < 0.1
    assert (tailored.ms > 0).all()
    assert (tailored.reach > 0).all()


def test_rows_count_at_the_scale_of_the_known_tables(table: LatencyTable, known: Pattern) -> None:
    target = np.array([truth(network) for network in NETWORKS])
    assert known.tailor(draw(0), target[draw(0)]).calibration.scale == pytest.approx(table.calibration.scale)


def test_intervals_hold_nine_of_ten_networks_on_average(known: Pattern) -> None:
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(12):
        target = np.array([truth(network) for network in NETWORKS]) * np.exp(rng.normal(0, 0.05, len(NETWORKS)))
        found, width = errors(known, draw(seed, 12), target)
        covered.append((np.abs(np.delete(found, draw(seed, 12))) <= width).mean())
    assert 0.82 < np.mean(covered) < 0.99


def test_the_ends_of_the_span_do_not_widen_intervals(known: Pattern) -> None:
    target = np.array([truth(network) for network in NETWORKS])
    ends = np.array([target.argmin(), target.argmax()])
    rest = np.setdiff1d(draw(1), ends)[:8]
    tailored = known.tailor(np.r_[ends, rest], target[np.r_[ends, rest]])
    assert len(tailored.calibration.residuals) == 8
    assert tailored.calibration.interval_relative < 0.15
    assert tailored.calibration.spans(float((known.counts @ tailored.ms).min()))


def test_a_second_table_that_is_like_the_new_device_helps(table: LatencyTable, known: Pattern) -> None:
    def odd(placement: Placement) -> float:
        """Dear for a reason that no kind of work tells."""
        return row_ms(placement) * (1 + 2 * (placement.x.c % 16 == 0))

    target = np.array([sum(map(odd, network.placements)) for network in NETWORKS])
    both = pattern([with_rows(table, row_ms), with_rows(table, odd)], PLACEMENTS, NETWORKS)
    one, two = (
        np.median([np.abs(errors(shape, draw(seed), target)[0]).mean() for seed in range(5)]) for shape in (known, both)
    )
    assert two <= one


def test_too_few_networks_are_refused(known: Pattern) -> None:
    with pytest.raises(CheckError, match="only 4 networks were measured, 5 are needed"):
        known.tailor(np.arange(4), np.ones(4))
