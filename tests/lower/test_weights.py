from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import ShapeError
from mnas.ir import Architecture, Placement
from mnas.lower import Format, initial_weights, lower
from mnas.lower.torch import build, load_weights, weights_of
from mnas.spaces import space
from tests.lower.languages import random_weights
from tests.strategies import architectures, placements

A = Architecture.parse("input 3x16x16\nconv_c8_s2\nmbconv_c12_se0.25 x2\nheadv3_c16_h8_n5")


@settings(max_examples=50, deadline=None)
@given(st.one_of(placements, architectures(space("mnasnet-small", image_size=12))))
def test_names_shapes_and_count(network: Placement | Architecture) -> None:
    """The initialiser, torch and the price of a network agree on its parameters."""
    weights = initial_weights(network)
    assert {key: value.shape for key, value in weights.items()} == {
        key: value.shape for key, value in weights_of(build(network)).items()
    }
    statistics = ("running_mean", "running_var")
    assert sum(w.size for key, w in weights.items() if not key.endswith(statistics)) == network.cost.params


def test_names_are_paths() -> None:
    keys = list(initial_weights(A))
    assert keys[:2] == ["nodes.0.0.weight", "nodes.0.1.weight"]
    assert "nodes.2.1.2.1.1.bias" in keys  # node 2, the body of its residual, the gate, its second branch, a bias
    assert {value.dtype for value in initial_weights(A).values()} == {np.dtype(np.float32)}


def test_he_normal() -> None:
    """Fan-out counts the outputs of one group; norms start as the identity and biases at 0."""
    network = Architecture.parse("input 64x8x8\nmbconv_c64_k5_e4_se1\nhead_c512_n256")
    first, second = initial_weights(network, 3), weights_of(build(network, 3))
    for weights in (first, second):
        assert weights["nodes.0.1.0.0.weight"].std() == pytest.approx((2 / 256) ** 0.5, rel=0.05)
        assert weights["nodes.0.1.1.0.weight"].std() == pytest.approx((2 / 25) ** 0.5, rel=0.05)
        assert weights["nodes.1.2.weight"].std() == pytest.approx((2 / 512) ** 0.5, rel=0.05)
        assert set(weights["nodes.0.1.0.1.weight"]) == set(weights["nodes.0.1.0.1.running_var"]) == {1.0}
        assert not weights["nodes.0.1.0.1.bias"].any()
        assert not weights["nodes.1.2.bias"].any()


def test_the_seed_decides() -> None:
    for draw in (initial_weights, lambda network, seed: weights_of(build(network, seed))):
        one, same, other = (draw(A, seed) for seed in (1, 1, 2))
        assert all(np.array_equal(one[key], same[key]) for key in one)
        assert not np.array_equal(one["nodes.0.0.weight"], other["nodes.0.0.weight"])


def test_round_trip_through_torch() -> None:
    weights = random_weights(A)
    network = build(A, seed=5)
    load_weights(network, weights)
    back = weights_of(network)
    assert all(np.array_equal(back[key], weights[key]) for key in weights)
    back["nodes.0.0.weight"][:] = 0
    assert weights_of(network)["nodes.0.0.weight"].any(), "a copy, not a view"


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_wrong_weights_are_named(format_: Format) -> None:
    weights = initial_weights(A)
    kernel = weights.pop("nodes.0.0.weight")
    with pytest.raises(ShapeError, match=r"lack 'nodes\.0\.0\.weight' of shape \(8, 3, 3, 3\)"):
        lower(A, weights, format_)
    with pytest.raises(ShapeError, match=r"'nodes\.0\.0\.weight' must have shape \(8, 3, 3, 3\), got \(8, 3, 3, 2\)"):
        lower(A, {**weights, "nodes.0.0.weight": kernel[..., :2]}, format_)


def test_load_weights_refuses_what_does_not_fit() -> None:
    weights = initial_weights(A)
    with pytest.raises(ShapeError, match=r"'nodes\.9\.weight': the network has none"):
        load_weights(build(A), {**weights, "nodes.9.weight": np.zeros(3, np.float32)})
    del weights["nodes.0.1.bias"]
    with pytest.raises(ShapeError, match=r"'nodes\.0\.1\.bias': the network has \(8,\), the weights have none"):
        load_weights(build(A), weights)
