"""The factorised space against the published figures."""

from __future__ import annotations

from math import prod

import pytest

from mnas.ir import Placement, Shape
from mnas.ops.mobile import ConvBlock, MBConv
from mnas.spaces import space
from mnas.spaces.mnasnet import round_width


def test_432_options_per_block() -> None:
    full = space("mnasnet")
    for i in range(7):
        options = [len(c.options) for c in full.choices if c.name.startswith(f"stage{i}.")]
        assert prod(options) == 432  # arXiv:1807.11626, sec. 4.1
    assert len(full.choices) == 42


def test_number_of_rows() -> None:
    assert len(list(space("mnasnet-small").placements())) == 400
    assert len(list(space("mnasnet").placements())) == 1612


@pytest.mark.parametrize(
    ("c", "rounded"), [(18, 24), (24 * 0.75, 24), (40, 40), (16 * 0.75, 16), (1, 8), (96 * 1.25, 120)]
)
def test_widths_are_multiples_of_8_and_never_below_90_percent(c: float, rounded: int) -> None:
    assert round_width(c) == rounded


def test_pooled_skip_changes_channels_and_size() -> None:
    op = MBConv(24, s=2, skip="pool")
    x = Shape(16, 8, 8)
    pooled, plain = Placement(op, (x,)), Placement(MBConv(24, s=2), (x,))
    assert pooled.y == plain.y == Shape(24, 4, 4)
    assert pooled.cost.params - plain.cost.params == 16 * 24 + 48  # a 1x1 convolution and its norm
    assert Placement(MBConv(16, skip="pool"), (x,)).cost == Placement(MBConv(16), (x,)).cost


def test_skips_that_cannot_act_have_one_spelling() -> None:
    full = space("mnasnet")
    names = [c.name for c in full.choices]
    encodings = []
    for skip in range(3):
        e = [0] * len(names)
        e[names.index("stage0.skip")] = skip
        encodings.append(full.decode(tuple(e)))
    identity, none, pool = encodings
    assert identity == none  # one layer that changes the channels: there is nothing to add
    assert pool != none
    assert isinstance(pool.nodes[1].op, ConvBlock)
    assert pool.nodes[1].op.skip == "pool"
