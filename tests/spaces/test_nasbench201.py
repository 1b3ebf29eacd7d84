"""The NAS-Bench-201 cell as architectures, against its published parameter counts."""

from __future__ import annotations

from mnas.spaces import size, space
from mnas.spaces.nasbench201 import OPS

NB201 = space("nasbench201")


def test_size() -> None:
    assert size(NB201) == 15625
    assert len(list(NB201.placements())) == 25


def test_published_costs() -> None:
    """The all-3x3 cell has 1.531546 M parameters and 220.12 M multiply-adds (NAS-Bench-201's own meta data)."""
    largest = NB201.decode((OPS.index("conv3x3"),) * 6)
    smallest = NB201.decode((OPS.index("none"),) * 6)
    assert largest.cost.params == 1_531_546
    assert round(largest.cost.macs / 1e6, 2) == 220.12
    assert smallest.cost.params == 73_306


def test_zeros_are_kept() -> None:
    cell = NB201.decode((0, 1, 1, 3, 2, 4))
    assert str(cell).count("zero") == 15
    assert str(cell.canonical()).count("zero") == 15
    others = {NB201.decode(e).canonical() for e in ((0, 1, 1, 3, 2, 4), (0, 1, 0, 3, 2, 4), (0, 1, 1, 3, 0, 4))}
    assert len(others) == 3
