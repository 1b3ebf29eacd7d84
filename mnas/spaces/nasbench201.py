"""The cell space of NAS-Bench-201 (arXiv:2001.00326, sec. 2): 6 edges, 5 ops each, zeros explicit.

A cell has four values; value j is the sum over i < j of the edge op i->j on value i. Three stages of N cells at
C, 2C and 4C channels are joined by residual reduction blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mnas.errors import ConfigError
from mnas.ir import Architecture, Node, Op, Placement, Shape
from mnas.ops.cell import Classifier, Identity, Nothing, PoolOp, ReduceBlock, ReluConvBn, Stem
from mnas.spaces.protocol import Choice, Encoding, SearchSpace, spaces, values

OPS = ("none", "skip", "conv1x1", "conv3x3", "avgpool3x3")
"""Edge ops in the order of the option index."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to) in the order of the choices."""


def _edge(op: str, c: int) -> Op:
    match op:
        case "none":
            return Nothing()
        case "skip":
            return Identity()
        case "conv1x1":
            return ReluConvBn(c, 1, 1)
        case "conv3x3":
            return ReluConvBn(c, 3, 3)
        case _:
            return PoolOp("avg")


@dataclass(frozen=True)
class NasBench201Space:
    """One cell, repeated `cells` times in each of three stages that start at `c` channels."""

    name: str
    x: Shape
    classes: int
    c: int = 16
    cells: int = 5

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The op of every edge."""
        return tuple(Choice(f"edge{i}->{j}", OPS) for i, j in EDGES)

    def decode(self, encoding: Encoding) -> Architecture:
        """Read an encoding as a network: an addition is its own node, so every edge op is a placement."""
        chosen = [str(value) for value in values(self, encoding)]
        nodes = [Node(Stem(self.c), (0,))]
        for stage in range(3):
            c = self.c * 2**stage
            if stage:
                nodes.append(Node(ReduceBlock(c), (len(nodes),)))
            for _ in range(self.cells):
                _append_cell(nodes, chosen, c)
        nodes.append(Node(Classifier(self.classes, "norm"), (len(nodes),)))
        return Architecture(self.x, tuple(nodes))

    def encode(self, architecture: Architecture) -> Encoding:
        """Read the edges of the first cell back (see `EncodingSpace`)."""
        known = {_edge(op, self.c): index for index, op in enumerate(OPS)}
        cell = architecture.nodes[1 : 3 + len(EDGES)]
        edges = [node.op for node in cell if len(node.sources) == 1]
        encoding = tuple(known.get(op, 0) for op in edges)
        if len(encoding) != len(EDGES) or self.decode(encoding) != architecture:
            raise ConfigError(f"not a network of space {self.name}, as it decodes it: {architecture}")
        return encoding

    def placements(self) -> Iterator[Placement]:
        """Yield the rows of a table: every edge op and every sum of 2 or 3 values at each of the three sizes."""
        yield from dict.fromkeys(
            placement for op in range(len(OPS)) for placement in self.decode((op,) * len(EDGES)).placements
        )


def _append_cell(nodes: list[Node], chosen: list[str], c: int) -> None:
    """Append a cell that reads the last value; an `identity` node sums the edges into a value."""
    at = [len(nodes)]
    for j in range(1, 4):
        ends = []
        for (i, to), op in zip(EDGES, chosen, strict=True):
            if to == j:
                nodes.append(Node(_edge(op, c), (at[i],)))
                ends.append(len(nodes))
        if len(ends) > 1:
            nodes.append(Node(Identity(), tuple(ends), "add"))
        at.append(len(nodes))


@spaces.register("nasbench201")
def nasbench201(classes: int = 10, image_size: int = 32, channels: int = 3) -> SearchSpace:
    """NAS-Bench-201 as published: C = 16, N = 5."""
    return NasBench201Space("nasbench201", Shape(channels, image_size, image_size), classes)
