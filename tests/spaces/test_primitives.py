from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.ir import Architecture, Network
from mnas.latency.networks import draw_networks
from mnas.spaces import PrimitiveSpace, sample, sample_biased, space
from mnas.spaces.reference import reference

DAG = Architecture.parse("""
input 3x16x16
conv2d_c8_kh3_kw3_sh2_sw2_arelu
conv2d_c8_kh3_kw3_g8
activation add 1 2
globalpool
conv2d_c8_asigmoid
identity mul 3 5
conv2d_c12
globalpool
linear_c5
""")


@pytest.mark.parametrize("network", [DAG, reference("mobilenet-v2"), reference("darts-v2")])
def test_pieces_are_networks_of_its_rows(network: Network) -> None:
    each = PrimitiveSpace("pieces", network)
    rows = set(each.placements())
    assert rows == set(network.placements)
    rng, whole = np.random.default_rng(0), sum(p.cost.macs for p in network.placements)
    drawn = np.concatenate([sample(each, rng, 40), sample_biased(each, rng, 40)])
    pieces = [each.decode(tuple(encoding)) for encoding in drawn.tolist()]
    assert {placement for piece in pieces for placement in piece.placements} <= rows
    assert all(piece.cost.macs >= 0.01 * whole for piece in pieces)
    last = tuple(len(choice.options) - 1 for choice in each.choices)
    assert each.decode(last) == network
    with pytest.raises(ConfigError):
        each.decode((99, 0))


@pytest.mark.parametrize("network", [DAG, reference("mnasnet-a1")])
def test_the_whole_network_calibrates(network: Architecture) -> None:
    each = PrimitiveSpace("pieces", network)
    for seed in range(5):
        assert network in draw_networks(each, 20, 19, 20, seed).calibration


@pytest.mark.parametrize(("name", "least"), [("mobilenet-v2", 0.05), ("darts-v2", 0.2)])
def test_choices_go_from_small_to_large(name: str, least: float) -> None:
    each = PrimitiveSpace("pieces", reference(name))
    small, whole = each.decode((0, 0)).cost.macs, reference(name).cost.macs
    assert least < small / whole < 0.55
    assert (each.x, each.classes) == (reference(name).x, reference(name).y.c)


def test_it_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="--space primitives --from"):
        space("primitives")
