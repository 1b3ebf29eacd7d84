"""From raw samples to latencies: what the whole machine did at once is taken out.

The speed of a shared or warm machine drifts for everything at once, by 12-15 % within minutes and by 27 % between
processes. All items are therefore visited in a new random order each round, and the common mode is what neighbouring
visits of different items agree on. A *unit* is one measuring process; a *visit* is its consecutive repetitions of one
item. The model of a visit is additive in logarithms: log ms = item + unit + common mode + noise.

Raw samples are frames with the columns unit, item, visit, round, rep, wall_ns, cpu_ns, preempted.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TimeColumn = Literal["cpu_ns", "wall_ns"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WINDOW = 15
"""Neighbouring visits whose median residual is the common mode."""
_LEAST = 5
"""Fewest neighbours that tell one."""
_ITERATIONS = 6
_STEPS = 8
"""Re-weighted least-squares steps to the least absolute residuals."""
_FLOOR = 1e-3
"""Log residuals below 0.1 % weigh alike."""
_CLOCK_MS = 1e-6
"""Less than the clock tells: what does nothing may read 0 ns."""


def visits(samples: pd.DataFrame, column: TimeColumn) -> pd.DataFrame:
    """Summarise repetitions: one row per visit, in order of unit and time.

    Repetitions during which the system took the core away are left out where at least half of the visit remains.

    Args:
        samples: raw samples.
        column: which time to read.

    Returns:
        Columns unit, visit, item, round, ms (median of the kept repetitions), reps (kept), preempted (share).
    """
    at = [samples["unit"], samples["visit"]]
    clean = ~samples["preempted"].astype(bool)
    group = clean.groupby(at, sort=True)
    enough = 2 * group.transform("sum") >= group.transform("size")
    kept = samples[clean | ~enough]
    ms = kept.groupby(["unit", "visit"], sort=True)[column].agg(["median", "size"])
    named = samples.groupby(["unit", "visit"], sort=True)[["item", "round"]].first()
    frame = named.assign(ms=ms["median"] / 1e6, reps=ms["size"], preempted=1 - group.mean())
    return frame.reset_index()


def filtered(visits: pd.DataFrame) -> pd.DataFrame:
    """Take the common mode out of `visits`.

    Residuals of log time against item and unit effects are smoothed by a rolling median over neighbouring visits of
    the unit, and the effects are fitted again without them, six times. Units are aligned through the items they
    share, so those that ran at different speeds agree. The typical speed of the whole measurement is kept.

    Returns:
        `visits` with the columns filtered_ms and common (log of the machine's slowness at that moment).
    """
    item = pd.factorize(visits["item"])[0].astype(np.int64)
    unit = pd.factorize(visits["unit"])[0].astype(np.int64)
    logs = np.log(np.maximum(visits["ms"].to_numpy(np.float64), _CLOCK_MS))
    common = np.zeros_like(logs)
    of_item, of_unit = _effects(logs, item, unit)
    for _ in range(_ITERATIONS):
        common = _rolling(logs - of_item[item] - of_unit[unit], unit)
        of_item, of_unit = _effects(logs - common, item, unit)
    common += of_unit[unit]
    common -= np.median(common)
    return visits.assign(filtered_ms=np.exp(logs - common), common=common)


def _rolling(residual: Floats, unit: Ints) -> Floats:
    """Centred rolling median within units, whose visits are consecutive; 0 where there are too few neighbours."""
    rolled = pd.Series(residual).groupby(unit, sort=False).rolling(_WINDOW, center=True, min_periods=_LEAST).median()
    common: Floats = np.nan_to_num(rolled.to_numpy(np.float64))
    return common


def _effects(logs: Floats, item: Ints, unit: Ints) -> tuple[Floats, Floats]:
    """Fit logs = item effect + unit effect with the least absolute residuals (two-way medians).

    Iteratively re-weighted least squares; item effects are eliminated, which leaves one equation per unit. Unlike
    alternating medians this aligns groups of units that share only a few items.
    """
    items, units = int(item.max()) + 1, int(unit.max()) + 1
    cell = item * units + unit
    weight: Floats = np.ones_like(logs)
    of_unit: Floats = np.zeros(units)
    for _ in range(_STEPS if units > 1 else 0):
        total = np.bincount(cell, weight, items * units).reshape(items, units)
        summed = np.bincount(cell, weight * logs, items * units).reshape(items, units)
        share = total / total.sum(axis=1, keepdims=True)
        laplacian = np.diag(total.sum(axis=0)) - total.T @ share
        right = summed.sum(axis=0) - share.T @ summed.sum(axis=1)
        of_unit = np.linalg.lstsq(laplacian, right, rcond=1e-9)[0]
        of_item = (summed - total * of_unit).sum(axis=1) / total.sum(axis=1)
        residual = np.abs(logs - of_item[item] - of_unit[unit])
        weight = 1.0 / np.maximum(residual, _FLOOR)
    medians = pd.Series(logs - of_unit[unit]).groupby(item, sort=True).median()
    return np.asarray(medians, np.float64), of_unit


def estimate(filtered: pd.DataFrame) -> pd.DataFrame:
    """Summarise filtered visits per item.

    The interval is of the median over visits, never over repetitions, which agree with each other far better than
    with the next visit: order statistics with at least 95 % coverage, or the whole range below 6 visits.

    Returns:
        Indexed by item: median_ms, ci_low_ms, ci_high_ms, rounds (visits), reps (kept), preempted_share.
    """
    ordered = filtered.sort_values(["item", "filtered_ms"], kind="stable")
    group = ordered.groupby("item", sort=True)
    rounds = group.size().to_numpy(np.int64)
    start = np.concatenate(([0], np.cumsum(rounds)[:-1]))
    rank = np.array([_rank(int(n)) for n in rounds], np.int64)
    ms = ordered["filtered_ms"].to_numpy(np.float64)
    return pd.DataFrame(
        {
            "median_ms": group["filtered_ms"].median(),
            "ci_low_ms": ms[start + rank],
            "ci_high_ms": ms[start + rounds - 1 - rank],
            "rounds": rounds,
            "reps": group["reps"].sum(),
            "preempted_share": group["preempted"].mean(),
        }
    )


@lru_cache(maxsize=4096)
def _rank(n: int) -> int:
    """Index from 0 of the order statistic that bounds the median of `n` from below with 97.5 %; 0 if none does."""
    below, rank = 0.0, -1
    while below <= 0.025 and rank < n:
        rank += 1
        below += comb(n, rank) / 2**n
    return max(0, rank - 1)


class Remeasurement(NamedTuple):
    """How two independent measurements of the same items agree.

    Attributes:
        mape_percent: mean absolute relative difference of the halves.
        mape_without_level_percent: the same after the median ratio of the halves is divided out, as anchors do.
        level_percent: that ratio, less one.
        n: number of items.
    """

    mape_percent: float
    mape_without_level_percent: float
    level_percent: float
    n: int


def halves(samples: pd.DataFrame, column: TimeColumn) -> pd.DataFrame:
    """Estimate every item twice, from odd and from even units, each filtered by itself.

    Where items are in one unit only, the halves are odd and even rounds.

    Returns:
        Indexed by item: first_ms, second_ms; items that one half lacks are left out.
    """
    every = visits(samples, column)
    alone = every.groupby("item")["unit"].nunique().median() < 2
    odd = (every["round"] if alone else pd.Series(pd.factorize(every["unit"])[0], every.index)) % 2 == 1
    if odd.all() or not odd.any():
        return pd.DataFrame({"first_ms": [], "second_ms": []}, dtype=np.float64)
    first, second = (estimate(filtered(half))["median_ms"] for half in (every[~odd], every[odd]))
    return pd.DataFrame({"first_ms": first, "second_ms": second}).dropna()


def split_half(halves: pd.DataFrame) -> Remeasurement:
    """Compare the two estimates of `halves`; NaN where there are none."""
    ratio = halves["second_ms"].to_numpy(np.float64) / halves["first_ms"].to_numpy(np.float64)
    if not len(ratio):
        return Remeasurement(np.nan, np.nan, np.nan, 0)
    level = float(np.median(ratio))
    mape, without = (float(np.abs(r - 1).mean()) * 100 for r in (ratio, ratio / level))
    return Remeasurement(mape, without, (level - 1) * 100, len(ratio))
