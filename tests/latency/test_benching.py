from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mnas.errors import CheckError, ConfigError, FormatError
from mnas.ir import Architecture, Network
from mnas.latency import LatencyTable, bench, benching
from mnas.latency.models import Models, write_models
from mnas.lower import initial_weights, lower
from mnas.runtimes import Runtime
from tests.latency.fakes import FakeRuntime, network_ms, tiny

ARCHITECTURE = tiny().decode((3, 1, 1, 2, 1))


def write(path: Path, architecture: Architecture = ARCHITECTURE, **metadata: str) -> Path:
    said = {"architecture": str(architecture), **metadata}
    path.write_bytes(lower(architecture, initial_weights(architecture, 7), "tflite", said))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "a.fake")


def level(table: LatencyTable) -> float:
    """How slow the machine was when the table was measured."""
    text, ms = table.anchors[3]
    return ms / network_ms(Architecture.parse(text))


def test_anchors_take_the_drift_out(model: Path, fake: FakeRuntime, table: LatencyTable) -> None:
    fake.slowness = 1.3 * level(table)
    (found,) = bench([model], against=table)
    truth = level(table) * network_ms(ARCHITECTURE)
    assert found.median_ms == pytest.approx(1.3 * truth, rel=0.12)
    assert found.median_ms > 1.15 * truth
    assert found.anchored_ms == pytest.approx(truth, rel=0.02)
    assert found.predicted_ms == pytest.approx(table.predict(ARCHITECTURE).ms)
    assert found.anchors is not None
    assert found.anchors.n == 8
    assert found.note == ""
    assert found.p10_ms < found.median_ms < found.p90_ms
    assert found.n == len(found.samples) == 3 * 10 * 5
    assert set(found.samples["item"]) == {"file-0"}


def test_results_are_in_the_order_of_the_files(tmp_path: Path, fake: FakeRuntime, table: LatencyTable) -> None:
    architectures = [tiny().decode((kind, 0, 0, 2, 2)) for kind in (3, 0, 2)]
    files = [write(tmp_path / f"{i}.fake", architecture) for i, architecture in enumerate(architectures)]
    found = bench(files, against=table)
    assert [result.file for result in found] == files
    ms = [result.anchored_ms or 0 for result in found]
    assert ms == pytest.approx([level(table) * network_ms(a) for a in architectures], rel=0.02)
    assert len(fake.calls) == 3
    assert all(len(call) == 3 + 8 for call in fake.calls)


def test_scripts_get_the_promised_keys(model: Path, fake: FakeRuntime, table: LatencyTable) -> None:
    seen: list[tuple[int, int]] = []
    (found,) = bench([model], against=table, progress=lambda done, total, what: seen.append((done, total)))
    document = json.loads(json.dumps(found.to_dict()))
    assert {"file", "median_ms", "p10_ms", "p90_ms", "n", "anchored_ms", "predicted_ms"} <= set(document)
    assert document["file"] == str(model)
    assert document["anchors"]["n"] == 8
    assert seen == [(i, 3) for i in range(4)]


def test_without_a_table_only_the_raw_time_is_given(model: Path, fake: FakeRuntime) -> None:
    (found,) = bench([model], seed=3, loads=2)
    assert (found.anchored_ms, found.predicted_ms, found.anchors) == (None, None, None)
    assert found.note == "no table to compare with"
    assert found.median_ms == pytest.approx(network_ms(ARCHITECTURE), rel=0.3)
    assert fake.calls == [["file-0"]] * 2


def test_other_conditions_are_not_compared(model: Path, fake: FakeRuntime, table: LatencyTable) -> None:
    other = replace(table, conditions=replace(table.conditions, runtime_version="0.9"))
    (found,) = bench([model], against=other)
    assert (found.anchored_ms, found.predicted_ms) == (None, None)
    assert "runtime_version: '1' against '0.9'" in found.note
    (found,) = bench([model], against=table, num_threads=2)
    assert "num_threads: 2 against 1" in found.note


