"""Adding rows to a finished table: measured with its anchors, rescaled, and safe against death at any moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mnas.errors import CheckError, ConfigError, FormatError
from mnas.ir import Architecture
from mnas.latency import load_table
from tests.latency.fakes import (
    FakeRuntime,
    die_at,
    files,
    measure_tiny,
    network_ms,
    row_ms,
    tiny,
)


@pytest.fixture
def grown(tmp_path: Path, kept: Path) -> Path:
    """A copy of the finished table, to which rows are added."""
    for path in kept.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / kept.name


def test_missing_rows_are_measured_with_the_anchors_and_rescaled(grown: Path, fake: FakeRuntime) -> None:
    before = load_table(grown)
    fake.slowness, fake.swing, fake.noise = 1.3, 0.0, 0.0
    more = tiny(classes=100)
    after = measure_tiny(grown, space=more, passes=6)
    fresh = [placement for placement in more.placements() if placement not in before.rows]
    assert fresh
    assert set(after.rows) == {*before.rows, *fresh}
    assert all(after.rows[placement] == row for placement, row in before.rows.items())
    level = before.anchors[0][1] / network_ms(Architecture.parse(before.anchors[0][0]))
    for placement in fresh:
        assert after.rows[placement].median_ms == pytest.approx(level * row_ms(placement), rel=0.03)
    assert set(fake.calls[0]) == {str(p) for p in fresh} | {n.item for n in before.networks if n.role == "anchor"}
    assert after.networks == before.networks
    assert after.effort.units == before.effort.units + 2
    assert load_table(grown) == after
    assert after.missing(more.placements()) == ()


def test_the_placements_of_an_architecture_are_added(grown: Path, fake: FakeRuntime) -> None:
    architecture = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nconv_c24_k7")
    before = load_table(grown)
    after = measure_tiny(grown, space=None, architectures=[architecture])
    after = measure_tiny(grown, architectures=[architecture])
    assert set(after.rows) - set(before.rows) == set(architecture.placements[1:])
    assert after.predict(architecture).ms == pytest.approx(network_ms(architecture), rel=0.3)


@pytest.mark.parametrize("at", range(11))  # 3 files of the base, plan, 2 units of two files, 3 files of the table
def test_growing_survives_death_at_any_write(
    grown: Path, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: int
) -> None:
    more = tiny(classes=100)
    other = tmp_path / "other"
    other.mkdir()
    for path in grown.parent.glob(f"{grown.name}.*"):
        shutil.copy(path, other)
    expected = measure_tiny(other / grown.name, space=more)
    with monkeypatch.context() as patch:
        die_at(patch, at, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            measure_tiny(grown, space=more)
    if at in (9, 10):  # the samples are of the new table, or the rows are too
        with pytest.raises(FormatError, match="killed while it saved the table: run the same mnas profile again"):
            load_table(grown)
    if at > 3:
        with pytest.raises(ConfigError, match="holds an unfinished measurement of more rows: run its own command"):
            measure_tiny(grown)
    assert measure_tiny(grown, space=more) == expected
    assert sorted(path.name for path in grown.parent.glob(f"{grown.name}*")) == files(other / "x")


@pytest.mark.parametrize("suffix", [".csv", ".toml", ".samples.csv.gz"])
def test_growing_mends_a_table_that_a_kill_left_in_pieces(grown: Path, fake: FakeRuntime, suffix: str) -> None:
    more = tiny(classes=100)
    fake.dies_at = 1
    with pytest.raises(KeyboardInterrupt):
        measure_tiny(grown, space=more)
    path = grown.with_name(grown.name + suffix)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FormatError, match="run the same mnas profile again, it ends that"):
        load_table(grown)
    after = measure_tiny(grown, space=more)
    assert load_table(grown) == after
    assert after.missing(more.placements()) == ()


def test_anchors_that_disagree_refuse_new_rows(grown: Path, fake: FakeRuntime) -> None:
    before = load_table(grown)
    fake.uneven, fake.swing = 3.0, 0.0
    with pytest.raises(CheckError, match="anchors disagree by"):
        measure_tiny(grown, space=tiny(classes=100))
    assert load_table(grown) == before


def test_other_conditions_are_refused(grown: Path, fake: FakeRuntime) -> None:
    fake.runtime_version = "2"
    with pytest.raises(ConfigError, match=r"holds under other conditions \(runtime_version: '1' against '2'\)"):
        measure_tiny(grown)


def test_a_damaged_table_is_not_overwritten(grown: Path, fake: FakeRuntime) -> None:
    csv = grown.with_name(f"{grown.name}.csv")
    csv.write_text(csv.read_text().replace("16", "17", 1))
    with pytest.raises(FormatError, match="edited or truncated"):
        measure_tiny(grown)
    assert fake.calls == []
