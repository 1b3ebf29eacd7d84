from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnas.latency.partial
import mnas.latency.storage
from mnas.devices import Device
from mnas.errors import CheckError, ConfigError, DeviceError, FormatError, MnasError
from mnas.ir import Architecture, Placement
from mnas.latency import LatencyTable, Remeasurement, check, load_table, report, rows_to_measure
from mnas.latency.partial import Partial
from mnas.latency.storage import save_table
from mnas.latency.table import Effort
from mnas.runtimes import Measurement, Plan, runtimes
from tests.latency.fakes import (
    FakeRuntime,
    die_at,
    files,
    measure_tiny,
    network_ms,
    row_ms,
    tiny,
)

ROOT = Path(__file__).parents[2]


def test_a_drifting_machine_gives_the_true_rows_and_fit(tmp_path: Path, fake: FakeRuntime) -> None:
    table = measure_tiny(tmp_path / "t", passes=8)
    assert set(table.rows) == set(tiny().placements())
    level = table.rows[next(iter(table.rows))].median_ms / row_ms(next(iter(table.rows)))
    for placement, row in table.rows.items():
        assert row.median_ms == pytest.approx(level * row_ms(placement), rel=0.03)
        assert row.rounds == 16
        assert row.reps == 32
    assert table.check.n == 6
    assert table.check.mape_percent < 2
    assert table.remeasurement.mape_without_level_percent < 2
    assert table.verdict == "valid"
    assert table.effort.units == 6
    assert 3 < table.effort.drift_percent < 30


def test_a_still_machine_is_predicted_within_its_noise(tmp_path: Path, fake: FakeRuntime) -> None:
    fake.swing = fake.noise = 0
    table = measure_tiny(tmp_path / "t")
    for encoding in ((0, 0, 0, 0, 0), (3, 1, 1, 2, 2), (2, 0, 1, 0, 1)):
        architecture = tiny().decode(encoding)
        assert table.predict(architecture).ms == pytest.approx(network_ms(architecture), rel=0.01)


def test_networks_are_disjoint_and_anchors_are_everywhere(tmp_path: Path, fake: FakeRuntime) -> None:
    table = measure_tiny(tmp_path / "t", space=tiny(stages=2), networks=(12, 5, 10), max_memory_gb=0.186)
    keys = [Architecture.parse(network.architecture).canonical() for network in table.networks]
    assert len(set(keys)) == len(keys) == 27
    assert [network.role for network in table.networks].count("test") == 10
    anchors = {network.item for network in table.networks if network.role == "anchor"}
    assert len(anchors) == 8
    assert len(fake.calls) > 4
    assert all(anchors <= set(call) for call in fake.calls)
    rest = [name for call in fake.calls[:-2:2] for name in call if name not in anchors]
    assert len(rest) == len(set(rest)) == len(table.rows) + 27 - 8
    ms = sorted(network.ms for network in table.networks if network.role != "test")
    span = [ms for _, ms in table.anchors]
    assert min(span) < 1.1 * ms[0]
    assert max(span) > 0.9 * ms[-1]


def test_it_is_saved_and_nothing_else_is_left(tmp_path: Path, fake: FakeRuntime) -> None:
    table = measure_tiny(tmp_path / "deep" / "t.v1")
    assert files(tmp_path / "deep" / "x") == ["t.v1.csv", "t.v1.samples.csv.gz", "t.v1.toml"]
    assert load_table(tmp_path / "deep" / "t.v1") == table
    assert (table.name, table.path) == ("t.v1", str(tmp_path / "deep" / "t.v1"))


