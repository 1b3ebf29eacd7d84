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
from mnas.ir import Architecture, Node, Op, Placement, Shape, chain
from mnas.ops.cell import Identity
from mnas.ops.mobile import ConvBlock, Head, MBConv, SepConv, Skip
from mnas.spaces.protocol import Choice, Encoding, Option, SearchSpace, spaces, values
from mnas.spaces.relaxation import Candidate, Condition, Mixture, Probabilities, Relaxation, Widths, options_of

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

    @property
    def priced(self) -> Relaxation:
        """What is searched has the space's own size (see `RelaxedSpace`)."""
        return self.relax()

    def relax(self, cells: int | None = None, channels: int | None = None) -> Relaxation:
        """Every layer a mixture of its ops at the widest (see `RelaxedSpace`); decisions are the choices.

        Layers of a block share its decisions. One that a shallower block lacks may also be the identity. Narrower
        widths leave channels of the widest out, so that squeezed and expanded channels are those of the widest.
        """
        if cells is not None or channels is not None:
            raise ConfigError(f"space {self.name} has no cells to stack: it is searched at its own size")
        nodes: list[Node | Mixture] = [Node(self._stem, (0,))]
        x = self._stem.out_shape(self.x)
        for i in range(len(self.stages)):
            mixtures, x = self._mixtures(i, x, len(nodes))
            nodes += mixtures
        nodes.append(Node(self._head, (len(nodes),)))
        return Relaxation(self.x, self.choices, tuple(nodes))

    def _mixtures(self, segment: int, x: Shape, source: int) -> tuple[list[Mixture], Shape]:
        """The layers of a stage that reads value `source` of shape `x`, and the shape they give."""
        stage, names = self.stages[segment], list(self._decisions)
        first = len(names) * segment
        numbers = {name: first + i for i, name in enumerate(names)}
        widths = tuple(round_width(stage.c * width) for width in _WIDTHS)
        mixtures = []
        for j in range(stage.depth(max(_DEPTHS))):
            deep = tuple(option for option, delta in enumerate(_DEPTHS) if stage.depth(delta) > j)
            shallow = tuple(option for option in range(len(_DEPTHS)) if option not in deep)
            there: Condition = ((numbers["depth"], deep),) if shallow else ()
            mixed = [
                Candidate(op, source + j, tuple((numbers[name], picked) for name, picked in when) + there)
                for op, when in self._candidates(max(widths), stage.s if j == 0 else 1, x)
            ]
            if shallow:
                mixed.append(Candidate(Identity(), source + j, ((numbers["depth"], shallow),)))
            mixtures.append(Mixture(tuple(mixed), widths=Widths(numbers["width"], widths, read=j > 0)))
            x = mixed[0].op.out_shape(x)
        return mixtures, x

    def _candidates(self, c: int, s: int, x: Shape) -> Iterator[tuple[Op, list[tuple[str, tuple[int, ...]]]]]:
        """The ops of one layer that reads shape `x`, each once, and the options of the decisions that mean it."""
        names = [name for name in ("op", "kernel", "se", "skip") if name in self._decisions]
        found: dict[Op, list[tuple[int, ...]]] = {}
        for chosen in product(*(range(len(self._decisions[name])) for name in names)):
            named = {name: self._decisions[name][option] for name, option in zip(names, chosen, strict=True)}
            skip = str(named.get("skip", self.skips[0]))
            op = _layer(str(named["op"]), int(named["kernel"]), float(named["se"]), skip, c, s, x)
            found.setdefault(op, []).append(chosen)
        for op, rows in found.items():
            yield op, [(names[k], picked) for k, picked in options_of(rows)]

    def discretise(self, probabilities: Probabilities) -> Encoding:
        """The likeliest option of every choice (see `RelaxedSpace`)."""
        return tuple(int(each.argmax()) for each in probabilities)

    def identity_share(self, encoding: Encoding) -> float:
        """Share of the layers of the deepest network that this one lacks (see `RelaxedSpace`)."""
        deepest = sum(stage.depth(max(_DEPTHS)) for stage in self.stages)
        return 1 - (len(self.decode(encoding).nodes) - 2) / deepest


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
