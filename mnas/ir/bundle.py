"""Many placements in one network, side by side: one process can measure them all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mnas.errors import ShapeError
from mnas.ir.architecture import Node, Placement
from mnas.ir.shape import Shape


@dataclass(frozen=True)
class Bundle:
    """A `Network` of placements that do not read each other: each has inputs and an output of its own.

    Raises:
        ShapeError: no placements.
    """

    placements: tuple[Placement, ...]

    def __post_init__(self) -> None:
        if not self.placements:
            raise ShapeError("a bundle needs at least one placement")

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """The inputs of all placements, one after the other."""
        return tuple(x for placement in self.placements for x in placement.inputs)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """A node for each placement."""
        nodes, start = [], 0
        for placement in self.placements:
            end = start + len(placement.inputs)
            nodes.append(Node(placement.op, tuple(range(start, end)), placement.join))
            start = end
        return tuple(nodes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The values of all nodes."""
        first = len(self.inputs)
        return tuple(range(first, first + len(self.nodes)))

    def __str__(self) -> str:
        return "\n".join(map(str, self.placements))
