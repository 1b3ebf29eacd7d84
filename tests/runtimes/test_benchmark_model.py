"""The runtime with a stand-in for the tool, on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mnas.devices import Device
from mnas.errors import ConfigError, DeviceError, MnasError
from mnas.ir import Architecture, Shape, chain
from mnas.lower import initial_weights, lower
from mnas.ops.mobile import ConvBlock, Head
from mnas.runtimes import (
    NodeProfiler,
    Plan,
    ProcessPerVisit,
    Runtime,
    find_runtime,
    runtimes,
    told_delegate,
    visit_start_s,
)
from tests.contracts import check_runtime
from tests.phones.standin import install

NETWORKS = {f"conv {c}": chain(Shape(3, 12, 12), (ConvBlock(c, 3, 2), Head(16, 10))) for c in (8, 16, 24, 32, 40)}
PLAN = Plan(passes=2, reps=4)


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    """The networks as files whose names need quotes."""
    folder = tmp_path / "it's a $(folder)"
    folder.mkdir()
    paths = {name: folder / f"{name}.tflite" for name in NETWORKS}
    for name, network in NETWORKS.items():
        paths[name].write_bytes(lower(network, initial_weights(network), "tflite", {"architecture": str(network)}))
    return paths


def phone(folder: Path, style: str = "proto", **settings: Any) -> Device:
    """This machine with the stand-in; `faults` strike models that hold a text."""
    faults = settings.pop("faults", None)
    return Device("phone", binary=str(install(folder, style, faults)), **settings)


def struck(network: Architecture) -> str:
    """A text that is in the file of this network only."""
    return str(network.nodes[0].op)


@pytest.mark.parametrize("style", ["text", "csv", "proto"])
def test_it_keeps_its_contract(style: str, tmp_path: Path, models: dict[str, Path]) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"no model at all")
    got = check_runtime(runtimes["benchmark_model"], phone(tmp_path, style), models, broken, per_visit=1)
    assert got.failed["broken"] == "ERROR: Node number 57 (BATCH_MATMUL) failed to prepare."
    assert (got.samples["cpu_ns"] == got.samples["wall_ns"]).all()
    ms = got.samples.groupby("item")["wall_ns"].mean()
    assert ms["conv 8"] < ms["conv 24"] < ms["conv 40"]


@pytest.mark.parametrize("delegate", ["cpu", "xnnpack"])
def test_every_form_of_profile_gives_the_same_nodes(delegate: str, tmp_path: Path, models: dict[str, Path]) -> None:
    runtime = find_runtime("benchmark_model", delegate)
    assert isinstance(runtime, NodeProfiler)
    times = {}
    for style in ("text", "csv", "proto"):
        got = runtime.measure_nodes(phone(tmp_path, style), models, PLAN, ["conv 8", "conv 40"])
        assert set(got.nodes["item"]) == {"conv 8", "conv 40"}
        assert set(got.nodes.loc[got.nodes["item"] == "conv 8", "tensor"]) == {"n0.2", "n1.0.2", "n1.1", "logits"}
        assert set(got.whole.samples["item"]) == set(models)
        times[style] = got.nodes.groupby(["item", "tensor"])["ns"].mean()
    assert times["csv"].to_list() == pytest.approx(times["text"].to_list(), abs=501)
    assert times["csv"].to_list() == pytest.approx(times["proto"].to_list(), abs=260)


def test_conditions_tell_delegate_version_and_cores(tmp_path: Path) -> None:
    device = phone(tmp_path, taskset="f0", emulated=True)
    found = find_runtime("benchmark_model", "cpu").conditions(device, Plan(num_threads=4), "int8")
    assert found.runtime_version.startswith("sha256-")
    assert (found.options, found.affinity, found.num_threads, found.dtype) == ("delegate=cpu", "f0", 4, "int8")
    assert found.emulated
    assert told_delegate(found) == "cpu"
    assert told_delegate(runtimes["litert"].conditions(Device("local"), Plan())) is None


def test_delegates_are_named() -> None:
    gpu = find_runtime("benchmark_model", "gpu")
    assert isinstance(gpu, ProcessPerVisit)
    assert not isinstance(gpu, NodeProfiler)
    assert visit_start_s(gpu) > 0
    assert visit_start_s(runtimes["litert"]) == 0
    with pytest.raises(ConfigError, match="unknown delegate 'npu' of benchmark_model; known: cpu, xnnpack, gpu"):
        find_runtime("benchmark_model", "npu")
    with pytest.raises(ConfigError, match="litert has one way to compute only"):
        find_runtime("litert", "gpu")


def test_the_gpu_is_measured(tmp_path: Path, models: dict[str, Path]) -> None:
    got = find_runtime("benchmark_model", "gpu").measure(phone(tmp_path), models, PLAN)
    assert not got.failed
    assert len(got.samples) == 2 * len(models)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("crash", "the runtime died of SIGABRT"), ("refuse", "ERROR: Node number 57 (BATCH_MATMUL) failed to prepare.")],
)
def test_a_model_that_fails_spares_the_others(fault: str, reason: str, tmp_path: Path, models: dict[str, Path]) -> None:
    device = phone(tmp_path, faults={fault: struck(NETWORKS["conv 24"])})
    got = runtimes["benchmark_model"].measure(device, models, PLAN)
    assert got.failed == {"conv 24": reason}
    assert sorted(got.samples["item"]) == sorted([*(set(models) - {"conv 24"})] * 2)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("kill", "killed benchmark_model, busy with conv 24; if memory ran out"),
        ("full", "ended with code 92 .*is there room left on the device"),
        ("garbage", "not a whole output of benchmark_model"),
        ("partial", "not a whole output of benchmark_model"),
        ("backwards", "impossible times, 'INFO: count=4 .*did the clock go backwards"),
    ],
)
def test_nonsense_ends_the_measurement(fault: str, message: str, tmp_path: Path, models: dict[str, Path]) -> None:
    device = phone(tmp_path, faults={fault: struck(NETWORKS["conv 24"])})
    with pytest.raises(DeviceError, match=f"device 'phone'.*{message}"):
        runtimes["benchmark_model"].measure(device, models, PLAN)


@pytest.mark.slow
def test_a_model_that_hangs_is_named(tmp_path: Path, models: dict[str, Path]) -> None:
    device = phone(tmp_path, faults={"hang": struck(NETWORKS["conv 24"])})
    with pytest.raises(DeviceError, match=r"took more than .* s, busy with conv 24"):
        runtimes["benchmark_model"].measure(device, models, Plan(passes=1, reps=1, timeout_s=3))


def test_a_tool_that_does_not_start(tmp_path: Path, models: dict[str, Path]) -> None:
    device = phone(tmp_path)
    Path(device.binary).write_text("#!/nowhere/at/all\n")
    with pytest.raises(DeviceError, match=r"device 'phone' cannot run benchmark_model .*download the classic"):
        runtimes["benchmark_model"].measure(device, models, PLAN)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="this machine has no taskset")
def test_cores_that_are_not_there_are_told(tmp_path: Path, models: dict[str, Path]) -> None:
    device = phone(tmp_path, taskset="8000000000000000")
    with pytest.raises(DeviceError, match=r"cannot bind to the cores of mask 8000000000000000 \(.*: change taskset in"):
        runtimes["benchmark_model"].measure(device, models, PLAN)


def test_missing_files_are_named(tmp_path: Path, models: dict[str, Path]) -> None:
    models["conv 8"].unlink()
    with pytest.raises(MnasError, match=r"conv 8\.tflite is gone"):
        runtimes["benchmark_model"].measure(phone(tmp_path), models, PLAN)
    with pytest.raises(DeviceError, match="no benchmark_model"):
        runtimes["benchmark_model"].measure(Device("phone"), models, PLAN)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="this machine has no taskset")
def test_nothing_is_left_on_the_device(
    tmp_path: Path, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    runtime: Runtime = runtimes["benchmark_model"]
    runtime.measure(phone(tmp_path, taskset="1"), models, PLAN)
    assert not list(temporary.iterdir())
