"""The one value every search space yields and every later stage reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol, get_args

from mnas.errors import ParseError, ShapeError
from mnas.ir.layers import JoinKind, joined
from mnas.ir.op import Op, parse_op
from mnas.ir.shape import Cost, Shape

_MARKS: dict[JoinKind, str] = {"add": "+", "mul": "*", "cat": "|"}


@dataclass(frozen=True, slots=True)
class Node:
    """An op and where it reads from: indices of earlier values, which are joined when there are several."""

    op: Op
    sources: tuple[int, ...]
    join: JoinKind = "add"


class Network(Protocol):
    """What can be lowered: values 0..len(inputs)-1 are the inputs, and each node appends one."""

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """Shapes of the inputs."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The ops in order of execution."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """The values that it gives."""

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Where each node stands."""


@dataclass(frozen=True, slots=True)
class Placement:
    """An op at its place: the key of a latency table, and the block that is built to measure it.

    The op reads the join of `inputs`. Text: `sepconv_c16@32x112x112`; `identity@36x8x8+36x8x8` where two maps are
    added, `*` where they are multiplied and `|` where they are concatenated.
    """

    op: Op
    inputs: tuple[Shape, ...]
    join: JoinKind = "add"

    def __hash__(self) -> int:
        return hash((self.op, self.inputs))

    @property
    def x(self) -> Shape:
        """Shape that the op reads; ShapeError where the inputs do not join."""
        return self.inputs[0] if len(self.inputs) == 1 else joined(self.join, self.inputs)

    @property
    def y(self) -> Shape:
        """Shape that the op gives."""
        return self.op.out_shape(self.x)

    @property
    def cost(self) -> Cost:
        """MACs and parameters of the op at this place."""
        return self.op.cost(self.x)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """This placement as a network of one node (see `Network`)."""
        return (Node(self.op, tuple(range(len(self.inputs))), self.join),)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The value of that node (see `Network`)."""
        return (len(self.inputs),)

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Itself (see `Network`)."""
        return (self,)

    def __str__(self) -> str:
        return f"{self.op}@{_MARKS[self.join].join(map(str, self.inputs))}"

    @classmethod
    def parse(cls, text: str) -> Placement:
        """Read the text form back.

        Raises:
            ParseError, UnknownNameError: not an op, `@` and shapes with one kind of mark between them.
            ShapeError: the shapes do not join, or do not fit the op.
        """
        op, at, shapes = text.partition("@")
        used = [kind for kind, mark in _MARKS.items() if mark in shapes]
        if not at or len(used) > 1:
            raise ParseError(f"a placement is op@shape, or op@shape+shape (or * or |); got {text!r}")
        join = used[0] if used else "add"
        inputs = tuple(Shape.parse(part) for part in shapes.split(_MARKS[join]))
        placement = cls(parse_op(op), inputs, join)
        placement.y  # noqa: B018 (raises ShapeError)
        return placement


@lru_cache(maxsize=65536)
def _place(op: Op, inputs: tuple[Shape, ...], join: JoinKind) -> tuple[Placement, Shape]:
    placement = Placement(op, inputs, join if len(inputs) > 1 else "add")
    return placement, placement.y


@dataclass(frozen=True)
class Architecture:
    """A whole network as data, in static single assignment: node i (from 1) reads only values before it.

    Value 0 is the input of shape `x`; the last node is the output. Hence no cycles can be written down and the nodes
    are in order of execution. Equal architectures compare and hash equal, whatever space they came from.

    Raises:
        ShapeError: no nodes, a node that reads itself or a later one, or ops that do not fit their inputs.
    """

    x: Shape
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ShapeError("an architecture needs at least one op")
        for i, node in enumerate(self.nodes, start=1):
            if not node.sources or not all(0 <= s < i for s in node.sources):
                raise ShapeError(f"node {i} ({node.op}) must read earlier values (0..{i - 1}), got {node.sources}")

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """The one input (see `Network`)."""
        return (self.x,)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The value of the last node (see `Network`)."""
        return (len(self.nodes),)

    @cached_property
    def placements(self) -> tuple[Placement, ...]:
        """Where each op stands, in node order; ShapeError where a node's inputs do not fit."""
        shapes, out = [self.x], []
        for i, node in enumerate(self.nodes, start=1):
            try:
                placement, y = _place(node.op, tuple([shapes[s] for s in node.sources]), node.join)
            except ShapeError as error:
                raise ShapeError(f"node {i} ({node.op}): {error}") from None
            out.append(placement)
            shapes.append(y)
        return tuple(out)

    @property
    def y(self) -> Shape:
        """Shape of the output."""
        return self.placements[-1].y

    @property
    def cost(self) -> Cost:
        """MACs of one sample and trainable parameters of the whole network."""
        return sum((p.cost for p in self.placements), Cost())

    def canonical(self) -> Architecture:
        """The same function in one spelling: the key of every cache.

        Values nobody reads are dropped, `identity` of a single value is bypassed, sources of additions and
        multiplications are sorted, and nodes are renumbered. Zeros are kept: a zero edge is part of the network.
        """
        alias = list(range(len(self.nodes) + 1))
        for i, node in enumerate(self.nodes, start=1):
            if node.op.name == "identity" and len(node.sources) == 1 and i < len(self.nodes):
                alias[i] = alias[node.sources[0]]
        live = {len(self.nodes)}
        for i in range(len(self.nodes), 0, -1):
            if i in live:
                live |= {alias[s] for s in self.nodes[i - 1].sources}
        kept = [i for i in range(len(self.nodes) + 1) if i == 0 or (i in live and alias[i] == i)]
        number = {old: new for new, old in enumerate(kept)}
        nodes = []
        for i in kept[1:]:
            node = self.nodes[i - 1]
            sources = [number[alias[s]] for s in node.sources]
            ordered = sources if node.join == "cat" else sorted(sources)
            nodes.append(Node(node.op, tuple(ordered), node.join if len(ordered) > 1 else "add"))
        return Architecture(self.x, tuple(nodes))

    def __str__(self) -> str:
        lines = [f"input {self.x}"]
        for i, node in enumerate(self.nodes):
            plain = node.sources == (i,)
            lines.append(str(node.op) if plain else f"{node.op} {node.join} {' '.join(map(str, node.sources))}")
        return "\n".join(lines)

    @classmethod
    def parse(cls, text: str) -> Architecture:
        """Read the text form back: `input CxHxW`, then an op a line; blank lines and `#` comments are skipped.

        A line with no sources reads the line above it; `xN` after an op repeats a line, its stride once:
        `mbconv_c24_s2 x2` is `mbconv_c24_s2` and `mbconv_c24`.

        Raises:
            ParseError, UnknownNameError, ShapeError: the line is named.
        """
        lines = [(n, line.split("#")[0].strip()) for n, line in enumerate(text.splitlines(), start=1)]
        lines = [(n, line) for n, line in lines if line]
        if not lines or not lines[0][1].startswith("input "):
            raise ParseError(f"an architecture starts with a line 'input CxHxW'; got {text[:40]!r}")
        x = Shape.parse(lines[0][1].removeprefix("input ").strip())
        nodes: list[Node] = []
        for n, line in lines[1:]:
            try:
                nodes += _parse_line(line, len(nodes))
            except ParseError as error:
                raise ParseError(f"line {n}: {error}") from None
        architecture = cls(x, tuple(nodes))
        architecture.placements  # noqa: B018 (raises ShapeError)
        return architecture


def _parse_line(line: str, last: int) -> list[Node]:
    op, *rest = line.split()
    match rest:
        case []:
            return [Node(parse_op(op), (last,))]
        case [times] if re.fullmatch(r"x[1-9]\d{0,2}", times):
            again = parse_op(re.sub(r"_s\d+(?=_|$)", "", op))
            ops = [parse_op(op), *[again] * (int(times[1:]) - 1)]
            return [Node(each, (last + i,)) for i, each in enumerate(ops)]
        case [join, *sources] if join in get_args(JoinKind) and sources and all(s.isdecimal() for s in sources):
            kind: JoinKind = next(k for k in _MARKS if k == join)
            return [Node(parse_op(op), tuple(map(int, sources)), kind)]
        case _:
            raise ParseError(f"expected 'op', 'op xN' or 'op add|mul|cat sources...', got {line!r}")


def chain(x: Shape, ops: Iterable[Op]) -> Architecture:
    """An architecture whose every op reads the one before it."""
    return Architecture(x, tuple(Node(op, (i,)) for i, op in enumerate(ops)))
