"""A runtime whose times are a known function of the model, on a drifting machine; and a space small enough for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

import mnas.latency.partial
import mnas.latency.storage
from mnas.devices import Device
from mnas.files import write_bytes
from mnas.ir import Architecture, Placement, Shape
from mnas.latency import LatencyTable, profile
from mnas.lower import read_metadata
from mnas.runtimes import COLUMNS, Conditions, Measurement, Plan, runtimes
from mnas.spaces import SearchSpace
from mnas.spaces.mnasnet import MnasNetSpace, Stage
from tests.latency.machine import simulate

OVERHEAD_MS, SCALE, PER_ROW_MS = 0.02, 0.9, 0.004


def tiny(classes: int = 10, stages: int = 1) -> SearchSpace:
    """A space of 32 rows (one stage), or more."""
    return MnasNetSpace("tiny", Shape(1, 8, 8), classes, (Stage(8, 1, 1), Stage(8, 1, 2))[:stages], 8, 8, ("identity",))


def row_ms(placement: Placement) -> float:
    """What the fake takes for one placement."""
    return 0.01 + placement.cost.macs / 1e7


def network_ms(architecture: Architecture) -> float:
    """What the fake takes for a whole network."""
    placements = architecture.placements
    return OVERHEAD_MS + SCALE * sum(map(row_ms, placements)) + PER_ROW_MS * len(placements)


def true_ms(text: str) -> float:
    """What the fake takes for a model whose metadata names `text`: a network, a placement or a bundle."""
    return network_ms(Architecture.parse(text)) if text.startswith("input ") else sum(map(row_ms, placements_of(text)))


def placements_of(text: str) -> tuple[Placement, ...]:
    """The placements of the model whose metadata names `text`."""
    if text.startswith("input "):
        return Architecture.parse(text).placements
    return tuple(map(Placement.parse, text.splitlines()))


@lru_cache(maxsize=4096)
def _text(model: bytes) -> str:
    return read_metadata(model, "tflite").get("architecture", "")


@dataclass
class FakeRuntime:
    """Deterministic in the models and the plan's seed.

    Attributes:
        swing: standard deviation of the common drift, in log; units differ by as much.
        noise: standard deviation of a visit, in log.
        slowness: factor on all times.
        uneven: log of how much slower the last model is than the first.
        runtime_version: part of the conditions.
        emulated: part of the conditions.
        broken: texts of models that fail, or of placements whose bundles do.
        dies_at: number of the call that is interrupted; kills the process if `hard`.
        calls: models of each call.
    """

    swing: float = 0.0
    noise: float = 0.0
    slowness: float = 1.0
    uneven: float = 0.0
    runtime_version: str = "1"
    emulated: bool = False
    broken: frozenset[str] = frozenset()
    dies_at: int = -1
    hard: bool = False
    calls: list[list[str]] = field(default_factory=list)
    name: str = "fake"
    format: Literal["onnx", "tflite"] = "tflite"
    suffix: str = ".fake"

    def conditions(self, device: Device, plan: Plan, dtype: str = "float32") -> Conditions:
        return Conditions(
            device.name, self.name, self.runtime_version, "", dtype, plan.num_threads, emulated=self.emulated
        )

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        if len(self.calls) == self.dies_at:
            if self.hard:
                os.kill(os.getpid(), signal.SIGKILL)
            self.dies_at = -1
            raise KeyboardInterrupt
        self.calls.append(list(models))
        texts = {name: _text(path.read_bytes()) for name, path in models.items()}
        failed = {name: "it crashed" for name, text in texts.items() if {text, *text.splitlines()} & self.broken}
        good = [name for name in models if name not in failed]
        if not good:
            return Measurement(pd.DataFrame(columns=list(COLUMNS)), failed, self.conditions(device, plan))
        ms = np.array([true_ms(texts[name]) for name in good]) * self.slowness
        ms *= np.exp(self.uneven * np.arange(len(ms)) / max(1, len(ms)))
        samples = simulate(
            ms, [np.arange(len(good))], levels=[self.swing * np.sin(plan.seed)], passes=plan.passes, reps=plan.reps,
            swing=self.swing, noise=self.noise, seed=plan.seed,
        )  # fmt: skip
        names = samples["item"].map({f"i{i:04d}": name for i, name in enumerate(good)})
        columns = samples.drop(columns="unit").assign(item=names.astype("object"))
        return Measurement(columns, failed, self.conditions(device, plan))


TINY = tiny()


def measure_tiny(out: Path | None, space: SearchSpace | None = TINY, **settings: Any) -> LatencyTable:
    """`profile` with the fake runtime: 2 chunks of 2 processes, and 2 more for the second pass."""
    given: dict[str, Any] = {
        "passes": 3,
        "reps": 2,
        "networks": (8, 4, 6),
        "max_memory_gb": 0.186,
        "max_minutes": 0,
        **settings,
    }
    return profile(space, runtime="fake", out=out, **given)


def install(runtime: FakeRuntime) -> FakeRuntime:
    """Register for the rest of this process."""
    runtimes.register("fake")(runtime)
    return runtime


class Dying:
    """Writes files, but the `at`-th write does not happen."""

    def __init__(self, at: int, write: Callable[[Path, bytes], None], error: BaseException) -> None:
        self.left, self.write, self.error = at, write, error

    def write_bytes(self, path: Path, data: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.error
        self.write(path, data)

    def write_text(self, path: Path, text: str) -> None:
        self.write_bytes(path, text.encode())


def die_at(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
    dying = Dying(at, write_bytes, error)
    for module in (mnas.latency.partial, mnas.latency.storage):
        monkeypatch.setattr(module, "write_bytes", dying.write_bytes)
        monkeypatch.setattr(module, "write_text", dying.write_text)


def files(prefix: Path) -> list[str]:
    """Names of all that lies beside a table."""
    return sorted(path.name for path in prefix.parent.iterdir())
