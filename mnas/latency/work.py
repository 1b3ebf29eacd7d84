"""What kinds of work an op is made of, in primitive words: how devices may differ from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mnas.ir import Layer, Placement, Shape
from mnas.ir.layers import Act, Conv, Join, Linear, Pool, Seq, Window


def shares(placement: Placement) -> dict[str, float]:
    """Which share of an op's work is of which kind: MACs, or the elements that are read where there are none.

    Kinds are words with what changes their speed: dense or grouped convolution of a kernel, pooling, activation, join.
    """
    amounts: Counter[str] = Counter()
    for kind, amount in _kinds(placement.op.layers(placement.x), placement.x):
        amounts[kind] += amount
    if placement.join:
        amounts[placement.join] += sum(x.size for x in placement.inputs)
    total = amounts.total()
    return {kind: amount / total for kind, amount in amounts.items() if amount}


def _kinds(layer: Layer, x: Shape) -> Iterator[tuple[str, int]]:
    match layer:
        case Seq(layers):
            for part in layers:
                yield from _kinds(part, x)
                x = part.out_shape(x)
        case Join(kind, branches):
            for branch in branches:
                yield from _kinds(branch, x)
            yield kind, x.size * len(branches)
        case Conv(kernel=kernel, groups=groups):
            grouped = "grouped " if groups > 1 else ""
            yield f"{grouped}convolution {kernel[0]}x{kernel[1]}", layer.cost(x).macs
        case Linear():
            yield "linear", layer.cost(x).macs
        case Pool(kind) | Act(kind):
            yield kind, x.size
        case Window():
            yield "window", x.size
        case _:
            pass  # a norm is folded into a neighbour, zeros are a constant
