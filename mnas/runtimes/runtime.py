"""Runtimes: run model files on a device and give back raw samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import pandas as pd

from mnas.devices import Device
from mnas.errors import ConfigError
from mnas.lower import Format
from mnas.registry import Registry
from mnas.runtimes.samples import Conditions, split_options

COLUMNS = {
    "item": "str",
    "visit": "int64",
    "round": "int64",
    "rep": "int64",
    "wall_ns": "int64",
    "cpu_ns": "int64",
    "preempted": "bool",
}
"""Columns of `Measurement.samples` and their types."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How often and in what state models are timed.

    Attributes:
        passes: rounds over all models, each in a new random order.
        reps: timed runs at each visit of a model.
        warmups: untimed runs at each visit.
        seed: of the orders and of the input values.
        num_threads: threads of the runtime.
        evict_kib: KiB of other memory read before every timed run, so that weights are cold in the L2 cache; 0: hot.
        timeout_s: seconds after which the measurement is given up.

    Raises:
        ConfigError: a number out of range.
    """

    passes: int = 3
    reps: int = 5
    warmups: int = 1
    seed: int = 0
    num_threads: int = 1
    evict_kib: int = 3072
    timeout_s: float = 600

    def __post_init__(self) -> None:
        least = {"passes": 1, "reps": 1, "warmups": 0, "seed": 0, "num_threads": 1, "evict_kib": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} must be at least {bound}, got {getattr(self, name)}")
        if not self.timeout_s > 0:
            raise ConfigError(f"timeout_s must be positive, got {self.timeout_s}")


@dataclass(frozen=True)
class Measurement:
    """Raw samples of one measurement run.

    Attributes:
        samples: one row per timed run with `COLUMNS`: the model's name; the visit (0, 1, ... in order of time); the
            round and the repetition within the visit; nanoseconds of wall time and of the calling thread's CPU time
            (less the cost of reading its clock); whether the system took the core away meanwhile.
        failed: why a model gave no samples, by name.
        conditions: what the samples hold under.
        checksums: sum of the absolute outputs of each model on its seeded input, by name.
    """

    samples: pd.DataFrame
    failed: dict[str, str]
    conditions: Conditions
    checksums: dict[str, float] = field(default_factory=dict)


class Runtime(Protocol):
    """Something that runs files of one format."""

    @property
    def name(self) -> str: ...

    @property
    def format(self) -> Format: ...

    @property
    def suffix(self) -> str:
        """How file names of the format end, with the dot."""
        ...

    def conditions(self, device: Device, plan: Plan, dtype: str = "float32") -> Conditions:
        """Say what a measurement on `device` by `plan` would hold under; asks the device for the runtime's version.

        Raises:
            DeviceError: the device is missing or lacks the runtime.
        """
        ...

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        """Time `models` (files by name) interleaved in one process of the device.

        A model that cannot be loaded or run, even one that crashes the process, is named in `failed` while the
        others are measured. The files do not say their dtype: conditions come back with "float32".

        Raises:
            MnasError: a file is missing on this side.
            DeviceError: the device is missing or lacks the runtime, took too long or answered nonsense.
        """
        ...


@dataclass(frozen=True)
class NodeMeasurement:
    """A measurement with the nodes of some models.

    Attributes:
        whole: of all models; runs under the profiler are slower than runs without.
        nodes: of the profiled models, one row per executed node and run with `NODE_COLUMNS`: item, visit, round, rep
            and preempted as in the samples of whole runs; the number of the node in order of execution and its kind;
            the tensor of the model file that it belongs to, empty if unknown; nanoseconds of wall time.
        per_node_ns: what of that is the profiler's own work, for each node.
    """

    whole: Measurement
    nodes: pd.DataFrame
    per_node_ns: float = 0.0


@runtime_checkable
class NodeProfiler(Runtime, Protocol):
    """A runtime that can tell how long each node of a network takes; optional."""

    def measure_nodes(
        self, device: Device, models: Mapping[str, Path], plan: Plan, profiled: Collection[str]
    ) -> NodeMeasurement:
        """As `measure`, but of the models named in `profiled` every node is timed.

        Those are loaded anew for every visit. Errors are those of `measure`.
        """
        ...


@runtime_checkable
class ProcessPerVisit(Runtime, Protocol):
    """A runtime that starts a process for every visit of a model, so that visits are dear; optional.

    Its visits have more runs, and the rows of a table stand in bundles unless others are asked for.
    """

    @property
    def start_s(self) -> float:
        """Seconds that a visit takes beside its runs, roughly."""
        ...

    def starts(self, models: int, plan: Plan) -> int:
        """How many processes `measure` starts for so many models, at most."""
        ...


@runtime_checkable
class Delegating(Runtime, Protocol):
    """A runtime that has several ways to compute; optional."""

    @property
    def delegate(self) -> str:
        """The way it computes, which its conditions tell, too."""
        ...

    def with_delegate(self, delegate: str) -> Runtime:
        """The same runtime, computing another way.

        Raises:
            ConfigError: it does not know that way.
        """
        ...


runtimes: Registry[Runtime] = Registry(
    "runtime", ("mnas.runtimes.litert", "mnas.runtimes.onnxruntime", "mnas.runtimes.benchmark_model")
)


def visit_start_s(runtime: Runtime) -> float:
    """Seconds that a visit of a model takes beside its runs, roughly; 0 where all models share a process."""
    return runtime.start_s if isinstance(runtime, ProcessPerVisit) else 0.0


def process_starts(runtime: Runtime, models: int, plan: Plan) -> int:
    """How many processes one measurement of so many models starts on the device, at most."""
    return runtime.starts(models, plan) if isinstance(runtime, ProcessPerVisit) else 1


def told_delegate(conditions: Conditions) -> str | None:
    """Which delegate a runtime that has several was told to use; nothing for other runtimes."""
    if not isinstance(runtimes[conditions.runtime], Delegating):
        return None
    return split_options(conditions.options).get("delegate")


def find_runtime(name: str, delegate: str | None = None) -> Runtime:
    """Find a runtime, with a delegate if one is named.

    Raises:
        UnknownNameError: no such runtime.
        ConfigError: it has no delegates, or not this one.
    """
    found = runtimes[name]
    if delegate is None:
        return found
    if not isinstance(found, Delegating):
        raise ConfigError(f"runtime {name} has one way to compute only: leave out --delegate {delegate}")
    return found.with_delegate(delegate)


def time_column(device: Device, num_threads: int = 1) -> Literal["cpu_ns", "wall_ns"]:
    """Which column of the samples to trust: CPU time of one thread here, where others disturb wall time; else wall."""
    return "cpu_ns" if device.local and num_threads == 1 else "wall_ns"
