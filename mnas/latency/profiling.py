"""Measure what a table needs on a device: the rows of a space, and whole networks to calibrate and check their sum."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import isnan
from pathlib import Path
from typing import Any

from mnas.devices import Device, facts
from mnas.devices import device as find_device
from mnas.errors import ConfigError, DeviceError, MnasError
from mnas.ir import Architecture, Network, Placement
from mnas.latency.assembly import Measured
from mnas.latency.chunks import choose_repeats, pack, seconds
from mnas.latency.models import write_models
from mnas.latency.networks import draw_networks, roles
from mnas.latency.partial import Partial, Unit, failures
from mnas.latency.pricing import executed
from mnas.latency.storage import OWN, save_table, table_prefix
from mnas.latency.table import LatencyTable, Role
from mnas.progress import Progress, silent
from mnas.runtimes import Conditions, Plan, Runtime, runtimes, time_column
from mnas.spaces import SearchSpace

_PLAN_SCHEMA = 1
_SLOWER = 30
"""A unit is given up when it takes this many times what a desktop core is estimated to take."""
_LEAST_TIMEOUT_S = 900.0


def profile(
    space: SearchSpace | None,
    *,
    device: str | Device = "local",
    runtime: str = "litert",
    out: Path | str | None = None,
    dtype: str = "float32",
    num_threads: int = 1,
    max_memory_gb: float = 2.0,
    loads: int = 2,
    passes: int | None = None,
    reps: int | None = None,
    networks: tuple[int, int] = (20, 20),
    architectures: Sequence[Architecture] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure a latency table, or the rows that a finished one lacks.

    Rows and networks are packed into chunks that fit in memory; every chunk holds the anchor networks and is measured
    by several processes, each of which visits all its models in several random rounds. Every finished process is
    kept beside `out`, so the same call goes on after an interruption. When the table is complete already and holds
    under the same conditions, only rows that it lacks are measured, with its anchors, and rescaled to its speed; when
    it lacks none, it is returned at once.

    Args:
        space: the space whose placements are the rows; nothing when `architectures` are added to a finished table.
        device: the device, or its name.
        runtime: name of the runtime.
        out: path of the table, with or without suffix; by default `latency_tables/SPACE-SHAPE-DEVICE-RUNTIME` under
            the current folder.
        dtype: numbers inside the models; "float32".
        num_threads: threads of the runtime.
        max_memory_gb: memory that a measuring process may take, in GB.
        loads: processes per chunk; loading a model again changes its time by about 3 %.
        passes: rounds of each process; chosen by the estimated cost when not given.
        reps: timed runs per visit; chosen with `passes`.
        networks: numbers of calibration and of test networks.
        architectures: networks whose placements are measured too.
        seed: of networks, weights, packing and orders.
        progress: called before each process, and at the end.

    Returns:
        The table as it was saved.

    Raises:
        ConfigError: settings that do not fit, neither `space` nor `out`, another unfinished measurement at `out`, a
            finished table there whose conditions differ, or another process that measures into it.
        DeviceError: the device or its runtime is missing.
        CheckError: too little could be measured, or the anchors disagree with the finished table.
        FormatError: the finished table is damaged.
    """
    if dtype != "float32":
        raise ConfigError(f"rows are lowered in float32 only, dtype {dtype!r} cannot be profiled")
    if loads < 1:
        raise ConfigError(f"loads must be at least 1, got {loads}")
    target = find_device(device) if isinstance(device, str) else device
    chosen = runtimes[runtime]
    prefix = table_prefix(_default_out(space, target, runtime) if out is None else out)
    partial = Partial(prefix)
    with _disk(prefix), partial.locked():
        base = partial.base()
        conditions = chosen.conditions(target, Plan(num_threads=num_threads), dtype)
        whole = _networks(space, base, conditions, networks, seed, prefix)
        rows = {str(placement): placement for placement in _missing(space, architectures, base)}
        if base is not None and not rows:
            partial.tidy()
            return base
        items: dict[str, Network] = {**{name: network for name, (network, _) in whole.items()}, **rows}
        anchors = [name for name, (_, role) in whole.items() if role == "anchor"]
        chunks = pack(items, anchors, max_memory_gb, seed)
        default = choose_repeats([[items[name] for name in chunk] for chunk in chunks], loads, Plan().warmups)
        rounds = Plan(
            default.passes if passes is None else passes,
            default.reps if reps is None else reps,
            num_threads=num_threads,
        )
        work = _Work(partial, items, chunks, target, chosen, loads, rounds, seed, progress or silent)
        texts = {name: (str(network), role) for name, (network, role) in whole.items()}
        partial.begin(work.plan(conditions, texts, base), base)
        measured = Measured(
            prefix.name, conditions, time_column(target, num_threads), facts(target), rows, texts, work.units(),
            base, version("mnas"),
        )  # fmt: skip
        work.progress(len(chunks) * loads, len(chunks) * loads, "done")
        table = save_table(measured.table(), prefix)
        partial.remove()
        return table


def rows_to_measure(
    space: SearchSpace | None, architectures: Sequence[Architecture], out: Path | str
) -> tuple[Placement, ...]:
    """Say which rows `profile` would measure now: those asked for that a finished table at `out` lacks.

    Raises:
        ConfigError: `out` names no file.
        FormatError: the finished table is damaged.
    """
    return _missing(space, architectures, Partial(table_prefix(out)).base())


