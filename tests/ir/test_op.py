"""The text form of ops, over the whole registry."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import MnasError, ParseError, UnknownNameError
from mnas.ir import Layer, Op, Shape, arg, known_ops, parse_op, register_op
from mnas.ir.layers import Seq
from mnas.ops.cell import Nothing, PoolOp, ReluConvBn, Sep
from mnas.ops.mobile import ConvBlock, MBConv, SepConv
from mnas.ops.sequence import Centred, ConvBnRelu
from tests.strategies import ops

GOLDEN = {
    "mbconv_c24": MBConv(24),
    "mbconv_c40_k5_s2_e3_se0.25": MBConv(40, 5, 2, e=3, se=0.25),
    "mbconv_c80_m184_sem24_ahswish_ghsigmoid_skipnone": MBConv(
        80, middle=184, squeezed=24, act="hswish", gate="hsigmoid", skip="none"
    ),
    "conv_c32_s2": ConvBlock(32, 3, 2),
    "sepconv_c16_skippool": SepConv(16, skip="pool"),
    "zero": Nothing(),
    "sep_k5": Sep(5),
    "pool_tavg_c11": PoolOp("avg", c=11),
    "rcb_c8_kh1_kw7_sw2_khh7_kww1_shh2": ReluConvBn(8, 1, 7, sw=2, kh2=7, kw2=1, sh2=2),
    "cbr_c16_kh1_kw5_sh2": ConvBnRelu(16, 1, 5, sh=2),
    "window_h8_w4": Centred(8, 4),
}
"""Stored tables and checkpoints hold such texts: changing a default or a tag breaks them."""


@pytest.mark.parametrize("text", GOLDEN)
def test_golden_texts(text: str) -> None:
    assert str(GOLDEN[text]) == text
    assert parse_op(text) == GOLDEN[text]


@given(ops)
def test_text_parses_back(op: Op) -> None:
    again = parse_op(str(op))
    assert again == op
    assert hash(again) == hash(op)
    assert str(again) == str(op)


def test_one_value_one_text() -> None:
    assert MBConv(24, se=1) == MBConv(24, se=1.0)
    assert str(MBConv(24, se=1)) == "mbconv_c24_se1"
    assert parse_op("mbconv_c24_k3_e6_se0.0") is not None
    assert str(parse_op("mbconv_e6_k3_c24_se0.0")) == "mbconv_c24"


def test_the_class_is_in_the_hash() -> None:
    assert hash(ConvBlock(24)) != hash(SepConv(24))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mbconv_c24_q3", "cannot read 'q3'"),
        ("mbconv_k3", "missing c"),
        ("mbconv_c24_c24", "repeats"),
        ("conv_c-8", "cannot read"),
        ("conv_c8_k0", "k must be a int in 1..15"),
        ("conv_c8_k1.5", "cannot read"),
        ("mbconv_c8_asoftplus", "cannot read"),
        ("mbconv_c8_senan", "cannot read"),
        ("conv_c8_", "cannot read ''"),
        ("conv_c\u0664", "cannot read"),
    ],
)
def test_malformed_texts(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse_op(text)


def test_an_unknown_op_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown op 'foo'; known: .*mbconv"):
        parse_op("foo_c3")


@given(st.text(max_size=30) | st.from_regex(r"(conv|mbconv|sep)(_[a-z]{1,3}[0-9.-]{0,4}){0,4}", fullmatch=True))
def test_any_text_parses_or_is_refused_politely(text: str) -> None:
    try:
        op = parse_op(text)
    except MnasError:
        return
    assert parse_op(str(op)) == op


def test_values_are_checked_when_an_op_is_made() -> None:
    for bad in (0, 1.5, True, "8"):
        with pytest.raises(ParseError, match="c must be"):
            ConvBlock(bad)  # type: ignore[arg-type]
    with pytest.raises(ParseError, match="act must be one of relu, relu6, hswish"):
        ConvBlock(8, act="tanh")  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        ConvBlock(8).c = 9  # type: ignore[misc]


def test_a_registered_op_cannot_be_replaced_or_badly_named() -> None:
    assert known_ops()["conv"] is ConvBlock
    for name in ("conv", "my_op"):
        with pytest.raises(ValueError, match=name):
            register_op(name)(ConvBlock)


def test_fields_have_simple_types() -> None:
    @dataclass(frozen=True)
    class Bad(Op):
        flag: bool = arg("f", False)

        def layers(self, x: Shape) -> Layer:
            return Seq()

    with pytest.raises(TypeError, match="op fields are int, float or Literal words"):
        register_op("bad")(Bad)
    assert "bad" not in known_ops()
