from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.ir import Placement, Shape
from mnas.latency.work import shares
from mnas.ops.mobile import ConvBlock, Head, MBConv
from tests.strategies import joined_placements, placements


@given(st.one_of(placements, joined_placements()))
def test_shares_are_positive_and_sum_to_one(placement: Placement) -> None:
    found = shares(placement)
    assert all(share > 0 for share in found.values())
    assert not found or sum(found.values()) == pytest.approx(1)


def test_kinds_are_told_apart_by_what_changes_their_speed() -> None:
    x = Shape(16, 14, 14)
    dense = shares(Placement(ConvBlock(24, 5), (x,)))
    mobile = shares(Placement(MBConv(24, 5, 1, e=6, se=0.25), (x,)))
    assert dense["convolution 5x5"] > 0.9
    assert {"convolution 1x1", "grouped convolution 5x5", "mul", "avg"} <= set(mobile)
    assert "convolution 5x5" not in mobile
    assert "linear" in shares(Placement(Head(64, 10), (x,)))
