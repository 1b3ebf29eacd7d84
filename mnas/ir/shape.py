"""Tensor shapes and static costs as plain values. The batch axis is never part of a shape."""

from __future__ import annotations

import re
from typing import NamedTuple

from mnas.errors import ParseError


class Shape(NamedTuple):
    """Channels, height and width of one activation (C, H, W), batch excluded; printed `32x112x112`."""

    c: int
    h: int
    w: int

    def __str__(self) -> str:
        return f"{self.c}x{self.h}x{self.w}"

    @property
    def size(self) -> int:
        """Number of elements, C * H * W."""
        return self.c * self.h * self.w

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read `CxHxW` back.

        Raises:
            ParseError: not three positive integers.
        """
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", text)
        if match is None:
            raise ParseError(f"a shape is channels x height x width, such as 3x224x224; got {text!r}")
        return cls(*map(int, match.groups()))


class Cost(NamedTuple):
    """Static price of one sample; MACs are multiply-accumulates of convolutions and linear layers, half the FLOPs."""

    macs: int = 0
    params: int = 0

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.macs + other.macs, self.params + other.params)
