"""The cell space of NASNet (arXiv:1707.07012): a normal and a reduction cell, and the network they are stacked to.

A cell reads h[i-1] and h[i], the outputs of the two cells before it, brought to its width. Each of its blocks picks
two states, an op on either, and adds or concatenates the two; the result is one more state. What no block reads is
concatenated to the cell's output. Where an op reads another width than the cell's (concatenated states, the stem), it
brings it to the cell's: a convolution by itself, a pool and an identity by a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal, NamedTuple, get_args

from mnas.errors import ConfigError
from mnas.ir import Architecture, Op, Placement, Shape
from mnas.ops.cell import Align, Classifier, Identity, PoolOp, ReluConvBn, Sep, Stem
from mnas.spaces.building import Builder
from mnas.spaces.protocol import Choice, Encoding, Option, SearchSpace, spaces, values

Combine = Literal["add", "cat"]
OPS = (
    "identity",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
"""The 13 ops of the paper, in its order and in the order of the option index."""


class Block(NamedTuple):
    """Two states by number (0 is h[i-1], 1 is h[i], then the blocks in order), an op on each, and how they combine."""

    first: int
    second: int
    first_op: str
    second_op: str
    combine: Combine = "add"


class Cell(NamedTuple):
    """Blocks, and the states whose concatenation is the output; none named: the blocks that no block reads."""

    blocks: tuple[Block, ...]
    outputs: tuple[int, ...] = ()

    @property
    def states_out(self) -> tuple[int, ...]:
        """The states of the output."""
        read = {state for block in self.blocks for state in block[:2]}
        return self.outputs or tuple(state for state in range(2, len(self.blocks) + 2) if state not in read)


class Genotype(NamedTuple):
    """A normal and a reduction cell."""

    normal: Cell
    reduction: Cell


NASNET_A = Genotype(
    Cell(
        (
            Block(1, 0, "sep_conv_5x5", "sep_conv_3x3"),
            Block(0, 0, "sep_conv_5x5", "sep_conv_3x3"),
            Block(1, 0, "avg_pool_3x3", "identity"),
            Block(0, 0, "avg_pool_3x3", "avg_pool_3x3"),
            Block(1, 1, "sep_conv_3x3", "identity"),
        ),
        outputs=(0, 2, 3, 4, 5, 6),
    ),
    Cell(
        (
            Block(1, 0, "sep_conv_5x5", "sep_conv_7x7"),
            Block(1, 0, "max_pool_3x3", "sep_conv_7x7"),
            Block(1, 0, "avg_pool_3x3", "sep_conv_5x5"),
            Block(3, 2, "identity", "avg_pool_3x3"),
            Block(2, 1, "sep_conv_3x3", "max_pool_3x3"),
        ),
        outputs=(3, 4, 5, 6),
    ),
)
"""The released cells (figure 4). Their outputs hold h[i-1] and a block (3) that other blocks read too."""


@dataclass(frozen=True, slots=True)
class Stack:
    """How cells are stacked: three groups of `repeats` normal cells, a reduction cell between the groups.

    Attributes:
        filters: width of the first group's cells; each reduction doubles it.
        repeats: N of the paper.
        stem: "cifar": 3x3 convolution to 3 `filters` channels; "strided": the same at stride 2 (not of the paper);
            "imagenet": 3x3 convolution to 32 channels at stride 2, then two reduction cells at a quarter and at half of
            `filters`.
    """

    filters: int
    repeats: int
    stem: Literal["cifar", "strided", "imagenet"] = "cifar"

    def __post_init__(self) -> None:
        least = 8 if self.stem == "imagenet" else 2
        if self.filters < least or self.repeats < 0:
            raise ConfigError(f"needs filters >= {least} and repeats >= 0 with the {self.stem} stem: {self}")

    @property
    def stem_op(self) -> Op:
        """What reads the image."""
        return Stem(32, 2) if self.stem == "imagenet" else Stem(3 * self.filters, 2 if self.stem == "strided" else 1)

    @property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Width and stride of every cell in order; a reduction cell has stride 2."""
        f = self.filters
        first = [(f // 4, 2), (f // 2, 2)] if self.stem == "imagenet" else []
        groups = [[(c, 2)] * (c > f) + [(c, 1)] * self.repeats for c in (f, 2 * f, 4 * f)]
        return (*first, *(cell for group in groups for cell in group))


def network(genotype: Genotype, stack: Stack, *, x: Shape, classes: int) -> Architecture:
    """Stack the cells of a genotype; the auxiliary classifier of the paper is a training device and absent.

    Before the first cell there is one output only, the stem's: it is h[i], and as it is h[i-1].

    Raises:
        ConfigError: an unknown op.
        ShapeError: a cell's outputs do not fit each other.
    """
    net = Builder(x)
    before, last = None, net.append(stack.stem_op, 0)
    for c, stride in stack.cells:
        cell = genotype.normal if stride == 1 else genotype.reduction
        before, last = last, _append_cell(net, cell, before, last, c, stride)
    net.append(Classifier(classes, "relu"), last)
    return net.build()


def _append_cell(net: Builder, cell: Cell, before: int | None, last: int, c: int, stride: int) -> int:
    states = [last, net.append(Align(c), last)]
    if before is not None:
        align = _aligning(net.shapes[before], net.shapes[last], c)
        states[0] = net.append(align, before) if align else before
    for block in cell.blocks:
        ends = []
        for state, op in ((block.first, block.first_op), (block.second, block.second_op)):
            value = states[state]
            ends.append(net.append(edge(op, net.shapes[value], c, stride if state < 2 else 1), value))
        states.append(net.append(Identity(), *ends, join=block.combine))
    return net.concatenate(states[state] for state in cell.states_out)


def _aligning(before: Shape, last: Shape, c: int) -> Op | None:
    """What brings h[i-1] to the map of h[i] and to `c` channels, if anything must."""
    if (before.h, before.w) != (last.h, last.w):
        return Align(c, 2)
    return Align(c) if before.c != c else None


def edge(op: str, x: Shape, c: int, s: int) -> Op:
    """The op that reads a state of shape `x` in a cell of `c` channels at stride `s`; ConfigError for an unknown name.

    A strided 1x3 (1x7) convolution strides the width, the 3x1 (7x1) after it the height.
    """
    if op not in OPS:
        raise ConfigError(f"no op {op!r} in a cell; known: {', '.join(OPS)}")
    kind, _, size = op.rpartition("_")
    own = 0 if x.c == c else c
    match kind:
        case "conv_1x3" | "conv_1x7":
            k = int(size[0])
            return ReluConvBn(c, 1, k, sw=s, kh2=k, kw2=1, sh2=s)
        case "dil_conv":
            return ReluConvBn(c, 3, 3, s, s, dilation=2)
        case "conv":
            return ReluConvBn(c, int(size[0]), int(size[0]), s, s)
        case "avg_pool" | "max_pool":
            return PoolOp("avg" if kind == "avg_pool" else "max", int(size[0]), s, own)
        case "sep_conv":
            return Sep(int(size[0]), s, own)
        case _:
            return Identity() if s == 1 and not own else Align(c, s)


@dataclass(frozen=True)
class NasNetSpace:
    """Two cells of `blocks` blocks, five decisions each, in a given stack."""

    name: str
    x: Shape
    classes: int
    stack: Stack
    blocks: int = 5

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ConfigError(f"a cell needs at least 1 block, got {self.blocks}")

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Per cell and block: the first state, the second, the op on either, and how they combine."""
        return tuple(
            Choice(f"{cell}.block{b}.{name}", options)
            for cell in Genotype._fields
            for b in range(self.blocks)
            for name, options in zip(Block._fields, _decisions(b), strict=True)
        )

    def decode(self, encoding: Encoding) -> Architecture:
        """Read an encoding as a network."""
        return network(self.genotype(encoding), self.stack, x=self.x, classes=self.classes)

    def genotype(self, encoding: Encoding) -> Genotype:
        """Read an encoding as two cells; ConfigError where it is not one of this space."""
        chosen = values(self, encoding)
        blocks = [_block(*chosen[i : i + 5]) for i in range(0, len(chosen), 5)]
        return Genotype(Cell(tuple(blocks[: self.blocks])), Cell(tuple(blocks[self.blocks :])))

    def placements(self) -> Iterator[Placement]:
        """Yield the rows of a table: at every place, each op at each width it may read, and each join."""
        yield from dict.fromkeys(self._placements())

    def _placements(self) -> Iterator[Placement]:
        stem = Placement(self.stack.stem_op, (self.x,))
        yield stem
        before, last = {stem.y}, {stem.y}
        for i, (c, stride) in enumerate(self.stack.cells):
            here = next(iter(last))
            inner = Shape(c, -(-here.h // stride), -(-here.w // stride))
            aligned = [Placement(Align(c), (x,)) for x in sorted(last)]
            entries = {here._replace(c=c)}
            for x in sorted(before):
                align = _aligning(x, here, c) if i else None
                aligned += [Placement(align, (x,))] if align else []
                entries.add(align.out_shape(x) if align else x)
            yield from aligned
            ends = [inner, inner._replace(c=2 * c)]
            for op, (x, s) in product(OPS, [*((x, stride) for x in sorted(entries)), *((x, 1) for x in ends)]):
                yield Placement(edge(op, x, c, s), (x,))
            yield from (Placement(Identity(), (inner, inner), combine) for combine in ("add", "cat"))
            outputs = [[ends[0]] * a + [ends[1]] * b for a, b in product(range(self.blocks + 1), repeat=2)]
            outputs = [each for each in outputs if 0 < len(each) <= self.blocks]
            yield from (Placement(Identity(), tuple(each), "cat") for each in outputs if len(each) > 1)
            before, last = last, {inner._replace(c=sum(x.c for x in each)) for each in outputs}
        yield from (Placement(Classifier(self.classes, "relu"), (x,)) for x in sorted(last))


def _decisions(block: int) -> tuple[tuple[Option, ...], ...]:
    states = tuple(range(block + 2))
    return states, states, OPS, OPS, get_args(Combine)


def _block(first: Option, second: Option, first_op: Option, second_op: Option, combine: Option) -> Block:
    return Block(int(first), int(second), str(first_op), str(second_op), "add" if combine == "add" else "cat")


@spaces.register("nasnet")
def nasnet(classes: int = 10, image_size: int = 32, channels: int = 3) -> SearchSpace:
    """NASNet's space for 28-32 px, small: B = 5 blocks, N = 1, F = 8, the CIFAR stem at stride 2."""
    return NasNetSpace("nasnet", _input(image_size, channels), classes, Stack(8, 1, "strided"))


@spaces.register("nasnet-mobile")
def nasnet_mobile(classes: int = 1000, image_size: int = 224, channels: int = 3) -> SearchSpace:
    """NASNet's space for 224 px at the size of NASNet-A (4 @ 1056): B = 5, N = 4, F = 44, the ImageNet stem."""
    return NasNetSpace("nasnet-mobile", _input(image_size, channels), classes, Stack(44, 4, "imagenet"))


def _input(image_size: int, channels: int) -> Shape:
    if image_size < 8:
        raise ConfigError(f"image_size must be at least 8 pixels for this space, got {image_size}")
    return Shape(channels, image_size, image_size)
