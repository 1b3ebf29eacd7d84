"""Make the table of a new device of the tables of others and a handful of networks measured on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnas.devices import Device, facts
from mnas.devices import device as find_device
from mnas.errors import CheckError, ConfigError
from mnas.ir import Architecture, Network
from mnas.latency.assembly import effort, second_pass
from mnas.latency.choosing import choose, choose_next
from mnas.latency.chunks import choose_repeats, pack
from mnas.latency.deviations import Floats, Ints
from mnas.latency.filter import estimate, filtered, split_half, visits
from mnas.latency.fitting import recheck
from mnas.latency.measuring import Work
from mnas.latency.networks import Drawn, draw_networks, roles
from mnas.latency.partial import Partial, Unit, disk, failures
from mnas.latency.rawfile import first_pass, write_samples
from mnas.latency.scheme import scheme
from mnas.latency.storage import check_whole, save_table, table_exists, table_prefix, unfinished
from mnas.latency.table import LatencyTable, MeasuredNetwork, Role, Row
from mnas.latency.tailoring import LEAST_TAILORED, Pattern, Tailored, pattern
from mnas.latency.validation import LEAST_TESTS, judge
from mnas.lower import parse_dtype
from mnas.progress import Progress, silent
from mnas.runtimes import Conditions, Plan, runtimes, time_column, visit_start_s
from mnas.spaces import SearchSpace

_PLAN_SCHEMA = 1
_CANDIDATES = 500
"""Networks drawn of the space among which those to measure are chosen."""
_LEAST_ROW = 0.05
"""The low end of a row's interval is no less than this share of it."""


