from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.ir import Placement
from mnas.latency.kernels import kernels, shares
from tests.strategies import joined_placements, placements


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("conv_c8_k3@4x8x8", ["dense 3x3"]),
        ("sepconv_c8_k5_skipnone@4x8x8", ["depthwise 5x5", "dense 1x1"]),
        ("mbconv_c4_e3@4x8x8", ["dense 1x1", "depthwise 3x3", "dense 1x1", "add"]),
        ("mbconv_c8_e3_ahswish@4x8x8", ["dense 1x1", "hswish", "depthwise 3x3", "hswish", "dense 1x1"]),
        (
            "mbconv_c8_se0.25@4x8x8",
            ["dense 1x1", "depthwise 3x3", "avg pool of all", "dense 1x1", "dense 1x1", "sigmoid", "mul", "dense 1x1"],
        ),
        ("head_c8_n10@4x8x8", ["dense 1x1", "avg pool of all", "dense 1x1"]),
        ("identity@4x8x8+4x8x8", ["add"]),
        ("activation@4x8x8", ["relu"]),
        ("zero@4x8x8", []),
    ],
)
def test_kernels_of_known_blocks(text: str, names: list[str]) -> None:
    assert [kernel.name for kernel in kernels(Placement.parse(text))] == names


def test_quantities_by_hand() -> None:
    dense, depthwise = (
        kernels(Placement.parse("conv_c8_k3_s2@4x8x8"))[0],
        kernels(Placement.parse("sepconv_c8@4x8x8"))[0],
    )
    assert dense == ("dense", "dense 3x3", 9 * 4 * 8 * 16, 4 * 64 + 8 * 16, 9 * 4 * 8, 16, 9, 2)
    assert depthwise == ("depthwise", "depthwise 3x3", 9 * 4 * 64, 2 * 4 * 64, 9 * 4, 64, 9, 1)


@settings(max_examples=60)
@given(placements | joined_placements())
def test_no_work_is_lost(placement: Placement) -> None:
    found = kernels(placement)
    assert sum(kernel.macs for kernel in found) == placement.cost.macs
    assert all(kernel.moved > 0 and kernel.pixels > 0 for kernel in found)
    assert all(kernel.name.startswith(kernel.kind) for kernel in found if kernel.kind in ("dense", "depthwise"))


@given(st.one_of(placements, joined_placements()))
def test_shares_are_positive_and_sum_to_one(placement: Placement) -> None:
    found = shares(placement)
    assert all(share > 0 for share in found.values())
    assert not found or sum(found.values()) == pytest.approx(1)


def test_kinds_are_told_apart_by_what_changes_their_speed() -> None:
    dense = shares(Placement.parse("conv_c24_k5@16x14x14"))
    mobile = shares(Placement.parse("mbconv_c24_k5_se0.25@16x14x14"))
    assert dense["dense 5x5"] > 0.9
    assert {"dense 1x1", "depthwise 5x5", "mul", "avg pool of all"} <= set(mobile)
    assert "dense 5x5" not in mobile
