"""Time models on the machine that runs this file: `python runner.py request.json response.json`.

It is copied to devices, so it needs only the standard library, numpy and the runtime's wheel, and runs on Python 3.10.

Request: `runtime`, `wheel`, `models` (paths), `profiled` (indices of models whose nodes are timed; none by default),
`passes`, `reps`, `warmups`, `seed`, `num_threads`, `evict_kib`. Response: `schema`, `runtime_version`, `checksums` and
`failed` (by index of the model, as text) and `visits` in order of time, each `[model, round, [wall_ns, ...],
[cpu_ns, ...], [preempted, ...]]` and, if the model is profiled, its nodes in order of execution, each `[name, kind,
[input, ...], [output, ...], [us, ...]]`; or `schema` and `missing`, the module that could not be imported. CPU times
are those of the calling thread, less the cost of reading its clock. While it works, `response.json.progress` names the
model it is busy with.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import random
import resource
import sys
from collections.abc import Callable, Iterator
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
Nodes = list[list[Any]]
"""Name, kind, inputs and outputs of each node of a model, and the microseconds of its runs."""


class Profiled(NamedTuple):
    """A model loaded for one visit; `nodes` ends it and tells the nodes of so many last runs."""

    run: Callable[[], object]
    nodes: Callable[[int], Nodes]


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
    options = _session_options(num_threads)
    return lambda path: _bound(path, options, seed)[0]


def onnxruntime_nodes(num_threads: int, seed: int, scratch: str) -> Callable[[str], Profiled]:
    """Load `.onnx` files as `onnxruntime` does, with the profiler on; `scratch` begins the names of its files.

    The optimised graph is written too: the profiler knows nodes by name, but not what they read. Names and order of
    layout changes differ from load to load.
    """
    options = _session_options(num_threads)
    options.enable_profiling = True
    options.profile_file_prefix = scratch
    options.optimized_model_filepath = f"{scratch}.onnx"

    def load(path: str) -> Profiled:
        model, session = _bound(path, options, seed)
        return Profiled(model.run, lambda reps: _node_times(session.end_profiling(), graph(f"{scratch}.onnx"), reps))

    return load


def _session_options(num_threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return options


def _bound(path: str, options: Any, seed: int) -> tuple[Model, Any]:
    """Load a model and bind its inputs and outputs; also its session."""
    import onnxruntime as ort

    dtypes = {
        "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
        "tensor(int8)": "int8", "tensor(uint8)": "uint8", "tensor(int32)": "int32", "tensor(int64)": "int64",
    }  # fmt: skip
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for spec in session.get_inputs():
        if spec.type not in dtypes:
            raise ValueError(f"cannot feed {spec.type}")
        value = ort.OrtValue.ortvalue_from_numpy(values(spec.shape, dtypes[spec.type], seed))
        binding.bind_ortvalue_input(spec.name, value)
    names = [spec.name for spec in session.get_outputs()]
    for name in names:
        binding.bind_output(name)
    session.run_with_iobinding(binding)  # tells the shapes of the outputs
    for name, value in zip(names, binding.get_outputs(), strict=True):
        binding.bind_ortvalue_output(name, value)
    return Model(lambda: session.run_with_iobinding(binding), binding.copy_outputs_to_cpu), session


def _node_times(profile: str, nodes: Nodes, reps: int) -> Nodes:
    """Join the last `reps` runs of a profile of ONNX Runtime, which is deleted, with the nodes of the graph."""
    with open(profile, encoding="utf-8") as file:  # noqa: PTH123
        events = json.load(file)
    os.unlink(profile)
    runs: list[list[tuple[str, str, int]]] = [[]]
    for event in events:
        if event["name"] == "model_run":
            runs.append([])
        elif event["name"].endswith(_KERNEL):
            runs[-1].append((event["name"][: -len(_KERNEL)], event["args"]["op_name"], event["dur"]))
    executed = [[(name, kind) for name, kind, _ in run] for run in runs[:-1][-reps:]]
    if len(executed) < reps or any(each != executed[0] for each in executed):
        raise ValueError("the profiler's runs differ in their nodes")
    named = {node[0]: node for node in nodes if node[0]}
    nameless = [node for node in nodes if not node[0]]
    found: Nodes = []
    for i, (name, kind) in enumerate(executed[0]):
        node = named.get(name) or next((each for each in nameless if each[1] == kind), None)
        if node is None:
            raise ValueError(f"the profiler tells of {name}, which is no node of the optimised graph")
        if not node[0]:
            nameless.remove(node)
        found.append([*node, [run[i][2] for run in runs[:-1][-reps:]]])
    return found


_KERNEL = "_kernel_time"


def graph(path: str) -> Nodes:
    """Name, kind, inputs and outputs of every node of an ONNX file, read from its wire format; numbers are skipped."""
    model, node, fields = 7, 1, {3: 0, 4: 1, 1: 2, 2: 3}
    nodes: Nodes = []
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:  # noqa: PTH123
        for number, begin, end in _messages(data, 0, len(data)):
            for part, first, last in _messages(data, begin, end) if number == model else ():
                if part == node:
                    nodes.append(["", "", [], []])
                    for field, start, stop in _messages(data, first, last):
                        text = data[start:stop].decode() if field in fields else ""
                        if field in (1, 2):
                            nodes[-1][fields[field]].append(text)
                        elif field in fields:
                            nodes[-1][fields[field]] = text
    return nodes


def _messages(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of the fields of a protobuf message that have a length."""
    while at < end:
        key, at = _varint(data, at)
        size, at = _varint(data, at) if key & 7 in (0, 2) else (0, at + (8 if key & 7 == 1 else 4))
        if key & 7 == 2:
            yield key >> 3, at, at + size
            at += size


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


