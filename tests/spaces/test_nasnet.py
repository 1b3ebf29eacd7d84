"""NASNet's cells: the released ones by their published size, and the rules of a cell."""

from __future__ import annotations

from collections import Counter

import pytest

from mnas.errors import ConfigError, ShapeError
from mnas.ir import Architecture, Shape
from mnas.spaces import size, space
from mnas.spaces.nasnet import NASNET_A, OPS, Block, Cell, Genotype, NasNetSpace, Stack, edge, network

SMALL = NasNetSpace("small", Shape(1, 28, 28), 10, Stack(8, 1))


def test_released_network() -> None:
    """5.3 M parameters and 564 M multiply-adds of convolutions and the classifier, without the auxiliary one."""
    mobile = network(NASNET_A, Stack(44, 4, "imagenet"), x=Shape(3, 224, 224), classes=1000)
    assert mobile.cost.params == pytest.approx(5.3e6, rel=0.01)
    assert mobile.cost.macs == pytest.approx(564e6, rel=0.01)
    assert mobile.placements[-1].x == Shape(1056, 7, 7)
    cifar = network(NASNET_A, Stack(32, 6), x=Shape(3, 32, 32), classes=10)
    assert cifar.cost.params == pytest.approx(3.3e6, rel=0.02)
    assert cifar.placements[-1].x == Shape(768, 8, 8)


def test_sizes() -> None:
    states = (2 * 3 * 4 * 5 * 6) ** 2
    assert len(SMALL.choices) == 2 * 5 * 5
    assert size(SMALL) == (states * 13**10 * 2**5) ** 2
    assert len(OPS) == 13
    assert len(list(SMALL.placements())) == 241
    assert len(list(space("nasnet-mobile").placements())) == 389


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("x", "c", "s"), [((8, 14, 14), 8, 1), ((8, 15, 13), 8, 2), ((24, 14, 14), 8, 1)])
def test_ops_give_the_width_and_map_of_the_cell(op: str, x: tuple[int, int, int], c: int, s: int) -> None:
    shape = Shape(*x)
    assert edge(op, shape, c, s).out_shape(shape) == Shape(c, -(-shape.h // s), -(-shape.w // s))


def test_ops_are_those_of_the_paper() -> None:
    x = Shape(16, 14, 14)
    texts = [str(edge(op, x, 16, 1)) for op in OPS]
    assert texts == [
        "identity", "rcb_c16_kh1_khh3_kww1", "rcb_c16_kh1_kw7_khh7_kww1", "rcb_c16_d2", "pool_tavg", "pool", "pool_k5",
        "pool_k7", "rcb_c16_kh1_kw1", "rcb_c16", "sep", "sep_k5", "sep_k7",
    ]  # fmt: skip
    assert str(edge("conv_1x7_7x1", x, 16, 2)) == "rcb_c16_kh1_kw7_sw2_khh7_kww1_shh2"
    assert str(edge("identity", x, 16, 2)) == "align_c16_s2"
    assert str(edge("max_pool_3x3", x._replace(c=32), 16, 1)) == "pool_c16"


def _one_cell(*blocks: Block, outputs: tuple[int, ...] = ()) -> Architecture:
    cell = Cell(blocks, outputs)
    return network(Genotype(cell, cell), Stack(8, 1), x=Shape(1, 28, 28), classes=10)


def test_unread_states_are_the_output() -> None:
    both = (Block(0, 1, "conv_1x1", "conv_3x3"), Block(0, 1, "conv_3x3", "avg_pool_3x3"))
    assert _one_cell(*both).placements[-1].x == Shape(2 * 32, 7, 7)
    assert _one_cell(*both, Block(2, 3, "conv_1x1", "identity")).placements[-1].x == Shape(32, 7, 7)
    assert _one_cell(*both, outputs=(2,)).placements[-1].x == Shape(32, 7, 7)


def test_concatenated_states_are_brought_to_the_width_of_the_cell() -> None:
    wide = _one_cell(Block(1, 1, "conv_1x1", "identity", "cat"))
    assert wide.placements[-1].x == Shape(64, 7, 7)
    read = _one_cell(Block(1, 1, "conv_1x1", "identity", "cat"), Block(2, 2, "sep_conv_3x3", "max_pool_3x3"))
    assert read.placements[-1].x == Shape(32, 7, 7)
    used = Counter(str(placement) for placement in read.placements)
    assert used["sep_c32@64x7x7"] == used["pool_c32@64x7x7"] == 2  # in the last reduction cell and in the last normal


def test_an_input_among_the_outputs() -> None:
    """A normal cell can hold h[i-1] in its output; in a reduction cell its map is too large."""
    block = Block(0, 1, "conv_1x1", "conv_1x1")
    normal = Genotype(Cell((block,), outputs=(0, 2)), Cell((block,)))
    assert network(normal, Stack(8, 2), x=Shape(1, 28, 28), classes=10).placements[-1].x == Shape(64, 7, 7)
    with pytest.raises(ShapeError, match="cat"):
        _one_cell(block, outputs=(0, 2))


def test_bad_requests() -> None:
    with pytest.raises(ConfigError, match=r"no op 'conv_9x9' in a cell; known: identity, conv_1x3_3x1"):
        edge("conv_9x9", Shape(8, 8, 8), 8, 1)
    with pytest.raises(ConfigError, match="filters >= 8"):
        Stack(4, 1, "imagenet")
    with pytest.raises(ConfigError, match="at least 1 block"):
        NasNetSpace("empty", Shape(1, 28, 28), 10, Stack(8, 1), blocks=0)
    for name in ("nasnet", "nasnet-mobile"):
        with pytest.raises(ConfigError, match="image_size"):
            space(name, image_size=4)
