"""Published networks as text: what a search is compared with, and goldens for parameter counts.

Sources: MnasNet (arXiv:1807.11626, fig. 7 and its reference code), MobileNetV2 (arXiv:1801.04381, table 2),
MobileNetV3 (arXiv:1905.02244, table 1), ProxylessNAS (arXiv:1812.00332, fig. 7 and its reference code), NASNet
(arXiv:1707.07012, fig. 4 and its reference code), DARTS (arXiv:1806.09055, fig. 4-5).
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from mnas.errors import ConfigError, UnknownNameError
from mnas.ir import Architecture, Op, Shape, chain
from mnas.ops.mobile import Head, HeadV3
from mnas.spaces import genotype, nasnet
from mnas.spaces.mnasnet import round_width
from mnas.spaces.nasnet import Stack

_MNASNET_A1 = """
conv_c32_s2; sepconv_c16; mbconv_c24_s2 x2; mbconv_c40_k5_s2_e3_se0.25 x3; mbconv_c80_s2 x4; mbconv_c112_se0.25 x2;
mbconv_c160_k5_s2_se0.25 x3; mbconv_c320; head_c1280
"""
_MNASNET_B1 = """
conv_c32_s2; sepconv_c16; mbconv_c24_s2_e3 x3; mbconv_c40_k5_s2_e3 x3; mbconv_c80_k5_s2 x3; mbconv_c96 x2;
mbconv_c192_k5_s2 x4; mbconv_c320; head_c1280
"""
_MNASNET_SMALL = """
conv_c8_s2; sepconv_c8; mbconv_c16_s2_e3; mbconv_c16_s2 x2; mbconv_c32_k5_s2_se0.25 x4; mbconv_c32_se0.25 x3;
mbconv_c88_k5_s2_se0.25 x3; mbconv_c144; head_c1280
"""
_MOBILENET_V2 = """
conv_c32_s2_arelu6; sepconv_c16_arelu6; mbconv_c24_s2_arelu6 x2; mbconv_c32_s2_arelu6 x3; mbconv_c64_s2_arelu6 x4;
mbconv_c96_arelu6 x3; mbconv_c160_s2_arelu6 x3; mbconv_c320_arelu6; head_c1280_arelu6
"""
_MOBILENET_V3_LARGE = """
conv_c16_s2_ahswish; sepconv_c16; mbconv_c24_s2_e4; mbconv_c24_e3; mbconv_c40_k5_s2_e3_sem24_ghsigmoid;
mbconv_c40_k5_e3_sem32_ghsigmoid x2; mbconv_c80_s2_e6_ahswish; mbconv_c80_m200_ahswish; mbconv_c80_m184_ahswish x2;
mbconv_c112_sem120_ahswish_ghsigmoid; mbconv_c112_sem168_ahswish_ghsigmoid;
mbconv_c160_k5_s2_sem168_ahswish_ghsigmoid; mbconv_c160_k5_sem240_ahswish_ghsigmoid x2;
headv3_c960_h1280
"""

_PROXYLESSNAS_MOBILE = """
conv_c32_s2_arelu6; sepconv_c16_arelu6; mbconv_c32_k5_s2_e3_arelu6; mbconv_c32_e3_arelu6; mbconv_c40_k7_s2_e3_arelu6;
mbconv_c40_e3_arelu6; mbconv_c40_k5_e3_arelu6 x2; mbconv_c80_k7_s2_arelu6; mbconv_c80_k5_e3_arelu6 x3;
mbconv_c96_k5_arelu6; mbconv_c96_k5_e3_arelu6 x3; mbconv_c192_k7_s2_arelu6; mbconv_c192_k7_arelu6;
mbconv_c192_k7_e3_arelu6 x2; mbconv_c320_k7_arelu6; head_c1280_arelu6
"""

_TEXTS = {
    "mnasnet-a1": _MNASNET_A1,
    "mnasnet-b1": _MNASNET_B1,
    "mnasnet-small": _MNASNET_SMALL,
    "mobilenet-v2": _MOBILENET_V2,
    "mobilenet-v3-large": _MOBILENET_V3_LARGE,
    "proxylessnas-mobile": _PROXYLESSNAS_MOBILE,
}


def _darts_v1(x: Shape | None, classes: int | None) -> Architecture:
    return genotype.network(genotype.DARTS_V1, x=x or Shape(3, 32, 32), classes=classes or 10)


def _darts_v2(x: Shape | None, classes: int | None) -> Architecture:
    return genotype.network(genotype.DARTS_V2, x=x or Shape(3, 32, 32), classes=classes or 10)


def _darts_v2_imagenet(x: Shape | None, classes: int | None) -> Architecture:
    return genotype.network(genotype.DARTS_V2, genotype.IMAGENET, x=x or Shape(3, 224, 224), classes=classes or 1000)


def _nasnet_a_cifar(x: Shape | None, classes: int | None) -> Architecture:
    return nasnet.network(nasnet.NASNET_A, Stack(32, 6), x=x or Shape(3, 32, 32), classes=classes or 10)


def _nasnet_a_mobile(x: Shape | None, classes: int | None) -> Architecture:
    stack = Stack(44, 4, "imagenet")
    return nasnet.network(nasnet.NASNET_A, stack, x=x or Shape(3, 224, 224), classes=classes or 1000)


_CELLS = {
    "darts-v1": _darts_v1,
    "darts-v2": _darts_v2,
    "darts-v2-imagenet": _darts_v2_imagenet,
    "nasnet-a-cifar": _nasnet_a_cifar,
    "nasnet-a-mobile": _nasnet_a_mobile,
}
_SMALLEST_MAP = 4
_WIDTHS = ("c", "middle", "squeezed", "hidden")


def references() -> tuple[str, ...]:
    """Names that `reference` knows."""
    return (*_TEXTS, *_CELLS)


def reference(name: str, *, x: Shape | None = None, classes: int | None = None, width: float = 1.0) -> Architecture:
    """Rebuild a published network, as published or adapted to another input.

    Adapted to a smaller input, strides of 2 are dropped from the earliest block after the stem on, until the last map
    has at least 4 pixels a side: MobileNetV2 at 28 px keeps the strides of its stem and of its last two strided blocks.

    Args:
        name: one of `references()`.
        x: shape of the input; the published one by default: 3x224x224, and 3x32x32 for the networks of CIFAR-10.
            Networks of cells keep their strides.
        classes: number of classes; the published number by default.
        width: multiplier of all channels, rounded to multiples of 8; a head never has less than its published
            channels (MobileNetV2, sec. 6.1).

    Raises:
        UnknownNameError: no such network.
        ConfigError: a width that is not positive, or given for a network of cells.
    """
    if name in _CELLS:
        if width != 1.0:
            raise ConfigError(f"{name} has no width multiplier")
        return _CELLS[name](x, classes)
    if name not in _TEXTS:
        raise UnknownNameError("reference network", name, references())
    if not 0 < width < 100:
        raise ConfigError(f"width must be a positive number, got {width}")
    published = Architecture.parse("input 3x224x224\n" + _TEXTS[name].replace(";", "\n"))
    ops = [_adapted(node.op, classes, width) for node in published.nodes]
    return _fitted(x or published.x, ops)


def _adapted(op: Op, classes: int | None, width: float) -> Op:
    names = {f.name for f in fields(op)}
    changes: dict[str, Any] = {}
    if classes is not None and "classes" in names:
        changes["classes"] = classes
    for name in names.intersection(_WIDTHS):
        published = getattr(op, name)
        if published and width != 1.0:
            floor = published if isinstance(op, Head | HeadV3) else 0
            changes[name] = max(floor, round_width(published * width))
    return replace(op, **changes)


def _fitted(x: Shape, ops: list[Op]) -> Architecture:
    """The chain of `ops` on `x`, with the earliest strides after the stem dropped where the maps get too small."""
    for i in range(1, len(ops)):
        architecture = chain(x, ops)
        last = architecture.placements[-1].x
        if min(last.h, last.w) >= _SMALLEST_MAP:
            return architecture
        if getattr(ops[i], "s", 1) > 1:
            ops[i] = replace(ops[i], s=1)  # type: ignore[call-arg]
    return chain(x, ops)
