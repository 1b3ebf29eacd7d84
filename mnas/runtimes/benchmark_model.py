"""TensorFlow Lite on phones: Google's classic `benchmark_model`, which the user gives (see docs/phones.md).

The tool starts anew for every visit of a model: it loads it, warms up, and prints the average of the timed runs. One
visit therefore gives one raw sample, that average; what varies within a visit is in the average, what varies between
visits, which is more, stays in the samples. `Plan.reps` is the number of timed runs of a visit. Nothing evicts weights
from the caches between runs, so rows of single ops are hot; those inside networks find the caches as networks leave
them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mnas.devices import Device, connect
from mnas.errors import ConfigError, DeviceError, FormatError
from mnas.lower import Format
from mnas.runtimes.benchmark.binary import check_fits, read_binary
from mnas.runtimes.benchmark.reading import Reading
from mnas.runtimes.benchmark.unit import Unit
from mnas.runtimes.runtime import Measurement, NodeMeasurement, Plan, runtimes
from mnas.runtimes.samples import Conditions, join_options

Delegate = Literal["cpu", "xnnpack", "gpu"]
_FLAGS: dict[Delegate, str] = {"cpu": "--use_xnnpack=false", "xnnpack": "--use_xnnpack=true", "gpu": "--use_gpu=true"}


@dataclass(frozen=True)
class BenchmarkModel:
    """The classic tool with one of its delegates.

    Attributes:
        delegate: "cpu" for the built-in kernels, "xnnpack" (what TensorFlow Lite does by itself), or "gpu".
    """

    delegate: Delegate = "xnnpack"
    name: str = "benchmark_model"
    format: Format = "tflite"
    suffix: str = ".tflite"
    start_s: float = 0.5

    def with_delegate(self, delegate: str) -> BenchmarkModel:
        for known in get_args(Delegate):
            if delegate == known:
                return BenchmarkModel(known) if known == "gpu" else OpProfilingBenchmarkModel(known)
        raise ConfigError(f"unknown delegate {delegate!r} of {self.name}; known: {', '.join(get_args(Delegate))}")

    def conditions(self, device: Device, plan: Plan, dtype: str = "float32") -> Conditions:
        binary = read_binary(device)
        check_fits(binary, device, connect(device))
        return Conditions(
            device=device.name,
            runtime=self.name,
            runtime_version=binary.version,
            options=join_options({"delegate": self.delegate}),
            dtype=dtype,
            num_threads=plan.num_threads,
            affinity=device.taskset,
            emulated=device.emulated,
        )

    def starts(self, models: int, plan: Plan) -> int:
        """One for each visit, and one that asks the tool what it can."""
        return models * plan.passes + 1

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        return self._measure(device, models, plan, ()).whole

    def _measure(
        self, device: Device, models: Mapping[str, Path], plan: Plan, profiled: Collection[str]
    ) -> NodeMeasurement:
        conditions = self.conditions(device, plan)
        unit = Unit(device, read_binary(device), models, plan, frozenset(profiled), _FLAGS[self.delegate])
        reading = Reading(unit, self.delegate, *unit.results())
        try:
            failed = reading.failed()
            samples = reading.samples(failed)
            return NodeMeasurement(Measurement(samples, failed, conditions), reading.nodes(samples))
        except FormatError as error:
            raise DeviceError(f"device {device.name!r}: {error}") from error


@dataclass(frozen=True)
class OpProfilingBenchmarkModel(BenchmarkModel):
    """The tool with a delegate that tells the times of single ops; those of the GPU do not."""

    def measure_nodes(
        self, device: Device, models: Mapping[str, Path], plan: Plan, profiled: Collection[str]
    ) -> NodeMeasurement:
        """As the role says; of profiled models each node has one time per visit, its average.

        Raises:
            CheckError: the ops of the delegate cannot be told apart.
        """
        return self._measure(device, models, plan, profiled)


benchmark_model = runtimes.register("benchmark_model")(OpProfilingBenchmarkModel())