def test_a_file_of_another_dtype_is_not_compared(tmp_path: Path, fake: FakeRuntime, table: LatencyTable) -> None:
    files = [write(tmp_path / "a.fake"), write(tmp_path / "b.fake", dtype="int8")]
    first, second = bench(files, against=table)
    assert first.anchored_ms is not None
    assert second.anchored_ms is None
    assert "dtype: 'int8' against 'float32'" in second.note


def test_an_int8_table_has_int8_anchors(
    tmp_path: Path, fake: FakeRuntime, table: LatencyTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def spy(networks: Mapping[str, Network], folder: Path, runtime: Runtime, seed: int, dtype: str) -> Models:
        written.extend(dtype for _ in networks)
        return write_models(networks, folder, runtime, seed, dtype)

    monkeypatch.setattr(benching, "write_models", spy)
    int8 = replace(table, conditions=replace(table.conditions, dtype="int8"))
    plain, quantised = bench([write(tmp_path / "a.fake"), write(tmp_path / "b.fake", dtype="int8")], against=int8)
    assert written == ["int8"] * 8
    assert quantised.anchored_ms == pytest.approx(level(table) * network_ms(ARCHITECTURE), rel=0.02)
    assert plain.anchored_ms is None


def test_rows_that_the_table_lacks_leave_the_prediction_open(
    tmp_path: Path, fake: FakeRuntime, table: LatencyTable
) -> None:
    foreign = Architecture.parse("input 1x8x8\nconv_c8_s2\nconv_c24_k7\nhead_c8_n10")
    (found,) = bench([write(tmp_path / "a.fake", foreign)], against=table)
    assert found.anchored_ms == pytest.approx(level(table) * network_ms(foreign), rel=0.02)
    assert found.predicted_ms is None
    assert "mnas profile --arch FILE" in found.note


def test_networks_of_another_size_leave_the_prediction_open(
    model: Path, fake: FakeRuntime, table: LatencyTable
) -> None:
    fit = replace(table.calibration, least_ms=50.0, largest_ms=60.0)
    (found,) = bench([model], against=replace(table, calibration=fit))
    assert found.anchored_ms is not None
    assert found.predicted_ms is None
    assert "calibrated with networks whose rows sum to 50 to 60 ms" in found.note
    json.dumps(found.to_dict(), allow_nan=False)


def test_anchors_that_disagree_refuse(model: Path, fake: FakeRuntime, table: LatencyTable) -> None:
    fake.uneven = 3.0
    with pytest.raises(CheckError, match="anchors disagree"):
        bench([model], against=table)


def test_a_model_that_does_not_run_is_named(model: Path, fake: FakeRuntime) -> None:
    fake.broken = frozenset({str(ARCHITECTURE)})
    with pytest.raises(FormatError, match=r"a\.fake does not run in fake on device 'local': it crashed"):
        bench([model])


def test_files_are_checked(tmp_path: Path, fake: FakeRuntime) -> None:
    with pytest.raises(FormatError, match=r"cannot read .*none\.fake: No such file"):
        bench([tmp_path / "none.fake"])
    (tmp_path / "bad.fake").write_bytes(b"not a model at all")
    with pytest.raises(FormatError, match=r"bad\.fake: not a TFLite file"):
        bench([tmp_path / "bad.fake"])
    with pytest.raises(ConfigError, match=r"no runtime reads files that end in \.txt; known: .*\.tflite"):
        bench([tmp_path / "a.txt"])
    with pytest.raises(ConfigError, match=r"runtime litert does not read files that end in \.fake; known"):
        bench([tmp_path / "a.fake"], runtime="litert")
    with pytest.raises(ConfigError, match="no model file was given"):
        bench([])
    with pytest.raises(ConfigError, match="loads must be at least 1"):
        bench([tmp_path / "a.fake"], loads=0)
