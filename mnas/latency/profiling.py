"""Measure what a table needs on a device: the rows of a space, and whole networks to calibrate and check their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from math import isnan
from pathlib import Path
from statistics import median
from typing import Any

from mnas.devices import Device, connect, facts, temperature
from mnas.devices import device as find_device
from mnas.errors import ConfigError
from mnas.ir import Architecture, Placement
from mnas.latency.assembly import Measured
from mnas.latency.chunks import choose_repeats
from mnas.latency.layout import lay_out
from mnas.latency.measuring import Work
from mnas.latency.networks import draw_networks, roles
from mnas.latency.noderows import NodeRows, RowSource, default_rows, node_rows
from mnas.latency.partial import Partial, disk
from mnas.latency.pricing import executed
from mnas.latency.scheme import scheme
from mnas.latency.storage import OWN, save_table, table_prefix
from mnas.latency.table import LatencyTable, Role
from mnas.lower import parse_dtype
from mnas.progress import Progress, silent
from mnas.runtimes import Conditions, Delegating, Plan, find_runtime, time_column, visit_start_s
from mnas.spaces import SearchSpace

_PLAN_SCHEMA = 3
_MAX_MINUTES = 5.0


def profile(
    space: SearchSpace | None,
    *,
    device: str | Device = "local",
    runtime: str = "litert",
    delegate: str | None = None,
    out: Path | str | None = None,
    dtype: str = "float32",
    num_threads: int = 1,
    max_memory_gb: float = 2.0,
    max_minutes: float = _MAX_MINUTES,
    remeasure: bool = False,
    loads: int | None = None,
    passes: int | None = None,
    reps: int | None = None,
    networks: tuple[int, int, int] | None = None,
    architectures: Sequence[Architecture] = (),
    rows: RowSource | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure a latency table, or the rows that a finished one lacks.

    Rows and networks are packed into chunks that fit in memory; every chunk holds the anchor networks and is measured
    by several processes, each of which visits all its models in several random rounds. The test networks are measured
    a second time by processes of their own, which tells the error of measuring again. Then rows whose interval is
    still wider than 5 % to either side are measured again while there is time. Every finished process is kept beside
    `out`, so the same call goes on after an interruption. When the table is complete already and holds under the same
    conditions, only rows that it lacks are measured, with its anchors, and rescaled to its speed; when it lacks none,
    it is returned at once.

    Args:
        space: the space whose placements are the rows; nothing when `architectures` are added to a finished table.
        device: the device, or its name.
        runtime: name of the runtime.
        delegate: how a runtime that has several ways computes: "cpu", "xnnpack" (by default) or "gpu" of
            benchmark_model.
        out: path of the table, with or without suffix; by default `latency_tables/SPACE-SHAPE-DEVICE-RUNTIME`, with
            `-int8`, the delegate and the kind of rows where they are not as by default, under the current folder.
        dtype: numbers inside the models; "float32" or "int8".
        num_threads: threads of the runtime.
        max_memory_gb: memory that a measuring process may take, in GB.
        max_minutes: minutes of measuring after which no row is measured again; the first passes are never cut short.
        remeasure: whether rows of a finished table whose interval is too wide are measured again, too; the narrower
            interval counts.
        loads: processes per chunk, by default 2; loading a model again changes its time by about 3 %.
        passes: rounds of each process; chosen by the estimated cost when not given.
        reps: timed runs per visit; chosen with `passes`.
        networks: numbers of calibration, interval and test networks, by default 20, 19 and 20; 50 or more calibration
            networks correct single rows too (see `correct`). A space with fewer networks gives fewer of each, in
            proportion.
        architectures: networks whose placements are measured too.
        rows: what a row is: "isolated", its op measured alone; "in-network", its nodes timed inside networks that
            together hold every row up to three times; or "bundled", its nodes timed in a model of many rows that do
            not read each other, three times between others (see `mnas.latency.noderows`). Wide rows of the latter two
            are not measured again. Tables of unlike rows hold under unlike conditions. Bundled by default where every
            row by itself would start a process on the device (benchmark_model), else isolated. There each bundle and
            each network is visited once, and there are fewer networks (see `scheme`), so that a table of 900 rows
            takes at most 60 starts.
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
    parse_dtype(dtype)
    if loads is not None and loads < 1:
        raise ConfigError(f"loads must be at least 1, got {loads}")
    if not max_minutes >= 0:
        raise ConfigError(f"max_minutes must not be negative, got {max_minutes}")
    target = find_device(device) if isinstance(device, str) else device
    plain = find_runtime(runtime, delegate)
    rows = rows or default_rows(plain)
    chosen = plain if rows == "isolated" else node_rows(plain, rows, {})
    usual = scheme(plain, rows)
    loads = loads or usual.loads
    prefix = table_prefix(default_out(space, target, runtime, dtype, rows, delegate) if out is None else out)
    partial = Partial(prefix)
    with disk(prefix), partial.locked():
        base = partial.base()
        conditions = chosen.conditions(target, Plan(num_threads=num_threads), dtype)
        whole = _networks(space, base, conditions, networks or usual.networks, seed, prefix)
        asked = {str(placement): placement for placement in _missing(space, architectures, base, remeasure)}
        anchors = [name for name, (_, role) in whole.items() if role == "anchor"]
        alone = {name: network for name, (network, _) in whole.items()}
        layout = lay_out(asked, rows, plain, alone, anchors, space, architectures, max_memory_gb, seed)
        if base is not None and not layout.holders:
            partial.tidy()
            return base
        if isinstance(chosen, NodeRows):
            chosen = replace(chosen, holders={**layout.holders, **layout.spare})
        chunks = [[layout.items[name] for name in chunk] for chunk in layout.chunks]
        default = choose_repeats(chunks, loads, Plan().warmups, usual.repeats, visit_start_s(plain))
        plan = Plan(
            default.passes if passes is None else passes,
            default.reps if reps is None else reps,
            num_threads=num_threads,
        )
        clock, show = time_column(target, num_threads), progress or silent
        tests = [name for name, (_, role) in whole.items() if role == "test"]
        work = Work(
            partial, layout.items, layout.chunks, list(asked) if rows == "isolated" else [], list(layout.spare),
            layout.anchors, tests, target, chosen, dtype, loads, plan, clock, max_minutes, max_memory_gb, seed, show,
        )  # fmt: skip
        texts = {name: (str(network), role) for name, (network, role) in whole.items()}
        defined = {
            "schema": _PLAN_SCHEMA,
            "mnas_version": version("mnas"),
            "conditions": conditions.to_dict(),
            "networks": {name: list(network) for name, network in texts.items()},
            "base": base.sha256 if base else "",
        }
        partial.begin(defined | work.plan(), base)
        before = temperature(connect(target))
        units = work.units()
        told = facts(target, before=before)
        measured = Measured(prefix.name, conditions, clock, told, asked, texts, units, base, version("mnas"))
        show(len(units), len(units), "done")
        table = save_table(measured.table(), prefix)
        partial.remove()
        return table


def rows_to_measure(
    space: SearchSpace | None, architectures: Sequence[Architecture], out: Path | str, *, remeasure: bool = False
) -> tuple[Placement, ...]:
    """Say which rows `profile` would measure now: those asked for that a finished table at `out` lacks.

    With `remeasure` also those of the table whose interval is too wide.

    Raises:
        ConfigError: `out` names no file.
        FormatError: the finished table is damaged.
    """
    return _missing(space, architectures, Partial(table_prefix(out)).base(), remeasure)


def report(table: LatencyTable) -> dict[str, Any]:
    """Summarise a table for people and scripts (`mnas.profile/1`); what is unknown is None."""
    found = {
        "table": table.path or table.name,
        "rows": len(table.rows),
        "failed": len(table.failed),
        "failures": {str(placement): reason for placement, reason in table.failed.items()},
        "rounds": int(median(row.rounds for row in table.rows.values())) if table.rows else 0,
        "wide_rows": len(table.wide_rows),
        "remeasurement_mape_percent": _known(table.remeasurement.mape_without_level_percent),
        "remeasurement_with_level_mape_percent": _known(table.remeasurement.mape_percent),
        "rows_remeasurement_mape_percent": _known(table.rows_remeasurement.mape_without_level_percent),
        "verdict": table.verdict,
        "remedy": table.remedy,
        "interval_percent": 100 * table.calibration.interval_relative,
        "interval_networks": table.calibration.interval_networks,
        "corrected_rows": len(table.calibration.corrections),
        "check": {name: _known(value) for name, value in table.check._asdict().items()},
    }
    return found | {
        "seconds": table.effort.seconds,
        "starts": table.effort.starts or None,
        "drift_percent": _known(table.effort.drift_percent),
        "preempted_share": _known(table.effort.preempted_share),
    }


def _known(number: float) -> float | None:
    """JSON has no NaN."""
    return None if isnan(number) else number


def default_out(
    space: SearchSpace | None,
    device: str | Device,
    runtime: str,
    dtype: str = "float32",
    rows: RowSource | None = None,
    delegate: str | None = None,
) -> Path:
    """Where the table of a space is written if nobody says, without suffix; what is not as by default is in the name.

    Raises:
        ConfigError: there is no space, or no such delegate.
        UnknownNameError: no such runtime.
    """
    if space is None:
        raise ConfigError("profiling without a space adds rows to a finished table: say which with out")
    name = device if isinstance(device, str) else device.name
    chosen, usual = find_runtime(runtime, delegate), find_runtime(runtime)
    unusual = [dtype] if dtype != "float32" else []
    unusual += [chosen.delegate] if isinstance(chosen, Delegating) and chosen != usual else []
    unusual += [rows] if rows and rows != default_rows(chosen) else []
    return OWN / "-".join([space.name, str(space.x), name, runtime, *unusual])


def _missing(
    space: SearchSpace | None, architectures: Sequence[Architecture], base: LatencyTable | None, remeasure: bool
) -> tuple[Placement, ...]:
    asked = dict.fromkeys(space.placements() if space else ())
    for each in architectures:
        asked |= dict.fromkeys((*each.placements, *executed(each, False)))
    if base is None:
        return tuple(asked)
    return (*base.missing(asked), *(base.wide_rows if remeasure else ()))


def _networks(
    space: SearchSpace | None,
    base: LatencyTable | None,
    conditions: Conditions,
    numbers: tuple[int, int, int],
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
    drawn = roles(draw_networks(space, *numbers, seed))
    return {f"network-{i:02d}": network for i, network in enumerate(drawn)}
