"""Ops of cell search spaces.

NASNet (arXiv:1707.07012, sec. 3), DARTS (arXiv:1806.09055, sec. 3.1) and NAS-Bench-201 (arXiv:2001.00326, sec. 2). Edge
ops keep the number of channels, unless they are told `c`; a strided edge halves the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mnas.ir import Layer, Op, Shape, arg, register_op
from mnas.ir.layers import Act, Conv, Join, Linear, Norm, Pair, Pool, PoolKind, Seq, Window, Zero, seq


def _factorized_reduce(x: Shape, c: int) -> Layer:
    """ReLU, two strided 1x1 convolutions, the second on the odd pixels, concatenated, batch norm."""
    odd = Window(1, 1, 2 * -(-x.h // 2) - 1, 2 * -(-x.w // 2) - 1)
    first, second = (Conv(n, stride=(2, 2)) for n in (c // 2, c - c // 2))
    return seq(Act(), Join("cat", (first, seq(odd, second))), Norm())


def _separable(x: Shape, c: int, k: int, s: int, dilation: int = 1) -> Layer:
    """ReLU, depthwise, pointwise to `c` channels, batch norm."""
    depthwise = Conv(x.c, (k, k), (s, s), (dilation, dilation), groups=x.c)
    return seq(Act(), depthwise, Conv(c), Norm())


@register_op("identity")
@dataclass(frozen=True)
class Identity(Op):
    """The input as it is: a join's own node, or an edge that skips."""

    def layers(self, x: Shape) -> Layer:
        return Seq()


@register_op("zero")
@dataclass(frozen=True)
class Nothing(Op):
    """Zeros of the (strided) input's shape: the edge op `none`."""

    s: int = arg("s", 1, hi=8)

    def layers(self, x: Shape) -> Layer:
        return Zero((self.s, self.s))


@register_op("align")
@dataclass(frozen=True)
class Align(Op):
    """Bring a map to `c` channels: ReLU, 1x1 convolution, batch norm; at stride 2 DARTS's factorised reduction."""

    c: int = arg("c", lo=2)
    s: int = arg("s", 1, hi=2)

    def layers(self, x: Shape) -> Layer:
        return seq(Act(), Conv(self.c), Norm()) if self.s == 1 else _factorized_reduce(x, self.c)


@register_op("pool")
@dataclass(frozen=True)
class PoolOp(Op):
    """k x k pooling; with `c` a 1x1 convolution and batch norm follow."""

    kind: PoolKind = arg("t", "max")
    k: int = arg("k", 3, hi=15)
    s: int = arg("s", 1, hi=8)
    c: int = arg("c", 0, lo=0)

    def layers(self, x: Shape) -> Layer:
        pool = Pool(self.kind, (self.k, self.k), (self.s, self.s))
        return seq(pool, Conv(self.c), Norm()) if self.c else pool


@register_op("sep")
@dataclass(frozen=True)
class Sep(Op):
    """ReLU, depthwise k x k, pointwise, batch norm, applied twice; the first has the stride, and gives `c` channels."""

    k: int = arg("k", 3, hi=15)
    s: int = arg("s", 1, hi=8)
    c: int = arg("c", 0, lo=0)

    def layers(self, x: Shape) -> Layer:
        c = self.c or x.c
        return seq(_separable(x, c, self.k, self.s), _separable(x._replace(c=c), c, self.k, 1))


@register_op("dil")
@dataclass(frozen=True)
class Dil(Op):
    """ReLU, dilated (rate 2) depthwise k x k, pointwise, batch norm."""

    k: int = arg("k", 3, hi=15)
    s: int = arg("s", 1, hi=8)

    def layers(self, x: Shape) -> Layer:
        return _separable(x, x.c, self.k, self.s, dilation=2)


@register_op("rcb")
@dataclass(frozen=True)
class ReluConvBn(Op):
    """ReLU, kh x kw convolution, batch norm; with `kw2` and `kh2` a second one follows (1x7 then 7x1)."""

    c: int = arg("c")
    kh: int = arg("kh", 3, hi=15)
    kw: int = arg("kw", 3, hi=15)
    sh: int = arg("sh", 1, hi=8)
    sw: int = arg("sw", 1, hi=8)
    dilation: int = arg("d", 1, hi=8)
    kh2: int = arg("khh", 0, lo=0, hi=15)
    kw2: int = arg("kww", 0, lo=0, hi=15)
    sh2: int = arg("shh", 1, hi=8)
    sw2: int = arg("sww", 1, hi=8)

    def layers(self, x: Shape) -> Layer:
        d = (self.dilation, self.dilation)
        first = seq(Act(), Conv(self.c, (self.kh, self.kw), (self.sh, self.sw), d), Norm())
        if not (self.kh2 and self.kw2):
            return first
        second: Pair = (self.kh2, self.kw2)
        return seq(first, Act(), Conv(self.c, second, (self.sh2, self.sw2)), Norm())


@register_op("reduceblock")
@dataclass(frozen=True)
class ReduceBlock(Op):
    """NAS-Bench-201's residual block between stages: two 3x3 convolutions, stride 2, beside a pooled 1x1 shortcut."""

    c: int = arg("c")

    def layers(self, x: Shape) -> Layer:
        def conv(s: int) -> Layer:
            return seq(Act(), Conv(self.c, (3, 3), (s, s)), Norm())

        shortcut = seq(Pool("avg", (2, 2), (2, 2)), Conv(self.c))
        return Join("add", (shortcut, seq(conv(2), conv(1))))


@register_op("stem")
@dataclass(frozen=True)
class Stem(Op):
    """3x3 convolution and batch norm, no non-linearity."""

    c: int = arg("c")
    s: int = arg("s", 1, hi=8)

    def layers(self, x: Shape) -> Layer:
        return seq(Conv(self.c, (3, 3), (self.s, self.s)), Norm())


@register_op("classifier")
@dataclass(frozen=True)
class Classifier(Op):
    """Global average pool and a linear layer of `n` classes.

    `relu` puts a ReLU before (NASNet), `norm` batch norm and ReLU (NAS-Bench-201).
    """

    classes: int = arg("n", 10)
    before: Literal["nothing", "norm", "relu"] = arg("b", "nothing")

    def layers(self, x: Shape) -> Layer:
        tail = (Pool("avg"), Linear(self.classes))
        match self.before:
            case "norm":
                return seq(Norm(), Act(), *tail)
            case "relu":
                return seq(Act(), *tail)
            case _:
                return seq(*tail)
