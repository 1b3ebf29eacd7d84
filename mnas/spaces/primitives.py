"""The pieces of one network: what calibrates a table of the primitive ops that the network is made of.

A piece begins at a value and holds the nodes after it, as long as they read nothing older. It ends at any of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from mnas.errors import ConfigError
from mnas.ir import Architecture, Network, Node, Placement, Shape
from mnas.spaces.protocol import Choice, Encoding, SearchSpace, spaces, values

_STARTS = 12
"""Most values that pieces begin at."""
_SHARES = 11
"""How many shares of what follows a piece may take, by work."""
_LEAST, _LEAST_OF_FEW = 0.5, 0.125
"""The least share, and the least work after a beginning relative to the most; networks of few nodes have few pieces."""
_FEW = 24
"""Nodes."""
_WIDE = 2
"""Pieces begin at values of at most so many times the elements of the input: wide ones would have to be moved in."""


class _Start(NamedTuple):
    """A value that pieces begin at, the first node after it that reads it, and the work up to each node from there on.

    Work is MACs and elements written, so that no node is free.
    """

    value: int
    node: int
    work: tuple[int, ...]


@dataclass(frozen=True)
class PrimitiveSpace:
    """The pieces of `network`, from a quarter of its work, or less of few nodes, to the whole; rows: its placements.

    Both choices go from small to large, so that biased draws span the sizes.
    """

    name: str
    network: Network

    @property
    def x(self) -> Shape:
        """Shape of the network's first input; pieces read other shapes."""
        return self.network.inputs[0]

    @property
    def classes(self) -> int:
        """Channels of the network's output."""
        return self.network.placements[-1].y.c

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        shares = tuple(self._least + (1 - self._least) * i / (_SHARES - 1) for i in range(_SHARES))
        return Choice("start", tuple(start.value for start in self._starts)), Choice("share", shares)

    def decode(self, encoding: Encoding) -> Architecture:
        """Read an encoding as a piece."""
        _, share = values(self, encoding)
        start = self._starts[encoding[0]]
        last = bisect_left(start.work, float(share) * start.work[-1])
        offset = start.node + len(self.network.inputs)  # the value that the first node gives is value 1 of the piece
        nodes = tuple(
            Node(node.op, tuple(0 if s == start.value else s - offset + 1 for s in node.sources), node.join)
            for node in self.network.nodes[start.node : start.node + last + 1]
        )
        return Architecture(self._shape(start.value), nodes)

    def placements(self) -> Iterator[Placement]:
        """Yield the rows of a table: every placement of the network, once."""
        yield from dict.fromkeys(self.network.placements)

    @cached_property
    def _starts(self) -> tuple[_Start, ...]:
        """Beginnings, the one with least work after it first, the whole network last."""
        last = len(self.network.inputs) + len(self.network.nodes) - 1
        found = [start for value in range(last) if (start := self._start(value))]
        narrow = [s for s in found if self._shape(s.value).size <= _WIDE * self.x.size]
        most = max(start.work[-1] for start in narrow)
        large = sorted((s for s in narrow if s.work[-1] >= self._least * most), key=lambda s: (s.work[-1], -s.value))
        n = min(_STARTS, len(large))
        return tuple(large[len(large) - 1 - (n - 1 - i) * (len(large) - 1) // max(1, n - 1)] for i in range(n))

    @property
    def _least(self) -> float:
        return _LEAST if len(self.network.nodes) >= _FEW else _LEAST_OF_FEW

    def _start(self, value: int) -> _Start | None:
        inputs = len(self.network.inputs)
        first = next((j for j, node in enumerate(self.network.nodes) if value in node.sources), None)
        if first is None:
            return None
        work: list[int] = []
        for j, node in enumerate(self.network.nodes[first:], start=first):
            if not all(source == value or inputs + first <= source for source in node.sources):
                break
            work.append(self._work[j])
        return _Start(value, first, tuple(accumulate(work))) if work else None

    @cached_property
    def _work(self) -> tuple[int, ...]:
        return tuple(placement.cost.macs + placement.y.size for placement in self.network.placements)

    def _shape(self, value: int) -> Shape:
        inputs = self.network.inputs
        return inputs[value] if value < len(inputs) else self.network.placements[value - len(inputs)].y


@spaces.register("primitives")
def primitives(classes: int = 0, image_size: int = 0, channels: int = 0) -> SearchSpace:  # noqa: ARG001 (the role's)
    """Say how this space is made: it is the only one that needs a model."""
    raise ConfigError(
        "the space of primitives is made from a model file: mnas profile --space primitives --from MODEL.onnx, or "
        'mnas.reading.primitives_of("MODEL.onnx")'
    )
