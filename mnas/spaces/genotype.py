"""Networks of DARTS cells (arXiv:1806.09055, sec. 2.1 and 3.2): a genotype, and the network it is stacked to.

A cell reads the outputs of the two cells before it, brought to its width. Each of its nodes adds two edges from
earlier values; the cell's output concatenates its nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mnas.errors import ConfigError
from mnas.ir import Architecture, Node, Op, Shape
from mnas.ops.cell import Align, Classifier, Dil, Identity, Nothing, PoolOp, ReluConvBn, Sep, Stem

OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The published op set, in the order of the architecture weights."""
SKIP = "skip_connect"
NODES = 4
"""Nodes of a published cell."""
Edges = tuple[tuple[str, int], ...]
"""(op, value it reads) per edge, two per node; values 0 and 1 are the cell's inputs."""


class Genotype(NamedTuple):
    """A normal and a reduction cell."""

    normal: Edges
    reduce: Edges


DARTS_V1 = Genotype(
    normal=(
        ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 0), ("sep_conv_3x3", 1),
        ("skip_connect", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 2),
    ),
    reduce=(
        ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 0),
        ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("avg_pool_3x3", 0),
    ),
)  # fmt: skip
"""The first-order cell published for CIFAR-10."""
DARTS_V2 = Genotype(
    normal=(
        ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2),
    ),
    reduce=(
        ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
        ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1),
    ),
)  # fmt: skip
"""The second-order cell published for CIFAR-10."""


class Place(NamedTuple):
    """Where a cell stands: its width, whether it halves the map, and whether the cell before it (or the stem) did."""

    c: int
    reduction: bool
    shrunk: bool

    def stride(self, source: int) -> int:
        """Stride of an edge that reads value `source` of the cell."""
        return 2 if self.reduction and source < 2 else 1

    @property
    def aligns(self) -> tuple[Op, Op]:
        """What brings the outputs of the two cells before to this cell's width."""
        return Align(self.c, 2 if self.shrunk else 1), Align(self.c)


