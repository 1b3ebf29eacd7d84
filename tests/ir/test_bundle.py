from __future__ import annotations

import pytest

from mnas.errors import ShapeError
from mnas.ir import Architecture, Bundle, Node, Placement

TEXTS = ("conv_c8@3x9x9", "identity@4x5x5+4x5x5", "pool@8x7x7")
BUNDLE = Bundle(tuple(map(Placement.parse, TEXTS)))


def test_placements_stand_side_by_side() -> None:
    conv, identity, pool = BUNDLE.placements
    assert BUNDLE.inputs == (*conv.inputs, *identity.inputs, *pool.inputs)
    assert BUNDLE.nodes == (Node(conv.op, (0,)), Node(identity.op, (1, 2)), Node(pool.op, (3,)))
    assert BUNDLE.outputs == (4, 5, 6)
    assert str(BUNDLE).splitlines() == list(TEXTS)


def test_one_placement_is_the_same_network() -> None:
    for placement in BUNDLE.placements:
        bundle = Bundle((placement,))
        assert (bundle.inputs, bundle.nodes, bundle.outputs) == (placement.inputs, placement.nodes, placement.outputs)


def test_the_last_node_of_an_architecture_is_its_output() -> None:
    network = Architecture.parse("input 3x9x9\nconv_c8\nconv_c8 add 0")
    assert network.outputs == (2,)


def test_bundles_are_values() -> None:
    assert Bundle(tuple(map(Placement.parse, TEXTS))) == BUNDLE
    assert hash(Bundle(tuple(map(Placement.parse, TEXTS)))) == hash(BUNDLE)
    with pytest.raises(ShapeError, match="at least one placement"):
        Bundle(())
