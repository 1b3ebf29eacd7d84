"""ONNX Runtime on the CPU, fully optimised; its profiler tells the time of every node."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mnas.devices import Device
from mnas.runtimes.nodes import node_frame, per_node_ns
from mnas.runtimes.python import PythonRuntime
from mnas.runtimes.runtime import NodeMeasurement, Plan, runtimes


@dataclass(frozen=True)
class OnnxRuntime(PythonRuntime):
    """A Python runtime that is a `NodeProfiler`, too."""

    def measure_nodes(
        self, device: Device, models: Mapping[str, Path], plan: Plan, profiled: Collection[str]
    ) -> NodeMeasurement:
        whole, response = self._measure(device, models, plan, profiled)
        nodes = node_frame(response.nodes, whole.samples, models)
        return NodeMeasurement(whole, nodes, per_node_ns(nodes))


onnxruntime = runtimes.register("onnxruntime")(
    OnnxRuntime(
        "onnxruntime",
        "onnx",
        ".onnx",
        "onnxruntime",
        {"execution": "sequential", "graph_optimization": "all", "io_binding": 1},
    )
)
