"""The nine primitive words. An op says what it is made of in these only.

Everything else mnas knows about an op (its output shape, MACs and parameters, its torch module, its ONNX nodes and
TFLite operators) is a fold over this small tree. Spatial pairs are (height, width). Convolution and pooling pad SAME
as TensorFlow does: the output is ceil(size / stride), odd padding goes to the bottom and right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mnas.errors import ShapeError
from mnas.ir.shape import Cost, Shape

Activation = Literal["relu", "relu6", "hswish", "sigmoid", "hsigmoid"]
PoolKind = Literal["avg", "max"]
JoinKind = Literal["add", "mul", "cat"]
Pair = tuple[int, int]


def _strided(x: Shape, c: int, stride: Pair) -> Shape:
    return Shape(c, -(-x.h // stride[0]), -(-x.w // stride[1]))


def _positive(layer: object, **pairs: Pair) -> None:
    for name, pair in pairs.items():
        if min(pair) < 1:
            raise ShapeError(f"{name} must be at least 1 in both directions: {layer}")


@dataclass(frozen=True, slots=True)
class Conv:
    """2-D convolution to `out` channels, SAME padding, weight (out, in / groups, *kernel)."""

    out: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = False

    def __post_init__(self) -> None:
        _positive(self, kernel=self.kernel, stride=self.stride, dilation=self.dilation)

    def out_shape(self, x: Shape) -> Shape:
        if self.groups < 1 or self.out < 1 or x.c % self.groups or self.out % self.groups:
            raise ShapeError(f"{self.groups} groups do not divide {x.c} input and {self.out} output channels")
        return _strided(x, self.out, self.stride)

    def cost(self, x: Shape) -> Cost:
        y = self.out_shape(x)
        weights = self.out * (x.c // self.groups) * self.kernel[0] * self.kernel[1]
        return Cost(macs=weights * y.h * y.w, params=weights + self.out * self.bias)


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch normalisation with scale and shift; folded into the convolution before it when deployed."""

    def out_shape(self, x: Shape) -> Shape:
        return x

    def cost(self, x: Shape) -> Cost:
        return Cost(params=2 * x.c)


@dataclass(frozen=True, slots=True)
class Act:
    """Pointwise non-linearity."""

    kind: Activation = "relu"

    def out_shape(self, x: Shape) -> Shape:
        return x

    def cost(self, x: Shape) -> Cost:
        return Cost()


@dataclass(frozen=True, slots=True)
class Pool:
    """Average or max pooling, SAME padding that never counts as data; `kernel=None` pools the whole map to 1x1."""

    kind: PoolKind
    kernel: Pair | None = None
    stride: Pair = (1, 1)

    def __post_init__(self) -> None:
        _positive(self, kernel=self.kernel or (1, 1), stride=self.stride)
        if self.kernel is None and self.stride != (1, 1):
            raise ShapeError(f"a global pool has no stride, got {self.stride}")

    def out_shape(self, x: Shape) -> Shape:
        return _strided(x, x.c, self.stride) if self.kernel else Shape(x.c, 1, 1)

    def cost(self, x: Shape) -> Cost:
        return Cost()


@dataclass(frozen=True, slots=True)
class Linear:
    """Fully connected layer with bias on a 1x1 map, weight (out, in)."""

    out: int

    def out_shape(self, x: Shape) -> Shape:
        if (x.h, x.w) != (1, 1):
            raise ShapeError(f"a linear layer reads a 1x1 map, got {x}; pool first")
        return Shape(self.out, 1, 1)

    def cost(self, x: Shape) -> Cost:
        return Cost(macs=x.c * self.out, params=x.c * self.out + self.out)


@dataclass(frozen=True, slots=True)
class Window:
    """The h x w window of the input that starts at (top, left); crops, or pads with zeros outside the map."""

    top: int
    left: int
    h: int
    w: int

    def out_shape(self, x: Shape) -> Shape:
        rows = min(self.top + self.h, x.h) - max(self.top, 0)
        columns = min(self.left + self.w, x.w) - max(self.left, 0)
        if rows < 1 or columns < 1:
            raise ShapeError(f"{self} does not overlap a map of {x}")
        return Shape(x.c, self.h, self.w)

    def cost(self, x: Shape) -> Cost:
        return Cost()


@dataclass(frozen=True, slots=True)
class Zero:
    """Zeros of the (strided) input's shape: an edge that carries nothing."""

    stride: Pair = (1, 1)

    def __post_init__(self) -> None:
        _positive(self, stride=self.stride)

    def out_shape(self, x: Shape) -> Shape:
        return _strided(x, x.c, self.stride)

    def cost(self, x: Shape) -> Cost:
        return Cost()


@dataclass(frozen=True, slots=True)
class Seq:
    """Layers one after another; `Seq()` is the identity."""

    layers: tuple[Layer, ...] = ()

    def out_shape(self, x: Shape) -> Shape:
        for layer in self.layers:
            x = layer.out_shape(x)
        return x

    def cost(self, x: Shape) -> Cost:
        total = Cost()
        for layer in self.layers:
            total += layer.cost(x)
            x = layer.out_shape(x)
        return total


@dataclass(frozen=True, slots=True)
class Join:
    """Branches over one input, their outputs added, multiplied (1x1 maps broadcast) or concatenated on channels."""

    kind: JoinKind
    branches: tuple[Layer, ...]

    def out_shape(self, x: Shape) -> Shape:
        return joined(self.kind, tuple(branch.out_shape(x) for branch in self.branches))

    def cost(self, x: Shape) -> Cost:
        return sum((branch.cost(x) for branch in self.branches), Cost())


Layer = Conv | Norm | Act | Pool | Linear | Window | Zero | Seq | Join


def seq(*layers: Layer) -> Seq:
    """`Seq` of its arguments: `seq(Conv(8), Norm(), Act())`."""
    return Seq(layers)


def joined(kind: JoinKind, shapes: tuple[Shape, ...]) -> Shape:
    """The shape of a join of `shapes`.

    Raises:
        ShapeError: nothing to join, maps of unequal size (concatenation), or unequal shapes (addition; multiplication
            too, but for 1x1 maps, which broadcast).
    """
    if not shapes:
        raise ShapeError(f"a join ({kind}) needs at least one input")
    match kind:
        case "cat":
            fits = len({(s.h, s.w) for s in shapes}) == 1
            out = shapes[0]._replace(c=sum(s.c for s in shapes))
        case "add":
            fits, out = len(set(shapes)) == 1, shapes[0]
        case "mul":
            out = max(shapes, key=lambda s: s.h * s.w)
            fits = all(s == out or s == Shape(out.c, 1, 1) for s in shapes)
        case _:
            raise ShapeError(f"a join adds, multiplies or concatenates (add, mul, cat), not {kind!r}")
    if not fits:
        raise ShapeError(f"cannot join ({kind}) shapes {', '.join(map(str, shapes))}")
    return out
