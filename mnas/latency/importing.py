"""A latency table made of one that others published: prices without anchors, raw samples or a check."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mnas.errors import FormatError
from mnas.ir import Placement
from mnas.latency.calibration import Calibration
from mnas.latency.dialects import Dialect, read_keys
from mnas.latency.filter import split_half
from mnas.latency.published import Timing, read_timings
from mnas.latency.rawfile import write_samples
from mnas.latency.table import Effort, LatencyTable, Row
from mnas.latency.validation import check
from mnas.runtimes import COLUMNS, Conditions
from mnas.runtimes.samples import join_options

REMEDY = (
    "published rows, never checked on whole networks: compare with it, and before you trust its milliseconds measure "
    "on the device with mnas profile"
)
_Z95, _Z90 = 1.96, 1.645
"""Half widths of two-sided 95 % and 90 % intervals of normal noise, in standard deviations."""


class Imported(NamedTuple):
    """What was made of a published table.

    Attributes:
        table: ready to be saved; its verdict is unverified.
        dialect: how its keys are spelt.
        keys: number of published rows.
        unsaid: why a published row is no row here, by key.
    """

    table: LatencyTable
    dialect: Dialect
    keys: int
    unsaid: Mapping[str, str]


def import_table(
    file: str | Path,
    *,
    device: str,
    dialect: Dialect | None = None,
    runtime: str = "unknown",
    runtime_version: str = "unknown",
    dtype: str = "float32",
    num_threads: int = 1,
) -> Imported:
    """Read a latency table of Once-for-all or ProxylessNAS (see `read_keys`).

    A row's median is the published mean, and its interval 1.96 standard errors. A network costs the plain sum of its
    rows. The interval of a prediction is 1.645 times the sum of the standard deviations of all rows relative to the sum
    of their means, as if all rows erred together; that rows may not add up is not in it. Any network of these rows is
    priced that costs no more than twice all of them.

    Args:
        file: YAML of `key: {count, mean, std}`, in ms; `var` may stand for `std`.
        device: what was measured, as the source says; no device of mnas.
        dialect: "ofa" or "proxylessnas"; told by the keys when not given.
        runtime: what ran there, if known.
        runtime_version: its version, if known.
        dtype: numbers inside the models.
        num_threads: threads of the runtime.

    Raises:
        FormatError: no such table, impossible rows, or none that an op of mnas can say.
    """
    file = Path(file)
    timings = read_timings(file)
    try:
        reading = read_keys(timings, dialect)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from error
    if not reading.blocks:
        reasons = "; ".join(sorted(set(reading.unsaid.values()))[:3])
        raise FormatError(f"{file}: none of its {len(timings)} rows is a block that mnas knows ({reasons})")
    sums = [_summed([timings[key] for key in block.keys]) for block in reading.blocks]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    options = join_options({"imported": reading.dialect, "sha256": digest[:12]})
    nothing = np.zeros(0)
    unmeasured = split_half(pd.DataFrame({"first_ms": nothing, "second_ms": nothing}))
    table = LatencyTable(
        name=file.stem,
        conditions=Conditions(device, runtime, runtime_version, options, dtype, num_threads),
        time="wall_ns",
        facts={"source": file.name, "source_sha256": digest, "source_format": reading.dialect},
        rows=_rows(dict(zip([block.placements for block in reading.blocks], sums, strict=True))),
        failed={},
        calibration=_summing(sums),
        networks=(),
        remeasurement=unmeasured,
        rows_remeasurement=unmeasured,
        check=check(nothing, nothing),
        verdict="unverified",
        remedy=REMEDY,
        effort=Effort(0, sum(timing.runs for timing in timings.values()), math.nan, 0.0, 0.0),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("mnas"),
        raw=write_samples(pd.DataFrame(columns=["unit", *COLUMNS])),
    )
    return Imported(table, reading.dialect, len(timings), reading.unsaid)


def _summed(parts: Sequence[Timing]) -> Timing:
    """Layers that were timed one after another; their errors are independent."""
    mean_ms, std_ms = sum(part.mean_ms for part in parts), math.hypot(*(part.std_ms for part in parts))
    return Timing(min(part.runs for part in parts), mean_ms, std_ms)


def _rows(timings: Mapping[tuple[Placement, ...], Timing]) -> dict[Placement, Row]:
    rows: dict[Placement, Row] = {}
    for placements, (runs, mean_ms, std_ms) in timings.items():
        error = _Z95 * std_ms / math.sqrt(runs) / mean_ms
        row = Row(mean_ms, mean_ms / (1 + error), mean_ms * (1 + error), runs, runs, 0.0)
        rows |= dict.fromkeys(placements, row)
    return rows


def _summing(timings: Sequence[Timing]) -> Calibration:
    """The plain sum; sizes are bounded by the rows themselves, since nothing else is known."""
    every = [timing.mean_ms for timing in timings]
    spread = sum(timing.std_ms for timing in timings) / sum(every)
    return Calibration(
        overhead_ms=0.0,
        scale=1.0,
        per_row_ms=0.0,
        interval_relative=_Z90 * spread,
        residuals=(),
        least_ms=min(every),
        largest_ms=sum(every),
    )
