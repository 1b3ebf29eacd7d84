"""Shapes and costs of the nine words, and the trees they refuse."""

from __future__ import annotations

import pytest

from mnas.errors import ShapeError
from mnas.ir import Cost, Layer, Shape
from mnas.ir.layers import Act, Conv, Join, Linear, Norm, Pool, Seq, Window, Zero, joined, seq

X = Shape(8, 7, 6)


@pytest.mark.parametrize(
    ("layer", "y", "cost"),
    [
        (Conv(4, (3, 1), (2, 1)), Shape(4, 4, 6), Cost(4 * 8 * 3 * 24, 4 * 8 * 3)),
        (Conv(8, (3, 3), groups=8, bias=True), X, Cost(8 * 9 * 42, 8 * 9 + 8)),
        (Conv(16, (5, 5), (1, 1), (2, 2), groups=4), Shape(16, 7, 6), Cost(16 * 2 * 25 * 42, 16 * 2 * 25)),
        (Norm(), X, Cost(0, 16)),
        (Act("hswish"), X, Cost()),
        (Pool("max", (3, 3), (2, 2)), Shape(8, 4, 3), Cost()),
        (Pool("avg"), Shape(8, 1, 1), Cost()),
        (seq(Pool("avg"), Linear(5)), Shape(5, 1, 1), Cost(40, 45)),
        (Window(-1, 2, 9, 2), Shape(8, 9, 2), Cost()),
        (Zero((2, 2)), Shape(8, 4, 3), Cost()),
        (Seq(), X, Cost()),
        (Join("add", (Seq(), Norm())), X, Cost(0, 16)),
        (Join("mul", (Pool("avg"), Seq())), X, Cost()),
        (Join("cat", (Seq(), Conv(2))), Shape(10, 7, 6), Cost(2 * 8 * 42, 16)),
    ],
)
def test_shape_and_cost(layer: Layer, y: Shape, cost: Cost) -> None:
    assert layer.out_shape(X) == y
    assert layer.cost(X) == cost


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Join("add", (Seq(), Conv(4))), "cannot join"),
        (Join("mul", (Seq(), Conv(4))), "cannot join"),
        (Join("cat", (Seq(), Pool("avg"))), "cannot join"),
        (Join("add", ()), "at least one"),
        (Conv(8, groups=3), "do not divide"),
        (Conv(9, groups=2), "do not divide"),
        (Linear(10), "pool first"),
        (Window(7, 0, 2, 2), "does not overlap"),
        (seq(Conv(4), Join("add", (Seq(), Conv(5)))), "cannot join"),
    ],
)
def test_trees_that_cannot_be(layer: Layer, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.out_shape(X)


def test_words_check_their_own_ranges() -> None:
    for make in (
        lambda: Conv(4, (0, 1)),
        lambda: Conv(4, stride=(1, 0)),
        lambda: Pool("max", (0, 0)),
        lambda: Pool("avg", None, (2, 2)),
        lambda: Zero((0, 1)),
    ):
        with pytest.raises(ShapeError):
            make()


def test_a_product_broadcasts_single_pixels_only() -> None:
    assert joined("mul", (Shape(8, 1, 1), X)) == X
    with pytest.raises(ShapeError, match="8x7x6, 8x7x1"):
        joined("mul", (X, Shape(8, 7, 1)))