@dataclass(frozen=True, slots=True)
class Stack:
    """How cells are stacked: reductions, which double the width, at one and at two thirds of the depth.

    Attributes:
        c: width of the first cells.
        cells: their number.
        stem: "cifar": 3x3 convolution to 3 `c` channels; "strided": the same at stride 2 (not of the paper);
            "imagenet": three 3x3 convolutions of stride 2 to `c` channels.
    """

    c: int = 36
    cells: int = 20
    stem: Literal["cifar", "strided", "imagenet"] = "cifar"

    def __post_init__(self) -> None:
        if self.c < 2 or self.cells < 1:
            raise ConfigError(f"a network of cells needs at least 2 channels and 1 cell, got {self.c} and {self.cells}")

    @property
    def stem_nodes(self) -> tuple[Node, ...]:
        """What reads the image; the last two give the inputs of the first cell, or one gives both."""
        if self.stem == "imagenet":
            ops = Stem(self.c // 2, 2), ReluConvBn(self.c, sh=2, sw=2), ReluConvBn(self.c, sh=2, sw=2)
            return tuple(Node(op, (i,)) for i, op in enumerate(ops))
        return (Node(Stem(3 * self.c, 2 if self.stem == "strided" else 1), (0,)),)

    @property
    def places(self) -> Iterator[Place]:
        """Where the cells stand, in order."""
        c, shrunk = self.c, self.stem == "imagenet"
        for i in range(self.cells):
            reduction = i in (self.cells // 3, 2 * self.cells // 3)
            c = 2 * c if reduction else c
            yield Place(c, reduction, shrunk)
            shrunk = reduction


CIFAR = Stack()
IMAGENET = Stack(48, 14, "imagenet")


def edge(op: str, c: int, s: int) -> Op:
    """The op of an edge between maps of `c` channels at stride `s` (1 or 2); ConfigError for an unknown name."""
    if op not in OPS:
        raise ConfigError(f"no edge op {op!r} in a genotype; known: {', '.join(OPS)}")
    kind, _, size = op.partition("_")
    match kind:
        case "none":
            return Nothing(s)
        case "skip":
            return Identity() if s == 1 else Align(c, 2)
        case "max" | "avg":
            return PoolOp("max" if kind == "max" else "avg", 3, s)
        case "sep":
            return Sep(int(size[-1]), s)
        case _:
            return Dil(int(size[-1]), s)


def network(genotype: Genotype, stack: Stack = CIFAR, *, x: Shape, classes: int) -> Architecture:
    """Stack the cells of a genotype; the auxiliary tower of the paper is a training device and absent.

    Raises:
        ConfigError: an unknown op, an odd number of edges, or a node that does not read an earlier one.
    """
    nodes = list(stack.stem_nodes)

    def append(op: Op, *sources: int, join: Literal["add", "cat"] = "add") -> int:
        nodes.append(Node(op, sources, join))
        return len(nodes)

    before, last = max(1, len(nodes) - 1), len(nodes)
    for place in stack.places:
        states = [append(align, source) for align, source in zip(place.aligns, (before, last), strict=True)]
        edges = genotype.reduce if place.reduction else genotype.normal
        if len(edges) % 2:
            raise ConfigError(f"a cell's nodes have two edges each, these are {len(edges)}: {edges}")
        for pair in zip(edges[::2], edges[1::2], strict=True):
            if not all(0 <= value < len(states) for _, value in pair):
                raise ConfigError(f"node {len(states) - 2} of a cell reads values 0..{len(states) - 1}, not {pair}")
            ends = [append(edge(op, place.c, place.stride(i)), states[i]) for op, i in pair]
            states.append(append(Identity(), *ends))
        before, last = last, append(Identity(), *states[2:], join="cat")
    append(Classifier(classes), last)
    return Architecture(x, tuple(nodes))


def genotype_of(architecture: Architecture) -> Genotype:
    """Read the cells of a network back, in any spelling; of a node's edges, the one of the earlier value is first.

    A kind of cell that the network has not is empty.

    Raises:
        ConfigError: not a network of DARTS cells, all alike but for the reductions.
    """
    plain = architecture.canonical()
    ends = [value for value, node in enumerate(plain.nodes, start=1) if node.join == "cat"]
    if not ends:
        raise ConfigError("not a network of DARTS cells: no value is put together of others")
    aligned = (value for value, node in enumerate(plain.nodes, start=1) if isinstance(node.op, Align))
    start = next(aligned, 0)
    before, last = max(1, start - 2), start - 1
    found: dict[bool, Edges] = {}
    for end in ends:
        edges, reduction = _read_cell(plain, (before, last), end)
        if found.setdefault(reduction, edges) != edges:
            raise ConfigError(f"not a network of DARTS cells: the one that ends at value {end} is unlike those before")
        before, last = last, end
    return Genotype(found.get(False, ()), found.get(True, ()))


def _read_cell(plain: Architecture, inputs: tuple[int, int], end: int) -> tuple[Edges, bool]:
    """The edges of the cell that reads values `inputs`, and whose output is `end`, and whether it is a reduction."""
    start, nodes = inputs[1] + 1, plain.nodes[end - 1].sources
    first = plain.nodes[start - 1]
    aligned = [node.sources for node in plain.nodes[start - 1 : start + 1]] == [(each,) for each in inputs]
    if start + 1 >= min(nodes) or not aligned or not isinstance(first.op, Align):
        raise ConfigError(f"not a network of DARTS cells: no cell ends at value {end}")
    reduction = plain.placements[nodes[0] - 1].y != plain.placements[start - 1].y
    place = Place(first.op.c, reduction, first.op.s == 2)
    states, edges = [start, start + 1], list[tuple[str, int]]()
    for value in nodes:
        read = [_read_edge(plain, source, states, place) for source in plain.nodes[value - 1].sources]
        edges += sorted(read, key=lambda each: each[1])
        states.append(value)
    return tuple(edges), reduction


def _read_edge(plain: Architecture, value: int, states: list[int], place: Place) -> tuple[str, int]:
    if value in states:
        return SKIP, states.index(value)
    node = plain.nodes[value - 1]
    if node.sources[0] in states:
        source = states.index(node.sources[0])
        for op in OPS:
            if edge(op, place.c, place.stride(source)) == node.op:
                return op, source
    raise ConfigError(f"not a network of DARTS cells: value {value} ({node.op}) is no edge of one")
