"""Single operators of a runtime, each with the non-linearity that is fused into it: what any model is made of.

A model that mnas did not write is read into these (`mnas.reading`), so that it can be priced by rows. Batch norms are
part of the convolution or linear layer before them, as in deployed files. Joins are `identity` or `activation` at a
place with several inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mnas.errors import ShapeError
from mnas.ir import Layer, Op, Shape, arg, register_op
from mnas.ir.layers import Act, Activation, Conv, Join, Linear, Norm, Pair, Pool, PoolKind, Seq, Window, seq

Fused = Literal["none", "relu", "relu6", "hswish", "sigmoid", "hsigmoid", "swish"]
Padding = Literal["same", "valid"]


def _act(kind: Fused) -> Layer:
    """A non-linearity, or nothing; swish is x * sigmoid(x) (arXiv:1710.05941)."""
    if kind == "none":
        return Seq()
    if kind == "swish":
        return Join("mul", (Seq(), Act("sigmoid")))
    word: Activation = kind
    return Act(word)


def _cropped(x: Shape, reach: Pair, stride: Pair) -> Layer:
    """What is left of a map of shape `x` so that SAME padding gives as many outputs as no padding gives on `x`.

    `reach` is how many rows and columns a window covers.
    """
    sizes = []
    for size, r, s in zip((x.h, x.w), reach, stride, strict=True):
        if r > size:
            raise ShapeError(f"a window of {reach[0]}x{reach[1]} does not fit into a map of {x} without padding")
        outputs = (size - r) // s + 1
        sizes.append(size if outputs == -(-size // s) else outputs * s)
    (h, w), (top, left) = sizes, ((x.h - sizes[0]) // 2, (x.w - sizes[1]) // 2)
    return Seq() if (h, w) == (x.h, x.w) else Window(top, left, h, w)


@register_op("conv2d")
@dataclass(frozen=True)
class Conv2d(Op):
    """Convolution with bias of kernel kh x kw, in `g` groups.

    Without padding (`valid`) the same number of outputs is computed on a cropped map, since convolutions pad SAME.
    """

    c: int = arg("c")
    kh: int = arg("kh", 1, hi=1024)
    kw: int = arg("kw", 1, hi=1024)
    sh: int = arg("sh", 1, hi=64)
    sw: int = arg("sw", 1, hi=64)
    dh: int = arg("dh", 1, hi=64)
    dw: int = arg("dw", 1, hi=64)
    groups: int = arg("g", 1)
    padding: Padding = arg("p", "same")
    act: Fused = arg("a", "none")

    def layers(self, x: Shape) -> Layer:
        stride, dilation = (self.sh, self.sw), (self.dh, self.dw)
        reach = ((self.kh - 1) * self.dh + 1, (self.kw - 1) * self.dw + 1)
        core = Conv(self.c, (self.kh, self.kw), stride, dilation, self.groups, bias=True)
        return seq(_cropped(x, reach, stride) if self.padding == "valid" else Seq(), core, _act(self.act))


@register_op("pool2d")
@dataclass(frozen=True)
class Pool2d(Op):
    """Pooling of kernel kh x kw; without padding (`valid`) on a cropped map, as for `conv2d`."""

    kind: PoolKind = arg("t", "max")
    kh: int = arg("kh", 2, hi=1024)
    kw: int = arg("kw", 2, hi=1024)
    sh: int = arg("sh", 1, hi=64)
    sw: int = arg("sw", 1, hi=64)
    padding: Padding = arg("p", "same")

    def layers(self, x: Shape) -> Layer:
        kernel, stride = (self.kh, self.kw), (self.sh, self.sw)
        return seq(_cropped(x, kernel, stride) if self.padding == "valid" else Seq(), Pool(self.kind, kernel, stride))


@register_op("globalpool")
@dataclass(frozen=True)
class GlobalPool(Op):
    """The whole map pooled to one pixel."""

    kind: PoolKind = arg("t", "avg")

    def layers(self, x: Shape) -> Layer:
        return Pool(self.kind)


@register_op("linear")
@dataclass(frozen=True)
class LinearOp(Op):
    """Fully connected layer with bias; on a map of more than one pixel it is the convolution as large as the map."""

    c: int = arg("c")
    act: Fused = arg("a", "none")

    def layers(self, x: Shape) -> Layer:
        if (x.h, x.w) == (1, 1):
            return seq(Linear(self.c), _act(self.act))
        return Conv2d(self.c, x.h, x.w, padding="valid", act=self.act).layers(x)


@register_op("norm")
@dataclass(frozen=True)
class NormOp(Op):
    """Scale and shift per channel that no convolution took in."""

    act: Fused = arg("a", "none")

    def layers(self, x: Shape) -> Layer:
        return seq(Norm(), _act(self.act))


@register_op("activation")
@dataclass(frozen=True)
class Activate(Op):
    """A non-linearity alone, or of a join."""

    act: Literal["relu", "relu6", "hswish", "sigmoid", "hsigmoid", "swish"] = arg("a", "relu")

    def layers(self, x: Shape) -> Layer:
        return _act(self.act)


@register_op("pad")
@dataclass(frozen=True)
class Pad(Op):
    """Zeros around the map."""

    top: int = arg("t", 0, lo=0, hi=1024)
    bottom: int = arg("b", 0, lo=0, hi=1024)
    left: int = arg("l", 0, lo=0, hi=1024)
    right: int = arg("r", 0, lo=0, hi=1024)

    def layers(self, x: Shape) -> Layer:
        return Window(-self.top, -self.left, self.top + x.h + self.bottom, self.left + x.w + self.right)


@register_op("crop")
@dataclass(frozen=True)
class Crop(Op):
    """The map without some of its outer rows and columns."""

    top: int = arg("t", 0, lo=0)
    bottom: int = arg("b", 0, lo=0)
    left: int = arg("l", 0, lo=0)
    right: int = arg("r", 0, lo=0)

    def layers(self, x: Shape) -> Layer:
        return Window(self.top, self.left, x.h - self.top - self.bottom, x.w - self.left - self.right)
