"""What the real XNNPACK of the LiteRT wheel runs for a model: `python xnnpack.py MODEL` prints its profile as JSON.

The library's C functions are those of `litert/c`; it is a program of its own because the library is loaded beside
others that bring the same symbols.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint64, c_void_p
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mnas.runtimes.benchmark.opprofile import OpTime

_NODE, _INNER = 2, 8
"""Types of events: an operator of the graph, and one within a delegate."""


class Event(ctypes.Structure):
    _fields_ = (
        ("tag", c_char_p),
        ("type", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_int64 * 6),
        ("number", c_uint64),
        ("graph", c_uint64),
        ("source", c_int),
    )


class Library:
    """Calls functions that give 0 where all is well."""

    def __init__(self) -> None:
        spec = find_spec("ai_edge_litert")
        assert spec is not None
        assert spec.origin is not None
        self._library = ctypes.CDLL(str(Path(spec.origin).with_name("libLiteRt.so")))

    def call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, f"LiteRt{name}")(*arguments)
        if code:
            raise RuntimeError(f"LiteRt{name} gave {code}")

    def new(self, name: str, *arguments: Any) -> c_void_p:
        """Call what makes something, and give that."""
        made = c_void_p()
        self.call(name, *arguments, byref(made))
        return made


def events(model: str) -> list[tuple[int, str, int]]:
    """Type, name and number of the events of one run."""
    lib = Library()
    environment = lib.new("CreateEnvironment", 0, None)
    file = lib.new("CreateModelFromFile", environment, model.encode())
    options = lib.new("CreateOptions")
    lib.call("SetOptionsHardwareAccelerators", options, 1)
    payload = ctypes.create_string_buffer(b"enable_profiling = true\n")
    keep = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)
    opaque = lib.new("CreateOpaqueOptions", b"runtime_options_string", payload, keep)
    lib.call("AddOpaqueOptions", options, opaque)
    compiled = lib.new("CreateCompiledModel", environment, file, options)
    profiler = lib.new("CompiledModelGetProfiler", compiled)
    signature = lib.new("GetModelSignature", file, c_size_t(0))

    def buffers(side: str) -> ctypes.Array[c_void_p]:
        count = c_size_t()
        lib.call(f"GetNumSignature{side}s", signature, byref(count))
        made = (c_void_p * count.value)()
        for i in range(count.value):
            tensor = lib.new(f"GetSignature{side}TensorByIndex", signature, c_size_t(i))
            kind = ctypes.create_string_buffer(256)
            lib.call("GetRankedTensorType", tensor, kind)
            needs = lib.new(f"GetCompiledModel{side}BufferRequirements", compiled, c_size_t(0), c_size_t(i))
            made[i] = lib.new("CreateManagedTensorBufferFromRequirements", environment, kind, needs).value
        return made

    inputs, outputs = buffers("Input"), buffers("Output")
    lib.call("StartProfiler", profiler)
    lib.call("RunCompiledModel", compiled, c_size_t(0), c_size_t(len(inputs)), inputs, c_size_t(len(outputs)), outputs)
    lib.call("StopProfiler", profiler)
    count = c_int()
    lib.call("GetNumProfilerEvents", profiler, POINTER(c_int)(count))
    found = (Event * count.value)()
    lib.call("GetProfilerEvents", profiler, count, found)
    return [(each.type, each.tag.decode(), each.number) for each in found if each.type in (_NODE, _INNER)]


def rows(model: Path, outputs: list[str]) -> list[OpTime]:
    """The profile of a model as the classic tool would write it, with 1 us for every op.

    Args:
        model: a TFLite file.
        outputs: first output tensors of its operators.
    """
    done = subprocess.run(
        [sys.executable, __file__, str(model)], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return [
        OpTime(name, f"Delegate/{name}:{number}" if kind == _INNER else f"[{outputs[number]}]:{number}", 1.0, 1)
        for kind, name, number in told
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(events(sys.argv[1])))