def transfer_table(
    tables: Sequence[LatencyTable],
    space: SearchSpace,
    *,
    out: Path | str,
    device: str | Device = "local",
    runtime: str = "litert",
    dtype: str = "float32",
    num_threads: int = 1,
    budget: int = 10,
    check: int = 0,
    max_memory_gb: float = 2.0,
    loads: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> LatencyTable:
    """Make a table for a device, runtime or conditions from tables of others and `budget` whole networks.

    The smallest and the largest of 500 networks of the space and some that fill it are measured first, then those that
    tell most beside them (see `choose` and `choose_next`), together with the first again and with the networks to
    check. The rows of the tables are then tailored to them (see `Pattern`). For 10 networks and as many
    to check it took 10-20 s at 28 px and 100 s at 224 px on a busy desktop core; it goes on after an interruption like
    `profile`.

    A prediction's interval comes from leaving out each measured network in turn. The verdict is "unverified" unless
    networks are held out to check.

    Args:
        tables: of other devices or conditions; each has every row of the space.
        space: whose rows the table gets.
        out: path of the table, with or without suffix.
        device: the new device, or its name.
        runtime: name of the runtime.
        dtype: numbers inside the models; "float32" or "int8".
        num_threads: threads of the runtime.
        budget: networks to measure for the fit, at least 5.
        check: further networks to measure, which decide the verdict; 0 or at least 5.
        max_memory_gb: memory that a measuring process may take, in GB.
        loads: processes per step; loading a model again changes its time by about 3 %.
        seed: of networks, weights and orders.
        progress: called before each process, and at the end.

    Returns:
        The table as it was saved. Its rows have 0 rounds; its measured networks are anchors or calibrate, or test.

    Raises:
        ConfigError: settings that do not fit, a table at `out` already, or another unfinished measurement there.
        MissingLatencyError: a table lacks rows of the space.
        CheckError: a table is invalid or of an emulated processor, or too few networks could be measured.
        DeviceError: the device or its runtime is missing.
    """
    parse_dtype(dtype)
    _check(tables, space, budget, check, loads)
    target = find_device(device) if isinstance(device, str) else device
    chosen, prefix = runtimes[runtime], table_prefix(out)
    partial = Partial(prefix)
    with disk(prefix), partial.locked():
        check_whole(prefix)
        if table_exists(prefix) and not unfinished(prefix):
            raise ConfigError(f"table {prefix} exists already: give another name with -o, or delete that table first")
        plan = Plan(num_threads=num_threads)
        conditions = chosen.conditions(target, plan, dtype)
        drawn = _draw(space, budget, check, seed)
        shape = pattern(tables, tuple(dict.fromkeys(space.placements())), drawn.calibration)
        work = Work(
            partial, {}, [], [], [], [], [], target, chosen, dtype, loads, plan, time_column(target, num_threads),
            0.0, max_memory_gb, seed, progress or silent,
        )  # fmt: skip
        job = _Transfer(shape, drawn, budget, work)
        partial.begin(job.plan(conditions, tables), None)
        measured = job.measure()
        names = ", ".join(table.name for table in tables)
        table = save_table(job.table(prefix.name, conditions, names, measured), prefix)
        partial.remove()
        return table


def _check(tables: Sequence[LatencyTable], space: SearchSpace, budget: int, check: int, loads: int) -> None:
    if not tables:
        raise ConfigError("transfer needs the table of at least one other device; without any: mnas profile")
    if budget < LEAST_TAILORED:
        raise ConfigError(f"budget must be at least {LEAST_TAILORED} networks, got {budget}")
    if check and check < LEAST_TESTS:
        raise ConfigError(f"check must be 0 or at least {LEAST_TESTS} networks, got {check}")
    if loads < 1:
        raise ConfigError(f"loads must be at least 1, got {loads}")
    for table in tables:
        table.check_real()
        table.check_covers(space)
        if table.verdict == "invalid":
            raise CheckError(f"table {table.name!r} is invalid ({table.remedy}): nothing can be learnt from it")


def _draw(space: SearchSpace, budget: int, check: int, seed: int) -> Drawn:
    """Networks to choose from, and others to check."""
    drawn = draw_networks(space, _CANDIDATES, 0, check, seed)
    n = len(drawn.calibration) + len(drawn.test)
    if n < budget + check:
        asked = f"{budget} to measure and {check} to check"
        raise ConfigError(f"space {space.name} gave {n} different networks: too few for {asked}")
    if len(drawn.test) < check:  # a small space gives fewer of both
        drawn = draw_networks(space, n - check, 0, check, seed)
    return Drawn(drawn.calibration, (), drawn.test[:check])


@dataclass(frozen=True)
class _Measured:
    """What the device gave.

    Attributes:
        units: the processes.
        chosen: the networks of the fit by index, in the order of their names.
        names: of networks of the fit, then of those to check.
    """

    units: list[Unit]
    chosen: list[int]
    names: Mapping[str, Architecture]


@dataclass(frozen=True)
class _Transfer:
    """One transfer: two steps of measuring, and the table of both.

    Attributes:
        shape: what the known tables say.
        drawn: networks to choose from, and others to check.
        budget: networks to measure for the fit.
        work: how they are measured; what is measured is put in by each step.
    """

    shape: Pattern
    drawn: Drawn
    budget: int
    work: Work

    def plan(self, conditions: Conditions, tables: Sequence[LatencyTable]) -> dict[str, Any]:
        """Everything that defines the measurement, as JSON holds it."""
        return {
            "schema": _PLAN_SCHEMA,
            "mnas_version": version("mnas"),
            "conditions": conditions.to_dict(),
            "transfer": [table.sha256 for table in tables],
            "space": [str(placement) for placement in self.shape.placements],
            "budget": self.budget,
            "check": len(self.drawn.test),
            "loads": self.work.loads,
            "seed": self.work.seed,
        }

    def measure(self) -> _Measured:
        """Measure those that fill the space, choose the others by them, and measure all."""
        first = self._first()
        named = self._named(first)
        units = self._step([list(named)], named, [], 2).units()
        idx, ms = self._fit_of(units, first)
        if len(idx) < LEAST_TAILORED // 2:
            raise CheckError(f"{_why(units)}: only {len(idx)} of {len(first)} networks could be measured")
        left = min(self.budget - len(idx), len(self.drawn.calibration) - len(idx))  # what failed may be chosen again
        rest = choose_next(self.shape.latencies, self.shape.features, idx, ms, left, self.work.seed).tolist()
        chosen = [*first, *(j for j in rest if j not in first)][: self.budget]
        named = self._named(chosen) | {f"check-{i:02d}": network for i, network in enumerate(self.drawn.test)}
        start = list(named)[: len(first)]
        chunks = [start, *pack(dict(named), start, self.work.max_memory_gb, self.work.seed)]
        again = [name for name in named if name.startswith("check-")] or list(named)
        units = self._step(chunks, named, again, 1).units()
        self.work.progress(len(units), len(units), "done")
        return _Measured(units, chosen, named)

    def _first(self) -> list[int]:
        """The smallest and the largest network by the known tables, and some that fill the space between."""
        size = np.log(self.shape.latencies).mean(axis=0)
        half = (self.budget + 1) // 2
        fill = choose(self.shape.latencies, self.shape.features, half, self.work.seed)
        return list(dict.fromkeys([int(size.argmin()), int(size.argmax()), *fill.tolist()]))[:half]

    def _named(self, chosen: Sequence[int]) -> dict[str, Architecture]:
        return {f"network-{i:02d}": self.drawn.calibration[j] for i, j in enumerate(chosen)}

    def _step(self, chunks: list[list[str]], items: Mapping[str, Architecture], again: list[str], more: int) -> Work:
        networks: dict[str, Network] = dict(items)
        show, loads = self.work.progress, self.work.loads
        often = scheme(self.work.runtime, "isolated").repeats
        repeats = choose_repeats(
            [[networks[name] for name in chunk] for chunk in chunks], loads, 1, often, visit_start_s(self.work.runtime)
        )
        return replace(
            self.work,
            items=networks,
            chunks=chunks,
            tests=again,
            rounds=replace(self.work.rounds, passes=repeats.passes, reps=repeats.reps),
            progress=lambda done, total, note: show(done, total + more * loads, note),
        )

    def _fit_of(self, units: Sequence[Unit], chosen: Sequence[int]) -> tuple[Ints, Floats]:
        """Indices and ms of the networks of the fit that ran."""
        found = self._medians(units)
        ran = [(j, found[name]) for j, name in zip(chosen, self._named(chosen), strict=True) if name in found]
        return np.array([j for j, _ in ran], np.int64), np.array([ms for _, ms in ran])

    def _medians(self, units: Sequence[Unit]) -> dict[str, float]:
        samples = first_pass(pd.concat([unit.samples for unit in units], ignore_index=True))
        failed = failures(units)
        if samples.empty:
            raise CheckError(_why(units))
        found = estimate(filtered(visits(samples, self.work.time)))["median_ms"]
        return {str(name): float(ms) for name, ms in found.items() if name not in failed}

    def table(self, name: str, conditions: Conditions, sources: str, measured: _Measured) -> LatencyTable:
        """Tailor the rows, check and judge."""
        units = measured.units
        samples = pd.concat([unit.samples for unit in units], ignore_index=True)
        medians = self._medians(units)
        idx, ms = self._fit_of(units, measured.chosen)
        tailored = self.shape.tailor(idx, ms)
        networks = self._networks(measured, medians)
        rows = _rows(self.shape, tailored)
        times = {placement: row.median_ms for placement, row in rows.items()}
        calibration, error = recheck(tailored.calibration, times, networks)
        pairs = pd.DataFrame({"first_ms": pd.Series(medians), "second_ms": second_pass(samples, self.work.time)})
        again = split_half(pairs.dropna())
        verdict, remedy = judge(again, error, emulated=conditions.emulated)
        if not self.drawn.test and not conditions.emulated:
            verdict, remedy = "unverified", _remedy(len(idx), sources)
        nothing = split_half(pairs.iloc[:0])
        return LatencyTable(
            name=name,
            conditions=conditions,
            time=self.work.time,
            facts=facts(self.work.device),
            rows=rows,
            failed={},
            calibration=calibration,
            networks=networks,
            remeasurement=again,
            rows_remeasurement=nothing,
            check=error,
            verdict=verdict,
            remedy=remedy,
            effort=effort(samples, self.work.time, units),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version("mnas"),
            raw=write_samples(samples),
        )

    def _networks(self, measured: _Measured, medians: Mapping[str, float]) -> tuple[MeasuredNetwork, ...]:
        """Those that ran, with their roles."""
        ran = {name: network for name, network in measured.names.items() if name in medians}
        fit, test = (tuple(n for name, n in ran.items() if name.startswith("check-") is held) for held in (False, True))
        role: dict[Architecture, Role] = dict(roles(Drawn(fit, (), test)))
        return tuple(MeasuredNetwork(name, str(each), medians[name], role[each]) for name, each in ran.items())


def _rows(shape: Pattern, tailored: Tailored) -> dict[Any, Row]:
    rows = {}
    for placement, ms, reach in zip(shape.placements, tailored.ms.tolist(), tailored.reach.tolist(), strict=True):
        rows[placement] = Row(ms, ms * max(_LEAST_ROW, 1 - reach), ms * (1 + reach), 0, 0, 0.0)
    return rows


def _remedy(networks: int, sources: str) -> str:
    return (
        f"it rests on {networks} networks measured on the device and the rows of {sources}: to check it, transfer "
        "again into another table with --check 10, or bench some networks with --against it"
    )


def _why(units: Sequence[Unit]) -> str:
    return f"too little could be measured; the first reason: {next(iter(failures(units).values()), 'no samples')}"
