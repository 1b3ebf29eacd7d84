"""Blocks of the mobile search spaces (MnasNet, arXiv:1807.11626, fig. 4; MobileNetV3, arXiv:1905.02244)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mnas.ir import Layer, Op, Shape, arg, register_op
from mnas.ir.layers import Act, Conv, Join, Linear, Norm, Pool, Seq, seq

Nonlinearity = Literal["relu", "relu6", "hswish"]
Skip = Literal["identity", "none", "pool"]


def _conv(out: int, k: int = 1, s: int = 1, *, groups: int = 1, act: Nonlinearity | None = None) -> Layer:
    """Square convolution and batch norm, then `act` if given."""
    core = (Conv(out, (k, k), (s, s), groups=groups), Norm())
    return seq(*core, Act(act)) if act else seq(*core)


def _squeeze_excite(inner: int, c: int, gate: Literal["sigmoid", "hsigmoid"]) -> Layer:
    """Channel gate of SENet (arXiv:1709.01507): pool, reduce to `inner`, expand to `c`, multiply."""
    body = seq(Pool("avg"), Conv(inner, bias=True), Act(), Conv(c, bias=True), Act(gate))
    return Join("mul", (Seq(), body))


def _skip(kind: Skip, body: Layer, x: Shape, s: int) -> Layer:
    """Add the block's input to its output where `kind` says so.

    `identity` adds the input where shapes agree, and nothing elsewhere. `pool` does so too, and where shapes differ it
    adds the 3x3 average-pooled input at the block's stride, through a linear 1x1 convolution if channels change.
    """
    y = body.out_shape(x)
    if kind == "none" or (kind == "identity" and y != x):
        return body
    if y == x:
        return Join("add", (Seq(), body))
    pooled = Pool("avg", (3, 3), (s, s))
    return Join("add", (pooled if y.c == x.c else seq(pooled, _conv(y.c)), body))


@register_op("conv")
@dataclass(frozen=True)
class ConvBlock(Op):
    """k x k convolution, batch norm, non-linearity."""

    c: int = arg("c")
    k: int = arg("k", 3, hi=15)
    s: int = arg("s", 1, hi=8)
    act: Nonlinearity = arg("a", "relu")
    skip: Skip = arg("skip", "none")

    def layers(self, x: Shape) -> Layer:
        return _skip(self.skip, _conv(self.c, self.k, self.s, act=self.act), x, self.s)


@register_op("sepconv")
@dataclass(frozen=True)
class SepConv(Op):
    """Depthwise k x k, non-linearity, linear pointwise (MobileNetV1, arXiv:1704.04861; linear as in MobileNetV2)."""

    c: int = arg("c")
    k: int = arg("k", 3, hi=15)
    s: int = arg("s", 1, hi=8)
    act: Nonlinearity = arg("a", "relu")
    skip: Skip = arg("skip", "identity")

    def layers(self, x: Shape) -> Layer:
        body = seq(_conv(x.c, self.k, self.s, groups=x.c, act=self.act), _conv(self.c))
        return _skip(self.skip, body, x, self.s)


@register_op("mbconv")
@dataclass(frozen=True)
class MBConv(Op):
    """Inverted bottleneck (MobileNetV2, arXiv:1801.04381), optionally with squeeze-and-excite.

    The middle has `e` times the input's channels, or `middle` where given. `se` is the squeezed width relative to the
    block's *input* channels, as in MnasNet's reference code; `squeezed` gives it in channels (MobileNetV3). `gate` is
    the gate's non-linearity.
    """

    c: int = arg("c")
    k: int = arg("k", 3, hi=15)
    s: int = arg("s", 1, hi=8)
    e: int = arg("e", 6, hi=64)
    middle: int = arg("m", 0, lo=0)
    se: float = arg("se", 0.0, lo=0, hi=4)
    squeezed: int = arg("sem", 0, lo=0)
    act: Nonlinearity = arg("a", "relu")
    gate: Literal["sigmoid", "hsigmoid"] = arg("g", "sigmoid")
    skip: Skip = arg("skip", "identity")

    def layers(self, x: Shape) -> Layer:
        middle = self.middle or x.c * self.e
        squeezed = self.squeezed or (max(1, int(x.c * self.se)) if self.se else 0)
        body = seq(
            _conv(middle, act=self.act),
            _conv(middle, self.k, self.s, groups=middle, act=self.act),
            _squeeze_excite(squeezed, middle, self.gate) if squeezed else Seq(),
            _conv(self.c),
        )
        return _skip(self.skip, body, x, self.s)


@register_op("head")
@dataclass(frozen=True)
class Head(Op):
    """1x1 convolution to `c` channels, global average pool, classifier of `n` classes."""

    c: int = arg("c")
    classes: int = arg("n", 1000)
    act: Nonlinearity = arg("a", "relu")

    def layers(self, x: Shape) -> Layer:
        return seq(_conv(self.c, act=self.act), Pool("avg"), Linear(self.classes))


@register_op("headv3")
@dataclass(frozen=True)
class HeadV3(Op):
    """MobileNetV3's head (arXiv:1905.02244, fig. 5): 1x1 convolution, pool, a hidden layer of `h`, classifier."""

    c: int = arg("c")
    hidden: int = arg("h")
    classes: int = arg("n", 1000)
    act: Nonlinearity = arg("a", "hswish")

    def layers(self, x: Shape) -> Layer:
        head = seq(_conv(self.c, act=self.act), Pool("avg"), Linear(self.hidden), Act(self.act))
        return seq(head, Linear(self.classes))
