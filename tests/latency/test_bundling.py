from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from mnas.ir import Bundle, Placement
from mnas.latency.bundling import TIMES, bundled
from mnas.latency.chunks import loaded_bytes
from mnas.latency.kernels import kernels
from mnas.spaces import space

SMALL = tuple(space("mnasnet-small").placements())
LARGE = tuple(space("mnasnet").placements())


def rows_of(bundles: list[Bundle]) -> list[Placement]:
    return list(chain.from_iterable(bundle.placements for bundle in bundles))


def test_every_round_holds_every_row_once_between_others() -> None:
    rounds = bundled(SMALL, 2.0, 0)
    assert [len(each) for each in rounds] == [3] * TIMES
    orders = [rows_of(each) for each in rounds]
    assert all(Counter(order) == Counter(SMALL) for order in orders)
    assert len(set(map(tuple, orders))) == TIMES
    assert rounds == bundled(SMALL, 2.0, 0)
    assert rounds != bundled(SMALL, 2.0, 1)


@pytest.mark.parametrize(("rows", "memory"), [(SMALL, 2.0), (SMALL, 0.02), (LARGE[::2], 2.0), (LARGE[::4], 0.2)])
def test_limits_are_kept(rows: tuple[Placement, ...], memory: float) -> None:
    for bundle in chain.from_iterable(bundled(rows, memory, 0)):
        assert sum(len(kernels(row)) for row in bundle.placements) <= 700
        assert loaded_bytes(bundle) <= memory * 0.8e9


def test_less_memory_takes_more_bundles() -> None:
    assert len(bundled(SMALL, 0.02, 0)[0]) > len(bundled(SMALL, 2.0, 0)[0])


def test_many_bundles_are_measured_less_often() -> None:
    assert [len(each) for each in bundled(LARGE, 2.0, 0)] == [13, 13]


def test_a_row_that_exceeds_a_limit_is_alone() -> None:
    huge = Placement.parse("conv_c64@64x1024x1024")
    (first, second), *_ = bundled((huge, SMALL[0]), 2.0, 0)
    assert {first.placements, second.placements} == {(huge,), SMALL[:1]}


def test_no_rows() -> None:
    assert bundled((), 2.0, 0) == []
