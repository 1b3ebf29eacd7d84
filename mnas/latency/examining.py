"""Checks on a finished table: may it be believed, is it in milliseconds, and is it of the space it is used for?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mnas.errors import FormatError
from mnas.ir import Architecture, Placement
from mnas.latency.anchors import LEAST_ANCHORS
from mnas.latency.calibration import LEAST_MS
from mnas.latency.pricing import executed
from mnas.latency.table import LatencyTable
from mnas.spaces import SearchSpace

SLOWEST, FASTEST = 0.05, 3000.0
"""GMAC/s between the slowest phone and the fastest accelerator that is searched for."""
_OUTLIER = 100.0
"""A row this many times slower or faster than the typical one has another unit."""


class Finding(NamedTuple):
    """One check.

    Attributes:
        check: what was asked.
        passed: whether the table is as it should be.
        detail: what was found, in one sentence.
        rows: the placements it is about.
    """

    check: str
    passed: bool
    detail: str
    rows: tuple[str, ...] = ()


def examine(
    table: LatencyTable, spaces: Sequence[SearchSpace] = (), architectures: Mapping[str, Architecture] | None = None
) -> tuple[Finding, ...]:
    """Check a table that `load_table` could read, which has checked its files and every row already.

    Args:
        table: the table.
        spaces: it must have every row of each, and with `architectures` no others.
        architectures: networks, by any name, whose rows it must have too.
    """
    found = [
        Finding("files", True, f"schema, checksums and {len(table.rows)} rows are sound"),
        _conditions(table),
        _samples(table),
        _anchors(table),
        _units(table),
    ]
    folds = table.calibration.folds_constants
    wanted = {each.name: tuple(each.placements()) for each in spaces}
    wanted |= {name: executed(each, folds) for name, each in (architectures or {}).items()}
    found += [_covers(table, f"covers {name}", placements) for name, placements in wanted.items()]
    if wanted:
        allowed = {placement for placements in wanted.values() for placement in placements}
        allowed.update(placement for each in (architectures or {}).values() for placement in each.placements)
        found.append(_foreign(table, allowed))
    found.append(Finding("verdict", table.verdict == "valid", ": ".join(filter(None, (table.verdict, table.remedy)))))
    return tuple(found)


def _conditions(table: LatencyTable) -> Finding:
    c = table.conditions
    unknown = [name for name in ("device", "runtime", "runtime_version") if getattr(c, name) in ("", "unknown")]
    if c.emulated:
        return Finding("conditions", False, "the processor was emulated, so times mean nothing")
    if c.num_threads < 1 or c.batch < 1:
        return Finding("conditions", False, f"{c.num_threads} threads, batch {c.batch}: both must be at least 1")
    return Finding("conditions", not unknown, f"not known: {', '.join(unknown)}" if unknown else "complete")


def _samples(table: LatencyTable) -> Finding:
    try:
        samples = table.samples
    except FormatError as error:
        return Finding("samples", False, str(error))
    if samples.empty:
        return Finding("samples", False, "there are none: the rows cannot be checked against them")
    times = samples[["wall_ns", "cpu_ns"]]
    negative = samples.loc[(times < 0).any(axis=1), "item"].unique().tolist()
    lost = sorted({str(placement) for placement, row in table.rows.items() if row.rounds} - set(samples["item"]))
    if negative or lost:
        return Finding("samples", False, "rows without raw samples, or with negative times", (*negative, *lost))
    return Finding("samples", True, f"{len(samples)} runs of {samples['item'].nunique()} models")


def _anchors(table: LatencyTable) -> Finding:
    wrong = [n.architecture.replace("\n", "; ") for n in table.networks if not (math.isfinite(n.ms) and n.ms > 0)]
    if wrong:
        return Finding("networks", False, "ms of a network must be a positive number", tuple(wrong))
    n = len(table.anchors)
    enough = n >= LEAST_ANCHORS
    remedy = "" if enough else f", {LEAST_ANCHORS} are needed: it can neither grow nor be compared with another run"
    return Finding("networks", enough, f"{len(table.networks)} networks, {n} of them anchors{remedy}")


def _units(table: LatencyTable) -> Finding:
    """Compare times with MACs: in microseconds or seconds, speeds are off by a factor of 1000.

    Small rows are slow for their MACs, so only the larger half says what is typical and what is too slow. And no
    processor calls a model in less than a microsecond.
    """
    rows = [(placement, placement.cost.macs, row.median_ms) for placement, row in table.rows.items()]
    rows = [each for each in rows if each[1]]
    if not rows:
        return Finding("units", True, "no row multiplies: nothing to tell by")
    macs, ms = np.array([(m, t) for _, m, t in rows], np.float64).T
    rate = macs / ms / 1e6
    large = macs >= np.median(macs)
    typical = float(np.median(rate[large]))
    if not SLOWEST <= typical <= FASTEST or np.median(ms) < LEAST_MS:
        unit = "microseconds" if typical < SLOWEST else "seconds"
        shown = tuple(f"{rows[i][0]}: {rate[i]:.3g} GMAC/s" for i in np.argsort(-macs)[:3])
        return Finding(
            "units", False, f"typically {typical:.3g} GMAC/s, {np.median(ms):.3g} ms: were these {unit}, not ms?", shown
        )
    odd = (rate > _OUTLIER * typical) | (large & (rate < typical / _OUTLIER))
    shown = tuple(f"{rows[i][0]}: {rate[i]:.3g} GMAC/s" for i in np.flatnonzero(odd))
    detail = f"typically {typical:.3g} GMAC/s" + (
        f", but {len(shown)} rows are {_OUTLIER:g} times off" if shown else ""
    )
    return Finding("units", not shown, detail, shown)


def _covers(table: LatencyTable, check: str, placements: Iterable[Placement]) -> Finding:
    missing = table.missing(placements)
    named = tuple(f"{p} (failed: {table.failed[p]})" if p in table.failed else str(p) for p in missing)
    detail = f"{len(missing)} rows are missing" if missing else "every row is there"
    return Finding(check, not missing, detail, named)


def _foreign(table: LatencyTable, wanted: set[Placement]) -> Finding:
    foreign = tuple(str(placement) for placement in table.rows if placement not in wanted)
    return Finding("no others", not foreign, f"{len(foreign)} rows are of another space", foreign)
