"""A machine that is 30 % slower on another day: raw times are 30 % off, and what went through anchors is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnas.devices import Device
from mnas.ir import Architecture
from mnas.latency import LatencyTable, bench, merge
from mnas.lower import initial_weights, lower
from mnas.runtimes import Measurement, Plan
from tests.latency.fakes import FakeRuntime, measure_tiny, network_ms, row_ms, tiny

SLOWER = 1.3
RAW = pytest.approx(0.3, abs=0.03)


@pytest.fixture
def still(fake: FakeRuntime) -> FakeRuntime:
    fake.swing, fake.noise = 0, 0.002
    return fake


def off(table: LatencyTable) -> list[float]:
    """How far every row is from the truth."""
    return [row.median_ms / row_ms(placement) - 1 for placement, row in table.rows.items()]


def raw_off(table: LatencyTable, units: set[int]) -> float:
    """How far the raw samples of some processes are from the truth."""
    truth = {str(placement): row_ms(placement) for placement in table.rows}
    samples = table.samples
    samples = samples[samples["unit"].isin(units) & samples["item"].isin(truth)]
    return float((samples["cpu_ns"] / 1e6 / samples["item"].map(truth)).median()) - 1


def test_a_resumed_measurement_has_one_level(tmp_path: Path, still: FakeRuntime) -> None:
    still.dies_at = 2  # the first chunk on one day, the second on another
    with pytest.raises(KeyboardInterrupt):
        measure_tiny(tmp_path / "t")
    still.slowness = SLOWER
    table = measure_tiny(tmp_path / "t")
    assert raw_off(table, {0, 1}) == pytest.approx(0, abs=0.02)
    assert raw_off(table, {2, 3}) == RAW
    level = [row.median_ms / row_ms(placement) for placement, row in table.rows.items()]
    assert max(level) / min(level) < 1.02


def test_rows_added_later_are_at_the_speed_of_the_table(tmp_path: Path, still: FakeRuntime) -> None:
    before = measure_tiny(tmp_path / "t")
    still.slowness = SLOWER
    other = tiny(classes=7).decode((1, 0, 1, 2, 2))
    after = measure_tiny(tmp_path / "t", None, architectures=(other,))
    fresh = set(after.rows) - set(before.rows)
    assert fresh
    assert max(map(abs, off(after))) < 0.02
    assert raw_off(after, set(after.samples["unit"]) - set(before.samples["unit"])) == RAW


def test_rows_measured_again_are_at_the_speed_of_the_table(
    tmp_path: Path, still: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = still.measure

    def wobbling(device: Device, models: dict[str, Path], plan: Plan) -> Measurement:
        found = measure(device, models, plan)
        odd = found.samples["round"] % 2 == 1
        shaky = found.samples["item"] == str(next(iter(tiny().placements())))
        ns = found.samples["cpu_ns"].where(~(odd & shaky), found.samples["cpu_ns"] * 2)
        return Measurement(found.samples.assign(cpu_ns=ns), found.failed, found.conditions)

    with monkeypatch.context() as patch:
        patch.setattr(still, "measure", wobbling)
        before = measure_tiny(tmp_path / "t")
    assert len(before.wide_rows) == 1
    still.slowness = SLOWER
    after = measure_tiny(tmp_path / "t", remeasure=True)
    assert max(map(abs, off(after))) < 0.02


def test_merged_rows_are_at_the_speed_of_the_first(tmp_path: Path, still: FakeRuntime) -> None:
    other = tiny(classes=7).decode((1, 0, 1, 2, 2))
    first = measure_tiny(tmp_path / "a")
    still.slowness = SLOWER
    second = measure_tiny(tmp_path / "b", architectures=(other,))
    merged = merge(first, second).table
    assert set(merged.rows) > set(first.rows)
    assert off(second) == [RAW] * len(second.rows)
    assert max(map(abs, off(merged))) < 0.02


def test_files_are_compared_at_the_speed_of_the_table(
    tmp_path: Path, still: FakeRuntime, kept_tiny: Architecture
) -> None:
    table = measure_tiny(tmp_path / "t")
    file = tmp_path / "model.fake"
    text = {"architecture": str(kept_tiny)}
    file.write_bytes(lower(kept_tiny, initial_weights(kept_tiny, 0), "tflite", text))
    still.slowness = SLOWER
    (found,) = bench([file], against=table, runtime="fake")
    truth = network_ms(kept_tiny)
    assert found.median_ms / truth - 1 == RAW
    assert found.anchored_ms == pytest.approx(truth, rel=0.02)
    assert found.predicted_ms == pytest.approx(truth, rel=0.02)


@pytest.fixture
def kept_tiny() -> Architecture:
    return tiny().decode((1, 1, 0, 2, 1))
