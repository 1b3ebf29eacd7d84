"""LiteRT (TensorFlow Lite) in Python, with XNNPACK."""

from __future__ import annotations

from mnas.runtimes.python import PythonRuntime
from mnas.runtimes.runtime import runtimes

litert = runtimes.register("litert")(
    PythonRuntime("litert", "tflite", ".tflite", "ai-edge-litert", {"delegate": "xnnpack"})
)
