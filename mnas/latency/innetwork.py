"""Rows measured inside whole networks: the runtime times every node, and the nodes of an op are its row.

An op measured alone reads its input in the plain layout and gives its output in it, while neighbours in a network may
hand over the runtime's own; and what follows it is fused into it. In-network rows have this context, averaged over the
networks of a cover (see `cover`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from mnas.devices import Device
from mnas.errors import CheckError, ConfigError
from mnas.ir import Architecture, Placement
from mnas.latency.chunks import seconds
from mnas.latency.cover import TIMES, cover, told
from mnas.lower import Format, node_of
from mnas.runtimes import (
    COLUMNS,
    Conditions,
    Delegating,
    Measurement,
    NodeProfiler,
    Plan,
    ProcessPerVisit,
    Runtime,
    runtimes,
    visit_start_s,
)
from mnas.spaces import SearchSpace

RowSource = Literal["isolated", "in-network"]
ROWS = "rows=in-network"
"""Stands in the options of conditions, so that such tables are never merged with others."""
NODE_REPEATS = ((4, 12), (3, 12), (3, 8), (2, 8), (2, 5), (2, 3))
"""Passes and repetitions per unit, the best first: microseconds are whole numbers, so that each visit averages many."""
_USUAL = 0.25
_NEAR, _NEAR_NS = 1.25, 2000
"""Runs of a node count up to this factor and so many ns above their lower quartile: the core was taken away in others,
which may be most of them."""
_MOST_UNATTRIBUTED = 0.02
_SWEEP_S = 12.0
"""Seconds that one run of every cover network may take, as estimated."""


@dataclass(frozen=True)
class InNetwork:
    """A runtime that gives samples of the rows that some models hold, in place of samples of those models.

    Attributes:
        profiler: the runtime that measures.
        covers: the networks whose nodes are timed, by the names of their models; other models are timed as ever.
    """

    profiler: NodeProfiler
    covers: Mapping[str, Architecture]

    @property
    def name(self) -> str:
        return self.profiler.name

    @property
    def format(self) -> Format:
        return self.profiler.format

    @property
    def suffix(self) -> str:
        return self.profiler.suffix

    @property
    def start_s(self) -> float:
        return visit_start_s(self.profiler)

    def conditions(self, device: Device, plan: Plan, dtype: str = "float32") -> Conditions:
        return _marked(self.profiler.conditions(device, plan, dtype))

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        """Time models; of those in `covers` the samples are of rows, named by the text of their placements.

        Raises:
            CheckError: more than 2 % of the time of nodes belongs to no op.
            MnasError, DeviceError: as for any runtime.
        """
        found = self.profiler.measure_nodes(device, models, plan, [name for name in models if name in self.covers])
        share = unattributed_share(found.nodes, self.covers)
        if share > _MOST_UNATTRIBUTED:
            raise CheckError(
                f"{share:.1%} of the node time that {self.name} tells belongs to no op of the networks: this version "
                "names its nodes in another way; measure isolated rows"
            )
        whole = found.whole.samples[~found.whole.samples["item"].isin(list(self.covers))]
        samples = _in_order(whole, row_samples(found.nodes, self.covers, found.per_node_ns))
        return replace(found.whole, samples=samples, conditions=_marked(found.whole.conditions))


def in_network(runtime: Runtime, covers: Mapping[str, Architecture]) -> InNetwork:
    """Have `runtime` give samples of rows for the models named in `covers`.

    Raises:
        ConfigError: it cannot time the nodes of a network.
    """
    if not isinstance(runtime, NodeProfiler):
        able = [name for name in runtimes if isinstance(runtimes[name], NodeProfiler)]
        which = f"{runtime.name} with delegate {runtime.delegate}" if isinstance(runtime, Delegating) else runtime.name
        raise ConfigError(
            f"runtime {which} cannot time the nodes of a network, {' and '.join(able) or 'none'} can: measure "
            "isolated rows (--rows isolated), or choose such a runtime with --runtime"
        )
    return InNetwork(runtime, covers)


def default_rows(runtime: Runtime) -> RowSource:
    """From networks where every row by itself would start a process, if the runtime can time nodes; else isolated."""
    return "in-network" if isinstance(runtime, ProcessPerVisit) and isinstance(runtime, NodeProfiler) else "isolated"


def cover_networks(
    space: SearchSpace | None,
    architectures: Iterable[Architecture],
    rows: Collection[Placement],
    seed: int,
    start_s: float = 0.0,
) -> dict[str, Architecture]:
    """Name the networks in which `rows` are measured: a cover of the space, and those given that hold any of them.

    Every row occurs three times, or fewer times where the networks of a cover take too long: each takes `start_s`
    seconds beside its run.
    """
    wanted = set(rows)
    given = tuple(each for each in architectures if not wanted.isdisjoint(each.placements))
    chosen = _affordable(space, rows, seed, start_s) if space else ()
    return {f"cover-{i:03d}": architecture for i, architecture in enumerate((*chosen, *given))}


def _affordable(space: SearchSpace, rows: Collection[Placement], seed: int, start_s: float) -> tuple[Architecture, ...]:
    for times in range(TIMES, 1, -1):
        chosen = cover(space, rows, times=times, seed=seed)
        if sum(map(seconds, chosen)) + start_s * len(chosen) <= _SWEEP_S:
            return chosen
    return cover(space, rows, times=1, seed=seed)


def whole_conditions(conditions: Conditions) -> Conditions:
    """The conditions that whole networks were measured under beside rows of either kind."""
    return replace(conditions, options=";".join(o for o in conditions.options.split(";") if o != ROWS))


def row_flags(conditions: Conditions) -> list[str]:
    """How `mnas profile` is told to measure rows of the kind that hold under these conditions."""
    return ["--rows", "in-network"] if ROWS in conditions.options.split(";") else []


def unattributed_share(nodes: pd.DataFrame, covers: Mapping[str, Architecture]) -> float:
    """The share of the node time that belongs to no op, 0..1."""
    total = float(nodes["ns"].sum())
    return float(nodes.loc[_ops(nodes, covers) < 0, "ns"].sum()) / total if total else 0.0


def row_samples(nodes: pd.DataFrame, covers: Mapping[str, Architecture], per_node_ns: float = 0.0) -> pd.DataFrame:
    """Sum the nodes of every op of every visit.

    Nodes have whole microseconds of wall time, so each visit gives one sample: of every node the mean of its runs,
    summed. Preempted runs are left out where at least half of the visit remains, and times far above the usual of their
    node, since a preemption hits one node of a run.

    Args:
        nodes: a frame with `NODE_COLUMNS`.
        covers: the networks by item.
        per_node_ns: what the profiler adds to every node; it is taken off.

    Returns:
        A frame with `COLUMNS`; item is the text of a placement, visit still that of the network. An op that took no
        time because it became part of another has a sample of 0 ns.
    """
    known = nodes.assign(op=_ops(nodes, covers), reps=1)
    known = known[known["op"] >= 0]
    keys = ["item", "visit", "round", "node", "op"]
    clean = ~known["preempted"].groupby([known["visit"], known["node"]], sort=False).transform("mean").gt(0.5)
    kept = known[~(known["preempted"] & clean)]
    usual = kept.groupby(keys, sort=False)["ns"].transform("quantile", _USUAL)
    near = kept[kept["ns"] <= _NEAR * usual + _NEAR_NS]
    each = near.groupby(keys, sort=True).agg(ns=("ns", "mean"), preempted=("preempted", "mean")).reset_index()
    each["ns"] = (each["ns"] - per_node_ns).clip(lower=0.0)
    summed = each.groupby(["item", "visit", "round", "op"], sort=True).agg(
        ns=("ns", "sum"), preempted=("preempted", "mean")
    )
    rows = []
    for (visit, round_), own in summed.reset_index().groupby(["visit", "round"], sort=False):
        network, lost = covers[own["item"].iloc[0]], bool(own["preempted"].mean() > 0.5)
        ns = dict(zip(own["op"], own["ns"].round().astype(int), strict=True))
        rows += [(text, visit, round_, 0, each, each, lost) for text, each in _texts(network, ns)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(COLUMNS).sort_values("visit", kind="stable", ignore_index=True)


def _texts(network: Architecture, ns: Mapping[int, int]) -> Iterable[tuple[str, int]]:
    """The placements of a network and their times, in order; then those that became part of others or take none."""
    for op in sorted(ns):
        yield str(network.placements[op]), ns[op]
    absent = told(network) - Counter(network.placements[op] for op in ns)
    for placement in absent.elements():
        yield str(placement), 0


def _ops(nodes: pd.DataFrame, covers: Mapping[str, Architecture]) -> pd.Series:
    """The op of its network (from 0) that each node belongs to; -1 where there is none."""
    pairs = nodes[["item", "tensor"]].drop_duplicates()
    found = [node_of(tensor, covers[item]) for item, tensor in zip(pairs["item"], pairs["tensor"], strict=True)]
    known = pairs.assign(op=[-1 if op is None else op for op in found])
    return nodes[["item", "tensor"]].merge(known, on=["item", "tensor"], how="left")["op"].set_axis(nodes.index)


def _in_order(whole: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Both in order of time; every row of a network's visit becomes a visit of its own."""
    first = whole["visit"].ne(whole["visit"].shift())
    each = pd.concat([whole.assign(new=first), rows.assign(new=True)], ignore_index=True)
    each = each.sort_values("visit", kind="stable", ignore_index=True)
    return each.assign(visit=each["new"].cumsum() - 1)[list(COLUMNS)].astype(COLUMNS)


def _marked(conditions: Conditions) -> Conditions:
    return replace(conditions, options=";".join(sorted([*conditions.options.split(";"), ROWS])))
