"""Torch, ONNX Runtime and LiteRT compute the same function, and the files hold nothing that only moves data."""

from __future__ import annotations

from dataclasses import MISSING
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.ir import Architecture, Layer, Node, Placement, Shape, chain, known_ops, parse_op
from mnas.ir.layers import Act, Activation, Conv, Join, JoinKind, Linear, Norm, Pool, PoolKind, Seq, Window, Zero, seq
from mnas.lower.onnx import to_onnx
from mnas.lower.tflite import to_tflite
from mnas.spaces import sample, space
from tests.lower.languages import agree, network_of, run_onnx, run_tflite, run_torch
from tests.strategies import architectures, joined_placements, placements

X = Shape(8, 9, 10)
MNASNET_A1 = """
conv_c32_s2
sepconv_c16
mbconv_c24_s2 x2
mbconv_c40_k5_s2_e3_se0.25 x3
mbconv_c80_s2 x4
mbconv_c112_se0.25 x2
mbconv_c160_k5_s2_se0.25 x3
mbconv_c320
head_c1280
"""


@settings(max_examples=60, deadline=None)
@given(placements, st.integers(0, 99))
def test_any_placement(placement: Placement, seed: int) -> None:
    agree(placement, seed)


@settings(max_examples=40, deadline=None)
@given(joined_placements(), st.integers(0, 99))
def test_joined_inputs(placement: Placement, seed: int) -> None:
    agree(placement, seed)


@pytest.mark.parametrize("name", sorted(known_ops()))
def test_every_op(name: str) -> None:
    """Each registered op with all its defaults, and twelve of whatever else it asks for."""
    asked = [f"{tag.tag}12" for tag in known_ops()[name].tags if tag.default is MISSING]
    agree(Placement(parse_op("_".join([name, *asked])), (X,)))


@pytest.mark.parametrize(("h", "w"), [(8, 7), (5, 2), (1, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 2), (1, 2)])
def test_one_padding_rule(h: int, w: int, stride: tuple[int, int]) -> None:
    """Maps of even and odd size, kernels that are square, oblong, even, dilated, or larger than the map."""
    x = Shape(4, h, w)
    kernels = [(1, 1), (2, 2), (3, 3), (5, 5), (7, 7), (1, 7), (3, 1)]
    convs: list[Layer] = [Conv(3, kernel, stride) for kernel in kernels]
    depthwise: list[Layer] = [Conv(4, kernel, stride, groups=4) for kernel in kernels]
    pools: list[Layer] = [Pool(kind, kernel, stride) for kind, kernel in product(get_args(PoolKind), kernels)]
    dilated: list[Layer] = [] if stride != (1, 1) else [Conv(4, (3, 3), dilation=(d, 2), groups=4) for d in (1, 2, 3)]
    agree(network_of(Join("cat", (*convs, *depthwise, *pools, *dilated)), x))


@pytest.mark.parametrize("kind", get_args(PoolKind))
def test_padding_is_never_data_for_pools(kind: PoolKind) -> None:
    """On a constant negative map every pool gives that constant, at the border too."""
    network = network_of(Pool(kind, (3, 3), (2, 2)), Shape(2, 6, 7))
    image = [np.full((1, 2, 6, 7), -2.5, np.float32)]
    outputs = (
        run_torch(network, {}, image),
        run_onnx(to_onnx(network, {}), image),
        run_tflite(to_tflite(network, {}), image),
    )
    for output in outputs:
        np.testing.assert_allclose(output, np.full((1, 2, 3, 4), -2.5), rtol=1e-6)


@pytest.mark.parametrize("act", get_args(Activation))
def test_activations(act: Activation) -> None:
    on_map = seq(Conv(8, bias=True), Norm(), Act(act))
    on_vector = seq(Pool("avg"), Linear(6), Act(act), Linear(4), Act(act))
    agree(network_of(seq(Act(act), on_map), X))
    agree(network_of(on_vector, X))


@pytest.mark.parametrize(
    ("tree", "fused"),
    [
        (seq(Conv(8), Norm(), Act()), True),
        (seq(Conv(8), Join("add", (Act(), Conv(8)))), False),
        (seq(Conv(8), Join("add", (Seq(), Act()))), False),
        (seq(Conv(8), Join("add", (Act(), Act()))), False),
        (seq(Join("add", (Seq(), Conv(8))), Act("relu6")), True),
        (seq(Join("cat", (Seq(), Conv(8))), Act()), False),
        (seq(Pool("max", (3, 3)), Act()), True),
    ],
)
def test_activation_is_fused_only_where_it_alone_reads(tree: Layer, fused: bool) -> None:
    kinds = agree(network_of(tree, X))["tflite"]
    assert ("RELU" not in kinds and "RELU6" not in kinds) is fused