def test_without_a_path_it_is_kept_under_the_current_folder(
    tmp_path: Path, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = measure_tiny(None)
    calls = len(fake.calls)
    assert measure_tiny(None) == load_table("tiny-1x8x8-local-fake") == table
    assert len(fake.calls) == calls
    assert table.path == "latency_tables/tiny-1x8x8-local-fake"
    assert files(tmp_path / "latency_tables" / "x") == [
        f"tiny-1x8x8-local-fake{suffix}" for suffix in (".csv", ".samples.csv.gz", ".toml")
    ]
    with pytest.raises(ConfigError, match="say which with out"):
        measure_tiny(None, space=None, architectures=[tiny().decode((0, 0, 0, 0, 0))])


def test_one_process_measures_into_a_table(tmp_path: Path, fake: FakeRuntime) -> None:
    with (
        Partial(tmp_path / "t").locked(),
        pytest.raises(ConfigError, match=r"another process measures rows into .*/t: wait for it"),
    ):
        measure_tiny(tmp_path / "t")
    assert fake.calls == []
    (tmp_path / "t.lock").touch()  # as a killed process leaves it
    measure_tiny(tmp_path / "t")
    assert files(tmp_path / "x") == ["t.csv", "t.samples.csv.gz", "t.toml"]


def test_a_lock_that_its_owner_has_dropped_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", lambda file, how: (tmp_path / "t.lock").unlink())
    with pytest.raises(ConfigError, match="another process"), Partial(tmp_path / "t").locked():
        pass


def test_what_would_be_measured_is_what_a_finished_table_lacks(tmp_path: Path, kept: Path, fake: FakeRuntime) -> None:
    architecture = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nconv_c24_k7")
    placements = tuple(tiny().placements())
    assert rows_to_measure(tiny(), [], kept) == ()
    assert rows_to_measure(tiny(), [architecture], kept) == architecture.placements[1:]
    assert rows_to_measure(None, [architecture], kept) == architecture.placements[1:]
    new = rows_to_measure(tiny(), [architecture], tmp_path / "t")
    assert new == (*placements, *architecture.placements[1:])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_vanishes_is_no_failed_row(tmp_path: Path, fake: FakeRuntime) -> None:
    def measure(device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        next(iter(models.values())).unlink()
        return runtimes["litert"].measure(device, models, plan)

    fake.measure = measure  # type: ignore[method-assign]
    with pytest.raises(MnasError, match="is gone"):
        measure_tiny(tmp_path / "t")
    assert files(tmp_path / "t.partial" / "x") == ["plan.json"]


def test_the_same_seed_gives_the_same_table(tmp_path: Path, fake: FakeRuntime) -> None:
    first, second, other = (measure_tiny(tmp_path / f"t{i}", seed=i // 2) for i in range(3))
    assert replace(first, name="") == replace(second, name="")
    assert replace(first, name="") != replace(other, name="")


@pytest.mark.parametrize("unit", range(6))
def test_an_interrupted_run_goes_on(tmp_path: Path, fake: FakeRuntime, kept: Path, unit: int) -> None:
    fake.dies_at = unit
    with pytest.raises(KeyboardInterrupt):
        measure_tiny(tmp_path / kept.name)
    assert files(tmp_path / "x") == [f"{kept.name}.partial"]
    with pytest.raises(FormatError, match="unfinished: run the same mnas profile again"):
        load_table(tmp_path / kept.name)
    table = measure_tiny(tmp_path / kept.name)
    assert len(fake.calls) == 6
    assert table == load_table(kept)
    assert len(files(tmp_path / "x")) == 3


@pytest.mark.parametrize("at", range(16))  # plan, 6 units of two files, 3 files of the table
def test_death_at_any_write_loses_at_most_a_unit(
    tmp_path: Path, fake: FakeRuntime, kept: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    with monkeypatch.context() as patch:
        die_at(patch, at, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            measure_tiny(tmp_path / kept.name)
    assert measure_tiny(tmp_path / kept.name) == load_table(kept)
    assert len(fake.calls) <= 7
    assert len(files(tmp_path / "x")) == 3


def test_death_between_saving_and_tidying(
    tmp_path: Path, fake: FakeRuntime, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mnas.latency.partial.Partial, "remove", lambda self: os.kill(os.getpid(), 0))
        measure_tiny(tmp_path / kept.name)
    assert len(files(tmp_path / "x")) == 4
    assert measure_tiny(tmp_path / kept.name) == load_table(kept)
    assert len(fake.calls) == 6
    assert len(files(tmp_path / "x")) == 3


def test_a_full_disk_ends_cleanly(
    tmp_path: Path, fake: FakeRuntime, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        die_at(patch, 6, OSError(errno.ENOSPC, "No space left on device", "somewhere"))
        with pytest.raises(MnasError, match="somewhere: No space left on device; what was measured is kept"):
            measure_tiny(tmp_path / kept.name)
    assert measure_tiny(tmp_path / kept.name) == load_table(kept)
    assert len(fake.calls) == 7


SCRIPT = """
import sys
from pathlib import Path
from tests.latency.fakes import FakeRuntime, install, measure_tiny
install(FakeRuntime(swing=0.1, noise=0.01, dies_at=int(sys.argv[2]), hard=True))
measure_tiny(Path(sys.argv[1]))
"""


def test_a_killed_process_goes_on(tmp_path: Path, fake: FakeRuntime, kept: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / kept.name), "2"], cwd=ROOT, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / f"{kept.name}.partial" / "models").is_dir()
    assert files(tmp_path / "x") == [f"{kept.name}.lock", f"{kept.name}.partial"]
    assert measure_tiny(tmp_path / kept.name) == load_table(kept)
    assert len(fake.calls) == 4
    assert len(files(tmp_path / "x")) == 3


def test_another_unfinished_measurement_is_not_touched(tmp_path: Path, fake: FakeRuntime) -> None:
    fake.dies_at = 1
    with pytest.raises(KeyboardInterrupt):
        measure_tiny(tmp_path / "t")
    with pytest.raises(ConfigError, match=r"t\.partial holds another unfinished .*passes: 3 there, 4 asked.*delete"):
        measure_tiny(tmp_path / "t", passes=4)
    assert len(measure_tiny(tmp_path / "t").rows) == len(list(tiny().placements()))


def test_a_finished_table_is_given_back(tmp_path: Path, fake: FakeRuntime) -> None:
    table = measure_tiny(tmp_path / "t")
    calls = len(fake.calls)
    assert measure_tiny(tmp_path / "t.toml") == table
    assert len(fake.calls) == calls


def test_failed_rows_are_reported_and_the_others_go_on(tmp_path: Path, fake: FakeRuntime) -> None:
    broken = list(tiny().placements())[5]
    fake.broken = frozenset({str(broken)})
    table = measure_tiny(tmp_path / "t")
    assert table.failed == {broken: "it crashed"}
    assert broken not in table.rows
    assert len(table.rows) == len(list(tiny().placements())) - 1
    assert sum(str(broken) in call for call in fake.calls) == 1  # its second process does not try again
    assert load_table(tmp_path / "t") == table
    assert report(table)["failures"] == {str(broken): "it crashed"}
    assert report(table)["failed"] == 1
    fake.broken = frozenset()
    again = measure_tiny(tmp_path / "t")
    assert again.failed == {}
    assert broken in again.rows


def test_nothing_runs(tmp_path: Path, fake: FakeRuntime) -> None:
    space = tiny()
    fake.broken = frozenset(map(str, space.placements())) | frozenset(
        str(space.decode(tuple(e)))
        for e in __import__("itertools").product(range(4), range(2), range(2), range(3), range(3))
    )
    with pytest.raises(CheckError, match="nothing could be measured; the first reason: it crashed"):
        measure_tiny(tmp_path / "t", loads=1, max_memory_gb=2)


def test_emulated_tables_are_never_valid(tmp_path: Path, fake: FakeRuntime) -> None:
    fake.emulated = True
    table = measure_tiny(tmp_path / "t")
    assert table.verdict == "invalid"
    assert "emulated" in table.remedy
    assert load_table(tmp_path / "t").conditions.emulated


def test_a_table_needs_networks(tmp_path: Path, fake: FakeRuntime) -> None:
    with pytest.raises(ConfigError, match="at least 3 networks; 2 were asked for"):
        measure_tiny(tmp_path / "t", networks=(2, 4, 6))
    with pytest.raises(ConfigError, match=r"no finished table .* name a space"):
        measure_tiny(tmp_path / "t", space=None, architectures=[tiny().decode((0, 0, 0, 0, 0))])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "float16"}, "float32 or int8, not in 'float16'"),
        ({"max_minutes": -1}, "max_minutes must not be negative"),
        ({"loads": 0}, "loads must be at least 1"),
        ({"passes": 0}, "passes must be at least 1"),
        ({"num_threads": 0}, "num_threads must be at least 1"),
        ({"max_memory_gb": 0.1}, "max_memory_gb 0.1 is too small"),
        ({"max_memory_gb": 0.0}, "max_memory_gb must be a positive number, got 0"),
        ({"max_memory_gb": float("nan")}, "max_memory_gb must be a positive number, got nan"),
        ({"max_memory_gb": float("inf")}, "max_memory_gb must be a positive number, got inf"),
    ],
)
def test_settings_are_checked(tmp_path: Path, fake: FakeRuntime, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        measure_tiny(tmp_path / "t", **settings)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_device_is_named(tmp_path: Path, fake: FakeRuntime) -> None:
    with pytest.raises(DeviceError, match="pixel99"):
        measure_tiny(tmp_path / "t", device="pixel99")


def test_progress_names_every_process(tmp_path: Path, fake: FakeRuntime) -> None:
    seen: list[tuple[int, int]] = []
    measure_tiny(tmp_path / "t", progress=lambda done, total, what: seen.append((done, total)))
    assert sorted(set(seen)) == [(i, 6) for i in range(7)]


def test_the_report_has_the_promised_keys(table: LatencyTable) -> None:
    found = report(table)
    promised = {"table", "rows", "failed", "remeasurement_mape_percent", "verdict", "check"}
    assert promised | {"seconds", "drift_percent", "preempted_share"} <= set(found)
    assert {"n", "mape_percent", "within_10_percent", "spearman"} <= set(found["check"])
    assert found["rows"] == len(table.rows)
    nan = float("nan")
    unknown = replace(
        table,
        check=check(np.zeros(0), np.zeros(0)),
        remeasurement=Remeasurement(nan, nan, nan, 0),
        rows_remeasurement=Remeasurement(nan, nan, nan, 0),
        effort=Effort(0, 0, nan, nan, 0.0),
    )
    for each in (table, unknown):
        assert json.loads(json.dumps(report(each), allow_nan=False)) == report(each)
    assert report(unknown)["check"]["spearman"] is None


def test_the_summary_is_one_line(table: LatencyTable) -> None:
    assert table.summary().startswith("local, fake 1, float32, 1 thread | 39 rows | 6 networks held out: MAPE ")
    assert table.summary().endswith("| valid")
    noisy = replace(table, verdict="noisy", remedy="profile again", failed={next(iter(table.rows)): "why"})
    assert "39 rows, 1 failed |" in noisy.summary()
    assert noisy.summary().endswith("| noisy: profile again")


def test_saving_elsewhere_renames(table: LatencyTable, tmp_path: Path) -> None:
    assert save_table(table, tmp_path / "other").name == "other"
    assert load_table(tmp_path / "other") == replace(table, name="other")
    assert isinstance(next(iter(table.rows)), Placement)
