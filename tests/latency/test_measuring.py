"""The second pass and rows that are measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mnas.devices import Device
from mnas.latency import LatencyTable, load_table, report
from mnas.latency.table import WIDE
from mnas.runtimes import Measurement, Plan
from tests.latency.fakes import FakeRuntime, measure_tiny, tiny

SHAKY = [str(placement) for placement in list(tiny().placements())[3:6]]
MANY: dict[str, Any] = {"passes": 6, "max_minutes": 5}


def shake(fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch, spread: float) -> None:
    """Make visits of a few rows scatter by `spread`, in log."""
    measure = fake.measure

    def shaken(device: Device, models: dict[str, Path], plan: Plan) -> Measurement:
        found = measure(device, models, plan)
        frame = found.samples
        rng = np.random.default_rng(plan.seed)
        factor = pd.Series(np.exp(rng.normal(0, spread, frame["visit"].max() + 1))).loc[frame["visit"]].to_numpy()
        ns = np.where(frame["item"].isin(SHAKY), frame["cpu_ns"] * factor, frame["cpu_ns"])
        return Measurement(frame.assign(cpu_ns=ns.astype(np.int64)), found.failed, found.conditions)

    monkeypatch.setattr(fake, "measure", shaken)


def test_tests_are_measured_twice_independently(tmp_path: Path, fake: FakeRuntime) -> None:
    table = measure_tiny(tmp_path / "t")
    tests = {network.item for network in table.networks if network.role == "test"}
    anchors = {network.item for network in table.networks if network.role == "anchor"}
    assert [set(call) for call in fake.calls[-2:]] == [tests | anchors] * 2
    assert table.remeasurement.n == len(tests)
    samples = table.samples
    again = samples["item"].str.startswith("again:")
    assert set(samples[again]["unit"]).isdisjoint(samples[~again]["unit"])


def test_a_faster_second_pass_is_a_level_and_no_error(tmp_path: Path, fake: FakeRuntime) -> None:
    fake.swing = fake.noise = 0
    passes = iter([1, 1, 1, 1, 0.7, 0.7])
    measure = fake.measure

    def faster(device: Device, models: dict[str, Path], plan: Plan) -> Measurement:
        fake.slowness = next(passes)
        return measure(device, models, plan)

    fake.measure = faster  # type: ignore[method-assign, assignment]
    table = measure_tiny(tmp_path / "t")
    assert table.remeasurement.level_percent == pytest.approx(-30, abs=2)
    assert table.remeasurement.mape_percent == pytest.approx(30, abs=2)
    assert table.remeasurement.mape_without_level_percent < 1
    assert table.verdict == "valid"


def test_wide_rows_are_measured_again(tmp_path: Path, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    shake(fake, monkeypatch, 0.1)
    table = measure_tiny(tmp_path / "t", **MANY)
    extra = fake.calls[6:]
    anchors = {network.item for network in table.networks if network.role == "anchor"}
    assert extra
    for call in extra:
        assert anchors < set(call)
    assert set(extra[0]) - anchors == set(SHAKY)
    rounds = {str(placement): row.rounds for placement, row in table.rows.items()}
    assert all(rounds[name] > 12 for name in SHAKY)
    assert all(n == 12 for name, n in rounds.items() if name not in SHAKY)
    assert report(table)["wide_rows"] == sum(row.reach > WIDE for row in table.rows.values())


def test_no_time_is_no_further_pass(tmp_path: Path, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    shake(fake, monkeypatch, 0.2)
    table = measure_tiny(tmp_path / "t", passes=6, max_minutes=0)
    assert len(fake.calls) == 6
    assert {str(placement) for placement in table.wide_rows} == set(SHAKY)


@pytest.mark.parametrize("unit", [6, 7])
def test_death_while_measuring_again(
    tmp_path: Path, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch, unit: int
) -> None:
    shake(fake, monkeypatch, 0.3)
    whole = measure_tiny(tmp_path / "a" / "t", **MANY)
    calls = len(fake.calls)
    assert calls > unit
    fake.dies_at, fake.calls = unit, []
    with pytest.raises(KeyboardInterrupt):
        measure_tiny(tmp_path / "b" / "t", **MANY)
    assert measure_tiny(tmp_path / "b" / "t", **MANY) == whole
    assert len(fake.calls) == calls


def test_a_finished_table_is_measured_again_where_it_is_wide(
    tmp_path: Path, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        shake(fake, patch, 0.3)
        before = measure_tiny(tmp_path / "t", passes=6)
    assert set(map(str, before.wide_rows)) == set(SHAKY)
    after = measure_tiny(tmp_path / "t", remeasure=True, passes=6)
    assert after.wide_rows == ()
    assert load_table(tmp_path / "t") == after
    assert _unchanged(before, after) == set(before.rows) - set(before.wide_rows)


def _unchanged(before: LatencyTable, after: LatencyTable) -> set[Any]:
    return {placement for placement, row in before.rows.items() if after.rows[placement] == row}
