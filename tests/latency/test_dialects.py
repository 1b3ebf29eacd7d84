from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.ir import Placement, Shape
from mnas.latency.dialects import Dialect, read_keys
from mnas.ops.mobile import MBConv
from mnas.spaces.mnasnet import round_width
from mnas.spaces.reference import reference

OFA_HEAD = [
    "Conv_1-input:7x7x192-output:7x7x1152",
    "AvgPool2D-input:7x7x1152-output:1x1x1152",
    "Conv_2-input:1x1x1152-output:1x1x1536",
    "Logits-input:1x1x1536-output:1000",
]
PROXYLESS_HEAD = ["Conv_1-input:7x7x320-output:7x7x1280", "Logits-input:7x7x1280-output:1000"]


def block(x: str, y: str, *values: object, ofa: bool = True) -> str:
    names = ("expand", "kernel", "stride", "idskip", "se", "hs")[: 6 if ofa else 4]
    fields = "".join(f"-{name}:{value}" for name, value in zip(names, values, strict=True))
    return f"expanded_conv-input:{x}-output:{y}{fields}"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("Conv-input:224x224x3-output:112x112x24", "conv_c24_s2_ahswish@3x224x224"),
        (block("112x112x24", "112x112x24", 24, 3, 1, 1, 0, 0), "sepconv_c24@24x112x112"),
        (block("112x112x24", "112x112x24", 24, 3, 1, 0, 0, 0), "sepconv_c24_skipnone@24x112x112"),
        (block("112x112x24", "56x56x32", 72, 5, 2, 0, 0, 0), "mbconv_c32_k5_s2_e3@24x112x112"),
        (block("112x112x24", "56x56x32", 144, 3, 2, 0, 0, 1), "mbconv_c32_s2_ahswish@24x112x112"),
        (block("56x56x24", "28x28x40", 72, 5, 2, 0, 1, 0), "mbconv_c40_k5_s2_e3_sem24_ghsigmoid@24x56x56"),
        (block("14x14x80", "14x14x80", 200, 3, 1, 1, 0, 1), "mbconv_c80_m200_ahswish@80x14x14"),
        (block("14x14x80", "14x14x80", 80, 3, 1, 1, 0, 1), "sepconv_c80_ahswish@80x14x14"),
        (block("14x14x4", "14x14x8", 4 * 100, 3, 1, 0, 0, 0), "mbconv_c8_m400@4x14x14"),
    ],
)
def test_once_for_all(key: str, text: str) -> None:
    found = read_keys([key], "ofa")
    assert [str(placement) for each in found.blocks for placement in each.placements] == [text]
    assert found.blocks[0].keys == (key,)
    assert found.unsaid == {}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("Conv-input:224x224x3-output:112x112x32", "conv_c32_s2{}@3x224x224"),
        (block("112x112x32", "112x112x16", 1, 3, 1, 0, ofa=False), "sepconv_c16{}@32x112x112"),
        (block("112x112x16", "56x56x24", 3, 3, 2, 0, ofa=False), "mbconv_c24_s2_e3{}@16x112x112"),
        (block("14x14x96", "14x14x96", 6, 7, 1, 1, ofa=False), "mbconv_c96_k7{}@96x14x14"),
        (block("14x14x96", "14x14x96", 6, 7, 1, 0, ofa=False), "mbconv_c96_k7{}_skipnone@96x14x14"),
    ],
)
def test_proxylessnas_does_not_tell_relu_from_relu6(key: str, text: str) -> None:
    (found,) = read_keys([key]).blocks
    assert [str(placement) for placement in found.placements] == [text.format(""), text.format("_arelu6")]


def test_the_layers_of_a_classifier_are_one_head() -> None:
    found = read_keys(OFA_HEAD)
    assert found.dialect == "ofa"
    assert [(each.keys, str(each.placements[0])) for each in found.blocks] == [
        (tuple(OFA_HEAD), "headv3_c1152_h1536@192x7x7")
    ]
    found = read_keys(PROXYLESS_HEAD)
    assert found.dialect == "proxylessnas"
    assert [each.keys for each in found.blocks] == [tuple(PROXYLESS_HEAD)]
    assert [str(placement) for placement in found.blocks[0].placements] == [
        "head_c1280@320x7x7",
        "head_c1280_arelu6@320x7x7",
    ]


def test_classifiers_share_layers() -> None:
    more = ["Conv_1-input:7x7x96-output:7x7x1280", "Logits-input:7x7x1280-output:10", "Logits-input:7x7x99-output:10"]
    found = read_keys([*PROXYLESS_HEAD, *more])
    heads = {str(placement) for each in found.blocks for placement in each.placements}
    every = product(("", "_n10"), ("", "_arelu6"), (320, 96))
    assert heads == {f"head_c1280{n}{act}@{x}x7x7" for n, act, x in every}
    assert list(found.unsaid) == [more[-1]]


def test_what_no_op_says_is_reported() -> None:
    keys = [
        block("14x14x24", "14x14x24", 24, 3, 1, 1, 1, 0),
        "MaxPool-input:14x14x24-output:7x7x24",
        OFA_HEAD[0],
        block("14x14x24", "14x14x24", 24, 3, 1, 1, 0, 0),
    ]
    found = read_keys(keys)
    assert len(found.blocks) == 1
    assert found.unsaid == {
        keys[0]: "squeeze-and-excite without expansion is no op of mnas",
        keys[1]: "no layer of ofa tables is called MaxPool",
        keys[2]: "part of no whole classifier (Conv_1, AvgPool2D, Conv_2, Logits)",
    }


