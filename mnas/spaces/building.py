"""Writing a network that is no chain: values by number, and their shapes."""

from __future__ import annotations

from collections.abc import Iterable

from mnas.ir import Architecture, Node, Op, Shape
from mnas.ir.layers import JoinKind, joined
from mnas.ops.cell import Identity


class Builder:
    """An architecture that grows node by node.

    Args:
        x: shape of the network's input, which is value 0.

    Attributes:
        shapes: of all values so far, by number.
    """

    def __init__(self, x: Shape) -> None:
        self.shapes = [x]
        self._nodes: list[Node] = []
        self._shared: dict[Node, int] = {}

    def append(self, op: Op, *sources: int, join: JoinKind = "add") -> int:
        """Append a node and give the number of its value; ShapeError where it does not fit."""
        shapes = tuple([self.shapes[source] for source in sources])
        self.shapes.append(op.out_shape(shapes[0] if len(shapes) == 1 else joined(join, shapes)))
        self._nodes.append(Node(op, sources, join if len(sources) > 1 else "add"))
        return len(self._nodes)

    def share(self, op: Op, *sources: int, join: JoinKind = "add") -> int:
        """The value of a node without weights: several readers share one."""
        node = Node(op, sources, join)
        if node not in self._shared:
            self._shared[node] = self.append(op, *sources, join=join)
        return self._shared[node]

    def concatenate(self, sources: Iterable[int]) -> int:
        """Concatenate values in depth, the narrowest first; a single one stands for itself.

        What follows learns the same from any order, and so a table needs fewer rows.
        """
        ordered = sorted(sources, key=lambda source: self.shapes[source].c)
        return ordered[0] if len(ordered) == 1 else self.share(Identity(), *ordered, join="cat")

    def build(self) -> Architecture:
        """The network; its output is the value that was appended last."""
        return Architecture(self.shapes[0], tuple(self._nodes))
