"""The cell space of DARTS (arXiv:1806.09055, sec. 2.1): a normal and a reduction cell of four nodes.

A node reads two of the values before it, each through an op: the encoding says which two and which ops. Two edges from
one value are not in the space, as in the paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from mnas.errors import ConfigError
from mnas.ir import Architecture, Node, Placement, Shape
from mnas.ops.cell import Classifier, Identity
from mnas.spaces.genotype import CIFAR, IMAGENET, NODES, OPS, SKIP, Edges, Genotype, Stack, edge, genotype_of, network
from mnas.spaces.protocol import Choice, Encoding, SearchSpace, spaces, values
from mnas.spaces.relaxation import Candidate, Mixture, Probabilities, Relaxation

EDGE_OPS = OPS[1:]
"""What an edge of a network may be: all but `none`, which only takes part in the search."""
_PAIRS = tuple(tuple(combinations(range(node + 2), 2)) for node in range(NODES))
"""Of every node, the pairs of values that it may read."""
_EDGES = tuple((node, value) for node in range(NODES) for value in range(node + 2))
"""(node, value it may read), in the order of the published architecture weights."""
_PER_NODE = 3


@dataclass(frozen=True)
class DartsSpace:
    """Two cells in a stack, which is searched in a smaller one.

    Attributes:
        name: what it is registered under.
        x: shape of the input.
        classes: number of classes.
        stack: of the networks.
        searched: of the network that is trained to search by gradients.
    """

    name: str
    x: Shape
    classes: int
    stack: Stack
    searched: Stack

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Per cell and node: the two values it reads, and the op on the earlier and on the later one."""
        return tuple(
            Choice(f"{cell}.node{node}.{name}", options)
            for cell in Genotype._fields
            for node in range(NODES)
            for name, options in (
                ("values", tuple(f"{i}+{j}" for i, j in _PAIRS[node])),
                ("first", EDGE_OPS),
                ("second", EDGE_OPS),
            )
        )

    def decode(self, encoding: Encoding) -> Architecture:
        """Read an encoding as a network."""
        return network(self.genotype(encoding), self.stack, x=self.x, classes=self.classes)

    def genotype(self, encoding: Encoding) -> Genotype:
        """Read an encoding as two cells; ConfigError where it is not one of this space."""
        values(self, encoding)
        edges: list[tuple[str, int]] = []
        for i in range(0, len(encoding), _PER_NODE):
            pair, *ops = encoding[i : i + _PER_NODE]
            sources = _PAIRS[i // _PER_NODE % NODES][pair]
            edges += [(EDGE_OPS[op], source) for op, source in zip(ops, sources, strict=True)]
        return Genotype(tuple(edges[: len(edges) // 2]), tuple(edges[len(edges) // 2 :]))

    def encoding(self, genotype: Genotype) -> Encoding:
        """The encoding of two cells.

        Raises:
            ConfigError: they are not of this space: another number of nodes, an unknown op, or a node that reads one
                value twice.
        """
        return tuple(index for edges in genotype for index in _encode_cell(edges))

    def encode(self, architecture: Architecture) -> Encoding:
        """Read a network back, in any spelling (see `EncodingSpace`)."""
        normal, reduction = genotype_of(architecture)
        first = self.genotype((0,) * len(self.choices))
        encoding = self.encoding(Genotype(normal or first.normal, reduction or first.reduce))
        same, given = (Counter(each.canonical().placements) for each in (self.decode(encoding), architecture))
        if same != given:
            raise ConfigError(f"not a network of space {self.name}: its cells stand in another stack, or input")
        return encoding

    def placements(self) -> Iterator[Placement]:
        """Yield the rows of a table: every op of an edge, every stem, alignment and join at its places."""
        rows: list[Placement] = []
        for op in range(len(EDGE_OPS)):
            for pairs in ([0] * NODES, [len(each) - 1 for each in _PAIRS]):
                rows += self.decode(tuple(i for pair in 2 * pairs for i in (pair, op, op))).placements
        yield from dict.fromkeys(rows)

    @property
    def priced(self) -> Relaxation:
        """All ops on all edges (see `RelaxedSpace`)."""
        return self._relaxed(self.stack)

    def relax(self, cells: int | None = None, channels: int | None = None) -> Relaxation:
        """The same in the stack that is searched (see `RelaxedSpace`), of at least 3 cells."""
        if cells is not None and cells < 3:
            raise ConfigError(
                f"of {cells} cells every one is a reduction, and normal cells would get no gradient: search with at "
                "least 3 cells"
            )
        c = self.searched.c if channels is None else channels
        return self._relaxed(replace(self.searched, c=c, cells=self.searched.cells if cells is None else cells))

    def _relaxed(self, stack: Stack) -> Relaxation:
        """A mixture a node; `none` adds nothing, and so is no candidate."""
        nodes: list[Node | Mixture] = [*stack.stem_nodes]
        before, last = max(1, len(nodes) - 1), len(nodes)
        for place in stack.places:
            nodes += [Node(align, (source,)) for align, source in zip(place.aligns, (before, last), strict=True)]
            states = [len(nodes) - 1, len(nodes)]
            offset = len(_EDGES) * place.reduction
            for node in range(NODES):
                mixed = [
                    Candidate(edge(op, place.c, place.stride(value)), states[value], ((offset + i, (option,)),))
                    for i, (reader, value) in enumerate(_EDGES)
                    for option, op in enumerate(OPS)
                    if reader == node and option
                ]
                nodes.append(Mixture(tuple(mixed), kept=2))
                states.append(len(nodes))
            nodes.append(Node(Identity(), tuple(states[2:]), "cat"))
            before, last = last, len(nodes)
        nodes.append(Node(Classifier(self.classes), (last,)))
        decisions = [Choice(f"{cell}.{value}->{node + 2}", OPS) for cell in Genotype._fields for node, value in _EDGES]
        return Relaxation(self.x, tuple(decisions), tuple(nodes))

    def discretise(self, probabilities: Probabilities) -> Encoding:
        """Keep the two edges of every node whose strongest op but `none` is strongest, with these ops (sec. 2.4)."""
        strongest = [1 + int(each[1:].argmax()) for each in probabilities]
        cells = []
        for offset in (0, len(_EDGES)):
            edges: list[tuple[str, int]] = []
            for node in range(NODES):
                numbers = [offset + i for i, (reader, _) in enumerate(_EDGES) if reader == node]
                numbers.sort(key=lambda i: -probabilities[i][strongest[i]])
                edges += [(OPS[strongest[i]], _EDGES[i - offset][1]) for i in sorted(numbers[:2])]
            cells.append(tuple(edges))
        return self.encoding(Genotype(*cells))

    def identity_share(self, encoding: Encoding) -> float:
        """Share of the 16 edges that skip (see `RelaxedSpace`)."""
        ops = [op for cell in self.genotype(encoding) for op, _ in cell]
        return ops.count(SKIP) / len(ops)


def _encode_cell(edges: Edges) -> Iterator[int]:
    if len(edges) != 2 * NODES:
        raise ConfigError(f"a cell of this space has {2 * NODES} edges, got {len(edges)}")
    for node in range(NODES):
        first, second = sorted(edges[2 * node : 2 * node + 2], key=lambda each: each[1])
        if (first[1], second[1]) not in _PAIRS[node] or not {first[0], second[0]} <= {*EDGE_OPS}:
            raise ConfigError(f"node {node} of a cell cannot be {first} and {second}; ops: {', '.join(EDGE_OPS)}")
        yield _PAIRS[node].index((first[1], second[1]))
        yield from (EDGE_OPS.index(op) for op, _ in (first, second))


@spaces.register("darts")
def darts(classes: int = 10, image_size: int = 32, channels: int = 3) -> SearchSpace:
    """DARTS's cells in the network of CIFAR-10: 20 cells of 36 channels, searched in 8 of 16."""
    return DartsSpace("darts", _input(image_size, channels), classes, CIFAR, Stack(16, 8))


@spaces.register("darts-imagenet")
def darts_imagenet(classes: int = 1000, image_size: int = 224, channels: int = 3) -> SearchSpace:
    """The same in the network of ImageNet's mobile setting: 14 cells of 48 channels, the stem at stride 8."""
    return DartsSpace("darts-imagenet", _input(image_size, channels, 17), classes, IMAGENET, Stack(16, 8, "imagenet"))


@spaces.register("darts-small")
def darts_small(classes: int = 10, image_size: int = 28, channels: int = 1) -> SearchSpace:
    """The same for 28-32 px, small: 5 cells of 16 channels, the stem at stride 2; searched in 5 of 8."""
    stem = Stack(16, 5, "strided"), Stack(8, 5, "strided")
    return DartsSpace("darts-small", _input(image_size, channels), classes, *stem)


def _input(image_size: int, channels: int, least: int = 8) -> Shape:
    if image_size < least:
        raise ConfigError(f"image_size must be at least {least} pixels for this space, got {image_size}")
    return Shape(channels, image_size, image_size)