RUNTIMES = {"litert": litert, "onnxruntime": onnxruntime}
PROFILERS = {"onnxruntime": onnxruntime_nodes}


class Runner:
    """One measurement: loads, times, and gathers the response."""

    def __init__(self, request: dict[str, Any], progress: int, scratch: str = "") -> None:
        self.request = request
        self.progress = progress
        self.scratch = scratch
        self.profiled = frozenset(request.get("profiled", ()))
        self.parent = os.getppid()
        self.failed: dict[str, str] = {}
        self.checksums: dict[str, float] = {}
        self.visits: list[list[Any]] = []
        self.clock_ns = 0

    def respond(self) -> dict[str, Any]:
        """Load every model, time them, and describe what happened."""
        try:
            name, threads, seed = (self.request[key] for key in ("runtime", "num_threads", "seed"))
            load = RUNTIMES[name](threads, seed)
            profile = PROFILERS[name](threads, seed, self.scratch) if self.profiled else _unprofiled
            runtime_version = version(self.request["wheel"])
        except ImportError as error:
            return {"schema": SCHEMA, "missing": str(error)}
        self.time_all(self.load_all(load), profile)
        return {
            "schema": SCHEMA,
            "runtime_version": runtime_version,
            "checksums": self.checksums,
            "failed": self.failed,
            "visits": self.visits,
        }

    def load_all(self, load: Load) -> dict[int, Model | None]:
        """Load and run every model once; those that are profiled are not kept, since each visit loads them again."""
        models: dict[int, Model | None] = {}
        for index, path in enumerate(self.request["models"]):
            self.mark(index)
            try:
                model = load(path)
                model.run()
                total = sum(float(abs(output.astype("float64")).sum()) for output in model.outputs())
            except Exception as error:  # whatever a runtime finds wrong concerns this model only
                self.failed[str(index)] = _reason(error)
                continue
            models[index], self.checksums[str(index)] = None if index in self.profiled else model, total
        return models

    def time_all(self, models: dict[int, Model | None], profile: Callable[[str], Profiled]) -> None:
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
                    model = models[index] or profile(self.request["models"][index])
                    times: list[Any] = [*self.visit(model.run, memory)]
                    nodes = [model.nodes(self.request["reps"])] if isinstance(model, Profiled) else []
                    self.visits.append([index, pass_, *times, *nodes])
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


def _unprofiled(path: str) -> Profiled:
    raise AssertionError(path)


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
    response = Runner(request, progress, f"{response_path}.profile").respond()
    temporary = f"{response_path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(response, file, separators=(",", ":"))
    os.replace(temporary, response_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
