from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mnas.devices import Device
from mnas.errors import ConfigError, UnknownNameError
from mnas.ir import Placement, Shape, chain
from mnas.lower import initial_weights, lower
from mnas.ops.mobile import ConvBlock, Head
from mnas.runtimes import Plan, Runtime, runner, runtimes, time_column
from tests.contracts import check_runtime

LOCAL = Device("local")
NETWORKS = {f"conv {c}": chain(Shape(3, 12, 12), (ConvBlock(c, 3, 2), Head(16, 10))) for c in (8, 16, 24, 32, 40, 48)}


def write(runtime: Runtime, folder: Path) -> dict[str, Path]:
    """The networks as files for a runtime."""
    paths = {}
    for i, (name, network) in enumerate(NETWORKS.items()):
        paths[name] = folder / f"{i}{runtime.suffix}"
        paths[name].write_bytes(lower(network, initial_weights(network), runtime.format))
    return paths


@pytest.mark.parametrize("name", list(runner.RUNTIMES))
def test_runtime_keeps_its_contract(name: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"no model at all")
    models = write(runtimes[name], tmp_path)
    got = check_runtime(runtimes[name], LOCAL, models, broken)
    assert sorted(got.checksums) == sorted(models)
    assert all(np.isfinite(total) and total > 0 for total in got.checksums.values())


@pytest.mark.parametrize("name", list(runner.RUNTIMES))
def test_a_row_with_two_inputs_runs(name: str, tmp_path: Path) -> None:
    placement = Placement(ConvBlock(16), (Shape(8, 12, 12), Shape(8, 12, 12)))
    path = tmp_path / f"row{runtimes[name].suffix}"
    path.write_bytes(lower(placement, initial_weights(placement), runtimes[name].format))
    got = runtimes[name].measure(LOCAL, {str(placement): path}, Plan(passes=1, reps=2, num_threads=2))
    assert list(got.samples["item"]) == [str(placement)] * 2
    assert got.conditions.num_threads == 2


def test_free_sizes_are_one_and_integers_are_fed(tmp_path: Path) -> None:
    def save(name: str, kind: int, shape: list[str | int]) -> Path:
        x, y = (helper.make_tensor_value_info(name, kind, shape) for name in "xy")
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    models = {
        "free": save("free", TensorProto.FLOAT, ["batch", 1000]),
        "int8": save("int8", TensorProto.INT8, [1, 1000]),
        "text": save("text", TensorProto.STRING, [1]),
    }
    got = runtimes["onnxruntime"].measure(LOCAL, models, Plan(passes=1, reps=1))
    assert got.failed == {"text": "ValueError: cannot feed tensor(string)"}
    assert 700 < got.checksums["free"] < 900  # the mean of |normal| is 0.798
    assert 60_000 < got.checksums["int8"] < 68_000  # that of int8 is 64


def test_conditions_tell_plan_and_device() -> None:
    got = runtimes["onnxruntime"].conditions(Device("local", taskset="1"), Plan(num_threads=2, evict_kib=0), "int8")
    assert got.options == "evict_kib=0;execution=sequential;graph_optimization=all;io_binding=1"
    assert (got.device, got.dtype, got.num_threads, got.affinity, got.batch) == ("local", "int8", 2, "1", 1)
    assert runtimes["litert"].conditions(LOCAL, Plan()).options == "delegate=xnnpack;evict_kib=3072"


@pytest.mark.skipif(shutil.which("taskset") is None, reason="this machine has no taskset")
def test_taskset_binds_the_runner(tmp_path: Path) -> None:
    models = write(runtimes["litert"], tmp_path)
    got = runtimes["litert"].measure(Device("local", taskset="1"), models, Plan(passes=1, reps=1))
    assert len(got.samples) == len(models)
    assert got.conditions.affinity == "1"


def test_unknown_runtime_names_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown runtime 'tvm'; known: .*litert, onnxruntime"):
        runtimes["tvm"]


@pytest.mark.parametrize("wrong", [{"passes": 0}, {"reps": 0}, {"warmups": -1}, {"num_threads": 0}, {"evict_kib": -1}])
def test_plans_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be at least"):
        Plan(**wrong)
    with pytest.raises(ConfigError, match="timeout_s must be positive"):
        Plan(timeout_s=0)


def test_cpu_time_is_trusted_only_for_one_thread_here() -> None:
    assert time_column(LOCAL) == "cpu_ns"
    assert time_column(LOCAL, num_threads=2) == "wall_ns"
    assert time_column(Device("board", "ssh", "pi@board")) == "wall_ns"
