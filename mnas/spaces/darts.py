"""Networks of DARTS cells (arXiv:1806.09055, sec. 2.1 and 3.2): a genotype, and the network it is stacked to.

A cell reads the outputs of the two cells before it, brought to its width. Each of its nodes adds two edges from
earlier values; the cell's output concatenates its nodes.
"""

from __future__ import annotations

from typing import NamedTuple

from mnas.errors import ConfigError
from mnas.ir import Architecture, Node, Op, Shape
from mnas.ops.cell import Align, Classifier, Dil, Identity, PoolOp, Sep, Stem

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
Edges = tuple[tuple[str, int], ...]
"""(op, value it reads) per edge, two per node; values 0 and 1 are the cell's inputs."""


class Genotype(NamedTuple):
    """A normal and a reduction cell."""

    normal: Edges
    reduce: Edges


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


def edge(op: str, c: int, s: int) -> Op:
    """The op of an edge between maps of `c` channels at stride `s` (1 or 2); ConfigError for an unknown name."""
    kind, _, size = op.partition("_")
    match kind:
        case "skip":
            return Identity() if s == 1 else Align(c, 2)
        case "max" | "avg":
            return PoolOp("max" if kind == "max" else "avg", 3, s)
        case "sep":
            return Sep(int(size[-1]), s)
        case "dil":
            return Dil(int(size[-1]), s)
        case _:
            raise ConfigError(f"no edge op {op!r} in a genotype; known: {', '.join(OPS[1:])}")


def network(genotype: Genotype, *, x: Shape, classes: int, c: int = 36, cells: int = 20) -> Architecture:
    """Stack `cells` cells at `c` channels, reductions (which double `c`) at one and two thirds of the depth.

    The stem is a 3x3 convolution to 3 `c` channels; the auxiliary tower of the paper is a training device and absent.
    """
    nodes = [Node(Stem(3 * c), (0,))]
    before, last, shrunk = 1, 1, False
    for i in range(cells):
        reduction = i in (cells // 3, 2 * cells // 3)
        c = 2 * c if reduction else c
        out = _append_cell(
            nodes, genotype.reduce if reduction else genotype.normal, (before, last), c, reduction, shrunk
        )
        before, last, shrunk = last, out, reduction
    nodes.append(Node(Classifier(classes), (last,)))
    return Architecture(x, tuple(nodes))


def _append_cell(
    nodes: list[Node], edges: Edges, inputs: tuple[int, int], c: int, reduction: bool, shrunk: bool
) -> int:
    """Append one cell and give the number of its output; `shrunk`: the cell before halved the map."""

    def append(op: Op, sources: tuple[int, ...], kind: str = "add") -> int:
        nodes.append(Node(op, sources, "cat" if kind == "cat" else "add"))
        return len(nodes)

    states = [append(Align(c, 2 if shrunk else 1), inputs[:1]), append(Align(c), inputs[1:])]
    for pair in zip(edges[::2], edges[1::2], strict=True):
        ends = [append(edge(op, c, 2 if reduction and i < 2 else 1), (states[i],)) for op, i in pair]
        states.append(append(Identity(), tuple(ends)))
    return append(Identity(), tuple(states[2:]), "cat")
