"""Two tables of one device become one: the rows that the first lacks come over at its speed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from itertools import count
from typing import NamedTuple

import pandas as pd

from mnas.errors import CheckError, ConfigError, FormatError
from mnas.latency.anchors import AnchorRatio, anchor_ratio
from mnas.latency.assembly import Measured
from mnas.latency.comparing import Comparison, compare
from mnas.latency.partial import Unit
from mnas.latency.rawfile import AGAIN
from mnas.latency.table import LatencyTable, Role


class Merged(NamedTuple):
    """What `merge` made.

    Attributes:
        table: ready to be saved.
        added: number of rows that came from the second table.
        level: how much slower the second was measured, by the anchors.
        comparison: of the two tables; its common rows are where they overlap, of which the first's were kept.
    """

    table: LatencyTable
    added: int
    level: AnchorRatio
    comparison: Comparison


def merge(first: LatencyTable, second: LatencyTable) -> Merged:
    """Add to a table what it lacks of another: rows, networks and raw samples, divided by the median anchor ratio.

    The second is taken as one more measurement into the first: its raw samples are filtered again, and brought to the
    first's speed by the anchors of the first that it measured too. Where both have a row or a network, that of the
    first stays. Processes whose samples are in both, as where both tables grew out of one, count once. The fit and the
    verdict are made again of all networks; anchors stay those of the first.

    Raises:
        ConfigError: unlike conditions, or the second has no row that the first lacks.
        CheckError: a table that is not valid, fewer than three common anchors, or anchors that disagree.
        FormatError: the second has rows without raw samples.
    """
    _check_alike(first, second)
    fresh = first.missing(second.rows)
    if not fresh:
        raise ConfigError(f"table {second.name!r} has no row that {first.name!r} lacks: there is nothing to merge")
    rows = {str(placement): placement for placement in (*fresh, *first.missing(second.failed))}
    failed = {str(placement): reason for placement, reason in second.failed.items() if str(placement) in rows}
    samples = _without(second.samples, first.samples)
    names, took = _names(first, second, samples["item"].unique()), second.effort
    try:
        level = anchor_ratio({n.architecture: n.ms for n in second.networks}, dict(first.anchors))
        table = Measured(
            name=first.name,
            conditions=first.conditions,
            time=first.time,
            facts=first.facts,
            rows=rows,
            networks={names[n.item]: (n.architecture, _role(n.role)) for n in second.networks},
            units=[Unit(samples.assign(item=samples["item"].map(names)), failed, took.seconds, took.starts)],
            base=first,
            version=version("mnas"),
        ).table()
    except CheckError as error:
        raise CheckError(f"{second.name!r} cannot be merged into {first.name!r}: {error}") from error
    if lost := table.missing(fresh):
        raise FormatError(f"table {second.name!r} has no raw samples of {', '.join(map(str, lost[:3]))}")
    return Merged(table, len(fresh), level, compare(first, second))


def _role(role: Role) -> Role:
    return "calibration" if role == "anchor" else role


def _check_alike(first: LatencyTable, second: LatencyTable) -> None:
    unlike = first.conditions.differences(second.conditions)
    if first.time != second.time:
        unlike.append(f"time: {first.time!r} against {second.time!r}")
    if unlike:
        raise ConfigError(
            f"tables {first.name!r} and {second.name!r} hold under other conditions ({'; '.join(unlike)}): only tables "
            "of the same conditions can be merged; to compare them: mnas tables diff"
        )
    for table in (first, second):
        table.check_real()
        if table.verdict != "valid":
            raise CheckError(
                f"table {table.name!r} is {table.verdict} ({table.remedy}): only valid tables can be merged"
            )


def _without(samples: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The samples of processes that `others` does not hold."""
    prints, theirs = _fingerprints(samples), set(_fingerprints(others))
    return samples[~samples["unit"].map(prints).isin(theirs)]


def _fingerprints(samples: pd.DataFrame) -> pd.Series[int]:
    """One number per process that tells its clock readings from any other's."""
    hashes = pd.util.hash_pandas_object(samples[["visit", "rep", "wall_ns", "cpu_ns"]], index=False)
    return hashes.groupby(samples["unit"]).sum()


def _names(first: LatencyTable, second: LatencyTable, items: Iterable[str]) -> dict[str, str]:
    """Names of the second's networks and items in the first's samples: one name means one network there."""
    rows = {str(placement) for placement in (*second.rows, *second.failed)}
    texts = {network.item: network.architecture for network in second.networks}
    known = {network.architecture: network.item for network in first.networks}
    taken = {*first.samples["item"].str.removeprefix(AGAIN), *known.values()}
    free = (name for i in count() if (name := f"network-{i:02d}") not in taken)
    once = dict.fromkeys([*texts, *(item.removeprefix(AGAIN) for item in items)])
    names = {item: item if item in rows else known.get(texts.get(item, "")) or next(free) for item in once}
    return names | {AGAIN + item: AGAIN + name for item, name in names.items()}
