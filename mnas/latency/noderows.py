"""Rows measured inside larger models: the runtime times every node, and the nodes of an op are its row.

In-network rows are those of whole networks: what an op reads has the layout that its neighbour gave it, and what
follows it is fused into it; rows are averages over the networks of a cover (see `cover`). Bundled rows stand side by
side, each with inputs of its own: like a row measured alone, an op reads its input in the plain layout and gives its
output in it, but hundreds of them share a model (see `bundled`).
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
from mnas.ir import Architecture, Bundle, Network, Placement
from mnas.latency.bundling import bundled
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
    process_starts,
    runtimes,
    visit_start_s,
)
from mnas.runtimes.samples import join_options, split_options
from mnas.spaces import SearchSpace

NodeSource = Literal["in-network", "bundled"]
RowSource = Literal["isolated", NodeSource]
_OPTION = "rows"
"""Tells the source in the options of conditions, so that tables of unlike rows are never merged."""
_USUAL = 0.25
_NEAR, _NEAR_NS = 1.25, 2000
"""Runs of a node count up to this factor and so many ns above their lower quartile: the core was taken away in others,
which may be most of them."""
_MOST_UNATTRIBUTED = 0.02
_SWEEP_S = 12.0
"""Seconds that one run of every cover network may take, as estimated."""


@dataclass(frozen=True)
class NodeRows:
    """A runtime that gives samples of the rows that some models hold, in place of samples of those models.

    Attributes:
        profiler: the runtime that measures.
        source: what holds the rows.
        holders: the networks whose nodes are timed, by the names of their models; other models are timed as ever.
    """

    profiler: NodeProfiler
    source: NodeSource
    holders: Mapping[str, Network]

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

    def starts(self, models: int, plan: Plan) -> int:
        return process_starts(self.profiler, models, plan)

    def conditions(self, device: Device, plan: Plan, dtype: str = "float32") -> Conditions:
        """As of the profiler, marked with the source of the rows.

        Raises:
            ConfigError: bundled rows of int8 in ONNX.
        """
        if self.source == "bundled" and dtype == "int8" and self.format == "onnx":
            raise ConfigError(
                f"bundled int8 rows would be charged for the changes of layout that {self.name} makes at both ends of "
                "a file: measure isolated rows (--rows isolated), or those of networks (--rows in-network)"
            )
        return self._marked(self.profiler.conditions(device, plan, dtype))

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        """Time models; of those in `holders` the samples are of rows, named by the text of their placements.

        Raises:
            CheckError: more than 2 % of the time of nodes belongs to no op.
            MnasError, DeviceError: as for any runtime.
        """
        found = self.profiler.measure_nodes(device, models, plan, [name for name in models if name in self.holders])
        share = unattributed_share(found.nodes, self.holders)
        if share > _MOST_UNATTRIBUTED:
            raise CheckError(
                f"{share:.1%} of the node time that {self.name} tells belongs to no op of the networks: this version "
                "names its nodes in another way; measure isolated rows"
            )
        whole = found.whole.samples[~found.whole.samples["item"].isin(list(self.holders))]
        samples = _in_order(whole, row_samples(found.nodes, self.holders, found.per_node_ns))
        return replace(found.whole, samples=samples, conditions=self._marked(found.whole.conditions))

    def _marked(self, conditions: Conditions) -> Conditions:
        options = join_options({**split_options(conditions.options), _OPTION: self.source})
        return replace(conditions, options=options)


def node_rows(runtime: Runtime, source: NodeSource, holders: Mapping[str, Network]) -> NodeRows:
    """Have `runtime` give samples of rows for the models named in `holders`.

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
    return NodeRows(runtime, source, holders)


def default_rows(runtime: Runtime) -> RowSource:
    """Bundled where every row by itself would start a process, if the runtime can time nodes; else isolated."""
    return "bundled" if isinstance(runtime, ProcessPerVisit) and isinstance(runtime, NodeProfiler) else "isolated"


def bundles(rows: Collection[Placement], max_memory_gb: float, seed: int) -> list[dict[str, Bundle]]:
    """Name the bundles in which `rows` are measured, round by round (see `bundled`)."""
    return [
        {f"bundle-{n}-{i:02d}": bundle for i, bundle in enumerate(each)}
        for n, each in enumerate(bundled(rows, max_memory_gb, seed))
    ]


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
    kept = {key: value for key, value in split_options(conditions.options).items() if key != _OPTION}
    return replace(conditions, options=join_options(kept))


def row_flags(conditions: Conditions) -> list[str]:
    """How `mnas profile` is told to measure rows of the kind that hold under these conditions."""
    source = split_options(conditions.options).get(_OPTION)
    return ["--rows", source] if source else []


def unattributed_share(nodes: pd.DataFrame, holders: Mapping[str, Network]) -> float:
    """The share of the node time that belongs to no op, 0..1."""
    total = float(nodes["ns"].sum())
    return float(nodes.loc[_ops(nodes, holders) < 0, "ns"].sum()) / total if total else 0.0


def row_samples(nodes: pd.DataFrame, holders: Mapping[str, Network], per_node_ns: float = 0.0) -> pd.DataFrame:
    """Sum the nodes of every op of every visit.

    Nodes have whole microseconds of wall time, so each visit gives one sample: of every node the mean of its runs,
    summed. Preempted runs are left out where at least half of the visit remains, and times far above the usual of their
    node, since a preemption hits one node of a run.

    Args:
        nodes: a frame with `NODE_COLUMNS`.
        holders: what is profiled, by item.
        per_node_ns: what the profiler adds to every node; it is taken off.

    Returns:
        A frame with `COLUMNS`; item is the text of a placement, visit still that of the network. An op that took no
        time because it became part of another has a sample of 0 ns.
    """
    known = nodes.assign(op=_ops(nodes, holders), reps=1)
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
        network, lost = holders[own["item"].iloc[0]], bool(own["preempted"].mean() > 0.5)
        ns = dict(zip(own["op"], own["ns"].round().astype(int), strict=True))
        rows += [(text, visit, round_, 0, each, each, lost) for text, each in _texts(network, ns)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(COLUMNS).sort_values("visit", kind="stable", ignore_index=True)


def _texts(network: Network, ns: Mapping[int, int]) -> Iterable[tuple[str, int]]:
    """The placements of a network and their times, in order; then those that became part of others or take none."""
    for op in sorted(ns):
        yield str(network.placements[op]), ns[op]
    absent = told(network) - Counter(network.placements[op] for op in ns)
    for placement in absent.elements():
        yield str(placement), 0


def _ops(nodes: pd.DataFrame, holders: Mapping[str, Network]) -> pd.Series:
    """The op of its network (from 0) that each node belongs to; -1 where there is none."""
    pairs = nodes[["item", "tensor"]].drop_duplicates()
    found = [node_of(tensor, holders[item]) for item, tensor in zip(pairs["item"], pairs["tensor"], strict=True)]
    known = pairs.assign(op=[-1 if op is None else op for op in found])
    return nodes[["item", "tensor"]].merge(known, on=["item", "tensor"], how="left")["op"].set_axis(nodes.index)


def _in_order(whole: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Both in order of time; every row of a network's visit becomes a visit of its own."""
    first = whole["visit"].ne(whole["visit"].shift())
    each = pd.concat([whole.assign(new=first), rows.assign(new=True)], ignore_index=True)
    each = each.sort_values("visit", kind="stable", ignore_index=True)
    return each.assign(visit=each["new"].cumsum() - 1)[list(COLUMNS)].astype(COLUMNS)
