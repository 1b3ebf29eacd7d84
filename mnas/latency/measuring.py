"""The processes of a measurement: a first pass over everything, a second over networks, and rows measured again.

A *unit* is one measuring process; what it gave is kept on disk at once (see `Partial`). Units are numbered in order of
time, and which units there are follows from the plan and from what the units before them gave, so that an interrupted
measurement goes on as if it had not been.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from mnas.devices import Device
from mnas.errors import DeviceError
from mnas.ir import Network
from mnas.latency.chunks import pack, seconds
from mnas.latency.filter import TimeColumn, estimate, filtered, visits
from mnas.latency.models import write_models
from mnas.latency.partial import Partial, Unit, failures
from mnas.latency.rawfile import AGAIN, first_pass
from mnas.latency.table import WIDE
from mnas.latency.thermal import thermometer
from mnas.progress import Progress
from mnas.runtimes import Plan, Runtime, process_starts, visit_start_s

_MOST_SWEEPS = 4
"""Times that rows are measured again; what is still wide then is noisy in itself."""
_SLOWER = 30
"""A unit is given up when it takes this many times what a desktop core is estimated to take."""
_LEAST_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Work:
    """What is to be measured, and how.

    Attributes:
        partial: where finished units are kept.
        items: everything to measure, by name in the samples.
        chunks: names that one process loads together.
        rows: names of those items that are rows, which are measured again if wide.
        spare: names of those items that are measured only where what holds them in the chunks failed.
        anchors: names of the networks that every chunk holds.
        tests: names of the networks that are measured again, independently, once the first pass is done.
        device: where.
        runtime: by what.
        dtype: numbers inside the models.
        loads: processes for each chunk.
        rounds: passes and repetitions of each process.
        time: which clock to read.
        max_minutes: rows are measured again until the whole measurement has taken so long.
        max_memory_gb: memory that a measuring process may take, in GB.
        seed: of weights and orders.
        progress: called before each process.
    """

    partial: Partial
    items: Mapping[str, Network]
    chunks: list[list[str]]
    rows: list[str]
    spare: list[str]
    anchors: list[str]
    tests: list[str]
    device: Device
    runtime: Runtime
    dtype: str
    loads: int
    rounds: Plan
    time: TimeColumn
    max_minutes: float
    max_memory_gb: float
    seed: int
    progress: Progress

    def plan(self) -> dict[str, Any]:
        """What defines the units, as JSON holds it."""
        return {
            "loads": self.loads,
            "passes": self.rounds.passes,
            "reps": self.rounds.reps,
            "seed": self.seed,
            "max_minutes": self.max_minutes,
            "chunks": self.chunks,
            "again": self.tests,
        }

    def units(self) -> list[Unit]:
        """Measure what is not finished yet."""
        done: list[Unit] = []
        for chunk in self.chunks:
            done += self._loaded(chunk, self.loads, done, "measuring")
        if tests := [name for name in self.tests if name not in failures(done)]:
            again = self._loaded([*self.anchors, *tests], self.loads, done, "second pass over")
            done += [unit._replace(samples=_renamed(unit.samples)) for unit in again]
        if lost := self._lost(done):
            done += self._loaded(lost, 1, done, "measuring by themselves")
        for _ in range(_MOST_SWEEPS):
            names = self._wide(done)
            if not names or self._late(done):
                break
            for chunk in pack(self._of([*self.anchors, *names]), self.anchors, self.max_memory_gb, self.seed):
                if not self._late(done):
                    done += self._loaded(chunk, 1, done, "measuring again")
        return done

    @property
    def planned(self) -> int:
        """Number of units without those that measure rows again."""
        return self.loads * (len(self.chunks) + bool(self.tests))

    def _lost(self, done: Sequence[Unit]) -> list[str]:
        """Spare items that nothing tells of, if anything could be measured at all."""
        told = {item for unit in done for item in unit.samples["item"].unique()}
        return [name for name in self.spare if name not in told] if told else []

    def _wide(self, done: Sequence[Unit]) -> list[str]:
        samples = pd.concat([unit.samples for unit in done], ignore_index=True)
        first = first_pass(samples)
        if first.empty:
            return []
        estimates = estimate(filtered(visits(first, self.time)))
        reach = (estimates["ci_high_ms"] - estimates["ci_low_ms"]) / 2
        names = set(estimates.index[reach > WIDE * estimates["median_ms"]]) - set(failures(done))
        return [name for name in self.rows if name in names]

    def _late(self, done: Sequence[Unit]) -> bool:
        """Whether the time is up, by the clock that the units carry, which is the same after an interruption."""
        return sum(unit.seconds for unit in done) >= 60 * self.max_minutes

    def _of(self, names: Sequence[str]) -> dict[str, Network]:
        return {name: self.items[name] for name in names}

    def _loaded(self, chunk: list[str], loads: int, done: Sequence[Unit], what: str) -> list[Unit]:
        """The units that measure a chunk: those that are finished, and the rest now."""
        numbers = range(len(done), len(done) + loads)
        kept = [unit for unit in map(self.partial.finished, numbers) if unit is not None]
        rest = numbers[len(kept) :]
        return kept + (self._measured(chunk, rest, [*done, *kept], what) if rest else [])

    def _measured(self, chunk: list[str], numbers: range, done: Sequence[Unit], what: str) -> list[Unit]:
        total = max(self.planned, numbers.stop)
        watched = thermometer(self.device)
        began = time.monotonic()
        self.progress(numbers[0], total, f"building {len(chunk)} models")
        fresh: list[Unit] = []
        with self.partial.models() as folder:
            models = write_models(self._of(chunk), folder, self.runtime, self.seed, self.dtype)
            failed = models.failed
            for number in numbers:
                known = failures([*done, *fresh]) | failed
                files = {name: file for name, file in models.files.items() if name not in known}
                if not files:
                    raise DeviceError(f"no model of {len(chunk)} runs; the first reason: {next(iter(known.values()))}")
                plan = self._unit_plan(chunk, number)
                starts = process_starts(self.runtime, len(files), plan)
                built_s, note = time.monotonic() - began, f"{what} {len(files)} models"
                result, seconds = watched.measured(
                    partial(self.runtime.measure, self.device, files, plan),
                    partial(self._show, number, total, note),
                )
                unit = Unit(result.samples.assign(unit=number), failed | result.failed, built_s + seconds, starts)
                self.partial.finish(number, unit)
                fresh.append(unit)
                began = time.monotonic()
        return fresh

    def _show(self, number: int, total: int, note: str, heat: str) -> None:
        self.progress(number, total, f"{note}{heat}")

    def _unit_plan(self, chunk: list[str], unit: int) -> Plan:
        runs = self.rounds.passes * (self.rounds.reps + self.rounds.warmups)
        expected = runs * sum(seconds(self.items[name]) for name in chunk)
        expected += self.rounds.passes * len(chunk) * visit_start_s(self.runtime)
        timeout = max(_LEAST_TIMEOUT_S, _SLOWER * expected)
        return replace(self.rounds, seed=self.seed * 1000 + unit, timeout_s=timeout)


def _renamed(samples: pd.DataFrame) -> pd.DataFrame:
    """Give items of the second pass names of their own, so that the first is never mixed with it."""
    return samples.assign(item=AGAIN + samples["item"])
