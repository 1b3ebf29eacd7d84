"""A table for a new device from another's and ten networks measured on it, all the way through a fake runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnas.errors import CheckError, ConfigError, MissingLatencyError, MnasError
from mnas.ir import Architecture, Placement
from mnas.latency import LatencyTable, bench, load_table, transfer_table
from mnas.latency.kernels import shares
from mnas.latency.models import write_models
from mnas.latency.networks import draw_networks
from mnas.runtimes import runtimes
from tests.latency.fakes import OVERHEAD_MS, SCALE, FakeRuntime, die_at, files, measure_tiny, row_ms, tiny

SPACE = tiny()
EXTRA = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nconv_c24_k7")


def other_ms(text: str) -> float:
    """What another device takes: 5x5 kernels are three times as dear."""
    if text.startswith("input "):
        return OVERHEAD_MS + SCALE * sum(map(other_row_ms, Architecture.parse(text).placements))
    return other_row_ms(Placement.parse(text))


def other_row_ms(placement: Placement) -> float:
    return row_ms(placement) * (1 + 2 * sum(share for kind, share in shares(placement).items() if "5x5" in kind))


@pytest.fixture
def other(fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    """The new device, under another version of the runtime."""
    monkeypatch.setattr("tests.latency.fakes.true_ms", other_ms)
    fake.runtime_version = "2"
    return fake


def transferred(tables: list[LatencyTable], out: Path, **settings: Any) -> LatencyTable:
    given: dict[str, Any] = {"runtime": "fake", "loads": 2, **settings}
    return transfer_table(tables, SPACE, out=out, **given)


def off(table: LatencyTable) -> float:
    """Mean relative error on networks that were not measured."""
    found = draw_networks(SPACE, 3, 0, 40, 77).test
    return float(np.mean([abs(table.predict(each).ms / other_ms(str(each)) - 1) for each in found]))


def test_a_table_is_made_and_says_what_it_rests_on(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    made = transferred([table], tmp_path / "t", budget=10)
    read = load_table(tmp_path / "t")
    assert (read.rows, read.calibration, read.networks) == (made.rows, made.calibration, made.networks)
    assert read.raw == made.raw
    assert off(made) < 0.08
    assert off(made) < off(table) / 2
    assert set(made.rows) == set(SPACE.placements())
    assert {row.rounds for row in made.rows.values()} == {0}
    assert made.conditions.runtime_version == "2"
    assert made.verdict == "unverified"
    assert "rests on 10 networks" in made.remedy
    assert table.name in made.remedy
    assert "--check 10" in made.remedy
    assert made.check.n == 0
    assert [network.role for network in made.networks].count("anchor") == 8
    assert len(made.networks) == 10
    assert made.remeasurement.n == 10
    assert set(made.samples["item"].str.removeprefix("again:")) == {network.item for network in made.networks}
    assert files(tmp_path / "t") == ["t.csv", "t.samples.csv.gz", "t.toml"]


def test_half_is_measured_first_and_then_all_together(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    transferred([table], tmp_path / "t", budget=9, check=5)
    assert [len(call) for call in other.calls] == [5, 5, 14, 14, 5, 5]


def test_networks_held_out_decide_the_verdict(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    made = transferred([table], tmp_path / "t", check=6)
    assert made.verdict == "valid"
    assert made.remedy == ""
    assert made.check.n == 6
    assert made.check.mape_percent < 10
    assert made.remeasurement.n == 6
    tests = {network.architecture for network in made.networks if network.role == "test"}
    assert len(tests) == 6
    assert not tests & {network.architecture for network in made.networks if network.role != "test"}


def test_a_check_that_fails_makes_it_invalid(
    tmp_path: Path, table: LatencyTable, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.latency.fakes.true_ms", lambda text: 0.1 + hash_of(text))
    made = transferred([table], tmp_path / "t", check=6)
    assert made.verdict == "invalid"


def hash_of(text: str) -> float:
    """Latencies that have nothing to do with what a network is made of, but grow a little with it."""
    return other_ms(text) * (1 + 9 * (sum(text.encode()) % 2))


@pytest.mark.slow
def test_it_goes_on_after_any_interruption(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    whole = transferred([table], tmp_path / "whole", check=5)
    calls = len(other.calls)
    for at in (0, 3, calls - 1):
        other.calls.clear()
        other.dies_at = at
        with pytest.raises(KeyboardInterrupt):
            transferred([table], tmp_path / f"t{at}", check=5)
        assert len(other.calls) == at
        resumed = transferred([table], tmp_path / f"t{at}", check=5)
        assert replace(resumed, name="whole", path="") == replace(whole, path="")
        assert len(other.calls) == calls
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.slow
def test_a_full_disk_at_any_write_leaves_nothing_broken(
    tmp_path: Path, table: LatencyTable, other: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (0, 2, 13, 14, 15):  # the plan, a unit, and the files of the table
        out = tmp_path / str(at) / "t"
        with monkeypatch.context() as patch:
            die_at(patch, at, OSError(28, "No space left on device"))
            with pytest.raises(MnasError, match="No space left on device; what was measured is kept"):
                transferred([table], out, budget=6)
        assert off(transferred([table], out, budget=6)) < 0.1
        assert files(out) == ["t.csv", "t.samples.csv.gz", "t.toml"]


def test_a_finished_table_is_not_overwritten(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    transferred([table], tmp_path / "t", budget=5)
    with pytest.raises(ConfigError, match="exists already"):
        transferred([table], tmp_path / "t", budget=5)


def test_another_transfer_does_not_take_over_an_unfinished_one(
    tmp_path: Path, table: LatencyTable, other: FakeRuntime
) -> None:
    other.dies_at = 1
    with pytest.raises(KeyboardInterrupt):
        transferred([table], tmp_path / "t")
    with pytest.raises(ConfigError, match="budget: 10 there, 12 asked"):
        transferred([table], tmp_path / "t", budget=12)


def test_rows_measured_later_join_through_the_anchors(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    made = transferred([table], tmp_path / "t")
    other.slowness = 1.3
    grown = measure_tiny(tmp_path / "t", None, architectures=[EXTRA])
    fresh = set(grown.rows) - set(made.rows)
    assert fresh
    for placement in fresh:
        assert grown.rows[placement].rounds > 0
        assert grown.rows[placement].median_ms == pytest.approx(other_row_ms(placement), rel=0.1)
    assert {p: row for p, row in grown.rows.items() if p in made.rows} == made.rows
    assert grown.calibration == made.calibration
    assert (grown.verdict, grown.remedy) == ("unverified", made.remedy)


def test_rows_measured_again_replace_tailored_ones(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    made = transferred([table], tmp_path / "t", check=5)
    grown = measure_tiny(tmp_path / "t", SPACE, remeasure=True)
    replaced = [placement for placement, row in grown.rows.items() if row.rounds]
    assert replaced
    assert set(replaced) == set(made.wide_rows)
    assert grown.check.n == 5
    assert grown.verdict == "valid"


def test_bench_compares_with_it_through_its_anchors(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    made = transferred([table], tmp_path / "t")
    other.slowness = 1.4
    network = draw_networks(SPACE, 3, 0, 5, 77).test[0]
    (tmp_path / "models").mkdir()
    built = write_models({"net": network}, tmp_path / "models", runtimes["fake"], 0)
    (result,) = bench([built.files["net"]], against=made)
    assert result.anchored_ms == pytest.approx(other_ms(str(network)), rel=0.1)
    assert result.predicted_ms == pytest.approx(other_ms(str(network)), rel=0.15)


def test_a_network_that_does_not_run_is_left_out(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    transferred([table], tmp_path / "all")
    first = load_table(tmp_path / "all").networks[2].architecture
    other.broken = frozenset([first])
    made = transferred([table], tmp_path / "t")
    assert len(made.networks) == 9
    assert first not in {network.architecture for network in made.networks}
    assert "rests on 9 networks" in made.remedy


def test_nothing_that_runs_is_an_error(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    transferred([table], tmp_path / "all")
    every = {network.architecture for network in load_table(tmp_path / "all").networks}
    other.broken = frozenset(sorted(every)[:8])
    with pytest.raises(CheckError, match=r"networks"):
        transferred([table], tmp_path / "t")
    assert not (tmp_path / "t.toml").exists()


def test_an_emulated_processor_is_invalid(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    other.emulated = True
    made = transferred([table], tmp_path / "t", budget=5)
    assert made.verdict == "invalid"
    assert "emulated" in made.remedy
    with pytest.raises(CheckError, match="'t' was measured on an emulated processor"):
        transferred([table, made], tmp_path / "other", budget=5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 4}, "budget must be at least 5 networks, got 4"),
        ({"check": 3}, "check must be 0 or at least 5 networks, got 3"),
        ({"check": -1}, "check must be 0 or at least 5"),
        ({"loads": 0}, "loads must be at least 1"),
        ({"budget": 5000}, "too few for 5000 to measure and 0 to check"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    settings: dict[str, int], message: str, tmp_path: Path, table: LatencyTable, other: FakeRuntime
) -> None:
    with pytest.raises(ConfigError, match=message):
        transferred([table], tmp_path / "t", **settings)
    assert not list(tmp_path.iterdir())


def test_tables_that_teach_nothing_are_refused(tmp_path: Path, table: LatencyTable, other: FakeRuntime) -> None:
    with pytest.raises(ConfigError, match="at least one other device"):
        transferred([], tmp_path / "t")
    with pytest.raises(CheckError, match=r"is invalid \(much noise\): nothing can be learnt"):
        transferred([table, replace(table, verdict="invalid", remedy="much noise")], tmp_path / "t")
    less = replace(table, rows=dict(list(table.rows.items())[1:]))
    with pytest.raises(MissingLatencyError, match="lacks 1 row"):
        transferred([table, less], tmp_path / "t")
