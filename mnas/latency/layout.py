"""Which models a measurement needs, and which of them are measured together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mnas.ir import Architecture, Bundle, Network, Placement
from mnas.latency.chunks import deal, pack
from mnas.latency.noderows import RowSource, bundles, cover_networks
from mnas.runtimes import ProcessPerVisit, Runtime, visit_start_s
from mnas.spaces import SearchSpace


@dataclass(frozen=True)
class Layout:
    """What is measured.

    Attributes:
        whole: networks that are measured as such, by name.
        holders: the models that hold the rows, by name.
        spare: models of single rows, by name, for where all that hold a row failed.
        chunks: names of whole networks and holders that are measured together.
        anchors: names of the networks that every chunk holds.
    """

    whole: Mapping[str, Network]
    holders: Mapping[str, Network]
    spare: Mapping[str, Network]
    chunks: list[list[str]]
    anchors: list[str]

    @cached_property
    def items(self) -> dict[str, Network]:
        """All models."""
        return {**self.whole, **self.holders, **self.spare}


def lay_out(
    rows: Mapping[str, Placement],
    source: RowSource,
    runtime: Runtime,
    whole: Mapping[str, Network],
    anchors: list[str],
    space: SearchSpace | None,
    architectures: Sequence[Architecture],
    max_memory_gb: float,
    seed: int,
) -> Layout:
    """Find the models that hold rows, and pack them together with whole networks.

    Where every visit starts a process, each round of bundles is a chunk with a share of the networks: rounds have
    their rows in common, which tells how their speeds differ; only where nothing but anchors is measured beside the
    rows, for a finished table, they are in every chunk. Otherwise every chunk holds the anchors and fits in memory.

    Args:
        rows: placements to measure, by name.
        source: what holds them.
        runtime: measures.
        whole: networks that are measured as such, by name.
        anchors: names of the anchors among them.
        space: where cover networks are from.
        architectures: further networks whose nodes may be timed.
        max_memory_gb: memory that a measuring process may take, in GB.
        seed: of choices and orders.

    Raises:
        ConfigError: too little memory.
    """
    rounds: list[Mapping[str, Network]]
    match source:
        case "isolated":
            rounds = [rows]
        case "in-network":
            rounds = [cover_networks(space, architectures, rows.values(), seed, visit_start_s(runtime))]
        case "bundled":
            rounds = [*bundles(rows.values(), max_memory_gb, seed)]
    holders = {name: network for each in rounds for name, network in each.items()}
    spare = {name: Bundle((row,)) for name, row in rows.items()} if source == "bundled" else {}
    if source == "bundled" and isinstance(runtime, ProcessPerVisit):
        anchors = anchors if len(anchors) == len(whole) else []
        chunks = deal(rounds, [name for name in whole if name not in anchors], anchors)
    else:
        chunks = pack({**whole, **holders}, anchors, max_memory_gb, seed)
    return Layout(whole, holders, spare, chunks, anchors)
