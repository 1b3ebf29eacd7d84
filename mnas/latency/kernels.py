"""What a placement makes a device do: the kernels that its words stand for.

Batch norm and ReLU cost nothing after a convolution, which takes them in.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Literal, NamedTuple

from mnas.ir import Layer, Placement, Shape
from mnas.ir.layers import Act, Conv, Join, Linear, Norm, Pair, Pool, Seq, Window, Zero

Kind = Literal["dense", "depthwise", "pool", "join", "pointwise", "move"]


class Kernel(NamedTuple):
    """One kernel.

    Attributes:
        kind: what it computes.
        name: more narrowly: with the size of its window, or the function.
        macs: multiply-accumulates.
        moved: elements read and written, without weights.
        weights: parameters read.
        pixels: of its output.
        window: height times width of what one output reads.
        stride: of the window, down.
    """

    kind: Kind
    name: str
    macs: int
    moved: int
    weights: int
    pixels: int
    window: int = 1
    stride: int = 1


@lru_cache(maxsize=65536)
def kernels(placement: Placement) -> tuple[Kernel, ...]:
    """The kernels of a placement in order of execution, the join of its inputs first."""
    x = placement.x
    joins = [_join(placement.join, placement.inputs, x)] if len(placement.inputs) > 1 else []
    return (*joins, *_kernels(placement.op.layers(x), x, fuses=False))


def shares(placement: Placement) -> dict[str, float]:
    """Which share of a placement's work is of kernels of which name: MACs, or moved elements where there are none."""
    amounts: Counter[str] = Counter()
    for kernel in kernels(placement):
        amounts[kernel.name] += kernel.macs or kernel.moved
    total = amounts.total()
    return {name: amount / total for name, amount in amounts.items()}


def _kernels(layer: Layer, x: Shape, *, fuses: bool) -> list[Kernel]:
    """Kernels of a word; `fuses` where what comes before it takes in norms and simple non-linearities."""
    found: list[Kernel] = []
    match layer:
        case Seq(layers):
            for part in layers:
                found += _kernels(part, x, fuses=fuses)
                fuses = isinstance(part, (Conv, Linear)) or (fuses and isinstance(part, Norm))
                x = part.out_shape(x)
        case Join(kind, branches):
            for branch in branches:
                found += _kernels(branch, x, fuses=False)
            if len(branches) > 1:
                found.append(_join(kind, tuple(branch.out_shape(x) for branch in branches), layer.out_shape(x)))
        case Norm() | Act(kind="relu" | "relu6") if fuses:
            pass
        case Zero():
            pass
        case _:
            found.append(_alone(layer, x))
    return found


def _alone(layer: Conv | Norm | Act | Pool | Linear | Window, x: Shape) -> Kernel:
    y, cost = layer.out_shape(x), layer.cost(x)
    moved, pixels = x.size + y.size, y.h * y.w
    match layer:
        case Conv(kernel=window, stride=stride):
            kind: Kind = "depthwise" if layer.groups == x.c > 1 else "dense"
            name = f"{kind} {_size(window)}" + (" dilated" if layer.dilation != (1, 1) else "")
            return Kernel(kind, name, cost.macs, moved, cost.params, pixels, window[0] * window[1], stride[0])
        case Linear():
            return Kernel("dense", f"dense {_size((1, 1))}", cost.macs, moved, cost.params, pixels)
        case Pool(kind=function, kernel=part, stride=stride):
            h, w = part or (x.h, x.w)
            name = f"{function} pool {_size(part) if part else 'of all'}"
            return Kernel("pool", name, 0, moved, 0, pixels, h * w, stride[0])
        case Act(kind=function):
            return Kernel("pointwise", function, 0, moved, 0, pixels)
        case Norm():
            return Kernel("pointwise", "norm", 0, moved, cost.params, pixels)
        case Window():
            return Kernel("move", "window", 0, moved, 0, pixels)


def _join(kind: str, inputs: tuple[Shape, ...], y: Shape) -> Kernel:
    return Kernel("join", kind, 0, sum(x.size for x in inputs) + y.size, 0, y.h * y.w)


def _size(window: Pair) -> str:
    return f"{window[0]}x{window[1]}"
