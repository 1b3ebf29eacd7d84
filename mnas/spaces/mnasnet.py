"""Factorised hierarchical search space of MnasNet (arXiv:1807.11626, sec. 4.1).

Blocks (stages) around MobileNetV2; each decides op, kernel, squeeze-and-excite ratio, skip, filter multiplier and
depth, and repeats one layer. The ratio applies to MBConv, as in the paper's reference code. Skip `identity` adds a
layer's input where shapes agree; `pool` does that too, and on the layer that changes the shape it adds the 3x3
average-pooled input through a linear 1x1 convolution where channels change; `none` adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import get_args

from mnas.errors import ConfigError
from mnas.ir import Architecture, Op, Placement, Shape, chain
from mnas.ops.mobile import ConvBlock, Head, MBConv, SepConv, Skip
from mnas.spaces.protocol import Choice, Encoding, Option, SearchSpace, spaces, values

_KINDS = ("conv", "sepconv", "mbconv3", "mbconv6")
_KERNELS = (3, 5)
_SE = (0.0, 0.25)
_WIDTHS = (0.75, 1.0, 1.25)
_DEPTHS = (-1, 0, 1)
_SKIPS: tuple[Skip, ...] = get_args(Skip)


def round_width(c: float) -> int:
    """The nearest multiple of 8 that is at least 8 and not below 90 % of `c` (MobileNet's rule: 24 x 0.75 is 24)."""
    rounded = max(8, int(c + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * c else rounded + 8


@lru_cache(maxsize=65536)
def _layer(kind: str, k: int, se: float, skip: str, c: int, s: int, x: Shape) -> Op:
    """One layer of a block, in the one spelling that stands for what it does on an input of shape `x`."""
    op: ConvBlock | SepConv | MBConv
    match kind:
        case "conv":
            op = ConvBlock(c, k, s)
        case "sepconv":
            op = SepConv(c, k, s)
        case _:
            op = MBConv(c, k, s, e=int(kind.removeprefix("mbconv")), se=se)
    if op.out_shape(x) == x:
        return replace(op, skip="none" if skip == "none" else "identity")
    return replace(op, skip="pool") if skip == "pool" else op


@dataclass(frozen=True, slots=True)
class Stage:
    """Base width, depth and stride of one block."""

    c: int
    n: int
    s: int

    def depth(self, delta: int) -> int:
        return max(1, self.n + delta)


MOBILENET_V2 = (
    Stage(16, 1, 1), Stage(24, 2, 2), Stage(32, 3, 2), Stage(64, 4, 2),
    Stage(96, 3, 1), Stage(160, 3, 2), Stage(320, 1, 1),
)  # fmt: skip
SMALL = (Stage(16, 1, 1), Stage(32, 2, 1), Stage(64, 3, 2), Stage(96, 2, 2))


@dataclass(frozen=True)
class MnasNetSpace:
    """The space around a backbone of `stages`: a strided 3x3 stem, the blocks, a head."""

    name: str
    x: Shape
    classes: int
    stages: tuple[Stage, ...]
    stem: int
    head: int
    skips: tuple[Skip, ...]

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Six decisions per stage; a decision of one option (skip, in the small space) is left out."""
        return tuple(
            Choice(f"stage{i}.{name}", options)
            for i in range(len(self.stages))
            for name, options in self._decisions.items()
        )

    @cached_property
    def _stem(self) -> Op:
        return ConvBlock(self.stem, 3, 2)

    @cached_property
    def _head(self) -> Op:
        return Head(self.head, self.classes)

    @cached_property
    def _decisions(self) -> dict[str, tuple[Option, ...]]:
        every: dict[str, tuple[Option, ...]] = {
            "op": _KINDS, "kernel": _KERNELS, "se": _SE, "width": _WIDTHS, "depth": _DEPTHS, "skip": self.skips,
        }  # fmt: skip
        return {name: options for name, options in every.items() if len(options) > 1}

    @cached_property
    def segments(self) -> tuple[tuple[int, ...], ...]:
        """A segment per stage; the stem belongs to the first and the head to the last."""
        each = len(self._decisions)
        return tuple(tuple(range(each * i, each * (i + 1))) for i in range(len(self.stages)))

    def extend(self, segment: int, chosen: tuple[Option, ...], x: Shape) -> tuple[list[Op], Shape]:
        stage, named = self.stages[segment], dict(zip(self._decisions, chosen, strict=True))
        ops: list[Op] = [] if segment else [self._stem]
        x = x if segment else self._stem.out_shape(x)
        c = round_width(stage.c * float(named["width"]))
        skip = str(named.get("skip", self.skips[0]))
        for j in range(stage.depth(int(named["depth"]))):
            s = stage.s if j == 0 else 1
            ops.append(_layer(str(named["op"]), int(named["kernel"]), float(named["se"]), skip, c, s, x))
            x = ops[-1].out_shape(x)
        if segment < len(self.stages) - 1:
            return ops, x
        return [*ops, self._head], self._head.out_shape(x)

    def decode(self, encoding: Encoding) -> Architecture:
        """Read an encoding as a network."""
        chosen = values(self, encoding)
        ops: list[Op] = []
        x = self.x
        for i, decided in enumerate(self.segments):
            more, x = self.extend(i, chosen[decided[0] : decided[-1] + 1], x)
            ops += more
        return chain(self.x, ops)

    def placements(self) -> Iterator[Placement]:
        """Yield the rows of a table: every layer at every shape it can read, once."""
        yield from dict.fromkeys(self._placements())

    def _placements(self) -> Iterator[Placement]:
        stem = Placement(self._stem, (self.x,))
        yield stem
        shapes = {stem.y: None}
        for stage in self.stages:
            after: dict[Shape, None] = {}
            for x, kind, k, se, width, skip in product(shapes, _KINDS, _KERNELS, _SE, _WIDTHS, self.skips):
                c = round_width(stage.c * width)
                first = Placement(_layer(kind, k, se, skip, c, stage.s, x), (x,))
                yield first
                after[first.y] = None
                if stage.depth(max(_DEPTHS)) > 1:
                    yield Placement(_layer(kind, k, se, skip, c, 1, first.y), (first.y,))
            shapes = after
        yield from (Placement(self._head, (x,)) for x in shapes)


@spaces.register("mnasnet")
def mnasnet(classes: int = 1000, image_size: int = 224, channels: int = 3) -> SearchSpace:
    """MnasNet's space for 224 px: 7 blocks of 432 options around MobileNetV2, stem 32, head 1280."""
    return MnasNetSpace("mnasnet", _input(image_size, channels), classes, MOBILENET_V2, 32, 1280, _SKIPS)


@spaces.register("mnasnet-small")
def mnasnet_small(classes: int = 10, image_size: int = 28, channels: int = 1) -> SearchSpace:
    """The same for 28-32 px: 4 blocks of 144 options, identity skips, stem 16, head 256."""
    return MnasNetSpace("mnasnet-small", _input(image_size, channels), classes, SMALL, 16, 256, ("identity",))


def _input(image_size: int, channels: int) -> Shape:
    if image_size < 8:
        raise ConfigError(f"image_size must be at least 8 pixels for this space, got {image_size}")
    return Shape(channels, image_size, image_size)
