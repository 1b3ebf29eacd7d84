"""Time models on the machine that runs this file: `python runner.py request.json response.json`.

It is copied to devices, so it needs only the standard library, numpy and the runtime's wheel, and runs on Python 3.10.

Request: `runtime`, `wheel`, `models` (paths), `passes`, `reps`, `warmups`, `seed`, `num_threads`, `evict_kib`.
Response: `schema`, `runtime_version`, `checksums` and `failed` (by index of the model, as text) and `visits` in order
of time, each `[model, round, [wall_ns, ...], [cpu_ns, ...], [preempted, ...]]`; or `schema` and `missing`, the module
that could not be imported. CPU times are those of the calling thread, less the cost of reading its clock. While it
works, `response.json.progress` names the model it is busy with.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import sys
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
ORPHANED = 3
"""Exit code when the process that started this one is gone."""


class Model(NamedTuple):
    """A loaded model whose inputs are set."""

    run: Callable[[], object]
    outputs: Callable[[], list[np.ndarray[Any, Any]]]


Load = Callable[[str], Model]


def values(shape: Any, dtype: Any, seed: int) -> np.ndarray[Any, Any]:
    """Seeded input: standard normal, or uniform over all integers of an integer type; unknown sizes are 1."""
    import numpy as np

    rng = np.random.default_rng(seed)
    sizes = [size if isinstance(size, int) and size > 0 else 1 for size in map(_plain, shape)]
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max, sizes, kind, endpoint=True)
    return rng.standard_normal(sizes).astype(kind)


def _plain(size: Any) -> Any:
    """A numpy integer as int; names of free dimensions stay."""
    return size if isinstance(size, (int, str, type(None))) else int(size)


def litert(num_threads: int, seed: int) -> Load:
    """Load `.tflite` files with the interpreter's default delegate, XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    def load(path: str) -> Model:
        interpreter = Interpreter(model_path=path, num_threads=num_threads)
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], values(detail["shape"], detail["dtype"], seed))
        indices = [detail["index"] for detail in interpreter.get_output_details()]
        return Model(interpreter.invoke, lambda: [interpreter.get_tensor(index) for index in indices])

    return load


def onnxruntime(num_threads: int, seed: int) -> Load:
    """Load `.onnx` files, fully optimised; inputs and outputs are bound to fixed memory."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    dtypes = {
        "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
        "tensor(int8)": "int8", "tensor(uint8)": "uint8", "tensor(int32)": "int32", "tensor(int64)": "int64",
    }  # fmt: skip

    def load(path: str) -> Model:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        for spec in session.get_inputs():
            if spec.type not in dtypes:
                raise ValueError(f"cannot feed {spec.type}")
            binding.bind_ortvalue_input(
                spec.name, ort.OrtValue.ortvalue_from_numpy(values(spec.shape, dtypes[spec.type], seed))
            )
        names = [spec.name for spec in session.get_outputs()]
        for name in names:
            binding.bind_output(name)
        session.run_with_iobinding(binding)  # tells the shapes of the outputs
        for name, value in zip(names, binding.get_outputs(), strict=True):
            binding.bind_ortvalue_output(name, value)
        return Model(lambda: session.run_with_iobinding(binding), binding.copy_outputs_to_cpu)

    return load


RUNTIMES = {"litert": litert, "onnxruntime": onnxruntime}


class Runner:
    """One measurement: loads, times, and gathers the response."""

    def __init__(self, request: dict[str, Any], progress: int) -> None:
        self.request = request
        self.progress = progress
        self.parent = os.getppid()
        self.failed: dict[str, str] = {}
        self.checksums: dict[str, float] = {}
        self.visits: list[list[Any]] = []
        self.clock_ns = 0

    def respond(self) -> dict[str, Any]:
        """Load every model, time them, and describe what happened."""
        try:
            load = RUNTIMES[self.request["runtime"]](self.request["num_threads"], self.request["seed"])
            runtime_version = version(self.request["wheel"])
        except ImportError as error:
            return {"schema": SCHEMA, "missing": str(error)}
        models = self.load_all(load)
        self.time_all(models)
        return {
            "schema": SCHEMA,
            "runtime_version": runtime_version,
            "checksums": self.checksums,
            "failed": self.failed,
            "visits": self.visits,
        }

    def load_all(self, load: Load) -> dict[int, Model]:
        """Load and run every model once."""
        models: dict[int, Model] = {}
        for index, path in enumerate(self.request["models"]):
            self.mark(index)
            try:
                model = load(path)
                model.run()
                total = sum(float(abs(output.astype("float64")).sum()) for output in model.outputs())
            except Exception as error:  # whatever a runtime finds wrong concerns this model only
                self.failed[str(index)] = _reason(error)
                continue
            models[index], self.checksums[str(index)] = model, total
        return models

    def time_all(self, models: dict[int, Model]) -> None:
        """Visit all models in a new random order each round."""
        import numpy as np

        memory = np.ones(self.request["evict_kib"] * 128, np.int64)  # written: untouched pages are one page of zeros
        order = random.Random(self.request["seed"])  # noqa: S311 - an order, not a secret
        gc.collect()
        gc.disable()
        self.clock_ns = self.cost_of_clock(memory)
        for pass_ in range(self.request["passes"]):
            remaining = [index for index in models if str(index) not in self.failed]
            for index in order.sample(remaining, len(remaining)):
                self.mark(index)
                try:
                    self.visits.append([index, pass_, *self.visit(models[index].run, memory)])
                except Exception as error:
                    self.failed[str(index)] = _reason(error)

    def cost_of_clock(self, memory: np.ndarray[Any, Any]) -> int:
        """CPU time of reading the clocks, a microsecond or two: the median over visits of nothing."""
        return int(median(cpu for _ in range(10) for cpu in self.visit(bool, memory)[1]))

    def visit(self, run: Callable[[], object], memory: np.ndarray[Any, Any]) -> tuple[list[int], list[int], list[int]]:
        """Warm up, then time `reps` runs, each after other memory passed through the cache."""
        who = resource.RUSAGE_THREAD if self.request["num_threads"] == 1 else resource.RUSAGE_SELF
        walls, cpus, preempted = [], [], []
        for _ in range(self.request["warmups"]):
            run()
        for _ in range(self.request["reps"]):
            memory.sum()
            switches = resource.getrusage(who).ru_nivcsw
            cpu = thread_time_ns()
            wall = perf_counter_ns()
            run()
            walls.append(perf_counter_ns() - wall)
            cpus.append(max(thread_time_ns() - cpu - self.clock_ns, 0))
            preempted.append(int(resource.getrusage(who).ru_nivcsw > switches))
        return walls, cpus, preempted

    def mark(self, index: int) -> None:
        """Note the model in hand, for whoever finds this process dead; end if nobody waits for it."""
        if os.getppid() != self.parent:
            sys.exit(ORPHANED)
        os.pwrite(self.progress, b"%9d" % index, 0)


def _reason(error: Exception) -> str:
    """The error's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def main(request_path: str, response_path: str) -> None:
    """Answer a request; the response appears whole or not at all."""
    with open(request_path, encoding="utf-8") as file:  # noqa: PTH123
        request = json.load(file)
    for pool in ("OMP", "OPENBLAS", "MKL"):  # before numpy is imported
        os.environ[f"{pool}_NUM_THREADS"] = str(request["num_threads"])
    progress = os.open(f"{response_path}.progress", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    response = Runner(request, progress).respond()
    temporary = f"{response_path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(response, file, separators=(",", ":"))
    os.replace(temporary, response_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
