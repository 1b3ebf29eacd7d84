from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnas.ir import Architecture
from mnas.latency import LatencyTable, MeasuredNetwork, load_table, save_table
from mnas.latency.conformal import half_width
from mnas.latency.fitting import Fitted, fit
from mnas.latency.networks import draw_networks, roles
from mnas.latency.pricing import executed
from mnas.spaces import sample, space
from tests.latency.fakes import network_ms, row_ms

SPACE = space("mnasnet-small")
ROWS = {placement: row_ms(placement) for placement in SPACE.placements()}
OFF = {placement: float(np.exp(np.random.default_rng(i).normal(0, 0.2))) for i, placement in enumerate(ROWS)}


def measured(counts: tuple[int, int, int], noise: float, off: bool = False) -> tuple[MeasuredNetwork, ...]:
    """Networks as the fake measures them; each row may take another time inside than alone."""
    rng = np.random.default_rng(0)
    found = []
    for i, (network, role) in enumerate(roles(draw_networks(SPACE, *counts, seed=0))):
        ms = network_ms(network) + sum((OFF[p] - 1) * ROWS[p] for p in network.placements) * off
        found.append(MeasuredNetwork(f"network-{i:02d}", str(network), ms * np.exp(rng.normal(0, noise)), role))
    return tuple(found)


def predicted(found: Fitted, network: MeasuredNetwork) -> float:
    placements = executed(Architecture.parse(network.architecture), False)
    rows = found.calibration.corrected(ROWS)
    return float(found.calibration.ms(np.array(sum(rows[p] for p in placements)), np.array(float(len(placements)))))


def test_interval_networks_widen_and_test_networks_judge() -> None:
    networks = measured((20, 19, 20), 0.02)
    found = fit(ROWS, networks)
    residuals = [n.ms / predicted(found, n) - 1 for n in networks if n.role == "interval"]
    assert found.calibration.interval_relative == pytest.approx(sorted(map(abs, residuals))[17])
    assert found.calibration.interval_networks == 19
    errors = [predicted(found, n) / n.ms - 1 for n in networks if n.role == "test"]
    assert found.check.n == 20
    assert found.check.mape_percent == pytest.approx(100 * np.mean(np.abs(errors)))


@pytest.mark.parametrize("role", ["anchor", "interval", "test"])
def test_each_role_serves_its_own_end(role: str) -> None:
    networks = measured((20, 19, 20), 0.02)
    before, after = (fit(ROWS, each) for each in (networks, [
        n._replace(ms=n.ms * (1.5 if n.role == role else 1)) for n in networks
    ]))  # fmt: skip
    same = [
        after.calibration.scale == before.calibration.scale,
        after.calibration.interval_relative == before.calibration.interval_relative,
        after.check.mape_percent == before.check.mape_percent,
    ]
    assert same == {"anchor": [False] * 3, "interval": [True, False, True], "test": [True, True, False]}[role]


@pytest.mark.parametrize("held", [0, 4])
def test_few_interval_networks_are_said(held: int) -> None:
    networks = measured((20, held, 20), 0.02)
    found = fit(ROWS, networks).calibration
    assert found.interval_networks == held
    assert found.interval_relative >= half_width(np.zeros(0), np.array(found.residuals))


def test_rows_that_take_another_time_inside_are_corrected_with_many_networks() -> None:
    few, many = (fit(ROWS, measured((n, 19, 60), 0.005, off=True)) for n in (20, 74))
    assert few.calibration.corrections == {}
    assert list(many.calibration.corrections) == sorted(many.calibration.corrections)
    assert set(many.calibration.corrections) <= set(map(str, ROWS))
    assert many.check.mape_percent < 0.75 * few.check.mape_percent
    found = many.calibration.corrections
    common = [OFF[p] for p in ROWS if str(p) in found], [found[str(p)] for p in ROWS if str(p) in found]
    assert np.corrcoef(*common)[0, 1] > 0.4


def test_a_table_prices_corrected_rows_everywhere(table: LatencyTable, tmp_path: pytest.TempPathFactory) -> None:
    found = fit(ROWS, measured((74, 0, 0), 0.005, off=True)).calibration
    assert found.corrections
    row = next(iter(table.rows.values()))
    rows = {placement: row._replace(median_ms=ms, ci_low_ms=ms, ci_high_ms=ms) for placement, ms in ROWS.items()}
    corrected = save_table(replace(table, rows=rows, calibration=found), f"{tmp_path}/t")
    assert load_table(f"{tmp_path}/t") == corrected
    assert load_table(f"{tmp_path}/t").sha256 == corrected.sha256
    encodings = sample(SPACE, np.random.default_rng(0), 40)
    batch = corrected.predict_batch(SPACE, encodings)
    plain = replace(corrected, calibration=replace(found, corrections={}))
    for encoding, ms in zip(encodings.tolist(), batch.tolist(), strict=True):
        network = SPACE.decode(tuple(encoding))
        assert corrected.predict(network).ms == pytest.approx(ms, rel=1e-9)
        parts = sum(each for _, each in corrected.explain(network)) + found.overhead_ms
        assert parts == pytest.approx(ms, rel=1e-9)
        assert ms == pytest.approx(found.ms(
            np.array(sum(ROWS[p] * found.corrections.get(str(p), 1) for p in network.placements)),
            np.array(float(len(network.placements))),
        ))  # fmt: skip
        assert plain.predict(network).ms != pytest.approx(ms, rel=1e-6)