def test_activation_is_not_fused_into_what_another_node_reads() -> None:
    conv, act, again = (parse_op(text) for text in ("stem_c8", "rcb_c8_kh1_kw1", "identity"))
    nodes = (Node(conv, (0,)), Node(act, (1,)), Node(again, (1, 2)))
    assert agree(Architecture(X, nodes))["tflite"]["RELU"] == 1
    assert "RELU" not in agree(Architecture(X, (*nodes[:2], Node(again, (2, 2)))))["tflite"]


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@pytest.mark.parametrize("out", [8, 24])
def test_groups(groups: int, out: int) -> None:
    kinds = agree(network_of(seq(Conv(out, (3, 3), groups=groups, bias=True), Norm()), X))["tflite"]
    assert kinds == {"DEPTHWISE_CONV_2D" if groups == 8 else "CONV_2D": 1}


@pytest.mark.parametrize(
    ("window", "kinds"),
    [
        (Window(0, 0, 9, 10), {"RESHAPE"}),
        (Window(1, 2, 5, 4), {"SLICE"}),
        (Window(-1, -2, 12, 14), {"PAD"}),
        (Window(1, -1, 9, 5), {"SLICE", "PAD"}),
    ],
)
def test_window_crops_and_pads(window: Window, kinds: set[str]) -> None:
    assert set(agree(network_of(window, X))["tflite"]) == kinds


@pytest.mark.parametrize(
    "tree",
    [
        Norm(),
        seq(Norm(), Act(), Norm()),
        seq(seq(Conv(6), Norm()), Act("relu6")),
        seq(Conv(6), seq(Norm(), Conv(4, bias=True)), Norm(), Norm()),
        seq(Join("cat", (Conv(3), Conv(5))), Norm()),
        seq(Pool("avg"), Norm(), Linear(5), Norm(), Act(), Norm()),
    ],
)
def test_norms_fold(tree: Layer) -> None:
    agree(network_of(tree, X))


@pytest.mark.parametrize("kind", get_args(JoinKind))
def test_joins_of_three_with_vectors(kind: JoinKind) -> None:
    """Linear layers give vectors; a join with a map, or with itself, makes maps of them where it must."""
    vector = seq(Pool("max"), Linear(8))
    one, two = seq(vector, Conv(8)), seq(vector, Act("hswish"))
    agree(network_of(seq(Join(kind, (vector, one, two)), Act()), X))
    agree(network_of(seq(Join(kind, (vector, two)), Linear(3)), X))
    agree(network_of(seq(vector, Join(kind, (Conv(8), Seq(), Conv(8)))), X))
    if kind == "mul":
        agree(network_of(Join(kind, (vector, Seq(), one)), X))


@pytest.mark.parametrize(
    "tree",
    [
        Seq(),
        Zero(),
        Zero((2, 2)),
        seq(Conv(8), Zero()),
        seq(Zero(), Act()),
        seq(Zero((2, 1)), Conv(4, (3, 3)), Norm(), Act("hswish")),
        seq(Zero(), Pool("avg", (3, 3))),
        Join("add", (Zero(), Zero())),
        Join("cat", (Zero(), Seq(), Zero())),
        seq(Zero(), Pool("avg"), Linear(3)),
    ],
)
def test_nothing_and_zero(tree: Layer) -> None:
    agree(network_of(tree, X))


@pytest.mark.parametrize(
    ("x", "tree"),
    [(Shape(1, 5, 5), Conv(4)), *((Shape(8, 1, 1), tree) for tree in (Seq(), Conv(5, (3, 3)), Linear(5)))],
)
def test_small_maps(x: Shape, tree: Layer) -> None:
    agree(network_of(tree, x))


@pytest.mark.parametrize("image_size", [64, 65])
def test_mnasnet_a1(image_size: int) -> None:
    histograms = agree(Architecture.parse(f"input 3x{image_size}x{image_size}{MNASNET_A1}"))
    assert histograms["tflite"] == {
        "CONV_2D": 49, "DEPTHWISE_CONV_2D": 16, "ADD": 9, "MEAN": 9, "LOGISTIC": 8, "MUL": 8, "FULLY_CONNECTED": 1,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "image_size"), [("mnasnet", 33), ("mnasnet-small", 29)])
def test_random_networks(name: str, image_size: int) -> None:
    some = space(name, classes=7, image_size=image_size)
    for encoding in sample(some, np.random.default_rng(0), 2).tolist():
        agree(some.decode(tuple(encoding)), calibrate=True)


def test_cells_with_zero_edges() -> None:
    """NAS-Bench-201: nothing but zeros, zeros into one node, zeros everywhere but along one edge."""
    cells = space("nasbench201", image_size=8)
    for encoding in [(0,) * 6, (0, 3, 0, 1, 4, 0), (0, 0, 0, 2, 0, 0), (4, 3, 2, 1, 0, 3)]:
        agree(cells.decode(encoding), calibrate=True)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_architecture(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["mnasnet", "mnasnet-small", "nasbench201"]))
    size = data.draw(st.integers(16, 48))
    agree(data.draw(architectures(space(name, classes=5, image_size=size))), calibrate=True)


def test_values_nobody_reads_cost_nothing() -> None:
    nodes = (*chain(X, [parse_op("stem_c8")]).nodes, Node(parse_op("conv_c8"), (1,)), Node(parse_op("stem_c4"), (1,)))
    assert agree(Architecture(X, nodes))["tflite"] == {"CONV_2D": 2}
