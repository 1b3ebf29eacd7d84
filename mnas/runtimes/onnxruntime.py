"""ONNX Runtime on the CPU, fully optimised."""

from __future__ import annotations

from mnas.runtimes.python import PythonRuntime
from mnas.runtimes.runtime import runtimes

onnxruntime = runtimes.register("onnxruntime")(
    PythonRuntime(
        "onnxruntime",
        "onnx",
        ".onnx",
        "onnxruntime",
        {"execution": "sequential", "graph_optimization": "all", "io_binding": 1},
    )
)
