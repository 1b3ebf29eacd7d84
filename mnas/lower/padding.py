"""Which pixels a layer reads: SAME padding as TensorFlow does it, and windows. Every language asks here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnas.ir import Shape
from mnas.ir.layers import Pair, Window


def same(x: Shape, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> tuple[Pair, Pair]:
    """Pixels to add around a map of shape `x`, ((top, bottom), (left, right)).

    The output has ceil(size / stride) pixels; an odd total puts the extra one at the bottom and right.
    """
    top, left = (_pair(*axis) for axis in zip((x.h, x.w), kernel, stride, dilation, strict=True))
    return top, left


def _pair(size: int, kernel: int, stride: int, dilation: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pixels(x: Shape, kernel: Pair, stride: Pair) -> NDArray[np.float32]:
    """How many real pixels every window of a pool over `x` holds, (out h, out w)."""
    rows, columns = (
        np.minimum(first + k, size) - np.maximum(first, 0)
        for size, k, s, (before, _) in zip((x.h, x.w), kernel, stride, same(x, kernel, stride), strict=True)
        for first in [np.arange(0, size, s) - before]
    )
    return np.outer(rows, columns).astype(np.float32)


def cropped(window: Window, x: Shape) -> tuple[Pair, Pair, Pair, Pair]:
    """What a window takes of a map of shape `x`: start, end, zeros before, zeros after; each (rows, columns)."""
    top, left, bottom, right = window.top, window.left, window.top + window.h, window.left + window.w
    start, end = (max(top, 0), max(left, 0)), (min(bottom, x.h), min(right, x.w))
    return start, end, (start[0] - top, start[1] - left), (bottom - end[0], right - end[1])
