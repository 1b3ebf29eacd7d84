"""Merging on a device whose true times are known: the second table was measured 1.3 times slower."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnas.errors import CheckError, ConfigError, FormatError
from mnas.ir import Architecture, Placement
from mnas.latency import LatencyTable, Merged, load_table, merge, save_table
from mnas.latency.table import MeasuredNetwork
from tests.latency.fakes import FakeRuntime, measure_tiny, network_ms, row_ms, tiny

EXTRA = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nconv_c24_k7")


@pytest.fixture
def slow(fake: FakeRuntime, tmp_path: Path) -> LatencyTable:
    """The same rows and networks as `table`, and those of another network, on a slower day."""
    fake.slowness, fake.swing, fake.noise = 1.3, 0.02, 0.005
    return measure_tiny(tmp_path / "slow", architectures=[EXTRA])


@pytest.fixture
def merged(table: LatencyTable, slow: LatencyTable) -> Merged:
    return merge(table, slow)


def test_rows_that_the_first_lacks_come_over_at_its_speed(
    table: LatencyTable, slow: LatencyTable, merged: Merged
) -> None:
    made, level = merged.table, _level(table)
    fresh = set(EXTRA.placements[1:])
    assert set(made.rows) == {*table.rows, *fresh}
    assert merged.added == len(fresh)
    assert merged.level.ratio * level == pytest.approx(1.3, rel=0.02)
    assert merged.level.n == 8
    for placement in fresh:
        assert slow.rows[placement].median_ms == pytest.approx(1.3 * row_ms(placement), rel=0.03)
        row = made.rows[placement]
        assert row.median_ms == pytest.approx(level * row_ms(placement), rel=0.03)
        assert row.ci_low_ms <= row.median_ms <= row.ci_high_ms


def test_rows_of_both_stay_those_of_the_first(table: LatencyTable, merged: Merged) -> None:
    assert all(merged.table.rows[placement] == row for placement, row in table.rows.items())
    overlap = merged.comparison
    assert overlap.raw.median == pytest.approx(merged.level.ratio, rel=0.02)
    assert overlap.leveled.n == len(table.rows)
    assert overlap.leveled.mape_percent < 3 < overlap.raw.mape_percent


def test_raw_samples_of_both_are_kept(table: LatencyTable, slow: LatencyTable, merged: Merged) -> None:
    made = merged.table
    assert len(made.samples) == len(table.samples) + len(slow.samples)
    assert made.samples["unit"].nunique() == table.samples["unit"].nunique() + slow.samples["unit"].nunique()
    assert made.effort.units == table.effort.units + slow.effort.units
    assert made.networks == table.networks  # all of the second's were measured in the first
    assert made.verdict == "valid"


def test_a_merged_table_is_saved_and_prices_the_other_network(merged: Merged, tmp_path: Path) -> None:
    save_table(merged.table, tmp_path / "both")
    both = load_table(tmp_path / "both")
    assert both.predict(EXTRA).ms == pytest.approx(network_ms(EXTRA), rel=0.3)


def test_networks_of_the_second_only_calibrate_and_test_too(table: LatencyTable, slow: LatencyTable) -> None:
    def other(i: int, network: MeasuredNetwork) -> MeasuredNetwork:
        unknown = i % 2 == 0 and network.role in ("anchor", "test")
        return network._replace(architecture=f"{network.architecture}\n#{i}") if unknown else network

    swapped = tuple(other(i, network) for i, network in enumerate(slow.networks))
    made = merge(table, replace(slow, networks=swapped)).table
    fresh = made.networks[len(table.networks) :]
    assert made.networks[: len(table.networks)] == table.networks
    assert {network.architecture for network in fresh} == {n.architecture for n in swapped if "#" in n.architecture}
    assert [network.role for network in fresh] == ["calibration"] * 4 + ["test"] * 3
    assert len({network.item for network in made.networks}) == len(made.networks)
    assert made.anchors == table.anchors
    assert len(made.calibration.residuals) == len(table.calibration.residuals) + 4
    assert (made.check.n, made.remeasurement.n) == (table.check.n + 3, table.remeasurement.n + 3)
    for network in fresh:
        before = next(n for n in slow.networks if n.architecture == network.architecture.split("\n#")[0])
        assert network.ms == pytest.approx(before.ms / 1.3 * _level(table), rel=0.03)


def _level(table: LatencyTable) -> float:
    """How much slower than the truth the table was measured."""
    text, ms = table.anchors[0]
    return ms / network_ms(Architecture.parse(text))


def test_processes_of_both_count_once(kept: Path, table: LatencyTable, fake: FakeRuntime, tmp_path: Path) -> None:
    for path in kept.parent.glob(f"{kept.name}.*"):
        shutil.copy(path, tmp_path)
    fake.slowness = 1.2
    grown = measure_tiny(tmp_path / kept.name, space=None, architectures=[EXTRA])
    made = merge(table, grown).table
    assert len(made.samples) == len(grown.samples)
    assert made.effort.units == grown.effort.units
    for placement, row in grown.rows.items():
        assert made.rows[placement].median_ms == pytest.approx(row.median_ms, rel=1e-6)


def test_failures_come_over_unless_the_first_has_the_row(
    table: LatencyTable, slow: LatencyTable, fake: FakeRuntime, tmp_path: Path
) -> None:
    broken = EXTRA.placements[1]
    fake.broken = frozenset([str(broken)])
    failed = measure_tiny(tmp_path / "failed", architectures=[EXTRA])
    assert merge(table, failed).table.failed == {broken: "it crashed"}
    made = merge(failed, slow).table
    assert made.failed == {}
    assert broken in made.rows


def test_rows_without_raw_samples_are_refused(table: LatencyTable, slow: LatencyTable) -> None:
    missing = Placement.parse("conv_c99@8x4x4")
    made_up = replace(slow, rows={**slow.rows, missing: next(iter(slow.rows.values()))})
    with pytest.raises(FormatError, match=r"table 'slow' has no raw samples of conv_c99@8x4x4"):
        merge(table, made_up)


def test_nothing_to_merge(table: LatencyTable) -> None:
    with pytest.raises(ConfigError, match=r"'kept\.v1' has no row that 'kept\.v1' lacks"):
        merge(table, table)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"conditions": {"runtime_version": "2"}}, ConfigError, "runtime_version: '1' against '2'"),
        ({"conditions": {"dtype": "int8"}}, ConfigError, "dtype: 'float32' against 'int8'"),
        ({"time": "wall_ns"}, ConfigError, "time: '.*' against 'wall_ns'"),
        ({"verdict": "noisy", "remedy": "be quiet"}, CheckError, "is noisy \\(be quiet\\): only valid tables"),
        ({"verdict": "invalid"}, CheckError, "is invalid"),
        ({"verdict": "unverified"}, CheckError, "is unverified"),
    ],
)
def test_unlike_and_doubtful_tables_are_refused(
    table: LatencyTable, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    if "conditions" in change:
        change = {"conditions": replace(table.conditions, **change["conditions"])}
    elif "time" in change:
        change = {"time": "wall_ns" if table.time == "cpu_ns" else "cpu_ns"}
        message = "time: "
    with pytest.raises(error, match=message):
        merge(table, replace(table, **change))


def test_emulated_tables_are_refused(table: LatencyTable) -> None:
    emulated = replace(table, conditions=replace(table.conditions, emulated=True))
    with pytest.raises(CheckError, match="emulated processor"):
        merge(emulated, emulated)


def test_too_few_common_anchors_are_refused(table: LatencyTable, slow: LatencyTable, fake: FakeRuntime) -> None:
    other = measure_tiny(Path(slow.path).with_name("other"), space=tiny(classes=100))
    with pytest.raises(CheckError, match=r"'other' cannot be merged into 'kept\.v1': only 0 of 8 anchors"):
        merge(table, other)


def test_anchors_that_disagree_are_refused(table: LatencyTable, slow: LatencyTable) -> None:
    def uneven(network: MeasuredNetwork, i: int) -> MeasuredNetwork:
        return network._replace(ms=network.ms * 1.5 ** (i % 2))

    with pytest.raises(CheckError, match="anchors disagree by"):
        merge(table, replace(slow, networks=tuple(uneven(n, i) for i, n in enumerate(slow.networks))))