def report(table: LatencyTable) -> dict[str, Any]:
    """Summarise a table for people and scripts (`mnas.profile/1`); what is unknown is None."""
    found = {
        "table": table.path or table.name,
        "rows": len(table.rows),
        "failed": len(table.failed),
        "failures": {str(placement): reason for placement, reason in table.failed.items()},
        "remeasurement_mape_percent": _known(table.remeasurement.mape_without_level_percent),
        "remeasurement_with_level_mape_percent": _known(table.remeasurement.mape_percent),
        "rows_remeasurement_mape_percent": _known(table.rows_remeasurement.mape_without_level_percent),
        "verdict": table.verdict,
        "remedy": table.remedy,
        "check": {name: _known(value) for name, value in table.check._asdict().items()},
    }
    return found | {
        "seconds": table.effort.seconds,
        "drift_percent": _known(table.effort.drift_percent),
        "preempted_share": _known(table.effort.preempted_share),
    }


def _known(number: float) -> float | None:
    """JSON has no NaN."""
    return None if isnan(number) else number


@dataclass(frozen=True)
class _Work:
    """The units of a measurement: `loads` processes for each chunk."""

    partial: Partial
    items: Mapping[str, Network]
    chunks: list[list[str]]
    device: Device
    runtime: Runtime
    loads: int
    rounds: Plan
    seed: int
    progress: Progress

    def plan(
        self, conditions: Conditions, networks: Mapping[str, tuple[str, Role]], base: LatencyTable | None
    ) -> dict[str, Any]:
        """Everything that defines the measurement, as JSON holds it."""
        return {
            "schema": _PLAN_SCHEMA,
            "mnas_version": version("mnas"),
            "conditions": conditions.to_dict(),
            "loads": self.loads,
            "passes": self.rounds.passes,
            "reps": self.rounds.reps,
            "seed": self.seed,
            "networks": {name: list(network) for name, network in networks.items()},
            "chunks": self.chunks,
            "base": base.sha256 if base else "",
        }

    def units(self) -> list[Unit]:
        """Measure what is not finished yet."""
        done: list[Unit] = []
        for i, chunk in enumerate(self.chunks):
            numbers = range(i * self.loads, (i + 1) * self.loads)
            kept = [unit for unit in map(self.partial.finished, numbers) if unit is not None]
            done += kept
            if len(kept) < self.loads:
                done += self._measured(chunk, numbers[len(kept) :], done)
        return done

    def _measured(self, chunk: list[str], numbers: range, done: Sequence[Unit]) -> list[Unit]:
        total = len(self.chunks) * self.loads
        began = time.monotonic()
        self.progress(numbers[0], total, f"building {len(chunk)} models")
        fresh: list[Unit] = []
        with self.partial.models() as folder:
            models = write_models({name: self.items[name] for name in chunk}, folder, self.runtime, self.seed)
            failed = models.failed
            for number in numbers:
                known = failures([*done, *fresh]) | failed
                files = {name: file for name, file in models.files.items() if name not in known}
                if not files:
                    raise DeviceError(f"no model of {len(chunk)} runs; the first reason: {next(iter(known.values()))}")
                self.progress(number, total, f"measuring {len(files)} models")
                result = self.runtime.measure(self.device, files, self._unit_plan(chunk, number))
                now = time.monotonic()
                unit = Unit(result.samples.assign(unit=number), failed | result.failed, now - began)
                self.partial.finish(number, unit)
                fresh.append(unit)
                began = now
        return fresh

    def _unit_plan(self, chunk: list[str], unit: int) -> Plan:
        runs = self.rounds.passes * (self.rounds.reps + self.rounds.warmups)
        expected = runs * sum(seconds(self.items[name]) for name in chunk)
        timeout = max(_LEAST_TIMEOUT_S, _SLOWER * expected)
        return replace(self.rounds, seed=self.seed * 1000 + unit, timeout_s=timeout)


def _default_out(space: SearchSpace | None, device: Device, runtime: str) -> Path:
    if space is None:
        raise ConfigError("profiling without a space adds rows to a finished table: say which with out")
    return OWN / f"{space.name}-{space.x}-{device.name}-{runtime}"


def _missing(
    space: SearchSpace | None, architectures: Sequence[Architecture], base: LatencyTable | None
) -> tuple[Placement, ...]:
    asked = dict.fromkeys(space.placements() if space else ())
    for each in architectures:
        asked |= dict.fromkeys((*each.placements, *executed(each, False)))
    return base.missing(asked) if base else tuple(asked)


def _networks(
    space: SearchSpace | None,
    base: LatencyTable | None,
    conditions: Conditions,
    numbers: tuple[int, int],
    seed: int,
    prefix: Path,
) -> dict[str, tuple[Architecture, Role]]:
    """The networks to measure by name: the anchors of a finished table, or new ones."""
    if base is not None:
        if unlike := base.conditions.differences(conditions):
            raise ConfigError(
                f"table {prefix} holds under other conditions ({'; '.join(unlike)}): measure into another table with "
                "-o, or profile under the same conditions"
            )
        return {n.item: (Architecture.parse(n.architecture), n.role) for n in base.networks if n.role == "anchor"}
    if space is None:
        raise ConfigError(f"there is no finished table {prefix} to add rows to: name a space")
    drawn = roles(*draw_networks(space, *numbers, seed))
    return {f"network-{i:02d}": network for i, network in enumerate(drawn)}


@contextmanager
def _disk(prefix: Path) -> Iterator[None]:
    """A full disk, or a folder that cannot be written, ends cleanly."""
    try:
        yield
    except OSError as error:
        raise MnasError(
            f"{error.filename or prefix}: {error.strerror}; what was measured is kept: mend that and run the same "
            "command again"
        ) from error
