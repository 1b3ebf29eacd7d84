"""Published networks: parameter counts are exact, MACs are those of convolutions and linear layers."""

from __future__ import annotations

import pytest

from mnas.errors import ConfigError, UnknownNameError
from mnas.ir import Architecture, Shape
from mnas.spaces import space
from mnas.spaces.nasnet import NASNET_A, Cell, Genotype, Stack, network
from mnas.spaces.reference import reference, references

PUBLISHED = {
    "mnasnet-a1": (3_887_038, 311.6),
    "mnasnet-b1": (4_383_312, 314.4),
    "mobilenet-v2": (3_504_872, 300.8),
    "mnasnet-small": (2_030_264, 68.3),
    "mobilenet-v3-large": (5_483_032, 216.6),
    "proxylessnas-mobile": (4_080_512, 320.4),
    "darts-v1": (3_169_414, 500.99),
    "darts-v2": (3_349_342, 528.36),
    "darts-v2-imagenet": (4_718_752, 529.91),
    "nasnet-a-mobile": (5_289_978, 563.9),  # published: 5.3 M, 564 M; the parameters to the number in Keras
    "nasnet-a-cifar": (3_347_498, 545.4),  # published: 3.3 M
}


@pytest.mark.parametrize("name", references())
def test_published_costs(name: str) -> None:
    params, mega_macs = PUBLISHED[name]
    network = reference(name)
    assert network.cost.params == params
    assert network.cost.macs / 1e6 == pytest.approx(mega_macs, abs=0.06)
    assert Architecture.parse(str(network)) == network


@pytest.mark.parametrize(("width", "mega_macs"), [(1.4, 582.2), (0.75, 209.1), (0.5, 97.1), (0.35, 59.3)])
def test_mobilenet_v2_widths(width: float, mega_macs: float) -> None:
    assert reference("mobilenet-v2", width=width).cost.macs / 1e6 == pytest.approx(mega_macs, abs=0.06)


@pytest.mark.parametrize(("width", "mega_params"), [(1.4, 6.1), (0.75, 2.9), (0.5, 2.1), (0.35, 1.7)])
def test_mnasnet_a1_widths(width: float, mega_params: float) -> None:
    """1.4 is listed with the head widened too; ours keeps the head at 1280 or more, as MobileNetV2 does."""
    params = reference("mnasnet-a1", width=width).cost.params / 1e6
    assert params == pytest.approx(mega_params, rel=0.13 if width > 1 else 0.04)


@pytest.mark.parametrize("name", ["mnasnet-a1", "mobilenet-v2", "mobilenet-v3-large"])
@pytest.mark.parametrize("side", [28, 32, 64, 224])
def test_adapted_to_small_inputs(name: str, side: int) -> None:
    network = reference(name, x=Shape(1, side, side), classes=10, width=0.5)
    assert network.y == Shape(10, 1, 1)
    last = network.placements[-1].x
    assert 4 <= last.h <= 7
    assert network.placements[0].y.h == side // 2  # the stem keeps its stride


def test_bad_requests() -> None:
    with pytest.raises(
        UnknownNameError,
        match=r"unknown reference network 'vgg'; known: darts-v1, darts-v2, darts-v2-imagenet, mnasnet-a1",
    ):
        reference("vgg")
    with pytest.raises(ConfigError, match="width"):
        reference("mnasnet-a1", width=0)
    for name in ("darts-v2", "nasnet-a-mobile"):
        with pytest.raises(ConfigError, match="no width multiplier"):
            reference(name, width=0.5)


def test_mobilenet_v2_with_relu_is_the_middle_of_mnasnet() -> None:
    middle = {"op": "mbconv6", "kernel": 3, "se": 0.0, "width": 1.0, "depth": 0, "skip": "identity"}
    each = space("mnasnet")
    options = [middle[choice.name.split(".")[1]] for choice in each.choices]
    options[0] = "sepconv"
    encoding = tuple(choice.options.index(option) for choice, option in zip(each.choices, options, strict=True))
    assert str(each.decode(encoding)) == str(reference("mobilenet-v2")).replace("_arelu6", "")


def test_nasnet_a_but_for_its_outputs_is_in_nasnet_mobile() -> None:
    cells = Genotype(*(Cell(cell.blocks) for cell in NASNET_A))
    each = space("nasnet-mobile")
    values = [value for cell in cells for block in cell.blocks for value in block]
    encoding = tuple(choice.options.index(value) for choice, value in zip(each.choices, values, strict=True))
    inside = network(cells, Stack(44, 4, "imagenet"), x=Shape(3, 224, 224), classes=1000)
    assert each.decode(encoding) == inside != reference("nasnet-a-mobile")
