"""From the units of a measurement to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from mnas.errors import CheckError
from mnas.ir import Placement
from mnas.latency.anchors import anchor_ratio
from mnas.latency.filter import TimeColumn, estimate, filtered, halves, split_half, visits
from mnas.latency.fitting import fit, recheck
from mnas.latency.partial import Unit, failures
from mnas.latency.rawfile import AGAIN, first_pass, write_samples
from mnas.latency.table import Effort, LatencyTable, MeasuredNetwork, Role, Row
from mnas.latency.validation import judge
from mnas.runtimes import Conditions

_MS = ["median_ms", "ci_low_ms", "ci_high_ms"]


@dataclass(frozen=True)
class Measured:
    """A finished measurement.

    Attributes:
        name: of the table.
        conditions: what it holds under.
        time: which clock to read.
        facts: what the device said of itself.
        rows: the placements, by name in the samples.
        networks: text and role of the networks, by name in the samples.
        units: what the processes gave.
        base: the finished table that the rows are added to, if any.
        version: of mnas.
    """

    name: str
    conditions: Conditions
    time: TimeColumn
    facts: Mapping[str, str]
    rows: Mapping[str, Placement]
    networks: Mapping[str, tuple[str, Role]]
    units: Sequence[Unit]
    base: LatencyTable | None
    version: str

    def table(self) -> LatencyTable:
        """Filter, fit, check and judge.

        Raises:
            CheckError: nothing was measured, too few networks to calibrate, or anchors that disagree with the base.
        """
        samples = pd.concat([unit.samples for unit in self.units], ignore_index=True)
        failed = failures(self.units)
        if samples.empty:
            raise CheckError(f"nothing could be measured; the first reason: {next(iter(failed.values()), 'no items')}")
        again = second_pass(samples, self.time)
        estimates = estimate(filtered(visits(first_pass(samples), self.time)))
        estimates = estimates.drop(index=[name for name in failed if name in estimates.index])
        if self.base is not None:
            estimates[_MS] /= self._ratio(estimates, self.base)
            samples = _appended(self.base.samples, samples)
            again = second_pass(samples, self.time)
        rows, networks = self._rows(estimates), self._networks(estimates)
        times = {placement: row.median_ms for placement, row in rows.items()}
        kept = self.base if any(row.rounds == 0 for row in rows.values()) else None  # its rows were tailored to its fit
        calibration, error = recheck(kept.calibration, times, networks) if kept else fit(times, networks)
        tests = pd.Series({network.item: network.ms for network in networks if network.role == "test"}, dtype=float)
        twice = split_half(pd.DataFrame({"first_ms": tests, "second_ms": again}).dropna())
        if again.empty and self.base is not None:
            twice = self.base.remeasurement
        verdict, remedy = judge(twice, error, emulated=self.conditions.emulated)
        if kept and kept.verdict == "unverified":
            verdict, remedy, twice = kept.verdict, kept.remedy, kept.remeasurement
        parts = halves(first_pass(samples), self.time)
        return LatencyTable(
            name=self.name,
            conditions=self.conditions,
            time=self.time,
            facts=self.facts,
            rows=rows,
            failed=self._failed(failed, rows),
            calibration=calibration,
            networks=networks,
            remeasurement=twice,
            rows_remeasurement=split_half(parts.drop(index=[n.item for n in networks], errors="ignore")),
            check=error,
            verdict=verdict,
            remedy=remedy,
            effort=self._effort(samples),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            version=self.version,
            raw=write_samples(samples),
        )

    def _ratio(self, estimates: pd.DataFrame, base: LatencyTable) -> float:
        ms = dict(zip(estimates.index, estimates["median_ms"], strict=True))
        now = {text: ms[item] for item, (text, _) in self.networks.items() if item in ms}
        return anchor_ratio(now, dict(base.anchors)).ratio

    def _rows(self, estimates: pd.DataFrame) -> dict[Placement, Row]:
        rows = dict(self.base.rows) if self.base else {}
        for row in estimates[list(Row._fields)].itertuples():
            name, median, low, high, rounds, reps, share = row
            if name in self.rows:
                fresh = Row(median, low, high, int(rounds), int(reps), share)
                before = rows.setdefault(self.rows[name], fresh)
                if fresh.reach < before.reach or before.rounds == 0:
                    rows[self.rows[name]] = fresh
        order = [*(self.base.rows if self.base else ()), *self.rows.values()]
        return {placement: rows[placement] for placement in order if placement in rows}

    def _networks(self, estimates: pd.DataFrame) -> tuple[MeasuredNetwork, ...]:
        before = self.base.networks if self.base else ()
        known = {network.architecture for network in before}
        ms = dict(zip(estimates.index, estimates["median_ms"], strict=True))
        fresh = (
            MeasuredNetwork(item, text, ms[item], role)
            for item, (text, role) in self.networks.items()
            if item in ms and text not in known
        )
        return (*before, *fresh)

    def _failed(self, failed: Mapping[str, str], rows: Mapping[Placement, Row]) -> dict[Placement, str]:
        before = dict(self.base.failed) if self.base else {}
        now = {self.rows[name]: reason for name, reason in failed.items() if name in self.rows}
        return {placement: reason for placement, reason in {**before, **now}.items() if placement not in rows}

    def _effort(self, samples: pd.DataFrame) -> Effort:
        return effort(samples, self.time, self.units, self.base.effort if self.base else None)


def effort(samples: pd.DataFrame, column: TimeColumn, units: Sequence[Unit], before: Effort | None = None) -> Effort:
    """Sum up what raw samples took, those of the units and those that were measured before."""
    every = filtered(visits(first_pass(samples), column))
    return Effort(
        units=int(samples["unit"].nunique()),
        visits=len(samples.groupby(["unit", "visit"])),
        drift_percent=float(every["common"].std(ddof=0)) * 100,
        preempted_share=float(samples["preempted"].mean()),
        seconds=round(sum(unit.seconds for unit in units) + (before.seconds if before else 0.0), 1),
        starts=sum(unit.starts for unit in units) + (before.starts if before else 0),
    )


def second_pass(samples: pd.DataFrame, column: TimeColumn) -> pd.Series:
    """The ms of the networks that were measured again, by themselves; empty where none was."""
    again = samples[samples["item"].str.startswith(AGAIN)]
    if again.empty:
        return pd.Series(dtype=np.float64)
    ms = estimate(filtered(visits(again, column)))["median_ms"]
    return ms.set_axis(ms.index.str.removeprefix(AGAIN))


def _appended(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([before, after.assign(unit=after["unit"] + before["unit"].max() + 1)], ignore_index=True)
