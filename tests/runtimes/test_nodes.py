from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from onnx import TensorProto, helper

from mnas.devices import device
from mnas.ir import Architecture, Network, Placement
from mnas.lower import initial_weights, lower, node_of
from mnas.ops.cell import Nothing
from mnas.runtimes import NODE_COLUMNS, NodeProfiler, Plan, runner, runtimes
from mnas.runtimes.nodes import Operator, node_frame, per_node_ns, source, tensors
from mnas.spaces import sample, space
from tests.strategies import joined_placements

PLAN = Plan(passes=2, reps=3, evict_kib=64)


def write(network: Network, path: Path) -> Path:
    path.write_bytes(lower(network, initial_weights(network), "onnx"))
    return path


def nodes_of(network: Network, folder: Path) -> tuple[runner.Nodes, dict[str, Operator], list[str]]:
    """Executed nodes, the operators of the file, and which of them the nodes belong to."""
    path = write(network, folder / "m.onnx")
    profiled = runner.onnxruntime_nodes(1, 0, str(folder / "scratch"))(str(path))
    profiled.run()
    nodes, model = profiled.nodes(2), source(path)
    return nodes, model, tensors(nodes, model)


def drawn(name: str, n: int) -> list[Architecture]:
    each = space(name)
    return [each.decode(tuple(row)) for row in sample(each, np.random.default_rng(0), n).tolist()]


def check_convolutions(nodes: runner.Nodes, model: dict[str, Operator], found: list[str]) -> int:
    """Convolutions that kept the name of their bias show whose they are; gives their number."""
    checked = 0
    for (_, kind, inputs, *_), tensor in zip(nodes, found, strict=True):
        biases = [name for name in inputs if name.endswith(".bias")]
        if "Conv" in kind and biases:
            assert biases[0] in model[tensor].inputs
            checked += 1
    return checked


@given(placement=joined_placements())
@settings(max_examples=40, deadline=None)
def test_every_node_of_any_op_is_found(placement: Placement, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(not isinstance(placement.op, Nothing))
    nodes, model, found = nodes_of(placement, tmp_path_factory.mktemp("op"))
    assert nodes
    assert all(tensor in model for tensor in found)
    assert {node_of(tensor, placement) for tensor in found} == {0}
    check_convolutions(nodes, model, found)


@pytest.mark.parametrize("name", ["mnasnet-small", "nasbench201", "nasrl"])
def test_every_node_of_a_network_is_found(name: str, tmp_path: Path) -> None:
    checked = 0
    for network in drawn(name, 4):
        nodes, model, found = nodes_of(network, tmp_path)
        assert all(node_of(tensor, network) is not None for tensor in found)
        checked += check_convolutions(nodes, model, found)
    assert checked > 10


def test_a_change_of_layout_belongs_to_what_reads_it() -> None:
    model = {"n0.0": Operator("Conv", ["image"]), "n1.0": Operator("MaxPool", ["n0.0"]), "n2": Operator("Add", [])}
    nodes: runner.Nodes = [
        ["ReorderInput", "ReorderInput", ["image"], ["r0"], [1]],
        ["n0.0_nchwc", "Conv", ["r0", "w"], ["r1"], [1]],
        ["ReorderOutput_token_1", "ReorderOutput", ["r1"], ["n0.0"], [1]],
        ["ReorderOutput", "ReorderOutput", ["r1"], ["out"], [1]],
        ["n1.0/MaxPool", "MaxPool", ["n0.0"], ["n1.0"], [1]],
        ["", "Add", ["n1.0"], ["n2"], [1]],
    ]
    assert tensors(nodes, model) == ["n0.0", "n0.0", "n1.0", "n0.0", "n1.0", "n2"]


def test_a_fused_convolution_is_not_the_activation_after_it() -> None:
    model = {
        "n0.0": Operator("Conv", ["image", "w"]),
        "n1.0": Operator("Relu", ["n0.0"]),
        "n2.scaled": Operator("Mul", ["n1.0", "scale"]),
    }
    nodes: runner.Nodes = [
        ["n1.0_nchwc", "Conv", ["image"], ["r"], [1]],
        ["n2.scaled_mul_nchwc", "Conv", ["r"], ["s"], [1]],
        ["mystery", "Sqrt", ["elsewhere"], ["nowhere"], [1]],
    ]
    assert tensors(nodes, model) == ["n0.0", "n2.scaled", ""]


def test_a_graph_is_read_as_onnx_reads_it(tmp_path: Path) -> None:
    path = write(drawn("nasbench201", 1)[0], tmp_path / "m.onnx")
    expected = [[n.name, n.op_type, list(n.input), list(n.output)] for n in onnx.load(path).graph.node]
    assert runner.graph(str(path)) == expected


def test_a_graph_of_other_fields_is_read(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[300, 1, 1, 1], doc_string="é" * 200, domain="d")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [40], [0.5] * 40)
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [weight]), model_version=2**40)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert runner.graph(str(tmp_path / "m.onnx")) == [["", "Conv", ["x", "w"], ["y"]]]


def test_nodes_come_back_beside_whole_runs(tmp_path: Path) -> None:
    profiler = runtimes["onnxruntime"]
    assert isinstance(profiler, NodeProfiler)
    networks = dict(zip("abc", drawn("mnasnet-small", 3), strict=True))
    files = {name: write(network, tmp_path / f"{name}.onnx") for name, network in networks.items()}
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    files["junk"] = tmp_path / "junk.onnx"
    found = profiler.measure_nodes(device("local"), files, PLAN, ["b", "c", "junk"])
    nodes, whole = found.nodes, found.whole.samples
    assert list(found.whole.failed) == ["junk"]
    assert dict(nodes.dtypes.astype(str)) == dict(
        pd.DataFrame(columns=[*NODE_COLUMNS]).astype(NODE_COLUMNS).dtypes.astype(str)
    )
    assert set(whole["item"]) == {"a", "b", "c"}
    assert set(nodes["item"]) == {"b", "c"}
    keys = ["item", "visit", "round", "rep"]
    runs = nodes.groupby(keys)["ns"].sum().reset_index().merge(whole, on=keys, validate="one_to_one")
    assert len(runs) == 2 * PLAN.passes * PLAN.reps
    assert (runs["ns"] < 1.1 * runs["wall_ns"]).all()
    assert 500 <= found.per_node_ns < nodes["ns"].median()
    assert {node_of(tensor, networks["b"]) for tensor in nodes[nodes["item"] == "b"]["tensor"]} == set(
        range(len(networks["b"].nodes))
    )


def test_the_profilers_own_work_is_that_of_idle_nodes() -> None:
    kinds = {"Conv": 90_000, "Flatten": 2500, "Reshape": 4500}
    rows = [("a", 0, 0, rep, i, kind, "n0", ns, False) for rep in (0, 1) for i, (kind, ns) in enumerate(kinds.items())]
    nodes = pd.DataFrame(rows, columns=list(NODE_COLUMNS))
    assert per_node_ns(nodes) == 3500
    assert per_node_ns(nodes[nodes["kind"] == "Conv"]) == 0


def test_a_runtime_without_profiler_says_so() -> None:
    assert not isinstance(runtimes["litert"], NodeProfiler)


def test_no_visits_make_an_empty_frame() -> None:
    frame = node_frame({}, pd.DataFrame({"visit": [0], "item": ["a"]}), {})
    assert frame.empty
    assert list(frame.columns) == list(NODE_COLUMNS)
