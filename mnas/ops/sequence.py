"""Ops of the sequence space of NAS-RL (arXiv:1611.01578, sec. 3)."""

from __future__ import annotations

from dataclasses import dataclass

from mnas.ir import Layer, Op, Shape, arg, register_op
from mnas.ir.layers import Act, Conv, Norm, Window, seq


@register_op("cbr")
@dataclass(frozen=True)
class ConvBnRelu(Op):
    """kh x kw convolution at stride sh x sw, batch norm, ReLU."""

    c: int = arg("c")
    kh: int = arg("kh", 3, hi=15)
    kw: int = arg("kw", 3, hi=15)
    sh: int = arg("sh", 1, hi=8)
    sw: int = arg("sw", 1, hi=8)

    def layers(self, x: Shape) -> Layer:
        return seq(Conv(self.c, (self.kh, self.kw), (self.sh, self.sw)), Norm(), Act())


@register_op("window")
@dataclass(frozen=True)
class Centred(Op):
    """The h x w window in the middle of the map: zeros where the map is smaller, cropped where it is larger."""

    h: int = arg("h")
    w: int = arg("w")

    def layers(self, x: Shape) -> Layer:
        return Window((x.h - self.h) // 2, (x.w - self.w) // 2, self.h, self.w)
