"""Two latency tables side by side: what they hold under, which rows they share, and how far these agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.errors import CheckError
from mnas.ir import Placement
from mnas.latency.anchors import LEAST_ANCHORS, anchor_ratio
from mnas.latency.table import LatencyTable
from mnas.latency.validation import spearman

Floats = NDArray[np.float64]


class Ratios(NamedTuple):
    """How the rows of one table compare with those of another; NaN where they share none.

    Attributes:
        n: number of common rows.
        low: the ratio that 5 % of them are below.
        median: the middle ratio.
        high: the ratio that 5 % of them are above.
        mape_percent: mean absolute relative difference.
    """

    n: int
    low: float
    median: float
    high: float
    mape_percent: float


class CommonRow(NamedTuple):
    """A row of both tables, and second / first after the level between them is divided out."""

    placement: Placement
    first_ms: float
    second_ms: float
    ratio: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds.

    Attributes:
        differences: conditions that are unlike, with both values.
        same_device: whether both tables name the same device.
        level: how much slower the second is as a whole.
        level_by: what tells the level: the anchors that both measured, the median of the common rows, or nothing.
        note: why the anchors do not tell it; empty if they do.
        only_first: placements that only the first has.
        only_second: placements that only the second has.
        raw: second / first of the common rows.
        leveled: the same after the level is divided out.
        spearman: rank correlation of the common rows.
        common: the common rows, those that disagree most first.
    """

    differences: tuple[str, ...]
    same_device: bool
    level: float
    level_by: Literal["anchors", "rows", "nothing"]
    note: str
    only_first: tuple[Placement, ...]
    only_second: tuple[Placement, ...]
    raw: Ratios
    leveled: Ratios
    spearman: float
    common: tuple[CommonRow, ...]


def compare(first: LatencyTable, second: LatencyTable) -> Comparison:
    """Compare two tables, of one device or of two.

    The level is the median ratio of the anchors of either table that the other has measured too, in any role. Where
    they share too few, or these disagree, it is that of the common rows.
    """
    common = [placement for placement in first.rows if placement in second.rows]
    ms = np.array([(first.rows[p].median_ms, second.rows[p].median_ms) for p in common], np.float64).reshape(-1, 2)
    ratio = ms[:, 1] / ms[:, 0]
    level, level_by, note = _level(first, second, ratio)
    order = np.argsort(-np.abs(np.log(ratio / level)), kind="stable").tolist()
    return Comparison(
        differences=tuple(first.conditions.differences(second.conditions)),
        same_device=first.conditions.device == second.conditions.device,
        level=level,
        level_by=level_by,
        note=note,
        only_first=second.missing(first.rows),
        only_second=first.missing(second.rows),
        raw=_ratios(ratio),
        leveled=_ratios(ratio / level),
        spearman=spearman(ms[:, 0], ms[:, 1]),
        common=tuple(CommonRow(common[i], float(ms[i, 0]), float(ms[i, 1]), float(ratio[i]) / level) for i in order),
    )


def _level(
    first: LatencyTable, second: LatencyTable, ratio: Floats
) -> tuple[float, Literal["anchors", "rows", "nothing"], str]:
    then = {**dict(first.anchors), **_measured(first, dict(second.anchors))}
    now = _measured(second, then)
    note = f"they measured {len(now)} of each other's anchors, {LEAST_ANCHORS} are needed"
    if len(now) >= LEAST_ANCHORS:
        try:
            return anchor_ratio(now, then).ratio, "anchors", ""
        except CheckError as error:
            note = str(error)
    return (float(np.median(ratio)), "rows", note) if len(ratio) else (1.0, "nothing", note)


def _measured(table: LatencyTable, texts: Mapping[str, float]) -> dict[str, float]:
    """The networks of a table among `texts`, in ms."""
    return {network.architecture: network.ms for network in table.networks if network.architecture in texts}


def _ratios(ratio: Floats) -> Ratios:
    if not len(ratio):
        return Ratios(0, *[float("nan")] * 4)
    low, median, high = np.quantile(ratio, (0.05, 0.5, 0.95)).tolist()
    return Ratios(len(ratio), low, median, high, float(np.abs(ratio - 1).mean()) * 100)
