from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import ShapeError
from mnas.ir import Cost, Placement, Shape, parse_op
from mnas.ops.primitive import Activate, Conv2d, LinearOp, Pool2d


@pytest.mark.parametrize(
    "text",
    [
        "conv2d_c8", "conv2d_c96_kh3_kw3_sh2_sw2_g96_arelu6", "conv2d_c8_kh5_dh2_pvalid_aswish", "linear_c10_arelu",
        "pool2d", "pool2d_tavg_kh3_kw3_pvalid", "globalpool", "globalpool_tmax", "norm_ahswish", "activation_ahsigmoid",
        "pad_t1_b2_l3_r4", "crop_t1_r2",
    ],
)  # fmt: skip
def test_golden_texts(text: str) -> None:
    assert str(parse_op(text)) == text


@settings(max_examples=200)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
def test_without_padding_outputs_are_those_of_whole_windows(h: int, w: int, k: int, s: int, d: int) -> None:
    x, reach = Shape(4, h, w), (k - 1) * d + 1
    conv, pool = Conv2d(6, k, k, s, s, d, d, padding="valid"), Pool2d("max", reach, reach, s, s, "valid")
    if reach > min(h, w):
        with pytest.raises(ShapeError, match="without padding"):
            conv.out_shape(x)
        return
    sizes = [(size - reach) // s + 1 for size in (h, w)]
    assert conv.out_shape(x) == Shape(6, *sizes)
    assert pool.out_shape(x) == Shape(4, *sizes)
    assert conv.cost(x) == Cost(4 * 6 * k * k * sizes[0] * sizes[1], 4 * 6 * k * k + 6)


def test_a_linear_layer_reads_a_flattened_map() -> None:
    whole, flat = LinearOp(10).cost(Shape(8, 3, 5)), LinearOp(10).cost(Shape(120, 1, 1))
    assert whole == flat == Cost(1200, 1210)
    assert LinearOp(10).out_shape(Shape(8, 3, 5)) == Shape(10, 1, 1)


def test_a_join_with_its_non_linearity() -> None:
    placement = Placement.parse("activation@8x4x4+8x4x4")
    assert placement.op == Activate("relu")
    assert placement.y == Shape(8, 4, 4)


def test_windows() -> None:
    assert parse_op("pad_t1_b2_l3_r4").out_shape(Shape(2, 5, 5)) == Shape(2, 8, 12)
    assert parse_op("crop_t1_b2_l2").out_shape(Shape(2, 5, 5)) == Shape(2, 2, 3)
    with pytest.raises(ShapeError, match="does not overlap"):
        parse_op("crop_t3_b2").out_shape(Shape(2, 5, 5))