@pytest.mark.parametrize(
    ("key", "dialect", "message"),
    [
        ("a b", None, "a key is name-field:value-field:value"),
        ("Conv-input", None, "a key is name-field:value"),
        ("Conv-input:1x1x1-input:1x1x1", None, "a field occurs twice"),
        ("Conv-input:8x8x3", None, "Conv has the fields input, output; got input"),
        ("Conv-input:8x8-output:4x4x8", None, "input must be HxWxC, got '8x8'"),
        ("Conv-input:0x8x3-output:4x4x8", None, "input must be HxWxC"),
        ("Conv-input:8x8x3-output:5x5x8", None, "gives 8x4x4, the row says 8x5x5"),
        ("Conv-input:9000x9000x3-output:1x1x8", None, "s must be a int in 1..8"),
        (block("8x8x8", "8x8x8", 6, 3, 1, 1, ofa=False), "ofa", "has the fields .*se, hs; got"),
        (block("8x8x8", "8x8x8", 48, 3, 1, 1, 0, 0), "proxylessnas", "has the fields .*idskip; got .*hs"),
        (block("8x8x8", "4x4x8", 48, 3, 2, 1, 0, 0), None, "idskip:1 adds the input 8x8x8 to the output 8x4x4"),
        (block("8x8x8", "4x4x8", 48, 3, 1, 0, 0, 0), None, "gives 8x8x8, the row says 8x4x4"),
        (block("8x8x8", "8x8x8", 0, 3, 1, 1, 0, 0), None, "expand must be a whole number in 1..65536, got '0'"),
        (block("8x8x8", "8x8x8", 48, 99, 1, 1, 0, 0), None, "kernel must be a whole number in 1..15"),
        (block("8x8x8", "8x8x8", 48, 3, 9, 1, 0, 0), None, "stride must be a whole number in 1..8"),
        (block("8x8x8", "8x8x8", 48, 3, 1, 2, 0, 0), None, "idskip must be a whole number in 0..1"),
        (block("8x8x8", "8x8x8", 48, 3, 1, 1, "yes", 0), None, "se must be a whole number in 0..1, got 'yes'"),
        (block("8x8x8", "8x8x8", "²", 3, 1, 1, 0, 0), None, "expand must be a whole number"),
        (block("8x8x9999", "8x8x9999", 9999, 3, 1, 1, ofa=False), None, "must be a int in"),
        ("Conv_1-input:7x7x8-output:6x6x8", None, "Conv_1 does not make 8x6x6 of 8x7x7"),
        ("AvgPool2D-input:7x7x8-output:7x7x8", None, "AvgPool2D does not make 8x7x7"),
        ("AvgPool2D-input:7x7x8-output:1x1x9", None, "AvgPool2D does not make 9x1x1 of 8x7x7"),
        ("Logits-input:7x7x8-output:ten", None, "output must be a whole number"),
    ],
)
def test_malformed_keys_are_named(key: str, dialect: Dialect | None, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_keys([key], dialect)
    assert repr(key) in str(caught.value)


def test_two_keys_of_one_block_are_refused() -> None:
    keys = [block("8x8x8", "4x4x8", expand, 3, 2, 0, 0, 0) for expand in ("48", "048")]
    with pytest.raises(FormatError, match=re.escape(f"row {keys[1]!r}: mbconv_c8_s2@8x8x8 is the row {keys[0]!r} too")):
        read_keys(keys)


def test_endless_classifiers_are_refused() -> None:
    heads = [f"Conv_1-input:7x7x{i}-output:7x7x8" for i in range(1, 60)]
    with pytest.raises(FormatError, match="more than 1000 classifiers"):
        read_keys([*heads, *(f"Logits-input:7x7x8-output:{i}" for i in range(1, 60))])


@given(
    st.integers(1, 30), st.integers(1, 20), st.integers(1, 400), st.sampled_from([3, 5, 7]), st.sampled_from([1, 2]),
    st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_block_does_what_its_key_says(
    x: int, c: int, middle: int, k: int, s: int, adds: bool, se: bool, hs: bool
) -> None:
    size = -(-14 // s)
    adds = adds and s == 1 and x == c
    key = block(f"14x14x{x}", f"{size}x{size}x{c}", middle, k, s, int(adds), int(se), int(hs))
    found = read_keys([key], "ofa")
    if not found.blocks:
        assert (middle, se) == (x, True)
        return
    placement = found.blocks[0].placements[0]
    assert Placement.parse(str(placement)) == placement
    assert (placement.x, placement.y) == (Shape(x, 14, 14), Shape(c, size, size))
    convs = middle * (k * k * size * size + c * size * size) + (middle * x * 14 * 14 if middle != x else 0)
    gate = 2 * middle * round_width(middle / 4) if se else 0
    assert placement.cost.macs == convs + gate


def test_published_blocks_have_the_text_of_our_networks() -> None:
    """A MobileNetV3 that is keyed as Once-for-all does is found by the placements of our own."""
    for placement in reference("mobilenet-v3-large").placements:
        op = placement.op
        if isinstance(op, MBConv) and op.squeezed in (0, round_width((op.middle or op.e * placement.x.c) / 4)):
            x, y = placement.x, placement.y
            key = block(
                f"{x.h}x{x.w}x{x.c}", f"{y.h}x{y.w}x{y.c}", op.middle or op.e * x.c, op.k, op.s, int(x == y),
                int(op.squeezed > 0), int(op.act == "hswish"),
            )  # fmt: skip
            assert read_keys([key], "ofa").blocks[0].placements == (placement,)
