from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mnas.errors import CheckError, MissingLatencyError
from mnas.ir import Architecture, Placement
from mnas.latency import LatencyTable
from mnas.latency.estimator import LEAST_ROWS, fit_estimator
from mnas.latency.fitting import fit
from mnas.latency.kernels import kernels
from mnas.spaces import sample, space
from tests.latency.fakes import tiny
from tests.latency.test_fitting import measured

SPACE = space("mnasnet-small")
_SPEED = {"dense": 1e7, "depthwise": 2e6}


def alone(placement: Placement) -> float:
    """A machine on which a kernel takes its MACs, memory and a call; 5x5 depthwise ones fall off a cliff."""
    ms = 0.004
    for kernel in kernels(placement):
        speed = _SPEED.get(kernel.kind, 1e7) / (3 if kernel.name == "depthwise 5x5" else 1)
        ms += 0.001 + kernel.macs / speed + kernel.moved / 2e7 + kernel.weights / 1e7
    wave = 1 + 0.05 * np.sin(placement.x.c) + 0.05 * (placement.y.c % 24 == 0)
    return float(ms * wave * np.exp(np.random.default_rng(placement.x.c * 97 + placement.y.c).normal(0, 0.02)))


ROWS = {placement: alone(placement) for placement in SPACE.placements()}


def errors(out: Callable[[int, Placement], bool]) -> tuple[float, float]:
    """Mean relative error on rows that are left out, and the share of them within the error that is told."""
    left = [placement for i, placement in enumerate(ROWS) if out(i, placement)]
    found = fit_estimator({placement: ms for placement, ms in ROWS.items() if placement not in set(left)})
    rows = found.estimate(left)
    error = np.abs([row.ms / ROWS[placement] - 1 for row, placement in zip(rows, left, strict=True)])
    return float(error.mean()), float(np.mean(error <= [row.error for row in rows]))


def has(name: str) -> Callable[[int, Placement], bool]:
    return lambda _, placement: any(kernel.name == name for kernel in kernels(placement))


def test_rows_left_out_at_random_are_estimated_within_their_error() -> None:
    error, within = errors(lambda i, _: i % 5 == 0)
    assert error < 0.06
    assert within > 0.8


@pytest.mark.parametrize("name", ["depthwise 3x3", "depthwise 5x5", "dense 3x3", "mul", "add"])
def test_kernels_that_were_never_measured_cost_what_their_kind_does(name: str) -> None:
    error, _ = errors(has(name))
    assert error < 0.7


def test_new_kernels_are_less_certain() -> None:
    found = fit_estimator({p: ms for p, ms in ROWS.items() if not has("depthwise 5x5")(0, p)})
    assert found.new_error > 2 * found.known_error > 0
    known, new, wide = map(
        Placement.parse, ("mbconv_c40_k3@32x14x14", "mbconv_c40_k5@32x14x14", "mbconv_c40_k3@32x99x99")
    )
    assert [row.error for row in found.estimate([known, new, wide])] == [
        found.known_error,
        found.new_error,
        found.new_error,
    ]


def test_the_same_rows_give_the_same_estimates() -> None:
    first, again = fit_estimator(ROWS), fit_estimator(dict(ROWS))
    assert first.estimate(list(ROWS)) == again.estimate(list(ROWS))
    assert first.estimate([]) == []


def test_few_rows_estimate_nothing() -> None:
    few = dict(list(ROWS.items())[: LEAST_ROWS - 1])
    with pytest.raises(CheckError, match=f"from at least {LEAST_ROWS} measured ones, not from {LEAST_ROWS - 1}"):
        fit_estimator(few)


@pytest.fixture
def full(table: LatencyTable) -> LatencyTable:
    """A table of the small space."""
    row = next(iter(table.rows.values()))
    rows = {placement: row._replace(median_ms=ms, ci_low_ms=ms, ci_high_ms=ms) for placement, ms in ROWS.items()}
    networks = tuple(
        n._replace(ms=1.02 * sum(map(alone, Architecture.parse(n.architecture).placements)) + 0.01)
        for n in measured((20, 0, 0), 0.0)
    )
    return replace(table, rows=rows, calibration=fit(ROWS, networks).calibration)


@pytest.fixture
def lacking(full: LatencyTable) -> LatencyTable:
    """The same without a seventh of its rows."""
    kept = np.random.default_rng(0).uniform(size=len(full.rows)) > 1 / 7
    return replace(full, rows={p: row for (p, row), keep in zip(full.rows.items(), kept, strict=True) if keep})


def test_missing_rows_are_an_error_unless_estimates_are_asked_for(full: LatencyTable, lacking: LatencyTable) -> None:
    encodings = sample(SPACE, np.random.default_rng(0), 60)
    networks = [SPACE.decode(tuple(encoding)) for encoding in encodings.tolist()]
    short = [network for network in networks if lacking.missing(network.placements)]
    assert len(short) > 10
    for network in short:
        with pytest.raises(MissingLatencyError):
            lacking.predict(network)
    truth = np.array([full.predict(network).ms for network in networks])
    found = [lacking.predict(network, on_missing="estimate") for network in networks]
    assert np.abs(np.array([each.ms for each in found]) / truth - 1).mean() < 0.03
    assert np.mean([each.low_ms <= ms <= each.high_ms for each, ms in zip(found, truth, strict=True)]) >= 0.8
    with pytest.raises(MissingLatencyError):
        lacking.predict_batch(SPACE, encodings)
    batch = lacking.predict_batch(SPACE, encodings, on_missing="estimate")
    assert batch == pytest.approx([each.ms for each in found], rel=1e-9)


def test_estimated_rows_are_flagged_and_widen_the_interval(full: LatencyTable, lacking: LatencyTable) -> None:
    network = next(
        n for e in sample(SPACE, np.random.default_rng(0), 60).tolist()
        if lacking.missing((n := SPACE.decode(tuple(e))).placements)
    )  # fmt: skip
    completed = lacking.completed(network.placements)
    assert set(completed.estimated) == set(lacking.missing(network.placements))
    assert completed.missing(network.placements) == ()
    parts = completed.explain(network)
    fit, guessed = lacking.calibration, completed.estimated
    share = completed.estimated_share(network)
    assert share == pytest.approx(sum(ms for p, ms in parts if p in guessed) / sum(ms for _, ms in parts))
    assert 0 < share < 1
    assert full.estimated_share(network) == 0
    ms, low, high = completed.predict(network)
    more = fit.scale * sum(guessed[p].ms * guessed[p].error for p in network.placements if p in guessed)
    assert high - ms == pytest.approx(ms * fit.interval_relative + more)
    assert ms - low == pytest.approx(min(ms, high - ms))
    assert f"{len(guessed)} ESTIMATED" in completed.summary()
    assert completed.sha256 != lacking.sha256
    assert lacking.completed(network.placements) is completed
    assert completed.completed(network.placements) is completed


def test_a_completed_table_covers_its_space(lacking: LatencyTable) -> None:
    with pytest.raises(MissingLatencyError):
        lacking.check_covers(SPACE)
    completed = lacking.completed(SPACE.placements())
    completed.check_covers(SPACE)
    assert len(completed.rows) + len(completed.estimated) == len(ROWS)


def test_a_table_of_few_rows_says_so(table: LatencyTable) -> None:
    network = tiny().decode((3, 1, 1, 2, 1))
    few = replace(table, rows=dict(list(table.rows.items())[:20]))
    assert few.missing(network.placements)
    with pytest.raises(CheckError, match="not from 20"):
        few.predict(network, on_missing="estimate")
