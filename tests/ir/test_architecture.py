"""Architectures and placements as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import MnasError, ParseError, ShapeError
from mnas.ir import Architecture, Node, Placement, Shape, chain
from mnas.ops.cell import Identity, PoolOp, Stem
from mnas.ops.mobile import ConvBlock, MBConv
from mnas.spaces import space
from tests.strategies import architectures, joined_placements, placements

X = Shape(3, 8, 8)


@given(st.sampled_from(["mnasnet-small", "nasbench201"]).flatmap(lambda name: architectures(space(name))))
def test_text_parses_back(architecture: Architecture) -> None:
    again = Architecture.parse(str(architecture))
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.placements == architecture.placements


@given(placements | joined_placements())
def test_placement_text_parses_back(placement: Placement) -> None:
    again = Placement.parse(str(placement))
    assert again == placement
    assert hash(again) == hash(placement)
    assert again.y == placement.y


def test_joins_are_part_of_the_key() -> None:
    x = Shape(4, 2, 2)
    texts = {str(Placement(Identity(), (x, x), kind)) for kind in ("add", "mul", "cat")}
    assert texts == {"identity@4x2x2+4x2x2", "identity@4x2x2*4x2x2", "identity@4x2x2|4x2x2"}
    assert Placement.parse("identity@4x2x2|8x2x2").y == Shape(12, 2, 2)


@pytest.mark.parametrize(
    "text",
    ["identity", "identity@", "identity@4x2", "identity@0x2x2", "identity@4x2x2+4x2x2|4x2x2", "identity@4x2x2+8x2x2"],
)
def test_malformed_placements(text: str) -> None:
    with pytest.raises((ParseError, ShapeError)):
        Placement.parse(text)


def test_cost_is_the_sum_over_nodes() -> None:
    architecture = chain(X, [ConvBlock(16, 3, 2), MBConv(16, e=3)])
    first, second = architecture.placements
    assert architecture.cost == first.cost + second.cost
    assert first.cost.params == 3 * 16 * 9 + 32


def test_repeats_and_comments() -> None:
    text = "# a network\ninput 3x8x8\n\nconv_c8_s2 x2   # twice, strided once\nmbconv_c8_se0.25_s2 x3\n"
    lines = str(Architecture.parse(text)).splitlines()
    assert lines == [
        "input 3x8x8",
        "conv_c8_s2",
        "conv_c8",
        "mbconv_c8_s2_se0.25",
        "mbconv_c8_se0.25",
        "mbconv_c8_se0.25",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "starts with a line 'input"),
        ("conv_c8", "starts with a line 'input"),
        ("input 3x8", "channels x height x width"),
        ("input 3x8x8", "at least one op"),
        ("input 3x8x8\nconv_c8 add", "line 2"),
        ("input 3x8x8\nconv_c8 sub 0 0", "line 2"),
        ("input 3x8x8\nconv_c8 add 5", "must read earlier values"),
        ("input 3x8x8\nconv_c8\nidentity add 0 1", "node 2"),
        ("input 3x8x8\nconv_c8_k99", "line 2"),
        ("input 3x8x8\nhead_c8_n2\nhead_c8_n2\nconv_q1", "line 4"),
    ],
)
def test_malformed_texts(text: str, message: str) -> None:
    with pytest.raises(MnasError, match=message):
        Architecture.parse(text)


def test_canonical_is_one_spelling_of_a_function() -> None:
    stem, pool = Node(Stem(8), (0,)), PoolOp()
    spelled = Architecture(
        X,
        (
            stem,
            Node(Identity(), (1,)),  # bypassed
            Node(pool, (2,)),
            Node(PoolOp("avg"), (1,)),  # read by nobody
            Node(Identity(), (3, 2), "add"),
        ),
    )
    plain = Architecture(X, (stem, Node(pool, (1,)), Node(Identity(), (1, 2), "add")))
    assert spelled.canonical() == plain
    assert plain.canonical() == plain


def test_canonical_keeps_the_order_of_concatenations_and_zeros() -> None:
    text = "input 3x8x8\nstem_c8\nzero add 1\npool add 1\nidentity cat 3 2\nidentity add 1 2"
    a = Architecture.parse(text.rsplit("\n", 1)[0])
    assert a.canonical() == a
    assert "zero" in str(a.canonical())


@given(architectures(space("nasbench201")))
def test_canonical_is_idempotent_and_costs_the_same(architecture: Architecture) -> None:
    once = architecture.canonical()
    assert once.canonical() == once
    assert once.cost.params <= architecture.cost.params
    assert once.y == architecture.y


def test_an_output_may_be_the_input() -> None:
    only = Architecture(X, (Node(Identity(), (0,)),))
    assert only.canonical() == only
